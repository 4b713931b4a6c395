"""Drives: the ECG at its own rate, and phases by their place in the protocol."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import wfdb

from edge_ecg_train.datasets import Recording, get_dataset
from edge_ecg_train.prepare import Preparation, prepare
from edge_ecg_train.store import NO_LABEL

DRIVEDB = get_dataset("drivedb")


@pytest.fixture(scope="session")
def files(generator: Callable[[str], ModuleType]) -> ModuleType:
    return generator("drivedb_files")


def _found(root: Path) -> dict[str, Recording]:
    return {one.session: one for one in DRIVEDB.recordings(root)}


def _phases(recording: Recording) -> list[tuple[str, float, float]]:
    minutes = ((span.start_s / 60, span.end_s / 60) for span in recording.spans)
    return [
        (str(span.values["phase"]), round(first, 3), round(last, 3))
        for span, (first, last) in zip(recording.spans, minutes, strict=True)
    ]


def test_the_ecg_at_its_own_rate(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    written = files.write_drives(
        tmp_path / "drivedb",
        {f"drive{name}": synthetic(20.0, 496.0, 70.0, seed=i) for i, name in enumerate(("05", "17a", "17b"))},
    )
    found = _found(tmp_path)
    assert set(found) == set(written)
    for name, digital in written.items():
        np.testing.assert_allclose(found[name].ecg_mv(), digital / 1000.0, atol=1e-12)
        assert (found[name].fs_hz, found[name].lead) == (496.0, "ECG")
    assert [one.subject for one in found.values()] == ["drivedb/05", "drivedb/17", "drivedb/17"]


@pytest.mark.parametrize(
    ("name", "minutes", "phases"),
    [
        ("drive05", 70, [("rest", 1, 14), ("drive", 18, 52), ("rest", 56, 69)]),
        ("drive17a", 29, [("rest", 1, 14), ("drive", 18, 29)]),
        ("drive17b", 25, [("drive", 0, 7), ("rest", 11, 24)]),
        # Too short to tell where the drive was.
        ("drive05", 30, []),
        ("drive17a", 12, []),
        ("drive17b", 14, []),
    ],
)
def test_phases(files: ModuleType, tmp_path: Path, name: str, minutes: int, phases: list[Any]) -> None:
    files.write_drives(tmp_path, {name: np.sin(np.arange(minutes * 60 * 160) / 9.0)}, frame_hz=5.0)
    (recording,) = DRIVEDB.recordings(tmp_path)
    assert _phases(recording) == phases


def test_check(files: ModuleType, synthetic: Any, tmp_path: Path) -> None:
    files.write_drives(tmp_path, {f"drive{n:02}": synthetic(6.0, 496.0, 70.0) for n in range(1, 17)})
    report = DRIVEDB.check(tmp_path)
    assert report.missing == ("drive17a.hea", "drive17a.dat", "drive17b.hea", "drive17b.dat")
    assert not report.damaged
    (tmp_path / "drive03.dat").unlink()
    cut = tmp_path / "drive04.dat"
    cut.write_bytes(cut.read_bytes()[:-100])
    flipped = bytearray((tmp_path / "drive06.dat").read_bytes())
    flipped[13 * 2 * (32 + 1 + 2 + 2 + 2)] ^= 1  # the first sample of a frame is the ECG's
    (tmp_path / "drive06.dat").write_bytes(flipped)
    (tmp_path / "drive07.hea").write_text("nonsense")
    report = DRIVEDB.check(tmp_path)
    assert "drive03.dat" in report.missing
    damaged = {"drive03", "drive04", "drive06", "drive07"}
    assert {key.split()[1] for key in report.damaged} == damaged
    assert report.recordings == 12


# The open recording itself


@pytest.mark.parametrize(("name", "fs_hz"), [("drive17a", 480.0), ("drive17b", 496.0)])
def test_open_drive_17_is_what_the_wfdb_package_reads(data_root: Path, name: str, fs_hz: float) -> None:
    recording = _found(data_root)[name]
    record = wfdb.rdrecord(str(data_root / "drivedb-drive17" / name), smooth_frames=False)
    np.testing.assert_allclose(
        recording.ecg_mv(), record.e_p_signal[record.sig_name.index("ECG")], atol=1e-12
    )
    assert recording.fs_hz == fs_hz == record.fs * 32


def test_the_phases_of_open_drive_17_are_those_of_the_skin(data_root: Path) -> None:
    """Skin conductance, which the reader does not look at: it falls steadily at rest, jumps on the road."""
    for name, recording in _found(data_root).items():
        record = wfdb.rdrecord(str(data_root / "drivedb-drive17" / name), smooth_frames=False)
        skin = record.e_p_signal[record.sig_name.index("hand GSR")]
        fs_hz = 2 * record.fs
        spread = {
            str(span.values["phase"]): np.median(
                [
                    np.std(skin[round(s * fs_hz) : round((s + 60) * fs_hz)])
                    for s in np.arange(span.start_s, span.end_s - 60, 60)
                ]
            )
            for span in recording.spans
        }
        assert spread["drive"] > 10 * spread["rest"]


@pytest.mark.slow
def test_open_drive_17_in_a_store(data_root: Path, tmp_path: Path) -> None:
    store = prepare([(DRIVEDB, data_root)], tmp_path / "store", Preparation())
    label, first = store.label("stress"), store.session == "drive17a"
    assert set(label.tolist()) == {NO_LABEL, 0, 1}
    # 13 minutes of rest in either part, 11 and 7 minutes on the road.
    assert [int((label[first] == number).sum()) for number in (0, 1)] == pytest.approx([77, 65], abs=6)
    assert [int((label[~first] == number).sum()) for number in (0, 1)] == pytest.approx([77, 43], abs=6)
    assert (store.start_s[first & (label == 1)] >= 18 * 60 - 0.01).all()
