"""``bin/edge-ecg-start``, which the service manager runs: put there by the newest runtime."""

from __future__ import annotations

from importlib.resources import files

from .disk import Disk, disk_errors
from .layout import Home

_SOURCE = "edge-ecg-start.sh"
_EXECUTABLE = 0o755


def start_script() -> bytes:
    """Return the script, which is the same for every home."""
    return (files("edge_ecg.deploy") / _SOURCE).read_bytes()


def install_start_script(home: Home, disk: Disk | None = None) -> None:
    """Make the folders of a home, and write the start script in one step where it is missing or another.

    Raises
    ------
    DataError
        When the folder cannot be written to.

    """
    disk = disk or Disk()
    with disk_errors("To install the start script"):
        for folder in (home.releases, home.runtimes, home.incoming, home.state, home.start_script.parent):
            disk.make_folder(folder)
        script = start_script()
        path = home.start_script
        if not path.is_file() or path.read_bytes() != script:
            disk.replace_file(path, script, mode=_EXECUTABLE)
