"""WESAD: pickles of Python 2, read without running what they say."""

from __future__ import annotations

import io
import json
import pickle
import shutil
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
from edge_ecg_train.datasets.labeller import Labeller
from edge_ecg_train.datasets.wesad import Wesad
from edge_ecg_train.store import WindowStore

WESAD = Wesad()
CONDITIONS = ("transient", "baseline", "stress", "amusement", "meditation", "ignore", "ignore", "ignore")


@pytest.fixture(scope="session")
def files(generator: Callable[[str], ModuleType]) -> ModuleType:
    return generator("wesad_files")


@pytest.fixture(scope="session")
def whole(files: ModuleType, synthetic: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All fifteen people, two seconds each."""
    root = tmp_path_factory.mktemp("wesad")
    files.write_wesad(root, synthetic, files.PEOPLE, parts=((0, 0.5), (1, 0.5), (2, 1.0)))
    return root


def test_the_generator_writes_what_python_2_wrote(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    """The independent reader: pickle itself, as everybody opens WESAD."""
    (person,) = files.write_wesad(tmp_path, synthetic, ["S2"]).values()
    data = person.path.read_bytes()
    assert data.startswith(b"(dp0\nS'signal'\n")
    content = pickle.loads(data, encoding="latin1")
    np.testing.assert_array_equal(content["signal"]["chest"]["ECG"], person.ecg_mv)
    np.testing.assert_array_equal(content["label"], person.label)
    assert content["signal"]["chest"]["Temp"].dtype == np.float32
    assert content["subject"] == "S2"


@pytest.mark.parametrize("protocol", [None, 0, 2, 4])
def test_samples_and_conditions(
    files: ModuleType, synthetic: Any, tmp_path: Path, protocol: int | None
) -> None:
    """Also from files that someone saved anew with Python 3."""
    parts = tuple((code, 0.3 + 0.1 * code) for code in (0, 1, 0, 2, 3, 4, 5, 6, 7, 0))
    write = None if protocol is None else lambda content: pickle.dumps(content, protocol)
    written = files.write_wesad(tmp_path, synthetic, ["S3", "S10"], parts, write)
    recordings = list(WESAD.recordings(tmp_path))
    assert [one.subject for one in recordings] == ["wesad/S3", "wesad/S10"]
    for recording, person in zip(recordings, written.values(), strict=True):
        np.testing.assert_array_equal(recording.ecg_mv(), person.ecg_mv[:, 0])
        assert (recording.fs_hz, recording.lead, recording.usable) == (700.0, "chest", True)
        codes = np.empty(recording.n_samples, dtype=object)
        for span in recording.spans:
            codes[round(span.start_s * 700) : round(span.end_s * 700)] = span.values["condition"]
        assert codes.tolist() == [CONDITIONS[code] for code in person.label]


def test_windows_on_a_border_have_no_label(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    files.write_wesad(tmp_path, synthetic, ["S2"], ((0, 3.0), (1, 20.0), (2, 12.0), (3, 10.0), (4, 10.0)))
    (recording,) = WESAD.recordings(tmp_path)
    labeller = Labeller(WESAD.rules())

    def labels(start_s: float) -> dict[str, int]:
        return labeller.labels(recording, start_s, start_s + 10.0)

    assert labels(2.0) == {}
    assert labels(3.0) == labels(13.0) == {"stress": 0, "affect3": 0, "affect4": 0}
    assert labels(14.0) == {}
    assert labels(24.0) == {"stress": 1, "affect3": 1, "affect4": 1}
    assert labels(35.0) == {"stress": 0, "affect3": 2, "affect4": 2}
    assert labels(45.0) == {"affect4": 3}


def test_a_whole_set(whole: Path) -> None:
    report = WESAD.check(whole)
    assert report.complete
    assert (report.subjects, report.recordings) == (15, 15)
    assert report.minutes == pytest.approx(15 * 2 / 60)
    assert WESAD.locate(whole)[0] == WESAD.locate(whole / "WESAD")[0] == whole / "WESAD"


def test_each_kind_of_damage_is_named(whole: Path, files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    shutil.copytree(whole / "WESAD", tmp_path / "WESAD")

    def spoil(person: str, change: Callable[[dict[str, Any]], None]) -> None:
        ecg, label = synthetic(1.0, 700, 70.0)[:, None], np.ones(700, dtype=np.int32)
        content = files.person_content(person, ecg, label)
        change(content)
        (tmp_path / "WESAD" / person / f"{person}.pkl").write_bytes(pickle.dumps(content, 2))

    shutil.rmtree(tmp_path / "WESAD" / "S2")
    cut = tmp_path / "WESAD" / "S3" / "S3.pkl"
    cut.write_bytes(cut.read_bytes()[:-5000])
    (tmp_path / "WESAD" / "S4" / "S4.pkl").write_bytes(b"")
    spoil("S5", lambda content: content.pop("label"))
    spoil("S6", lambda content: content.update(label=content["label"][:-1]))
    spoil("S7", lambda content: content.update(label=content["label"] + 8))
    spoil("S8", lambda content: content["signal"]["chest"].update(ECG=np.zeros((700, 2))))
    spoil("S9", lambda content: content.update(subject="S11"))
    spoil("S10", lambda content: content["signal"].update(chest=None))
    spoil("S11", lambda content: content["signal"]["chest"].update(ECG=[0.1] * 700))
    spoil("S13", lambda content: content["signal"]["chest"].update(ECG=np.array([[None]] * 700)))
    spoil("S14", lambda content: content["signal"]["chest"].update(ECG=np.zeros((700, 1))))
    report = WESAD.check(tmp_path)
    assert report.missing == ("S2/S2.pkl",)
    assert set(report.damaged) == {f"wesad/S{number} protocol" for number in (*range(3, 12), 13)}
    for number, words in ((3, "no whole pickle"), (5, "label"), (7, "9 at sample 0"), (9, "S11")):
        assert words in report.damaged[f"wesad/S{number} protocol"]
    # An electrode that was off is no damage.
    assert (report.recordings, report.unusable) == (4, 1)


class _Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("place", ["top", "label"])
def test_a_pickle_that_runs_programs_is_refused_and_not_run(
    files: ModuleType, tmp_path: Path, protocol: int, place: str
) -> None:
    proof = tmp_path / "it ran"
    bomb = _Bomb(proof)
    content: Any = files.person_content("S2", np.zeros((700, 1)), np.ones(700))
    content = {**content, "label": bomb} if place == "label" else bomb
    path = tmp_path / "WESAD" / "S2" / "S2.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps(content, protocol))
    (recording,) = WESAD.recordings(tmp_path)
    with pytest.raises(DataError, match="refused: it asks for") as caught:
        recording.ecg_mv()
    assert "can run programs" in caught.value.why
    assert not proof.exists()
    # The same bytes do run where pickle itself opens them.
    pickle.loads(path.read_bytes())
    assert proof.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct.__class__\n.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"(S'true'\nios\nsystem\n.",
        # Attributes of the classes that stand for arrays cannot be changed either.
        b"cnumpy\nndarray\n(dS'array'\nS'x'\nsb.",
        b"cnumpy\ndtype\n(N(dS'numpy'\nS'x'\nstb.",
        b"c_codecs\nencode\n(N(dS'encode'\nS'x'\nstb.",
        b"c_codecs\nencode\n(S'x'\nS'zlib'\ntR.",
    ],
)
def test_hand_made_programs_are_refused(tmp_path: Path, program: bytes) -> None:
    path = tmp_path / "S2" / "S2.pkl"
    path.parent.mkdir()
    path.write_bytes(program)
    (recording,) = WESAD.recordings(tmp_path)
    with pytest.raises(DataError, match=r"refused|damaged"):
        recording.ecg_mv()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_cut_file_is_reported_at_any_length(whole: Path, data: st.DataObject) -> None:
    path = whole / "WESAD" / "S17" / "S17.pkl"
    content = path.read_bytes()
    kept = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(DataError):
        _read_cut(path, content[:kept], whole.parent)


def _read_cut(path: Path, content: bytes, scratch: Path) -> None:
    folder = scratch / "cut" / path.stem
    folder.mkdir(parents=True, exist_ok=True)
    (folder / path.name).write_bytes(content)
    for recording in WESAD.recordings(scratch / "cut"):
        recording.ecg_mv()


def test_the_commands(
    files: ModuleType, synthetic: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files.write_wesad(tmp_path, synthetic, ["S2", "S3"], ((0, 5.0), (1, 30.0), (2, 25.0)))
    assert main(["data", "check", "wesad", "--root", str(tmp_path), "--json"]) == 5
    report = json.loads(capsys.readouterr().out)
    assert report["subjects"] == 2
    assert report["missing"][0] == "S4/S4.pkl"
    store = tmp_path / "store"
    assert main(["data", "prepare", "wesad", "--root", str(tmp_path), "-o", str(store), "--hop", "5"]) == 0
    opened = WindowStore.open(store)
    assert set(opened.subject) == {"wesad/S2", "wesad/S3"}
    expected = np.full(len(opened), -1)
    expected[(opened.start_s >= 5) & (opened.start_s <= 25)] = 0
    expected[opened.start_s >= 35] = 1
    np.testing.assert_array_equal(opened.label("stress"), expected)
    assert {-1, 0, 1} == set(expected.tolist())


def test_an_unpickled_stream_may_not_be_a_file_of_something_else(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(9))
    path = tmp_path / "S2" / "S2.pkl"
    path.parent.mkdir()
    path.write_bytes(buffer.getvalue())
    assert set(WESAD.check(tmp_path).damaged) == {"wesad/S2 protocol"}
