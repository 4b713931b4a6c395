"""The releases that are there: reading only, without the lock."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from ..bundle import read_bundle
from ..errors import BundleError, DataError, UsageError
from .layout import Home
from .release import Release, is_release_name
from .trial import Bad, Trial, read_bad, read_trial

_NUMBERED = re.compile(r"(?:\.\w+-)?(\d+)-")


class Shelf:
    """The releases of a home.

    Parameters
    ----------
    home:
        Where they lie.

    """

    def __init__(self, home: Home) -> None:
        self.home = home

    def current(self) -> Release | None:
        """Return the release that counts; None when there is none or the link leads nowhere."""
        return self._linked(self.home.current)

    def previous(self) -> Release | None:
        """Return the release to fall back to; None when there is none or the link leads nowhere."""
        return self._linked(self.home.previous)

    def all(self) -> list[Release]:
        """Return all releases, the oldest first; folders that are no release are passed over."""
        try:
            folders = list(self.home.releases.iterdir())
        except OSError:
            return []
        found = (Release.read(folder) for folder in folders)
        return sorted((one for one in found if one is not None), key=lambda one: (one.number, one.name))

    def get(self, name: str) -> Release:
        """Return the release of this name, number, model (``NAME@SHA12``) or SHA-256 of the bundle.

        Raises
        ------
        UsageError
            When there is none.

        """
        for release in reversed(self.all()):
            if name in (release.name, str(release.number), release.model, release.sha256):
                return release
        raise UsageError(
            f"There is no release {name!r} here.",
            remedy=f"Here are: {', '.join(one.name for one in self.all()) or 'none'}.",
        )

    def trial(self) -> Trial | None:
        """Return the trial that is in effect, by the name of the current release; None without one."""
        trial, current = read_trial(self.home), self.current()
        if trial is None or current is None or current.name not in (trial.release, trial.replaces):
            return None
        return replace(trial, release=current.name, replaces=None)

    def bad(self) -> dict[str, Bad]:
        """Return the releases that were taken back, by name."""
        return read_bad(self.home)

    def good(self, name: str | None) -> Release | None:
        """Return the release of this name if it is whole."""
        release = Release.read(self.home.release(name)) if name and is_release_name(name) else None
        return release if release is not None and is_whole(release) else None

    def older_good(self, than: Release | None) -> Release | None:
        """Return the newest older release that was confirmed once, not taken back, and would start."""
        bad = self.bad()
        for release in reversed(self.all()):
            older = than is None or release.number < than.number
            if older and release.confirmed and release.name not in bad and would_start(release):
                return release
        return None

    def fallback(self, current: Release | None) -> Release | None:
        """Return the release to go back to: the one before, else the newest good one that is older.

        One that the service would refuse (a key was trusted since, and it is not signed) is passed over.
        """
        back = self.previous()
        if back is not None and (current is None or back.name != current.name) and would_start(back):
            return back
        return self.older_good(current)

    def next_number(self) -> int:
        """Return a number that no release has, nor one that was taken back and removed."""
        names = [path.name for path in self.home.releases.iterdir()] + list(self.bad())
        return 1 + max((int(found[1]) for name in names if (found := _NUMBERED.match(name))), default=0)

    def _linked(self, link: Path) -> Release | None:
        target = _read_link(link)
        while target is not None:
            release = Release.read(self.home.release(Path(target).name))
            after = _read_link(link)
            if release is not None or after == target:
                return release
            target = after  # it was switched, and what it led to removed, between two looks
        return None


def _read_link(path: Path) -> str | None:
    try:
        return os.readlink(path)
    except OSError:
        return None


def would_start(release: Release) -> bool:
    """Whether a release is whole, and its signer trusted here where that counts."""
    if not is_whole(release):
        return False
    try:
        read_bundle(release.bundle)
    except BundleError:
        return False
    return True


def is_whole(release: Release) -> bool:
    """Whether a release is whole; see :meth:`Release.check`."""
    try:
        release.check()
    except DataError:
        return False
    return True
