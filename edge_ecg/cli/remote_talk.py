"""What a verb says while it works on another machine: sentences with times, progress, or records."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ..deploy.remote.rollout import Row
from ..deploy.remote.ssh import Remote
from . import printable
from .progress import Progress

_PRINTING = threading.Lock()


def print_record(record: dict[str, Any]) -> None:
    """Print one JSON object as a line; from any thread."""
    with _PRINTING:
        print(json.dumps(record, ensure_ascii=False), flush=True)


class Transfer(Progress):
    """The line of progress for bytes: megabytes, and how many of them a second."""

    def line(self, now_s: float) -> str:
        """Return the text of the line at a time of the clock."""
        total = self.total or 1
        parts = [
            f"{100 * self.done // total:3d} %",
            f"{self.done / 1e6:.1f}/{total / 1e6:.1f} MB of {self.unit}",
        ]
        elapsed_s = now_s - self._started
        rate = (self.done - self._offset) / elapsed_s if elapsed_s > 0 else 0.0
        if rate > 0:
            parts.append(f"{rate / 1e6:.2g} MB/s")
            if self.done < total:
                parts.append(f"{(total - self.done) / rate:.0f} s left")
        return f"{'':9} {'  '.join(parts)}"


class Talk:
    """Tells of one device (a ``Listener``): on stderr, or with ``json`` as records on stdout.

    Parameters
    ----------
    host:
        Its name, for the records.
    json_lines:
        Records instead of sentences.
    clock:
        Monotonic seconds.

    """

    def __init__(self, host: str, *, json_lines: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._host = host
        self._json = json_lines
        self._clock = clock
        self._begun = clock()
        self._progress: Progress | None = None

    @property
    def elapsed_s(self) -> float:
        """Seconds since it was made."""
        return self._clock() - self._begun

    def connected(self, remote: Remote) -> None:
        """Tell which key the host showed."""
        key = remote.host_key
        shown = f"{key.type} {key.fingerprint}" if key is not None else "host key not told"
        self.step(
            "connect", f"{self._host} ({shown}{', new: now in known_hosts' if remote.host_key_added else ''})"
        )

    def step(self, name: str, text: str) -> None:
        """A step has begun or ended."""
        self._end()
        if self._json:
            print_record(
                {
                    "type": "step",
                    "host": self._host,
                    "step": name,
                    "text": text,
                    "elapsed_s": round(self.elapsed_s, 3),
                }
            )
        else:
            # What a device says of itself is a stranger's word to this terminal.
            print(f"{self.elapsed_s:6.1f} s  {name:8} {printable(text)}", file=sys.stderr, flush=True)

    def progress(self, name: str, done: int, total: int) -> None:
        """So many bytes of all have arrived."""
        if self._json:
            return
        if self._progress is None:
            self._progress = Transfer(total, name)
            self._progress.resume_at(done)
            return
        self._progress.advance(done - self._progress.done)

    def warn(self, text: str) -> None:
        """Something is not as it should be."""
        self._end()
        if self._json:
            print_record({"type": "warning", "host": self._host, "text": text})
        else:
            print(f"{'':9} warning  {printable(text)}", file=sys.stderr, flush=True)

    def _end(self) -> None:
        if self._progress is not None:
            self._progress.__exit__(None, None, None)
            self._progress = None


class RowTalk:
    """Tells of one device of a fleet: into its row of the table, or with ``json`` as records on stdout."""

    def __init__(self, row: Row, *, json_lines: bool) -> None:
        self._row = row
        self._talk = Talk(row.name, json_lines=True) if json_lines else None

    def connected(self, remote: Remote) -> None:
        """The connection is there."""
        if self._talk is not None:
            self._talk.connected(remote)
        self._row.text = "connected"

    def step(self, name: str, text: str) -> None:
        """A step has begun or ended."""
        if self._talk is not None:
            self._talk.step(name, text)
        self._row.share, self._row.text = None, printable(text)

    def progress(self, name: str, done: int, total: int) -> None:
        """So many bytes of all have arrived."""
        self._row.text, self._row.share = name, done / total if total else None

    def warn(self, text: str) -> None:
        """Something is not as it should be."""
        if self._talk is not None:
            self._talk.warn(text)
        self._row.warnings.append(text)
