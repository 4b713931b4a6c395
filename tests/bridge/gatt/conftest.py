"""A GATT session and a virtual device that talk on a clock which the test turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from edge_ecg_bridge.emulators import GattEmulator, TunnelEmulator
from edge_ecg_bridge.gatt import GattSession, Note
from edge_ecg_bridge.gatt_tunnel import TunnelSession
from edge_ecg_bridge.stream import FloatArray, Ready, Samples

STEP_S = 0.03


@dataclass
class Talk:
    """What was said, and by whom."""

    session: TunnelSession
    device: TunnelEmulator
    ready: Ready | None = None
    samples: list[Samples] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    now_s: float = 0.0

    def step(self, damage: Callable[[bytes], bytes] = bytes) -> None:
        """Let 30 ms pass."""
        self.device.receive(self.session.bytes_to_send(), self.now_s)
        try:
            self.session.receive(damage(self.device.bytes_to_send(self.now_s)), self.now_s)
            self.session.on_time(self.now_s)
        finally:
            for event in self.session.events():
                if isinstance(event, Ready):
                    self.ready = event
                else:
                    self.samples.append(event)
            self.notes += self.session.notes()
        self.now_s += STEP_S

    def on(self, until_s: float) -> Talk:
        """Go on until a time."""
        while self.now_s < until_s and not self.device.ended:
            self.step()
        return self

    def stop(self) -> Talk:
        """Stop the session and go on until it is finished."""
        self.session.stop(self.now_s)
        for _ in range(200):
            if self.session.finished:
                return self
            self.step()
        raise AssertionError("the session does not finish")

    @property
    def ecg_mv(self) -> FloatArray:
        return np.concatenate([block.ecg_mv for block in self.samples])

    @property
    def numbers(self) -> np.ndarray:
        return np.concatenate([block.first_sample + np.arange(len(block.ecg_mv)) for block in self.samples])

    @property
    def time_s(self) -> FloatArray:
        return np.concatenate([block.time_s for block in self.samples])

    @property
    def acceleration_g(self) -> FloatArray:
        return np.concatenate([block.acceleration_g for block in self.samples])

    @property
    def lost(self) -> int:
        return sum(block.gap_before for block in self.samples)


@pytest.fixture
def talk() -> Callable[..., Talk]:
    """Begin a conversation and go on until a time."""

    def begin(session: GattSession, device: GattEmulator, until_s: float = 10.0) -> Talk:
        said = Talk(TunnelSession(session), TunnelEmulator(device))
        said.session.start(0.0)
        return said.on(until_s)

    return begin
