"""The folder in which edge-ecg keeps what it must find again: profiles, releases, whose files are whose."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from .errors import UsageError


def user_folder(environment: Mapping[str, str]) -> Path:
    """Return the user's own folder: ``HOME``, else what the list of users says.

    Raises
    ------
    UsageError
        When neither says one, as for a user number of a container.

    """
    if environment.get("HOME"):
        return Path(environment["HOME"])
    try:
        return Path.home()
    except RuntimeError:
        raise UsageError(
            "This user has no home folder.",
            why="Neither HOME nor the list of users names one.",
            remedy="Name a folder that edge-ecg may keep its files in: EDGE_ECG_HOME=/var/lib/edge-ecg",
        ) from None


def home_folder(environment: Mapping[str, str]) -> Path:
    """``EDGE_ECG_HOME``, else ``edge-ecg`` in the user's data folder (XDG Base Directory Specification).

    Raises
    ------
    UsageError
        As :func:`user_folder`.

    """
    named = environment.get("EDGE_ECG_HOME", "")
    if named:
        return Path(os.path.abspath(named))
    folder = environment.get("XDG_DATA_HOME", "")
    # The specification has relative paths ignored.
    base = Path(folder) if os.path.isabs(folder) else user_folder(environment) / ".local" / "share"
    return base / "edge-ecg"
