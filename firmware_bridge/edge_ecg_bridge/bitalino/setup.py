"""What the host wants of a BITalino, and the errors of setting it up."""

from __future__ import annotations

from dataclasses import dataclass

from ..stream import BridgeError, show_bytes

RATES_HZ = (100, 1000)


@dataclass(frozen=True, slots=True)
class BitalinoSettings:
    """What the host wants of the BITalino.

    Attributes
    ----------
    fs_hz:
        1000 or 100 (it also knows 10 and 1, which are of no use for ECG).
    channels:
        Inputs to be sent, rising, of 1 to 6 (A1 to A6). From the fifth on they have 6 bits instead of 10.
    ecg_channel:
        Which of them is the ECG.

    Raises
    ------
    ValueError
        When rate or channels make no sense.

    """

    fs_hz: int = 1000
    channels: tuple[int, ...] = (2,)
    ecg_channel: int = 2

    def __post_init__(self) -> None:
        if self.fs_hz not in RATES_HZ:
            raise ValueError("fs_hz must be 100 or 1000")
        rising = tuple(sorted(set(self.channels))) == self.channels
        if not rising or not self.channels or not set(self.channels) <= set(range(1, 7)):
            raise ValueError("channels must be rising numbers of 1 to 6")
        if self.ecg_channel not in self.channels:
            raise ValueError("ecg_channel must be one of channels")


def no_answer(seen: bytes) -> BridgeError:
    """Return the error for a port behind which no BITalino says its version."""
    if not seen:
        return BridgeError(
            "No BITalino answers on this port.",
            why="It was asked for its version three times.",
            remedy="Switch it on, pair it (PIN 1234), sudo rfcomm bind 0 ADDRESS, and give /dev/rfcomm0.",
        )
    return BridgeError(
        "What answers on this port is not a BITalino.",
        why=f"It sent {show_bytes(seen)}.",
        remedy="Leave out --device to find out what it is.",
    )


def never_quiet(seen: bytes) -> BridgeError:
    """Return the error for a device that cannot be stopped."""
    return BridgeError(
        "The device keeps sending and does not stop when it is told to as a BITalino would.",
        why=f"It sent {show_bytes(seen[-24:])}.",
        remedy="Leave out --device to find out what it is; switch a BITalino off and on again.",
    )


def silent(*, bytes_come: bool, limit_s: float) -> BridgeError:
    """Return the error for a stream that has ended."""
    if bytes_come:
        return BridgeError(
            f"The BITalino sends bytes, but no whole frame for {limit_s:g} s.",
            why="Another program may be reading the same port, or the link loses too much.",
            remedy="Close other programs on this port and bring the BITalino nearer.",
        )
    return BridgeError(
        f"No bytes from the BITalino for {limit_s:g} s.",
        why="It is out of range or its battery is empty.",
        remedy="Bring it nearer, charge it, and start again.",
    )
