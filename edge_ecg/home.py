"""The folder in which edge-ecg keeps what it must find again: profiles, releases, whose files are whose."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def home_folder(environment: Mapping[str, str]) -> Path:
    """``EDGE_ECG_HOME``, else ``edge-ecg`` in the user's data folder (XDG Base Directory Specification)."""
    named = environment.get("EDGE_ECG_HOME", "")
    if named:
        return Path(os.path.abspath(named))
    folder = environment.get("XDG_DATA_HOME", "")
    # The specification has relative paths ignored.
    base = Path(folder) if os.path.isabs(folder) else Path.home() / ".local" / "share"
    return base / "edge-ecg"
