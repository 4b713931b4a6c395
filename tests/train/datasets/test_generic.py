"""One's own recordings: any file that edge-ecg opens, labels by a table, and errors that name its lines."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.cli import main
from edge_ecg.errors import DataError
from edge_ecg_train.datasets import Recording, get_dataset
from edge_ecg_train.datasets.generic import Generic, numbered
from edge_ecg_train.datasets.generic_labels import read_labels
from edge_ecg_train.store import NO_LABEL, WindowStore

GENERIC = get_dataset("generic").with_names()


@pytest.fixture(scope="session")
def files(generator: Callable[[str], ModuleType]) -> ModuleType:
    return generator("generic_files")


def _found(root: Path) -> dict[tuple[str, str], Recording]:
    return {(one.subject, one.session): one for one in GENERIC.recordings(root)}


def _spans(recording: Recording) -> list[tuple[float, float, dict[str, Any]]]:
    return [(span.start_s, span.end_s, dict(span.values)) for span in recording.spans]


@pytest.fixture
def lab(files: ModuleType, synthetic: Any, tmp_path: Path) -> Path:
    """Two people; one in EDF and WFDB, the other as text."""
    folder = tmp_path / "lab"
    files.write_edf(folder / "ann" / "rest.edf", synthetic(40.0, 500.0, 62.0))
    files.write_wfdb(folder / "ann" / "talk", synthetic(40.0, 250.0, 95.0, seed=1))
    files.write_csv(folder / "bob.csv", synthetic(60.0, 250.0, 75.0, seed=2))
    rows = [
        {"file": "ann/rest.edf", "subject": "ann", "session": "1", "stress": "rest", "valence": 7},
        {"file": "ann/talk", "subject": "ann", "session": "2", "stress": "stress", "valence": 3.5},
        {"file": "bob.csv", "subject": "bob", "end_s": 25, "stress": "rest", "fs_hz": 250},
        {"file": "bob.csv", "subject": "bob", "start_s": 30.5, "end_s": 60, "stress": "stress"},
    ]
    columns = ("file", "subject", "session", "start_s", "end_s", "fs_hz", "stress", "valence")
    files.write_labels(folder, rows, columns=columns)
    return folder


def test_samples_and_stretches(lab: Path, files: ModuleType, synthetic: Any) -> None:
    found = _found(lab)
    assert set(found) == {("generic/ann", "1"), ("generic/ann", "2"), ("generic/bob", "bob")}
    rest, talk, bob = found.values()
    np.testing.assert_allclose(rest.ecg_mv(), synthetic(40.0, 500.0, 62.0), atol=7e-5)
    np.testing.assert_allclose(
        talk.ecg_mv(), np.round(1000 * synthetic(40.0, 250.0, 95.0, seed=1)) / 1000, atol=1e-12
    )
    np.testing.assert_array_equal(bob.ecg_mv(), synthetic(60.0, 250.0, 75.0, seed=2))
    assert [(one.fs_hz, one.lead) for one in found.values()] == [(500, "ECG"), (250, "ECG"), (250, "ecg_mv")]
    assert _spans(rest) == [(0.0, 40.0, {"stress": "rest", "valence": 7.0})]
    assert _spans(talk) == [(0.0, 40.0, {"stress": "stress", "valence": 3.5})]
    assert _spans(bob) == [(0.0, 25.0, {"stress": "rest"}), (30.5, 60.0, {"stress": "stress"})]


def test_prepare_and_check_as_typed(lab: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "generic", "--root", str(lab), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["complete"], report["subjects"], report["recordings"]) == (True, 2, 3)
    assert report["minutes"] == pytest.approx(140 / 60, abs=0.01)
    store_path = tmp_path / "store"
    words = ["data", "prepare", "generic", "--root", lab, "-o", store_path, "--hop", "1", "--json"]
    assert main([str(word) for word in words]) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == {"stress": ["rest", "stress"]}
    store = WindowStore.open(store_path)
    bob = store.subject == "generic/P2"
    start_s, label = store.start_s[bob], store.label("stress")[bob]
    np.testing.assert_array_equal(label, np.where(start_s <= 15, 0, np.where(start_s >= 30.5, 1, NO_LABEL)))
    assert set(label) == {NO_LABEL, 0, 1}
    assert set(store.label("stress")[store.session == "2"]) == {1}


@pytest.mark.parametrize("keep", [False, True])
def test_names_stand_in_a_store_only_when_they_are_to_be_kept(lab: Path, tmp_path: Path, keep: bool) -> None:
    words = ["data", "prepare", "generic", "--root", lab, "-o", tmp_path / "store"]
    before = os.umask(0)
    try:
        assert main([str(word) for word in words] + ["--keep-names"] * keep) == 0
    finally:
        os.umask(before)
    store = WindowStore.open(tmp_path / "store")
    pairs = set(zip(store.subject.tolist(), store.session.tolist(), strict=True))
    named = {("generic/ann", "1"), ("generic/ann", "2"), ("generic/bob", "bob")}
    assert pairs == (named if keep else {("generic/P1", "1"), ("generic/P1", "2"), ("generic/P2", "1")})
    assert ("ann" in (store.path / "store.json").read_text()) is False
    # Recordings of one's own are for their owner alone, whatever the umask.
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.path.iterdir()} == {0o600}


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.text(max_size=3), st.text(max_size=3)),
        max_size=120,
        unique_by=lambda pair: (pair[0], pair[1]),
    )
)
def test_numbers_sort_as_the_names_do_and_part_the_same_recordings(named: list[tuple[str, str]]) -> None:
    pairs = numbered(named)
    assert len(set(pairs)) == len(pairs)
    people = {name: subject for (name, _), (subject, _) in zip(named, pairs, strict=True)}
    assert len(set(people.values())) == len(people)
    assert [people[name] for name in sorted(people)] == sorted(people.values())
    assert numbered(named) == pairs


def test_rules_of_ones_own(lab: Path) -> None:
    assert {rule.task: rule.names for rule in GENERIC.rules(lab)} == {"stress": ("rest", "stress")}
    (lab / "tasks.toml").write_text(
        '[valence]\nfield = "valence"\nthreshold = 5\n\n'
        '[state]\nfield = "stress"\nclasses = {tense = ["stress"], calm = ["rest"]}\n'
    )
    assert GENERIC.tasks(lab) == {"valence": ("low", "high"), "state": ("tense", "calm")}
    (lab / "tasks.toml").write_text('[mood]\nfield = "mood"\nthreshold = 5\n')
    with pytest.raises(DataError, match="names the column 'mood'") as caught:
        GENERIC.rules(lab)
    assert "stress, valence" in caught.value.why
    (lab / "tasks.toml").write_text("[mood\n")
    with pytest.raises(DataError, match="cannot be read as TOML"):
        GENERIC.rules(lab)


def test_numbers_alone_make_no_task(files: ModuleType, tmp_path: Path) -> None:
    files.write_labels(tmp_path, [{"file": "a.csv", "subject": "a", "valence": 3}])
    with pytest.raises(DataError, match="No column of") as caught:
        GENERIC.rules(tmp_path)
    assert "tasks.toml" in caught.value.remedy
    # Without any values it is a set for pretraining.
    files.write_labels(tmp_path, [{"file": "a.csv", "subject": "a"}])
    assert GENERIC.rules(tmp_path) == ()


def test_semicolons_and_the_mark_that_spreadsheets_write(files: ModuleType, tmp_path: Path) -> None:
    rows = [{"file": "a.csv", "subject": "a", "start_s": 1, "end_s": "2.5", "mood": "good, or not"}]
    path = files.write_labels(tmp_path, rows, separator=";", encoding="utf-8-sig")
    ((file,), labels) = (read_labels(path).files, read_labels(path))
    assert labels.words == {"mood": ("good, or not",)}
    assert (file.rows[0].start_s, file.rows[0].end_s) == (1.0, 2.5)
    assert file.session == "a"


def test_samples_that_were_lost_at_the_beginning_keep_their_place(
    files: ModuleType, synthetic: Any, tmp_path: Path
) -> None:
    ecg_mv = synthetic(20.0, 250.0, 70.0)
    ecg_mv[: 3 * 250] = np.nan
    files.write_csv(tmp_path / "a.csv", ecg_mv)
    files.write_labels(tmp_path, [{"file": "a.csv", "subject": "a", "fs_hz": 250, "start_s": 5, "end_s": 20}])
    (recording,) = GENERIC.recordings(tmp_path)
    np.testing.assert_array_equal(recording.ecg_mv(), ecg_mv)


def test_the_channel(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    one, two = synthetic(3.0, 250.0, 70.0), synthetic(3.0, 250.0, 80.0, seed=1)
    table = "chest (mV),wrist (mV)\n" + "\n".join(
        f"{a!r},{b!r}" for a, b in zip(one.tolist(), two.tolist(), strict=True)
    )
    (tmp_path / "a.csv").write_text(table + "\n")
    (tmp_path / "b.csv").write_text(table + "\n")
    rows = [
        {"file": "a.csv", "subject": "a", "fs_hz": 250, "channel": "wrist (mV)"},
        {"file": "b.csv", "subject": "b", "fs_hz": 250},
    ]
    files.write_labels(tmp_path, rows, columns=("file", "subject", "fs_hz", "channel"))
    report = GENERIC.check(tmp_path)
    assert list(report.damaged) == ["generic/b b"]
    assert "line 3" in report.damaged["generic/b b"]
    assert "columns channel, fs_hz, unit" in report.damaged["generic/b b"]
    a, b = Generic(channel="0", keep_names=True).recordings(tmp_path)
    np.testing.assert_array_equal(a.ecg_mv(), two)
    np.testing.assert_array_equal(b.ecg_mv(), one)


# What is wrong, and where


def test_check_names_every_file_that_is_missing_or_damaged(lab: Path, files: ModuleType) -> None:
    (lab / "ann" / "talk.hea").unlink()
    edf = lab / "ann" / "rest.edf"
    edf.write_bytes(edf.read_bytes()[:-3000])
    report = GENERIC.check(lab)
    assert report.missing == ("ann/talk",)
    assert set(report.damaged) == {"generic/ann 1", "generic/ann 2"}
    assert "line 3" in report.damaged["generic/ann 2"]
    assert "line 2" in report.damaged["generic/ann 1"]
    assert "truncated" in report.damaged["generic/ann 1"]
    assert report.recordings == 1


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"end_s": 62}, "is 60.0 s long"),
        ({"start_s": 60}, "labels more than there is"),
        ({"fs_hz": "fast"}, "fast"),
        ({"unit": "horse"}, "horse"),
        ({"channel": "nose"}, "nose"),
    ],
)
def test_rows_that_do_not_fit_their_file(
    files: ModuleType, tmp_path: Path, row: dict[str, Any], sentence: str
) -> None:
    files.write_csv(tmp_path / "a.csv", np.sin(np.arange(60 * 100) / 7.0))
    files.write_labels(tmp_path, [{"file": "a.csv", "subject": "a", "fs_hz": 100, **row}])
    (recording,) = GENERIC.recordings(tmp_path)
    with pytest.raises(DataError, match="line 2") as caught:
        recording.ecg_mv()
    assert str(caught.value).count("line 2") == 1
    assert sentence in str(caught.value)


def test_an_end_that_was_rounded_up(files: ModuleType, tmp_path: Path) -> None:
    files.write_csv(tmp_path / "a.csv", np.sin(np.arange(5950) / 7.0))
    files.write_labels(tmp_path, [{"file": "a.csv", "subject": "a", "fs_hz": 100, "end_s": 60}])
    (recording,) = GENERIC.recordings(tmp_path)
    assert recording.spans[0].end_s == 59.5


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 1, "empty"),
        ("\n\n", 1, "empty"),
        ("file,person\n", 1, "no column subject"),
        ("file,subject,x,x\n", 1, "name of its own"),
        ("file,subject,\n", 1, "name of its own"),
        ("file,subject\n", 1, "no row"),
        ("file,subject\na.csv\n", 2, "1 cells"),
        ("file,subject\na.csv,a,b\n", 2, "3 cells"),
        ("file,subject\n\n,a\n", 3, "file is empty"),
        ("file,subject\na.csv,\n", 2, "subject is empty"),
        ("file,subject,start_s\na.csv,a,soon\n", 2, "'soon'"),
        ("file,subject,end_s\na.csv,a,nan\n", 2, "'nan'"),
        ("file,subject,start_s\na.csv,a,-1\n", 2, "-1"),
        ("file,subject,start_s,end_s\na.csv,a,5,5\n", 2, "5"),
        ("file,subject\na.csv,a\na.csv,b\n", 3, "in line 2"),
        ("file,subject,session\na.csv,a,1\nb.csv,a,1\n", 3, "in a.csv and in b.csv"),
        ("file,subject,fs_hz\na.csv,a,100\na.csv,a,200\n", 3, "differ from line 2"),
    ],
)
def test_tables_that_make_no_sense(tmp_path: Path, text: str, line: int, why: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=f"labels.csv, line {line}, makes no sense") as caught:
        list(GENERIC.recordings(tmp_path))
    assert why in caught.value.why
    report = GENERIC.check(tmp_path)
    assert not report.complete


@pytest.mark.parametrize("data", [b"\xff\xfef\x00i\x00", b'file,subject\n"a', b"file\0,subject\n"])
def test_tables_that_are_no_text(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "labels.csv").write_bytes(data)
    with pytest.raises(DataError):
        list(GENERIC.recordings(tmp_path))


_CELL = st.text(st.characters(codec="utf-8", exclude_characters='\r\n",;'), max_size=6)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a.edf", "b/c.csv", "ü.hea"]),
            st.floats(0, 1e5),
            st.floats(1e-3, 1e5),
            _CELL,
        ),
        min_size=1,
        max_size=8,
    ),
    separator=st.sampled_from([",", ";"]),
)
def test_a_table_is_read_as_it_was_written(
    files: ModuleType, tmp_path_factory: pytest.TempPathFactory, rows: list[Any], separator: str
) -> None:
    written = [
        {"file": file, "subject": "s", "start_s": start, "end_s": start + length, "mood": mood}
        for file, start, length, mood in rows
    ]
    path = files.write_labels(tmp_path_factory.mktemp("labels"), written, separator=separator)
    labels = read_labels(path)
    found = sorted((row for file in labels.files for row in file.rows), key=lambda row: row.line)
    assert [row.line for row in found] == list(range(2, 2 + len(rows)))
    for row, one in zip(found, written, strict=True):
        assert (row.file, row.start_s, row.end_s) == (one["file"], one["start_s"], one["end_s"])
        mood = one["mood"].strip()
        if "mood" in labels.numbers and mood:
            assert row.values == {"mood": float(mood)}
        else:
            assert row.values == ({"mood": mood} if mood else {})


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.binary(max_size=200), st.text(max_size=120).map(lambda t: f"file,subject,x\n{t}".encode()))
)
def test_whatever_a_table_holds_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "labels.csv"
    path.write_bytes(data)
    try:
        labels = read_labels(path)
    except DataError:
        return
    for file in labels.files:
        assert file.name
        assert all(0.0 <= row.start_s < row.end_s <= math.inf for row in file.rows)
    report = GENERIC.check(path.parent)
    assert report.recordings == 0
