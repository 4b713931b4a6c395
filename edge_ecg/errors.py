"""Every failure that edge-ecg foresees, and the exit code that the command line gives it.

    EdgeEcgError
    ├── UsageError      2   the command line asks for something that does not exist
    ├── DeviceError     3   a port, a radio or the thing behind it
    ├── BundleError     4   a model bundle that is damaged, foreign or too new
    ├── DataError       5   a recording, a data set or a store
    ├── GateError       6   a model that must not be shipped as it is
    └── RemoteError     7   another machine

An error says what happened, why, and what to do about it; the command line prints exactly that and no
traceback. Anything else that is raised is a bug (exit code 1).
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_BUG = 1
EXIT_INTERRUPTED = 130


class EdgeEcgError(Exception):
    """A foreseen failure.

    Parameters
    ----------
    what:
        One sentence: what happened.
    why:
        What is known of the cause, or an empty string.
    remedy:
        What the user can do now: a command where there is one.
    """

    exit_code = EXIT_BUG

    def __init__(self, what: str, *, why: str = "", remedy: str = "") -> None:
        super().__init__(" ".join(part for part in (what, why, remedy) if part))
        self.what = what
        self.why = why
        self.remedy = remedy


class UsageError(EdgeEcgError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class DeviceError(EdgeEcgError):
    """A port, a radio or the device behind it."""

    exit_code = 3


class BundleError(EdgeEcgError):
    """A model bundle that is damaged, foreign or made for a newer runtime."""

    exit_code = 4


class DataError(EdgeEcgError):
    """A recording, a data set or a store of windows."""

    exit_code = 5


class GateError(EdgeEcgError):
    """A model that failed a check and must not be shipped as it is."""

    exit_code = 6


class RemoteError(EdgeEcgError):
    """Another machine could not be reached or refused."""

    exit_code = 7
