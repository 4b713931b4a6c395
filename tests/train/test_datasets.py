"""Readers against the converter's integers, and what they say of folders that are damaged or foreign."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_ecg.errors import DataError, UsageError
from edge_ecg_train.datasets import DATASETS, Dataset, get_dataset

EEGMAT = DATASETS["eegmat"]
FOLDERS = {"eegmat": "eegmat-ecg", "qtdb": "qtdb", "cinc2017": "cinc2017-val", "mitdb": "mitdb-subset"}
ALL = pytest.mark.parametrize("dataset", DATASETS.values(), ids=lambda one: one.name)
# The sets that are passed around as arrays, too; the others have a file of their own in datasets/.
ARRAYS = pytest.mark.parametrize("dataset", [DATASETS[name] for name in FOLDERS], ids=lambda one: one.name)


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
