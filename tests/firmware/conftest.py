"""The reference sketch, built with Debian's AVR tools and run on an emulated Uno; skips without them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edge_ecg_bridge.framed import FramedSession
from edge_ecg_bridge.stream import Ready, Samples

APT = "apt-get install gcc-avr avr-libc arduino-core-avr libsimavr-dev libelf-dev gcc g++ make"
CORE = Path("/usr/share/arduino/hardware/arduino/avr/cores/arduino/Arduino.h")
HERE = Path(__file__).parent
SKETCH = HERE.parents[1] / "firmware_bridge" / "sketches" / "edge_ecg_ad8232"
CLOCK_HZ = 16_000_000
SUPPLY_MV = 5000


def _need(*tools: str | Path) -> None:
    """Skip the test where a program or a file is absent."""
    for tool in tools:
        if not (tool.exists() if isinstance(tool, Path) else shutil.which(tool)):
            pytest.skip(f"{tool} is absent: {APT}")


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program; what it printed is in the failure, if there is one."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass
class Heard:
    """What a session made of a board's bytes."""

    session: FramedSession
    ready: Ready | None
    samples: list[Samples]

    @property
    def ecg_mv(self) -> np.ndarray:
        return np.concatenate([block.ecg_mv for block in self.samples])

    @property
    def numbers(self) -> np.ndarray:
        return np.concatenate([block.first_sample + np.arange(len(block.ecg_mv)) for block in self.samples])

    @property
    def lead_off(self) -> np.ndarray:
        return np.concatenate([block.lead_off for block in self.samples])

    @property
    def saturated(self) -> np.ndarray:
        return np.concatenate([block.saturated for block in self.samples])

    @property
    def lost(self) -> int:
        return sum(block.gap_before for block in self.samples)


def _listen(data: bytes, at_s: Sequence[float] | None = None) -> Heard:
    """Give bytes to a session, in odd pieces; each at its time."""
    session = FramedSession()
    session.start(0.0)
    for begin in range(0, len(data), 23):
        end = min(begin + 23, len(data))
        session.receive(data[begin:end], 0.0 if at_s is None else at_s[end - 1])
    events = session.events()
    ready = next((event for event in events if isinstance(event, Ready)), None)
    return Heard(session, ready, [event for event in events if isinstance(event, Samples)])


@dataclass
class UnoRun:
    """What an emulated Uno did.

    Attributes
    ----------
    data, sent_cycles:
        Bytes of its serial port, and when each was on its way.
    cycles, counts:
        When each conversion began, and what the converter made of the voltage.
    """

    data: bytes
    sent_cycles: np.ndarray
    cycles: np.ndarray
    counts: np.ndarray

    def listen(self) -> Heard:
        return _listen(self.data, (self.sent_cycles / CLOCK_HZ).tolist())


def millivolts(counts: np.ndarray) -> np.ndarray:
    """Return the smallest millivolts that simavr's converter, floor(mV * 1023 / 5000), turns into counts."""
    return -(-counts.astype(np.int64) * SUPPLY_MV // 1023)


@pytest.fixture(scope="session")
def need() -> Callable[..., None]:
    return _need


@pytest.fixture(scope="session")
def run() -> Callable[..., str]:
    return _run


@pytest.fixture(scope="session")
def listen() -> Callable[..., Heard]:
    return _listen


@pytest.fixture(scope="session")
def build_sketch(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Build the sketch for an Uno, as its Makefile does; the path of the ELF file."""
    built: dict[str, Path] = {}

    def build(defines: str = "") -> Path:
        _need("avr-gcc", "avr-g++", "make", CORE)
        if defines not in built:
            folder = tmp_path_factory.mktemp("uno")
            _run("make", "-s", "-C", SKETCH, f"BUILD={folder}", f"DEFINES={defines}")
            built[defines] = folder / "edge_ecg_ad8232.elf"
        return built[defines]

    return build


@pytest.fixture
def avr_size(build_sketch: Callable[..., Path]) -> dict[str, int]:
    """Bytes of each section of the sketch."""
    rows = [line.split() for line in _run("avr-size", "-A", build_sketch()).splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 3 and row[0].startswith(".")}


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that is an Uno's surroundings."""
    _need("gcc", Path("/usr/include/simavr/sim_avr.h"), Path("/usr/include/libelf.h"))
    program = tmp_path_factory.mktemp("harness") / "uno_harness"
    source = HERE / "uno_harness.c"
    _run("gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source, "-lsimavr", "-lelf")
    return program


@pytest.fixture
def run_uno(build_sketch: Callable[..., Path], harness: Path, tmp_path: Path) -> Callable[..., UnoRun]:
    """Run the sketch for so many seconds of the chip's clock, with what happens at which second."""

    def go(
        counts: np.ndarray, for_s: float, events: Sequence[tuple[float, str]] = (), defines: str = ""
    ) -> UnoRun:
        script, output, log = (tmp_path / name for name in ("script", "output", "log"))
        lines = [f"mv {mv}" for mv in millivolts(counts).tolist()]
        lines += [f"at {round(at_s * CLOCK_HZ)} {what}" for at_s, what in [*events, (for_s, "end")]]
        script.write_text("\n".join(lines) + "\n")
        _run(harness, build_sketch(defines), script, output, log)
        said = [line.split() for line in log.read_text().splitlines()]
        adc = np.array([(int(line[1]), int(line[2])) for line in said if line[0] == "adc"])
        sent = np.array([int(line[1]) for line in said if line[0] == "tx"])
        return UnoRun(output.read_bytes(), sent, adc[:, 0], adc[:, 1] * 1023 // SUPPLY_MV)

    return go
