"""Listening to a text board: what its columns are, how fast it is, and millivolts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..session_base import SessionBase
from ..stream import (
    UNSEEN_LOSS_MS,
    BridgeError,
    Detail,
    DeviceClock,
    FloatArray,
    Ready,
    Samples,
    show_bytes,
)
from .lines import Line, LineSplitter, parse_line
from .timing import NEAR, BoardClock, counted_rate, rate_of, tick_of

SILENCE_S = 5.0
MIN_FS_HZ, MAX_FS_HZ = 100.0, 4000.0
SETTLE_S, COUNT_S = 1.0, 4.0
_PAUSE_S = 1.0
# No board that can be used prints so many lines while its rate is being found out.
_MAX_EARLY = round(MAX_FS_HZ * (SETTLE_S + COUNT_S + 1.0))
# So many counts in a row beyond the converter's range are no damage: the settings are wrong.
_MISFITS = 10
# No electrode gives more, whatever the unit: one such number would shake every filter behind, and a recording
# that holds it is refused.
_LARGEST_MV = 1e4
# Numbers that are not whole among so many whole ones are damage.
_FEW = 0.02


@dataclass(frozen=True, slots=True)
class TextSettings:
    """How to read a board's lines.

    Attributes
    ----------
    fs_hz:
        The board's rate; None to find out.
    time:
        ``ms``, ``us``, ``none``, or ``auto``: a first column beside another one is time.
    unit:
        ``adc``, ``mv``, ``uv``, ``v`` or ``auto``.
    adc_bits, vref, gain:
        What turns ADC counts into millivolts at the electrodes.

    """

    fs_hz: float | None = None
    time: str = "auto"
    unit: str = "auto"
    adc_bits: int = 10
    vref: float = 5.0
    gain: float = 1100.0


class TextSession(SessionBase):
    """Reads a text board; see :class:`edge_ecg_bridge.stream.Session`."""

    def __init__(self, settings: TextSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or TextSettings()
        self._lines_skipped = 0
        self._misfits = 0
        self._misfits_in_a_row = 0
        self._splitter = LineSplitter()
        self._early: list[tuple[float, Line]] = []
        self._fs_hz: float | None = None
        self._counts = True
        self._clock: BoardClock | None = None
        self._next = 0
        self._lost = 0
        self._value_mv = 0.0
        self._began_s = 0.0
        self._heard_s = 0.0
        self._first_s: float | None = None
        self._good_s = 0.0
        self._seen = bytearray()

    # -- the session protocol --------------------------------------------------------------------------

    def start(self, now_s: float) -> None:
        """Begin to listen."""
        self._began_s = self._heard_s = self._good_s = now_s

    @property
    def device_clock(self) -> DeviceClock | None:
        """The board's time column, where it prints one; a board that was reset begins it anew."""
        return None if self._clock is None else self._clock.device_clock(self._next + self._lost - 1)

    def stop(self, now_s: float) -> None:
        """Stop listening."""
        self.finished = True

    @property
    def counters(self) -> Mapping[str, int]:
        """Return what was thrown away.

        ``lines_skipped`` could not be read; ``packets_rejected`` are lines whose time was wrong or whose
        number no converter or electrode gives, ``duplicates`` those that stepped back in time.
        """
        clock = self._clock
        return {
            "lines_skipped": self._lines_skipped,
            "packets_rejected": self._misfits + (clock.rejected if clock else 0),
            "duplicates": clock.duplicates if clock else 0,
        }

    def receive(self, data: bytes, now_s: float) -> None:
        """Take bytes from the board.

        Raises
        ------
        BridgeError
            When numbers do not fit the settings or no rate can be made of them.

        """
        if not data:
            return
        self._heard_s = now_s
        self._seen = (self._seen + data)[-64:]
        timed = None if self.settings.time == "auto" else self.settings.time != "none"
        lines = []
        for text in self._splitter.feed(data):
            line = parse_line(text, timed=timed)
            if line is None:
                self._lines_skipped += 1
                self._lost += self._fs_hz is not None and self._clock is None
            else:
                lines.append(line)
        if not lines:
            return
        pause_s = now_s - self._good_s
        self._good_s = now_s
        if self._fs_hz is None:
            self._settle(lines, now_s)
        else:
            if self._clock is None and pause_s > _PAUSE_S:
                self._lost += max(round(pause_s * self._fs_hz) - len(lines), 0)
            self._deliver(lines, now_s)

    def on_time(self, now_s: float) -> None:
        """Let deadlines pass.

        Raises
        ------
        BridgeError
            When nothing, or nothing readable, came for 5 s.

        """
        if now_s - self._heard_s >= SILENCE_S:
            raise BridgeError(
                f"No bytes from the board for {SILENCE_S:g} s.",
                why="It is off, it waits to be asked, or its sketch does not print.",
                remedy="Check its cable and its sketch; a Shimmer3 waits to be asked: leave out --device.",
            )
        if now_s - self._good_s >= SILENCE_S:
            raise BridgeError(
                f"The board sends bytes, but no line of numbers for {SILENCE_S:g} s.",
                why=f"It sent {show_bytes(bytes(self._seen[-24:]))}.",
                remedy="Give the baud rate of its sketch, such as ?baud=9600 or ?baud=57600, after the port.",
            )

    # -- finding out -----------------------------------------------------------------------------------

    def _settle(self, lines: Sequence[Line], now_s: float) -> None:
        """Collect lines until rate and unit are known, then deliver what was collected."""
        if self._first_s is None:
            self._first_s = now_s
        if now_s - self._first_s < SETTLE_S and self.settings.fs_hz is None:
            return  # the burst of what had been waiting in buffers
        self._early.extend((now_s, line) for line in lines)
        if len(self._early) > _MAX_EARLY:
            raise _impossible(len(self._early) / max(now_s - self._early[0][0], 1e-3))
        stamps = np.array([line.stamp for _, line in self._early if line.stamp is not None])
        if self.settings.fs_hz is not None:
            if now_s - self._first_s < SETTLE_S:
                return
            fs_hz, tick_s = self.settings.fs_hz, self._tick_s(stamps)
        elif len(stamps) > len(self._early) // 2:
            if self._early[-1][0] - self._early[0][0] < SETTLE_S or len(stamps) < MIN_FS_HZ / 2:
                return
            tick_s = self._tick_s(stamps)
            fs_hz = rate_of(stamps, tick_s)
        else:
            span_s = self._early[-1][0] - self._early[0][0]
            if span_s < COUNT_S:
                return
            fs_hz, tick_s = counted_rate([at for at, _ in self._early]), 0.0
        if fs_hz >= MIN_FS_HZ * (1.0 - NEAR):  # a board of 100 Hz whose clock reads 99.9
            fs_hz = max(fs_hz, MIN_FS_HZ)
        if not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
            raise _impossible(fs_hz)
        self._fs_hz = fs_hz
        self._clock = BoardClock(fs_hz, tick_s) if len(stamps) else None
        values = [line for _, line in self._early if line.value is not None]
        if self.settings.unit == "auto":
            self._counts = sum(not line.whole for line in values) <= len(values) * _FEW
        else:
            self._counts = self.settings.unit == "adc"
        early, self._early = [line for _, line in self._early], []
        unit = "adc" if self._counts else self.settings.unit.replace("auto", "mv")
        timed = {0.0: "none", 1e-3: "ms", 1e-6: "us"}[tick_s if len(stamps) else 0.0]
        details: dict[str, Detail] = {"unit": unit, "time": timed, "rate": self._rate_origin()}
        if self._clock is None:
            details[UNSEEN_LOSS_MS] = round(_PAUSE_S * 1e3)
        self._events.append(Ready("text", fs_hz, details))
        self._deliver(early, now_s)

    def _tick_s(self, stamps: FloatArray) -> float:
        return {"ms": 1e-3, "us": 1e-6}.get(self.settings.time) or tick_of(stamps)

    def _rate_origin(self) -> str:
        if self.settings.fs_hz is not None:
            return "given"
        return "board's clock" if self._clock else "counted"

    # -- samples ---------------------------------------------------------------------------------------

    def _deliver(self, lines: Sequence[Line], now_s: float) -> None:
        values: list[float] = []
        off: list[bool] = []
        clipped: list[bool] = []

        def emit(gap_before: int) -> None:
            if values:
                first = self._next - len(values)
                block = Samples(np.array(values), first, gap_before, np.array(off), np.array(clipped))
                self._events.append(block)
            values.clear()
            off.clear()
            clipped.clear()

        gap = 0
        for lost, line in self._in_time(lines, now_s):
            missing = self._lost + lost
            self._lost = 0
            if not self._fits(line):
                self._lost = missing + 1
                continue
            if missing:
                emit(gap)
                gap = missing if self._next else 0
                self._next += gap
            if line.value is not None:
                self._value_mv = self._to_mv(line.value)
            values.append(self._value_mv)
            off.append(line.lead_off)
            clipped.append(self._counts and line.value in (0.0, 2.0**self.settings.adc_bits - 1))
            self._next += 1
        emit(gap)

    def _in_time(self, lines: Sequence[Line], now_s: float) -> list[tuple[int, Line]]:
        """Return the lines that are to be believed, each with the samples that its time says are missing."""
        if self._clock is None:
            return [(0, line) for line in lines]
        return [pair for line in lines for pair in self._clock.take(line, now_s)]

    def _fits(self, line: Line) -> bool:
        """Whether a converter or electrode gives such numbers; BridgeError when many in a row do not fit."""
        if line.value is None or self._is_possible(line.value):
            self._misfits_in_a_row = 0
            return True
        self._misfits += 1
        self._misfits_in_a_row += 1
        if self._misfits_in_a_row >= _MISFITS and not self._counts:
            raise BridgeError(
                f"The board sent {line.value:g}, which would be {self._to_mv(line.value) / 1000.0:.3g} V.",
                why="No electrode gives that: its numbers are in another unit.",
                remedy="Give their unit after the port, such as ?unit=uv.",
            )
        if self._misfits_in_a_row >= _MISFITS:
            raise BridgeError(
                f"The board sent {line.value:g}, which is no count of a "
                f"{self.settings.adc_bits}-bit converter.",
                remedy="Give the board's numbers after the port, such as ?adc_bits=12&vref=3.3, or ?unit=mv.",
            )
        return False

    def _is_possible(self, value: float) -> bool:
        if self._counts:
            return 0.0 <= value < 2.0**self.settings.adc_bits
        return abs(self._to_mv(value)) <= _LARGEST_MV

    def _to_mv(self, value: float) -> float:
        settings = self.settings
        if not self._counts:
            return value * {"uv": 1e-3, "v": 1e3}.get(settings.unit, 1.0)
        return (value / 2.0**settings.adc_bits - 0.5) * settings.vref * 1000.0 / settings.gain


def _impossible(fs_hz: float) -> BridgeError:
    return BridgeError(
        f"The board sends {fs_hz:.0f} lines a second; the ECG needs {MIN_FS_HZ:g} to {MAX_FS_HZ:g}.",
        why="At 9600 baud no more than about 190 lines a second fit." if fs_hz < MIN_FS_HZ else "",
        remedy="Let its sketch print 250 lines a second at 115200 baud, or give the rate as ?fs=250.",
    )
