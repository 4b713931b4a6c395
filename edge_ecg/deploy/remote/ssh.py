"""One connection to a device, by the user's own ``ssh``.

Because it is the same program, ``~/.ssh/config``, agents, hardware keys, certificates, jump hosts and
known_hosts count here as they do in a terminal; no host-key policy is made looser. The first call logs in
(and asks what it has to ask); all others share its connection (``ControlMaster``) and ask nothing.

``ssh`` ends with 255 when it failed itself and with the command's code otherwise; a command that ends with
255 is made to end with 254, so that the two can be told apart.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from ...errors import RemoteError
from .failures import spoken
from .host_key import HostKey
from .login import Login, end_master
from .options import SSH_FAILED, SshOptions, can_multiplex, check_host

_BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended on the device: its exit code and what it wrote."""

    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Its stdout as text."""
        return self.stdout.decode(errors="replace")

    @property
    def words(self) -> str:
        """The last line of its stderr, for messages."""
        lines = [line for line in self.stderr.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else ""


class Remote:
    """A device, and the connection to it while ``with`` lasts.

    Parameters
    ----------
    host:
        As ``ssh`` takes it: ``USER@NAME``, or a ``Host`` of its configuration.
    options:
        How to call ``ssh``.

    Raises
    ------
    RemoteError
        On entry when the device cannot be reached or does not let us in, with the reason; later from any
        method when the connection is lost.
    UsageError
        When there is no ``ssh`` here, or ``host`` is none.

    """

    def __init__(self, host: str, options: SshOptions | None = None) -> None:
        self.host = check_host(host)
        self.options = SshOptions() if options is None else options
        #: The key that the host showed when this connection was made.
        self.host_key: HostKey | None = None
        #: True when that key was not known before and has been stored now.
        self.host_key_added = False
        self._folder: Path | None = None
        self._master: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Log in; asks on the terminal what ``ssh`` would ask, unless ``options.batch``."""
        # Short and private: the path of a socket has room for about a hundred characters.
        self._folder = Path(tempfile.mkdtemp(prefix="ee-", dir=_short_folder()))
        try:
            login = Login(self.host, self.options, self._folder)
            self._master = login.open()
            self.host_key, self.host_key_added = login.host_key()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection; harmless when there is none."""
        folder, self._folder = self._folder, None
        master, self._master = self._master, None
        if master is not None:
            end_master(master)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def cut(self) -> None:
        """End the connection at once, from any thread; whoever uses it gets a RemoteError."""
        if self._master is not None:
            self._master.kill()

    def run(
        self, command: Sequence[str] | str, *, stdin: bytes | None = None, timeout_s: float | None = None
    ) -> Completed:
        """Run a command on the device and wait for its end.

        Parameters
        ----------
        command:
            Words, each passed on as it is; or a script for ``sh``.
        stdin:
            Its standard input; none when left out.
        timeout_s:
            How long it may take. The command may go on there when it took longer.

        Raises
        ------
        RemoteError
            When the connection is lost or the time is up. A command that fails raises nothing: see the code.

        """
        with self._start(command, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE) as process:
            try:
                out, err = process.communicate(stdin, timeout_s)
            except subprocess.TimeoutExpired:
                raise RemoteError(
                    f"{self.host} did not finish within {timeout_s:g} s.",
                    why=f"It was asked to run: {_shown(command)}",
                    remedy="Try again; nothing on the device depends on it.",
                ) from None
            finally:
                _end(process)
        self._check_alive(process.returncode, err)
        return Completed(process.returncode, out, err)

    def stream(self, command: Sequence[str] | str) -> Stream:
        """Start a command whose lines are read as they come; use the result in ``with``."""
        return Stream(self, self._start(command, stdin=subprocess.DEVNULL))

    def send(
        self,
        command: Sequence[str] | str,
        file: IO[bytes],
        progress: Callable[[int], None] = lambda count: None,
    ) -> Completed:
        """Run a command with a file, from where it stands, as its stdin; ``progress`` gets bytes sent."""
        with self._start(command, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            try:
                # Where the command ends before it has read all, its code says why.
                with suppress(BrokenPipeError):
                    while block := file.read(_BLOCK_BYTES):
                        process.stdin.write(block)
                        process.stdin.flush()
                        progress(len(block))
                with suppress(BrokenPipeError):
                    process.stdin.close()
                process.stdin = None
                out, err = process.communicate()
            finally:
                _end(process)
        self._check_alive(process.returncode, err)
        return Completed(process.returncode, out, err)

    def put(self, path: Path, remote_path: str, progress: Callable[[int], None] = lambda count: None) -> None:
        """Copy a file to the device, going on where an earlier attempt was cut (see :mod:`.upload`)."""
        from .upload import upload

        upload(self, path, remote_path, progress)

    def get(self, remote_path: str, path: Path) -> None:
        """Copy a file from the device; what is at ``path`` is replaced once all has arrived.

        Raises
        ------
        RemoteError
            When there is no such file, or the connection is lost.

        """
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as file:
                process = self._start(["cat", "--", remote_path], stdin=subprocess.DEVNULL, stdout=file)
                with process:
                    try:
                        _, err = process.communicate()
                    finally:
                        _end(process)
            self._check_alive(process.returncode, err)
            if process.returncode:
                done = Completed(process.returncode, b"", err)
                raise RemoteError(f"{self.host} does not give {remote_path}.", why=done.words)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _start(
        self, command: Sequence[str] | str, *, stdin: int, stdout: int | IO[bytes] = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        if self._folder is None:
            raise ValueError("not connected: use Remote in `with`")
        argv = [*self.options.plain(), "-o", "LogLevel=ERROR"]
        if can_multiplex():
            # Where the shared connection has gone, ssh would make one of its own, and ask again.
            argv += ["-S", str(self._folder / "c"), "-o", "ControlMaster=no"]
            argv += ["-o", "ProxyJump=none", "-o", "ProxyCommand=false"]
        argv += ["--", self.host, _wrapped(command)]
        # In a session of its own, so that Ctrl-C reaches us and not it.
        return subprocess.Popen(
            argv, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, start_new_session=True
        )

    def _check_alive(self, code: int, err: bytes) -> None:
        if code != SSH_FAILED:
            return
        log = self._folder / "log" if self._folder is not None else None
        last = log.read_text(errors="replace") if log is not None and log.exists() else ""
        reasons = [*spoken(last), *spoken(err.decode(errors="replace"))]
        raise RemoteError(
            f"The connection to {self.host} was lost.",
            why=reasons[-1] if reasons else "ssh gave no reason.",
            remedy="Run the same command again: it goes on where this one was cut.",
        )


class Stream:
    """A running command on the device; iterating gives its lines, without their ends.

    After the last line ``returncode`` is its exit code.
    """

    def __init__(self, remote: Remote, process: subprocess.Popen[bytes]) -> None:
        self._remote = remote
        self._process = process
        self._err = b""
        self._reader = threading.Thread(target=self._read_err, daemon=True)
        self._reader.start()
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        _end(self._process)
        self._reader.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def __iter__(self) -> Iterator[str]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            yield line.decode(errors="replace").rstrip("\r\n")
        code = self._process.wait()
        self._reader.join()
        self._remote._check_alive(code, self._err)
        self.returncode = code

    @property
    def completed(self) -> Completed:
        """How it ended (its lines are not kept)."""
        assert self.returncode is not None
        return Completed(self.returncode, b"", self._err)

    def _read_err(self) -> None:
        assert self._process.stderr is not None
        self._err = self._process.stderr.read()


def batch_is_right() -> bool:
    """Return whether nothing can be asked here: stdin or stderr is no terminal."""
    return not (sys.stdin.isatty() and sys.stderr.isatty())


def _wrapped(command: Sequence[str] | str) -> str:
    script = command if isinstance(command, str) else shlex.join(command)
    # A subshell: an `exit` in the script must not end what comes after it.
    guarded = f"({script}\n); c=$?; [ $c = 255 ] && c=254; exit $c"
    return f"sh -c {shlex.quote(guarded)}"


def _shown(command: Sequence[str] | str) -> str:
    text = " ".join((command if isinstance(command, str) else shlex.join(command)).split())
    return text if len(text) <= 120 else f"{text[:117]}..."


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()


def _short_folder() -> str | None:
    folder = tempfile.gettempdir()
    return folder if len(folder) < 40 else ("/tmp" if Path("/tmp").is_dir() else None)
