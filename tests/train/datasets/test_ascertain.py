"""ASCERTAIN: a file a clip, whose columns depend on the person's number."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.cli import main
from edge_ecg.errors import DataError
from edge_ecg_train.datasets.ascertain import Ascertain
from edge_ecg_train.datasets.labeller import Labeller
from edge_ecg_train.store import WindowStore

ASCERTAIN = Ascertain()


@pytest.fixture(scope="session")
def files(generator: Callable[[str], ModuleType]) -> ModuleType:
    return generator("ascertain_files")


@pytest.fixture(scope="session")
def small(files: ModuleType, synthetic: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of one person."""
    root = tmp_path_factory.mktemp("ascertain")
    files.write_ascertain(root, synthetic, (9,), (1, 2), seconds=0.5)
    return root


def test_samples_ratings_and_leads_around_the_change_of_columns(
    files: ModuleType, synthetic: Any, tmp_path: Path
) -> None:
    written = files.write_ascertain(tmp_path, synthetic, (8, 9, 58), (1, 2, 36), seconds=2.0)
    recordings = list(Ascertain(leads=(0, 1)).recordings(tmp_path))
    assert len(recordings) == 3 * 3 * 2
    for recording in recordings:
        person, (session, _, lead) = int(recording.subject[-2:]), recording.session.partition(".")
        clip = int(session.removeprefix("clip"))
        np.testing.assert_array_equal(recording.ecg_mv(), written.ecg[person, clip][:, 1 if lead else 0])
        assert recording.lead == ("ECG left" if lead else "ECG right")
        assert recording.fs_hz == 256
        (span,) = recording.spans
        assert list(span.values.values()) == written.ratings[:, person - 1, clip - 1].tolist()
        assert list(span.values)[:2] == ["arousal", "valence"]
    assert [one.session for one in ASCERTAIN.recordings(tmp_path)][:3] == ["clip01", "clip02", "clip36"]


def test_lost_samples_become_nan(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    written = files.write_ascertain(tmp_path, synthetic, (9,), (5,), seconds=3.0, gap=slice(300, 340))
    (recording,) = ASCERTAIN.recordings(tmp_path)
    ecg_mv = recording.ecg_mv()
    assert np.flatnonzero(np.isnan(ecg_mv)).tolist() == list(range(300, 340))
    np.testing.assert_array_equal(ecg_mv, written.ecg[9, 5][:, 0])
    assert recording.duration_s == 3.0


@pytest.mark.parametrize("jump_ms", [-50.0, 1e9, np.nan])
def test_a_clock_that_was_set_is_not_believed(
    files: ModuleType, ramp: Any, tmp_path: Path, jump_ms: float
) -> None:
    written = files.write_ascertain(tmp_path, ramp, (9,), (5,), seconds=3.0, gap=slice(300, 340))
    content = scipy.io.loadmat(written.paths[9, 5])["Data_ECG"]
    content[500:, 0] += jump_ms
    scipy.io.savemat(written.paths[9, 5], {"Data_ECG": content})
    (recording,) = ASCERTAIN.recordings(tmp_path)
    np.testing.assert_array_equal(recording.ecg_mv(), content[:, 4])


def test_classes(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    written = files.write_ascertain(tmp_path, synthetic, (3,), seconds=11.0)
    labeller = Labeller(ASCERTAIN.rules())
    labeller.learn_means(ASCERTAIN.recordings(tmp_path))
    for recording in ASCERTAIN.recordings(tmp_path):
        arousal, valence = written.ratings[:2, 2, int(recording.session[-2:]) - 1]
        labels = labeller.labels(recording, 0.0, 10.0)
        assert labels["arousal"] == int(arousal >= 3)
        assert labels["valence"] == int(valence >= 0)
        assert labels["arousal7"] == arousal
        assert labels["valence7"] == valence + 3
        assert labels["arousal_mean"] == int(arousal >= written.ratings[0, 2].mean())


def test_a_person_who_is_missing_is_named_once(files: ModuleType, ramp: Any, tmp_path: Path) -> None:
    written = files.write_ascertain(tmp_path, ramp, (1, 3), seconds=0.1)
    written.paths[3, 7].unlink()
    report = ASCERTAIN.check(tmp_path)
    assert (report.subjects, report.recordings, report.damaged) == (2, 71, {})
    assert report.missing[:2] == (
        "ASCERTAIN_Raw/ECGData/Movie_P02/",
        "ASCERTAIN_Raw/ECGData/Movie_P03/ECG_Clip7.mat",
    )
    assert len(report.missing) == 57


def test_each_kind_of_damage_is_named(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    paths = files.write_ascertain(tmp_path, synthetic, (9,), range(1, 9), seconds=2.0).paths
    paths[9, 1].write_bytes(paths[9, 1].read_bytes()[:-70])
    paths[9, 2].write_bytes(b"not MATLAB")
    scipy.io.savemat(paths[9, 3], {"ECG": np.zeros((99, 6))})
    scipy.io.savemat(paths[9, 4], {"Data_ECG": np.zeros((99, 3))})
    scipy.io.savemat(paths[9, 5], {"Data_ECG": "words"})
    scipy.io.savemat(paths[9, 6], {"Data_ECG": np.full((600, 6), np.nan)})
    scipy.io.savemat(paths[9, 7], {"Data_ECG": np.zeros((0, 6))})
    report = ASCERTAIN.check(tmp_path)
    assert set(report.damaged) == {f"ascertain/P09 clip{clip:02}" for clip in range(1, 6)}
    assert "no variable Data_ECG" in report.damaged["ascertain/P09 clip03"]
    assert "(99, 3)" in report.damaged["ascertain/P09 clip04"]
    assert (report.recordings, report.unusable) == (3, 2)


def test_ratings_that_are_missing_or_damaged(small: Path, files: ModuleType, tmp_path: Path) -> None:
    shutil.copytree(small / "ASCERTAIN", tmp_path / "ASCERTAIN")
    path = tmp_path / "ASCERTAIN" / files.RATINGS
    ratings = scipy.io.loadmat(path)["Ratings"]
    ratings[1, 8, 0] = np.nan
    scipy.io.savemat(path, {"Ratings": ratings})
    first, second = ASCERTAIN.recordings(tmp_path)
    assert "valence" not in first.spans[0].values
    assert "valence" in second.spans[0].values
    scipy.io.savemat(path, {"Ratings": ratings[:, :30]})
    with pytest.raises(DataError, match=r"\(5, 30, 36\)"):
        list(ASCERTAIN.recordings(tmp_path))
    path.unlink()
    assert ASCERTAIN.check(tmp_path).missing[0] == files.RATINGS
    with pytest.raises(DataError, match="is missing"):
        list(ASCERTAIN.recordings(tmp_path))


def test_without_the_two_upper_folders(small: Path, files: ModuleType, tmp_path: Path) -> None:
    shutil.copytree(small / "ASCERTAIN" / "ASCERTAIN_Raw" / "ECGData", tmp_path / "ascertain" / "ECGData")
    shutil.copy(small / "ASCERTAIN" / files.RATINGS, tmp_path / "ascertain")
    expected = list(ASCERTAIN.recordings(small))
    assert (
        list(ASCERTAIN.recordings(tmp_path)) == list(ASCERTAIN.recordings(tmp_path / "ascertain")) == expected
    )
    assert "ECGData/Movie_P01/" in ASCERTAIN.check(tmp_path).missing


@pytest.mark.parametrize("name", ["ECG_Clip1.mat", "Dt_SelfReports.mat"])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_cut_file_is_reported_at_any_length(
    small: Path, tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    root = tmp_path_factory.mktemp("cut")
    shutil.copytree(small / "ASCERTAIN", root / "ASCERTAIN")
    (path,) = root.rglob(name)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert ASCERTAIN.check(root).damaged
    shutil.rmtree(root)


def test_the_commands(
    files: ModuleType, synthetic: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = files.write_ascertain(tmp_path, synthetic, (8, 9), (1, 2, 3), seconds=12.0)
    assert main(["data", "check", "ascertain", "--root", str(tmp_path), "--json"]) == 5
    report = json.loads(capsys.readouterr().out)
    assert (report["subjects"], report["recordings"], report["minutes"]) == (2, 6, 1.2)
    store = tmp_path / "store"
    assert (
        main(["data", "prepare", "ascertain", "--root", str(tmp_path), "-o", str(store), "--hop", "1"]) == 0
    )
    opened = WindowStore.open(store)
    expected = [
        int(written.ratings[1, int(subject[-2:]) - 1, int(session[-2:]) - 1] >= 0)
        for subject, session in zip(opened.subject, opened.session, strict=True)
    ]
    np.testing.assert_array_equal(opened.label("valence"), expected)
    assert set(opened.subject) == {"ascertain/P08", "ascertain/P09"}
