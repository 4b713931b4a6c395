"""What the host wants of a Ganglion, and the errors of setting it up."""

from __future__ import annotations

from dataclasses import dataclass

from ..stream import BridgeError, show_bytes
from . import wire


@dataclass(frozen=True, slots=True)
class GanglionSettings:
    """What the host wants of the Ganglion.

    Attributes
    ----------
    channel:
        Which of the four inputs carries the ECG, from 1.
    accelerometer:
        Whether it is read; None: yes with firmware 3, no before, where it costs a bit of every difference and
        steep QRS complexes would not fit.
    firmware:
        Its major version, when the board does not say it; None to ask.

    Raises
    ------
    ValueError
        When there is no such channel.

    """

    channel: int = 1
    accelerometer: bool | None = None
    firmware: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.channel <= wire.CHANNELS:
            raise ValueError("channel must be 1 to 4")


def no_version(text: bytes) -> BridgeError:
    """Return the error for a board that has not said its version, only ``text``."""
    if not text:
        return BridgeError(
            "The Ganglion does not answer.",
            why="It was asked for its version three times.",
            remedy="Switch it off and on again; if it streams with other programs, say its firmware: "
            "?firmware=2 or ?firmware=3.",
        )
    return BridgeError(
        "What answers is not a Ganglion.",
        why=f"It sent {show_bytes(text.strip())}.",
        remedy="Say its firmware, ?firmware=2 or ?firmware=3, if it is one all the same.",
    )


def silent(limit_s: float) -> BridgeError:
    """Return the error for a stream that has ended."""
    return BridgeError(
        f"No data from the Ganglion for {limit_s:g} s.",
        why="It is out of range, switched off, or its battery is empty.",
        remedy="Bring it nearer, charge it, and start again.",
    )
