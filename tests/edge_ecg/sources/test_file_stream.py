"""Playing: pacing by an injected clock, blocks, start and duration, and what is not a recording."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.errors import DataError, UsageError
from edge_ecg.samples import SampleBlock
from edge_ecg.sources import Source, open_source, parse_address
from edge_ecg.sources.files import open_file

FS = 250


class Clock:
    """Time that passes only in ``sleep``, and by ``lag`` for the work between two blocks."""

    def __init__(self, lag: float = 0.0) -> None:
        self.now = 1000.0
        self.lag = lag

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Ten seconds; samples 1000 to 1499 are lost."""
    ecg = np.arange(10 * FS) / 1000
    ecg[1000:1500] = np.nan
    np.savez(tmp_path / "a.npz", ecg_mv=ecg, fs_hz=FS)
    return tmp_path / "a.npz"


@pytest.mark.parametrize(("option", "speed"), [("", 1.0), ("?speed=1", 1.0), ("?speed=10", 10.0)])
def test_real_time_is_kept_also_across_a_gap(path: Path, option: str, speed: float) -> None:
    clock = Clock()
    source = open_file(parse_address(f"file:{path}{option}"), clock=clock, sleep=clock.sleep)
    blocks = []
    for block in source:
        assert isinstance(block, SampleBlock)
        assert block.arrived_s == clock.now
        assert clock.now == pytest.approx(1000 + block.end_s / speed)
        blocks.append(block)
    assert {len(block) for block in blocks} == {10}
    assert clock.now == pytest.approx(1000 + 10 / speed)
    assert sum(block.gap_before for block in blocks) == 500


def test_a_slow_reader_is_caught_up_with(path: Path) -> None:
    clock = Clock()
    source = open_file(parse_address(f"file:{path}"), clock=clock, sleep=clock.sleep)
    for number, _ in enumerate(source):
        if number == 3:
            clock.now += 2.0  # somebody was busy
        if number == 60:
            assert clock.now == pytest.approx(1000 + 61 * 0.04)


def test_as_fast_as_possible_never_sleeps_and_has_no_arrivals(path: Path) -> None:
    def never(_: float) -> None:
        raise AssertionError("slept")

    source = open_file(parse_address(f"file:{path}?speed=max"), clock=Clock(), sleep=never)
    blocks = [block for block in source if isinstance(block, SampleBlock)]
    assert [len(block) for block in blocks] == [250] * 8
    assert [block.first_sample for block in blocks] == [0, 250, 500, 750, 1500, 1750, 2000, 2250]
    assert [block.gap_before for block in blocks] == [0, 0, 0, 0, 500, 0, 0, 0]
    assert all(block.arrived_s is None for block in blocks)


@settings(max_examples=60, deadline=None)
@given(start=st.floats(0, 11), duration=st.floats(0.01, 11), lost=st.lists(st.integers(0, 2499), max_size=30))
def test_a_part_is_that_part_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, start: float, duration: float, lost: list[int]
) -> None:
    path = tmp_path_factory.mktemp("part") / "a.npz"
    ecg = np.arange(2500) / 1000
    ecg[lost] = np.nan
    np.savez(path, ecg_mv=ecg, fs_hz=FS)
    first = round(start * FS)
    expected = ecg[first:]
    expected = expected[: int(np.ceil(duration * FS))]
    expected = expected[np.flatnonzero(np.isfinite(expected))[0] :] if np.isfinite(expected).any() else []
    source = open_source(f"file:{path}?speed=max&start={start!r}&duration={duration!r}")
    if not len(expected):
        with pytest.raises(DataError, match="holds no sample"):
            list(source)
        return
    found = np.full(len(expected), np.nan)
    next_sample = 0
    for block in source:
        assert isinstance(block, SampleBlock)
        assert block.first_sample == next_sample + block.gap_before
        found[block.first_sample : block.first_sample + len(block)] = block.ecg_mv
        next_sample = block.first_sample + len(block)
    np.testing.assert_array_equal(found, expected)


def test_iterating_twice_plays_twice(path: Path) -> None:
    source = open_source(f"file:{path}?speed=max")
    first, second = ([b.ecg_mv for b in source if isinstance(b, SampleBlock)] for _ in range(2))
    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(second))


def test_close_from_another_thread_ends_the_wait(path: Path) -> None:
    source = open_source(f"file:{path}?speed=0.001")  # the first block is due after 40 s
    assert isinstance(source, Source)
    closer = threading.Timer(0.05, source.close)
    closer.start()
    assert list(source) == []
    closer.join()
    source.close()


def test_the_source_says_what_it_is(path: Path) -> None:
    with open_source(f"file:{path}") as source:
        assert source.info.address == f"file:{path}"
        assert source.info.device == "file:npz"
        assert source.info.details["channel"] == "ecg_mv"
        assert source.info.details["duration_s"] == 10


def test_ways_to_write_a_path(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(path.parent))
    monkeypatch.chdir(path.parent)
    for address in ("file:a.npz", "file:~/a.npz", f"file://{path}", f"file:{path}"):
        assert open_source(address).info.fs_hz == FS


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("?speed=0", "speed=0"),
        ("?speed=fast", "speed=fast"),
        ("?start=-1", "start=-1"),
        ("?duration=0", "duration=0"),
        ("?fs=nan", "fs=nan"),
        ("?unit=apples", "unit=apples"),
        ("?scale=0", "scale=0"),
        ("?loop=yes", "unknown option 'loop'"),
        ("?separator=,", "separator .* does nothing"),
        ("?partial=yes", "partial .* does nothing"),
    ],
)
def test_options_that_make_no_sense(path: Path, options: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        open_source(f"file:{path}{options}")


def test_a_start_behind_the_end(path: Path) -> None:
    with pytest.raises(DataError, match=r"no sample from 99 s on"):
        list(open_source(f"file:{path}?start=99&speed=max"))


def test_a_recording_is_no_device(path: Path) -> None:
    assert open_source(f"file:{path}", device="file").info.fs_hz == FS
    with pytest.raises(UsageError, match="A recording is not a shimmer3"):
        open_source(f"file:{path}", device="shimmer3")


def test_what_is_not_a_recording(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no file"):
        open_source("file:")
    with pytest.raises(DataError, match=r"nothing\.edf does not exist"):
        open_source(f"file:{tmp_path / 'nothing.edf'}")
    with pytest.raises(DataError, match=r"is a folder.*It is empty"):
        open_source(f"file:{tmp_path}")
    (tmp_path / "notes.md").write_text("hello")
    (tmp_path / "rest.edf").write_text("hello")
    with pytest.raises(DataError, match=r"It holds rest\.edf\..*rest\.edf"):
        open_source(f"file:{tmp_path}")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is not a file"):
        open_source(f"file:{tmp_path / 'pipe'}")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.bdf", b"\xffBIOSEMI...", "BDF file.*EDF"),
        ("a.mat", b"MATLAB 5.0 MAT-file", "MATLAB file"),
        ("a.xdf", b"XDF:....", "XDF file"),
        ("a.bin", b"\x00\x01\x02", "does not know the format of a.bin"),
        ("a", b"\x7fELF\x00", "ends in nothing"),
        ("a.edf", b"not one", "EDF header of a.edf is damaged"),
        ("a.h5", b"not one", "a.h5 is not a usable OpenSignals file"),
        ("a.npz", b"not one", "damaged .npz"),
        ("a.npy", b"not one", "not a usable NumPy array"),
    ],
)
def test_formats_that_are_not_read_are_named(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        open_source(f"file:{tmp_path / name}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(path: Path) -> None:
    path.chmod(0)
    with pytest.raises(DataError, match=r"may not be read.*chmod"):
        open_source(f"file:{path}")
