"""One session with one faulty device on a clock of its own, and its account held against the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..emulators.base import Reservoir, Signal
from ..stream import BoolArray, BridgeError, FloatArray, Ready, Samples, Session
from .link import FaultyEmulator, LinkState
from .truth import Damage, Harm

_STEP_S = 0.05
_MATCH = 64


@dataclass(slots=True)
class Part:
    """What one session said, from its start until its link was lost or the trial was over."""

    ready: Ready | None = None
    samples: list[Samples] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    damages: list[Damage] = field(default_factory=list)
    failure: BridgeError | None = None
    link_lost: bool = False

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Numbers of all samples by the session's count."""
        return np.concatenate(
            [block.first_sample + np.arange(len(block.ecg_mv), dtype=np.int64) for block in self.samples]
        )

    @property
    def ecg_mv(self) -> FloatArray:
        """All samples."""
        return np.concatenate([block.ecg_mv for block in self.samples])

    @property
    def doubtful(self) -> BoolArray:
        """Samples that the session itself marks as no measurement: electrode off, or at the limit."""
        return np.concatenate(
            [
                _flags(block.lead_off, len(block.ecg_mv)) | _flags(block.saturated, len(block.ecg_mv))
                for block in self.samples
            ]
        )

    @property
    def reported_lost(self) -> int:
        """Samples that the session says are missing."""
        return sum(block.gap_before for block in self.samples)


@dataclass(frozen=True, slots=True)
class Account:
    """A session's own account beside the truth, between the first and the last sample that it delivered.

    Attributes
    ----------
    delivered, reported_lost:
        Samples by the session.
    really_lost:
        Samples that never arrived whole, or came late and were refused for it.
    altered:
        Samples that arrived with a wrong bit.
    dropped_beside:
        Samples that arrived whole and were dropped with a damaged neighbour.
    wrong:
        Samples delivered with a wrong value or at a wrong place.
    offset:
        Number that the session's sample 0 has in the device's stream.
    packets_to_right:
        Furthest distance, in packets, from a damage to a sample dropped beside it or wrong.

    """

    delivered: int
    reported_lost: int
    really_lost: int
    altered: int
    dropped_beside: int
    wrong: int
    offset: int
    packets_to_right: int


def hold_trial(
    make_session: Callable[[], Session], emulator: FaultyEmulator, *, until_s: float, step_s: float = _STEP_S
) -> list[Part]:
    """Let sessions talk with a device until a time, a new one after each lost link; return what they said.

    A session that fails is the last one, unless it fails because its link is dead. Nothing waits: the clock
    is counted up.
    """
    now_s, parts = 0.0, []
    while now_s < until_s:
        while emulator.state(now_s) is not LinkState.UP and now_s < until_s:
            emulator.bytes_to_send(now_s)
            now_s += step_s
        if now_s >= until_s:
            break
        part, session = Part(), make_session()
        parts.append(part)
        session.start(now_s)
        while now_s < until_s and not part.link_lost and part.failure is None and not emulator.ended:
            _exchange(session, emulator, part, now_s)
            now_s += step_s
        if not part.link_lost:
            part.damages = list(emulator.truth.damages)
        part.counters = dict(session.counters)
        if part.failure is not None or emulator.ended:
            break
    return parts


def _exchange(session: Session, emulator: FaultyEmulator, part: Part, now_s: float) -> None:
    state = emulator.state(now_s)
    if state in (LinkState.UNPLUGGED, LinkState.DROPPED):
        part.link_lost = True
        part.damages = list(emulator.truth.damages)
        return
    try:
        out = session.bytes_to_send()
        if out:
            emulator.receive(out, now_s)
        more = True
        while more:
            data = emulator.bytes_to_send(now_s)
            session.receive(data, now_s)
            due_s = emulator.next_due_s
            more = bool(data) and due_s is not None and due_s <= now_s
        session.on_time(now_s)
    except BridgeError as error:
        part.link_lost = state is LinkState.STALE  # it looked alive, and only the silence told
        if part.link_lost:
            part.damages = list(emulator.truth.damages)
        else:
            part.failure = error
    for event in session.events():
        if isinstance(event, Ready):
            part.ready = event
        else:
            part.samples.append(event)


def account(part: Part, signal: Signal, fs_hz: float, step_mv: float) -> Account:
    """Hold what a session said against the signal that its device measured and against the truth log.

    Parameters
    ----------
    signal:
        What the device measured, faults of the signal included.
    fs_hz:
        The device's own rate.
    step_mv:
        One step of its converter.

    Raises
    ------
    ValueError
        When the session's first samples are nowhere in the signal.

    """
    numbers, ecg, doubtful = part.numbers, part.ecg_mv, part.doubtful
    span = int(numbers[-1] - numbers[0]) + 1
    last_damage = max((damage.first + damage.samples for damage in part.damages), default=0)
    truth_mv = Reservoir(signal(fs_hz)).take(2 * span + last_damage + 16 * round(fs_hz))
    offset = _find(ecg[:_MATCH], truth_mv, step_mv) - int(numbers[0])
    places = numbers + offset
    difference = np.abs(ecg - truth_mv[places])
    wrong = places[(difference > 0.51 * step_mv) & ~doubtful]
    missing = set(range(int(places[0]), int(places[-1]) + 1)) - set(places.tolist())
    inside = {
        harm: {
            number
            for damage in part.damages
            if damage.harm is harm
            for number in range(damage.first, damage.first + damage.samples)
            if places[0] <= number <= places[-1]
        }
        for harm in Harm
    }
    really_lost = inside[Harm.LOST] | (inside[Harm.LATE] & missing)
    altered = inside[Harm.ALTERED]
    beside = missing - really_lost - altered
    packet = max((damage.samples for damage in part.damages), default=1)
    return Account(
        delivered=len(ecg),
        reported_lost=part.reported_lost,
        really_lost=len(really_lost),
        altered=len(altered),
        dropped_beside=len(beside),
        wrong=len(wrong),
        offset=offset,
        packets_to_right=-(-_furthest(beside | set(wrong.tolist()), really_lost | altered) // packet),
    )


def _find(head: FloatArray, truth_mv: FloatArray, step_mv: float) -> int:
    windows = np.lib.stride_tricks.sliding_window_view(truth_mv, len(head))
    worst = np.abs(windows - head).max(axis=1)
    at = int(np.argmin(worst))
    if worst[at] > step_mv:
        raise ValueError(f"the first samples differ by {worst[at]:.3g} mV from anything in the signal")
    return at


def _furthest(affected: set[int], harmed: set[int]) -> int:
    if not affected:
        return 0
    if not harmed:
        return len(affected)
    places = np.array(sorted(harmed))
    return max(int(np.abs(places - number).min()) for number in affected)


def _flags(flags: BoolArray | None, n: int) -> BoolArray:
    return np.zeros(n, dtype=bool) if flags is None else flags
