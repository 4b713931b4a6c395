"""``bin/edge-ecg-start``, which the service manager runs: put there by the newest runtime."""

from __future__ import annotations

from importlib.resources import files

from .disk import Disk, disk_errors
from .layout import Home
from .lock import HomeLock

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
        When the folder cannot be written to, or another program changes it for long.

    """
    disk = disk or Disk()
    doing = "To install the start script"
    with disk_errors(doing):
        for folder in (home.releases, home.runtimes, home.incoming, home.state, home.start_script.parent):
            disk.make_folder(folder)
    # Of two at once the one would put in place what the other has only begun to write.
    with HomeLock(home).to("install the start script"), disk_errors(doing):
        script = start_script()
        path = home.start_script
        if not path.is_file() or path.read_bytes() != script:
            disk.replace_file(path, script, mode=_EXECUTABLE)
