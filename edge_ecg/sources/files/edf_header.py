"""The header of an EDF or EDF+ file.

Layout: B. Kemp et al., "A simple format for exchange of digitized polygraphic recordings",
Electroencephalogr. Clin. Neurophysiol. 82 (1992); EDF+: B. Kemp, J. Olivan, Clin. Neurophysiol. 114 (2003).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError

FIXED_BYTES = 256
SIGNAL_BYTES = 256
ANNOTATIONS = "EDF Annotations"
# Widths of the fields that each signal has, in the order of the file.
_WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)
_MAX_SIGNALS = 4096


@dataclass(frozen=True, slots=True)
class EdfSignal:
    """One signal: its name and unit, how digits become physical values, and where it stands in a record."""

    label: str
    dimension: str
    physical_min: float
    physical_max: float
    digital_min: int
    digital_max: int
    samples_per_record: int
    byte_offset: int


@dataclass(frozen=True, slots=True)
class EdfHeader:
    """The header; ``records`` is -1 when the recorder was stopped before it could fill it in."""

    variant: str
    header_bytes: int
    records: int
    record_s: float
    record_bytes: int
    signals: tuple[EdfSignal, ...]


def parse_header(path: Path, data: bytes) -> EdfHeader:
    """Read the header from the first bytes of a file.

    Raises
    ------
    DataError
        When a field holds something else than the format says.

    """
    if len(data) < FIXED_BYTES:
        raise _damaged(path, f"It is {len(data)} bytes long, shorter than any EDF header.")
    n_signals = _integer(path, data[252:256], "number of signals", low=1, high=_MAX_SIGNALS)
    header_bytes = _integer(path, data[184:192], "length of the header", low=FIXED_BYTES)
    expected = FIXED_BYTES + SIGNAL_BYTES * n_signals
    if header_bytes != expected:
        raise _damaged(
            path, f"A header for {n_signals} signals has {expected} bytes; it says {header_bytes}."
        )
    if len(data) < expected:
        raise _damaged(path, f"It ends within its header, at {len(data)} of {expected} bytes.")
    fields = _fields(data, n_signals)
    signals = []
    offset = 0
    for index in range(n_signals):
        label, _, dimension, *numbers, _, samples_text, _ = (field[index] for field in fields)
        name = _text(label)
        samples = _integer(path, samples_text, f"samples per record of {name!r}", low=0, high=1 << 30)
        least, most = (_number(path, field, f"physical range of {name!r}") for field in numbers[:2])
        low, high = (
            _integer(path, field, f"digital range of {name!r}", low=-(1 << 31)) for field in numbers[2:]
        )
        signals.append(EdfSignal(name, _text(dimension), least, most, low, high, samples, offset))
        offset += 2 * samples
    if offset == 0:
        raise _damaged(path, "No signal has a sample in it.")
    return EdfHeader(
        variant={"EDF+C": "EDF+C", "EDF+D": "EDF+D"}.get(_text(data[192:197]), "EDF"),
        header_bytes=header_bytes,
        records=_integer(path, data[236:244], "number of records", low=-1),
        record_s=_number(path, data[244:252], "duration of a record", low=0.0),
        record_bytes=offset,
        signals=tuple(signals),
    )


def _fields(data: bytes, n_signals: int) -> list[list[bytes]]:
    """One list a field, holding the field of each signal."""
    fields = []
    position = FIXED_BYTES
    for width in _WIDTHS:
        fields.append([data[position + width * i : position + width * (i + 1)] for i in range(n_signals)])
        position += width * n_signals
    return fields


def _text(field: bytes) -> str:
    """EDF is ASCII; makers write Latin-1 (for the micro sign, above all)."""
    return field.decode("latin-1").strip(" \x00")


def _integer(path: Path, field: bytes, name: str, *, low: int, high: int = 1 << 40) -> int:
    value = _number(path, field, name)
    if value != int(value) or not low <= value <= high:
        raise _damaged(path, f"Its {name} reads {_text(field)!r}.")
    return int(value)


def _number(path: Path, field: bytes, name: str, *, low: float = -math.inf) -> float:
    try:
        # Some recorders write the decimal comma of their country.
        value = float(_text(field).replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < low:
        raise _damaged(path, f"Its {name} reads {_text(field)!r}.")
    return value


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        f"The EDF header of {path.name} is damaged.", why=why, remedy="Copy or export the recording again."
    )
