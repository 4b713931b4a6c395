"""A whole conversation with a Shimmer3: stop what runs, identify, set up for ECG, stream, stop.

The order of steps is a generator that yields what to ask and gets the answer, so that it reads from top to
bottom; the class around it keeps deadlines and sorts bytes.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping

import numpy as np

from ..session_base import SessionBase
from ..stream import BridgeError, DeviceClock, FloatArray, Ready, Samples, show_bytes
from . import commands, exg
from .acceleration import ACCELEROMETERS, axis_counts
from .exg import LEADS
from .packets import PacketFramer, PacketRun
from .replies import Ack, Nack, ReplyReader, Status
from .setup import Ask, NoAnswerError, RefusedError, Settings, Silence, Stream, set_up
from .wire import ACK, STAMP_MODULUS, TICK_HZ, StatusBit

SILENCE_S = 5.0
_LONE_ACK_S = 0.05
_STOP_S = 1.0
_SEEN_BYTES = 256


class ShimmerSession(SessionBase):
    """Drives one Shimmer3; see :class:`edge_ecg_bridge.stream.Session`.

    Parameters
    ----------
    settings:
        Rate, lead, gain.

    """

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        self.settings = settings or Settings()
        self._reader = ReplyReader()
        self._script: Generator[Ask | Silence, Ack, Stream] = set_up(self.settings, self._reader)
        self._step: Ask | Silence | None = None
        self._tries = 0
        self._asked_s = 0.0
        self._quiet_since_s = 0.0
        self._seen = bytearray()
        self._stream: Stream | None = None
        self._framer: PacketFramer | None = None
        self._last_samples_s = 0.0
        self._stop_deadline_s: float | None = None
        self._leaving = False
        self._repeated = 0

    # -- the session protocol --------------------------------------------------------------------------

    def start(self, now_s: float) -> None:
        """Begin to set the device up."""
        self._advance(None, now_s)

    @property
    def counters(self) -> Mapping[str, int]:
        """Return what the stream threw away.

        ``bytes_skipped`` belonged to no packet; ``packets_rejected`` had a wrong CRC or time, ``duplicates``
        of them came twice or late; ``conversions_repeated`` are samples in which the chip had nothing new.
        """
        framer = self._framer
        return {
            "bytes_skipped": framer.bytes_skipped if framer else 0,
            "packets_rejected": framer.packets_rejected if framer else 0,
            "duplicates": framer.duplicates if framer else 0,
            "conversions_repeated": self._repeated,
        }

    @property
    def device_clock(self) -> DeviceClock | None:
        """The counter that stamps the packets, at packet 0: it runs on across stop and start."""
        stamp = None if self._framer is None else self._framer.first_stamp
        return None if stamp is None else DeviceClock(stamp / TICK_HZ, STAMP_MODULUS / TICK_HZ)

    def receive(self, data: bytes, now_s: float) -> None:
        """Take bytes from the device.

        Raises
        ------
        BridgeError
            When the device turns out to be something else or stops by itself.

        """
        if not data or self.finished:
            return
        self._quiet_since_s = now_s
        if self._leaving:
            self.finished = ACK in data
        elif self._framer is not None:
            self._receive_stream(data, now_s)
        else:
            if len(self._seen) < _SEEN_BYTES:
                self._seen += data
            self._reader.feed(data)
            self._read_replies(now_s, sure=False)

    def on_time(self, now_s: float) -> None:
        """Let deadlines pass.

        Raises
        ------
        BridgeError
            When the device does not answer, or has sent no packet for 5 s.

        """
        if self._stop_deadline_s is not None:
            self.finished = self.finished or now_s >= self._stop_deadline_s
        elif self._framer is not None:
            if now_s - self._last_samples_s >= SILENCE_S:
                raise self._silent(now_s)
        elif isinstance(self._step, Silence):
            self._wait_for_silence(self._step, now_s)
        elif self._step is not None:
            if now_s - self._quiet_since_s >= _LONE_ACK_S:
                self._read_replies(now_s, sure=True)
            if isinstance(self._step, Ask) and now_s - self._asked_s >= self._step.timeout_s:
                self._retry(self._step, now_s)

    def stop(self, now_s: float) -> None:
        """Stop the stream and switch the CRC off; samples that are under way are still delivered."""
        if self._stop_deadline_s is not None:
            return
        self._stop_deadline_s = now_s + _STOP_S
        self._out += commands.stop_streaming()
        if self._framer is None:
            self._stopped_streaming()
        else:
            self._framer.expects_ack = True

    # -- setting up ------------------------------------------------------------------------------------

    def _advance(self, answer: Ack | NoAnswerError | RefusedError | None, now_s: float) -> None:
        try:
            if isinstance(answer, Exception):
                self._step = self._script.throw(answer)
            else:
                self._step = next(self._script) if answer is None else self._script.send(answer)
        except StopIteration as done:
            self._begin_stream(done.value, now_s)
            return
        self._tries = 1
        self._ask(self._step, now_s)

    def _ask(self, step: Ask | Silence, now_s: float) -> None:
        self._reader.clear()
        self._out += step.command
        self._asked_s = self._quiet_since_s = now_s

    def _retry(self, step: Ask, now_s: float) -> None:
        if self._tries < step.tries:
            self._tries += 1
            self._ask(step, now_s)
        else:
            self._advance(NoAnswerError(bytes(self._seen)), now_s)

    def _wait_for_silence(self, step: Silence, now_s: float) -> None:
        if now_s - self._quiet_since_s >= step.quiet_s:
            self._seen.clear()
            self._advance(Ack(), now_s)
        elif now_s - self._asked_s >= step.limit_s and self._tries < step.tries:
            self._tries += 1
            self._out += step.command
            self._asked_s = now_s
        elif now_s - self._asked_s >= step.limit_s:
            raise BridgeError(
                "The device keeps sending and does not stop when it is told to as a Shimmer3 would.",
                why=f"It sent {show_bytes(bytes(self._seen))}.",
                remedy="Leave out --device to find out what it is; switch a Shimmer3 off and on again.",
            )

    def _read_replies(self, now_s: float, *, sure: bool) -> None:
        while isinstance(self._step, Ask) and self._framer is None:
            if self._step.find is not None:
                found = self._step.find(bytes(self._seen))
                if found is None:
                    return
                self._advance(Ack(found.encode()), now_s)
                continue
            message = self._reader.next(self._step.response, sure=sure)
            if message is None:
                return
            if isinstance(message, Nack):
                self._advance(RefusedError(), now_s)
            elif isinstance(message, Ack):
                self._advance(message, now_s)

    # -- streaming -------------------------------------------------------------------------------------

    def _begin_stream(self, stream: Stream, now_s: float) -> None:
        self._stream = stream
        self._framer = PacketFramer(
            stream.layout, stream.ticks, crc_bytes=self._reader.crc_bytes, hardware=self._reader.hardware
        )
        self._last_samples_s = now_s
        self._events.append(Ready("shimmer3", stream.fs_hz, stream.details))
        rest = self._reader.clear()
        if rest:
            self._receive_stream(rest, now_s)

    def _receive_stream(self, data: bytes, now_s: float) -> None:
        assert self._framer is not None
        for item in self._framer.feed(data):
            if isinstance(item, PacketRun):
                self._last_samples_s = now_s
                self._events.append(self._decode(item))
            elif isinstance(item, Ack):
                self._stopped_streaming()
            elif not item.bits & StatusBit.SENSING and self._stop_deadline_s is None:
                raise _stopped(item)

    def _decode(self, run: PacketRun) -> Samples:
        assert self._stream is not None
        lead, registers = LEADS[self.settings.lead], self._stream.registers
        offsets = self._stream.layout.offsets
        at = offsets[lead.sample_id]
        raw = exg.counts(run.packets[:, at : at + 3])
        status = run.packets[:, offsets[lead.status_id]]
        self._repeated += int(np.count_nonzero(~exg.new_conversion(status)))
        return Samples(
            exg.to_mv(raw, registers, lead.channel),
            run.first,
            run.gap_before,
            exg.electrode_off(status, lead.channel) if registers.detects_lead_off else None,
            exg.clipped(raw),
            acceleration_g=self._acceleration(run),
        )

    def _acceleration(self, run: PacketRun) -> FloatArray | None:
        assert self._stream is not None
        if self._stream.calibration is None:
            return None
        axes = ACCELEROMETERS[self.settings.acceleration].channels
        at = tuple(self._stream.layout.offsets[axis] for axis in axes)
        return self._stream.calibration.to_g(axis_counts(run.packets, at))

    def _silent(self, now_s: float) -> BridgeError:
        if now_s - self._quiet_since_s < SILENCE_S:
            return BridgeError(
                f"The Shimmer sends bytes, but no whole packet for {SILENCE_S:g} s.",
                why="Another program may be reading the same port, or the link loses too much.",
                remedy="Close other programs on this port and bring the Shimmer nearer.",
            )
        return BridgeError(
            f"No bytes from the Shimmer for {SILENCE_S:g} s.",
            why="It is out of range or its battery is empty.",
            remedy="Bring it nearer, charge it, and start again.",
        )

    # -- stopping --------------------------------------------------------------------------------------

    def _stopped_streaming(self) -> None:
        """Go on to switch the CRC off; its ACK comes without CRC already."""
        if not self._reader.crc_bytes:
            self.finished = True
        elif not self._leaving:
            self._leaving = True
            self._out += commands.set_crc(0)


def _stopped(status: Status) -> BridgeError:
    if status.bits & StatusBit.DOCKED:
        return BridgeError(
            "The Shimmer was put into its dock and stopped streaming.",
            why="A docked Shimmer does not stream.",
            remedy="Take it out of the dock and start again.",
        )
    return BridgeError(
        "The Shimmer stopped streaming by itself.",
        why="Its button or its battery ended it.",
        remedy="Charge it and start again.",
    )
