"""Boards that send text: one line a sample, as an Arduino with an AD8232 does.

    512                     the ECG alone
    1234567,512             time and ECG
    1234567,512,0           time, ECG and lead-off flag (0, 1 or !)
    !                       an electrode is off: a line in place of a sample

Lines end in CR, LF or both; columns are parted by comma, semicolon, tab or spaces. The time is the board's
``millis()`` or ``micros()``. What is no line of numbers (a boot banner, a line cut in half) is skipped and
counted.

Units. Whole, unsigned numbers are ADC counts: mV = (count / 2^bits - 1/2) * vref * 1000 / gain, with 10 bits,
5 V and the 1100 V/V of the AD8232 board unless told otherwise. Numbers with a sign or a decimal point are
millivolts.

Rate. From the time column (that of the board's clock); or as told; or counted over 4 s of arrival after 1 s of
settling, which is good to 1 % and never drifts within a stream since it is then kept. A count within 1.5 % of
a usual rate is taken for it. Losses show in the time column only; without one, a pause of more than a second
is all that can be seen of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .stream import BridgeError, Event, Ready, Samples, show_bytes

SILENCE_S = 5.0
MIN_FS_HZ, MAX_FS_HZ = 100.0, 4000.0
SETTLE_S, COUNT_S = 1.0, 4.0
USUAL_RATES_HZ = (100, 125, 128, 200, 250, 256, 300, 360, 400, 500, 512, 1000, 1024, 2000)
_NEAR = 0.015
_PAUSE_S = 1.0
_MAX_LINE = 256
_STAMP_TURN = 1 << 32
_MICROS_STEP = 100.0  # a step of 100 or more is no millisecond count at 100 Hz and above
_WHOLE = re.compile(rb"\d+")
_NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_PARTING = re.compile(rb"[,;\t ]+")
_ENDING = re.compile(rb"[\r\n]+")


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


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a sample (None where an electrode is off) with the board's time, if it gives one."""

    value: float | None
    stamp: float | None = None
    lead_off: bool = False
    whole: bool = True


def parse_line(text: bytes, *, timed: bool | None = None) -> Line | None:
    """Read one line without its ending; None when it is not one of ours.

    ``timed`` says whether the first of several columns is time; None for "if there are several".
    """
    fields = _PARTING.split(text.strip())
    if fields == [b"!"]:
        return Line(None, lead_off=True)
    if not 1 <= len(fields) <= 3 or (timed and len(fields) < 2):
        return None
    stamp = None
    if timed or (timed is None and len(fields) > 1):
        if not _WHOLE.fullmatch(fields[0]):
            return None
        stamp = float(fields[0])
        fields = fields[1:]
    flag = fields[1] if len(fields) > 1 else b"0"
    if flag not in (b"0", b"1", b"!") or len(fields) > 2:
        return None
    if fields[0] == b"!":
        return Line(None, stamp, lead_off=True)
    if not _NUMBER.fullmatch(fields[0]):
        return None
    value = float(fields[0])
    if not math.isfinite(value):
        return None
    return Line(value, stamp, flag != b"0", _WHOLE.fullmatch(fields[0]) is not None)


class LineSplitter:
    """Cuts a byte stream into lines; never holds more than one line of 256 bytes."""

    def __init__(self) -> None:
        self._rest = b""
        self._overlong = False
        self._begun = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are whole by now; the first, which may be cut, and empty ones are left out."""
        *lines, self._rest = _ENDING.split(self._rest + data)
        if lines and (self._overlong or not self._begun):
            lines[0] = b"?" if self._overlong else b""
            self._overlong = False
        self._begun = self._begun or bool(lines)
        if len(self._rest) > _MAX_LINE:
            self._rest, self._overlong = b"", True
        return [line if len(line) <= _MAX_LINE else b"?" for line in lines if line]


class BoardClock:
    """Follows a board's time column: counts lost samples, survives the wrap, refuses steps back."""

    def __init__(self, fs_hz: float, tick_s: float) -> None:
        self._period = 1.0 / fs_hz
        self._tick_s = tick_s
        self._last: float | None = None
        self._late_s = 0.0

    def lost_before(self, stamp: float) -> int | None:
        """Return how many samples are missing before this one; None when its time lies not after the last."""
        if self._last is None:
            self._last = stamp
            return 0
        step = stamp - self._last
        if step < -_STAMP_TURN / 2:
            step += _STAMP_TURN
        if step < 0 or step > _STAMP_TURN / 2:
            return None
        late_s = self._late_s + step * self._tick_s - self._period
        if late_s < -max(0.75 * self._period, 1.5 * self._tick_s):
            return None  # a line that came twice
        self._last = stamp
        lost = 0
        if late_s > max(0.6 * self._period, 1.5 * self._tick_s):
            lost = round(late_s / self._period)
            late_s -= lost * self._period
        self._late_s = 0.9 * late_s  # let the estimate of the rate be a little wrong
        return lost


class TextSession:
    """Reads a text board; see :class:`edge_ecg_bridge.stream.Session`.

    Attributes
    ----------
    lines_skipped:
        Lines that held no sample.

    """

    def __init__(self, settings: TextSettings | None = None) -> None:
        self.settings = settings or TextSettings()
        self.lines_skipped = 0
        self.finished = False
        self._splitter = LineSplitter()
        self._events: list[Event] = []
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

    def bytes_to_send(self) -> bytes:
        """Return nothing: these boards send without being asked."""
        return b""

    def events(self) -> list[Event]:
        """Return what has happened since the last call."""
        events, self._events = self._events, []
        return events

    def stop(self, now_s: float) -> None:
        """Stop listening."""
        self.finished = True

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
                self.lines_skipped += 1
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
            self._deliver(lines)

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
        stamps = np.array([line.stamp for _, line in self._early if line.stamp is not None])
        if self.settings.fs_hz is not None:
            if now_s - self._first_s < SETTLE_S:
                return
            fs_hz, tick_s = self.settings.fs_hz, self._tick_s(stamps)
        elif len(stamps) > len(self._early) // 2:
            if self._early[-1][0] - self._early[0][0] < SETTLE_S or len(stamps) < MIN_FS_HZ / 2:
                return
            tick_s = self._tick_s(stamps)
            fs_hz = _rate_of(stamps, tick_s)
        else:
            span_s = self._early[-1][0] - self._early[0][0]
            if span_s < COUNT_S:
                return
            fs_hz, tick_s = _nearest_usual(_counted_rate(self._early)), 0.0
        if not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
            raise BridgeError(
                f"The board sends {fs_hz:.0f} lines a second; the ECG needs {MIN_FS_HZ:g} to {MAX_FS_HZ:g}.",
                why="At 9600 baud more than about 190 lines a second do not fit."
                if fs_hz < MIN_FS_HZ
                else "",
                remedy="Let its sketch print 250 lines a second at 115200 baud, or give the true rate as ?fs=250.",
            )
        self._fs_hz = fs_hz
        self._clock = BoardClock(fs_hz, tick_s) if len(stamps) else None
        values = [line for _, line in self._early if line.value is not None]
        if self.settings.unit == "auto":
            self._counts = all(line.whole for line in values)
        else:
            self._counts = self.settings.unit == "adc"
        early, self._early = [line for _, line in self._early], []
        unit = "adc" if self._counts else self.settings.unit.replace("auto", "mv")
        timed = {0.0: "none", 1e-3: "ms", 1e-6: "us"}[tick_s if len(stamps) else 0.0]
        self._events.append(Ready("text", fs_hz, {"unit": unit, "time": timed, "rate": self._rate_origin()}))
        self._deliver(early)

    def _tick_s(self, stamps: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
        if self.settings.time in ("ms", "us"):
            return 1e-3 if self.settings.time == "ms" else 1e-6
        if len(stamps) < 2:
            return 1e-3
        return 1e-6 if float(np.median(np.diff(stamps))) >= _MICROS_STEP else 1e-3

    def _rate_origin(self) -> str:
        if self.settings.fs_hz is not None:
            return "given"
        return "board's clock" if self._clock else "counted"

    # -- samples ---------------------------------------------------------------------------------------

    def _deliver(self, lines: Sequence[Line]) -> None:
        values: list[float] = []
        off: list[bool] = []
        clipped: list[bool] = []

        def emit(gap_before: int) -> None:
            if values:
                self._events.append(
                    Samples(
                        np.array(values),
                        self._next - len(values),
                        gap_before,
                        np.array(off),
                        np.array(clipped),
                    )
                )
            values.clear()
            off.clear()
            clipped.clear()

        gap = 0
        for line in lines:
            lost: int | None = self._lost
            if self._clock is not None:
                lost = self._clock.lost_before(line.stamp) if line.stamp is not None else 0
            if lost is None:
                self.lines_skipped += 1
                continue
            self._lost = 0
            if lost:
                emit(gap)
                gap = lost if self._next else 0
                self._next += gap
            if line.value is not None:
                self._value_mv = self._to_mv(line.value)
            values.append(self._value_mv)
            off.append(line.lead_off)
            clipped.append(self._counts and line.value in (0.0, 2.0**self.settings.adc_bits - 1))
            self._next += 1
        emit(gap)

    def _to_mv(self, value: float) -> float:
        settings = self.settings
        if not self._counts:
            return value * {"uv": 1e-3, "v": 1e3}.get(settings.unit, 1.0)
        if not 0 <= value < 2**settings.adc_bits:
            raise BridgeError(
                f"The board sent {value:g}, which is no count of a {settings.adc_bits}-bit converter.",
                remedy="Give the board's own numbers after the port, such as ?adc_bits=12&vref=3.3, or ?unit=mv.",
            )
        return (value / 2**settings.adc_bits - 0.5) * settings.vref * 1000.0 / settings.gain


def _rate_of(stamps: np.ndarray[tuple[int], np.dtype[np.float64]], tick_s: float) -> float:
    """Return the sampling rate by the board's clock; steps across losses are left out."""
    steps = np.diff(stamps)
    steps = steps[steps > 0]
    if not len(steps):
        return math.inf
    usual = steps[steps <= np.median(steps) * 1.6 + 1.0]
    return float(1.0 / (np.mean(usual) * tick_s))


def _counted_rate(early: Sequence[tuple[float, Line]]) -> float:
    """Return lines per second of arrival; those of the first moment arrived before it."""
    first, last = early[0][0], early[-1][0]
    return sum(at > first for at, _ in early) / (last - first)


def _nearest_usual(fs_hz: float) -> float:
    usual = min(USUAL_RATES_HZ, key=lambda rate: abs(rate - fs_hz))
    return float(usual) if abs(usual - fs_hz) <= _NEAR * fs_hz else fs_hz
