"""Listening to an OpenView board: how fast it is, what is missing, and millivolts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..counting import PAUSE_S, Placed, Placer, Run, TimeLine
from ..counting.arrival import SETTLE_S
from ..session_base import SessionBase
from ..stream import UNSEEN_LOSS_MS, BridgeError, ByteArray, Detail, Ready, Samples, show_bytes
from .frames import HEAD_BYTES, PAYLOAD_BYTES, OpenViewFramer, ecg_counts, electrode_off

SILENCE_S = 5.0
COUNT_S = 3.0
MIN_FS_HZ, MAX_FS_HZ = 100.0, 1000.0
_USUAL_RATES_HZ = (125.0, 250.0, 500.0)
_NEAR = 0.03
_VREF_MV = 2420.0
_FULL_SCALE_24 = (1 << 23) - 1
_FULL_SCALE_16 = (1 << 15) - 1


@dataclass(frozen=True, slots=True)
class OpenViewSettings:
    """How to read the board.

    Attributes
    ----------
    fs_hz:
        Its rate; None to count.
    gain:
        Of the ECG channel.
    shift:
        Bits by which the sketch shortens the converter's 24; None for those of the known sketches: 4 with a
        payload of eight bytes (library 2.0), else 8.

    """

    fs_hz: float | None = None
    gain: float = 12.0
    shift: int | None = None


class OpenViewSession(SessionBase):
    """Reads an OpenView board; see :class:`edge_ecg_bridge.stream.Session`.

    Parameters
    ----------
    settings:
        Rate and scale.

    """

    def __init__(self, settings: OpenViewSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or OpenViewSettings()
        self._framer = OpenViewFramer()
        self._placer: Placer[ByteArray] | None = None
        self._time = TimeLine(1.0)
        self._early: list[tuple[float, list[Run[ByteArray]]]] = []
        self._first_s: float | None = None
        self._heard_s = self._good_s = 0.0
        self._seen = bytearray()
        self._mv_per_count = 0.0

    # -- the session protocol --------------------------------------------------------------------------

    def start(self, now_s: float) -> None:
        """Begin to listen."""
        self._heard_s = self._good_s = now_s

    @property
    def counters(self) -> Mapping[str, int]:
        """Return what was thrown away so far."""
        return {
            "bytes_skipped": self._framer.bytes_skipped,
            "packets_rejected": self._framer.packets_rejected,
        }

    def stop(self, now_s: float) -> None:
        """Stop listening."""
        if self._placer is not None:
            self._deliver(self._placer.flush(), self._placer)
        self.finished = True

    def receive(self, data: bytes, now_s: float) -> None:
        """Take bytes from the board.

        Raises
        ------
        BridgeError
            When its rate is of no use.

        """
        if not data or self.finished:
            return
        self._heard_s = now_s
        self._seen = (self._seen + data)[-64:]
        found = self._framer.feed(data)
        runs = [Run(0, len(frames.rows), frames.rows, missing=frames.damaged) for frames in found]
        if runs:
            self._good_s = now_s
        if self._placer is not None:
            self._deliver(self._placer.place(runs, now_s), self._placer)
        elif runs:
            self._settle(runs, now_s)

    def on_time(self, now_s: float) -> None:
        """Let deadlines pass.

        Raises
        ------
        BridgeError
            When nothing, or no frame, came for 5 s.

        """
        if self._placer is not None and not self.finished:
            self._deliver(self._placer.release(now_s), self._placer)
        if now_s - self._heard_s >= SILENCE_S:
            raise BridgeError(
                f"No bytes from the board for {SILENCE_S:g} s.",
                why="It is off, or its sketch found no ADS1292R and waits.",
                remedy="Check its cable and its wiring, then press its reset button.",
            )
        if now_s - self._good_s >= SILENCE_S:
            raise BridgeError(
                f"The board sends bytes, but no OpenView frame for {SILENCE_S:g} s.",
                why=f"It sent {show_bytes(bytes(self._seen[-24:]))}.",
                remedy="Its sketches use 57600 baud: give ?baud=57600 after the port, or leave out --device.",
            )

    # -- finding out -----------------------------------------------------------------------------------

    def _settle(self, runs: list[Run[ByteArray]], now_s: float) -> None:
        """Let the first two seconds go by, then count, then deliver what was counted."""
        if self._first_s is None:
            self._first_s = now_s
        if now_s - self._first_s < SETTLE_S:
            return  # the burst of what had been waiting in buffers
        self._early.append((now_s, runs))
        begin_s = self._early[0][0]
        fs_hz = self.settings.fs_hz
        if fs_hz is None:
            if now_s - begin_s < COUNT_S:
                return
            later = sum(run.samples for at_s, held in self._early if at_s > begin_s for run in held)
            counted_hz = later / (now_s - begin_s)
            usual_hz = min(_USUAL_RATES_HZ, key=lambda rate_hz: abs(rate_hz - counted_hz))
            fs_hz = usual_hz if abs(usual_hz - counted_hz) <= _NEAR * usual_hz else counted_hz
        if not MIN_FS_HZ <= fs_hz <= MAX_FS_HZ:
            raise BridgeError(
                f"The board sends {fs_hz:.0f} frames a second; the ECG needs at least {MIN_FS_HZ:g}.",
                why="OpenView boards send 125.",
                remedy="Close other programs on this port, or give its rate as ?fs=125.",
            )
        size = runs[0].load.shape[1]
        payload = size - HEAD_BYTES - 2
        shift = self.settings.shift
        if shift is None:
            shift = 4 if payload == PAYLOAD_BYTES else 8
        self._mv_per_count = (1 << shift) * _VREF_MV / self.settings.gain / _FULL_SCALE_24
        self._placer = Placer(fs_hz, 1)
        self._time = TimeLine(fs_hz)
        origin = "counted" if self.settings.fs_hz is None else "given"
        details: dict[str, Detail] = {
            "payload_bytes": payload,
            "gain": self.settings.gain,
            "shift": shift,
            "rate": origin,
            UNSEEN_LOSS_MS: round(PAUSE_S * 1e3),
        }
        self._events.append(Ready("openview", fs_hz, details))
        early, self._early = self._early, []
        for at_s, held in early:
            self._deliver(self._placer.place(held, at_s), self._placer)

    # -- samples ---------------------------------------------------------------------------------------

    def _deliver(self, placed: list[Placed[ByteArray]], placer: Placer[ByteArray]) -> None:
        for run in placed:
            raw = ecg_counts(run.load)
            self._events.append(
                Samples(
                    raw.astype(np.float64) * self._mv_per_count,
                    run.first,
                    run.gap_before,
                    lead_off=electrode_off(run.load),
                    saturated=(raw >= _FULL_SCALE_16) | (raw <= -_FULL_SCALE_16 - 1),
                    time_s=self._time.times(run.first, len(raw), placer.clock.rate_hz),
                )
            )
