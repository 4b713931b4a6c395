"""NilsPod recordings: the recorder's own binary files, and the same as arrays."""

from __future__ import annotations

import csv
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

START_UTC_S = 1571826711  # 2019-10-23 12:31:51 in Germany
PHASES = ("Baseline", "Intervention", "Stress", "Recovery")
# Bit and bytes a sample of the sensors, in the order of a sample.
SENSORS = {"gyro": (0x02, 6), "acc": (0x01, 6), "baro": (0x08, 2), "ecg": (0x20, 4), "ppg": (0x40, 4)}


def nilspod(
    ecg: NDArray[np.int32],
    sensors: tuple[str, ...] = ("gyro", "acc", "ecg"),
    *,
    rate_code: int = 4,
    start_utc_s: int = START_UTC_S,
) -> bytes:
    """The file of a recording with these sensors; all but the ECG hold noise."""
    ordered = [name for name in SENSORS if name in sensors]
    size = sum(SENSORS[name][1] for name in ordered) + 4
    bits = sum(SENSORS[name][0] for name in ordered)
    head = bytearray(52)
    struct.pack_into("<BBBBBBBBBB", head, 0, 52, size, bits, 0, rate_code, 0x20, 1, 3, 16, 16)
    struct.pack_into("<III", head, 15, start_utc_s, start_utc_s + len(ecg) // 256, len(ecg))
    table = np.random.default_rng(0).integers(0, 256, (len(ecg), size)).astype(np.uint8)
    at = sum(SENSORS[name][1] for name in ordered[: ordered.index("ecg")]) if "ecg" in ordered else 0
    if "ecg" in ordered:
        table[:, at : at + 4] = ecg.astype("<i4").view(np.uint8).reshape(-1, 4)
    table[:, -4:] = np.arange(7, 7 + len(ecg), dtype="<u4").view(np.uint8).reshape(-1, 4)
    return bytes(head) + table.tobytes()


def write_binary(folder: Path, people: Mapping[str, NDArray[np.int32]], times: tuple[str, ...]) -> None:
    """``times``: of day, at which each phase begins and the last one ends."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, ecg in people.items():
        (folder / f"ecg_sample_{key}.bin").write_bytes(nilspod(ecg))
    with (folder / "phase_times_local.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["subject", "condition", *PHASES, "End"])
        writer.writerows([key, "Control", *times] for key in people)


def write_arrays(folder: Path, people: Mapping[str, NDArray[np.int32]], edges: tuple[int, ...]) -> None:
    """``edges``: first samples of the phases and the end of the last one."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "ecg_256hz_int32.npz", **people)
    with (folder / "phases.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["subject", "condition", "phase", "start_sample", "end_sample", "fs_hz"])
        for key in people:
            for phase, first, last in zip(PHASES, edges[:-1], edges[1:], strict=True):
                writer.writerow([key, "Control", phase, first, last, 256])
