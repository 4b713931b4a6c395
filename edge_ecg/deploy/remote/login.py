"""Logging in: the one ``ssh`` that may ask something, and that stays as the shared connection.

It runs ``cat`` on the device with its stdin held by this process: should this process die, however it does,
its end of the pipe closes, ``cat`` ends, and with it the connection. Nothing is left in the background.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from pathlib import Path

from ...errors import RemoteError, UsageError
from .failures import spoken, ssh_failure
from .host_key import HostKey, seen_key
from .options import CONNECT_TIMEOUT_S, SSH_FAILED, SshOptions, can_multiplex, defaults_for

_READY = b"edge-ecg-connected"
_LIMIT_S = CONNECT_TIMEOUT_S + 40.0
_END_S = 1.0


class Login:
    """One attempt to log in, its log in ``folder``, the socket of its connection ``folder/c``."""

    def __init__(self, host: str, options: SshOptions, folder: Path) -> None:
        self.host = host
        self.options = options
        self._log = folder / "log"
        self._err = folder / "err"
        self._socket = folder / "c"
        self._resolved = resolved(host, options)

    def open(self) -> subprocess.Popen[bytes]:
        """Connect and return the ``ssh`` that holds the connection.

        Raises
        ------
        RemoteError
            When it fails, with the reason.

        """
        argv = [*self.options.plain(), *defaults_for(self._resolved)]
        # The log tells which key was shown and what failed; prompts still go to the terminal.
        argv += ["-E", str(self._log), "-o", "LogLevel=DEBUG1"]
        if can_multiplex():
            argv += ["-o", "ControlMaster=yes", "-o", "ControlPersist=no", "-S", str(self._socket)]
        argv += ["--", self.host, f"echo {_READY.decode()}; exec cat >/dev/null"]
        with self._err.open("wb") as captured:
            # In batch mode without a controlling terminal: nothing can ask then, and that holds for a jump
            # host's ssh too, which is not told of BatchMode. Otherwise stderr is the terminal, since that is
            # where a hardware key asks to be touched.
            batch = self.options.batch
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=captured if batch else None,
                env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"} if batch else None,
                start_new_session=batch,
            )
        try:
            self._await_ready(process)
        except BaseException:
            end_master(process)
            raise
        return process

    def host_key(self) -> tuple[HostKey | None, bool]:
        """Return the key that the host showed, and whether it was stored as a new one."""
        log = self._read(self._log)
        return seen_key(log), "Permanently added" in log

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        deadline = time.monotonic() + _LIMIT_S if self.options.batch else None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            said = b""
            while _READY not in said:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and (left <= 0 or not selector.select(left)):
                    raise self._too_late()
                block = os.read(process.stdout.fileno(), 4096)
                if not block:
                    raise self._failure(self._ended(process, deadline))
                said += block
        before = said.partition(_READY)[0].strip()
        if before:
            raise RemoteError(
                f"{self.host} says something before every command, which would end up in our data.",
                why=f"It begins with {before[:60].decode(errors='replace')!r}.",
                remedy="Let ~/.bashrc (or the like) there print only in interactive shells: "
                "`case $- in *i*) ;; *) return;; esac` at its top.",
            )

    def _ended(self, process: subprocess.Popen[bytes], deadline: float | None) -> int:
        """Return the code of an ``ssh`` whose output has ended; a host may end that and stay all the same."""
        try:
            return process.wait(None if deadline is None else max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            raise self._too_late() from None

    def _too_late(self) -> RemoteError:
        return ssh_failure(self.host, f"Operation timed out: no login within {_LIMIT_S:g} s")

    def _failure(self, code: int) -> RemoteError:
        log, said = self._read(self._log), self._read(self._err)
        if code != SSH_FAILED:
            return RemoteError(
                f"{self.host} lets this user in, but runs no command for it (exit code {code}).",
                why=next(iter(spoken(said)), ""),
                remedy=f"The user needs a login shell there: `ssh {self.host} true` must work.",
            )
        jump = self._resolved.get("proxyjump", "")
        if jump and seen_key(log) is None and spoken(said):
            return ssh_failure(jump, said)
        return ssh_failure(self.host, f"{said}\n{log}")

    def _read(self, path: Path) -> str:
        return path.read_text(errors="replace") if path.exists() else ""


def resolved(host: str, options: SshOptions) -> dict[str, str]:
    """Return what ``ssh -G`` says of the host: the user's configuration, keys in lower case.

    Of a key that stands twice the first value is kept; empty when ``ssh`` rejects its options.

    Raises
    ------
    UsageError
        When there is no such program.

    """
    try:
        done = subprocess.run(
            [*options.base(), "-G", "--", host], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except FileNotFoundError:
        raise UsageError(
            f"There is no program {options.program!r} here.",
            why="edge-ecg reaches devices by the OpenSSH client.",
            remedy="sudo apt install openssh-client",
        ) from None
    found: dict[str, str] = {}
    for line in done.stdout.decode(errors="replace").splitlines() if done.returncode == 0 else ():
        key, _, value = line.partition(" ")
        found.setdefault(key, value)
    return found


def end_master(process: subprocess.Popen[bytes]) -> None:
    """End the connection that a login holds."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    # A command that was given up may still hold it open.
    for end in (process.terminate, process.kill):
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            end()
    process.wait()
