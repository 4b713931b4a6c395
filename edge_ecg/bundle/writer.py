"""Writing a bundle: the same files and manifest give the same bytes, on any machine and at any time."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..errors import BundleError
from .archive import pack
from .manifest import MANIFEST_NAME, SIGNATURE_NAME, FileEntry, Manifest
from .reader import read_bundle
from .trust import TrustedKeys


def bundle_bytes(manifest: Manifest, files: Mapping[str, bytes], *, signature: bytes | None = None) -> bytes:
    """Return the bundle that holds ``files``; sizes and hashes in the manifest are filled in from them.

    ``signature`` is a ``manifest.sig`` of the manifest as it is written; :func:`edge_ecg.bundle.sign_bundle`
    is the usual way to one.

    Raises
    ------
    BundleError
        When the result would be refused by :func:`edge_ecg.bundle.read_bundle`.

    """
    ordered = {name: files[name] for name in sorted(files)}
    entries = {name: FileEntry(len(data), hashlib.sha256(data).hexdigest()) for name, data in ordered.items()}
    head = [(MANIFEST_NAME, replace(manifest, files=entries).encode())]
    if signature is not None:
        head.append((SIGNATURE_NAME, signature))
    try:
        data = pack([*head, *ordered.items()])
    except UnicodeEncodeError as error:
        raise BundleError("The name of a file in a bundle must be ASCII.", why=str(error)) from error
    # Whoever writes a bundle need not have signed it yet.
    read_bundle(io.BytesIO(data), trust=TrustedKeys())
    return data


def write_bundle(
    path: str | os.PathLike[str],
    manifest: Manifest,
    files: Mapping[str, bytes],
    *,
    signature: bytes | None = None,
) -> None:
    """Write a bundle; an existing file is replaced in one step, so a reader never sees half of it.

    Raises
    ------
    BundleError
        When the contents do not fit the manifest, or the file cannot be written.

    """
    save_bundle(path, bundle_bytes(manifest, files, signature=signature))


def save_bundle(path: str | os.PathLike[str], data: bytes) -> None:
    """Write what :func:`bundle_bytes` made, in one step.

    Raises
    ------
    BundleError
        When the file cannot be written.

    """
    target = Path(path)
    half = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with half.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        half.replace(target)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise BundleError(
            f"The bundle {target} cannot be written.", why=f"{error.strerror or error}."
        ) from error
