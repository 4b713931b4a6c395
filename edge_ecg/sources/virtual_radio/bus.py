"""A private D-Bus, with a daemon of its own in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from ...errors import DeviceError

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="signal"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
  </policy>
</busconfig>
"""
_END_S = 5.0
_REMEDY = "sudo apt install dbus-daemon"


def find_daemon() -> str | None:
    """Return the path of ``dbus-daemon``, or None."""
    return shutil.which("dbus-daemon")


class PrivateBus:
    """A D-Bus that runs until it is closed.

    Attributes
    ----------
    address:
        For ``DBUS_SYSTEM_BUS_ADDRESS``.

    Raises
    ------
    DeviceError
        When there is no ``dbus-daemon`` or it does not start.

    """

    def __init__(self) -> None:
        daemon = find_daemon()
        if daemon is None:
            raise DeviceError("There is no dbus-daemon.", remedy=_REMEDY)
        self._folder = tempfile.TemporaryDirectory(prefix="edge-ecg-bus-")
        folder = Path(self._folder.name)
        config = folder / "bus.conf"
        config.write_text(_CONFIG.format(socket=folder / "socket"))
        self._daemon = subprocess.Popen(
            [daemon, f"--config-file={config}", "--nofork", "--nopidfile", "--print-address=1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the program, which then ends the bus
            env={**os.environ, "LC_ALL": "C"},
        )
        assert self._daemon.stdout is not None
        # Without the bus's own identity, which nobody needs to type.
        self.address = self._daemon.stdout.readline().decode().strip().partition(",guid=")[0]
        if not self.address:
            assert self._daemon.stderr is not None
            why = self._daemon.stderr.read().decode(errors="replace").strip()
            self.close()
            raise DeviceError(
                "The private D-Bus does not start.", why=why, remedy="sudo apt install dbus-daemon"
            )

    def close(self) -> None:
        """End the daemon and remove its folder; may be called twice."""
        if self._daemon.poll() is None:
            self._daemon.terminate()
            try:
                self._daemon.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
        for pipe in (self._daemon.stdout, self._daemon.stderr):
            if pipe is not None:
                pipe.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
