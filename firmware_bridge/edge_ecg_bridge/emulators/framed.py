"""A virtual DIY board that speaks our framed format, as the reference sketch does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..framed import ASK_INFO, START, STOP, Channel, DataFrame, Flag, Info, State
from ..framed.packets import BodyLayout
from ..framed.wire import MAX_PAYLOAD
from ..stream import FloatArray
from .base import Reservoir, Signal, Unit

Acceleration = Callable[[float], tuple[float, float, float]]
"""Seconds from power-up -> x, y, z in g."""

_TURN = 1 << 32
_INFO_EVERY_S = 1.0
_COMMAND_BYTES = len(ASK_INFO)


@dataclass(frozen=True, slots=True)
class Converter:
    """How a virtual board turns millivolts into counts; an AD8232 on an Uno unless told otherwise."""

    pv_per_count: int = 4_438_920
    zero: int = 338
    low: int = 20
    high: int = 655
    sample_bytes: int = 2

    def counts(self, mv: FloatArray) -> NDArray[np.int32]:
        """Amplify, convert, stop at the limits."""
        scaled = np.rint(mv / (self.pv_per_count * 1e-9)) + self.zero
        counts: NDArray[np.int32] = np.clip(scaled, self.low, self.high).astype(np.int32)
        return counts


class FramedEmulator:
    """See :class:`edge_ecg_bridge.emulators.Emulator`.

    Parameters
    ----------
    signal:
        The first channel's ECG, asked for at the real rate; NaN where the board drops a sample.
    fs_hz:
        Nominal rate, which its info frame says.
    channels, converter:
        Channel k (from 1) carries the signal divided by k.
    samples_per_frame:
        Of each channel; a frame is sent earlier when a flag changes or a sample was dropped.
    counter, clock_us:
        Sample number and device time at power-up, to make them wrap.
    run:
        Its run number.
    rate_error:
        It samples at ``fs_hz`` times (1 + this).
    even:
        Whether its time comes from the oscillator that paces its samples, and so hides ``rate_error``.
    already_streaming:
        Whether it streams from power-up, as the reference sketch does, or waits for the host.
    obeys:
        Whether it obeys commands.
    banner:
        What it prints at power-up.
    acceleration:
        Its accelerometer.
    electrode_off:
        Whether LO+ is high at a time (seconds from power-up); the amplifier is then at its limit.
    electrode_offset_mv:
        Added to the signal, as skin does on a board that does not take it away as the AD8232 does.
    loss, unplug_after_s, loop, seed:
        As for the virtual Shimmer; ``loss`` is for frames.

    """

    def __init__(
        self,
        signal: Signal,
        *,
        fs_hz: float = 256.0,
        channels: int = 1,
        converter: Converter | None = None,
        samples_per_frame: int = 4,
        counter: int = 0,
        clock_us: int = 0,
        run: int = 0,
        rate_error: float = 0.0,
        even: bool = True,
        already_streaming: bool = True,
        obeys: bool = True,
        banner: bytes = b"",
        acceleration: Acceleration | None = None,
        electrode_off: Callable[[float], bool] | None = None,
        electrode_offset_mv: float = 0.0,
        loss: float = 0.0,
        unplug_after_s: float | None = None,
        loop: bool = False,
        seed: int = 0,
    ) -> None:
        self.converter = converter or Converter()
        self.fs_hz = fs_hz
        self.streaming = already_streaming
        self.unplugged = False
        self.recording_over = False
        self.packets_sent = 0
        self.packets_lost = 0
        self.samples_lost = 0
        self._signal = signal
        self._true_hz = fs_hz * (1.0 + rate_error)
        self._us_per_sample = 1e6 / (fs_hz if even else self._true_hz)
        self._counter, self._clock_us, self._run = counter, clock_us, run
        self._obeys, self._even = obeys, even
        self._acceleration = acceleration
        self._electrode_off = electrode_off
        self._offset_mv = electrode_offset_mv
        self._loss = loss
        self._unplug_after_s = unplug_after_s
        self._loop = loop
        self._rng = np.random.default_rng(seed)
        self._source = Reservoir(signal(self._true_hz))
        self._layout = BodyLayout(channels, self.converter.sample_bytes, 977 if acceleration else 0)
        room = (MAX_PAYLOAD - 16) // (channels * self.converter.sample_bytes)
        if not 1 <= samples_per_frame <= room:
            raise ValueError(f"a frame holds 1 to {room} samples of {channels} channels")
        self._per_frame = samples_per_frame
        self._began_s: float | None = None
        self._made = 0
        self._infos = 0
        self._waiting: FloatArray = np.zeros(0)
        self._in = bytearray()
        self._out: list[Unit] = [Unit(banner)] if banner else []

    # -- the emulator protocol -------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether it has hung up."""
        return self.unplugged or (self.recording_over and not self._out)

    @property
    def next_due_s(self) -> float | None:
        """When the next sample, or the next info frame, is due."""
        if self._out or self._began_s is None:
            return -np.inf
        if self.recording_over:
            return None
        info_s = self._began_s + self._infos * _INFO_EVERY_S
        return min(info_s, self._began_s + self._made / self._true_hz) if self.streaming else info_s

    def receive(self, data: bytes, now_s: float) -> None:
        """Take commands in any pieces."""
        self._run_until(now_s)
        for byte in data if self._obeys else b"":
            self._in = (self._in + bytes((byte,)))[-_COMMAND_BYTES:]
            command = bytes(self._in)
            if command == START:
                self.streaming = True
            elif command == STOP:
                self.streaming = False
                self._waiting = self._waiting[:0]
            if command in (ASK_INFO, START, STOP):
                self._out.append(Unit(self.info.frame()))

    def bytes_to_send(self, now_s: float) -> bytes:
        """Return what was sent up to now."""
        return b"".join(unit.data for unit in self.units(now_s))

    def units(self, now_s: float) -> list[Unit]:
        """Return the same, frame by frame."""
        self._run_until(now_s)
        if self._unplug_after_s is not None and now_s - self._start_s(now_s) >= self._unplug_after_s:
            self.unplugged = True
            return []
        out, self._out = self._out, []
        return out

    def link_lost(self) -> None:
        """Go on: a board does not know who listens."""

    # -- frames ----------------------------------------------------------------------------------------

    @property
    def info(self) -> Info:
        """What it says of itself now."""
        c = self.converter
        state = State.STREAMING * self.streaming | State.OBEYS * self._obeys | State.EVEN * self._even
        state |= State.ELECTRODES * (self._electrode_off is not None)
        return Info(
            self._run,
            State(state),
            round(self.fs_hz * 1000),
            self._layout.ug_per_count,
            c.sample_bytes,
            "virtual",
            tuple(
                Channel(f"ECG{k + 1}", True, c.pv_per_count, c.zero, c.low, c.high)
                for k in range(self._layout.channels)
            ),
        )

    def _start_s(self, now_s: float) -> float:
        if self._began_s is None:
            self._began_s = now_s
        return self._began_s

    def _run_until(self, now_s: float) -> None:
        """Sample and send what is due; samples are taken whether it streams or not."""
        ran_s = now_s - self._start_s(now_s)
        while not self.recording_over and self._infos * _INFO_EVERY_S <= ran_s:
            self._sample_until(self._infos * _INFO_EVERY_S)
            self._out.append(Unit(self.info.frame()))
            self._infos += 1
        self._sample_until(ran_s)

    def _sample_until(self, ran_s: float) -> None:
        due = int(ran_s * self._true_hz + 1e-6) + 1 - self._made
        if due <= 0 or self.recording_over:
            return
        lead_mv = self._source.take(due)
        if len(lead_mv) < due and self._loop:
            self._source = Reservoir(self._signal(self._true_hz))
            lead_mv = np.concatenate([lead_mv, self._source.take(due - len(lead_mv))])
        self.recording_over = len(lead_mv) < due
        self._made += len(lead_mv)
        if self.streaming:
            self._waiting = np.concatenate([self._waiting, lead_mv])
            self._send_full_frames()

    def _send_full_frames(self) -> None:
        """Cut what waits into frames, each of neighbours with the same flags."""
        at, n = 0, len(self._waiting)
        first = self._made - n
        flags = [self._flags(first + i) for i in range(n)]
        dropped = np.isnan(self._waiting).tolist()
        while at < n:
            if dropped[at]:
                self.samples_lost += 1
                at += 1
                continue
            end = at + 1
            while end < n and end - at < self._per_frame and flags[end] == flags[at] and not dropped[end]:
                end += 1
            if end == n and end - at < self._per_frame and not self.recording_over:
                break
            self._send(self._waiting[at:end], first + at, flags[at])
            at = end
        self._waiting = self._waiting[at:]

    def _flags(self, number: int) -> Flag:
        off = self._electrode_off is not None and self._electrode_off(number / self._true_hz)
        return Flag.PLUS_OFF if off else Flag(0)

    def _send(self, lead_mv: FloatArray, first: int, flags: Flag) -> None:
        if self._rng.random() < self._loss:
            self.packets_lost += 1
            self.samples_lost += len(lead_mv)
            return
        mv = np.where(bool(flags), np.inf, lead_mv + self._offset_mv)
        counts = self.converter.counts(mv[:, None] / np.arange(1, self._layout.channels + 1))
        last = first + len(lead_mv) - 1
        frame = DataFrame(
            self._run,
            flags,
            (self._counter + first) % _TURN,
            (self._clock_us + round(last * self._us_per_sample)) % _TURN,
            self._layout.pack(counts, self._acceleration_counts(first)),
        )
        self.packets_sent += 1
        self._out.append(Unit(frame.frame(), len(lead_mv), first))

    def _acceleration_counts(self, number: int) -> tuple[int, int, int] | None:
        if self._acceleration is None:
            return None
        g = np.array(self._acceleration(number / self._true_hz))
        x, y, z = np.clip(np.rint(g * 1e6 / self._layout.ug_per_count), -32768, 32767).astype(int).tolist()
        return x, y, z
