"""Copying a file to a device so that a cut link costs only what was not sent yet.

The bytes go into ``NAME.part``; the next attempt asks how many are there and goes on behind them. Each block
is written at its own place (``dd seek``), so that a forgotten earlier writer can only write the same bytes
again. When all are there, their SHA-256 is computed on the device, the file is synced, and only then renamed.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import RemoteError

if TYPE_CHECKING:
    from .ssh import Completed, Remote

_FULL = 75
_DIFFERENT = 76
_SLACK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def upload(
    remote: Remote,
    path: Path,
    remote_path: str,
    progress: Callable[[int], None] = lambda count: None,
    *,
    mode: str = "600",
) -> bool:
    """Copy ``path`` to ``remote_path`` (absolute, or below the login folder).

    ``progress`` is called with numbers of bytes that are there: first with those of an earlier attempt.
    Returns False when the very file was there already and nothing was sent.

    Raises
    ------
    RemoteError
        When the connection is lost (then call it again), the device's disk is full or its folder cannot be
        written, or the file arrives with another SHA-256 twice.

    """
    size, sha256 = path.stat().st_size, sha256_of(path)
    for last in (False, True):
        there = _there(remote, remote_path, size, sha256)
        if there < 0:
            progress(size)
            return False
        progress(there)
        with path.open("rb") as file:
            file.seek(there)
            done = remote.send(_receive(remote_path, there, size, sha256, mode), file, progress)
        if done.returncode == 0:
            return True
        if done.returncode != _DIFFERENT or last:
            raise _failure(remote.host, remote_path, done)
        # What lay there was of another file, or lost its end with the power: all of it once more.
        remote.run(["rm", "-f", "--", f"{remote_path}.part"])
        progress(-size)
    raise AssertionError("unreachable")


def _there(remote: Remote, remote_path: str, size: int, sha256: str) -> int:
    """Return how many bytes of it the device has; -1 when it has the whole file."""
    name = shlex.quote(remote_path)
    script = f"""
umask 077
f={name}
if [ -f "$f" ] && [ "$(sha256sum < "$f")" = "{sha256}  -" ]; then echo whole; exit 0; fi
mkdir -p "$(dirname "$f")" || exit 1
n=0; [ -f "$f.part" ] && n=$(stat -c %s "$f.part")
free=$(df -P -k "$(dirname "$f")" | awk 'NR == 2 {{ print $4 }}')
echo "$n $free"
"""
    done = remote.run(script)
    if done.returncode:
        raise _failure(remote.host, remote_path, done)
    words = done.text.split()
    if words == ["whole"]:
        return -1
    try:
        there, free_bytes = int(words[0]), int(words[1]) * 1024
    except (IndexError, ValueError):
        raise RemoteError(
            f"{remote.host} does not say how much of {remote_path} it has.", why=f"It said {done.text!r}."
        ) from None
    if there > size:
        remote.run(["rm", "-f", "--", f"{remote_path}.part"])
        there = 0
    if size - there + _SLACK_BYTES > free_bytes:
        raise _no_room(
            remote.host,
            remote_path,
            f"{(size - there) >> 10} KiB are to come, {free_bytes >> 10} KiB are free.",
        )
    return there


def _receive(remote_path: str, there: int, size: int, sha256: str, mode: str) -> str:
    name = shlex.quote(remote_path)
    return f"""
umask 077
f={name}
LC_ALL=C dd of="$f.part" bs=64k iflag=fullblock oflag=seek_bytes seek={there} \
conv=notrunc,fsync status=none || exit {_FULL}
[ "$(stat -c %s "$f.part")" = {size} ] && [ "$(sha256sum < "$f.part")" = "{sha256}  -" ] || exit {_DIFFERENT}
chmod {mode} "$f.part" && mv -f "$f.part" "$f" && sync "$(dirname "$f")"
"""


def _failure(host: str, remote_path: str, done: Completed) -> RemoteError:
    if "No space left" in done.words or "quota" in done.words.lower():
        return _no_room(host, remote_path, f"{done.words}.")
    if done.returncode == _DIFFERENT:
        return RemoteError(
            f"{remote_path} arrived on {host} with other bytes than were sent, twice.",
            why="Its SHA-256 was computed there and differs.",
            remedy="A failing SD card does this: `dmesg` on the device says so. Write another card.",
        )
    return RemoteError(
        f"{host} cannot write {remote_path}.",
        why=done.words or f"Exit code {done.returncode}.",
        remedy="The folder must be writable for this user: a card that turned read-only "
        "(`dmesg | grep -i ext4`) wants to be replaced.",
    )


def _no_room(host: str, remote_path: str, why: str) -> RemoteError:
    return RemoteError(
        f"The disk of {host} has no room for {remote_path}.",
        why=why,
        remedy="Make room (`sudo apt clean`, old recordings), then run the same command again: it goes "
        "on where this one stopped.",
    )
