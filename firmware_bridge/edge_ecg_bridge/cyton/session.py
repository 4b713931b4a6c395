"""A whole conversation with a Cyton: stop what runs, reset, set up, stream, stop."""

from __future__ import annotations

from ..counting import QUIET_S, ArrivalClock, CountedSession, Found, Placed, Placer, Run, TimeLine
from ..stream import ByteArray, Ready, Samples
from . import packets, wire
from .packets import CytonFramer
from .setup import Ask, CytonSettings, never_quiet, radio_failure, set_up, silent

SILENCE_S = 5.0
_QUIET_LIMIT_S = 1.0
_QUIET_TRIES = 3
_RADIO_LOST_S = 1.0
_RADIO_RETRY_S = 0.5
_CLOCK_RESET = 125  # packets
_STAMP_ERROR_S = 0.1
_SEEN_BYTES = 512
_STAMP_RANGE_MS = 1 << 32


class CytonSession(CountedSession):
    """Drives one Cyton; see :class:`edge_ecg_bridge.stream.Session`.

    Parameters
    ----------
    settings:
        Channel, gain, reference, clock.

    """

    def __init__(self, settings: CytonSettings | None = None) -> None:
        super().__init__(CytonFramer(), Placer(wire.FS_HZ, wire.NUMBER_RANGE), stop_command=wire.STOP)
        self.settings = settings or CytonSettings()
        self._dialogue = set_up(self.settings)
        self._step: Ask | None = None
        self._tries = 0
        self._asked_s = self._good_s = 0.0
        self._seen = bytearray()
        self._streaming = False
        self._board_clock = ArrivalClock(wire.FS_HZ)
        self._time = TimeLine(wire.FS_HZ)
        self._accelerometer = packets.Accelerometer()
        self._stamp_ms = -1
        self._number = 0
        self._back = 0
        self._delivered_ms = self._delivered = 0
        self._board_s = 0.0

    # -- the session protocol --------------------------------------------------------------------------

    def start(self, now_s: float) -> None:
        """Stop a stream that may be running; the dialogue begins when it is quiet."""
        self._out += wire.STOP
        self._tries = 1
        self._asked_s = self._heard_s = now_s

    def receive(self, data: bytes, now_s: float) -> None:
        """Take bytes from the dongle.

        Raises
        ------
        BridgeError
            When it turns out to be something else, or the dongle has lost its board.

        """
        if not data or self.finished:
            return
        self._heard_s = now_s
        if self._streaming:
            self._receive_stream(data, now_s)
            return
        self._seen += data
        if self._step is not None and wire.END in self._seen:
            answer, _, rest = bytes(self._seen).partition(wire.END)
            self._seen = bytearray(rest)
            self._take_answer(self._step, answer, now_s)
        elif len(self._seen) > 8 * _SEEN_BYTES:
            del self._seen[:-_SEEN_BYTES]

    def on_time(self, now_s: float) -> None:
        """Let deadlines pass.

        Raises
        ------
        BridgeError
            When the board does not answer, does not stop, or has sent no packet for 5 s.

        """
        if self._stop_by_s is not None:
            self._wind_up(now_s)
        elif self._streaming:
            self._let_pass(now_s)
            if now_s - self._good_s >= SILENCE_S:
                raise silent(bytes(self._seen[-24:]) if now_s - self._heard_s < SILENCE_S else b"", SILENCE_S)
        elif self._step is None:
            self._wait_until_quiet(now_s)
        elif now_s - self._asked_s >= self._step.timeout_s:
            if self._tries < self._step.tries:
                self._ask(self._step, now_s)
            else:
                self._advance(None, now_s)

    # -- setting up ------------------------------------------------------------------------------------

    def _wait_until_quiet(self, now_s: float) -> None:
        if now_s - self._heard_s >= QUIET_S:
            self._step = next(self._dialogue)
            self._tries = 0
            self._ask(self._step, now_s)
        elif now_s - self._asked_s >= _QUIET_LIMIT_S:
            if self._tries >= _QUIET_TRIES:
                raise never_quiet(bytes(self._seen[-24:]))
            self._tries += 1
            self._out += wire.STOP
            self._asked_s = now_s

    def _ask(self, step: Ask, now_s: float) -> None:
        self._seen.clear()
        self._tries += 1
        self._out += step.command
        self._asked_s = now_s

    def _take_answer(self, step: Ask, answer: bytes, now_s: float) -> None:
        if wire.RADIO_FAILURE in answer:
            if self._tries >= step.tries:
                raise radio_failure()
            # A board that has just been switched on may not be heard at once.
            self._asked_s = now_s - step.timeout_s + _RADIO_RETRY_S
        elif step.command == wire.RESET or wire.parse_greeting(answer) is None:
            self._advance(answer, now_s)

    def _advance(self, answer: bytes | None, now_s: float) -> None:
        try:
            self._step = self._dialogue.send(answer)
        except StopIteration as done:
            self._streaming = True
            self._good_s = now_s
            self._out += wire.START
            self._events.append(Ready("cyton", wire.FS_HZ, done.value))
            self._seen.clear()
            return
        self._tries = 0
        self._ask(self._step, now_s)

    # -- streaming -------------------------------------------------------------------------------------

    def _receive_stream(self, data: bytes, now_s: float) -> None:
        self._seen = (self._seen + data)[-_SEEN_BYTES:]
        found = self._framer.feed(data)
        if found:
            self._good_s = now_s
        elif wire.RADIO_FAILURE in self._seen and now_s - self._good_s >= _RADIO_LOST_S:
            raise radio_failure()
        self._place(found, now_s)

    def _run(self, found: Found) -> Run[ByteArray]:
        """Describe a run of packets; by the board's clock, where it has one, no loss is ambiguous."""
        rows = found.rows
        stamps, number = packets.stamps_ms(rows), int(rows[0, 1])
        lost: int | None = None
        if stamps[0] >= 0 and self._stamp_ms >= 0:
            step_ms = (int(stamps[0]) - self._stamp_ms) % _STAMP_RANGE_MS
            if step_ms < _STAMP_RANGE_MS // 2:
                lost = (number - self._number - 1) % wire.NUMBER_RANGE
                about = step_ms * 1e-3 * self._board_clock.rate_hz - 1.0
                lost += max(round((about - lost) / wire.NUMBER_RANGE), 0) * wire.NUMBER_RANGE
            elif self._back < _CLOCK_RESET:
                # Packets out of order, or damaged stamps: the numbers will tell.
                self._back += len(rows)
                return Run(number, len(rows), rows)
        self._back = 0
        self._stamp_ms, self._number = int(stamps[-1]), int(rows[-1, 1])
        return Run(number, len(rows), rows, lost)

    def _deliver(self, placed: list[Placed[ByteArray]]) -> None:
        for run in placed:
            rows = run.load
            if run.gap_before:
                self._accelerometer.forget()
            raw = packets.counts(rows, self.settings.channel)
            self._events.append(
                Samples(
                    packets.to_mv(raw, self.settings.gain),
                    run.first,
                    run.gap_before,
                    saturated=packets.clipped(raw),
                    time_s=self._time.times(run.first, len(rows), self._rate_hz(rows, run.first)),
                    # NaN before the first reading: a recording has the columns that the first samples have.
                    acceleration_g=self._accelerometer.follow(rows),
                )
            )

    def _rate_hz(self, rows: ByteArray, first: int) -> float:
        """Return the real rate: by the board's clock where packets carry it, else by their arrival."""
        stamp_ms, number = int(packets.stamps_ms(rows)[-1]), first + len(rows) - 1
        if stamp_ms < 0:
            return self._placer.clock.rate_hz
        step_s = (stamp_ms - self._delivered_ms) % _STAMP_RANGE_MS * 1e-3
        expected_s = (number - self._delivered) / wire.FS_HZ
        if abs(step_s - expected_s) > _STAMP_ERROR_S + 0.05 * expected_s:  # the board's clock was set
            self._board_clock = ArrivalClock(wire.FS_HZ)
            step_s = expected_s
        self._board_s += step_s
        self._delivered_ms, self._delivered = stamp_ms, number
        self._board_clock.observe(number, self._board_s)
        return self._board_clock.rate_hz
