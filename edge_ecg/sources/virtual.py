"""Making virtual devices: what ``sim:`` addresses and ``edge-ecg simulate`` have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_ecg_bridge.emulators import Emulator, Shimmer3Emulator, Signal, TextEmulator
from edge_ecg_bridge.emulators.text import FORMATS
from edge_ecg_bridge.synthetic import CALM, STORIES, SyntheticEcg

from ..errors import UsageError

VIRTUAL_KINDS = ("shimmer3", "text")
DEFAULT_STORY = "rest-stress"
DEFAULT_FIRMWARE = "0.15.4"


@dataclass(frozen=True, slots=True)
class VirtualDevice:
    """What a virtual device is to be.

    Attributes
    ----------
    kind:
        One of :data:`VIRTUAL_KINDS`.
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

    """

    kind: str
    signal: Signal
    firmware: str = DEFAULT_FIRMWARE
    fs_hz: float = 250.0
    line: str = "us,adc"
    loop: bool = False
    seed: int = 0

    def build(self) -> Emulator:
        """Make it; UsageError when a part of the description makes no sense."""
        if self.kind == "text":
            if self.line not in FORMATS:
                raise UsageError(
                    f"There is no line format {self.line!r}.", remedy=f"Choose one of {', '.join(FORMATS)}."
                )
            return TextEmulator(self.signal, fs_hz=self.fs_hz, line=self.line, loop=self.loop, seed=self.seed)
        return Shimmer3Emulator(self.signal, firmware=self._version(), loop=self.loop, seed=self.seed)

    def _version(self) -> tuple[int, int, int]:
        parts = self.firmware.split(".")
        if len(parts) != 3 or not all(part.isdecimal() and int(part) < 256 for part in parts):
            raise UsageError(
                f"{self.firmware!r} is no firmware version.", remedy=f"Write it as {DEFAULT_FIRMWARE}."
            )
        major, minor, patch = map(int, parts)
        return major, minor, patch


def synthetic_signal(story: str, heart_rate_bpm: float | None, seed: int) -> SyntheticEcg:
    """Return synthetic ECG of a story by name, or of a heart at rest with the given rate."""
    if heart_rate_bpm is not None:
        return SyntheticEcg((replace(CALM, heart_rate_bpm=heart_rate_bpm),), seed=seed)
    return SyntheticEcg(STORIES[story], seed=seed)
