"""What is asked of systemd, through its own ``systemctl``."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import UsageError
from .unit import UNIT_NAME

# Stopping a service takes until its device has been stopped; starting one until its model is loaded.
_PATIENCE_S = 180.0

_ASKED = (
    "LoadState",
    "ActiveState",
    "SubState",
    "StatusText",
    "MainPID",
    "NRestarts",
    "Result",
    "ActiveEnterTimestamp",
)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    stdout: str
    stderr: str


Run = Callable[[Sequence[str]], Ran]


def run_command(words: Sequence[str]) -> Ran:
    """Run a command of systemd.

    Raises
    ------
    UsageError
        When there is no systemd here, or it does not answer.

    """
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=_PATIENCE_S, check=False
        )
    except FileNotFoundError:
        raise UsageError(
            f"There is no {words[0]} on this machine.",
            why="The service is one of systemd's.",
            remedy="Let another supervisor run the start script (docs/service.md), or use `edge-ecg run`.",
        ) from None
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"`{' '.join(words)}` did not end within {_PATIENCE_S:.0f} s.",
            remedy=f"Look at it with: systemctl status {UNIT_NAME}",
        ) from None
    return Ran(done.returncode, done.stdout, done.stderr)


def systemctl(run: Run, *words: str) -> str:
    """Run ``systemctl`` and return what it printed; UsageError when it refuses."""
    done = run(("systemctl", *words))
    if done.code:
        raise UsageError(
            f"`systemctl {' '.join(words)}` failed.",
            why=" ".join(done.stderr.split())[:500],
            remedy=f"Look at it with: systemctl status {UNIT_NAME}; journalctl -u {UNIT_NAME} -n 50",
        )
    return done.stdout


def unit_state(run: Run) -> dict[str, str]:
    """Return what systemd knows of the unit: ``LoadState``, ``ActiveState``, ``StatusText`` and so on."""
    text = systemctl(run, "show", UNIT_NAME, f"--property={','.join(_ASKED)}")
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, _, value in pairs if name in _ASKED}
