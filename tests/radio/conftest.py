"""Unmodified Bluetooth clients, a BlueZ on a private D-Bus, and virtual sensors on a virtual radio.

Device time runs twenty times as fast as ours, and the host's clock with it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edge_ecg.sources.address import parse_address
from edge_ecg.sources.ble import BleDoor
from edge_ecg.sources.ble_link import BleLink
from edge_ecg.sources.ble_scan import find_device
from edge_ecg.sources.radio_loop import radio_loop
from edge_ecg.sources.virtual_radio import VirtualRadio, missing_parts
from edge_ecg_bridge.emulators import GattEmulator
from edge_ecg_bridge.gatt import Note
from edge_ecg_bridge.gatt_tunnel import TunnelSession
from edge_ecg_bridge.stream import FloatArray, Ready, Samples

if TYPE_CHECKING:
    from bleak.backends.device import BLEDevice

SPEED = 20.0
# Turns of 50 ms in which nothing came, and turns in all, until a test gives up.
_IDLE_TURNS, _TURNS = 200, 20_000


class SteadyClock:
    """A clock that stands still while the whole process does, as on a busy machine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_s = time.monotonic()
        self._now_s = 0.0

    def __call__(self) -> float:
        with self._lock:
            now_s = time.monotonic()
            self._now_s += min(now_s - self._last_s, 0.05)
            self._last_s = now_s
            return self._now_s


@pytest.fixture
def air() -> Iterator[Callable[..., VirtualRadio]]:
    """Put virtual sensors on the air, where this very process finds them."""
    missing = missing_parts()
    if missing:
        pytest.skip(missing)
    with ExitStack() as stack:

        def begin(*sensors: GattEmulator, speed: float = SPEED) -> VirtualRadio:
            radio = stack.enter_context(VirtualRadio(sensors, speed=speed, clock=SteadyClock()))
            radio.use()
            return radio

        yield begin


@dataclass
class Conversation:
    """A session and its link, and what came of them."""

    link: BleLink
    session: TunnelSession
    ready: Ready | None = None
    samples: list[Samples] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def turn(self) -> bool:
        """Carry what is to be carried, once; whether anything came."""
        out = self.session.bytes_to_send()
        if out:
            self.link.write(out)
        try:
            data = self.link.read(0.05)
            self.session.receive(data, self.link.now())
            self.session.on_time(self.link.now())
        finally:
            for event in self.session.events():
                if isinstance(event, Ready):
                    self.ready = event
                else:
                    self.samples.append(event)
            self.notes += self.session.notes()
        return bool(data)

    def until(self, enough: Callable[[], bool]) -> None:
        """Carry on until it is enough."""
        idle = 0
        for _ in range(_TURNS):
            if enough():
                return
            idle = 0 if self.turn() else idle + 1
            if idle >= _IDLE_TURNS:
                break
        raise AssertionError("it did not come about")

    def listen(self, n: int) -> None:
        """Carry on until there are ``n`` samples."""
        self.until(lambda: self.count >= n)

    def stop(self) -> None:
        """Let the device stop, and end the link."""
        self.session.stop(self.link.now())
        self.until(lambda: self.session.finished)
        self.link.close()

    @property
    def count(self) -> int:
        return sum(len(block.ecg_mv) for block in self.samples)

    @property
    def lost(self) -> int:
        return sum(block.gap_before for block in self.samples)

    @property
    def ecg_mv(self) -> FloatArray:
        return np.concatenate([block.ecg_mv for block in self.samples])

    @property
    def numbers(self) -> np.ndarray:
        return np.concatenate([block.first_sample + np.arange(len(block.ecg_mv)) for block in self.samples])

    @property
    def time_s(self) -> FloatArray:
        return np.concatenate([block.time_s for block in self.samples])


@pytest.fixture
def look_for() -> Callable[..., BLEDevice]:
    """Find a device on the air."""

    def look(target: str, listen_s: float = 3.0, settle_s: float = 0.3) -> BLEDevice:
        return radio_loop().run(find_device(target, listen_s=listen_s, settle_s=settle_s))

    return look


@pytest.fixture
def door(look_for: Callable[..., BLEDevice]) -> Callable[..., BleDoor]:
    """Make what opens a ``ble:`` address again and again."""

    def make(radio: VirtualRadio, address: str, device: str | None = None) -> BleDoor:
        return BleDoor(parse_address(address), device=device, clock=radio.now, find=look_for)

    return make


@pytest.fixture
def meet(door: Callable[..., BleDoor]) -> Iterator[Callable[..., Conversation]]:
    """Open a ``ble:`` address (or a door once more) and begin to talk."""
    with ExitStack() as stack:

        def begin(radio: VirtualRadio, address: str | BleDoor) -> Conversation:
            opened = door(radio, address) if isinstance(address, str) else address
            link, session = opened.connect()
            stack.callback(link.close)
            session.start(link.now())
            return Conversation(link, session)

        yield begin
