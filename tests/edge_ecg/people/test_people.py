"""The index of people: pseudonyms, whose files are whose, and what a damaged or contested index does."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_ecg.errors import DataError, UsageError
from edge_ecg.people import PROFILE, RECORDING, People, is_pseudonym, new_pseudonym
from edge_ecg.people.pseudonym import ALPHABET

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path / "home", lambda: NOW)


def test_pseudonyms_are_drawn_and_never_twice() -> None:
    letters = iter("7f3k7f3kaaaa")
    assert new_pseudonym((), lambda _: next(letters)) == "P-7f3k"
    assert new_pseudonym(("P-7f3k",), lambda _: next(letters)) == "P-aaaa"
    drawn = {new_pseudonym(()) for _ in range(200)}
    assert all(map(is_pseudonym, drawn))
    assert len(drawn) > 190
    assert not set("0o1liuv") & set(ALPHABET)


@pytest.mark.parametrize("text", ["P-7f3", "P-7f3kk", "p-7f3k", "P-7f3o", "ANNA", "", "P-7f3k\n"])
def test_what_is_no_pseudonym(text: str) -> None:
    assert not is_pseudonym(text)


def test_a_name_stands_in_the_index_alone_and_leads_to_the_same_person(people: People) -> None:
    anna = people.introduce("ANNA")
    assert is_pseudonym(anna.pseudonym)
    assert anna.name == "ANNA"
    assert people.introduce(" ANNA ") == people.find("ANNA") == people.find(anna.pseudonym) == anna
    # é in one character and in two is one name.
    assert people.introduce("Ren\u00e9") == people.introduce("Rene\u0301")
    # A pseudonym that came with a person from another device is kept as it is.
    assert people.introduce("P-7f3k").name is None
    assert people.find("P-7f3k") is not None
    assert len(people.all()) == 3
    assert stat.S_IMODE(people.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(people.home.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\x1b[2J", "x" * 81])
def test_what_cannot_be_a_name(people: People, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a person's name"):
        people.introduce(name)


def test_files_belong_to_one_person_and_links_of_folders_are_followed_once(
    people: People, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    people.add_file("P-aaaa", tmp_path / "link" / "r.csv", RECORDING)
    people.add_file("P-aaaa", tmp_path / "real" / "r.csv", RECORDING)
    (anna,) = people.all()
    assert [file.path for file in anna.files] == [tmp_path / "real" / "r.csv"]
    people.add_file("P-bbbb", tmp_path / "real" / "r.csv", RECORDING)
    assert [len(person.files) for person in people.all()] == [0, 1]
    # A profile's place may hold one person's and, as the one before, another's.
    people.add_file("P-aaaa", tmp_path / "p.json", PROFILE)
    people.add_file("P-bbbb", tmp_path / "p.json", PROFILE)
    assert [len(person.files) for person in people.all()] == [1, 2]
    people.drop_files("P-bbbb", {tmp_path / "p.json", tmp_path / "real" / "r.csv"}, whole=True)
    assert [person.pseudonym for person in people.all()] == ["P-aaaa"]


def test_processes_at_the_same_time_lose_nothing(people: People, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom datetime import UTC, datetime\nfrom pathlib import Path\n"
        "from edge_ecg.people.index import People\n"
        "people = People(Path(sys.argv[1]), lambda: datetime.now(UTC))\n"
        "for number in range(25):\n"
        "    people.add_file('P-aaaa', Path(f'/x/{sys.argv[2]}-{number}.csv'), 'recording')\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, people.home, str(index)]) for index in range(3)
    ]
    assert [one.wait() for one in running] == [0, 0, 0]
    (person,) = people.all()
    assert len({file.path for file in person.files}) == len(person.files) == 75


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "schema", "people", "P-aaaa", "name", "files", "path", "kind", "created"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
WHOLE: dict[str, Any] = {"type": "edge-ecg people", "schema": 1}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps({**WHOLE, "people": {"P-aaaa": value}}).encode())
)
def test_whatever_the_index_holds_it_is_read_or_refused_and_never_overwritten(
    people: People, data: bytes
) -> None:
    people.home.mkdir(exist_ok=True)
    people.path.write_bytes(data)
    try:
        people.all()
    except DataError:
        with pytest.raises(DataError, match="damaged"):
            people.introduce("ANNA")
        assert people.path.read_bytes() == data


def test_an_index_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    people = People(tmp_path / "file" / "home", lambda: NOW)
    with pytest.raises(DataError, match=r"people\.json cannot be"):
        people.introduce("ANNA")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    "name",
    ["two\nlines.csv", os.fsdecode(b"caf\xe9.csv"), "\x1b[2J.csv", "/".join(["x" * 200] * 5)],
    ids=["lines", "bytes", "escape", "long"],
)
def test_an_odd_path_does_not_damage_the_index(people: People, tmp_path: Path, name: str) -> None:
    anna = people.introduce("ANNA")
    people.add_file(anna.pseudonym, tmp_path / name, RECORDING)
    found = people.find("ANNA")
    assert found is not None
    assert [file.path for file in found.files] == [tmp_path / name]
