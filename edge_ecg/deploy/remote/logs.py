"""The service's log on a device: journald's, or the file that another supervisor writes.

Without systemd there is no journal; who starts ``bin/edge-ecg-start`` by other means sends its output to
``service.log`` in the folder of edge-ecg to have it found here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from ...errors import EdgeEcgError, RemoteError, UsageError
from .ssh import Remote

UNIT = "edge-ecg"
_NO_LOG, _DENIED, _NO_TIMES = 78, 79, 80
_SINCE = re.compile(r"[0-9A-Za-z :.+-]{1,60}")

# $root, $lines, $since (may be empty), $follow (yes or no).
_SCRIPT = """
LC_ALL=C; export LC_ALL
if command -v journalctl >/dev/null && [ -d /run/systemd/system ]; then
    set -- -u edge-ecg --no-pager -o short-iso -n "$lines"
    [ -n "$since" ] && set -- "$@" --since "$since"
    if journalctl -u edge-ecg -n 1 -q --no-pager 2>/dev/null | grep -q .; then as=; else as="sudo -n"; fi
    if [ -n "$as" ] && ! sudo -n true 2>/dev/null; then
        case " $(id -Gn) " in *" adm "* | *" systemd-journal "* | *" root "*) as= ;; *) exit 79 ;; esac
    fi
    [ "$follow" = yes ] && set -- "$@" -f
    exec $as journalctl -q "$@"
fi
[ -f "$root/service.log" ] || exit 78
[ -z "$since" ] || exit 80
if [ "$follow" = yes ]; then exec tail -n "$lines" -F "$root/service.log"; fi
exec tail -n "$lines" "$root/service.log"
"""


def read_log(
    remote: Remote, root: str | None = None, *, lines: int = 100, since: str = "", follow: bool = False
) -> Iterator[str]:
    """Yield lines of the service's log, the oldest first.

    Parameters
    ----------
    remote:
        The connection.
    root:
        The folder of edge-ecg there; None: where it is by default.
    lines:
        At most so many of what is there.
    since:
        Not before this moment, as ``journalctl --since`` takes it (``-1h``, ``yesterday``).
    follow:
        Go on with what comes.

    Raises
    ------
    UsageError
        When ``since`` is no moment.
    RemoteError
        When there is no log, it may not be read or has no times to look for, or the connection is lost.

    """
    check_since(since)
    folder = shlex.quote(root) if root is not None else '"${EDGE_ECG_HOME:-$HOME/.local/share/edge-ecg}"'
    head = f"root={folder}\nlines={lines:d}\nsince={shlex.quote(since)}\nfollow={'yes' if follow else 'no'}\n"
    with remote.stream(head + _SCRIPT) as stream:
        yield from stream
        done = stream.completed
    if done.returncode == _NO_LOG:
        raise RemoteError(
            f"{remote.host} keeps no log of the service.",
            why="It has no systemd journal, and there is no service.log in the folder of edge-ecg.",
            remedy="Install the service: edge-ecg flash HOST BUNDLE --service",
        )
    if done.returncode == _DENIED:
        raise RemoteError(
            f"This user may not read the log on {remote.host}.",
            why="journald shows the log of a service to the groups adm and systemd-journal alone.",
            remedy="There: sudo usermod -aG systemd-journal $USER, then log in again.",
        )
    if done.returncode == _NO_TIMES:
        raise RemoteError(
            f"The log on {remote.host} has no times: --since cannot be had there.",
            why="It has no systemd journal; service.log is a plain file.",
            remedy="Leave --since out; --lines says how much is shown.",
        )
    if done.returncode:
        raise RemoteError(f"The log on {remote.host} cannot be read.", why=done.words)


def check_since(since: str) -> None:
    """Refuse what ``journalctl --since`` cannot take; raises UsageError."""
    if since and _SINCE.fullmatch(since) is None:
        raise UsageError(f"{since!r} is no moment.", remedy="For instance --since -1h, or --since 09:30.")


def last_lines(remote: Remote, root: str, lines: int = 8) -> list[str]:
    """Return the last lines of the log; none when it cannot be read."""
    try:
        return list(read_log(remote, root, lines=lines))
    except EdgeEcgError:
        return []
