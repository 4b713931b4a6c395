"""The sketch's ESP32 branch, compiled for this machine against stub headers and run on a clock of its own.

There is no ESP32 tool chain or emulator in Debian: this shows that the branch is sound C++ against the
signatures of its core, and that its arithmetic and frames are right; not that it runs on the chip.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_ecg_bridge.emulators import Reservoir
from edge_ecg_bridge.synthetic import SyntheticEcg

FS_HZ = 256
ZERO_MV, GAIN = 1650, 1100
STUB = Path(__file__).parent / "esp32_stub"
SKETCH = Path(__file__).parents[2] / "firmware_bridge" / "sketches" / "edge_ecg_ad8232"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, need: Callable, run: Callable) -> Path:
    need("g++")
    out = tmp_path_factory.mktemp("esp32") / "sketch"
    flags = ("-std=gnu++11", "-O1", "-Wall", "-Wextra", "-Werror", "-DESP32", f"-I{STUB}")
    parts = ("-x", "c++", SKETCH / "edge_ecg_ad8232.ino", SKETCH / "sampling.cpp", STUB / "main.cpp")
    run("g++", *flags, "-o", out, *parts)
    return out


def run_stub(program: Path, pin_mv: np.ndarray, seconds: int, busy: tuple[int, int] = (0, 0)) -> tuple:
    """Run the sketch; its bytes, and when it read its converter in microseconds."""
    text = "\n".join(map(str, pin_mv.tolist())).encode()
    done = subprocess.run(
        [str(program), str(seconds), *map(str, busy)], input=text, capture_output=True, timeout=60, check=True
    )
    return done.stdout, np.array(done.stderr.split(), dtype=np.int64)


@pytest.fixture(scope="module")
def pin_mv() -> np.ndarray:
    ecg_mv = Reservoir(SyntheticEcg(seed=4)(FS_HZ)).take(11 * FS_HZ)
    return np.rint(ZERO_MV + GAIN * ecg_mv).astype(int)


def test_every_reading_arrives_at_256_hz(program: Path, pin_mv: np.ndarray, listen: Callable) -> None:
    data, read_us = run_stub(program, pin_mv, 10)
    heard = listen(data)
    assert (heard.ready.fs_hz, heard.ready.details["name"]) == (256.0, "AD8232 ESP32")
    n = len(heard.numbers)
    assert 10 * FS_HZ - 8 <= n <= 10 * FS_HZ
    assert heard.numbers.tolist() == list(range(n))
    scale = round(1e9 / GAIN) * 1e-9
    np.testing.assert_allclose(heard.ecg_mv, (pin_mv[:n] - ZERO_MV) * scale, rtol=0, atol=1e-12)
    # 3906.25 us on average, though the timer counts whole microseconds.
    assert np.abs(read_us - read_us[0] - np.arange(len(read_us)) * 1e6 / FS_HZ).max() <= 100
    off = np.flatnonzero(heard.lead_off)
    assert np.array_equal(off, np.arange(off[0], off[-1] + 1))
    assert len(off) == pytest.approx(0.5 * FS_HZ, abs=1)
    assert set(heard.session.counters.values()) == {0}


def test_instants_that_the_timer_misses_are_counted(
    program: Path, pin_mv: np.ndarray, listen: Callable
) -> None:
    data, read_us = run_stub(program, pin_mv, 6, busy=(4_000_000, 50_000))
    heard = listen(data)
    at = int(np.argmax(np.diff(read_us)))
    missed = round(np.diff(read_us)[at] * FS_HZ / 1e6) - 1
    assert missed in (11, 12, 13)
    assert heard.lost == pytest.approx(missed, abs=1)
    assert heard.lost == heard.numbers[-1] + 1 - len(heard.numbers)
    slot = np.rint((read_us - read_us[0]) * FS_HZ / 1e6)[: len(heard.numbers)]
    late = at + 1  # it was read whenever the task ran again, anywhere in its slot
    np.testing.assert_array_equal(np.delete(heard.numbers, late), np.delete(slot, late))
    assert 0 <= slot[late] - heard.numbers[late] <= 1
