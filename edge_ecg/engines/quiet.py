"""Native libraries write to file descriptor 2 behind Python's back; their chatter is not for our users."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2


@contextmanager
def without_info_lines() -> Iterator[None]:
    """Hold back what is written to stderr in the block, and pass on all but lines that begin with ``INFO:``.

    Warnings and errors still reach the person, at the end of the block. Not for use in several threads.
    """
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        saved = os.dup(_STDERR)
    except OSError:  # no stderr at all (a daemon): nothing to hold back
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(saved, _STDERR)
            os.close(saved)
            held.seek(0)
            for line in held:
                if not line.startswith(b"INFO:"):
                    os.write(_STDERR, line)
