"""A virtual Movesense sensor with the GATT SensorData service."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..gatt import BATTERY_LEVEL, FIRMWARE_REVISION, short_uuid
from ..movesense import wire
from ..movesense.wire import Kind, Operation
from ..stream import FloatArray
from .base import Reservoir, Signal
from .gatt import (
    ATT_READ_NOT_PERMITTED,
    ATT_WRITE_NOT_PERMITTED,
    AttError,
    Characteristic,
    Notification,
    Service,
)
from .polar import standing

PACKET_SAMPLES = 16
_ACCELERATION_PACKET = 4
_MAX_SUBSCRIPTIONS = 4
_HEAD_BYTES, _MORE_HEAD_BYTES = 6, 2
_OK, _NOT_FOUND, _TOO_MANY = 200, 404, 507


class MovesenseEmulator:
    """See :class:`edge_ecg_bridge.emulators.gatt.GattEmulator`.

    Parameters
    ----------
    signal:
        The ECG; asked for at the real rate of the subscription.
    motion:
        What its accelerometer feels: (n,) seconds since the subscription -> (n, 3) g.
    name:
        How it advertises itself.
    rates_hz:
        The ECG rates that it knows; others are answered with 404.
    rate_error:
        Its real rate is the subscribed one times 1 + this.
    counter:
        Its milliseconds at time 0.
    packet_bytes:
        What a notification carries at most; longer data are continued in the next one.
    loop, seed:
        As for the other virtual devices (nothing of it is random).

    Attributes
    ----------
    packets_sent, samples_sent:
        What left it as ECG.
    fs_hz:
        The rate that it takes for its own.
    running:
        The references under which data run.
    streams:
        How often the ECG was begun.

    """

    def __init__(
        self,
        signal: Signal,
        *,
        motion: Callable[[FloatArray], FloatArray] = standing,
        name: str = "Movesense 174630000192",
        rates_hz: tuple[int, ...] = wire.ECG_RATES_HZ,
        rate_error: float = 0.0,
        counter: int = 0,
        packet_bytes: int = 158,
        loop: bool = False,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.advertised: tuple[str, ...] = (short_uuid(wire.ADVERTISED),)
        self.services: tuple[Service, ...] = (
            Service(
                wire.SERVICE,
                (
                    Characteristic(wire.COMMAND, frozenset(("write", "write-without-response"))),
                    Characteristic(wire.DATA, frozenset(("notify",))),
                ),
            ),
            Service(short_uuid(0x180F), (Characteristic(BATTERY_LEVEL, frozenset(("read",))),)),
            Service(short_uuid(0x180A), (Characteristic(FIRMWARE_REVISION, frozenset(("read",))),)),
        )
        self.packets_sent = self.samples_sent = self.streams = 0
        self.fs_hz = 256.0
        self.recording_over = False
        self._signal, self._motion = signal, motion
        self._rates_hz, self._rate_error = rates_hz, rate_error
        self._counter = counter
        self._packet_bytes = packet_bytes
        self._loop = loop
        self._subscribed = False
        self._streams: dict[int, _Stream] = {}
        self._out: list[Notification] = []

    @property
    def running(self) -> frozenset[int]:
        """The references under which data run."""
        return frozenset(self._streams)

    @property
    def ended(self) -> bool:
        """Whether its signal is over."""
        return self.recording_over and not self._out

    @property
    def next_due_s(self) -> float | None:
        """When the next packet is due."""
        if self._out:
            return float("-inf")
        return min((stream.end_s for stream in self._streams.values()), default=None)

    def link_lost(self) -> None:
        """End all subscriptions."""
        self._subscribed = False
        self._streams.clear()
        self._out.clear()

    def pair(self, now_s: float) -> None:
        """Take any bond."""

    def read(self, characteristic: str, now_s: float) -> bytes:
        """Return battery or firmware."""
        if characteristic == BATTERY_LEVEL:
            return bytes((90,))
        if characteristic == FIRMWARE_REVISION:
            return b"2.3.1"
        raise AttError(ATT_READ_NOT_PERMITTED)

    def subscribe(self, characteristic: str, on: bool, now_s: float) -> None:
        """Switch notifications on or off."""
        self._make_packets(now_s)
        self._subscribed = on

    def write(self, characteristic: str, data: bytes, now_s: float) -> None:
        """Take a command."""
        if characteristic != wire.COMMAND:
            raise AttError(ATT_WRITE_NOT_PERMITTED)
        self._make_packets(now_s)
        if len(data) < 2 or not data[1]:
            return
        status = self._obey(data[0], data[1], data[2:], now_s).to_bytes(2, "little")
        self._out.append(Notification(wire.DATA, bytes((Kind.RESPONSE, data[1])) + status))

    def notifications(self, now_s: float) -> list[Notification]:
        """Return what was sent up to now."""
        self._make_packets(now_s)
        out, self._out = self._out, []
        if not self._subscribed:
            return []
        self.packets_sent += sum(one.samples > 0 for one in out)
        self.samples_sent += sum(one.samples for one in out)
        return out

    def _obey(self, operation: int, reference: int, rest: bytes, now_s: float) -> int:
        if operation == Operation.UNSUBSCRIBE:
            return _OK if self._streams.pop(reference, None) else _NOT_FOUND
        if operation != Operation.SUBSCRIBE:
            return _OK if operation == Operation.HELLO else _NOT_FOUND
        path, _, rate = rest.decode("ascii", errors="replace").rpartition("/")
        rates = {"/Meas/ECG": self._rates_hz, "/Meas/Acc": wire.ACCELERATION_RATES_HZ}.get(path, ())
        if not rate.isdecimal() or int(rate) not in rates:
            return _NOT_FOUND
        if len(self._streams) >= _MAX_SUBSCRIPTIONS:
            return _TOO_MANY
        ecg = path == "/Meas/ECG"
        real_hz = int(rate) * (1.0 + self._rate_error) if ecg else float(rate)
        source = Reservoir(self._signal(real_hz)) if ecg else None
        if ecg:
            self.fs_hz = float(rate)
            self.streams += 1
        self._streams[reference] = _Stream(
            now_s, real_hz, PACKET_SAMPLES if ecg else _ACCELERATION_PACKET, source
        )
        return _OK

    # -- packets ---------------------------------------------------------------------------------------

    def _make_packets(self, now_s: float) -> None:
        while self._streams:
            reference, stream = min(self._streams.items(), key=lambda item: item[1].end_s)
            if stream.end_s > now_s + 1e-9:
                return
            first_s = stream.begin_s + stream.made / stream.rate_hz
            values = self._values(stream)
            stream.made += stream.packet
            if values is None:
                del self._streams[reference]
                self.recording_over = True
            elif values:
                self._send(reference, first_s, values, stream.packet if stream.source else 0)

    def _values(self, stream: _Stream) -> bytes | None:
        """The bytes of the next packet's values; none where the recording has none; None at its end."""
        n = stream.packet
        if stream.source is None:
            t_s = (stream.made + np.arange(float(n))) / stream.rate_hz
            return (self._motion(t_s) * wire.STANDARD_GRAVITY_M_S2).astype("<f4").tobytes()
        ecg_mv = stream.source.take(n)
        if len(ecg_mv) < n and self._loop:
            stream.source = Reservoir(self._signal(stream.rate_hz))
            ecg_mv = np.concatenate([ecg_mv, stream.source.take(n - len(ecg_mv))])
        if len(ecg_mv) < n:
            return None
        if not np.isfinite(ecg_mv).all():
            return b""
        return np.rint(ecg_mv / wire.MV_PER_COUNT).astype("<i4").tobytes()

    def _send(self, reference: int, first_s: float, values: bytes, samples: int) -> None:
        stamp = (self._counter + int(first_s * wire.TICK_HZ)) % wire.STAMP_MODULUS
        head = bytes((Kind.DATA, reference)) + stamp.to_bytes(4, "little")
        room = self._packet_bytes - _HEAD_BYTES
        parts = [head + values[:room]]
        more = self._packet_bytes - _MORE_HEAD_BYTES
        begins = range(room, len(values), more)
        parts += [bytes((Kind.CONTINUED, reference)) + values[at : at + more] for at in begins]
        counts = [0] * (len(parts) - 1) + [samples]
        pairs = zip(parts, counts, strict=True)
        self._out += [Notification(wire.DATA, part, count) for part, count in pairs]


class _Stream:
    """One subscription."""

    def __init__(self, begin_s: float, rate_hz: float, packet: int, source: Reservoir | None) -> None:
        self.begin_s, self.rate_hz, self.packet, self.source = begin_s, rate_hz, packet, source
        self.made = 0

    @property
    def end_s(self) -> float:
        """When the last sample of the next packet is measured."""
        return self.begin_s + (self.made + self.packet) / self.rate_hz
