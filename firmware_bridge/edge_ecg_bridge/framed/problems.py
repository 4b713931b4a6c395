"""What can be wrong with a board that speaks our format, said to its user."""

from __future__ import annotations

from ..stream import BridgeError, show_bytes
from .info import Info, State


def silent(for_s: float) -> BridgeError:
    """No byte came."""
    return BridgeError(
        f"No bytes from the board for {for_s:g} s.",
        why="It is off, its cable carries no data, or its sketch does not run.",
        remedy="Check its cable and its power; flash the sketch again (firmware_bridge/sketches/README.md).",
    )


def no_samples(info: Info | None, seen: bytes, for_s: float) -> BridgeError:
    """Bytes came, and no sample."""
    if info is None:
        return BridgeError(
            f"The board sends bytes, but does not say what it is for {for_s:g} s.",
            why=f"No whole info frame is among them; the last are {show_bytes(seen[-24:])}.",
            remedy="Give the baud rate of its sketch, such as ?baud=230400, after the port.",
        )
    if not info.state & State.STREAMING:
        return BridgeError(
            f"The board {info.name!r} says that it does not stream, and sent no samples for {for_s:g} s.",
            why="It was told to stop, by another program or by its own button.",
            remedy="Close other programs on this port, reset the board and start again.",
        )
    return BridgeError(
        f"The board {info.name!r} sent no whole data frame for {for_s:g} s.",
        why=f"Its last bytes are {show_bytes(seen[-24:])}: the link damages them, or its sketch hangs.",
        remedy="Try another cable or a lower baud rate in the sketch, reset the board and start again.",
    )


def counts_backward() -> BridgeError:
    """Frames come that all lie behind, and the run number is the same."""
    return BridgeError(
        "The board numbers its samples from before again.",
        why="It restarted without changing its run number, or another program replays old frames.",
        remedy="Let its sketch change the run number at every start; start again.",
    )


def impossible_rate(info: Info, low_hz: float, high_hz: float) -> BridgeError:
    """Its rate is no rate for an ECG."""
    return BridgeError(
        f"The board {info.name!r} samples at {info.fs_hz:g} Hz; the ECG needs {low_hz:g} to {high_hz:g}.",
        remedy="Change the rate in its sketch.",
    )


def other_rate(before: Info, after: Info) -> BridgeError:
    """It restarted with another rate."""
    return BridgeError(
        f"The board restarted with another rate: {after.fs_hz:g} Hz instead of {before.fs_hz:g}.",
        why="A stream has one rate.",
        remedy="Start again.",
    )


def no_channel(info: Info, wanted: str) -> BridgeError:
    """It has no such channel."""
    names = ", ".join(f"{i + 1} {c.name}" for i, c in enumerate(info.channels))
    if not wanted:
        return BridgeError(
            f"The board {info.name!r} says that none of its channels is an ECG.",
            remedy=f"Choose one of {names} with ?channel=NUMBER after the port.",
        )
    return BridgeError(
        f"The board {info.name!r} has no channel {wanted!r}.",
        remedy=f"Choose one of {names} with ?channel=NAME or NUMBER after the port.",
    )
