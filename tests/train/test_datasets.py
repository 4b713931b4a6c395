"""Readers against the converter's integers, and what they say of folders that are damaged or foreign."""

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

from edge_ecg.errors import DataError, UsageError
from edge_ecg_train.datasets import DATASETS, Dataset, Recording, get_dataset

EEGMAT, QTDB, CINC, MITDB = (DATASETS[name] for name in ("eegmat", "qtdb", "cinc2017", "mitdb"))
FOLDERS = {"eegmat": "eegmat-ecg", "qtdb": "qtdb", "cinc2017": "cinc2017-val", "mitdb": "mitdb-subset"}
ALL = pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda one: one.name)
# The sets that are passed around as arrays, too; the others have a file of their own in datasets/.
ARRAYS = pytest.mark.parametrize("dataset", [DATASETS[name] for name in FOLDERS], ids=lambda one: one.name)


def _rows(path: Path, key: str) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row[key]: row for row in csv.DictReader(file)}


def _by_session(dataset: Dataset, root: Path) -> dict[tuple[str, str], Recording]:
    recordings = list(dataset.recordings(root))
    found = {(one.subject, one.session): one for one in recordings}
    assert len(found) == len(recordings), "two recordings of a person share a session's name"
    return found


def _read_all(dataset: Dataset, root: Path) -> None:
    for recording in dataset.recordings(root):
        recording.ecg_mv()


# Every data set, by the same rules


@ALL
def test_the_table_describes_itself(dataset: Dataset) -> None:
    assert get_dataset(dataset.name) is dataset
    for text in (dataset.title, dataset.licence, dataset.citation, dataset.caution):
        assert text
    if dataset.name != "generic":
        assert dataset.url.startswith("https://")
        assert dataset.people > 0
        assert dataset.hours > 0
    for names in dataset.tasks().values():
        assert len(set(names)) == len(names) >= 2


@ALL
def test_none_is_without_tests(dataset: Dataset) -> None:
    own = Path(__file__).parent / "datasets" / f"test_{dataset.name}.py"
    assert dataset.name in FOLDERS or own.is_file()


@ALL
def test_a_channel_is_taken_or_refused(dataset: Dataset) -> None:
    if dataset.name in ("swell", "generic", "amigos", "ascertain", "dreamer"):
        assert type(dataset.with_channel("1")) is type(dataset)
        assert dataset.with_channel("1") is not dataset
    else:
        with pytest.raises(UsageError, match="cannot be chosen"):
            dataset.with_channel("7")


@ARRAYS
def test_found_in_its_folder_and_in_the_folder_that_holds_it(dataset: Dataset, fake_data: Any) -> None:
    root: Path = fake_data.all()
    folder = root / FOLDERS[dataset.name]
    assert dataset.locate(root)[0] == dataset.locate(folder)[0] == folder
    assert list(dataset.recordings(root)) == list(dataset.recordings(folder))


@ARRAYS
def test_a_whole_folder_is_reported_whole(dataset: Dataset, fake_data: Any) -> None:
    root: Path = fake_data.all()
    report = dataset.check(root)
    assert report.complete
    assert report.subjects >= 2
    assert report.to_json()["complete"] is True


@ALL
def test_a_foreign_folder_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=f"does not hold the data set {dataset.name}") as caught:
        list(dataset.recordings(tmp_path))
    assert "holiday.jpg" in caught.value.why
    assert dataset.forms[0].files[0] in caught.value.why
    assert dataset.url in caught.value.remedy
    assert "--root" in caught.value.remedy


@ALL
def test_a_folder_that_is_not_there(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        dataset.check(tmp_path / "nothing")
    assert "no such folder" in caught.value.why


@ALL
def test_an_empty_folder(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        dataset.check(tmp_path)
    assert "empty" in caught.value.why


@ARRAYS
def test_cut_samples_are_reported_and_refused(dataset: Dataset, fake_data: Any) -> None:
    root: Path = fake_data.all()
    samples = next((root / FOLDERS[dataset.name]).glob("*.npz"))
    samples.write_bytes(samples.read_bytes()[: samples.stat().st_size // 2])
    report = dataset.check(root)
    assert not report.complete
    assert report.damaged
    with pytest.raises(DataError, match="damaged"):
        _read_all(dataset, root)


@ARRAYS
def test_one_flipped_byte_spoils_one_recording(dataset: Dataset, fake_data: Any) -> None:
    root: Path = fake_data.all()
    samples = next((root / FOLDERS[dataset.name]).glob("*.npz"))
    whole = dataset.check(root).recordings
    data = bytearray(samples.read_bytes())
    data[600] ^= 0xFF
    samples.write_bytes(data)
    report = dataset.check(root)
    assert len(report.damaged) >= 1
    assert 0 < report.recordings < whole


@pytest.mark.parametrize("name", ["eegmat", "qtdb", "cinc2017"])
@pytest.mark.parametrize("kind", ["table", "samples"])
def test_half_a_data_set(name: str, kind: str, fake_data: Any) -> None:
    root: Path = fake_data.all()
    dataset, folder = DATASETS[name], root / FOLDERS[name]
    gone = next(folder.glob("*.csv" if kind == "table" else "*.npz"))
    gone.unlink()
    assert dataset.check(root).missing == (gone.name,)
    with pytest.raises(DataError, match="is missing"):
        list(dataset.recordings(root))


@pytest.mark.parametrize("name", ["eegmat", "qtdb", "cinc2017"])
def test_a_table_without_its_columns(name: str, fake_data: Any) -> None:
    root: Path = fake_data.all()
    table = next((root / FOLDERS[name]).glob("*.csv"))
    table.write_text("something,else\n1,2\n")
    with pytest.raises(DataError, match="has no column") as caught:
        list(DATASETS[name].recordings(root))
    assert "something, else" in caught.value.why


@pytest.mark.parametrize("name", ["eegmat", "qtdb", "cinc2017"])
@pytest.mark.parametrize("text", [b"\xff\xfe\x00broken\x00", b""])
def test_a_table_that_is_no_text(name: str, text: bytes, fake_data: Any) -> None:
    root: Path = fake_data.all()
    next((root / FOLDERS[name]).glob("*.csv")).write_bytes(text)
    with pytest.raises(DataError):
        list(DATASETS[name].recordings(root))
    assert not DATASETS[name].check(root).complete


@pytest.mark.parametrize("name", ["eegmat", "qtdb", "cinc2017"])
def test_a_table_that_promises_other_samples(name: str, fake_data: Any) -> None:
    root: Path = fake_data.all()
    table = next((root / FOLDERS[name]).glob("*.csv"))
    rows = list(csv.DictReader(table.read_text().splitlines()))
    rows[0]["n_samples"] = "17"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(DataError, match="samples, not 17"):
        next(iter(DATASETS[name].recordings(root))).ecg_mv()


def test_a_word_where_a_number_is_expected(fake_data: Any) -> None:
    folder: Path = fake_data.eegmat()
    table = folder / "recordings.csv"
    table.write_text(table.read_text().replace("500", "fast", 1))
    with pytest.raises(DataError, match="'fast' where a number is expected"):
        list(EEGMAT.recordings(folder))


def test_arrays_of_objects_are_not_unpickled(fake_data: Any) -> None:
    folder: Path = fake_data.eegmat()
    objects = np.empty(1, dtype=object)
    objects[0] = print
    np.savez(folder / "ecg_500hz_int16.npz", S00_rest=objects)
    with pytest.raises(DataError, match="damaged"):
        next(iter(EEGMAT.recordings(folder))).ecg_mv()


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError, match="no data set 'wesad2'") as caught:
        get_dataset("wesad2")
    assert "eegmat" in caught.value.why


# The arithmetic, on generated folders


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
