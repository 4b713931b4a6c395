"""Making virtual devices: what ``sim:`` addresses and ``edge-ecg simulate`` have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge_ecg_bridge.emulators import (
    BitalinoEmulator,
    CytonEmulator,
    Emulator,
    FramedEmulator,
    OpenViewEmulator,
    Shimmer3Emulator,
    Signal,
    TextEmulator,
    tunnelled_ganglion,
    tunnelled_movesense,
    tunnelled_polar,
)
from edge_ecg_bridge.emulators.text import FORMATS
from edge_ecg_bridge.faults import FaultyEmulator, FaultySignal, Layer, PlannedFault, device_arguments
from edge_ecg_bridge.faults import parse_faults as parse
from edge_ecg_bridge.heart import CALM, parse_story
from edge_ecg_bridge.shimmer3.wire import STAMP_MODULUS, TICK_HZ, Hardware
from edge_ecg_bridge.synthetic import SyntheticEcg

from ..errors import UsageError

DEFAULT_KIND = "shimmer3"
DEFAULT_STORY = "rest-stress"
DEFAULT_FIRMWARE = "0.15.4"
_TEXT_CLOCKS_HZ = {"ms,adc": 1e3, "us,adc": 1e6}


@dataclass(frozen=True, slots=True)
class VirtualDevice:
    """What a virtual device is to be.

    Attributes
    ----------
    kind:
        A name in :data:`VIRTUAL_KINDS`.
    signal:
        What it measures.
    firmware:
        Version that a virtual Shimmer says it has, such as ``0.15.4``.
    fs_hz, line:
        Rate and line format of a virtual text board; a Shimmer is told its rate by the host.
    loop:
        Begin the recording again when it is over.
    seed:
        Of everything random.
    faults:
        What goes wrong, as :func:`parse_faults` gives it.

    """

    kind: str
    signal: Signal
    firmware: str = DEFAULT_FIRMWARE
    fs_hz: float = 250.0
    line: str = "us,adc"
    loop: bool = False
    seed: int = 0
    faults: tuple[PlannedFault, ...] = ()

    def build(self) -> Emulator:
        """Make it; UsageError when a part of the description makes no sense."""
        kind = VIRTUAL_KINDS[self.kind]
        for plan in self.faults:
            if plan.fault.layer is Layer.RADIO and not kind.radio:
                raise UsageError(
                    f"A virtual {self.kind} has no fault {plan.name}.",
                    why="It is a fault of Bluetooth LE, which this device does not speak.",
                    remedy=f"Choose one of {', '.join(faults_of(self.kind))}.",
                )
        arguments = {**kind.options(self), "loop": self.loop, "seed": self.seed}
        arguments |= self._device_faults(kind)
        known = inspect.signature(kind.emulator).parameters
        arguments = {name: value for name, value in arguments.items() if name not in _COMMON or name in known}
        signal = FaultySignal(self.signal, self.faults, seed=self.seed) if self.faults else self.signal
        emulator: Emulator = kind.emulator(signal, **arguments)
        return FaultyEmulator(emulator, self.faults, seed=self.seed) if self.faults else emulator

    def version(self) -> tuple[int, int, int]:
        """Return the firmware's version as numbers; UsageError when it is none."""
        parts = self.firmware.split(".")
        if len(parts) != 3 or not all(part.isdecimal() and int(part) < 256 for part in parts):
            raise UsageError(
                f"{self.firmware!r} is no firmware version.", remedy=f"Write it as {DEFAULT_FIRMWARE}."
            )
        major, minor, patch = map(int, parts)
        return major, minor, patch

    def _device_faults(self, kind: VirtualKind) -> dict[str, Any]:
        clock = kind.counter(self)

        def before(seconds: float) -> int:
            assert clock is not None
            modulus, per_s = clock
            return modulus - round(seconds * per_s)

        try:
            return device_arguments(kind.emulator, self.faults, before if clock else None)
        except ValueError as error:
            raise UsageError(
                f"A virtual {self.kind} cannot have all of these faults.",
                why=str(error),
                remedy=f"Choose out of {', '.join(faults_of(self.kind))}.",
            ) from None


def _nothing(_: VirtualDevice) -> dict[str, Any]:
    return {}


def _no_counter(_: VirtualDevice) -> tuple[int, float] | None:
    return None


@dataclass(frozen=True, slots=True)
class VirtualKind:
    """How a kind of virtual device is made, and what reads it.

    Attributes
    ----------
    device:
        The kind of device (:mod:`edge_ecg.sources.kinds`) whose session talks to it.
    emulator:
        Called with the signal and keyword arguments.
    options:
        The arguments that stand in the description.
    counter:
        Modulus of the device's counter or clock and its ticks a second, where its emulator takes a
        ``counter`` to begin with.
    radio:
        Whether the device speaks Bluetooth LE, so that it can have the faults of a radio.
    step_mv:
        One step of its converter at the electrodes, in the state in which edge-ecg uses it.
    proof:
        What tells a whole packet from a damaged one: ``checksum``, ``weak checksum`` (so few bits that whole
        neighbours of a damaged packet have to be given up, and are reported lost), ``time`` or ``nothing``.

    """

    device: str
    emulator: Callable[..., Emulator]
    options: Callable[[VirtualDevice], Mapping[str, Any]] = _nothing
    counter: Callable[[VirtualDevice], tuple[int, float] | None] = _no_counter
    radio: bool = False
    step_mv: float = 1e-3
    proof: str = "checksum"


_COMMON = ("loop", "seed")


def _shimmer3(device: VirtualDevice) -> dict[str, Any]:
    return {"firmware": device.version()}


def _shimmer3r(device: VirtualDevice) -> dict[str, Any]:
    return {"firmware": device.version(), "hardware": Hardware.SHIMMER3R}


def _shimmer_counter(_: VirtualDevice) -> tuple[int, float]:
    return STAMP_MODULUS, TICK_HZ


def _text(device: VirtualDevice) -> dict[str, Any]:
    if device.line not in FORMATS:
        raise UsageError(
            f"There is no line format {device.line!r}.", remedy=f"Choose one of {', '.join(FORMATS)}."
        )
    return {"fs_hz": device.fs_hz, "line": device.line}


def _text_counter(device: VirtualDevice) -> tuple[int, float] | None:
    return (1 << 32, _TEXT_CLOCKS_HZ[device.line]) if device.line in _TEXT_CLOCKS_HZ else None


def _polar_counter(_: VirtualDevice) -> tuple[int, float]:
    return 1 << 64, 1e9


def _movesense_counter(_: VirtualDevice) -> tuple[int, float]:
    return 1 << 32, 1e3


def _samples_counter(modulus: int, fs_hz: float) -> Callable[[VirtualDevice], tuple[int, float]]:
    return lambda _: (modulus, fs_hz)


VIRTUAL_KINDS: dict[str, VirtualKind] = {
    "shimmer3": VirtualKind("shimmer3", Shimmer3Emulator, _shimmer3, _shimmer_counter, step_mv=7.3e-5),
    "shimmer3r": VirtualKind("shimmer3", Shimmer3Emulator, _shimmer3r, _shimmer_counter, step_mv=7.3e-5),
    "polar-h10": VirtualKind("polar-h10", tunnelled_polar, counter=_polar_counter, radio=True),
    "movesense": VirtualKind(
        "movesense", tunnelled_movesense, counter=_movesense_counter, step_mv=3.9e-4, radio=True
    ),
    "framed": VirtualKind("framed", FramedEmulator, counter=_samples_counter(1 << 32, 256.0), step_mv=4.5e-3),
    "cyton": VirtualKind(
        "cyton", CytonEmulator, counter=_samples_counter(256, 250.0), step_mv=2.3e-5, proof="time"
    ),
    "ganglion": VirtualKind("ganglion", tunnelled_ganglion, step_mv=2e-3, radio=True),
    "bitalino": VirtualKind(
        "bitalino",
        BitalinoEmulator,
        counter=_samples_counter(16, 1000.0),
        step_mv=3e-3,
        proof="weak checksum",
    ),
    "openview": VirtualKind("openview", OpenViewEmulator, step_mv=2e-3, proof="nothing"),
    "text": VirtualKind("text", TextEmulator, _text, _text_counter, step_mv=4.5e-3, proof="time"),
}
"""Every virtual device, one line each."""


def faults_of(kind: str) -> list[str]:
    """Return the names of the faults that a kind of virtual device can have."""
    from edge_ecg_bridge.faults import FAULTS

    device = VirtualDevice(kind, SyntheticEcg())
    known = inspect.signature(VIRTUAL_KINDS[kind].emulator).parameters
    needs = {"rate-off": "rate_error", "already-streaming": "already_streaming"}
    return [
        name
        for name, fault in FAULTS.items()
        if (fault.layer is not Layer.RADIO or VIRTUAL_KINDS[kind].radio)
        and needs.get(name, "signal") in {"signal", *known}
        and (name != "time-wrap" or ("counter" in known and VIRTUAL_KINDS[kind].counter(device) is not None))
    ]


def parse_faults(text: str) -> tuple[PlannedFault, ...]:
    """Read ``NAME[@SECONDS[:DURATION]]``, several parted by commas; UsageError when it makes no sense."""
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(
            str(error), remedy="edge-ecg simulate --list-faults tells them all; write NAME@SECONDS:DURATION."
        ) from None


def synthetic_signal(
    story: str,
    heart_rate_bpm: float | None,
    seed: int,
    *,
    sdnn_ms: float | None = None,
    lf_hf: float = 0.5,
    noise_mv: float = 0.01,
) -> SyntheticEcg:
    """Return synthetic ECG of a story, or of a heart at rest with the given rate.

    Parameters
    ----------
    story:
        A name, or states and seconds; see :func:`edge_ecg_bridge.heart.parse_story`.
    heart_rate_bpm:
        Instead of a story.
    sdnn_ms, lf_hf:
        Heart rate variability instead of the story's: its size, and the ratio of LF to HF power.
    noise_mv:
        Standard deviation of the white noise.

    Raises
    ------
    UsageError
        When there is no such story.

    """
    try:
        states = parse_story(story)
    except ValueError as error:
        raise UsageError(str(error), remedy="Write it as rest:60,stress:90.") from None
    if heart_rate_bpm is not None:
        states = (replace(CALM, heart_rate_bpm=heart_rate_bpm),)
    if sdnn_ms is not None:
        states = tuple(state.with_variability(sdnn_ms, lf_hf) for state in states)
    return SyntheticEcg(states, seed=seed, noise_mv=noise_mv)
