"""Small data set folders of exactly the forms that are passed around, filled with generated ECG."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_ecg_train.evaluation.data import TaskData
from edge_ecg_train.store_writer import StoreWriter, WindowMeta

EEGMAT_FS_HZ = 500
# P, R, S and T: seconds from the R peak, millivolts, seconds.
WAVES = ((-0.16, 0.12, 0.02), (0.0, 1.0, 0.01), (0.03, -0.2, 0.01), (0.25, 0.25, 0.04))


def generated_ecg(
    duration_s: float, fs_hz: float, heart_rate_bpm: float, *, seed: int = 0, noise_mv: float = 0.01
) -> NDArray[np.float64]:
    """Beats of a P wave, a QRS complex and a T wave (Gaussians), with 4 % of rhythm variation and noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(duration_s * fs_hz)) / fs_hz
    ecg_mv = noise_mv * rng.standard_normal(len(t))
    beat_s = 0.3 + rng.uniform(0.0, 0.3)
    while beat_s < duration_s + 0.5:
        near = slice(max(round((beat_s - 0.5) * fs_hz), 0), round((beat_s + 0.5) * fs_hz))
        for shift_s, height_mv, width_s in WAVES:
            ecg_mv[near] += height_mv * np.exp(-0.5 * ((t[near] - beat_s - shift_s) / width_s) ** 2)
        beat_s += 60.0 / heart_rate_bpm * (1.0 + 0.04 * rng.standard_normal())
    return ecg_mv


@dataclass
class FakeData:
    """Writes data set folders below one root, and keeps the converter's integers to compare with."""

    root: Path

    def eegmat(
        self,
        people: int = 3,
        *,
        rest_s: float = 45.0,
        arithmetic_s: float = 32.0,
        unusable: tuple[str, ...] = (),
    ) -> Path:
        folder = self.root / "eegmat-ecg"
        folder.mkdir(parents=True)
        arrays: dict[str, NDArray[np.int16]] = {}
        rows = []
        for person in range(people):
            for stress, condition in enumerate(("rest", "arithmetic")):
                key = f"S{person:02}_{condition}"
                ecg_mv = generated_ecg(
                    arithmetic_s if stress else rest_s,
                    EEGMAT_FS_HZ,
                    65.0 + 6.0 * person + 20.0 * stress,
                    seed=2 * person + stress,
                )
                scale, offset = 1.0e-4, 0.25
                arrays[key] = np.round((ecg_mv - offset) / scale).astype(np.int16)
                rows.append(
                    {
                        "key": key,
                        "subject": f"S{person:02}",
                        "condition": condition,
                        "stress": stress,
                        "fs_hz": EEGMAT_FS_HZ,
                        "n_samples": len(ecg_mv),
                        "scale_mv_per_lsb": scale,
                        "offset_mv": offset,
                        "ecg_usable": int(key not in unusable),
                    }
                )
        np.savez_compressed(folder / "ecg_500hz_int16.npz", **arrays)
        _write_table(folder / "recordings.csv", rows)
        return folder

    def qtdb(self, records: tuple[str, ...] = ("sel100", "sele0104"), duration_s: float = 40.0) -> Path:
        folder = self.root / "qtdb"
        folder.mkdir(parents=True)
        arrays, rows = {}, []
        for number, record in enumerate(records):
            leads = np.stack(
                [generated_ecg(duration_s, 250, 70 + 5 * lead, seed=10 * number + lead) for lead in (0, 1)]
            )
            steps = leads * np.array([[200.0], [400.0]]) + np.array([[0.0], [7.0]])
            arrays[record] = np.round(steps).astype(np.int16)
            rows.append(
                {
                    "record": record,
                    "source_db": "not read",
                    "fs_hz": 250,
                    "n_samples": leads.shape[1],
                    "lead0": "MLII",
                    "lead1": "V5",
                    "gain0_lsb_per_mv": 200.0,
                    "gain1_lsb_per_mv": 400.0,
                    "baseline0": 0,
                    "baseline1": 7,
                }
            )
        np.savez_compressed(folder / "ecg_250hz_int16.npz", **arrays)
        _write_table(folder / "records.csv", rows)
        return folder

    def cinc2017(self, records: int = 2, duration_s: float = 35.0) -> Path:
        folder = self.root / "cinc2017-val"
        folder.mkdir(parents=True)
        arrays, rows = {}, []
        for number in range(1, records + 1):
            key = f"A{number:05}"
            arrays[key] = np.round(1000 * generated_ecg(duration_s, 300, 75, seed=number)).astype(np.int16)
            size = len(arrays[key])
            rows.append(
                {"record": key, "rhythm": "N", "fs_hz": 300, "n_samples": size, "gain_lsb_per_mv": 1000}
            )
        np.savez_compressed(folder / "ecg_300hz_int16.npz", **arrays)
        _write_table(folder / "labels.csv", rows)
        return folder

    def mitdb(self, records: tuple[str, ...] = ("100", "102"), duration_s: float = 35.0) -> Path:
        folder = self.root / "mitdb-subset"
        folder.mkdir(parents=True)
        arrays: dict[str, NDArray[np.generic]] = {}
        for number, record in enumerate(records):
            ecg_mv = generated_ecg(duration_s, 360, 72, seed=number)
            arrays[f"r{record}"] = np.round(200 * ecg_mv).astype(np.int16)
            arrays[f"r{record}_beats"] = np.arange(5, dtype=np.int32)
        np.savez_compressed(folder / "ecg_360hz_int16.npz", **arrays)
        return folder

    def all(self) -> Path:
        self.eegmat()
        self.qtdb()
        self.cinc2017()
        self.mitdb()
        return self.root


def _write_table(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="session")
def make_ecg() -> Callable[..., NDArray[np.float64]]:
    """:func:`generated_ecg`."""
    return generated_ecg


@pytest.fixture
def fake_data(tmp_path: Path) -> FakeData:
    """Writes data set folders below ``tmp_path / "data"``."""
    return FakeData(tmp_path / "data")


@pytest.fixture(scope="session")
def stress_data(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    """Eight people, 12 windows at rest and 6 under stress, which makes their hearts faster by 18 a minute."""
    folder = tmp_path_factory.mktemp("stress")
    with StoreWriter(folder / "store") as writer:
        for person in range(8):
            for stress, seconds in enumerate((70, 40)):
                rate_bpm = 60.0 + 4 * person + 18 * stress
                ecg = generated_ecg(seconds, 256, rate_bpm, seed=2 * person + stress)
                for start_s in range(0, seconds - 10, 5):
                    window = ecg[256 * start_s : 256 * start_s + 2560].astype(np.float32) / 0.2
                    session = ("rest", "arithmetic")[stress]
                    meta = WindowMeta(
                        "made",
                        f"made/{person}",
                        session,
                        "I",
                        float(start_s),
                        rate_bpm,
                        1.0,
                        {"stress": stress},
                    )
                    writer.append(window, meta)
        store = writer.commit(
            preprocessing={"normalisation": "calibrated"},
            labels={"stress": ("rest", "stress")},
            datasets=[],
            windowing={"hop_s": 5, "kept": "good"},
        )
    return TaskData.of(store, "stress", cache=folder / "cache")
