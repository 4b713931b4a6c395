"""Where a device's samples lie in the stream's own count and time, across interruptions.

Every connection of a device counts from 0; the stream that people see goes on. How long an interruption was
is asked of the device's own clock where it kept running, which is right to the sample; else of the host's. A
clock that turns over, or a device that was switched off and on, is found out by comparing the two.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from edge_ecg_bridge.stream import BridgeError, DeviceClock, Samples

from ..samples import SampleBlock

# How far a device's clock and the host's may be apart over an interruption: what waits in radios and buffers,
# and what a quartz drifts.
_TOLERANCE_S, _DRIFT = 1.0, 1e-3
_RATE_SPAN_S = 10.0


class _Place(NamedTuple):
    """A sample: its number and time in the stream, and its time in its connection (seconds)."""

    number: int
    time_s: float
    own_s: float


class Timeline:
    """Numbers and times samples from their connection's count to the stream's, which never goes back.

    Attributes
    ----------
    end_s:
        Device time just after the last sample.

    """

    def __init__(self, fs_hz: float) -> None:
        self.end_s = 0.0
        self._fs_hz = fs_hz
        self._interrupted = False
        self._offset = 0
        self._offset_s = 0.0
        self._rounded_off = 0.0
        self._first: _Place | None = None
        self._last: _Place | None = None
        self._last_now_s = 0.0
        self._timed = False
        self._clock: DeviceClock | None = None

    def interrupt(self) -> None:
        """Note that the next samples come from a new connection, which counts from 0 again."""
        self._interrupted = self._last is not None

    @property
    def interrupted(self) -> bool:
        """Whether the next samples come after an interruption."""
        return self._interrupted

    def place(
        self, samples: list[Samples], arrived_s: float, now_s: float, clock: DeviceClock | None
    ) -> list[SampleBlock]:
        """Turn samples that came together into blocks of the stream.

        Parameters
        ----------
        samples:
            In order.
        arrived_s, now_s:
            When the last of them arrived, by the host's clock and by the transports' (which is one clock for
            all connections).
        clock:
            The device's own clock at this connection's sample 0.

        Raises
        ------
        BridgeError
            When samples have device times where those before the interruption had none, or the reverse.

        """
        samples = [event for event in samples if len(event.ecg_mv)]
        if not samples:
            return []
        if self._interrupted:
            self._resume(samples, now_s, clock)
        blocks = [self._block(event, arrived_s) for event in samples]
        self._last_now_s, self._clock = now_s, clock
        return blocks

    def _block(self, event: Samples, arrived_s: float) -> SampleBlock:
        time_s = event.time_s
        block = SampleBlock(
            event.ecg_mv,
            self._fs_hz,
            event.first_sample + self._offset,
            event.gap_before,
            event.lead_off,
            event.saturated,
            time_s if time_s is None or self._offset_s == 0.0 else time_s + self._offset_s,
            event.acceleration_g,
            arrived_s,
        )
        if self._last is not None and block.first_sample - self._last.number - 1 > block.gap_before:
            block = replace(block, gap_before=block.first_sample - self._last.number - 1)
        if self._first is None:
            self._first = _Place(block.first_sample, block.start_s, self._own_s(event, 0))
            self._timed = time_s is not None
        number = block.first_sample + len(block) - 1
        self._last = _Place(number, block.last_s, self._own_s(event, -1))
        self.end_s = block.end_s
        return block

    def _resume(self, samples: list[Samples], now_s: float, clock: DeviceClock | None) -> None:
        """Find out how long the interruption was, and count on behind it."""
        assert self._last is not None, "only what had begun can be interrupted"
        if (samples[0].time_s is not None) != self._timed:
            raise BridgeError(
                "The device that came back is another one.",
                why="Its samples carry times where those before had none, or the other way round.",
                remedy="Connect the first one again, or start a new session.",
            )
        first_s, newest_s = self._own_s(samples[0], 0), self._own_s(samples[-1], -1)
        elapsed_s = max(now_s - (newest_s - first_s) - self._last_now_s, 0.0)
        by_device = device_elapsed_s(self._clock, self._last.own_s, clock, first_s, elapsed_s)
        if by_device is not None:
            elapsed_s = by_device
        # After an interruption nothing proves that no sample is missing: one at least is.
        steps = elapsed_s * self._rate_hz() + self._rounded_off
        lost = max(round(steps) - 1, 1)
        # What is rounded off is made good the next time, so that it does not add up.
        self._rounded_off = min(max(steps - round(steps), -0.5), 0.5)
        self._offset = self._last.number + 1 + lost - samples[0].first_sample
        self._offset_s = self._last.time_s + max(elapsed_s, 2.0 / self._fs_hz) - first_s
        self._interrupted = False

    def _own_s(self, event: Samples, index: int) -> float:
        if event.time_s is not None:
            return float(event.time_s[index])
        return (event.first_sample + index % len(event.ecg_mv)) / self._fs_hz

    def _rate_hz(self) -> float:
        """Samples a second of device time: the nominal rate, or what the times so far say."""
        assert self._first is not None
        assert self._last is not None
        span_s = self._last.time_s - self._first.time_s
        if not self._timed or span_s < _RATE_SPAN_S:
            return self._fs_hz
        return (self._last.number - self._first.number) / span_s


def device_elapsed_s(
    before: DeviceClock | None, last_s: float, after: DeviceClock | None, first_s: float, host_s: float
) -> float | None:
    """Return the time between samples of two connections by the device's own clock; None if it cannot tell.

    Parameters
    ----------
    before, after:
        The clock at sample 0 of each connection.
    last_s, first_s:
        When the samples were taken, seconds from their connection's sample 0.
    host_s:
        About how long it was by the host's clock.

    """
    if before is None or after is None or before.turn_s != after.turn_s:
        return None
    elapsed_s = (after.at_s + first_s) - (before.at_s + last_s)
    tolerance_s = _TOLERANCE_S + _DRIFT * host_s
    if after.turn_s is not None:
        if after.turn_s < 4.0 * tolerance_s:
            return None
        elapsed_s += round((host_s - elapsed_s) / after.turn_s) * after.turn_s
    return elapsed_s if elapsed_s > 0.0 and abs(elapsed_s - host_s) <= tolerance_s else None
