"""The named faults: what each is, in a sentence, and when it strikes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Layer(StrEnum):
    """Where a fault is made."""

    SIGNAL = "signal"  # at the electrodes and in the body
    DEVICE = "device"  # in the device itself
    LINK = "link"  # in the bytes on their way
    RADIO = "radio"  # in Bluetooth LE and its daemon: for devices that speak it


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes
    ----------
    name, sentence:
        As listed by ``edge-ecg simulate --list-faults``.
    layer:
        Where it is made.
    at_s, every_s, seconds:
        Without a time of its own it strikes first at ``at_s`` of the stream and then every ``every_s``
        (infinite: once, or all the time), for ``seconds`` (0: it is one packet, or one moment).

    """

    name: str
    sentence: str
    layer: Layer
    at_s: float = 12.0
    every_s: float = 20.0
    seconds: float = 0.0


_ALWAYS = (0.0, math.inf, math.inf)
_LIST = (
    Fault("unplug", "The cable is pulled or the link lost, and comes back.", Layer.LINK, 12.0, 40.0, 5.0),
    Fault("half-packet", "The second half of a packet never arrives.", Layer.LINK),
    Fault("bit-flip", "One bit of a packet arrives inverted.", Layer.LINK),
    Fault("duplicate", "A packet arrives twice.", Layer.LINK),
    Fault("reorder", "Two neighbouring packets arrive in the wrong order.", Layer.LINK),
    Fault(
        "time-wrap",
        "The device's counter wraps to zero in mid-stream.",
        Layer.DEVICE,
        every_s=math.inf,
    ),
    Fault(
        "time-back", "A packet from half a second ago arrives again: its time lies in the past.", Layer.LINK
    ),
    Fault("rate-off", "The device's clock runs 0.7 % too fast.", Layer.DEVICE, *_ALWAYS),
    Fault("burst", "Packets are held back and then arrive all at once.", Layer.LINK, seconds=2),
    Fault("stall", "Nothing arrives for a while, and what was measured then is lost.", Layer.LINK, seconds=3),
    Fault("lead-off", "An electrode comes off the skin.", Layer.SIGNAL, seconds=6),
    Fault("saturate", "The input lies beyond the converter's range.", Layer.SIGNAL, seconds=5),
    Fault("mains", "Mains hum larger than the ECG gets into the leads.", Layer.SIGNAL, seconds=5),
    Fault(
        "motion",
        "The wearer moves: the baseline jumps and muscles are louder than the heart.",
        Layer.SIGNAL,
        seconds=5,
    ),
    Fault("ble-drop", "The Bluetooth LE link drops and can be made again.", Layer.RADIO, 12.0, 40.0, 3.0),
    Fault(
        "stale-bluez",
        "The Bluetooth daemon dies: the link looks connected, and nothing comes.",
        Layer.RADIO,
        12.0,
        40.0,
        8.0,
    ),
    Fault("boot-banner", "The device prints text as it starts.", Layer.LINK, 0.0, math.inf),
    Fault(
        "already-streaming",
        "The device still streams for a host that has gone, with settings of its own.",
        Layer.DEVICE,
        *_ALWAYS,
    ),
    Fault("trickle", "Bytes arrive a few at a time, cut anywhere.", Layer.LINK, *_ALWAYS),
)
FAULTS: dict[str, Fault] = {fault.name: fault for fault in _LIST}


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault and when it strikes, in seconds of the stream."""

    fault: Fault
    at_s: float
    every_s: float
    seconds: float

    @property
    def name(self) -> str:
        """The fault's name."""
        return self.fault.name

    def strikes(self, t_s: float) -> int:
        """Return how often it has begun up to a time."""
        if t_s < self.at_s:
            return 0
        return 1 if math.isinf(self.every_s) else 1 + int((t_s - self.at_s) / self.every_s)

    def active(self, t_s: float) -> bool:
        """Whether it lasts at a time."""
        return t_s < self.until_s(t_s)

    def until_s(self, t_s: float) -> float:
        """Return when the stroke that began last ends or ended; minus infinity before the first."""
        count = self.strikes(t_s)
        if not count:
            return -math.inf
        since_first_s = (count - 1) * self.every_s if count > 1 else 0.0
        return self.at_s + since_first_s + self.seconds


def parse_faults(text: str) -> tuple[PlannedFault, ...]:
    """Read ``NAME[@SECONDS[:DURATION]]``, several parted by commas.

    With a time of its own a fault strikes once.

    Raises
    ------
    ValueError
        What is wrong with the text, as a sentence.

    """
    return tuple(_parse(part.strip()) for part in text.split(",") if part.strip())


def _parse(text: str) -> PlannedFault:
    name, at, when = text.partition("@")
    fault = FAULTS.get(name.lower())
    if fault is None:
        raise ValueError(f"There is no fault {name!r}.")
    if not at:
        return PlannedFault(fault, fault.at_s, fault.every_s, fault.seconds)
    begin, _, duration = when.partition(":")
    try:
        at_s = float(begin)
        seconds = float(duration) if duration else fault.seconds
    except ValueError:
        at_s, seconds = math.nan, math.nan
    if not (0 <= at_s < math.inf and seconds >= 0):
        raise ValueError(f"{text!r} does not say when: write NAME@SECONDS or NAME@SECONDS:DURATION.")
    return PlannedFault(fault, at_s, math.inf, seconds)


def by_layer(faults: Iterable[PlannedFault], *layers: Layer) -> tuple[PlannedFault, ...]:
    """Return those of some layers."""
    return tuple(planned for planned in faults if planned.fault.layer in layers)
