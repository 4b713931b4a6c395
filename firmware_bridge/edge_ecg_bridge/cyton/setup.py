"""The order in which a Cyton is asked and told, from any state it may be in to its first packet."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from ..stream import BridgeError, Detail, show_bytes
from . import wire
from .wire import Greeting

_RESET_S = 3.0
_ANSWER_S = 1.5


@dataclass(frozen=True, slots=True)
class CytonSettings:
    """What the host wants of the Cyton.

    Attributes
    ----------
    channel:
        Which of the eight inputs carries the ECG, from 1.
    gain:
        1, 2, 4, 6, 8, 12 or 24; 24 is the board's own default and takes ±187 mV.
    differential:
        Whether the channel measures between its own two pins; else against SRB2, the board's own default.
    stamps:
        Whether packets carry the board's time, by which losses of any length are known.

    Raises
    ------
    ValueError
        When there is no such channel or gain. Channels 9 to 16, of a Daisy, come at 125 Hz and are not read.

    """

    channel: int = 1
    gain: int = 24
    differential: bool = False
    stamps: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.channel <= wire.CHANNELS:
            raise ValueError("channel must be 1 to 8")
        if self.gain not in wire.GAINS:
            raise ValueError(f"gain must be one of {', '.join(map(str, wire.GAINS))}")


@dataclass(frozen=True, slots=True)
class Ask:
    """Text to send whose answer ends in ``$$$``."""

    command: bytes
    timeout_s: float = _ANSWER_S
    tries: int = 2


Dialogue = Generator[Ask, bytes | None, dict[str, Detail]]


def set_up(settings: CytonSettings) -> Dialogue:
    """Yield what to ask and be sent the answer (None: none came); return what to tell of the board.

    Raises
    ------
    BridgeError
        When no Cyton answers, or it refuses.

    """
    greeting = _greeting((yield Ask(wire.RESET, _RESET_S, 3)))
    version = ".".join(map(str, greeting.firmware))
    old = greeting.firmware < (2, 0, 0)
    if greeting.daisy:
        # With the Daisy on, every channel comes at 125 Hz, as a mean of two samples.
        _expect((yield Ask(wire.EIGHT_CHANNELS)), b"daisy removed", "to use channels 1 to 8 only")
    if settings.gain != 24 or settings.differential:
        if old:
            raise _too_old(version, "channel settings in one piece")
        command = wire.channel_command(settings.channel, settings.gain, differential=settings.differential)
        _expect((yield Ask(command)), b"Success", "to set its channel")
    if settings.stamps:
        if old:
            raise _too_old(version, "time stamps")
        _expect((yield Ask(wire.STAMPS_ON)), b"stamp ON", "to send time stamps")
    return {
        "firmware": version,
        "channel": settings.channel,
        "gain": settings.gain,
        "reference": "differential" if settings.differential else "SRB2",
        "daisy": greeting.daisy,
        "clock": "board" if settings.stamps else "sample numbers and the host's clock",
    }


def radio_failure() -> BridgeError:
    """Return the error for a dongle that does not hear its board."""
    return BridgeError(
        "The OpenBCI dongle answers, but the Cyton does not.",
        why="The dongle says: Communications timeout - Device failed to poll Host.",
        remedy="Switch the Cyton to PC, charge its battery, bring it nearer; else dongle and board are on "
        "different radio channels: set them with the OpenBCI GUI (System Control Panel, Radio).",
    )


def _greeting(answer: bytes | None) -> Greeting:
    if answer is None:
        raise BridgeError(
            "No Cyton answers on this port.",
            why="It was asked for a reset three times and did not end any text in $$$.",
            remedy="Switch the dongle to GPIO 6 and the Cyton to PC, and give the dongle's port.",
        )
    greeting = wire.parse_greeting(answer)
    if greeting is None:
        raise BridgeError(
            "What answers on this port is not a Cyton.",
            why=f"It sent {show_bytes(answer.strip())}.",
            remedy="Leave out --device to find out what it is.",
        )
    return greeting


def _expect(answer: bytes | None, word: bytes, purpose: str) -> None:
    if answer is None or word not in answer:
        raise BridgeError(
            f"The Cyton was told {purpose} and did not agree.",
            why=f"It sent {show_bytes((answer or b'').strip())}.",
            remedy="Switch it off and on again; bring it nearer.",
        )


def _too_old(version: str, what: str) -> BridgeError:
    return BridgeError(
        f"The Cyton's firmware {version} knows no {what}.",
        remedy="Update it to 3.1.2, or leave gain, reference and clock at their defaults.",
    )


def never_quiet(seen: bytes) -> BridgeError:
    """Return the error for a device that cannot be stopped."""
    return BridgeError(
        "The device keeps sending and does not stop when it is told to as a Cyton would.",
        why=f"It sent {show_bytes(seen)}.",
        remedy="Leave out --device to find out what it is; switch a Cyton off and on again.",
    )


def silent(seen: bytes, limit_s: float) -> BridgeError:
    """Return the error for a stream that has ended; ``seen`` is what came instead of packets."""
    if seen:
        return BridgeError(
            f"The Cyton sends bytes, but no whole packet for {limit_s:g} s.",
            why=f"It sent {show_bytes(seen)}.",
            remedy="Close other programs on this port, bring the board nearer to its dongle.",
        )
    return BridgeError(
        f"No bytes from the Cyton for {limit_s:g} s.",
        why="It is switched off, out of the dongle's range, or its battery is empty.",
        remedy="Switch it to PC, bring it nearer, charge it, and start again.",
    )
