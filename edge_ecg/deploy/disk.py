"""Changes to files that survive a power cut: one method a step, each step announced before it is done.

What is written is on the disk only after ``fsync`` of the file, and a name only after ``fsync`` of its folder
(POSIX ``fsync``; Linux ``fsync(2)``: "Calling fsync() does not necessarily ensure that the entry in the
directory containing the file has also reached disk"). So a file is replaced by: write beside it, sync,
rename over it, sync the folder; whoever reads sees the old or the new one, never half.

Tests stop the program before each step, or keep the steps and make every disk that a power cut could leave.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import DataError

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
HALF = ".part"


class Step(NamedTuple):
    """One change: ``kind`` is the method's name; ``other`` the new name of a rename or a link's target."""

    kind: str
    path: Path
    other: str = ""
    data: bytes = b""


def _nothing(_: Step) -> None:
    pass


class Disk:
    """The steps of which all changes are made.

    Parameters
    ----------
    before:
        Called with each step before it is done.

    """

    def __init__(self, before: Callable[[Step], None] = _nothing) -> None:
        self._before = before

    def make_folder(self, path: Path) -> None:
        """Make a folder for the user alone, and those above it; one that is there is left as it is."""
        if path.is_dir():
            return
        self.make_folder(path.parent)
        self._before(Step("make_folder", path))
        with suppress(FileExistsError):
            path.mkdir(mode=PRIVATE_FOLDER)
        self.sync_folder(path.parent)

    def write(self, path: Path, data: bytes, *, mode: int = PRIVATE_FILE) -> None:
        """Write a file and sync its contents (not its name)."""
        self._before(Step("write", path, data=data))
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(data)
            file.flush()
            self._before(Step("sync", path))
            os.fsync(file.fileno())

    def append(self, path: Path, data: bytes) -> None:
        """Append to a file and sync its contents (and its name, where it is new)."""
        new = not path.exists()
        self._before(Step("append", path, data=data))
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE), "wb") as file:
            file.write(data)
            file.flush()
            self._before(Step("sync", path))
            os.fsync(file.fileno())
        if new:
            self.sync_folder(path.parent)

    def sync_folder(self, path: Path) -> None:
        """Sync the names in a folder."""
        self._before(Step("sync_folder", path))
        number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(number)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that has no such call
                raise
        finally:
            os.close(number)

    def rename(self, path: Path, target: Path) -> None:
        """Give a file, a link or a folder another name, over a file or a link that has it."""
        self._before(Step("rename", path, str(target)))
        path.replace(target)

    def link(self, path: Path, target: str) -> None:
        """Make a symbolic link."""
        self._before(Step("link", path, target))
        path.symlink_to(target)

    def remove(self, path: Path) -> None:
        """Remove a file or a link; one that is not there is no error."""
        if not os.path.lexists(path):
            return
        self._before(Step("remove", path))
        path.unlink(missing_ok=True)

    def remove_tree(self, path: Path) -> None:
        """Remove a folder and all in it; links are not followed."""
        for folder, folders, files in os.walk(path, topdown=False):
            for name in files:
                self.remove(Path(folder, name))
            for name in folders:
                if Path(folder, name).is_symlink():
                    self.remove(Path(folder, name))
            self._before(Step("remove_folder", Path(folder)))
            Path(folder).rmdir()

    def replace_file(self, path: Path, data: bytes, *, mode: int = PRIVATE_FILE) -> None:
        """Write a file in one step, for good."""
        half = path.with_name(path.name + HALF)
        try:
            self.write(half, data, mode=mode)
            self.rename(half, path)
        except OSError:
            with suppress(OSError):
                half.unlink(missing_ok=True)
            raise
        self.sync_folder(path.parent)

    def replace_json(self, path: Path, value: Any) -> None:
        """Write a JSON file in one step, for good."""
        self.replace_file(path, json_bytes(value))

    def replace_link(self, path: Path, target: str) -> None:
        """Point a link elsewhere in one step, for good."""
        half = path.with_name(path.name + HALF)
        self.remove(half)
        self.link(half, target)
        try:
            self.rename(half, path)
        except OSError:
            with suppress(OSError):
                half.unlink(missing_ok=True)
            raise
        self.sync_folder(path.parent)

    def delete(self, path: Path) -> None:
        """Remove a file or a link for good."""
        if os.path.lexists(path):
            self.remove(path)
            self.sync_folder(path.parent)


def json_bytes(value: Any) -> bytes:
    """Return a JSON value as the text of a file; half a surrogate pair (of a path) becomes its escape."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


def read_json(path: Path, *, max_bytes: int = 4 * 1024 * 1024) -> Any:
    """Return what a JSON file of our own holds; None when it is missing, damaged or far too large.

    Raises
    ------
    OSError
        When it is there but cannot be read.

    """
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        return None
    if len(data) > max_bytes:
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def nearest_folder(path: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn an OSError in the block into a DataError that says what could not be done."""
    try:
        yield
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise DataError(
            f"{doing} failed; what ran before still runs.",
            why=f"{where}{error.strerror or error}.",
            remedy="Look at the disk: df -h, df -i, and `edge-ecg device status`.",
        ) from error
