"""NilsPod: arrays and the recorder's own files give the same samples and phases."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ecg.errors import DataError
from edge_ecg_train.datasets import Recording, get_dataset
from edge_ecg_train.prepare import Preparation, prepare
from edge_ecg_train.store import NO_LABEL

NILSPOD = get_dataset("nilspod")
TIMES = ("12:31:53", "12:32:03", "12:32:13", "12:32:30", "12:32:40")
EDGES = (2 * 256, 12 * 256, 22 * 256, 39 * 256, 49 * 256)


@pytest.fixture(scope="session")
def files(generator: Callable[[str], ModuleType]) -> ModuleType:
    return generator("nilspod_files")


@pytest.fixture(scope="session")
def people(synthetic: Any) -> dict[str, Any]:
    return {
        key: np.round(3500.0 * synthetic(50.0, 256.0, rate)).astype(np.int32)
        for key, rate in (("Vp01", 65.0), ("Vp02", 85.0))
    }


def _found(root: Path) -> dict[str, Recording]:
    return {one.subject: one for one in NILSPOD.recordings(root)}


@pytest.mark.parametrize("form", ["arrays", "binary"])
def test_samples_and_phases(files: ModuleType, people: Any, tmp_path: Path, form: str) -> None:
    if form == "arrays":
        files.write_arrays(tmp_path / "nilspod", people, EDGES)
    else:
        files.write_binary(tmp_path / "nilspod", people, TIMES)
    found = _found(tmp_path)
    assert set(found) == {"nilspod/Vp01", "nilspod/Vp02"}
    for subject, one in found.items():
        np.testing.assert_array_equal(one.ecg_mv(), people[subject[-4:]] / 3500.0)
        assert one.fs_hz == 256.0
        assert [(s.values["phase"], s.start_s, s.end_s) for s in one.spans] == [
            ("Baseline", 2.0, 12.0),
            ("Intervention", 12.0, 22.0),
            ("Stress", 22.0, 39.0),
            ("Recovery", 39.0, 49.0),
        ]
    assert NILSPOD.check(tmp_path).complete
    store = prepare([(NILSPOD, tmp_path)], tmp_path / "store", Preparation(1))
    label = store.label("stress")
    assert {float(s) for s in store.start_s[label == 0]} == {2.0, 39.0}
    assert {float(s) for s in store.start_s[label == 1]} <= set(np.arange(22.0, 30.0))
    assert (label == NO_LABEL).any()


@settings(max_examples=25, deadline=None)
@given(
    sensors=st.sets(st.sampled_from(["gyro", "acc", "baro", "ppg"])),
    rate=st.sampled_from([(1, 1024.0), (2, 512.0), (4, 256.0), (5, 204.8)]),
)
def test_whatever_else_was_recorded(
    files: ModuleType, tmp_path_factory: pytest.TempPathFactory, sensors: set[str], rate: tuple[int, float]
) -> None:
    ecg = np.random.default_rng(len(sensors)).integers(-(2**31), 2**31, 300).astype(np.int32)
    folder = tmp_path_factory.mktemp("nilspod")
    files.write_binary(folder, {}, TIMES)
    (folder / "ecg_sample_A.bin").write_bytes(files.nilspod(ecg, (*sensors, "ecg"), rate_code=rate[0]))
    (recording,) = NILSPOD.recordings(folder)
    np.testing.assert_array_equal(recording.ecg_mv(), ecg / 3500.0)
    assert recording.fs_hz == rate[1]
    assert recording.spans == ()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: b"", "header is cut"),
        (lambda d: d[:40], "header is cut"),
        (lambda d: b"\x10" + d[1:], "older kind"),
        (lambda d: d[:-1], "too few"),
        (lambda d: d[:1] + b"\x13" + d[2:], "announces sensors"),
        (lambda d: d[:2] + b"\x03" + d[3:], "announces sensors"),
        (lambda d: d[:4] + b"\x03" + d[5:], "announces sensors"),
        (lambda d: d[:-4] + bytes(4), "counter jumps"),
    ],
)
def test_damage_is_a_sentence(
    files: ModuleType, people: Any, tmp_path: Path, change: Any, sentence: str
) -> None:
    files.write_binary(tmp_path, people, TIMES)
    path = tmp_path / "ecg_sample_Vp02.bin"
    path.write_bytes(change(path.read_bytes()))
    report = NILSPOD.check(tmp_path)
    assert list(report.damaged) == ["nilspod/Vp02 protocol"]
    assert sentence in report.damaged["nilspod/Vp02 protocol"]
    assert report.recordings == 1


def test_times_that_are_none(files: ModuleType, people: Any, tmp_path: Path) -> None:
    files.write_binary(tmp_path, people, ("soon", *TIMES[1:]))
    with pytest.raises(DataError, match="a time that is none"):
        list(NILSPOD.recordings(tmp_path))
    (tmp_path / "phase_times_local.csv").unlink()
    assert NILSPOD.check(tmp_path).missing == ("phase_times_local.csv",)


def test_damaged_arrays(files: ModuleType, people: Any, tmp_path: Path) -> None:
    files.write_arrays(tmp_path, people, EDGES)
    samples = tmp_path / "ecg_256hz_int32.npz"
    samples.write_bytes(samples.read_bytes()[:5000])
    assert NILSPOD.check(tmp_path).damaged
    with pytest.raises(DataError, match="damaged"):
        list(NILSPOD.recordings(tmp_path))


# The open recordings themselves


def test_open_arrays_are_the_recorders_own_files(data_root: Path, tmp_path: Path) -> None:
    arrays = _found(data_root)
    for path in (data_root / "nilspod-ecg").iterdir():
        if path.suffix == ".bin" or path.name == "phase_times_local.csv":
            shutil.copy(path, tmp_path / path.name)
    originals = _found(tmp_path)
    assert set(arrays) == set(originals) == {"nilspod/Vp01", "nilspod/Vp02"}
    with np.load(data_root / "nilspod-ecg" / "ecg_256hz_int32.npz") as raw:
        for subject, one in arrays.items():
            np.testing.assert_array_equal(one.ecg_mv(), raw[subject[-4:]] / 3500.0)
            np.testing.assert_array_equal(one.ecg_mv(), originals[subject].ecg_mv())
            assert one.spans == originals[subject].spans
    assert NILSPOD.check(data_root).complete


def test_open_recordings_in_a_store(data_root: Path, tmp_path: Path) -> None:
    store = prepare([(NILSPOD, data_root)], tmp_path / "store", Preparation(5))
    label = store.label("stress")
    # The README's own figure for the control: 88 bpm at baseline, 104 under stress.
    control = store.subject == "nilspod/Vp02"
    baseline = store.heart_rate_bpm[control & (label == 0) & (store.start_s < 60)]
    stress = store.heart_rate_bpm[control & (label == 1)]
    assert np.nanmean(baseline) == pytest.approx(88, abs=3)
    assert np.nanmean(stress) == pytest.approx(104, abs=3)
    intervention = control & (store.start_s >= 67) & (store.start_s <= 182)
    assert (label[intervention] == NO_LABEL).all()
