"""A virtual device behind a link that fails on schedule, in a time of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edge_ecg.errors import DeviceError
from edge_ecg.samples import SampleBlock, SourceEvent
from edge_ecg.sources.address import parse_address
from edge_ecg.sources.session_source import SessionSource
from edge_ecg.sources.transport import Transport, TransportLostError
from edge_ecg_bridge.emulators import FramedEmulator, Shimmer3Emulator, TextEmulator
from edge_ecg_bridge.shimmer3 import Settings, ShimmerSession
from edge_ecg_bridge.stream import Session
from edge_ecg_bridge.synthetic import SyntheticEcg


@dataclass
class Link:
    """The air or the cable between a host and an emulator.

    ``away`` holds the times (from, to) in which the link is down, ``silent`` those in which it is up and
    carries nothing (the device's bytes of that time are lost). What is sent arrives ``lag_s`` later. Time
    passes only while somebody waits.
    """

    emulator: Shimmer3Emulator | FramedEmulator | TextEmulator
    make_session: Callable[[], Session]
    away: list[tuple[float, float]] = field(default_factory=list)
    silent: list[tuple[float, float]] = field(default_factory=list)
    now_s: float = 0.0
    rescans: list[bool] = field(default_factory=list)
    tried_s: list[float] = field(default_factory=list)
    open_transports: int = 0
    live: bool = False
    lag_s: float = 0.0

    def is_in(self, times: list[tuple[float, float]]) -> bool:
        return any(begin <= self.now_s < end for begin, end in times)

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds

    def clock(self) -> float:
        return 5000.0 + self.now_s

    def transport(self) -> LinkTransport:
        return LinkTransport(self)

    def connect(self, rescan: bool) -> tuple[Transport, Session]:
        self.rescans.append(rescan)
        self.tried_s.append(self.now_s)
        if self.is_in(self.away):
            raise DeviceError("There is no port /dev/ttyUSB0.")
        return self.transport(), self.make_session()


class LinkTransport:
    """One connection over the link."""

    def __init__(self, link: Link) -> None:
        self.live = link.live
        self._link = link
        self._lost = False
        link.open_transports += 1

    def now(self) -> float:
        return self._link.now_s

    def read(self, timeout_s: float, gather_s: float = 0.0) -> bytes:
        link = self._link
        data = self._take()
        if not data:
            link.pass_time(timeout_s + 5 * gather_s)
            data = self._take()
        return data

    def write(self, data: bytes) -> None:
        self._check()
        if not self._link.is_in(self._link.silent):
            self._link.emulator.receive(data, self._link.now_s)

    def close(self) -> None:
        self._link.open_transports -= 1
        self._link.emulator.link_lost()

    def _take(self) -> bytes:
        self._check()
        data = self._link.emulator.bytes_to_send(self._link.now_s - self._link.lag_s)
        return b"" if self._link.is_in(self._link.silent) else data

    def _check(self) -> None:
        if self._lost or self._link.is_in(self._link.away):
            self._lost = True
            raise TransportLostError("the link is down")


ECG = SyntheticEcg(seed=7)
FS_HZ = 256.0
ADDRESS = parse_address("/dev/ttyUSB0")


def shimmer_link(**options: Any) -> Link:
    emulator = Shimmer3Emulator(ECG, counter=options.pop("counter", 0))
    return Link(emulator, lambda: ShimmerSession(Settings(fs_hz=FS_HZ)), **options)


def opened(link: Link, *, reconnect: bool = True) -> SessionSource:
    return SessionSource(
        ADDRESS,
        link.transport(),
        link.make_session(),
        clock=link.clock,
        connect=link.connect if reconnect else None,
        wait=link.pass_time,
    )


def read(source: SessionSource, until_s: float) -> list[SampleBlock | SourceEvent]:
    items: list[SampleBlock | SourceEvent] = []
    for item in source:
        items.append(item)
        if isinstance(item, SampleBlock) and item.end_s >= until_s:
            break
    return items


def events(items: list[SampleBlock | SourceEvent]) -> list[str]:
    return [item.event for item in items if isinstance(item, SourceEvent)]


def blocks(items: list[SampleBlock | SourceEvent]) -> list[SampleBlock]:
    return [item for item in items if isinstance(item, SampleBlock)]


def assert_accounted(items: list[SampleBlock | SourceEvent]) -> None:
    """Sample numbers and gaps fit together, and every gap of an interruption has its event."""
    at = 0
    for block in blocks(items):
        assert block.first_sample - at == block.gap_before
        at = block.first_sample + len(block)
    told = [item for item in items if isinstance(item, SourceEvent) and item.event == "gap"]
    assert sum(int(event.detail["lost_samples"]) for event in told) == sum(
        block.gap_before for block in blocks(items)
    )
