"""What a service says to systemd: one datagram a message (sd_notify(3)), and nothing where nobody listens."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

# systemd takes them in microseconds; should it ever not, a message is lost rather than the service stopped.
_SEND_S = 1.0


class Notifier:
    """Sends messages to the socket that ``NOTIFY_SOCKET`` names.

    Parameters
    ----------
    address:
        A path, or a name in the abstract space that begins with ``@``; None to say nothing.
    watchdog_s:
        How long systemd waits between two signs of life; None where it does not watch.

    """

    def __init__(self, address: str | None = None, watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        self._address = "\0" + address[1:] if address is not None and address.startswith("@") else address
        self._socket: socket.socket | None = None
        if self._address is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.settimeout(_SEND_S)

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> Notifier:
        """Take the variables that systemd set, out of the environment: they are not for child processes."""
        address = environment.pop("NOTIFY_SOCKET", None)
        watched_us = environment.pop("WATCHDOG_USEC", "")
        watched_process = environment.pop("WATCHDOG_PID", "")
        watchdog_s = None
        if watched_us.isdecimal() and int(watched_us) and watched_process in ("", str(os.getpid())):
            watchdog_s = int(watched_us) / 1e6
        usable = address is not None and address[:1] in ("/", "@")
        return cls(address if usable else None, watchdog_s)

    @property
    def listening(self) -> bool:
        """Whether there is anybody to speak to."""
        return self._socket is not None

    def ready(self) -> None:
        """The service is up."""
        self._send("READY=1")

    def status(self, sentence: str) -> None:
        """One sentence for ``systemctl status``."""
        self._send("STATUS=" + " ".join(sentence.split()))

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def extend(self, seconds: float) -> None:
        """Ask for more time to start or to stop, counted from now."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def reloading(self, now_us: int) -> None:
        """The configuration is read again; :meth:`ready` ends that. ``now_us``: CLOCK_MONOTONIC."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={now_us}")

    def stopping(self) -> None:
        """The service is on its way out."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Say nothing from now on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(message.encode(), self._address or "")
        except OSError:
            # systemd restarts itself now and then. A service does not die of that; the next message counts.
            return
