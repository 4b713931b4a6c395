"""Whatever happens to a file's bytes: a source or a DataError, nothing else, in bounded memory."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import edfio
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edge_ecg.errors import DataError
from edge_ecg.samples import SampleBlock
from edge_ecg.sources import open_source

N, FS = 600, 250
DIGITS = (np.sin(np.arange(N) / 9.0) * 400).astype(int)
MEMORY = 48 << 20


def edf(folder: Path) -> Path:
    ecg = edfio.EdfSignal(DIGITS / 200, FS, label="ECG", physical_dimension="mV", physical_range=(-4, 4))
    notes = [edfio.EdfAnnotation(1.0, None, "here")]
    edfio.Edf([ecg], data_record_duration=0.4, annotations=notes).write(folder / "a.edf")
    return folder / "a.edf"


def wfdb(folder: Path) -> Path:
    (folder / "a.dat").write_bytes(DIGITS.astype("<i2").tobytes())
    (folder / "a.hea").write_text(
        f"a 1 {FS} {N}\na.dat 16 200(0)/mV 12 0 {DIGITS[0]} {DIGITS.sum() & 0xFFFF} 0 ECG\n"
    )
    return folder / "a.hea"


def own_csv(folder: Path) -> Path:
    rows = "".join(f"{i},{value / 200},0,0\n" for i, value in enumerate(DIGITS))
    (folder / "a.csv").write_text(
        f"# edge-ecg recording\n# fs_hz: {FS}\n# unit: mV\nsample,ecg_mv,lead_off,saturated\n{rows}"
    )
    return folder / "a.csv"


def timed_csv(folder: Path) -> Path:
    rows = "".join(f"{i / FS:.3f};{value / 200:.3f}\n".replace(".", ",") for i, value in enumerate(DIGITS))
    (folder / "a.csv.gz").write_bytes(gzip.compress(f"time_s;ECG [mV]\n{rows}".encode(), mtime=0))
    return folder / "a.csv.gz"


def opensignals_text(folder: Path) -> Path:
    header = {
        "sensor": ["ECG"],
        "column": ["nSeq", "CH1"],
        "sampling rate": FS,
        "label": ["CH1"],
        "resolution": [16],
        "device": "biosignalsplux",
    }
    rows = "".join(f"{i}\t{value + 32768}\t\n" for i, value in enumerate(DIGITS))
    (folder / "a.txt").write_text(
        f"# OpenSignals Text File Format\n# {json.dumps({'00:07': header})}\n# EndOfHeader\n{rows}"
    )
    return folder / "a.txt"


def opensignals_h5(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        raw = file.create_group("00:07/raw")
        file["00:07"].attrs.update({"sampling rate": FS, "resolution": [16], "device": "biosignalsplux"})
        raw["channel_1"] = (DIGITS + 32768).astype("<u2")[:, None]
        raw["channel_1"].attrs.update({"sensor": "ECG", "label": "CH1"})
        raw["nSeq"] = np.arange(N, dtype="<u2")[:, None]
    return folder / "a.h5"


def npz(folder: Path) -> Path:
    np.savez_compressed(folder / "a.npz", ecg_mv=DIGITS / 200, fs_hz=FS)
    return folder / "a.npz"


def npy(folder: Path) -> Path:
    np.save(folder / "ecg_uv.npy", DIGITS * 5)
    return folder / "ecg_uv.npy"


# name -> (what writes a small valid file, options to read it)
FORMATS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "edf": (edf, ""),
    "wfdb": (wfdb, ""),
    "own csv": (own_csv, ""),
    "timed csv": (timed_csv, ""),
    "opensignals text": (opensignals_text, ""),
    "opensignals h5": (opensignals_h5, ""),
    "npz": (npz, ""),
    "npy": (npy, f"&fs={FS}"),
}


def samples(path: Path, options: str) -> int:
    with open_source(f"file:{path}?speed=max{options}") as source:
        expected = 0
        count = 0
        for item in source:
            if not isinstance(item, SampleBlock):
                continue
            assert np.isfinite(item.ecg_mv).all()
            assert item.first_sample == expected + item.gap_before
            expected = item.first_sample + len(item)
            count += len(item)
    return count


@pytest.mark.parametrize("name", FORMATS)
def test_the_undamaged_file_is_read_whole(tmp_path: Path, name: str) -> None:
    write, options = FORMATS[name]
    assert samples(write(tmp_path), options) == N


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    cut=st.none() | st.floats(0, 1),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=6),
    head_flips=st.lists(st.tuples(st.integers(0, 900), st.integers(1, 255)), max_size=4),
    in_header=st.booleans(),
)
@example(cut=0.0, flips=[], head_flips=[], in_header=False)
def test_damage_gives_a_source_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    cut: float | None,
    flips: list[tuple[float, int]],
    head_flips: list[tuple[int, int]],
    in_header: bool,
) -> None:
    write, options = FORMATS[name]
    path = write(tmp_path_factory.mktemp("damage"))
    victim = path if name != "wfdb" or in_header else path.with_suffix(".dat")
    data = bytearray(victim.read_bytes())
    for place, mask in [(int(share * len(data)), mask) for share, mask in flips] + head_flips:
        if place < len(data):
            data[place] ^= mask
    victim.write_bytes(data if cut is None else data[: int(cut * len(data))])
    tracemalloc.start()
    refusal = None
    try:
        samples(path, options)
    except DataError as error:
        refusal = error
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEMORY
    assert refusal is None or (refusal.what and (refusal.why or refusal.remedy))
