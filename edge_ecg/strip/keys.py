"""Single keys from a terminal, without waiting for Return and without echo."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# What arrow keys, Home and End send (ECMA-48, as xterm and the Linux console do), and the names used here.
_NAMES = {
    b"\x1b[C": "right",
    b"\x1b[D": "left",
    b"\x1b[A": "up",
    b"\x1b[B": "down",
    b"\x1b[H": "home",
    b"\x1b[F": "end",
    b"\x1bOC": "right",
    b"\x1bOD": "left",
    b"\x1bOA": "up",
    b"\x1bOB": "down",
    b"\x1bOH": "home",
    b"\x1bOF": "end",
    b"\x1b[1~": "home",
    b"\x1b[4~": "end",
    b" ": "space",
}


@contextmanager
def keys(pressed: Callable[[str], None]) -> Iterator[None]:
    """Call ``pressed`` with each key's name, from a thread of its own, for the duration of the block.

    Names are the characters themselves, or ``left``, ``right``, ``up``, ``down``, ``home``, ``end``,
    ``space``. The terminal is as before afterwards. Nothing happens where stdin is none, or another program
    has it.
    """
    try:
        import termios
        import tty
    except ImportError:  # Windows
        yield
        return
    if not sys.stdin.isatty() or os.getpgrp() != os.tcgetpgrp(sys.stdin.fileno()):
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    stop, stopped = os.pipe()
    reader = threading.Thread(target=_read, args=(descriptor, stop, pressed), name="keys", daemon=True)
    try:
        # Ctrl-C keeps its meaning.
        tty.setcbreak(descriptor)
        reader.start()
        yield
    finally:
        os.close(stopped)
        if reader.ident is not None:
            reader.join()
        os.close(stop)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _read(descriptor: int, stop: int, pressed: Callable[[str], None]) -> None:
    while True:
        ready, _, _ = select.select([descriptor, stop], [], [])
        if stop in ready:
            return
        data = os.read(descriptor, 64)
        if not data:
            return
        for name in names(data):
            pressed(name)


def names(data: bytes) -> Iterator[str]:
    """The keys in what a terminal has sent; what is no known key is left out."""
    while data:
        known = next((code for code in _NAMES if data.startswith(code)), None)
        if known is not None:
            yield _NAMES[known]
            data = data[len(known) :]
        elif data[:1] == b"\x1b":
            # An unknown sequence: up to the letter that ends it.
            end = next((i for i in range(2, len(data)) if 0x40 <= data[i] <= 0x7E), len(data) - 1)
            data = data[end + 1 :]
        else:
            sign = chr(data[0])
            if sign.isprintable() and data[0] < 0x7F:
                yield sign
            data = data[1:]
