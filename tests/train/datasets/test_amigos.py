"""AMIGOS: both forms, and which rating belongs to which video."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import openpyxl
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.cli import main
from edge_ecg.errors import DataError
from edge_ecg_train.datasets import Recording
from edge_ecg_train.datasets.amigos import Amigos
from edge_ecg_train.datasets.labeller import Labeller
from edge_ecg_train.store import WindowStore

AMIGOS = Amigos()
BOTH_LEADS = Amigos(leads=(0, 1))
FORMS = pytest.mark.parametrize("form", ["original", "preprocessed"])


@pytest.fixture(scope="session")
def files(generator: Callable[[str], ModuleType]) -> ModuleType:
    return generator("amigos_files")


@pytest.fixture(scope="session")
def small(files: ModuleType, synthetic: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two people of each form, the second without the long videos; a second and a half a video."""
    roots = {}
    for form in ("original", "preprocessed"):
        roots[form] = tmp_path_factory.mktemp(form)
        files.write_amigos(roots[form], synthetic, form, (7, 8), seconds=1.5)
    return roots


def _by_session(dataset: Amigos, root: Path) -> dict[tuple[str, str], Recording]:
    recordings = list(dataset.recordings(root))
    found = {(one.subject, one.session): one for one in recordings}
    assert len(found) == len(recordings)
    return found


@FORMS
def test_samples_ratings_and_leads(files: ModuleType, synthetic: Any, tmp_path: Path, form: str) -> None:
    written = files.write_amigos(tmp_path, synthetic, form, (7, 8), seconds=6.0)
    found = _by_session(BOTH_LEADS, tmp_path)
    assert len(found) == 2 * (20 + 16)
    for (person, video), ecg in written.ecg.items():
        for lead, suffix in enumerate(("", ".2")):
            recording = found[f"amigos/P{person:02}", f"video{video}{suffix}"]
            np.testing.assert_array_equal(recording.ecg_mv(), ecg[:, lead])
            assert recording.fs_hz == (256 if form == "original" else 128)
            assert recording.lead == f"ECG {lead + 1}"
            (span,) = recording.spans
            assert list(span.values) == list(files.NAMES)
            assert list(span.values.values()) == written.ratings[person, video].tolist()
            # The preprocessed form begins five seconds before the video.
            assert (span.start_s, span.end_s) == (0.0 if form == "original" else 5.0, 6.0)
    first = _by_session(AMIGOS, tmp_path)
    assert set(first) == {key for key in found if "." not in key[1]}
    assert all(one.lead == "ECG 1" for one in first.values())


@FORMS
def test_classes_are_of_the_rating_that_they_name(
    files: ModuleType, ramp: Any, tmp_path: Path, form: str
) -> None:
    """The published code takes dominance for valence and mixes up people with the same last digit."""
    written = files.write_amigos(tmp_path, ramp, form, (1, 11, 21), seconds=16.0)
    labeller = Labeller(AMIGOS.rules())
    labeller.learn_means(AMIGOS.recordings(tmp_path))
    for recording in AMIGOS.recordings(tmp_path):
        person, video = int(recording.subject[-2:]), recording.session.removeprefix("video")
        arousal, valence = written.ratings[person, video][:2]
        mine = [values for key, values in written.ratings.items() if key[0] == person]
        labels = labeller.labels(recording, 5.0, 15.0)
        assert labels["arousal"] == int(arousal >= 5)
        assert labels["valence"] == int(valence >= 5)
        assert labels["arousal9"] == round(arousal) - 1
        assert labels["valence9"] == round(valence) - 1
        assert labels["valence_mean"] == int(valence >= np.mean([values[1] for values in mine]))
        assert ("valence" in labeller.labels(recording, 4.0, 14.0)) == (form == "original")


def test_without_names_of_videos_their_places_tell(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    written = files.write_amigos(tmp_path, synthetic, people=(3,), video_ids=False)
    found = _by_session(AMIGOS, tmp_path)
    assert {session for _, session in found} == {f"trial{place:02}" for place in range(1, 21)}
    for place, video in enumerate(files.VIDEOS, start=1):
        (span,) = found["amigos/P03", f"trial{place:02}"].spans
        assert span.values["dominance"] == written.ratings[3, video][2]


def test_a_place_that_two_sheets_use_tells_nothing(files: ModuleType, ramp: Any, tmp_path: Path) -> None:
    files.write_amigos(tmp_path, ramp, people=(3,), video_ids=False)
    path = tmp_path / "AMIGOS" / "SelfAsessment.xlsx"
    book = openpyxl.load_workbook(path)
    for place, row in enumerate(book["Experiment_2"].iter_rows(min_row=3), start=1):
        row[2].value = place
    book.save(path)
    found = _by_session(AMIGOS, tmp_path)
    rated = {session for (_, session), one in found.items() if one.spans}
    assert rated == {f"trial{place:02}" for place in range(5, 17)}


def test_a_workbook_with_one_row_of_names(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    """Some copies have no heading; where a name stands twice, the second one is after the video."""
    written = files.write_amigos(tmp_path, synthetic, people=(3,))
    book = openpyxl.Workbook()
    book.active.append(["UserID", "VideoID", "Rep_Index", "arousal", "valence", "arousal", "valence"])
    book.active.append([3, "'10'", 1, 9.0, 9.0, 2.25, None])
    book.save(tmp_path / "AMIGOS" / "SelfAsessment.xlsx")
    found = _by_session(AMIGOS, tmp_path)
    assert found["amigos/P03", "video10"].spans[0].values == {"arousal": 2.25}
    assert found["amigos/P03", "video13"].spans == ()
    np.testing.assert_array_equal(found["amigos/P03", "video13"].ecg_mv(), written.ecg[3, "13"][:, 0])


def test_lost_samples_become_nan(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    """Timestamps of the original form show a loss; those that make no sense are not believed."""
    written = files.write_amigos(tmp_path, synthetic, people=(1, 2))
    for person in (1, 2):
        content = scipy.io.loadmat(written.paths[person])
        trial = content["ECG_DATA"][0, 4]
        if person == 2:
            trial[:, 0] = trial[0, 0]
        content["ECG_DATA"][0, 4] = np.delete(trial, slice(100, 160), axis=0)
        _save(written.paths[person], content)
    found = _by_session(AMIGOS, tmp_path)
    expected = written.ecg[1, "19"][:, 0].copy()
    expected[100:160] = np.nan
    np.testing.assert_array_equal(found["amigos/P01", "video19"].ecg_mv(), expected)
    kept = np.delete(written.ecg[2, "19"][:, 0], slice(100, 160))
    np.testing.assert_array_equal(found["amigos/P02", "video19"].ecg_mv(), kept)


def _save(path: Path, content: dict[str, Any]) -> None:
    scipy.io.savemat(path, {name: value for name, value in content.items() if name[0] != "_"})


@FORMS
def test_a_whole_set(files: ModuleType, ramp: Any, tmp_path: Path, form: str) -> None:
    files.write_amigos(tmp_path, ramp, form, range(1, 41), seconds=0.5)
    report = AMIGOS.check(tmp_path)
    assert report.complete
    assert form in report.form
    assert (report.subjects, report.recordings) == (40, 40 * 16 + 37 * 4)
    assert report.minutes == pytest.approx(report.recordings * 0.5 / 60)
    assert BOTH_LEADS.check(tmp_path).minutes == pytest.approx(report.minutes)


@FORMS
def test_each_kind_of_damage_is_named(files: ModuleType, synthetic: Any, tmp_path: Path, form: str) -> None:
    trials = "ECG_DATA" if form == "original" else "joined_data"
    written = files.write_amigos(tmp_path, synthetic, form, range(1, 9))

    def spoil(person: int, change: Callable[[dict[str, Any]], object]) -> None:
        content = scipy.io.loadmat(written.paths[person])
        change(content)
        _save(written.paths[person], content)

    def set_trial(value: Any) -> Callable[[dict[str, Any]], object]:
        return lambda content: content[trials].__setitem__((0, 2), value)

    # Also where the cut is in something that is not read.
    spoil(1, lambda content: content.update(LAST=np.random.default_rng(0).random(200)))
    written.paths[1].write_bytes(written.paths[1].read_bytes()[:-100])
    spoil(2, lambda content: content.pop(trials))
    spoil(3, set_trial(np.zeros((99, 2))))
    spoil(4, set_trial("nothing"))
    spoil(5, lambda content: content["VideoIDs"].__setitem__((0, 1), "10"))
    spoil(6, lambda content: content.update({trials: np.zeros((20, 17))}))
    spoil(7, set_trial(np.full((300, 17), np.nan)))
    written.paths[8].write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(600, b"\0"))
    report = AMIGOS.check(tmp_path)
    assert len(report.missing) == 32
    expected = {1: "all", 2: "all", 3: "video138", 4: "video138", 5: "all", 6: "all", 8: "all"}
    assert set(report.damaged) == {f"amigos/P{person:02} {what}" for person, what in expected.items()}
    assert "P02.mat" in report.damaged["amigos/P02 all"]
    assert "v7.3" in report.damaged["amigos/P08 all"]
    # What was lost throughout holds no ECG, but the file is whole.
    assert report.unusable == 1
    assert report.recordings == 19 + 19 + 20


def test_a_workbook_that_is_missing_or_damaged(small: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(small["original"] / "AMIGOS", tmp_path / "AMIGOS")
    book = tmp_path / "AMIGOS" / "SelfAsessment.xlsx"
    whole = book.read_bytes()
    for content in (whole[:-200], b"", b"PK\3\4", whole.replace(b"xl/workbook.xml", b"xl/workbank.xml")):
        book.write_bytes(content)
        with pytest.raises(DataError, match=r"SelfAsessment\.xlsx is damaged"):
            list(AMIGOS.recordings(tmp_path))
        assert not AMIGOS.check(tmp_path).complete
    openpyxl.Workbook().save(book)
    with pytest.raises(DataError, match="has no ratings"):
        list(AMIGOS.recordings(tmp_path))
    book.unlink()
    assert "SelfAsessment.xlsx" in AMIGOS.check(tmp_path).missing
    with pytest.raises(DataError, match="is missing"):
        list(AMIGOS.recordings(tmp_path))


def test_other_places_of_the_files(small: dict[str, Path], tmp_path: Path) -> None:
    """Unpacked flat, or the folder of the recordings itself."""
    source = small["original"] / "AMIGOS"
    flat = tmp_path / "amigos" / "data_original"
    flat.mkdir(parents=True)
    for path in source.rglob("*.mat"):
        shutil.copy(path, flat)
    (tmp_path / "amigos" / "Metadata_xlsx").mkdir()
    shutil.copy(source / "SelfAsessment.xlsx", tmp_path / "amigos" / "Metadata_xlsx")
    expected = list(AMIGOS.recordings(source))
    assert list(AMIGOS.recordings(tmp_path)) == list(AMIGOS.recordings(tmp_path / "amigos")) == expected
    shutil.move(tmp_path / "amigos" / "Metadata_xlsx" / "SelfAsessment.xlsx", tmp_path / "amigos")
    assert list(AMIGOS.recordings(flat)) == expected


@pytest.mark.parametrize("name", ["Data_Original_P07.mat", "Data_Preprocessed_P07.mat", "SelfAsessment.xlsx"])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_a_cut_file_is_reported_at_any_length(
    small: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    source = small["preprocessed" if "Pre" in name else "original"]
    root = tmp_path_factory.mktemp("cut")
    shutil.copytree(source / "AMIGOS", root / "AMIGOS")
    (path,) = root.rglob(name)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert AMIGOS.check(root).damaged
    shutil.rmtree(root)


@FORMS
def test_the_commands(
    files: ModuleType, synthetic: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    written = files.write_amigos(tmp_path, synthetic, form, (8, 24), seconds=15.5)
    assert main(["data", "check", "amigos", "--root", str(tmp_path), "--json"]) == 5
    report = json.loads(capsys.readouterr().out)
    assert (report["subjects"], report["damaged"], len(report["missing"])) == (2, {}, 38)
    store = tmp_path / "store"
    assert main(["data", "prepare", "amigos", "--root", str(tmp_path), "-o", str(store), "--hop", "2"]) == 0
    opened = WindowStore.open(store)
    assert set(opened.subject) == {"amigos/P08", "amigos/P24"}
    for n, (subject, session) in enumerate(zip(opened.subject, opened.session, strict=True)):
        valence = written.ratings[int(subject[-2:]), session.removeprefix("video")][1]
        begun = form == "original" or opened.start_s[n] >= 5.0
        assert opened.label("valence")[n] == (int(valence >= 5) if begun else -1)
