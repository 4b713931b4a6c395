"""Adding a key to a folder of trusted ones, and taking it out again."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from ..errors import UsageError
from ..private_files import sync_folder
from .public_key import PublicKey
from .trust import SUFFIX, SYSTEM_DIRECTORY, TrustedKey, TrustedKeys

_MAX_NAME = 40


def add_trusted_key(folder: Path, key: PublicKey) -> TrustedKey:
    """Write a key into a folder (made when it is missing); nothing changes when it is there already.

    Raises
    ------
    BundleError
        When the folder could not be used as it is (:meth:`TrustedKeys.of_directories`); nothing is changed.
    UsageError
        When it cannot be written.

    """
    known = _find(TrustedKeys.of_directories([folder]), key.fingerprint)
    if known:
        return known[0]
    path = folder / key_file_name(key, key.comment)
    half = folder / f"{folder.name}.{path.name}.part"
    try:
        _make_folder(folder)
        # Beside the folder: one that holds a file but no key is an error, and a power cut would leave it so.
        if os.access(folder.parent, os.W_OK):
            half = folder.parent / half.name
        half.unlink(missing_ok=True)
        descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with open(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o644)
            file.write(f"{key.line}\n")
            file.flush()
            os.fsync(descriptor)
        half.replace(path)
        sync_folder(folder)
    except OSError as error:
        with suppress(OSError):
            half.unlink(missing_ok=True)
        raise _cannot_write(folder, error) from error
    try:
        TrustedKeys.of_directories([folder])
    except Exception:
        path.unlink()
        raise
    return TrustedKey(key, path)


def key_file_name(key: PublicKey, words: str) -> str:
    """Return the name of a key's file: ``words`` and a part of its fingerprint: no other key has it."""
    digits = re.sub("[+/]", "_", key.fingerprint.removeprefix("SHA256:")[:8])
    slug = re.sub(r"[^A-Za-z0-9@._-]+", "-", words).strip("-.")[:_MAX_NAME] or "key"
    return f"{slug}-{digits}{SUFFIX}"


def remove_trusted_key(keys: TrustedKeys, fingerprint: str) -> list[TrustedKey]:
    """Delete every file that holds the key with this fingerprint, and return what was in them.

    Raises
    ------
    UsageError
        When there is none, or a file cannot be deleted.

    """
    wanted = fingerprint if fingerprint.startswith("SHA256:") else f"SHA256:{fingerprint}"
    found = _find(keys, wanted)
    if not found:
        raise UsageError(
            f"No trusted key has the fingerprint {wanted}.",
            remedy="`edge-ecg trust list` shows those that there are.",
        )
    for one in found:
        try:
            one.path.unlink()
        except OSError as error:
            raise _cannot_write(one.path.parent, error) from error
    return found


def _find(keys: TrustedKeys, fingerprint: str) -> list[TrustedKey]:
    return [one for one in keys.keys if one.key.fingerprint == fingerprint]


def _make_folder(folder: Path) -> None:
    # Explicit modes: under a umask of 002 the folder would come out writable by a group, and be refused.
    mode = 0o755 if folder == SYSTEM_DIRECTORY else 0o700
    for part in reversed([folder, *folder.parents]):
        if not part.exists():
            part.mkdir()
            part.chmod(mode)


def _cannot_write(folder: Path, error: OSError) -> UsageError:
    return UsageError(
        f"The folder of trusted keys {folder} cannot be changed.",
        why=f"{error.strerror or error}.",
        remedy="Run the same command with sudo." if isinstance(error, PermissionError) else "",
    )
