"""A host and a virtual board that talk unit by unit on a clock which the test turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest

from edge_ecg_bridge.emulators import Emulator, Reservoir, Signal
from edge_ecg_bridge.emulators.base import Unit
from edge_ecg_bridge.stream import FloatArray, Ready, Samples, Session
from edge_ecg_bridge.synthetic import SyntheticEcg

Damage = Callable[[list[Unit], float], list[Unit]]
ECG = SyntheticEcg(seed=3, noise_mv=0.03)


@dataclass
class Talk:
    """What was said, what was taken away on the way, and what came of it."""

    ready: Ready | None = None
    samples: list[Samples] = field(default_factory=list)
    sent: int = 0
    dropped: int = 0
    now_s: float = 0.0

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
    def lost(self) -> int:
        return sum(block.gap_before for block in self.samples)

    def check_order(self) -> None:
        """Blocks follow one another, gaps included; times rise."""
        at = 0
        for block in self.samples:
            assert block.first_sample == at + block.gap_before
            at = block.first_sample + len(block.ecg_mv)
        assert (np.diff(self.time_s) > 0).all()


def expected_mv(n: int, fs_hz: float, signal: Signal = ECG) -> FloatArray:
    return _expected(fs_hz)[:n] if signal is ECG else Reservoir(signal(fs_hz)).take(n)


@cache
def _expected(fs_hz: float) -> FloatArray:
    return Reservoir(ECG(fs_hz)).take(round(100 * fs_hz))


@pytest.fixture
def ecg() -> SyntheticEcg:
    return ECG


@pytest.fixture
def truth() -> Callable[..., FloatArray]:
    return expected_mv


@pytest.fixture
def talk() -> Callable[..., Talk]:
    """Let a session and a board talk for so many seconds; ``damage`` changes what the board writes."""

    def run(
        session: Session,
        board: Emulator,
        *,
        until_s: float = 10.0,
        step_s: float = 0.03,
        damage: Damage = lambda units, now_s: units,
        hears: Callable[[float], bool] = lambda now_s: True,
        result: Talk | None = None,
    ) -> Talk:
        if result is None:
            result = Talk()
            session.start(0.0)
        late: list[Unit] = []
        while result.now_s < until_s and not session.finished:
            now_s = result.now_s
            board.receive(session.bytes_to_send(), now_s)
            units = board.units(now_s)
            result.sent += sum(unit.samples for unit in units)
            kept = damage(units, now_s)
            result.dropped += sum(unit.samples for unit in units) - sum(unit.samples for unit in kept)
            late += kept
            try:
                if hears(now_s):
                    for data in _pieces(session, late):
                        session.receive(data, now_s)
                    late = []
                session.on_time(now_s)
            finally:
                for event in session.events():
                    if isinstance(event, Ready):
                        result.ready = event
                    else:
                        result.samples.append(event)
            result.now_s += step_s
        return result

    return run


def _pieces(session: Session, units: list[Unit]) -> Iterator[bytes]:
    """One call a notification for a Ganglion, one for all that has come for a serial line."""
    if type(session).__name__ == "GanglionSession":
        yield from (unit.data for unit in units)
    else:
        yield b"".join(unit.data for unit in units)


@pytest.fixture
def between() -> Callable[[float, float], Damage]:
    """Take away all data of a stretch of time."""

    def of(begin_s: float, end_s: float) -> Damage:
        return lambda units, now_s: [u for u in units if not (u.samples and begin_s <= now_s < end_s)]

    return of
