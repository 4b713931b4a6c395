"""Arrays: equal to numpy.load; keys, leads, scales, and claims that are larger than the file."""

from __future__ import annotations

import csv
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge_ecg.errors import DataError
from edge_ecg.samples import SampleBlock
from edge_ecg.sources import open_source

ECG = np.round(np.sin(np.arange(20_000) / 9.0), 4)


def play(path: Path, options: str = "") -> tuple[float, np.ndarray]:
    with open_source(f"file:{path}?speed=max{'&' if options else ''}{options}") as source:
        return source.info.fs_hz, np.concatenate([b.ecg_mv for b in source if isinstance(b, SampleBlock)])


def test_own_keys_need_no_options(tmp_path: Path) -> None:
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", ecg_mv=ECG, fs_hz=256, note="by hand")
        fs_hz, found = play(tmp_path / "a.npz")
        assert fs_hz == 256
        np.testing.assert_array_equal(found, ECG)


@pytest.mark.parametrize("key", ["S00_rest", "S13_rest", "S35_arithmetic"])
def test_the_list_beside_an_archive_tells_rate_and_scale(data_root: Path, key: str) -> None:
    folder = data_root / "eegmat-ecg"
    with (folder / "recordings.csv").open(newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["key"] == key)
    with np.load(folder / "ecg_500hz_int16.npz") as arrays:
        expected = arrays[key] * float(row["scale_mv_per_lsb"]) + float(row["offset_mv"])
    fs_hz, found = play(folder / "ecg_500hz_int16.npz", f"key={key}")
    assert fs_hz == 500
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert play(folder / "ecg_500hz_int16.npz", f"key={key}&fs=250&scale=0.01")[0] == 250


def test_the_unit_in_a_key(data_root: Path) -> None:
    path = data_root / "polar-h10/polar_h10_130hz.npz"
    with pytest.raises(DataError, match=r"how fast it was sampled.*\?fs="):
        play(path)
    with np.load(path) as arrays:
        np.testing.assert_allclose(play(path, "fs=130.16")[1], arrays["ecg_uv"] / 1000, atol=1e-12)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("leads_first", [True, False])
def test_leads_of_a_table(tmp_path: Path, order: str, leads_first: bool) -> None:
    table = np.stack([ECG, -ECG, 2 * ECG])
    np.save(tmp_path / "a.npy", np.array(table if leads_first else table.T, order=order))
    with pytest.raises(DataError, match="holds 3 leads, and none is named"):
        play(tmp_path / "a.npy", "fs=500&unit=mV")
    for lead in range(3):
        found = play(tmp_path / "a.npy", f"fs=500&unit=mV&channel={lead}")[1]
        np.testing.assert_array_equal(found, table[lead])
        part = play(tmp_path / "a.npy", f"fs=500&unit=mV&channel={lead}&start=30&duration=2")[1]
        np.testing.assert_array_equal(part, table[lead][15_000:16_000])


@pytest.mark.parametrize("dtype", ["<i2", ">i4", "<f4", ">f8", "u1"])
def test_types_of_numbers(tmp_path: Path, dtype: str) -> None:
    data = (ECG * 100 + 100).astype(dtype)
    np.save(tmp_path / "a.npy", data)
    np.testing.assert_array_equal(play(tmp_path / "a.npy", "fs=500&scale=1")[1], data.astype(float))


def test_integers_need_a_scale_and_floats_a_unit(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", (ECG * 1000).astype("i2"))
    with pytest.raises(DataError, match=r"converter's integers.*\?scale="):
        play(tmp_path / "a.npy", "fs=500")
    np.save(tmp_path / "b.npy", ECG)
    with pytest.raises(DataError, match=r"numbers without a unit.*\?unit=mV"):
        play(tmp_path / "b.npy", "fs=500")


def test_keys(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", left=ECG, right=ECG)
    with pytest.raises(DataError, match=r"holds left, right.*\?key=left"):
        play(tmp_path / "a.npz", "fs=500&unit=mV")
    with pytest.raises(DataError, match="no array middle"):
        play(tmp_path / "a.npz", "key=middle")
    np.savez(tmp_path / "b.npz")
    with pytest.raises(DataError, match="holds no arrays"):
        play(tmp_path / "b.npz")


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a", "b"]),
        np.array([None, 1], dtype=object),
        np.array(3.0),
        np.zeros((2, 3, 4)),
        np.zeros(9, complex),
    ],
)
def test_arrays_that_are_no_recording(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match="not a usable NumPy array"):
        play(tmp_path / "a.npy", "fs=500&unit=mV")


def test_nan_is_a_gap(tmp_path: Path) -> None:
    data = ECG.copy()
    data[100:150] = np.nan
    np.save(tmp_path / "a.npy", data)
    with open_source(f"file:{tmp_path / 'a.npy'}?speed=max&fs=500&unit=mV") as source:
        blocks = list(source)
    assert [(b.first_sample, b.gap_before) for b in blocks[:3]] == [(0, 0), (150, 50), (650, 0)]


@pytest.mark.parametrize("zipped", [False, True])
def test_a_claim_of_a_million_million_samples_allocates_nothing(tmp_path: Path, zipped: bool) -> None:
    np.save(tmp_path / "a.npy", ECG)
    data = (tmp_path / "a.npy").read_bytes()
    data = data.replace(b"(20000,), }" + b" " * 8, b"(1000000000000,), }")
    assert b"1000000000000" in data
    path = tmp_path / ("a.npz" if zipped else "a.npy")
    if zipped:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("ecg_mv.npy", data)
    else:
        path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="not a usable NumPy array"):
            play(path, "fs=500&unit=mV")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_damaged_archives(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, ecg_mv=ECG, fs_hz=256)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(DataError, match=r"damaged \.npz"):
        play(path)
    path.write_bytes(whole[:2000] + bytes(200) + whole[2200:])
    with pytest.raises(DataError, match="not a usable NumPy array"):
        play(path)


def test_a_damaged_list_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=ECG)
    (tmp_path / "recordings.csv").write_text("key,fs_hz,scale_mv_per_lsb,offset_mv\nx,500,much,0\n")
    with pytest.raises(DataError, match=r"recordings\.csv beside a.npz is damaged"):
        play(tmp_path / "a.npz")
