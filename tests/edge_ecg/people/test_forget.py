"""Forgetting: exactly a person's files go, and nothing that somebody put in their place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge_ecg.people import PROFILE, RECORDING, Fate, People, Person, Removal, forget, plan

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ANNA, BEN = "P-aaaa", "P-bbbb"


def recording(path: Path, person: str = ANNA) -> Path:
    path.write_text(f"# edge-ecg recording\n# fs_hz: 256.0\n# person: {person}\nsample,ecg_mv\n0,0.1\n")
    return path


def profile(path: Path, person: str = ANNA) -> Path:
    path.write_text(f'{{\n "type": "edge-ecg profile",\n "schema": 1,\n "person": "{person}",\n "x": 1\n}}\n')
    return path


def marks(path: Path) -> Path:
    path.write_text("t_s,label\n0.0,rest\n")
    return path


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path / "home", lambda: NOW)


def person(people: People, pseudonym: str = ANNA) -> Person:
    found = people.find(pseudonym)
    assert found is not None
    return found


def fates(removals: list[Removal]) -> dict[str, Fate]:
    return {removal.path.name: removal.fate for removal in removals}


def test_all_of_one_person_goes_and_nothing_of_others(people: People, tmp_path: Path) -> None:
    mine = [
        recording(tmp_path / "a.csv"),
        marks(tmp_path / "a.marks.csv"),
        profile(tmp_path / "a.json"),
        profile(tmp_path / "a.prev.json"),
    ]
    # Half of a profile that a killed process was writing.
    mine.append(tmp_path / "a.json.part")
    mine[-1].write_text(mine[2].read_text()[:75])
    others = [recording(tmp_path / "b.csv", BEN), profile(tmp_path / "b.json", BEN), tmp_path / "note.txt"]
    others[-1].write_text("not ours")
    people.add_file(ANNA, mine[0], RECORDING)
    people.add_file(ANNA, mine[2], PROFILE)
    people.add_file(BEN, others[0], RECORDING)
    people.add_file(BEN, others[1], PROFILE)

    foreseen = plan(person(people))
    assert fates(foreseen) == {path.name: Fate.REMOVE for path in mine}
    assert all(path.exists() for path in mine)
    done = forget(people, person(people))
    assert [(one.path, one.kind) for one in done] == [(one.path, one.kind) for one in foreseen]
    assert fates(done) == {path.name: Fate.REMOVED for path in mine}
    assert all(one.complete for one in done)
    assert sorted(path for path in tmp_path.iterdir() if path.is_file()) == sorted(others)
    assert people.find(ANNA) is None
    assert len(person(people, BEN).files) == 2


def link_to(path: Path) -> None:
    """A link where the file was, to somebody's only copy."""
    path.unlink()
    path.symlink_to(recording(path.with_name("precious")))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def unmarked(path: Path) -> None:
    path.write_text("# edge-ecg recording\n# fs_hz: 256.0\nsample,ecg_mv\n0,0.1\n")


def foreign(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\xff# person: P-aaaa\n")


@pytest.mark.parametrize("change", [link_to, pipe, folder, unmarked, foreign])
def test_what_stands_there_now_is_not_removed_when_it_is_something_else(
    people: People, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = recording(tmp_path / "r.csv")
    people.add_file(ANNA, path, RECORDING)
    change(path)
    before = sorted(entry.name for entry in tmp_path.iterdir())
    (removal,) = forget(people, person(people))
    assert (removal.fate, removal.complete) == (Fate.KEPT, False)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before
    # It stays known, so that forget can be tried again when the place is cleared.
    assert len(person(people).files) == 1
    assert fates(plan(person(people))) == {"r.csv": Fate.KEPT}


def test_a_file_that_is_another_persons_by_now_stays_and_is_no_longer_mine(
    people: People, tmp_path: Path
) -> None:
    path = recording(tmp_path / "r.csv")
    people.add_file(ANNA, path, RECORDING)
    recording(path, BEN)
    (removal,) = forget(people, person(people))
    assert (removal.fate, removal.complete) == (Fate.GONE, False)
    assert BEN in removal.why
    assert path.exists()
    assert people.find(ANNA) is None


def test_of_a_profile_that_was_replaced_by_anothers_the_one_before_goes(
    people: People, tmp_path: Path
) -> None:
    path = profile(tmp_path / "p.json", BEN)
    profile(tmp_path / "p.prev.json", ANNA)
    people.add_file(ANNA, path, PROFILE)
    people.add_file(BEN, path, PROFILE)
    assert fates(forget(people, person(people))) == {"p.prev.json": Fate.REMOVED}
    assert path.exists()
    assert [one.pseudonym for one in people.all()] == [BEN]


def test_a_link_on_the_way_is_not_followed(people: People, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    path = recording(tmp_path / "a" / "r.csv")
    people.add_file(ANNA, path, RECORDING)
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (removal,) = forget(people, person(people))
    assert (removal.fate, removal.why) == (Fate.KEPT, "a link stands there now, and links are not followed")
    assert (tmp_path / "b" / "r.csv").exists()


def test_missing_files_are_said_and_marks_without_their_recording_stay(
    people: People, tmp_path: Path
) -> None:
    for name in ("moved.csv", "marked.csv"):
        people.add_file(ANNA, recording(tmp_path / name), RECORDING)
        (tmp_path / name).unlink()
    marks(tmp_path / "marked.marks.csv")
    removals = forget(people, person(people))
    assert fates(removals) == {"moved.csv": Fate.GONE, "marked.csv": Fate.GONE, "marked.marks.csv": Fate.KEPT}
    assert [file.path.name for file in person(people).files] == ["marked.csv"]


def test_a_renamed_recording_is_found_in_its_folder_by_what_it_says(people: People, tmp_path: Path) -> None:
    people.add_file(ANNA, recording(tmp_path / "r.csv"), RECORDING)
    (tmp_path / "r.csv").rename(tmp_path / "renamed.csv")
    marks(tmp_path / "renamed.marks.csv")
    recording(tmp_path / "ben.csv", BEN)
    (tmp_path / "link.csv").symlink_to(recording(tmp_path / "elsewhere"))
    os.mkfifo(tmp_path / "pipe.csv")
    removals = forget(people, person(people))
    assert fates(removals) == {
        "r.csv": Fate.GONE, "renamed.csv": Fate.REMOVED, "renamed.marks.csv": Fate.REMOVED,
    }  # fmt: skip
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"home", "ben.csv", "link.csv", "elsewhere", "pipe.csv"}


def test_another_name_of_the_same_file_is_said(people: People, tmp_path: Path) -> None:
    path = recording(tmp_path / "r.csv")
    people.add_file(ANNA, path, RECORDING)
    os.link(path, tmp_path / "home" / "copy.csv")
    (removal,) = forget(people, person(people))
    assert (removal.fate, removal.complete) == (Fate.REMOVED, False)
    assert "1 more name" in removal.why
    assert people.find(ANNA) is None


def test_marks_that_are_none_stay(people: People, tmp_path: Path) -> None:
    people.add_file(ANNA, recording(tmp_path / "r.csv"), RECORDING)
    (tmp_path / "r.marks.csv").write_text("something else\n")
    assert fates(forget(people, person(people))) == {"r.csv": Fate.REMOVED, "r.marks.csv": Fate.KEPT}


@contextmanager
def somebody_else() -> Iterator[None]:
    """Root may do everything; be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_folder_that_may_not_be_written_is_said() -> None:
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        kept = Path(root, "kept")
        kept.mkdir()
        path = recording(kept / "r.csv")
        path.chmod(0o644)
        people = People(Path(root, "home"), lambda: NOW)
        people.add_file(ANNA, path, RECORDING)
        for entry in (people.home, people.path, people.home / "people.lock"):
            os.chown(entry, 65534 if os.geteuid() == 0 else -1, -1)
        kept.chmod(0o555)
        try:
            with somebody_else():
                (removal,) = forget(people, person(people))
                assert (removal.fate, removal.why) == (Fate.KEPT, "permission denied")
                assert len(person(people).files) == 1
        finally:
            kept.chmod(0o755)
        assert path.exists()
