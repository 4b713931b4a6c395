"""Numbering samples for good: a counter says how many are missing modulo its range, time says the rest.

Where the host's clock leaves no doubt, samples are numbered at once. After a pause they are held for half a
second, because a pause alone does not tell: what waited in a buffer comes in a burst and was never lost, what
was lost never comes, and afterwards the stream lags behind by it for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from .arrival import ArrivalClock

HOLD_S = 0.5
PAUSE_S = 0.1
_LONELY_HOLD_S = 2.0
_LONGEST_HOLD_S = 10.0
_MOST_HELD = 2000
_MARGIN_S = 0.1
_DRAINING_S = 0.05
_SURE_RANGE_S = 0.5
_DOUBT_S = 0.05
_STEADY_S = 0.1

Load = TypeVar("Load")


@dataclass(frozen=True, slots=True)
class Run(Generic[Load]):
    """Consecutive samples.

    Attributes
    ----------
    counter:
        The counter at the first one, in samples.
    samples:
        How many there are.
    load:
        Whatever they are decoded from.
    lost:
        Samples lost before, where the device's own clock tells; None where only the counter does.
    missing:
        Samples that are certainly missing before, because their damaged or refused bytes were seen; at least.

    """

    counter: int
    samples: int
    load: Load
    lost: int | None = None
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Placed(Generic[Load]):
    """A run with the number of its first sample and the samples lost immediately before."""

    first: int
    gap_before: int
    load: Load


@dataclass(slots=True)
class _Held(Generic[Load]):
    run: Run[Load]
    lost: int
    more_room: float  # than before the runs held already


class Placer(Generic[Load]):
    """Numbers runs of samples.

    Parameters
    ----------
    fs_hz:
        Nominal sampling rate.
    modulus:
        Range of the counter in samples; 1 where there is none.

    Attributes
    ----------
    clock:
        Arrivals so far; knows the real rate.
    rejected:
        Runs that stepped back.

    """

    def __init__(self, fs_hz: float, modulus: int) -> None:
        self.clock = ArrivalClock(fs_hz)
        self.rejected = 0
        self._fs_hz = fs_hz
        self._modulus = modulus
        self._expected: int | None = None
        self._next = 0
        self._held: list[_Held[Load]] = []
        self._lags: list[tuple[float, float]] = []
        self._held_since_s = 0.0
        self._known_room = 0.0
        self._arrived_s = 0.0

    def place(self, runs: list[Run[Load]], now_s: float) -> list[Placed[Load]]:
        """Take runs in the order of their coming; return what can be numbered by now."""
        placed: list[Placed[Load]] = []
        coming = sum(run.samples for run in runs)
        self._arrived_s = now_s if runs else self._arrived_s
        for run in runs:
            room = self._room(now_s, coming)
            lost = self._lost_before(run, room)
            coming -= run.samples
            if lost is None:
                self.rejected += 1
                continue
            if self._held and lost and self._is_steady():
                placed += self.flush()
                room = self._room(now_s, coming + run.samples)
            if self._held:
                self._held.append(_Held(run, lost, room - self._known_room))
                self._known_room = max(room, self._known_room)
                if lost:
                    self._lags = []  # those before it do not show it
            elif self._is_ambiguous(run, lost, room):
                self._held_since_s = now_s
                self._lags = []
                self._held.append(_Held(run, lost, room))
                self._known_room = room
            else:
                placed.append(self._put(run, lost))
            self._expected = (run.counter + run.samples) % self._modulus
        if self._held and runs:
            self._lags.append((now_s, self.clock.newest(now_s) - self._assumed_newest()))
        elif runs:
            self.clock.observe(self._next - 1, now_s)
        return placed + self.release(now_s)

    def release(self, now_s: float) -> list[Placed[Load]]:
        """Return what was held, when time has told how much was lost."""
        held_s = now_s - self._held_since_s
        if len(self._held) > _MOST_HELD:
            return self.flush()
        if not self._held or held_s < HOLD_S:
            return []
        if self._lags[-1][0] - self._lags[0][0] < _STEADY_S and held_s < _LONELY_HOLD_S:
            return []  # it is silent again: nothing to judge by
        recent = [lag for at_s, lag in self._lags if at_s > now_s - HOLD_S / 2]
        older = [lag for at_s, lag in self._lags if at_s <= now_s - HOLD_S / 2]
        drained = min(older) - min(recent) if recent and older else 0.0
        if drained > _DRAINING_S * self._fs_hz and held_s < _LONGEST_HOLD_S:
            return []  # a buffer is being emptied
        return self.flush()

    def _is_steady(self) -> bool:
        """Whether what is held has been followed long enough, at a constant lag, to be decided."""
        if len(self._lags) < 2 or self._lags[-1][0] - self._lags[0][0] < _STEADY_S:
            return False
        lags = [lag for _, lag in self._lags]
        return max(lags) - min(lags) <= _DRAINING_S * self._fs_hz

    def flush(self) -> list[Placed[Load]]:
        """Return what is held, by what is known now."""
        if not self._held:
            return []
        lag = min(lag for _, lag in self._lags)
        broken = [held for held in self._held if held.lost]
        # Without any other sign of a loss, a small lag is the way's own unsteadiness.
        doubt = 0.0 if broken else _DOUBT_S * self._fs_hz
        more = max(round(lag / self._modulus), 0) * self._modulus if lag > doubt else 0
        max(broken or self._held, key=lambda held: held.more_room).lost += more
        placed = [self._put(held.run, held.lost) for held in self._held]
        self._held = []
        self.clock.observe(self._next - 1, self._arrived_s)
        return placed

    # -- one run ---------------------------------------------------------------------------------------

    def _room(self, now_s: float, coming: int) -> float:
        """Return how many samples can be missing before the next ``coming`` ones, by the host's clock."""
        if self._expected is None:
            return 0.0
        return self.clock.newest(now_s) - self._assumed_newest() - coming

    def _assumed_newest(self) -> int:
        return self._next - 1 + sum(held.lost + held.run.samples for held in self._held)

    def _lost_before(self, run: Run[Load], room: float) -> int | None:
        """Return the samples lost before a run, modulo the counter's range; None when it steps back."""
        if self._expected is None:
            return 0
        if run.lost is not None and self._is_credible(run.lost, room):
            return run.lost
        if self._modulus == 1:
            return run.missing
        lost = (run.counter - self._expected) % self._modulus
        lost += -(min(lost - run.missing, 0) // self._modulus) * self._modulus
        tells_back = self._modulus >= _SURE_RANGE_S * self._fs_hz and lost >= 0.75 * self._modulus
        return None if tells_back and not self._is_credible(lost, room) else lost

    def _is_ambiguous(self, run: Run[Load], lost: int, room: float) -> bool:
        if self._expected is None or (run.lost is not None and self._is_credible(run.lost, room)):
            return False
        if self._modulus == 1 and run.missing:
            return True
        if lost == 0 and room < max(0.75 * self._modulus, PAUSE_S * self._fs_hz):
            return False
        return self._is_credible(lost + self._modulus, room)

    def _is_credible(self, lost: int, room: float) -> bool:
        """Whether so many samples can be missing: the way delays what comes, it does not hurry it."""
        return lost <= room + _MARGIN_S * self._fs_hz

    def _put(self, run: Run[Load], lost: int) -> Placed[Load]:
        first = self._next + lost
        self._next = first + run.samples
        return Placed(first, lost, run.load)
