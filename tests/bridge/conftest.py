"""A host and a virtual device that talk on a clock which the test turns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from edge_ecg_bridge.emulators import Emulator
from edge_ecg_bridge.stream import FloatArray, Ready, Samples, Session


@dataclass
class Conversation:
    """What was said between a session and an emulator."""

    ready: Ready | None = None
    samples: list[Samples] = field(default_factory=list)
    now_s: float = 0.0

    @property
    def ecg_mv(self) -> FloatArray:
        return np.concatenate([block.ecg_mv for block in self.samples])

    @property
    def numbers(self) -> np.ndarray:
        return np.concatenate([block.first_sample + np.arange(len(block.ecg_mv)) for block in self.samples])

    @property
    def lost(self) -> int:
        return sum(block.gap_before for block in self.samples)


@pytest.fixture
def converse() -> Callable[..., Conversation]:
    """Let a session and an emulator talk for so many seconds of a clock of their own."""

    def talk(
        session: Session,
        emulator: Emulator,
        *,
        until_s: float = 10.0,
        step_s: float = 0.03,
        damage: Callable[[bytes], bytes] = bytes,
        result: Conversation | None = None,
    ) -> Conversation:
        if result is None:
            result = Conversation()
            session.start(0.0)
        while result.now_s < until_s and not emulator.ended and not session.finished:
            emulator.receive(session.bytes_to_send(), result.now_s)
            try:
                session.receive(damage(emulator.bytes_to_send(result.now_s)), result.now_s)
                session.on_time(result.now_s)
            finally:
                for event in session.events():
                    if isinstance(event, Ready):
                        result.ready = event
                    else:
                        result.samples.append(event)
            result.now_s += step_s
        return result

    return talk
