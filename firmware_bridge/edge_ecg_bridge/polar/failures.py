"""Why a Polar strap cannot be used, in words and with what mends it."""

from __future__ import annotations

from ..gatt import ATT_NEEDS_PAIRING, Connected
from ..gatt_script import RefusedError
from ..stream import BridgeError
from . import pmd
from .pmd import Response


def words(status: int) -> tuple[str, str]:
    """Return what a status means and what to do about it."""
    unknown = (f"It answered with status {status}.", "Take the strap off for a minute, and start again.")
    return pmd.STATUS_WORDS.get(status, unknown)


def refused(answer: Response) -> BridgeError:
    """Say that the strap answers a start with another status than success."""
    why, remedy = words(answer.status)
    return BridgeError("The Polar strap does not start its ECG.", why=why, remedy=remedy)


def no_pmd(found: Connected) -> BridgeError:
    """Say that the device has no measurement service, and what it then most likely is."""
    name = found.name or "The device"
    if any(mark in found.characteristics for mark in pmd.OLD_SERVICE_MARKS) or "H10" in name:
        return BridgeError(
            f"{name} has a firmware that sends no ECG.",
            why="The measurement service (PMD) came with version 3.",
            remedy="Update it with the Polar Flow app, and start again.",
        )
    return BridgeError(
        f"{name} is no Polar strap that sends ECG.",
        why="It has no Polar measurement service (PMD).",
        remedy="Use a Polar H10, or leave --device out to find out what it is.",
    )


def no_ecg(found: Connected) -> BridgeError:
    """Say that it is a Polar sensor without ECG."""
    return BridgeError(
        f"{found.name or 'The Polar device'} measures no ECG.",
        why="Of the Polar sensors only the H10 strap does.",
        remedy="Use a Polar H10.",
    )


def failed(refused: RefusedError) -> BridgeError:
    """Say that a step was refused: by the strap, or by the host that was to do it."""
    if refused.code in ATT_NEEDS_PAIRING:
        return not_allowed(refused)
    return BridgeError(
        "The Polar strap could not be set up.",
        why=refused.text or f"It answered with the ATT error 0x{refused.code:02X}.",
        remedy="Bring it nearer, take it off for a minute, and start again.",
    )


def not_allowed(refused: RefusedError) -> BridgeError:
    """Say that the strap wants a bond and none came about."""
    why = refused.text or (f"It answered with the ATT error 0x{refused.code:02X}." if refused.code else "")
    return BridgeError(
        "The Polar strap does not let this machine read its ECG.",
        why=why,
        remedy="Pair it once: bluetoothctl, then scan on, pair ADDRESS, trust ADDRESS. "
        "If that fails, remove ADDRESS there and reset the pairing in the Polar app.",
    )


def no_answer() -> BridgeError:
    """Say that the strap does not answer."""
    return BridgeError(
        "The Polar strap does not answer.",
        why="The link is too weak, or a phone holds the strap.",
        remedy="Bring it nearer, close the phone's app, wet the electrodes, and start again.",
    )
