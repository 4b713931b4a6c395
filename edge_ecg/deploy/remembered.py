"""The newest version of each model that this device has run and confirmed: none below it is taken again."""

from __future__ import annotations

from dataclasses import asdict

from ..bundle import Manifest, TrustedKeys, read_bundle, read_highest, refuse_downgrade, with_highest
from ..bundle.highest import SCHEMA
from ..errors import BundleError
from .disk import Disk
from .layout import Home
from .release import Release


def require_newer(home: Home, manifest: Manifest) -> None:
    """Do nothing when a bundle is as new as the newest of its name that was confirmed here, or newer.

    Raises
    ------
    BundleError
        When it is older, or nobody can tell.

    """
    refuse_downgrade(manifest, read_highest(home.highest))


def remember(home: Home, release: Release, disk: Disk) -> None:
    """Note that a release was confirmed; OSError when that cannot be written."""
    try:
        known = read_highest(home.highest)
    except BundleError:
        known = {}  # damaged: what runs from now on is remembered again
    try:
        # It runs already; whether its signer is still trusted is not asked here.
        highest = with_highest(read_bundle(release.bundle, trust=TrustedKeys()).manifest, known)
    except BundleError:
        return  # a version or date that cannot be compared: it was asked for nonetheless
    models = {name: asdict(one) for name, one in sorted(highest.items())}
    disk.replace_json(home.highest, {"schema": SCHEMA, "models": models})
