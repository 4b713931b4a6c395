"""``sim:`` addresses: a virtual device in this process, through its own bytes and the very same session."""

from __future__ import annotations

import copy
import threading
import time
from dataclasses import dataclass

from edge_ecg_bridge.emulators import Emulator, Signal
from edge_ecg_bridge.faults import FaultyEmulator, LinkState
from edge_ecg_bridge.stream import Session

from ..errors import UsageError
from .address import Address
from .base import Clock
from .kinds import options_of, session_for
from .reconnect import OPTION, wants_reconnect
from .recording_signal import RecordingSignal
from .session_source import SessionSource
from .transport import Transport, TransportEndedError, TransportLostError
from .virtual import (
    DEFAULT_FIRMWARE,
    DEFAULT_KIND,
    DEFAULT_STORY,
    VIRTUAL_KINDS,
    VirtualDevice,
    parse_faults,
    synthetic_signal,
)

_OPTIONS = frozenset(
    ("speed", "seed", "hr", "hrv", "lfhf", "noise", "story", "from", "firmware", "line", "loop", "fault")
)
_MAX = 0.0
_YES_NO = {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}
# Device time of one read where nobody waits for it, and of one where somebody does.
_BATCH_S, _LIVE_BATCH_S = 0.25, 0.05
_MOMENT_S = 1e-3


@dataclass
class _Passed:
    """Device time that passed at full speed, shared by all connections to a device."""

    seconds: float = 0.0


class VirtualTransport:
    """Carries bytes between a session and a virtual device, as a :class:`Transport` in this process.

    Parameters
    ----------
    emulator:
        The device.
    speed:
        Device seconds per second of ``clock``; 0 for as fast as possible, on a time of its own.

    Attributes
    ----------
    live:
        False where the device waits for whoever reads.

    """

    def __init__(self, emulator: Emulator, *, speed: float = 1.0, clock: Clock = time.monotonic) -> None:
        self._emulator = emulator
        self._speed = speed
        self.live = speed != _MAX
        self._clock = clock
        self._begin_s = clock()
        self._passed = _Passed()
        self._closed = threading.Event()

    def now(self) -> float:
        """Return the device's time."""
        return self._passed.seconds if self._speed == _MAX else (self._clock() - self._begin_s) * self._speed

    def read(self, timeout_s: float, gather_s: float = 0.0) -> bytes:
        """Let the device's time pass until it has sent something, at most ``timeout_s``."""
        self._check_link()
        data = self._emulator.bytes_to_send(self.now())
        if not data:
            self._pass(timeout_s, gather_s)
            data = self._emulator.bytes_to_send(self.now())
            self._check_link()
        if not data and self._emulator.ended:
            if getattr(self._emulator, "recording_over", False):
                raise TransportEndedError("the recording is over")
            raise TransportLostError("the virtual device hung up")
        return data

    def write(self, data: bytes) -> None:
        """Hand bytes to the device."""
        self._check_link()
        self._emulator.receive(data, self.now())

    def close(self) -> None:
        """Let nobody wait any more."""
        self._closed.set()

    def again(self) -> VirtualTransport:
        """Return another connection to the same device, in the same time.

        Raises
        ------
        TransportLostError
            While it is unplugged.

        """
        self._check_link()
        other = copy.copy(self)
        other._closed = threading.Event()
        return other

    def let_pass(self, seconds: float) -> None:
        """Let the device's time pass at full speed while nobody is connected."""
        self._passed.seconds += seconds

    def _check_link(self) -> None:
        emulator = self._emulator
        state = emulator.state(self.now()) if isinstance(emulator, FaultyEmulator) else LinkState.UP
        if state is LinkState.UNPLUGGED:
            raise TransportLostError("the virtual device was unplugged")
        if state is LinkState.DROPPED:
            raise TransportLostError("the virtual link was dropped")

    def _pass(self, timeout_s: float, gather_s: float) -> None:
        due_s = self._emulator.next_due_s
        wait_s = timeout_s if due_s is None else min(max(due_s - self.now(), _MOMENT_S), timeout_s)
        if self._speed == _MAX:
            self._passed.seconds += wait_s + (_BATCH_S if gather_s else 0.0)
        else:
            self._closed.wait((wait_s + (_LIVE_BATCH_S if gather_s else 0.0)) / self._speed)


def open_simulated(
    address: Address, *, device: str | None = None, clock: Clock = time.monotonic
) -> SessionSource:
    """Open ``sim:`` or ``sim:KIND``, one of :data:`edge_ecg.sources.virtual.VIRTUAL_KINDS`.

    Raises
    ------
    UsageError
        When there is no such virtual device, or an option makes no sense.
    DataError
        When the recording to play cannot be read.

    """
    kind = address.target.lower() or (device or DEFAULT_KIND).lower()
    if kind not in VIRTUAL_KINDS:
        raise UsageError(
            f"There is no virtual device {kind!r}.",
            remedy=f"Choose one of sim:{', sim:'.join(VIRTUAL_KINDS)}.",
        )
    reads = VIRTUAL_KINDS[kind].device
    if device is not None and device.lower() != reads:
        raise UsageError(
            f"{address} is a simulated {kind}, not a {device}.",
            remedy="Leave --device out, or change the address.",
        )
    address.require_known(_OPTIONS | {OPTION} | options_of(reads))
    speed = address.number("speed", 1.0, minimum=0.01, maximum=1000, words={"max": _MAX})
    seed = round(address.number("seed", 0.0, minimum=0, maximum=2**31))
    virtual = VirtualDevice(
        kind,
        _signal(address, seed),
        firmware=address.options.get("firmware", DEFAULT_FIRMWARE),
        fs_hz=address.number("fs", 250.0, minimum=100, maximum=4000),
        line=address.options.get("line", "us,adc"),
        loop=bool(address.number("loop", 0.0, minimum=0, maximum=1, words=_YES_NO)),
        seed=seed,
        faults=parse_faults(address.options.get("fault", "")),
    )
    session = session_for(reads, address)
    transport = VirtualTransport(virtual.build(), speed=speed, clock=clock)

    def again(rescan: bool) -> tuple[Transport, Session]:
        return transport.again(), session_for(reads, address)

    return SessionSource(
        address,
        transport,
        session,
        clock=clock,
        kind_prefix="simulated ",
        connect=again if wants_reconnect(address) else None,
        wait=transport.let_pass if speed == _MAX else None,
        speed=speed or 1.0,
    )


def _signal(address: Address, seed: int) -> Signal:
    if "from" not in address.options:
        return synthetic_signal(
            address.options.get("story", DEFAULT_STORY),
            address.number("hr", 0.0, minimum=30, maximum=200) or None,
            seed,
            sdnn_ms=address.number("hrv", 0.0, minimum=0, maximum=200) if "hrv" in address.options else None,
            lf_hf=address.number("lfhf", 0.5, minimum=0, maximum=20),
            noise_mv=address.number("noise", 0.01, minimum=0, maximum=10),
        )
    recording = RecordingSignal.parse(address.options["from"])
    recording.check()
    return recording
