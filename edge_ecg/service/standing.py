"""How the release that runs stands: whether it still counts, whether it is on trial, and what follows."""

from __future__ import annotations

import os
from pathlib import Path

from ..deploy.releases import Releases
from ..errors import EdgeEcgError
from .log import Log


class Standing:
    """One process's view of the releases.

    Parameters
    ----------
    releases:
        The releases of the home.
    release:
        Name of the one that this process is; empty outside of a deployment.
    log:
        Is told what could not be done.

    """

    def __init__(self, releases: Releases, release: str, log: Log) -> None:
        self.release = release
        self._releases = releases
        self._log = log

    def is_current(self) -> bool:
        """Whether no other release counts by now; mostly one look at a link, made every second."""
        try:
            if Path(os.readlink(self._releases.home.current)).name == self.release:
                return True
        except OSError:  # there is none: nothing else could be run instead
            return True
        # A link that leads nowhere starts nothing else: bin/edge-ecg-start passes it over.
        current = self._releases.current()
        return current is None or current.name == self.release

    def watch_s(self) -> float | None:
        """For how long this release is to be watched; None when it is not on trial."""
        trial = self._releases.trial() if self.release else None
        return trial.watch_s if trial is not None and trial.release == self.release else None

    def confirm(self) -> bool:
        """End the trial well; False when that has to be tried again."""
        try:
            confirmed = self._releases.confirm(self.release)
        except EdgeEcgError as error:
            self._log.warning(f"{self.release} could not be confirmed yet: {error}")
            return False
        if confirmed is None:  # another release is current by now, and this process about to end
            return True
        self._log.notice(f"{self.release} has proved itself: it is confirmed.")
        return True

    def take_back(self, reason: str) -> bool:
        """Go back to the release before, if this one is on trial; False when it is not, or that failed."""
        if self.watch_s() is None:
            return False
        try:
            back = self._releases.revert(reason, self.release)
        except EdgeEcgError as error:
            self._log.failure(error)
            return False
        self._log.error(f"{self.release} was on trial and is taken back; {back.name} is next.")
        return True
