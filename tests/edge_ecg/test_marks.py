"""Marks: kept beside a recording, given back with it, and what lies between them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ecg.errors import DataError
from edge_ecg.marks import Mark, label_at, marks_path, read_marks
from edge_ecg.recorder import Recorder
from edge_ecg.records import EventRecord
from edge_ecg.samples import SampleBlock, SourceEvent, SourceInfo
from edge_ecg.session import Session
from edge_ecg.sources import Address, open_source

FS_HZ = 256.0
INFO = SourceInfo("/dev/ttyUSB0", "shimmer3", FS_HZ)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=60)


def played(path: Path, **options: str) -> list[SourceEvent]:
    with open_source(Address("file", str(path), {"speed": "max", **options})) as source:
        return [item for item in source if isinstance(item, SourceEvent)]


def record(path: Path, marks: list[tuple[float, str]], first_sample: int = 0) -> None:
    with Recorder(path) as recorder:
        recorder.begin(INFO)
        recorder.write(SampleBlock(np.zeros(round(20 * FS_HZ)), FS_HZ, first_sample))
        for at_s, text in marks:
            recorder.mark(at_s, text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(marks=st.lists(st.tuples(st.floats(0, 1e5), TEXT), max_size=5))
def test_what_was_marked_is_read_back(tmp_path_factory: Any, marks: list[tuple[float, str]]) -> None:
    path = tmp_path_factory.mktemp("marks") / "kept.csv"
    record(path, marks)
    expected = [Mark(round(at_s, 6), text.strip()) for at_s, text in marks if text.strip()]
    assert read_marks(path) == sorted(expected, key=lambda mark: mark.at_s)
    assert marks_path(path).exists() == bool(expected)


def test_the_file_source_gives_them_back_at_their_time(tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    # A stream that had run for 3 s before anything was recorded: the file counts from its own first sample.
    record(path, [(5.5, "rest"), (12.25, 'stress, "loud"')], first_sample=round(3 * FS_HZ))
    found = played(path)
    assert [(one.event, one.at_s, one.detail["text"]) for one in found] == [
        ("marker", 2.5, "rest"),
        ("marker", 9.25, 'stress, "loud"'),
    ]
    assert [one.at_s for one in played(path, start="4")] == [5.25]


def test_a_session_records_the_marks_of_its_source(tmp_path: Path, list_source: Callable[..., Any]) -> None:
    blocks = [SampleBlock(np.zeros(256), FS_HZ, 256 * second) for second in range(4)]
    items = [*blocks[:2], SourceEvent("marker", 2.0, {"text": "stress"}), *blocks[2:]]
    path = tmp_path / "kept.csv"
    source = list_source(items, FS_HZ)
    with Recorder(path) as recorder:
        recorder.begin(source.info)
        records = list(Session(source, None, recorder=recorder))
    assert [one.detail for one in records if isinstance(one, EventRecord)] == [{"text": "stress"}]
    assert read_marks(path) == [Mark(2.0, "stress")]


def test_a_mark_is_on_the_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    with Recorder(path) as recorder:
        recorder.begin(INFO)
        recorder.write(SampleBlock(np.zeros(256), FS_HZ, 0))
        recorder.mark(0.5, "rest")
        assert read_marks(path) == [Mark(0.5, "rest")]


def test_marks_that_are_there_are_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    marks_path(path).write_text("precious")
    with pytest.raises(DataError, match=r"kept\.marks\.csv exists already"):
        Recorder(path)
    assert not path.exists()


def test_marks_without_samples_leave_no_file(tmp_path: Path) -> None:
    with Recorder(tmp_path / "kept.csv") as recorder:
        recorder.begin(INFO)
        recorder.mark(0.0, "rest")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", ["soon,rest", "1.5", "nan,rest", "2,", '3,"rest'])
def test_a_line_that_is_no_mark_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    record(path, [(0.0, "rest")])
    marks_path(path).write_text(f"t_s,label\n0,rest\n{line}\n")
    if line == '3,"rest':  # an open quote takes what follows; the mark itself is whole
        assert [mark.label for mark in read_marks(path)] == ["rest", "rest"]
        return
    with pytest.raises(DataError, match=r"Line 3 of|cannot be read"):
        read_marks(path)


def test_marks_in_another_encoding_are_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    marks_path(path).write_bytes("0,Prüfung\n".encode("utf-16"))
    with pytest.raises(DataError, match="cannot be read"):
        read_marks(path)


@given(
    times=st.lists(st.integers(0, 60), max_size=6),
    start=st.integers(0, 60),
    length=st.integers(1, 20),
)
def test_a_window_has_the_label_of_the_stretch_that_holds_it(
    times: list[int], start: int, length: int
) -> None:
    """Second by second: all of them must have the same last mark, and it must be there."""
    marks = [Mark(at_s, f"mark {index}") for index, at_s in enumerate(sorted(times))]

    def last(at_s: float) -> str | None:
        return next((mark.label for mark in reversed(marks) if mark.at_s <= at_s), None)

    inside: NDArray[np.float64] = start + np.arange(0, length, 0.5)
    names = {last(at_s) for at_s in inside.tolist()}
    expected = names.pop() if len(names) == 1 else None
    assert label_at(marks, start, start + length) == expected
