"""Whose signature counts on this machine: folders of OpenSSH public keys, read as OpenSSH reads its own.

As soon as one key is there, a bundle must be signed by one of them. So a folder that cannot be read, a file
in it that is no key, or one that other users could have written is an error, never the same as "no key".
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..errors import BundleError
from .public_key import KeyFormatError, PublicKey

ENVIRONMENT = "EDGE_ECG_TRUSTED_KEYS"
SYSTEM_DIRECTORY = Path("/etc/edge-ecg/trusted_keys")
SUFFIX = ".pub"
_MAX_KEY_BYTES = 4096
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key and the file that it stands in."""

    key: PublicKey
    path: Path


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The keys of which one must have signed a bundle; with no keys at all, any bundle will do.

    ``TrustedKeys()`` therefore trusts everybody; readers use :meth:`of_machine` unless told otherwise.
    """

    keys: tuple[TrustedKey, ...] = ()

    def __contains__(self, key: object) -> bool:
        return isinstance(key, PublicKey) and any(one.key.raw == key.raw for one in self.keys)

    @classmethod
    def of_machine(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read the folders of this machine and user (:func:`trusted_directories`).

        Raises
        ------
        BundleError
            As :meth:`of_directories`; also when a folder that the environment names does not exist.

        """
        given = os.environ if environment is None else environment
        folders = trusted_directories(given)
        for folder in folders if given.get(ENVIRONMENT) else ():
            if not os.path.lexists(folder):
                raise BundleError(
                    f"The folder of trusted keys {folder} does not exist.",
                    why=f"The environment variable {ENVIRONMENT} names it.",
                    remedy=f"mkdir -m 700 {folder}, or correct the variable.",
                )
        return cls.of_directories(folders)

    @classmethod
    def of_directories(cls, folders: Iterable[str | os.PathLike[str]]) -> Self:
        """Read every ``*.pub`` of these folders; a folder that does not exist holds none.

        Raises
        ------
        BundleError
            When a folder or a key in it cannot be read, is no key, or could have been written by other users;
            when a folder holds files but no ``*.pub``.

        """
        return cls(tuple(key for folder in folders for key in _read_directory(Path(folder))))


def trusted_directories(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where trusted keys lie: those of the machine, and those of the user (last).

    ``EDGE_ECG_TRUSTED_KEYS`` (folders, parted as in ``PATH``) replaces both.
    """
    named = environment.get(ENVIRONMENT, "")
    if named:
        return tuple(Path(part) for part in named.split(os.pathsep) if part)
    user = user_directory(environment)
    return (SYSTEM_DIRECTORY,) if user is None else (SYSTEM_DIRECTORY, user)


def user_directory(environment: Mapping[str, str]) -> Path | None:
    """Where a user's own trusted keys lie (XDG Base Directory Specification); None without a home."""
    config = environment.get("XDG_CONFIG_HOME", "")
    home = environment.get("HOME", "")
    # The specification has relative paths ignored.
    if os.path.isabs(config):
        base = Path(config)
    elif os.path.isabs(home):
        base = Path(home) / ".config"
    else:
        try:
            base = Path.home() / ".config"
        except RuntimeError:
            return None
    return base / "edge-ecg" / "trusted_keys"


def _read_directory(folder: Path) -> Sequence[TrustedKey]:
    try:
        status = os.stat(folder)
        if not stat.S_ISDIR(status.st_mode):
            raise _refused(folder, "It is not a folder.", f"Move it away; keys go into files {folder}/*.pub.")
        _require_private_path(folder)
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        if os.path.lexists(folder):
            raise _refused(folder, "It is a link to nothing.", f"rm {folder}") from None
        return ()
    except (OSError, RuntimeError) as error:  # a loop of links is the latter
        raise _refused(folder, f"{getattr(error, 'strerror', None) or error}.", f"ls -ld {folder}") from error
    found = [_read_key(folder / name) for name in names if name.endswith(SUFFIX) and name[0] != "."]
    if names and not found:
        raise _refused(
            folder,
            f"It holds {names[0]!r} but no file that ends in {SUFFIX}, so no key is trusted.",
            f"Rename the key to NAME{SUFFIX}, or empty the folder.",
        )
    return found


def _read_key(path: Path) -> TrustedKey:
    try:
        # Without O_NONBLOCK a named pipe would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise _refused(path, "It is not a file.", f"rm {path}")
            _require_private(path, status)
            data = file.read(_MAX_KEY_BYTES + 1)
    except OSError as error:
        raise _refused(path, f"{error.strerror or error}.", f"ls -lL {path}") from error
    try:
        if len(data) > _MAX_KEY_BYTES:
            raise KeyFormatError(f"it is larger than {_MAX_KEY_BYTES} bytes")
        return TrustedKey(PublicKey.parse(data.decode()), path)
    except (UnicodeDecodeError, KeyFormatError) as error:
        text = str(error)
        raise _refused(path, f"{text[0].upper()}{text[1:]}.", f"rm {path}") from error


def _require_private_path(folder: Path) -> None:
    """As sshd's StrictModes: whoever may rename a folder on the way may replace the keys."""
    whole = folder.resolve()
    _require_private(whole, os.stat(whole))
    for part in whole.parents:
        status = os.stat(part)
        # In a sticky folder such as /tmp nobody can rename what is another's.
        if not status.st_mode & stat.S_ISVTX:
            _require_private(part, status)


def _require_private(path: Path, status: os.stat_result) -> None:
    if os.name != "posix":
        return
    if status.st_mode & _OTHERS_WRITE:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        raise _refused(
            path,
            f"Other users may write there (mode {mode}), and so choose whom this machine trusts.",
            f"chmod go-w {path}",
        )
    if status.st_uid not in (0, os.geteuid()):
        raise _refused(
            path,
            f"It belongs to the user number {status.st_uid}, who may so choose whom this machine trusts.",
            f"sudo chown root {path}",
        )


def _refused(path: Path, why: str, remedy: str) -> BundleError:
    return BundleError(f"The trusted keys of this machine cannot be used: {path}.", why=why, remedy=remedy)
