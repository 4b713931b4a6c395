"""A profile on disk: written in one step, with the one before it kept beside it, so that it can be undone."""

from __future__ import annotations

import errno
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..bundle.fields import FieldError, Fields
from ..errors import DataError, EdgeEcgError
from ..private_files import FILE_MODE, part_path, private_folder, sync_folder, write_part
from .base import Profile
from .codec import KIND, SCHEMA, decode, encode

# A real one has some 10 kB; a device must not run out of memory because of a wrong path.
_MAX_BYTES = 4 * 1024 * 1024
# Within so many every profile says that it is one.
_HEAD_BYTES = 40
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Undone:
    """What :func:`undo_profile` did: ``restored`` is the profile that holds again, None when none is left."""

    path: Path
    restored: Profile | None


def previous_path(path: Path) -> Path:
    """Where the profile before the one at ``path`` is kept: ``NAME.prev.json``."""
    return path.with_name(f"{path.stem}.prev.json")


def load_profile(path: str | os.PathLike[str]) -> Profile:
    """Read a profile.

    Raises
    ------
    DataError
        When there is no such file, or it is damaged, foreign or newer than this version.

    """
    where = Path(path)
    return _decoded(where, _entries(where))


def require_place(path: str | os.PathLike[str]) -> None:
    """Find out whether a profile can be kept at ``path``, before anybody sits still for two minutes.

    Raises
    ------
    DataError
        When :func:`save_profile` could not write there, or would replace a file that is something else. A
        profile that is damaged may be replaced.

    """
    target = Path(path)
    try:
        if target.exists():
            with target.open("rb") as file:
                begin = file.read(_MAX_BYTES).strip(b"\0 \r\n\t")
            torn = begin.startswith(b"{") and len(begin) < _HEAD_BYTES
            if begin and not torn and KIND.encode() not in begin:
                raise DataError(
                    f"{target} exists already and is no profile of edge-ecg; it is not replaced.",
                    remedy="Give --profile another name.",
                )
        folder = target.absolute().parent
        while not folder.exists():
            folder = folder.parent
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _unwritable(target, error) from error


def save_profile(profile: Profile, path: str | os.PathLike[str]) -> None:
    """Write a profile in one step; one that is there already is kept as ``NAME.prev.json``.

    The file is for its owner alone (mode 0600, or stricter where the one before was): it says something of a
    person. Folders that are missing are made for the owner alone, too.

    Raises
    ------
    DataError
        When it cannot be written. What was there before is still there then.

    """
    target = Path(path)
    try:
        private_folder(target.parent)
        replaces = _created(target) if target.exists() else None
        half = write_part(target, encode(profile, replaces).encode())
        try:
            if replaces is not None:
                _keep(target)
            half.replace(target)
        except BaseException:
            with suppress(OSError):
                half.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)
    except OSError as error:
        raise _unwritable(target, error) from error


def undo_profile(path: str | os.PathLike[str]) -> Undone:
    """Take the last :func:`save_profile` back: the one before holds again, or none if it was the first.

    Raises
    ------
    DataError
        When there is nothing to take back, or the profile before is no longer kept.

    """
    target = Path(path)
    previous = previous_path(target)
    try:
        if previous.exists():
            restored = load_profile(previous)
            previous.replace(target)
            return Undone(target, restored)
        entries = _entries(target)
        if entries.get("replaces") is not None:
            raise DataError(
                f"The profile before {target} is no longer kept; nothing was changed.",
                why="Only the last step can be taken back.",
                remedy=f"To be rid of the profile altogether: rm '{target}'",
            )
        target.unlink()
    except OSError as error:
        raise _unwritable(target, error) from error
    return Undone(target, None)


def _keep(target: Path) -> None:
    """Copy by a hard link, so that ``target`` is never missing; by its bytes where there are no links."""
    previous = previous_path(target)
    half = part_path(previous)
    half.unlink(missing_ok=True)
    try:
        os.link(target, half)
        # One that was written by hand or by an older version may be open to others.
        half.chmod(half.stat().st_mode & FILE_MODE)
    except OSError:
        half = write_part(previous, target.read_bytes())
    half.replace(previous)


def _created(path: Path) -> str:
    try:
        return load_profile(path).created
    except EdgeEcgError:
        return _UNKNOWN


def _entries(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise DataError(
            f"There is no profile {path}.",
            remedy=f"Two minutes at rest make one: edge-ecg enrol --profile '{path}'",
        ) from error
    except OSError as error:
        raise DataError(f"The profile {path} cannot be read.", why=f"{error.strerror or error}.") from error
    try:
        if len(data) > _MAX_BYTES:
            raise ValueError("it is far too large")
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    if not isinstance(value, dict) or value.get("type") != KIND:
        raise DataError(
            f"{path} is no profile of edge-ecg.", remedy="Give the file that `edge-ecg enrol` has written."
        )
    return value


def _decoded(path: Path, entries: dict[str, object]) -> Profile:
    try:
        schema = Fields(entries, "profile").integer("schema")
        if schema > SCHEMA:
            raise DataError(
                f"The profile {path} has schema {schema}; this edge-ecg knows schema {SCHEMA}.",
                why="A newer version has written it.",
                remedy="pip install --upgrade edge-ecg",
            )
        if schema != SCHEMA:
            raise FieldError(f"there is no schema {schema}")
        return decode(entries, path.stem)
    except FieldError as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, why: str) -> DataError:
    return DataError(
        f"The profile {path} is damaged.",
        why=f"{why.rstrip('.')}.",
        remedy=f"Take the one before it back: edge-ecg enrol --undo --profile '{path}', or take a new one.",
    )


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"The profile {path} cannot be written.",
        why=f"{error.strerror or error}.",
        remedy="Give --profile a path in a folder that you may write to, on a disk with room.",
    )
