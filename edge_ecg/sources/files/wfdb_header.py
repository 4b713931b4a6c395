"""The header (``.hea``) of a WFDB record, as PhysioNet's header(5) describes it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError

_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
_GAIN = re.compile(r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)(?:\(([-+]?\d+)\))?(?:/(\S+))?")
_MAX_HEADER_BYTES = 1 << 20
_MAX_SIGNALS = 4096
_DEFAULT_FS_HZ = 250.0


@dataclass(frozen=True, slots=True)
class WfdbSignal:
    """One line of the header: where a signal is stored and what its numbers mean.

    ``gain`` is steps per ``unit``, None when the signal is not calibrated; ``skew`` counts frames.
    """

    file: str
    code: int
    samples_per_frame: int
    skew: int
    byte_offset: int
    gain: float | None
    baseline: int
    unit: str
    resolution: int
    adc_zero: int
    first_value: int
    checksum: int | None
    description: str


@dataclass(frozen=True, slots=True)
class WfdbHeader:
    """A record; ``frames`` is None when the header does not say how long it is."""

    frame_hz: float
    frames: int | None
    signals: tuple[WfdbSignal, ...]


def read_header(path: Path) -> WfdbHeader:
    """Read a ``.hea`` file.

    Raises
    ------
    DataError
        When it is not one, is damaged, or describes a record in several segments.

    """
    with path.open("rb") as file:
        data = file.read(_MAX_HEADER_BYTES)
    lines = [line.strip() for line in data.decode("latin-1").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise _damaged(path, "It holds no record line.")
    words = lines[0].split()
    name, _, segments = words[0].partition("/")
    if segments:
        first = lines[1].split()[0] if len(lines) > 1 else f"{name}_0001"
        raise DataError(
            f"{path.name} is a record in {segments} segments, which edge-ecg does not join.",
            why="Segments may differ in channels and calibration.",
            remedy=f"Give one segment, for example file:{path.with_name(first)}.hea",
        )
    if len(words) < 2:
        raise _damaged(path, f"Its record line reads {lines[0][:80]!r}.")
    n_signals = _whole(path, words[1], "number of signals")
    if not 1 <= n_signals <= _MAX_SIGNALS or len(lines) < 1 + n_signals:
        raise _damaged(path, f"It announces {n_signals} signals and describes {len(lines) - 1}.")
    frames = _whole(path, words[3], "number of samples") if len(words) > 3 else 0
    return WfdbHeader(
        frame_hz=_rate(path, words[2].split("/")[0].split("(")[0]) if len(words) > 2 else _DEFAULT_FS_HZ,
        frames=frames if frames > 0 else None,
        signals=tuple(_signal(path, line, index) for index, line in enumerate(lines[1 : 1 + n_signals])),
    )


def _signal(path: Path, line: str, index: int) -> WfdbSignal:
    words = line.split(None, 8)
    layout = _FORMAT.fullmatch(words[1]) if len(words) > 1 else None
    gain = _GAIN.fullmatch(words[2]) if len(words) > 2 else None
    if layout is None or (len(words) > 2 and gain is None):
        raise _damaged(path, f"Its line for signal {index} reads {line[:80]!r}.")

    def whole(position: int, default: int, name: str) -> int:
        return _whole(path, words[position], name) if len(words) > position else default

    adc_zero = whole(4, 0, "converter's zero")
    steps = _finite(path, gain[1], "gain") if gain else 0.0
    return WfdbSignal(
        file=words[0],
        code=int(layout[1]),
        samples_per_frame=_bounded(path, layout[2] or "1", "samples per frame", 1 << 20),
        skew=_bounded(path, layout[3] or "0", "skew", 1 << 30, low=0),
        byte_offset=_bounded(path, layout[4] or "0", "byte offset", 1 << 40, low=0),
        # header(5): a gain of zero or none says that the signal was not calibrated.
        gain=steps or None,
        baseline=_whole(path, gain[2], "baseline") if gain and gain[2] else adc_zero,
        unit=gain[3] if gain and gain[3] else "mV",
        resolution=whole(3, 0, "converter's resolution"),
        adc_zero=adc_zero,
        first_value=whole(5, adc_zero, "first value"),
        checksum=_whole(path, words[6], "checksum") if len(words) > 6 else None,
        description=words[8].strip() if len(words) > 8 else f"signal {index}",
    )


def _rate(path: Path, text: str) -> float:
    rate = _finite(path, text, "sampling rate")
    if rate <= 0:
        raise _damaged(path, f"Its sampling rate reads {text[:40]!r}.")
    return rate


def _bounded(path: Path, text: str, name: str, high: int, *, low: int = 1) -> int:
    value = _whole(path, text, name)
    if not low <= value <= high:
        raise _damaged(path, f"Its {name} reads {text[:40]!r}.")
    return value


def _whole(path: Path, text: str, name: str) -> int:
    value = _finite(path, text, name)
    if value != int(value) or abs(value) > 1 << 53:
        raise _damaged(path, f"Its {name} reads {text[:40]!r}.")
    return int(value)


def _finite(path: Path, text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _damaged(path, f"Its {name} reads {text[:40]!r}.")
    return value


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        f"{path.name} is not a usable WFDB header.",
        why=why,
        remedy="Copy the record again, .hea and .dat together.",
    )
