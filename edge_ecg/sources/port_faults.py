"""Why a port cannot be opened, in words, with the command that mends it."""

from __future__ import annotations

import errno
import os
import stat

from ..discovery import find_serial_ports, who_holds
from ..errors import DeviceError

_OFF_AIR = {errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ECONNABORTED}


def explain(port: str, error: Exception) -> DeviceError:
    """Turn pyserial's complaint about opening ``port`` into one that helps."""
    code = _errno(error)
    if code == errno.ENOENT:
        ports = ", ".join(f"{found.device_path} ({found.description})" for found in find_serial_ports())
        return DeviceError(
            f"There is no port {port}.",
            why=f"This machine has {ports}." if ports else "This machine has no USB or Bluetooth port now.",
            remedy="Plug the device in; give a Bluetooth device as bt:ADDRESS, or bind it "
            f"(sudo rfcomm bind 0 ADDRESS){', or give one of those' if ports else ''}.",
        )
    if code in (errno.EACCES, errno.EPERM):
        return _not_permitted(port)
    if code in (errno.EBUSY, errno.EAGAIN, errno.EWOULDBLOCK):
        holder = who_holds(port)
        return DeviceError(
            f"{port} is in use by {holder or 'another program'}.",
            why="Two readers would steal each other's bytes.",
            remedy="Close that program and start again.",
        )
    if code in _OFF_AIR:
        return DeviceError(
            f"The device behind {port} does not answer over Bluetooth.",
            why=os.strerror(code or 0),
            remedy="Switch it on, bring it nearer, take it out of its dock, check its pairing (PIN 1234).",
        )
    if code == errno.ECONNREFUSED:
        return DeviceError(
            f"Nobody listens at {port}.", remedy="Start the server there, or check host and port."
        )
    if code in (errno.ENOTTY, errno.EISDIR, errno.EINVAL):
        return DeviceError(
            f"{port} is not a serial port.",
            remedy="Give a port such as /dev/ttyUSB0, or file:PATH for a file.",
        )
    return DeviceError(
        f"{port} cannot be opened.",
        why=f"{str(error).rstrip('.')}.",
        remedy="Check that its server (ser2net) speaks RFC 2217 there, or give it as socket://HOST:PORT."
        if port.startswith("rfc2217:")
        else "Unplug the device, plug it in again, and start again.",
    )


def dock_hint(port: str) -> str:
    """Say what ``port`` is known to be, when that is nothing that streams, such as a Shimmer's dock."""
    path = os.path.realpath(port)
    known = [found for found in find_serial_ports() if found.device_path == path and not found.streams]
    return f" This port is a {known[0].description}." if known else ""


def _not_permitted(port: str) -> DeviceError:
    remedy = "sudo usermod -aG dialout $USER, then log in again."
    try:
        status = os.stat(port)
        group = _group_name(status.st_gid)
        if group != "root" and status.st_mode & stat.S_IRGRP:
            remedy = f"sudo usermod -aG {group} $USER, then log in again."
    except OSError:
        pass
    rule = 'SUBSYSTEM=="tty", GROUP="dialout", MODE="0660"'
    return DeviceError(
        f"This user may not open {port}.",
        why="It belongs to a group that the user is not in.",
        remedy=f"{remedy} A port without group needs {rule} in /etc/udev/rules.d/50-serial.rules.",
    )


def _group_name(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return "root"


def _errno(error: BaseException | None) -> int | None:
    """Find the error number in an exception, in its arguments, or in what it was raised from."""
    while error is not None:
        code = getattr(error, "errno", None)
        if isinstance(code, int):
            return code
        if error.args and isinstance(error.args[0], int):
            return error.args[0]
        error = error.__cause__ or error.__context__
    return None
