"""A decision's whole cost: a device's bytes in, a decision's line out, through the pipeline that runs live.

The device is a simulated Shimmer3 that speaks its own protocol. What it takes to make up its bytes, and the
waiting for them, is left out; what decodes, filters, judges, embeds, decides and writes is in.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..errors import GateError
from ..model import Model
from ..records import DecisionRecord
from ..session import Session
from ..sources.address import Address
from ..sources.kinds import session_for
from ..sources.session_source import SessionSource
from ..sources.simulated import VirtualTransport
from ..sources.transport import Transport
from ..sources.virtual import DEFAULT_KIND, DEFAULT_STORY, VirtualDevice, synthetic_signal
from .latency import Latency

HOP_S = 1.0
# A heart that never gives enough good windows would run for ever.
_MOST_WITHHELD = 100


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """Milliseconds of processing for one decision every ``hop_s`` seconds.

    Attributes
    ----------
    hop:
        For all bytes of a hop: what the decision costs.
    after_last_byte:
        From the last bytes of the window to the line: how late the decision is.
    model:
        Encoder and heads alone, in the same run.
    busy:
        The share of one core that streaming takes.

    """

    hop_s: float
    hop: Latency
    after_last_byte: Latency
    model: Latency
    busy: float


class Meter:
    """A stop-watch that stands while others are at work."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._busy_s = 0.0
        self._since_s: float | None = None

    def go(self) -> None:
        """Our turn begins."""
        self._since_s = self._clock()

    def halt(self) -> None:
        """Our turn is over."""
        self._busy_s = self.busy_s
        self._since_s = None

    @property
    def busy_s(self) -> float:
        """Seconds of all turns so far."""
        return self._busy_s + (0.0 if self._since_s is None else self._clock() - self._since_s)


class MeteredTransport:
    """A virtual device at full speed whose own time does not count, and which can be slowed down.

    Parameters
    ----------
    device:
        Whose bytes they are.
    meter:
        Stands while the device is at work.

    Attributes
    ----------
    read_at_s:
        What the meter showed when the last bytes came.

    """

    live = False

    def __init__(
        self,
        device: VirtualTransport,
        meter: Meter,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._device = device
        self._meter = meter
        self._clock = clock
        self._sleep = sleep
        self._pace: float | None = None
        self._begin_s = 0.0
        self.read_at_s = 0.0

    def slow_down(self, pace: float) -> None:
        """From now on let so many seconds of the device pass in one of the clock."""
        self._pace = pace
        self._begin_s = self._clock() - self._device.now() / pace

    def now(self) -> float:
        """Return the device's time."""
        return self._device.now()

    def read(self, timeout_s: float, gather_s: float = 0.0) -> bytes:
        """Return the next bytes, slowed down not before they are due."""
        self._meter.halt()
        data = self._device.read(timeout_s, gather_s)
        if self._pace is not None:
            early_s = self._begin_s + self._device.now() / self._pace - self._clock()
            if early_s > 0:
                self._sleep(early_s)
        self._meter.go()
        self.read_at_s = self._meter.busy_s
        return data

    def write(self, data: bytes) -> None:
        """Hand bytes to the device."""
        self._device.write(data)

    def close(self) -> None:
        """Let nobody wait any more."""
        self._device.close()


class _Stream:
    """One model behind its own virtual device, one decision at a time."""

    def __init__(self, model: Model) -> None:
        self.hop_ms: list[float] = []
        self.late_ms: list[float] = []
        self.model_ms: list[float] = []
        self._meter = Meter(time.perf_counter)
        address = Address("sim", DEFAULT_KIND)
        device = VirtualDevice(DEFAULT_KIND, synthetic_signal(DEFAULT_STORY, None, 0)).build()
        self.transport = MeteredTransport(VirtualTransport(device, speed=0.0), self._meter)
        transport: Transport = self.transport
        self._source = SessionSource(address, transport, session_for(DEFAULT_KIND, address))
        self._decisions = self._measured(Session(self._source, model, hop_s=HOP_S))

    def step(self, *, counted: bool) -> None:
        """Stream until the next window has been decided on."""
        next(self._decisions)
        if not counted:
            for values in (self.hop_ms, self.late_ms, self.model_ms):
                values.clear()

    def close(self) -> None:
        self._source.close()

    def result(self) -> EndToEnd:
        hop = Latency.of(self.hop_ms)
        return EndToEnd(
            HOP_S,
            hop,
            Latency.of(self.late_ms),
            Latency.of(self.model_ms),
            sum(self.hop_ms) / 1e3 / (HOP_S * len(self.hop_ms)),
        )

    def _measured(self, session: Session) -> Iterator[None]:
        withheld, before_s = 0, 0.0
        self._meter.go()
        for record in session:
            json.dumps(record.to_json(), ensure_ascii=False, allow_nan=False)
            if not isinstance(record, DecisionRecord):
                continue
            busy_s = self._meter.busy_s
            if record.inference_ms is None:
                withheld += 1
                if withheld > _MOST_WITHHELD:
                    raise GateError(
                        "The simulated heart gives no window that a decision can stand on.",
                        why=f"The reasons at last: {', '.join(record.withheld)}.",
                    )
            else:
                self.hop_ms.append(1e3 * (busy_s - before_s))
                self.late_ms.append(1e3 * (busy_s - self.transport.read_at_s))
                self.model_ms.append(record.inference_ms)
                self._meter.halt()
                yield
                self._meter.go()
            before_s = self._meter.busy_s


def end_to_end(
    models: Mapping[str, Model], *, hops: int, after_hop: Callable[[], object] = lambda: None
) -> dict[str, EndToEnd]:
    """Measure engines back to back, taking turns decision by decision.

    The first decision of each is not counted: ten seconds of bytes come before it.

    Raises
    ------
    GateError
        When the simulated heart gives no good windows (the signal chain is broken).

    """
    streams = {name: _Stream(model) for name, model in models.items()}
    try:
        for hop in range(hops + 1):
            for stream in streams.values():
                stream.step(counted=hop > 0)
            after_hop()
        return {name: stream.result() for name, stream in streams.items()}
    finally:
        for stream in streams.values():
            stream.close()


def at_duty_cycle(
    model: Model, *, hops: int, after_hop: Callable[[], object] = lambda: None, pace: float = 1.0
) -> EndToEnd:
    """Measure one engine in real time: a decision a hop, the processor asleep in between.

    This is what a user sees: the governor has clocked down, and others have used the caches meanwhile. The
    ten seconds before the first decision pass at full speed. ``pace`` lets a test live faster.

    Raises
    ------
    GateError
        As :func:`end_to_end`.

    """
    stream = _Stream(model)
    try:
        stream.step(counted=False)
        stream.transport.slow_down(pace)
        for _ in range(hops):
            stream.step(counted=True)
            after_hop()
        return stream.result()
    finally:
        stream.close()
