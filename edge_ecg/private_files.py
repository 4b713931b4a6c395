"""Files about a person: for their owner alone (mode 0600) from the first byte, in folders of mode 0700.

The mode is given when the file is made, not afterwards, so that there is no moment at which another account
could open it; a umask can only take bits away from it, and those are put back on the open file.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

FILE_MODE = 0o600
FOLDER_MODE = 0o700


def create_private(path: Path) -> int:
    """Make a new file of mode 0600 and return its descriptor, open for writing.

    Raises
    ------
    FileExistsError
        When something is there already, be it a link that leads nowhere.
    OSError
        When it cannot be made.

    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, FILE_MODE)
    try:
        os.fchmod(descriptor, FILE_MODE)
    except OSError:
        # A FAT card or a network share knows no modes; its mount options decide there (docs/privacy.md).
        pass
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def private_folder(path: Path) -> None:
    """Make a folder of mode 0700, and those above it that are missing; one that is there stays as it is.

    Raises
    ------
    OSError
        When one cannot be made.

    """
    missing = []
    folder = path
    while not folder.is_dir() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    for folder in reversed(missing):
        # Somebody else may make it at the same time.
        with suppress(FileExistsError):
            os.mkdir(folder, FOLDER_MODE)
            os.chmod(folder, FOLDER_MODE)


def part_path(path: Path) -> Path:
    """Where a file is written before it takes its place: ``NAME.part`` beside it."""
    return path.with_name(path.name + ".part")


def write_part(path: Path, data: bytes) -> Path:
    """Write ``data`` to the file's part, down to the disk, and return where; the file itself stays as it is.

    The part has mode 0600, or less where the file that it is to replace has less: a rewritten file never
    becomes looser. An error or an interrupt takes the part away again.

    Raises
    ------
    OSError
        When it cannot be written.

    """
    part = part_path(path)
    # What an earlier, killed process has left may be of any mode.
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(create_private(part), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            # There may be nothing to replace, and no modes on this disk.
            with suppress(OSError):
                os.fchmod(file.fileno(), path.stat().st_mode & FILE_MODE)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return part


def write_private(path: Path, data: bytes) -> None:
    """Write a file in one step: after a crash it is as it was, or as it is to be.

    Raises
    ------
    OSError
        When it cannot be written. What was there before is still there then.

    """
    part = write_part(path, data)
    try:
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk; where a file system cannot, nothing is done."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
