"""Which of a recording's signals is the ECG."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from ...errors import DataError

# Standard and modified leads, best for R peaks first (lead II stands along the heart's axis).
_LEAD = re.compile(
    r"(ml|m|d)?(ii|2)|(ml|m|d)?(i|1)|(ml|m|d)?(iii|3)|m?c?v[1-9]|cm[1-6]|av[rlf]|v[xyz]", re.IGNORECASE
)
_LISTED = 24


def choose_channel(
    path: Path,
    names: Sequence[str],
    wanted: str | None,
    *,
    kinds: Sequence[str] | None = None,
    among: Sequence[int] | None = None,
) -> int:
    """Return the index of the ECG among ``names`` (those at ``among`` where not all are signals).

    ``wanted`` may be a name, an unambiguous part of one, or a number from 0. Without it: the first signal
    whose name (or whose entry in ``kinds``, where the format tells the sensor) holds ECG or EKG; else lead II
    or, failing that, the first standard lead; else the only signal.

    Raises
    ------
    DataError
        When there is none or the choice is not clear; it lists the signals.

    """
    signals = {index: names[index] for index in (range(len(names)) if among is None else among)}
    if not signals:
        raise DataError(
            f"{path.name} holds no signal.", remedy="It may hold annotations only; give the recording itself."
        )
    if wanted is not None:
        return _named(path, signals, wanted)
    for index in signals:
        label = (names if kinds is None else kinds)[index].lower()
        if "ecg" in label or "ekg" in label:
            return index
    if kinds is None:
        leads = [(m.lastindex or 9, i) for i, name in signals.items() if (m := _LEAD.fullmatch(name))]
        if leads:
            return min(leads)[1]
        if len(signals) == 1:
            return next(iter(signals))
    first, name = next(iter(signals.items()))
    raise DataError(
        f"None of the signals of {path.name} says that it is an ECG.",
        why=f"It holds {_listed(signals)}.",
        remedy=f"Name the right one, for example ?channel={quote(name)} or ?channel={first}.",
    )


def _listed(signals: Mapping[int, str]) -> str:
    """The names with their numbers, in one line; only the first two dozen of many."""
    shown = ", ".join(f"{index}: {name or '(no name)'}" for index, name in islice(signals.items(), _LISTED))
    return shown if len(signals) <= _LISTED else f"{shown}, and {len(signals) - _LISTED} more"


def _named(path: Path, signals: Mapping[int, str], wanted: str) -> int:
    key = wanted.strip().casefold()
    folded = {index: name.strip().casefold() for index, name in signals.items()}
    for index, name in folded.items():
        if name == key:
            return index
    if key.isdecimal() and key.isascii() and len(key) < 6 and int(key) in signals:
        return int(key)
    parts = [index for index, name in folded.items() if key and key in name]
    if len(parts) == 1:
        return parts[0]
    raise DataError(
        f"{path.name} has {'several signals' if parts else 'no signal'} that channel={wanted} could mean.",
        why=f"It holds {_listed(signals)}.",
        remedy="Give the whole name, or the number in front of it.",
    )
