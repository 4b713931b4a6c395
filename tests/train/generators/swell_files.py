"""SWELL-KW as DANS hands it out: TMS32 files under their irregular names, and the two spreadsheets."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openpyxl
from numpy.typing import NDArray

SIGNALS = Path("0 - Raw data/D - Physiology - raw data/Mobi signals (raw and filtered)")
BEHAVIOUR = "Behavioral-features - per minute.xlsx"
OVERVIEW = "SWELL-KW - overview available data.xlsx"
FS_HZ = 2048
COLUMNS = ("PP", "Blok", "Condition", "timestamp", "Valence_rc", "Arousal_rc", "Dominance", "Stress")


@dataclass(frozen=True)
class Channel:
    name: str
    unit: str = "µVolt"
    unit_low: float = 0.0
    unit_high: float = 1.0
    adc_low: float = 0.0
    adc_high: float = 1.0


# As in the Mobi files of the set: the heart's filtered signal is the eighth.
CHANNELS = (
    *(Channel(name) for name in ("EMG left", "EMG right", "HeartRate", "Resp", "HeartBeat", "HeartRaw")),
    *(Channel(name) for name in ("SkinRaw", "HeartPre")),
)


def _pascal(text: str, size: int) -> bytes:
    data = text.encode("latin-1")
    return bytes([len(data)]) + data.ljust(size - 1, b"\0")


def poly5(
    adc: NDArray[np.float32],
    channels: Sequence[Channel] = CHANNELS,
    *,
    fs_hz: int = FS_HZ,
    version: int = 203,
    block_samples: int = 64,
) -> bytes:
    """The file that holds converter values (n, channels); its last block is padded."""
    n = len(adc)
    blocks = -(-n // block_samples)
    block_bytes = 4 * len(channels) * block_samples
    identifier = b"POLY SAMPLE FILEversion 2.0" + (b"3\r\n\x1a" if version == 203 else b"4\r\n\x1a ")
    data = identifier + struct.pack("<h", version) + _pascal("measurement", 81)
    data += struct.pack("<hhBhi4x", fs_hz, fs_hz, 0, 2 * len(channels), n)
    data += struct.pack("<7h", 2012, 9, 18, 2, 13, 21, 0)
    data += struct.pack("<iHHh64x", blocks, block_samples, block_bytes, 0)
    for index, channel in enumerate(channels):
        limits = struct.pack("<4f", channel.unit_low, channel.unit_high, channel.adc_low, channel.adc_high)
        for part, half in enumerate(("(Lo) ", "(Hi) ")):
            data += _pascal(half + channel.name, 41) + bytes(4) + _pascal(channel.unit, 11) + limits
            data += struct.pack("<hh60x", 2 * index + part, 0)
    padded = np.zeros((blocks * block_samples, len(channels)), "<f4")
    padded[:n] = adc
    for block in range(blocks):
        data += struct.pack("<i4x7h64x", block * block_samples, 2012, 9, 18, 2, 13, 21, 0)
        data += padded[block * block_samples : (block + 1) * block_samples].tobytes()
    return data


@dataclass(frozen=True)
class Written:
    path: Path
    adc: NDArray[np.float32]


def mobi(
    ecg_mv: NDArray[np.float64],
    channels: Sequence[Channel] = CHANNELS,
    *,
    at: str = "HeartPre",
    seed: int = 0,
) -> NDArray[np.float32]:
    """All channels: the ECG in microvolts at one of them, a heart rate, and noise elsewhere."""
    n = len(ecg_mv)
    adc = 30.0 * np.random.default_rng(seed).standard_normal((n, len(channels)))
    for index, channel in enumerate(channels):
        if channel.name == at:
            adc[:, index] = 1000.0 * ecg_mv
        elif channel.name == "HeartRate":
            adc[:, index] = 72.0
    return adc.astype(np.float32)


def write_swell(
    root: Path,
    synthetic: Callable[..., NDArray[np.float64]],
    conditions: Mapping[tuple[int, int], str],
    *,
    duration_s: float = 16.0,
    channels: Sequence[Channel] = CHANNELS,
    at: str = "HeartPre",
    names: Mapping[tuple[int, int], str] | None = None,
    ratings: Callable[[int, int], Sequence[float]] = lambda person, block: (block + 3.0, person, 5.0, 3.0),
) -> dict[tuple[int, int], Written]:
    """Write recordings (person, block) and both tables; ``ratings`` gives what stands in the last columns."""
    folder = root / SIGNALS
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for person, block in conditions:
        ecg_mv = synthetic(duration_s, FS_HZ, 55.0 + 5 * person + 3 * block, seed=10 * person + block)
        adc = mobi(ecg_mv, channels, at=at, seed=person)
        name = (names or {}).get((person, block), f"pp{person}_18-9-2012_c{block}")
        path = folder / f"{name}.S00"
        path.write_bytes(poly5(adc, channels))
        written[person, block] = Written(path, adc)
    write_behaviour(root / BEHAVIOUR, conditions, ratings)
    write_overview(root / OVERVIEW, conditions)
    return written


def write_behaviour(
    path: Path,
    conditions: Mapping[tuple[int, int], str],
    ratings: Callable[[int, int], Sequence[float]],
    columns: Sequence[str] = COLUMNS,
) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "SWELLdata"
    sheet.append(list(columns))
    for (person, block), condition in conditions.items():
        # The relaxation before a block carries its number, but no answers.
        sheet.append([f"PP{person}", block, "R", "20120918T132100000"])
        for minute in range(3):
            time = f"20120918T13{30 + minute}00000"
            sheet.append([f"PP{person}", block, condition, time, *ratings(person, block)])
    book.save(path)


def write_overview(path: Path, conditions: Mapping[tuple[int, int], str]) -> None:
    book = openpyxl.Workbook()
    for title in ("Sheet2", "Sheet3"):
        book.create_sheet(title)
    sheet = book["Sheet3"]
    sheet.append(["pp", "block", "cond"])
    for (person, block), condition in conditions.items():
        sheet.append([person, block, condition])
    book.save(path)
