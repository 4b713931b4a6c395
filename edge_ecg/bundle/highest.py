"""No downgrade: what a machine remembers of the bundles it ran, and what it therefore refuses.

A signature says who made a bundle, not that it is the newest: an old bundle with a known fault stays validly
signed for ever. So a device keeps, for each model's name, the highest version that it has run, and of that
version the latest ``created``. Two exports usually carry the same version; then ``created`` decides.

    {"schema": 1, "models": {"stress": {"version": "0.1.0", "created": "2026-01-31T12:00:00+00:00"}}}
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import BundleError
from .fields import FieldError, Fields, version_tuple
from .manifest import Manifest

SCHEMA = 1
# A device that ran a thousand differently named models has a fault; the file must not grow for ever.
_MAX_BYTES = 1024 * 1024

_Order = tuple[tuple[int, int, int], datetime]


@dataclass(frozen=True, slots=True)
class Highest:
    """The newest of one model's bundles that a machine has run."""

    version: str
    created: str


def refuse_downgrade(manifest: Manifest, highest: Mapping[str, Highest]) -> None:
    """Do nothing when a bundle is as new as the newest of its name, or newer.

    Parameters
    ----------
    manifest:
        Of the bundle that wants to run.
    highest:
        By the model's name, as :func:`read_highest` gives it.

    Raises
    ------
    BundleError
        When its version is lower, or equal and it was made earlier; also when it has no version or date that
        can be compared. A caller who was asked for the older one leaves the call out.

    """
    order = _order(manifest.name, manifest.version, manifest.created)
    known = highest.get(manifest.name)
    if known is None or order >= _order(manifest.name, known.version, known.created):
        return
    raise BundleError(
        f"The bundle is older than one of the model {manifest.name!r} that this machine has run.",
        why=f"It is version {manifest.version}, made {manifest.created}; the newest so far is version "
        f"{known.version}, made {known.created}.",
        remedy="Export the model again with a higher --model-version, or ask for the older one: "
        "--allow-downgrade",
    )


def with_highest(manifest: Manifest, highest: Mapping[str, Highest]) -> dict[str, Highest]:
    """Return what is to be remembered once this bundle has run; an older one changes nothing.

    Raises
    ------
    BundleError
        When the manifest has no version or date that can be compared.

    """
    known = highest.get(manifest.name)
    order = _order(manifest.name, manifest.version, manifest.created)
    if known is not None and order < _order(manifest.name, known.version, known.created):
        return dict(highest)
    return {**highest, manifest.name: Highest(manifest.version, manifest.created)}


def read_highest(path: str | os.PathLike[str]) -> dict[str, Highest]:
    """Read the file; nothing is remembered where there is none.

    Raises
    ------
    BundleError
        When it is there but cannot be read or understood: then nobody knows what would be a downgrade.

    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unreadable(path, f"{error.strerror or error}.") from error
    try:
        if len(data) > _MAX_BYTES:
            raise ValueError(f"it is larger than {_MAX_BYTES} bytes")
        top = Fields(json.loads(data), "highest")
        if top.integer("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        found = {
            name: Highest(entry.text("version"), entry.text("created"))
            for name, entry in top.child("models").children()
        }
        for name, entry in found.items():
            _order(name, entry.version, entry.created)
    except (ValueError, RecursionError, BundleError) as error:
        raise _unreadable(path, f"{error}.") from error
    return found


def write_highest(path: str | os.PathLike[str], highest: Mapping[str, Highest]) -> None:
    """Write the file in one step, so that a power cut leaves the old one or the new one.

    Raises
    ------
    OSError
        When it cannot be written.

    """
    models = {
        name: {"version": entry.version, "created": entry.created} for name, entry in sorted(highest.items())
    }
    target = Path(path)
    half = target.with_name(target.name + ".part")
    with half.open("w", encoding="utf-8") as file:
        file.write(json.dumps({"schema": SCHEMA, "models": models}, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    half.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _order(name: str, version: str, created: str) -> _Order:
    try:
        made = datetime.fromisoformat(created)
        # The manifest's dates are in UTC, with or without saying so.
        made = made.replace(tzinfo=UTC) if made.tzinfo is None else made.astimezone(UTC)
        return version_tuple(version), made
    except (FieldError, ValueError, OverflowError) as error:
        raise BundleError(
            f"It cannot be told whether the bundle of {name!r} is older than another.",
            why=f"Version {version!r}, made {created!r}: {error}.",
            remedy="Export the model again with a --model-version such as 1.2.0.",
        ) from error


def _unreadable(path: str | os.PathLike[str], why: str) -> BundleError:
    return BundleError(
        f"What this machine remembers of earlier bundles cannot be read: {os.fspath(path)}.",
        why=why,
        remedy="Delete that file; until the next bundle has run, an older one is then not refused.",
    )
