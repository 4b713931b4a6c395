"""R peaks against known beats, annotations and independent detectors."""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_ecg.signal import MODEL_FS_HZ, detect_r_peaks, heart_rate_bpm, high_pass

FS_HZ = 256.0


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The program that prints the table of docs/signal.md: the test judges with its very code."""
    path = Path(__file__).parents[3] / "benchmarks" / "r_peaks.py"
    spec = importlib.util.spec_from_file_location("benchmark_r_peaks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def annotated(benchmark: ModuleType, data_root: Path) -> list[Any]:
    return list(benchmark.records(data_root))


def eegmat(data_root: Path) -> tuple[list[dict[str, str]], Any]:
    folder = data_root / "eegmat-ecg"
    with (folder / "recordings.csv").open(newline="") as table:
        return list(csv.DictReader(table)), np.load(folder / "ecg_500hz_int16.npz")


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("bpm", [35.0, 60.0, 90.0, 140.0, 200.0])
@pytest.mark.parametrize("fs_hz", [128.0, 256.0, 500.0, 1000.0])
def test_synthetic_beats_are_found_where_they_are(
    synthetic_ecg: Callable[..., Any], fs_hz: float, bpm: float, sign: float
) -> None:
    made = synthetic_ecg(fs_hz, 10.0, bpm=bpm, sign=sign)
    found = detect_r_peaks(high_pass(fs_hz).process(made.ecg_mv), fs_hz)
    assert found.dtype == np.int64
    assert len(found) == len(made.beats_s)
    np.testing.assert_allclose(found / fs_hz, made.beats_s, atol=0.5 / fs_hz + 0.004)


def test_ectopic_beats_of_the_other_polarity_are_beats(synthetic_ecg: Callable[..., Any]) -> None:
    made = synthetic_ecg(FS_HZ, 10.0, bpm=60.0, jitter=0.0)
    t = np.arange(len(made.ecg_mv)) / FS_HZ
    early = made.beats_s[:-1:2] + 0.55
    ectopic = sum(-1.8 * np.exp(-0.5 * ((t - beat) / 0.03) ** 2) for beat in early)
    found = detect_r_peaks(made.ecg_mv + ectopic, FS_HZ) / FS_HZ
    np.testing.assert_allclose(found, np.sort(np.concatenate([made.beats_s, early])), atol=0.02)


@given(scale=st.floats(1e-4, 1e4), offset=st.floats(-300.0, 300.0))
@settings(max_examples=20, deadline=None)
def test_neither_gain_nor_offset_nor_polarity_matters(scale: float, offset: float) -> None:
    rng = np.random.default_rng(0)
    x = 0.02 * rng.standard_normal(2560)
    x[100::220] += 1.0
    x[104::220] -= 0.3
    expected = detect_r_peaks(x, FS_HZ)
    assert len(expected) == 12
    np.testing.assert_array_equal(detect_r_peaks(scale * x + offset * scale, FS_HZ), expected)
    np.testing.assert_array_equal(detect_r_peaks(-scale * x, FS_HZ), expected)


@given(seed=st.integers(0, 10_000), n=st.integers(0, 4000))
@settings(max_examples=40, deadline=None)
def test_any_input_gives_ascending_samples_of_itself(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n) * rng.choice([0.0, 1.0, 1e6])
    peaks = detect_r_peaks(x, FS_HZ)
    assert (np.diff(peaks) > 0).all()
    assert ((peaks >= 0) & (peaks < n)).all()


def test_nothing_is_found_in_nothing() -> None:
    assert len(detect_r_peaks(np.zeros(2560), FS_HZ)) == 0
    assert len(detect_r_peaks(np.zeros(100), FS_HZ)) == 0


def test_heart_rate_is_that_of_the_median_interval() -> None:
    assert heart_rate_bpm(np.array([0, 256, 512, 768]), FS_HZ) == pytest.approx(60.0)
    # One missed beat among six does not move it.
    assert heart_rate_bpm(np.array([0, 256, 512, 1024, 1280, 1536]), FS_HZ) == pytest.approx(60.0)
    assert heart_rate_bpm(np.array([0, 256, 512]), FS_HZ) is None
    # Three intervals of 3 s are pauses, not a rate.
    assert heart_rate_bpm(np.array([0, 768, 1536, 2304]), FS_HZ) is None
    assert heart_rate_bpm(np.zeros(0, dtype=np.int64), FS_HZ) is None


def test_the_benchmark_counts_as_wfdb_does(benchmark: ModuleType) -> None:
    from wfdb.processing import compare_annotations

    rng = np.random.default_rng(0)
    beats = np.cumsum(rng.uniform(0.4, 1.2, 300)) + 2.0
    found = np.sort(np.concatenate([beats[rng.random(300) < 0.9], rng.uniform(3.0, beats[-1], 25)]))
    found += rng.normal(0.0, 0.03, len(found))
    found.sort()
    ours = benchmark.score(beats, found)
    theirs = compare_annotations(
        np.round(beats * 10_000).astype(int), np.round(found * 10_000).astype(int), 1500
    )
    assert abs(ours.found - theirs.tp) <= 1
    assert abs(ours.detections - (theirs.tp + theirs.fp)) <= 1
    assert ours.beats == 300


def test_every_annotated_record_reaches_f1_of_0_99(benchmark: ModuleType, annotated: list[Any]) -> None:
    """No record is left out: 9 of mitdb-subset and 74 of qtdb, with pacing, blocks and ectopic beats."""
    scores = {
        f"{record.source} {record.name}": benchmark.score(record.beats_s, benchmark.whole(record)).f1
        for record in annotated
    }
    assert len(scores) == 83
    assert {name: f1 for name, f1 in scores.items() if f1 < 0.99} == {}


def test_ten_second_windows_are_as_good(benchmark: ModuleType, annotated: list[Any]) -> None:
    names = {"r100", "r102", "r104", "r106", "r114", "sel231", "sele0110", "sele0129", "sele0133"}
    for record in annotated:
        if record.name in names:
            assert benchmark.score(record.beats_s, *benchmark.in_windows(record)).f1 >= 0.99, record.name


def test_the_rate_of_every_usable_eegmat_recording(benchmark: ModuleType, data_root: Path) -> None:
    rows, archive = eegmat(data_root)
    usable = [row for row in rows if row["ecg_usable"] == "1"]
    assert len(usable) == 52
    assert sum(row["r_wave_inverted"] == "1" for row in usable) == 8
    wrong = {}
    for row in usable:
        ecg_mv = archive[row["key"]] * float(row["scale_mv_per_lsb"]) + float(row["offset_mv"])
        beats_s = benchmark.whole(benchmark.Record("eegmat", row["key"], 500.0, ecg_mv, np.zeros(0)))
        rate = heart_rate_bpm(np.round(beats_s * FS_HZ).astype(np.int64), FS_HZ)
        if rate is None or abs(rate - float(row["median_hr_bpm"])) > 2.0:
            wrong[row["key"]] = (rate, row["median_hr_bpm"])
    assert wrong == {}


def neurokit_peaks_s(ecg_mv: NDArray[np.float64], fs_hz: int) -> NDArray[np.float64]:
    import warnings

    import neurokit2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clean = neurokit2.ecg_clean(ecg_mv, sampling_rate=fs_hz)
        _, info = neurokit2.ecg_peaks(clean, sampling_rate=fs_hz)
    return np.asarray(info["ECG_R_Peaks"], dtype=np.float64) / fs_hz


def test_a_wearable_that_no_choice_was_made_on_agrees_with_neurokit(
    benchmark: ModuleType, data_root: Path
) -> None:
    with np.load(data_root / "nilspod-ecg" / "ecg_256hz_int32.npz") as archive:
        for name in ("Vp01", "Vp02"):
            ecg = archive[name].astype(np.float64)
            record = benchmark.Record("nilspod", name, MODEL_FS_HZ, ecg, neurokit_peaks_s(ecg, 256))
            found = benchmark.score(record.beats_s, benchmark.whole(record))
            assert found.f1 > 0.995
            assert abs(found.median_error_ms) < 8.0
