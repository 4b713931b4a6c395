"""The open data sets: their arrays, their original formats, and their recordings where they are at hand."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import edfio
import numpy as np
import pytest
import scipy.io
import wfdb
from numpy.typing import NDArray

from edge_ecg_train.datasets import DATASETS, Dataset, Recording

EEGMAT, QTDB, CINC, MITDB = (DATASETS[name] for name in ("eegmat", "qtdb", "cinc2017", "mitdb"))
FOLDERS = {"eegmat": "eegmat-ecg", "qtdb": "qtdb", "cinc2017": "cinc2017-val", "mitdb": "mitdb-subset"}


def _rows(path: Path, key: str) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row[key]: row for row in csv.DictReader(file)}


def _by_session(dataset: Dataset, root: Path) -> dict[tuple[str, str], Recording]:
    recordings = list(dataset.recordings(root))
    found = {(one.subject, one.session): one for one in recordings}
    assert len(found) == len(recordings), "two recordings of a person share a session's name"
    return found


def test_eegmat_arrays(fake_data: Any) -> None:
    folder: Path = fake_data.eegmat(people=2, unusable=("S01_rest",))
    found = _by_session(EEGMAT, folder)
    with np.load(folder / "ecg_500hz_int16.npz") as raw:
        for (subject, session), recording in found.items():
            key = f"{subject.removeprefix('eegmat/')}_{session}"
            np.testing.assert_array_equal(recording.ecg_mv(), raw[key] * 1.0e-4 + 0.25)
            assert recording.fs_hz == 500
            assert recording.labels == {"stress": int(session == "arithmetic")}
            assert recording.usable == (key != "S01_rest")
    assert set(found) == {(f"eegmat/S{p:02}", c) for p in (0, 1) for c in ("rest", "arithmetic")}
    assert EEGMAT.check(folder).unusable == 1


def test_qtdb_gives_both_leads_of_one_person(fake_data: Any) -> None:
    folder: Path = fake_data.qtdb()
    found = _by_session(QTDB, folder)
    assert set(found) == {
        ("mitdb/100", "sel100.0"),
        ("mitdb/100", "sel100.1"),
        ("qtdb/sele0104", "sele0104.0"),
        ("qtdb/sele0104", "sele0104.1"),
    }
    with np.load(folder / "ecg_250hz_int16.npz") as raw:
        np.testing.assert_array_equal(found["mitdb/100", "sel100.0"].ecg_mv(), raw["sel100"][0] / 200.0)
        np.testing.assert_array_equal(
            found["mitdb/100", "sel100.1"].ecg_mv(), (raw["sel100"][1] - 7.0) / 400.0
        )
    assert found["mitdb/100", "sel100.1"].lead == "V5"
    # Two leads, but one stretch of time.
    assert QTDB.check(folder).minutes == pytest.approx(2 * 40 / 60)


def test_the_same_person_in_two_data_sets_carries_one_name(fake_data: Any) -> None:
    root: Path = fake_data.all()
    in_qtdb = {one.subject for one in QTDB.recordings(root)}
    in_mitdb = {one.subject for one in MITDB.recordings(root)}
    assert in_qtdb & in_mitdb == {"mitdb/100"}


def test_one_man_was_recorded_twice_in_mitdb(fake_data: Any) -> None:
    folder: Path = fake_data.mitdb(records=("201", "202", "203"))
    assert [one.subject for one in MITDB.recordings(folder)] == ["mitdb/201", "mitdb/201", "mitdb/203"]


def test_cinc2017_and_mitdb_arrays(fake_data: Any) -> None:
    root: Path = fake_data.all()
    with np.load(root / "cinc2017-val" / "ecg_300hz_int16.npz") as raw:
        for recording in CINC.recordings(root):
            np.testing.assert_array_equal(recording.ecg_mv(), raw[recording.session] / 1000.0)
            assert recording.fs_hz == 300
    with np.load(root / "mitdb-subset" / "ecg_360hz_int16.npz") as raw:
        for recording in MITDB.recordings(root):
            np.testing.assert_array_equal(recording.ecg_mv(), raw[f"r{recording.session}"] / 200.0)
            assert recording.fs_hz == 360


# The forms that PhysioNet distributes


def _write_edf(path: Path, ecg_mv: NDArray[np.float64]) -> None:
    microvolts = 1000.0 * ecg_mv
    other = np.random.default_rng(0).standard_normal(len(ecg_mv))
    signals = [
        edfio.EdfSignal(data, 500, label=label, physical_dimension="uV", physical_range=(-4000, 4000))
        for label, data in (("EEG Fp1", other), ("ECG ECG", microvolts))
    ]
    edfio.Edf(signals).write(path)


def _eegmat_edf(folder: Path, make_ecg: Callable[[int], NDArray[np.float64]], people: range) -> None:
    folder.mkdir(parents=True)
    for person in people:
        for part in (1, 2):
            _write_edf(folder / f"Subject{person:02}_{part}.edf", make_ecg(2 * person + part))


def _tone(number: int) -> NDArray[np.float64]:
    return np.sin(np.arange(500 * 4) / (20.0 + number))


def test_eegmat_as_edf(tmp_path: Path) -> None:
    _eegmat_edf(tmp_path / "eegmat", _tone, range(1, 3))
    found = _by_session(EEGMAT, tmp_path)
    assert set(found) == {(f"eegmat/S{p:02}", c) for p in (1, 2) for c in ("rest", "arithmetic")}
    for (subject, session), recording in found.items():
        number = 2 * int(subject[-2:]) + (2 if session == "arithmetic" else 1)
        # 16 bits over 8 mV: half a step is 0.00006 mV.
        np.testing.assert_allclose(recording.ecg_mv(), _tone(number), atol=7e-5)
        assert recording.fs_hz == 500
        assert recording.lead == "ECG ECG"
        assert recording.labels == {"stress": int(session == "arithmetic")}
        assert recording.usable == ((subject, session) != ("eegmat/S02", "rest"))


def test_eegmat_as_edf_says_what_is_missing_and_damaged(tmp_path: Path) -> None:
    folder = tmp_path / "eegmat"
    _eegmat_edf(folder, _tone, range(36))
    assert EEGMAT.check(folder).complete
    (folder / "Subject07_2.edf").unlink()
    cut = folder / "Subject09_1.edf"
    cut.write_bytes(cut.read_bytes()[:-3000])
    (folder / "Subject10_1.edf").write_bytes(b"not an EDF")
    report = EEGMAT.check(folder)
    assert report.missing == ("Subject07_2.edf",)
    assert set(report.damaged) == {"eegmat/S09 rest", "eegmat/S10 rest"}
    assert report.recordings == 69


@pytest.mark.parametrize(("name", "record", "fs_hz"), [("qtdb", "sel102", 250), ("mitdb", "102", 360)])
def test_wfdb_records(tmp_path: Path, name: str, record: str, fs_hz: int) -> None:
    digital = np.random.default_rng(1).integers(-900, 900, (4 * fs_hz, 2))
    wfdb.wrsamp(
        record,
        fs=fs_hz,
        units=["mV"] * 2,
        sig_name=["V5", "V2"],
        d_signal=digital,
        fmt=["212"] * 2,
        adc_gain=[200.0] * 2,
        baseline=[12] * 2,
        write_dir=str(tmp_path),
    )
    recordings = list(DATASETS[name].recordings(tmp_path))
    assert len(recordings) == (2 if name == "qtdb" else 1)
    for lead, recording in enumerate(recordings):
        np.testing.assert_allclose(recording.ecg_mv(), (digital[:, lead] - 12) / 200.0, atol=1e-12)
        assert recording.fs_hz == fs_hz
        assert recording.lead == ("V5", "V2")[lead]
        assert recording.subject == "mitdb/102"
    (tmp_path / f"{record}.dat").unlink()
    report = DATASETS[name].check(tmp_path)
    assert len(report.damaged) == len(recordings)
    assert report.recordings == 0


def test_cinc2017_as_its_zip_unpacks(tmp_path: Path) -> None:
    folder = tmp_path / "validation"
    folder.mkdir()
    digital = np.random.default_rng(2).integers(-900, 900, (3, 3000)).astype(np.int16)
    for number, row in enumerate(digital, start=1):
        scipy.io.savemat(folder / f"A{number:05}.mat", {"val": row[None]}, format="4")
        header = f"A{number:05} 1 300 3000 05:05:15 1/05/2000 \n"
        header += f"A{number:05}.mat 16+24 1000/mV 16 0 {row[0]} 0 0 ECG \n"
        (folder / f"A{number:05}.hea").write_text(header)
    recordings = list(CINC.recordings(tmp_path))
    assert [one.session for one in recordings] == ["A00001", "A00002", "A00003"]
    for recording, row in zip(recordings, digital, strict=True):
        np.testing.assert_array_equal(recording.ecg_mv(), row / 1000.0)
        assert recording.fs_hz == 300
    assert CINC.check(tmp_path).complete
    (folder / "A00001.mat").unlink()
    (folder / "A00002.mat").write_bytes((folder / "A00002.mat").read_bytes()[:-2])
    (folder / "A00003.hea").write_text("nonsense")
    assert set(CINC.check(tmp_path).damaged) == {f"cinc2017/A0000{n} A0000{n}" for n in (1, 2, 3)}


# The open recordings themselves


@pytest.mark.parametrize(
    ("name", "people", "recordings", "minutes"),
    [
        ("eegmat", 28, 56, 111.4),
        ("qtdb", 95, 190, 1425.0),
        ("cinc2017", 240, 240, 126.9),
        ("mitdb", 9, 9, 270.8),
    ],
)
def test_the_open_recordings_are_whole(
    data_root: Path, name: str, people: int, recordings: int, minutes: float
) -> None:
    report = DATASETS[name].check(data_root)
    assert report.complete
    assert (report.subjects, report.recordings) == (people, recordings)
    assert report.minutes == pytest.approx(minutes, abs=0.1)


def test_open_eegmat_is_the_arithmetic_of_its_readme(data_root: Path) -> None:
    folder = data_root / "eegmat-ecg"
    rows = _rows(folder / "recordings.csv", "key")
    with np.load(folder / "ecg_500hz_int16.npz") as raw:
        for (subject, session), recording in _by_session(EEGMAT, data_root).items():
            key = f"{subject.removeprefix('eegmat/')}_{session}"
            row = rows[key]
            expected = raw[key] * float(row["scale_mv_per_lsb"]) + float(row["offset_mv"])
            np.testing.assert_array_equal(recording.ecg_mv(), expected)
            assert recording.usable == (row["ecg_usable"] == "1")
            assert recording.labels["stress"] == int(row["stress"])


def test_open_eegmat_as_edf_is_the_same_ecg(data_root: Path, tmp_path: Path) -> None:
    shutil.copy(data_root / "device-files" / "edf" / "eegmat_Subject00_2.edf", tmp_path / "Subject00_2.edf")
    (from_edf,) = EEGMAT.recordings(tmp_path)
    from_arrays = _by_session(EEGMAT, data_root)[from_edf.subject, from_edf.session]
    n = from_arrays.n_samples
    assert n <= from_edf.n_samples < n + 500
    np.testing.assert_allclose(from_edf.ecg_mv()[:n], from_arrays.ecg_mv(), atol=1e-7)
    assert from_edf.labels == from_arrays.labels


def test_open_mitdb_record_100_equals_its_wfdb_original(data_root: Path) -> None:
    originals = {one.session: one for one in MITDB.recordings(data_root / "mitdb-subset" / "wfdb")}
    assert set(originals) == {"100", "105", "208"}
    arrays = {one.session: one for one in MITDB.recordings(data_root)}
    for record in ("100", "105"):
        np.testing.assert_allclose(arrays[record].ecg_mv(), originals[record].ecg_mv(), atol=1e-12)
        assert arrays[record].fs_hz == originals[record].fs_hz
