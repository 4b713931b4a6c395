"""A whole conversation with a BITalino: stop what runs, ask its version, set the rate, stream, stop."""

from __future__ import annotations

from ..counting import QUIET_S, CountedSession, Found, Placed, Placer, Run, TimeLine
from ..stream import ByteArray, Detail, Ready, Samples
from . import wire
from .setup import BitalinoSettings, never_quiet, no_answer, silent

SILENCE_S = 5.0
_QUIET_LIMIT_S = 1.0
_ANSWER_S = 1.0
_TRIES = 3
_SEEN_BYTES = 256


class BitalinoSession(CountedSession):
    """Drives one BITalino; see :class:`edge_ecg_bridge.stream.Session`.

    Parameters
    ----------
    settings:
        Rate and channels.

    """

    def __init__(self, settings: BitalinoSettings | None = None) -> None:
        self.settings = settings or BitalinoSettings()
        channels = self.settings.channels
        super().__init__(
            wire.BitalinoFramer(len(channels)),
            Placer(self.settings.fs_hz, wire.SEQUENCE_RANGE),
            stop_command=wire.STOP,
        )
        self._place_of_ecg = channels.index(self.settings.ecg_channel)
        self._bits = wire.bits_of(self._place_of_ecg)
        self._time = TimeLine(self.settings.fs_hz)
        self._seen = bytearray()
        self._asked = self._streaming = False
        self._tries = 0
        self._asked_s = self._good_s = 0.0

    # -- the session protocol --------------------------------------------------------------------------

    def start(self, now_s: float) -> None:
        """Stop a stream that may be running; its version is asked when it is quiet."""
        self._tell_to_stop(now_s)
        self._heard_s = now_s

    def receive(self, data: bytes, now_s: float) -> None:
        """Take bytes from the device in any pieces."""
        if not data or self.finished:
            return
        self._heard_s = now_s
        if self._streaming:
            found = self._framer.feed(data)
            if found:
                self._good_s = now_s
            self._place(found, now_s)
            return
        self._seen = (self._seen + data)[-_SEEN_BYTES:]
        if self._asked and (version := wire.parse_version(bytes(self._seen))) and b"\n" in self._seen:
            self._begin(version, now_s)

    def on_time(self, now_s: float) -> None:
        """Let deadlines pass.

        Raises
        ------
        BridgeError
            When the device does not stop, does not answer, or has sent no frame for 5 s.

        """
        if self._stop_by_s is not None:
            self._wind_up(now_s)
        elif self._streaming:
            self._let_pass(now_s)
            if now_s - self._good_s >= SILENCE_S:
                raise silent(bytes_come=now_s - self._heard_s < SILENCE_S, limit_s=SILENCE_S)
        elif not self._asked:
            self._wait_until_quiet(now_s)
        elif now_s - self._asked_s >= _ANSWER_S:
            if self._tries >= _TRIES:
                raise no_answer(bytes(self._seen))
            self._ask(now_s)

    # -- setting up ------------------------------------------------------------------------------------

    def _tell_to_stop(self, now_s: float) -> None:
        self._tries += 1
        self._out += wire.STOP
        self._asked_s = now_s

    def _wait_until_quiet(self, now_s: float) -> None:
        if now_s - self._heard_s >= QUIET_S:
            self._asked = True
            self._tries = 0
            self._ask(now_s)
        elif now_s - self._asked_s >= _QUIET_LIMIT_S:
            if self._tries > _TRIES:
                raise never_quiet(bytes(self._seen))
            self._tell_to_stop(now_s)

    def _ask(self, now_s: float) -> None:
        self._tries += 1
        self._seen.clear()
        self._out += wire.GET_VERSION
        self._asked_s = now_s

    def _begin(self, version: tuple[int, int], now_s: float) -> None:
        settings = self.settings
        self._out += wire.rate_command(settings.fs_hz) + wire.start_command(settings.channels)
        self._streaming = True
        self._good_s = now_s
        details: dict[str, Detail] = {
            "firmware": f"{version[0]}.{version[1]}",
            "channel": f"A{settings.ecg_channel}",
            "channels": " ".join(f"A{channel}" for channel in settings.channels),
            "bits": self._bits,
        }
        self._events.append(Ready("bitalino", float(settings.fs_hz), details))

    # -- streaming -------------------------------------------------------------------------------------

    def _run(self, found: Found) -> Run[ByteArray]:
        rows = found.rows
        return Run(int(rows[0, -1] >> 4), len(rows), rows, missing=found.refused)

    def _deliver(self, placed: list[Placed[ByteArray]]) -> None:
        for run in placed:
            raw = wire.counts(run.load, self._place_of_ecg)
            self._events.append(
                Samples(
                    wire.to_mv(raw, self._bits),
                    run.first,
                    run.gap_before,
                    saturated=(raw == 0) | (raw == (1 << self._bits) - 1),
                    time_s=self._time.times(run.first, len(raw), self._placer.clock.rate_hz),
                )
            )
