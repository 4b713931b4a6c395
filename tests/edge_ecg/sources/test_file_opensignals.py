"""OpenSignals: text, HDF5 and EDF of one recording agree; conversions by the makers' formulas."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from edge_ecg.errors import DataError
from edge_ecg.samples import SampleBlock
from edge_ecg.sources import open_source

FOLDER = "device-files/opensignals"


def play(path: Path, options: str = "") -> tuple[float, list[SampleBlock]]:
    with open_source(f"file:{path}?speed=max{'&' if options else ''}{options}") as source:
        return source.info.fs_hz, [item for item in source if isinstance(item, SampleBlock)]


def joined(blocks: list[SampleBlock]) -> np.ndarray:
    return np.concatenate([block.ecg_mv for block in blocks])


def test_one_recording_in_three_formats(data_root: Path) -> None:
    text = joined(play(data_root / FOLDER / "supine_1min.txt")[1])
    hdf5 = joined(play(data_root / FOLDER / "supine_1min.h5")[1])
    edf = joined(play(data_root / FOLDER / "supine_1min.edf")[1])
    np.testing.assert_array_equal(text, hdf5)
    assert len(edf) == len(text) == 60_000
    np.testing.assert_allclose(edf, text, rtol=0, atol=0.002)


def test_biosignalsplux_formula(data_root: Path) -> None:
    digits = np.loadtxt(data_root / FOLDER / "supine_1min.txt", usecols=2)
    expected = (digits / 2**16 - 0.5) * 3000 / 1019
    fs_hz, blocks = play(data_root / FOLDER / "supine_1min.txt")
    assert fs_hz == 1000
    np.testing.assert_allclose(joined(blocks), expected, atol=1e-12)
    assert sum(block.gap_before for block in blocks) == 0


def test_bitalino_formula(data_root: Path) -> None:
    digits = np.loadtxt(data_root / FOLDER / "bitalino_SampleECG.txt", usecols=5)
    fs_hz, blocks = play(data_root / FOLDER / "bitalino_SampleECG.txt")
    assert fs_hz == 1000
    np.testing.assert_allclose(joined(blocks), (digits / 1024 - 0.5) * 3.0, atol=1e-12)
    assert sum(block.gap_before for block in blocks) == 0


@pytest.mark.parametrize(
    ("name", "fs", "samples"),
    [
        ("ecg_4000_Hz.h5", 4000, 41_400),
        ("ecg_20_sec_1000_Hz.h5", 1000, 20_400),
        ("ecg_20_sec_100_Hz.h5", 100, 1965),
        ("ecg_5_min.h5", 1000, 300_000),
        ("ecg_sample.h5", 200, 2370),
        ("ecg_sample.txt", 200, 2370),
    ],
)
def test_other_recordings(data_root: Path, name: str, fs: float, samples: int) -> None:
    fs_hz, blocks = play(data_root / FOLDER / name)
    assert (fs_hz, len(joined(blocks))) == (fs, samples)
    assert sum(block.gap_before for block in blocks) == 0
    assert np.abs(joined(blocks)).max() <= 1500 / 1019


def header(**changed: Any) -> dict[str, Any]:
    return {
        "sensor": ["EDA", "ECGBIT"],
        "column": ["nSeq", "I1", "I2", "O1", "O2", "A1", "A2"],
        "sampling rate": 1000,
        "label": ["A1", "A2"],
        "resolution": [4, 1, 1, 1, 1, 10, 10],
        "device": "bitalino_rev",
    } | changed


def write(path: Path, rows: list[str], **changed: Any) -> Path:
    lines = [
        "# OpenSignals Text File Format",
        f"# {json.dumps({'x': header(**changed)})}",
        "# EndOfHeader",
        *rows,
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_running_numbers_show_losses_across_their_wrap(tmp_path: Path) -> None:
    kept = [n for n in range(200) if n not in (30, 31, 32, 95)]
    path = write(tmp_path / "a.txt", [f"{n % 16}\t0\t0\t0\t0\t5\t{n}\t" for n in kept])
    _, blocks = play(path)
    assert [(b.first_sample, b.gap_before) for b in blocks] == [(0, 0), (33, 3), (96, 1)]
    np.testing.assert_allclose(joined(blocks), (np.array(kept) / 1024 - 0.5) * 3.0)


def test_several_devices_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    first = header(sensor=["EDA", "EMG"])
    second = header(
        sensor=["ECG"], column=["nSeq", "DI", "CH1"], label=["CH1"], resolution=[16], device="biosignalsplux"
    )
    rows = [f"{n % 16}\t0\t0\t0\t0\t1\t2\t{n}\t0\t{40000 + n}" for n in range(40)]
    path.write_text(
        "\n".join(
            [
                "# OpenSignals Text File Format",
                f"# {json.dumps({'a': first, 'b': second})}",
                "# EndOfHeader",
                *rows,
                "",
            ]
        )
    )
    np.testing.assert_allclose(
        joined(play(path)[1]), ((40000 + np.arange(40)) / 65536 - 0.5) * 3000 / 1019, atol=1e-12
    )


def test_another_sensor_needs_a_scale(tmp_path: Path) -> None:
    rows = [f"{n % 16}\t0\t0\t0\t0\t512\t600" for n in range(20)]
    path = write(tmp_path / "a.txt", rows, sensor=["RAW", "RAW"])
    with pytest.raises(DataError, match=r"0: A1 \(RAW\), 1: A2 \(RAW\)"):
        play(path)
    with pytest.raises(DataError, match=r"RAW sensor on a bitalino_rev.*scale=0.00292969&offset=-1.5"):
        play(path, "channel=A2")
    found = joined(play(path, "channel=A2&scale=0.00292969&offset=-1.5")[1])
    np.testing.assert_allclose(found, (600 / 1024 - 0.5) * 3.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"sampling rate": "fast"}, "header of a.txt is damaged"),
        ({"sampling rate": 10}, "sampled at 10 Hz"),
        ({"resolution": [10]}, "2 channels, but 1 resolutions"),
        ({"resolution": [4, 1, 1, 1, 1, 10, 99]}, "99 bits"),
        ({"column": ["nSeq"]}, "No column is called A2"),
        ({"label": 5}, "header of a.txt is damaged"),
        ({"convertedValues": 1}, "converted already"),
    ],
)
def test_headers_that_cannot_be_used(tmp_path: Path, changed: dict[str, Any], sentence: str) -> None:
    path = write(tmp_path / "a.txt", ["0\t0\t0\t0\t0\t1\t2"], **changed)
    with pytest.raises(DataError, match=sentence):
        play(path)


def test_a_text_file_without_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("# OpenSignals Text File Format\n0\t0\t5\n")
    with pytest.raises(DataError, match=r"header of a\.txt is damaged"):
        play(path)


def test_hdf5_counter_that_stops_at_its_end_is_no_loss(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        raw = file.create_group("00:11/raw")
        file["00:11"].attrs.update({"sampling rate": 500, "resolution": [16], "device": "biosignalsplux"})
        raw["channel_1"] = np.full((100, 1), 32768, "<u2")
        raw["channel_1"].attrs.update({"sensor": b"ECG", "label": "CH1"})
        numbers = np.arange(65_500, 65_600)
        numbers[20:] += 4
        raw["nSeq"] = np.minimum(numbers, 65_535).astype("<u2")[:, None]
    _, blocks = play(path)
    assert [(b.first_sample, b.gap_before) for b in blocks] == [(0, 0), (24, 4)]


def test_hdf5_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["ecg"] = np.zeros(100)
    with pytest.raises(DataError, match="not one by OpenSignals"):
        play(path)


def test_hdf5_without_h5py_says_what_to_install(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imports = builtins.__import__

    def without_h5py(name: str, *rest: Any, **more: Any) -> Any:
        if name == "h5py":
            raise ModuleNotFoundError("No module named 'h5py'", name="h5py")
        return imports(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_h5py)
    with pytest.raises(DataError, match=r"pip install 'edge-ecg\[hdf5\]'"):
        open_source(f"file:{data_root / FOLDER / 'supine_1min.h5'}")
