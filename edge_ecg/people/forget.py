"""Removing what belongs to a person, and nothing else.

A file is removed only when it says itself whose it is: a profile by its entry ``person``, a recording by that
line of its header. Its folder is opened first and must be the very one that was registered, without a link on
the way; the file is then looked at and removed by its name in that open folder, wherever others move it.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..marks import HEADER, marks_path
from ..private_files import part_path, sync_folder
from ..profile.codec import KIND
from ..profile.file import previous_path
from ..recorder import FIRST_LINE
from .index import PROFILE, RECORDING, KnownFile, People, Person

_HEAD_BYTES = 4096
MARKS = "marks"


class Fate(StrEnum):
    """What becomes of a file."""

    REMOVE = "remove"
    REMOVED = "removed"
    GONE = "gone"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Removal:
    """A file, its kind (``profile``, ``recording``, ``marks``), its fate and perhaps why."""

    path: Path
    kind: str
    fate: Fate
    why: str = ""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do by hand."""
        return self.fate in (Fate.REMOVE, Fate.REMOVED) and not self.why


class _NotOursError(Exception):
    """The file is not what was registered; the text says in what way."""


class _ReplacedError(Exception):
    """The file is another person's by now; the text says whose."""


def plan(person: Person) -> list[Removal]:
    """Say of every file of a person what :func:`forget` would do with it; nothing is changed."""
    files = [*person.files, *_others_beside(person)]
    return [removal for file in files for removal in _of_file(file, person.pseudonym, remove=False)]


def forget(people: People, person: Person) -> list[Removal]:
    """Remove a person's files and then what the index holds of them.

    Recordings of the person that lie beside registered ones (renamed, or copied there) go with them. What
    could not be removed stays in the index, and the person with it, so that it can be tried again.

    Raises
    ------
    DataError
        When the index cannot be written.

    """
    removals = []
    for file in [*person.files, *_others_beside(person)]:
        of_file = _of_file(file, person.pseudonym, remove=True)
        removals += of_file
        if not any(removal.fate is Fate.KEPT for removal in of_file):
            people.drop_files(person.pseudonym, {file.path})
    people.drop_files(person.pseudonym, set(), whole=True)
    return removals


def _of_file(file: KnownFile, pseudonym: str, *, remove: bool) -> list[Removal]:
    """Fates of a registered file and of what is beside it: marks, the profile before, unfinished writes."""
    first = _one(file.path, file.kind, pseudonym, remove=remove)
    if file.kind == PROFILE:
        before = previous_path(file.path)
        others = [before, part_path(file.path), part_path(before)]
        beside = [_one(path, PROFILE, pseudonym, remove=remove) for path in others]
        # These need not be there, and may be another person's where one profile replaced another.
        beside = [one for one in beside if one.fate is not Fate.GONE]
        return [*beside, *([first] if first.fate is not Fate.GONE or not beside else [])]
    marks = marks_path(file.path)
    if not os.path.lexists(marks):
        return [first]
    if first.fate in (Fate.REMOVE, Fate.REMOVED):
        return [first, _one(marks, MARKS, pseudonym, remove=remove)]
    return [
        first,
        Removal(marks, MARKS, Fate.KEPT, "its recording is not there to tell whose it is"),
    ]


def _others_beside(person: Person) -> list[KnownFile]:
    """Recordings in the folders of registered ones that say that they are this person's."""
    known = {file.path for file in person.files}
    others = []
    for folder in sorted({file.path.parent for file in person.files if file.kind == RECORDING}):
        try:
            names = sorted(name for name in os.listdir(folder) if name.endswith(".csv"))
        except OSError:
            continue
        found = [KnownFile(folder / name, RECORDING, "") for name in names if folder / name not in known]
        others += [file for file in found if file_owner(file) == person.pseudonym]
    return others


def _one(path: Path, kind: str, pseudonym: str, *, remove: bool) -> Removal:
    try:
        with _opened_folder(path.parent) as folder:
            names = _check(path.name, folder, kind, pseudonym)
            if remove:
                os.unlink(path.name, dir_fd=folder)
                sync_folder(path.parent)
    except FileNotFoundError:
        return Removal(path, kind, Fate.GONE, "it is no longer there: moved, renamed or removed by hand")
    except _ReplacedError as error:
        return Removal(path, kind, Fate.GONE, str(error))
    except _NotOursError as error:
        return Removal(path, kind, Fate.KEPT, str(error))
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            return Removal(path, kind, Fate.KEPT, "a link stands there now, and links are not followed")
        return Removal(path, kind, Fate.KEPT, (error.strerror or str(error)).lower())
    why = "" if names == 1 else f"its content has {names - 1} more name(s) elsewhere: hard links to this file"
    return Removal(path, kind, Fate.REMOVED if remove else Fate.REMOVE, why)


@contextmanager
def _opened_folder(path: Path) -> Iterator[int]:
    if os.path.realpath(path) != str(path):
        raise OSError(errno.ELOOP, "a link leads elsewhere")
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _check(name: str, folder: int, kind: str, pseudonym: str) -> int:
    """Make sure that a file is this person's, and return how many names it has (hard links)."""
    # Not to wait for a writer, should a pipe stand there now.
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode):
            raise _NotOursError("something else than a file stands there now")
        head = os.read(descriptor, _HEAD_BYTES).decode("utf-8", errors="replace")
    finally:
        os.close(descriptor)
    if kind == MARKS:
        if head.splitlines()[:1] != [",".join(HEADER)]:
            raise _NotOursError("it holds no marks of edge-ecg")
        return state.st_nlink
    owner = profile_owner(head) if kind == PROFILE else recording_owner(head)
    if owner is None:
        raise _NotOursError("it does not say whose it is: another file stands there now")
    if owner != pseudonym:
        raise _ReplacedError(f"a {kind} of {owner} stands there now")
    return state.st_nlink


def recording_owner(head: str) -> str | None:
    """Whose recording begins with ``head``; None when it is none, or does not say."""
    first, *lines = head.splitlines()[:20] or [""]
    owner = next((line.removeprefix("# person: ") for line in lines if line.startswith("# person: ")), None)
    return owner if first == FIRST_LINE else None


def profile_owner(head: str) -> str | None:
    """Whose profile begins with ``head``, be it unfinished; None when it is none, or does not say."""
    if re.match(rf'\s*\{{\s*"type": "{KIND}"', head) is None:
        return None
    owner = re.search(r'^\s*"person": "([^"\\]*)"', head, re.MULTILINE)
    return None if owner is None else owner[1]


def file_owner(file: KnownFile) -> str | None:
    """Whose file lies at a place; None where there is none, or it does not say."""
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            head = os.read(descriptor, _HEAD_BYTES).decode("utf-8", errors="replace")
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return profile_owner(head) if file.kind == PROFILE else recording_owner(head)
