"""Faults of the link: each a stage through which packets pass, with a note of what it did to them.

Only packets that carry samples are harmed: a conversation that fails while a device is being set up is told
to the user and ends there, which is not what these are about.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from .catalogue import PlannedFault
from .truth import Damage, Harm, Truth

_TIME_BACK_S = 0.5
BANNER = b"\r\nETS Jun  8 2016 00:22:57\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\nECG ready\r\n"
"""What an ESP32 prints when it starts, shortened."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Bytes on their way, the samples in them, and when they were sent (seconds of the stream)."""

    data: bytes
    first: int
    samples: int
    t_s: float


class Stage(Protocol):
    """One fault, as something that packets pass through."""

    def push(self, parcels: list[Parcel], t_s: float) -> list[Parcel]:
        """Take what was sent by ``t_s``; return what goes on by then."""
        ...

    @property
    def due_s(self) -> float:
        """When something goes on without anything new; infinity when nothing waits."""
        ...

    def clear(self) -> None:
        """Forget what waits: the link is gone."""
        ...


class _Strikes:
    """What stages have in common: when the fault strikes, and the log."""

    due_s = math.inf

    def __init__(self, plan: PlannedFault, truth: Truth, rng: np.random.Generator) -> None:
        self._plan = plan
        self._truth = truth
        self._rng = rng
        self._struck = 0

    def clear(self) -> None:
        """Nothing waits."""

    def _due(self, parcel: Parcel) -> bool:
        """Whether the fault strikes at this packet."""
        if not parcel.samples or self._plan.strikes(parcel.t_s) <= self._struck:
            return False
        self._struck = self._plan.strikes(parcel.t_s)
        self._truth.strike(self._plan.name)
        return True

    def _harm(self, parcel: Parcel, harm: Harm) -> None:
        if parcel.samples:
            self._truth.damages.append(
                Damage(parcel.first, parcel.samples, self._plan.name, harm, parcel.t_s)
            )


class HalfPacket(_Strikes):
    """Cuts a packet off in its middle half."""

    def push(self, parcels: list[Parcel], t_s: float) -> list[Parcel]:
        """Let all pass, one of them cut."""
        return [self._cut(parcel) if self._due(parcel) else parcel for parcel in parcels]

    def _cut(self, parcel: Parcel) -> Parcel:
        self._harm(parcel, Harm.LOST)
        size = len(parcel.data)
        least = size // 4
        return replace(
            parcel, data=parcel.data[: int(self._rng.integers(least, max(least + 1, 3 * size // 4)))]
        )


class BitFlip(_Strikes):
    """Inverts one bit of a packet."""

    def push(self, parcels: list[Parcel], t_s: float) -> list[Parcel]:
        """Let all pass, one of them altered."""
        return [self._flip(parcel) if self._due(parcel) else parcel for parcel in parcels]

    def _flip(self, parcel: Parcel) -> Parcel:
        self._harm(parcel, Harm.ALTERED)
        data = bytearray(parcel.data)
        bit = int(self._rng.integers(8 * len(data)))
        data[bit // 8] ^= 1 << bit % 8
        return replace(parcel, data=bytes(data))


class Duplicate(_Strikes):
    """Sends a packet twice."""

    def push(self, parcels: list[Parcel], t_s: float) -> list[Parcel]:
        """Let all pass, one of them twice."""
        return [copy for parcel in parcels for copy in ([parcel] * 2 if self._due(parcel) else [parcel])]


class TimeBack(_Strikes):
    """Sends a packet of half a second ago again."""

    def __init__(self, plan: PlannedFault, truth: Truth, rng: np.random.Generator) -> None:
        super().__init__(plan, truth, rng)
        self._past: deque[Parcel] = deque()

    def push(self, parcels: list[Parcel], t_s: float) -> list[Parcel]:
        """Let all pass, and an old one behind one of them."""
        out: list[Parcel] = []
        for parcel in parcels:
            out.append(parcel)
            if not parcel.samples:
                continue
            self._past.append(parcel)
            while self._past[0].t_s < parcel.t_s - _TIME_BACK_S:
                self._past.popleft()
            if len(self._past) > 1 and self._due(parcel):
                out.append(self._past[0])
        return out

    def clear(self) -> None:
        """Forget the past: a new stream has another."""
        self._past.clear()


class Reorder(_Strikes):
    """Holds a packet until the next one has passed."""

    def __init__(self, plan: PlannedFault, truth: Truth, rng: np.random.Generator) -> None:
        super().__init__(plan, truth, rng)
        self._held: Parcel | None = None

    def push(self, parcels: list[Parcel], t_s: float) -> list[Parcel]:
        """Let all pass, two of them exchanged."""
        out: list[Parcel] = []
        for parcel in parcels:
            if self._held is not None and parcel.samples:
                out += [parcel, self._held]
                self._harm(self._held, Harm.LATE)
                self._held = None
            elif self._held is None and self._due(parcel):
                self._held = parcel
            else:
                out.append(parcel)
        return out

    def clear(self) -> None:
        """The one held back is lost."""
        if self._held is not None:
            self._harm(self._held, Harm.LOST)
        self._held = None


class Burst(_Strikes):
    """Holds packets back for a while, then lets all of them go at once."""

    def __init__(self, plan: PlannedFault, truth: Truth, rng: np.random.Generator) -> None:
        super().__init__(plan, truth, rng)
        self._held: list[Parcel] = []
        self.due_s = math.inf

    def push(self, parcels: list[Parcel], t_s: float) -> list[Parcel]:
        """Hold what was sent while the fault lasts."""
        self._held += parcels
        for parcel in parcels:
            self._due(parcel)
        self.due_s = self._plan.until_s(t_s) if self._struck and self._plan.active(t_s) else math.inf
        if self.due_s < math.inf:
            return []
        out, self._held = self._held, []
        return out

    def clear(self) -> None:
        """What was held back is lost."""
        for parcel in self._held:
            self._harm(parcel, Harm.LOST)
        self._held = []
        self.due_s = math.inf


class Stall(_Strikes):
    """Loses all packets for a while."""

    def push(self, parcels: list[Parcel], t_s: float) -> list[Parcel]:
        """Let pass what was sent before and after."""
        out = []
        for parcel in parcels:
            self._due(parcel)
            if parcel.samples and self._plan.active(parcel.t_s):
                self._harm(parcel, Harm.LOST)
            else:
                out.append(parcel)
        return out


class BootBanner(_Strikes):
    """Prints text before the first byte, or in mid-stream when it was given a time."""

    def push(self, parcels: list[Parcel], t_s: float) -> list[Parcel]:
        """Let all pass, with text before one of them."""
        out = []
        if not self._struck and self._plan.at_s <= 0:
            self._struck = 1
            self._truth.strike(self._plan.name)
            out.append(Parcel(BANNER, 0, 0, t_s))
        for parcel in parcels:
            if self._due(parcel):
                out.append(Parcel(BANNER, 0, 0, parcel.t_s))
            out.append(parcel)
        return out


STAGES: dict[str, type[_Strikes]] = {
    "stall": Stall,
    "half-packet": HalfPacket,
    "bit-flip": BitFlip,
    "time-back": TimeBack,
    "reorder": Reorder,
    "duplicate": Duplicate,
    "boot-banner": BootBanner,
    "burst": Burst,
}
"""In the order in which packets pass through them: what is copied was damaged before, so that no whole copy
of a damaged packet arrives."""
