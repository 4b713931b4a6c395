"""Recordings that go on for weeks: rotation, the limit on all of them, the room on the disk."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from edge_ecg.people import People
from edge_ecg.samples import SampleBlock, SourceInfo
from edge_ecg.service.log import Log
from edge_ecg.service.recordings import Recordings
from edge_ecg.service.schema import RecordSection

FS_HZ = 250.0
BEGIN = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


class Rig:
    """Recordings in a folder, with a clock and a disk that the test moves."""

    def __init__(self, folder: Path, **section: object) -> None:
        self.folder = folder
        self.now = BEGIN
        self.free_bytes = 10**12
        self.said = io.StringIO()
        self.number = 0
        self.people = People(folder.parent / "home", lambda: self.now)
        values = {"directory": str(folder), "rotate_minutes": 1.0, **section}
        self.recordings = Recordings(
            replace(RecordSection(), **values),
            SourceInfo("/dev/ttyUSB0", "text", FS_HZ),
            Log(self.said),
            wall_clock=lambda: self.now,
            free=lambda _: self.free_bytes,
            person="P-7f3k",
            people=self.people,
        )

    def minutes(self, count: float) -> None:
        """Let so much signal come, second by second."""
        for _ in range(round(60 * count)):
            block = SampleBlock(np.full(250, 1 / 3), FS_HZ, self.number)
            self.number += 250
            self.now += timedelta(seconds=1)
            self.recordings.write(block)

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.csv")) if self.folder.exists() else []

    @property
    def known(self) -> list[Path]:
        """The files that ``edge-ecg forget`` would remove."""
        person = self.people.find("P-7f3k")
        return [] if person is None else [file.path for file in person.files]

    def samples(self, path: Path) -> list[int]:
        rows = [line for line in path.read_text().splitlines() if line[0].isdigit()]
        return [int(row.partition(",")[0]) for row in rows]


@pytest.fixture
def rig(tmp_path: Path) -> Callable[..., Rig]:
    return lambda **section: Rig(tmp_path / "ecg", **section)


def test_a_new_file_every_minute_and_no_sample_lost(rig: Callable[..., Rig]) -> None:
    one = rig()
    one.minutes(2.5)
    one.recordings.close()
    assert len(one.files) == 3
    assert [number for path in one.files for number in one.samples(path)] == list(range(one.number))
    assert one.folder.stat().st_mode & 0o777 == 0o700
    assert one.known == one.files
    assert all("P-7f3k" in path.read_text()[:500] for path in one.files)


def test_at_the_limit_it_stops_and_says_so_once(rig: Callable[..., Rig]) -> None:
    one = rig(limit_mb=1)
    one.minutes(10)
    total = sum(path.stat().st_size for path in one.files)
    assert 1_000_000 <= total < 1_300_000
    assert one.said.getvalue().count("Not recording") == 1
    assert "record.limit_mb" in one.recordings.stopped
    for path in one.files[:2]:
        path.unlink()
    one.minutes(1)
    assert one.said.getvalue().count("Recording again.") == 1
    assert one.recordings.stopped == ""
    one.recordings.close()


def test_or_the_oldest_goes_and_nothing_else(rig: Callable[..., Rig]) -> None:
    one = rig(limit_mb=1, when_full="oldest")
    one.folder.mkdir()
    (one.folder / "precious.csv").write_text("x" * 10**6)
    (one.folder / "ecg-19990101-000000.csv").write_text("old")
    (one.folder / "ecg-19990101-000000.marks.csv").write_text("old")
    one.minutes(10)
    one.recordings.close()
    names = [path.name for path in one.files]
    assert "precious.csv" in names
    assert "ecg-19990101-000000.csv" not in names
    assert "ecg-19990101-000000.marks.csv" not in names
    own = [path for path in one.files if path.name != "precious.csv"]
    assert one.samples(own[-1])[-1] == one.number - 1
    assert sum(path.stat().st_size for path in own) < 1_300_000
    assert one.known == own


def test_a_full_disk_stops_the_recording_until_there_is_room(rig: Callable[..., Rig]) -> None:
    one = rig(min_free_mb=200)
    one.minutes(0.5)
    one.free_bytes = 199_999_999
    one.minutes(1)
    assert "record.min_free_mb" in one.recordings.stopped
    one.free_bytes = 200_000_000
    one.minutes(0.5)
    one.recordings.close()
    kept = [number for path in one.files for number in one.samples(path)]
    assert kept[-1] == one.number - 1
    assert 0 < one.number - len(kept) <= 250 * 80
    assert len(one.files) == 2


def test_a_folder_that_cannot_be_made_stops_no_decision(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one = Rig(tmp_path / "file" / "ecg")
    one.minutes(1)
    assert "cannot be made" in one.recordings.stopped
    assert one.said.getvalue().count("Not recording") == 1
    one.recordings.mark(1.0, "rest")
    one.recordings.close()


def test_two_recordings_of_one_second_have_two_names(rig: Callable[..., Rig]) -> None:
    for _ in range(2):
        one = rig()
        one.recordings.write(SampleBlock(np.zeros(10), FS_HZ, 0))
        one.recordings.close()
    assert len(one.files) == 2


def test_marks_stand_beside_the_file_that_they_belong_to(rig: Callable[..., Rig]) -> None:
    one = rig()
    one.minutes(0.5)
    one.recordings.mark(12.0, "rest")
    one.recordings.close()
    (marks,) = one.folder.glob("*.marks.csv")
    assert marks.read_text().splitlines() == ["t_s,label", "12.0,rest"]


def test_an_index_that_is_damaged_leaves_no_empty_files(rig: Callable[..., Rig]) -> None:
    one = rig()
    one.people.home.mkdir()
    one.people.path.write_text("{")
    one.minutes(2)
    assert one.files == []
    assert "is damaged" in one.recordings.stopped
