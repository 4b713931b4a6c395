"""Why a Bluetooth classic device cannot be reached, in words, with the command that mends it.

The error numbers are those of Linux' ``net/bluetooth``: ``bt_to_errno`` turns the controller's reason into
one of them, and the RFCOMM and L2CAP sockets add their own.
"""

from __future__ import annotations

import errno
import os

from ..errors import DeviceError

_BIND = "sudo rfcomm bind 0 ADDRESS, then --port /dev/rfcomm0"
_OFF_AIR = {errno.EHOSTDOWN, errno.ETIMEDOUT, errno.ECONNABORTED}
_NO_ADAPTER = {errno.EHOSTUNREACH, errno.ENODEV, errno.ENETUNREACH, errno.ENETDOWN}
_NOT_PAIRED = {errno.EACCES, errno.EPERM, errno.ECONNRESET}
_TAKEN = {errno.EBUSY, errno.EADDRINUSE, errno.EALREADY, errno.EMLINK}


def no_support(why: str, *, of_python: bool) -> DeviceError:
    """Say that there are no RFCOMM sockets here, and what works in their place."""
    own = (
        f"Use the system's Python (python3 -m venv with /usr/bin/python3), or bind the device: {_BIND}"
        if of_python
        else f"sudo modprobe rfcomm; in a container, give it the host's network. Or bind the device: {_BIND}"
    )
    return DeviceError("bt: addresses cannot be opened here.", why=why, remedy=own)


def explain_rfcomm(remote: str, channel: int, error: OSError) -> DeviceError:
    """Turn what the kernel said about connecting to ``remote`` into something that helps."""
    code = error.errno
    if code in _NO_ADAPTER:
        return DeviceError(
            "No Bluetooth adapter is switched on.",
            why=_words(error),
            remedy="sudo rfkill unblock bluetooth && bluetoothctl power on; edge-ecg doctor looks further.",
        )
    if code in _OFF_AIR or isinstance(error, TimeoutError):
        return DeviceError(
            f"The device {remote} does not answer over Bluetooth.",
            why=_words(error),
            remedy="Switch it on, take it out of its dock, bring it nearer; "
            "end its connection to a phone or another computer.",
        )
    if code in _NOT_PAIRED:
        return DeviceError(
            f"The device {remote} does not let this computer in.",
            why=f"{_words(error)} It is not paired, or its pairing was lost.",
            remedy=f"bluetoothctl remove {remote}; then bluetoothctl pair {remote} (PIN 1234 for a Shimmer) "
            f"and bluetoothctl trust {remote}",
        )
    if code in _TAKEN:
        return DeviceError(
            f"RFCOMM channel {channel} of {remote} is in use already.",
            why="Another program, or a port that was bound to it, holds the connection.",
            remedy="End that program, or: sudo rfcomm release all",
        )
    return DeviceError(
        f"The device {remote} cannot be reached over RFCOMM channel {channel}.",
        why=_words(error),
        remedy=f"Switch it off and on, and start again; else {_BIND}",
    )


def _words(error: OSError) -> str:
    if error.errno:
        return f"{os.strerror(error.errno)}."
    return "It did not answer in time." if isinstance(error, TimeoutError) else f"{error}."
