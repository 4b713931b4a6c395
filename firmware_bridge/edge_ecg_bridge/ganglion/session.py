"""A whole conversation with a Ganglion: stop, ask its version, accelerometer on or off, stream, stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..counting import Placed, Placer, Run, TimeLine
from ..session_base import SessionBase
from ..stream import Detail, FloatArray, Ready, Samples
from . import wire
from .packets import GanglionDecoder, Packet
from .replays import ReplayFilter
from .setup import GanglionSettings, no_version, silent

SILENCE_S = 5.0
_QUIET_S = 0.3
_QUIET_LIMIT_S = 1.0
_ANSWER_S = 3.0
_TRIES = 3
_STOP_S = 1.0
_TEXT_BYTES = 2048


@dataclass(slots=True)
class _Stretch:
    """Packets without a hole between them."""

    first: int = 0
    gap_before: int = 0
    counts: list[NDArray[np.int64]] = field(default_factory=list)
    acceleration_g: list[FloatArray] = field(default_factory=list)


class GanglionSession(SessionBase):
    """Drives one Ganglion; see :class:`edge_ecg_bridge.stream.Session`.

    ``receive`` takes notifications: one, or several of 20 bytes joined.

    Parameters
    ----------
    settings:
        Channel, accelerometer, firmware.

    """

    def __init__(self, settings: GanglionSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or GanglionSettings()
        self._text = bytearray()
        self._version: tuple[int, ...] | None = None
        self._decoder: GanglionDecoder | None = None
        self._replays = ReplayFilter(1)
        self._placer: Placer[Packet] = Placer(wire.FS_HZ, 1)
        self._time = TimeLine(wire.FS_HZ)
        self._spoilt = self._spoilt_in_all = 0
        self._step = 0
        self._tries = 0
        self._asked_s = self._heard_s = self._good_s = 0.0
        self._stop_by_s: float | None = None

    # -- the session protocol --------------------------------------------------------------------------

    def start(self, now_s: float) -> None:
        """Stop a stream that may be running."""
        self._out += wire.STOP
        self._asked_s = self._heard_s = now_s

    @property
    def counters(self) -> Mapping[str, int]:
        """Return what was thrown away so far; ``samples_spoilt`` came, but behind a lost packet."""
        decoder = self._decoder
        return {
            "packets_rejected": (decoder.packets_rejected if decoder else 0) + self._placer.rejected,
            "duplicates": (decoder.duplicates if decoder else 0) + self._replays.replays,
            "samples_spoilt": self._spoilt_in_all,
        }

    def receive(self, data: bytes, now_s: float) -> None:
        """Take one notification, or several of 20 bytes joined."""
        if not data or self.finished:
            return
        self._heard_s = now_s
        runs: list[Run[Packet]] = []
        for begin in range(0, len(data), wire.PACKET_SIZE):
            piece = data[begin : begin + wire.PACKET_SIZE]
            if piece[0] in (wire.TEXT_PART_ID, wire.TEXT_END_ID):
                self._text = (self._text + piece[1:])[-_TEXT_BYTES:]
            elif self._decoder is not None and (packet := self._decoder.read(piece)) is not None:
                runs += map(_run, self._replays.push(packet))
        if runs:
            self._good_s = now_s
            self._deliver(self._placer.place(runs, now_s))

    def on_time(self, now_s: float) -> None:
        """Let deadlines pass.

        Raises
        ------
        BridgeError
            When the board does not say what it is, or has sent no packet for 5 s.

        """
        if self._stop_by_s is not None:
            if now_s - self._heard_s >= _QUIET_S or now_s >= self._stop_by_s:
                self._deliver(self._placer.place([_run(one) for one in self._replays.flush()], self._heard_s))
                self._deliver(self._placer.flush())
                self.finished = True
        elif self._decoder is not None:
            self._deliver(self._placer.release(now_s))
            if now_s - self._good_s >= SILENCE_S:
                raise silent(SILENCE_S)
        else:
            self._set_up(now_s)

    def stop(self, now_s: float) -> None:
        """Stop the stream; samples that are under way are still delivered."""
        if self._stop_by_s is None:
            self._out += wire.STOP
            self._stop_by_s = now_s + _STOP_S
            self._heard_s = now_s

    # -- setting up ------------------------------------------------------------------------------------

    def _set_up(self, now_s: float) -> None:
        """Go on by a step when it has been quiet since the last."""
        waited_s = now_s - max(self._heard_s, self._asked_s)
        if self._step == 0:  # told to stop
            if waited_s >= _QUIET_S or self._tries >= _TRIES:
                self._step, self._tries = 1, 0
                self._ask_version(now_s)
            elif now_s - self._asked_s >= _QUIET_LIMIT_S:
                self._tries += 1
                self._out += wire.STOP
                self._asked_s = now_s
        elif self._step == 1:  # asked for its version
            if self._version is None:
                self._version = wire.parse_version(bytes(self._text))
            asked_for_s = now_s - self._asked_s
            if self._version is not None and (waited_s >= _QUIET_S or asked_for_s >= _ANSWER_S):
                self._step = 2
                self._out += wire.ACCELEROMETER_ON if self._reads_accelerometer else wire.ACCELEROMETER_OFF
                self._asked_s = now_s
            elif self._version is None and asked_for_s >= _ANSWER_S:
                if self._tries >= _TRIES:
                    raise no_version(bytes(self._text))
                self._ask_version(now_s)
        elif waited_s >= _QUIET_S or now_s - self._asked_s >= _QUIET_LIMIT_S:
            self._begin(now_s)

    def _ask_version(self, now_s: float) -> None:
        self._tries += 1
        self._asked_s = now_s
        if self.settings.firmware is not None:
            self._version = (self.settings.firmware,)
        else:
            self._text.clear()
            self._out += wire.RESET

    @property
    def _reads_accelerometer(self) -> bool:
        if self.settings.accelerometer is not None:
            return self.settings.accelerometer
        return self._version is not None and self._version[0] >= 3

    def _begin(self, now_s: float) -> None:
        assert self._version is not None
        self._decoder = GanglionDecoder(deltas=self._version[0] < 3)
        self._replays = ReplayFilter(self._decoder.packets)
        self._placer = Placer(wire.FS_HZ, self._decoder.cycle)
        self._good_s = now_s
        self._out += wire.START
        details: dict[str, Detail] = {
            "firmware": ".".join(map(str, self._version)),
            "channel": self.settings.channel,
            "accelerometer": self._reads_accelerometer,
            "compression": "differences" if self._version[0] < 3 else "high bits",
        }
        self._events.append(Ready("ganglion", wire.FS_HZ, details))

    # -- streaming -------------------------------------------------------------------------------------

    def _deliver(self, placed: list[Placed[Packet]]) -> None:
        good = _Stretch()
        for run in placed:
            assert self._decoder is not None
            decoded = self._decoder.decode(run.load, behind_gap=run.gap_before > 0)
            if run.gap_before or decoded.counts is None:
                self._emit(good)
                good = _Stretch()
            if decoded.counts is None:
                self._spoilt += run.gap_before + run.load.samples
                self._spoilt_in_all += run.load.samples
                continue
            if not good.counts:
                good.first, good.gap_before = run.first, run.gap_before + self._spoilt
                self._spoilt = 0
            good.counts.append(decoded.counts)
            good.acceleration_g.append(np.broadcast_to(decoded.acceleration_g, (run.load.samples, 3)))
        self._emit(good)

    def _emit(self, good: _Stretch) -> None:
        if not good.counts:
            return
        raw = np.concatenate(good.counts)[:, self.settings.channel - 1]
        acceleration = np.concatenate(good.acceleration_g)
        self._events.append(
            Samples(
                wire.to_mv(raw),
                good.first,
                good.gap_before,
                saturated=wire.clipped(raw),
                time_s=self._time.times(good.first, len(raw), self._placer.clock.rate_hz),
                # NaN before the first reading: a recording has the columns that the first samples have.
                acceleration_g=acceleration if self._reads_accelerometer else None,
            )
        )


def _run(packet: Packet) -> Run[Packet]:
    return Run(packet.counter, packet.samples, packet)
