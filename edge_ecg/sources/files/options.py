"""The options of a ``file:`` address, read once and checked."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ...errors import UsageError
from ..address import Address
from .units import MV_PER_UNIT, unit_factor

STREAMING = ("speed", "start", "duration")
"""What every format takes."""

# What to say to somebody who gives an option that the format has no use for.
_MEANING = {
    "channel": "which signal is the ECG, by name or by number from 0",
    "fs": "the sampling rate in Hz",
    "unit": "the unit of the values",
    "scale": "millivolts per step of the converter (with unit: units per step)",
    "offset": "what to add after scale",
    "separator": "what stands between columns",
    "key": "which array of an .npz file",
    "partial": "yes reads what there is of a truncated recording",
}


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How to read a recording and how to play it.

    ``speed`` is a multiple of real time, ``inf`` for as fast as possible. ``scale`` and ``offset`` are None
    when they were not given; ``unit`` is one of :data:`~edge_ecg.sources.files.units.MV_PER_UNIT` or None.
    """

    speed: float = 1.0
    start_s: float = 0.0
    duration_s: float = math.inf
    channel: str | None = None
    key: str | None = None
    fs_hz: float | None = None
    unit: str | None = None
    scale: float | None = None
    offset: float | None = None
    separator: str | None = None
    partial: bool = False

    @classmethod
    def from_address(cls, address: Address, *, kind: str, understood: Iterable[str]) -> FileOptions:
        """Read the options of ``address``.

        Raises
        ------
        UsageError
            When an option is unknown, unusable, or does nothing for a ``kind`` file.

        """
        understood = set(understood)
        for name in address.options:
            if name in _MEANING and name not in understood:
                raise UsageError(
                    f"The option {name} ({_MEANING[name]}) does nothing for this {kind} file.",
                    why="The file itself says it, or the format has no such thing.",
                    remedy=f"Leave out {name}={address.options[name]}.",
                )
        address.require_known([*STREAMING, *understood])
        given = address.options

        def number(name: str, minimum: float = -math.inf, maximum: float = math.inf) -> float | None:
            return address.number(name, 0.0, minimum=minimum, maximum=maximum) if name in given else None

        scale = number("scale")
        if scale == 0.0:
            raise UsageError("scale=0 would make every sample the same.", remedy="Give millivolts per step.")
        return cls(
            speed=address.number("speed", 1.0, minimum=1e-3, maximum=1e6, words={"max": math.inf}),
            start_s=address.number("start", 0.0, minimum=0.0, maximum=1e9),
            duration_s=address.number("duration", math.inf, minimum=1e-3, maximum=1e9)
            if "duration" in given
            else math.inf,
            channel=given.get("channel"),
            key=given.get("key"),
            fs_hz=number("fs", minimum=1e-3, maximum=1e6),
            unit=_unit(given.get("unit")),
            scale=scale,
            offset=number("offset"),
            separator=_separator(given.get("separator")),
            partial=address.choice("partial", "no", ("yes", "no")) == "yes",
        )


def _unit(text: str | None) -> str | None:
    if text is None:
        return None
    if unit_factor(text) is None:
        raise UsageError(
            f"unit={text} is not a unit of voltage that edge-ecg knows.",
            remedy=f"Give one of {', '.join(MV_PER_UNIT)}.",
        )
    return text


def _separator(text: str | None) -> str | None:
    if text is None:
        return None
    separator = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}.get(text, text)
    if len(separator) != 1 or separator.isalnum() or separator in "+-.\"'\r\n":
        raise UsageError(
            f"separator={text} cannot stand between numbers.",
            remedy="Give one character, or tab, space, comma, semicolon.",
        )
    return separator
