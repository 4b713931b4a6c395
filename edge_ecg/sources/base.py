"""What every source is, whatever it reads from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from ..samples import SampleBlock, SourceEvent, SourceInfo
from .address import Address

Clock = Callable[[], float]
"""Monotonic seconds."""


@runtime_checkable
class Source(Protocol):
    """An open stream of ECG samples.

    Iterating blocks until something arrives; it ends when the source has no more to give and raises
    ``DeviceError`` or ``DataError`` when it fails. ``close`` may be called at any time, twice, and from
    another thread; iteration then ends.

    A source of a device may have ``counters``, a mapping of what was thrown away on the way, by kind, and how
    often the device came back; the end record carries it. It may also have ``turns``, a number that rises as
    long as its reader does anything, be it to look for a lost device. One that waits for a device that is
    away may have ``end_at(device_s)``, which bounds that, and ``over_time``, whether it was the end.
    """

    @property
    def info(self) -> SourceInfo:
        """Address, kind of device, rate; complete once the source is open."""
        ...

    def __iter__(self) -> Iterator[SampleBlock | SourceEvent]: ...

    def close(self) -> None:
        """Stop the device's stream and give the port back."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Opener(Protocol):
    """What the table of schemes leads to."""

    def __call__(
        self, address: Address, *, device: str | None = None, clock: Clock = time.monotonic
    ) -> Source:
        """Open ``address``; ``device`` is the kind the user named, or None to find out."""
        ...
