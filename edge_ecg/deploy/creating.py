"""Putting a bundle among the releases: filled under another name, which becomes its own in one step."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from ..bundle import Bundle, read_bundle
from ..bundle.reader import MAX_BYTES, NamedBytes
from ..errors import BundleError, DataError, UsageError
from .disk import Disk, json_bytes
from .layout import BUNDLE_NAME, COMPLETE_NAME, RELEASE_NAME, RUNTIME_NAME, Home
from .pruning import NEW
from .release import Release

_RUNTIME_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


def bundle_file(path: Path) -> tuple[bytes, Bundle]:
    """Read a bundle's bytes once, and the bundle from these very bytes.

    Raises
    ------
    BundleError
        When it cannot be read, or is not intact.

    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BundleError(f"The bundle {path} cannot be read.", why=f"{error.strerror or error}.") from error
    if len(data) > MAX_BYTES:
        raise BundleError(f"{path} is larger than {MAX_BYTES // 2**20} MiB: it is no model bundle.")
    return data, read_bundle(NamedBytes(data, str(path)))


def runtime_target(home: Home, runtime_id: str) -> str:
    """Return where a release's link ``runtime`` leads.

    Raises
    ------
    UsageError, DataError
        When there is no such runtime; when it is not complete.

    """
    if os.path.isabs(runtime_id):
        if not Path(runtime_id).is_dir():
            raise UsageError(f"There is no runtime {runtime_id}.")
        return runtime_id
    if _RUNTIME_ID.fullmatch(runtime_id) is None:
        raise UsageError(f"{runtime_id!r} is no name of a runtime.")
    complete = home.runtime(runtime_id) / COMPLETE_NAME
    if not complete.exists():
        raise DataError(
            f"The runtime {runtime_id} is not installed completely.",
            why=f"{complete} is missing.",
            remedy="Flash again: edge-ecg flash HOST BUNDLE",
        )
    return f"../../{home.runtimes.name}/{runtime_id}"


def write_release(disk: Disk, release: Release, data: bytes, runtime: str) -> None:
    """Write a release's folder; OSError when the disk refuses, and then there is no release."""
    half = release.path.with_name(f"{NEW}{release.name}")
    try:
        disk.make_folder(half)
        disk.write(half / BUNDLE_NAME, data)
        disk.write(half / RELEASE_NAME, json_bytes(release.to_json()))
        disk.link(half / RUNTIME_NAME, runtime)
        disk.sync_folder(half)
        disk.rename(half, release.path)
    except OSError:
        # What did not fit must not fill the disk for others.
        with suppress(OSError):
            disk.remove_tree(half)
        raise
    disk.sync_folder(release.path.parent)
