"""A virtual device behind a link that fails on schedule, in a time of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from edge_ecg.errors import DeviceError
from edge_ecg.sources.transport import Transport, TransportLostError
from edge_ecg_bridge.emulators import Shimmer3Emulator, TextEmulator
from edge_ecg_bridge.stream import Session


@dataclass
class Link:
    """The air or the cable between a host and an emulator.

    ``away`` holds the times (from, to) in which the link is down, ``silent`` those in which it is up and
    carries nothing (the device's bytes of that time are lost). Time passes only while somebody waits.
    """

    emulator: Shimmer3Emulator | TextEmulator
    make_session: Callable[[], Session]
    away: list[tuple[float, float]] = field(default_factory=list)
    silent: list[tuple[float, float]] = field(default_factory=list)
    now_s: float = 0.0
    rescans: list[bool] = field(default_factory=list)
    tried_s: list[float] = field(default_factory=list)
    open_transports: int = 0
    live: bool = False

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
        data = self._link.emulator.bytes_to_send(self._link.now_s)
        return b"" if self._link.is_in(self._link.silent) else data

    def _check(self) -> None:
        if self._lost or self._link.is_in(self._link.away):
            self._lost = True
            raise TransportLostError("the link is down")
