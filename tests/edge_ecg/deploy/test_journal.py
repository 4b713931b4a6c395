"""The journal: appended to, synced, readable whatever happened to its last line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_ecg.deploy import Home
from edge_ecg.deploy import journal as journal_module
from edge_ecg.deploy.disk import Disk, Step
from edge_ecg.deploy.journal import Journal, iso_time

SHA = "91b3c5e1b290" + "0" * 52


class Clock:
    """Goes on by a second a look."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(Home(tmp_path), Clock())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Home(tmp_path).journal


def test_a_line_a_step(journal: Journal, path: Path) -> None:
    journal.record("uploaded", sha256=SHA, bytes=7)
    journal.record("admitted", release="0001-x-91b3c5e1b290", sha256=SHA)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines == [
        {
            "time": "2027-01-15T08:00:01Z",
            "deployment": "20270115T080001Z-91b3c5e1b290",
            "step": "uploaded",
            "sha256": SHA,
            "bytes": 7,
        },
        {
            "time": "2027-01-15T08:00:02Z",
            "deployment": "20270115T080001Z-91b3c5e1b290",
            "step": "admitted",
            "release": "0001-x-91b3c5e1b290",
            "sha256": SHA,
        },
    ]
    assert [entry.to_json() for entry in journal.entries()] == lines
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_deployment_ends_and_the_next_has_another_name(journal: Journal) -> None:
    first = journal.record("uploaded", sha256=SHA)
    assert journal.record("refused", sha256=SHA, reason="no").deployment == first.deployment
    second = journal.record("uploaded", sha256=SHA)
    assert second.deployment != first.deployment
    assert journal.record("admitted", release="r", sha256=SHA).deployment == second.deployment
    assert journal.record("switched", release="r").deployment == second.deployment
    assert journal.record("uploaded", sha256="f" * 64).deployment.endswith("-" + "f" * 12)
    assert journal.record("confirmed", release="r").deployment == second.deployment
    assert journal.record("switched", release="r").deployment not in (first.deployment, second.deployment)
    assert journal.record("switched", release="s", deployment="mine").deployment == "mine"
    assert journal.record("confirmed", release="s").deployment == "mine"
    last = journal.last("r")
    assert last is not None
    assert last.step == "switched"
    assert journal.last("nobody") is None


def test_a_torn_last_line_is_passed_over_and_closed(journal: Journal, path: Path) -> None:
    first = journal.record("uploaded", sha256=SHA)
    with path.open("ab") as file:
        file.write(b'{"time": "2027-01-15T08:00:0')
    assert journal.entries() == [first]
    second = journal.record("admitted", release="r", sha256=SHA)
    assert journal.entries() == [first, second]
    assert second.deployment == first.deployment


@given(cut=st.integers(min_value=0, max_value=1000), noise=st.binary(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_the_end_is_what_was_written_before_is_read(memory: Path, cut: int, noise: bytes) -> None:
    home = Home(memory)
    home.journal.unlink(missing_ok=True)
    journal = Journal(home, Clock())
    entries = [journal.record("uploaded", sha256=SHA, number=number) for number in range(4)]
    data = home.journal.read_bytes()
    kept = data[: min(cut, len(data))]
    home.journal.write_bytes(kept + noise)
    whole = kept.count(b"\n")
    found = [entry for entry in journal.entries() if entry.more.get("number") is not None]
    assert found[:whole] == entries[:whole]
    later = journal.record("admitted", sha256=SHA)
    assert journal.entries()[-1] == later


@pytest.mark.parametrize(
    "line",
    ["[]", "3", "{}", "[" * 5000, '{"time": 1, "deployment": "a", "step": "b"}',
     '{"time": "t", "deployment": "a"}', '{"time": "t", "deployment": "a", "step": "b", "release": 4}'],
)  # fmt: skip
def test_lines_that_are_none(journal: Journal, path: Path, line: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(line + "\n")
    assert journal.entries() == []


def test_it_does_not_grow_for_ever(journal: Journal, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_MAX_BYTES", 2000)
    for number in range(100):
        journal.record("uploaded", sha256=SHA, number=number)
        assert path.stat().st_size <= 2000
    numbers = [entry.more["number"] for entry in journal.entries()]
    assert numbers == list(range(numbers[0], 100))
    assert len(numbers) >= 5


def test_it_is_synced_line_by_line(tmp_path: Path) -> None:
    steps: list[Step] = []
    journal = Journal(Home(tmp_path), Clock(), Disk(steps.append))
    journal.record("uploaded", sha256=SHA)
    journal.record("uploaded", sha256=SHA)
    kinds = [step.kind for step in steps if step.path != tmp_path]
    assert kinds == ["make_folder", "append", "sync", "sync_folder", "append", "sync"]


def test_no_journal_is_an_empty_one(journal: Journal) -> None:
    assert journal.entries() == []


def test_iso_time() -> None:
    assert iso_time(0.0) == "1970-01-01T00:00:00Z"


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(OSError, match=r"Not a directory|exists"):
        Journal(Home(tmp_path / "home"), Clock()).record("uploaded", sha256=SHA)
