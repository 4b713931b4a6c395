"""The releases on a device: put there, switched to, confirmed, taken back, tidied away.

Whatever happens between two steps, ``current`` leads to a complete release, the old or the new one, and the
same command again finishes what was begun:

- a release's folder is filled under another name and gets its own name last;
- ``previous`` and ``state/trial.json`` are written before ``current`` is switched by one rename; a trial is
  in effect only while ``current`` leads to the release that it names;
- a release is confirmed by removing ``state/trial.json``, after its version has been noted;
- going back is one rename, too, and works on a full disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..bundle import read_bundle
from ..bundle.fields import as_text
from ..errors import BundleError, DataError, GateError
from .creating import bundle_file, runtime_target, write_release
from .journal import iso_time
from .pruning import abandoned_uploads, needed_releases, remove_folder, unused_runtimes
from .recovery import Recovery, target
from .release import CONFIRMED_NAME, Release, release_name
from .remembered import remember
from .shelf import is_whole
from .trial import ROLLOUT_HALTED, Trial, write_bad, write_trial


class Releases(Recovery):
    """The releases of a home, and every change to them; parameters as :class:`Recovery`."""

    def create(
        self,
        bundle_path: Path,
        runtime_id: str,
        admitted: Mapping[str, Any],
        *,
        sha256: str | None = None,
    ) -> Release:
        """Put a bundle among the releases; nothing is switched.

        Parameters
        ----------
        bundle_path:
            The bundle; it is copied.
        runtime_id:
            The runtime that will run it: a name below ``runtimes``, or an absolute path.
        admitted:
            What was found out about it, for ``release.json``.
        sha256:
            What the file's SHA-256 was when all that was found out.

        Returns
        -------
        The release; the one that is there already when the same bundle came with the same runtime before.

        Raises
        ------
        BundleError
            When the bundle is not intact.
        UsageError, DataError
            When there is no such runtime, or it is not complete; when the folder cannot be written to.

        """
        data, bundle = bundle_file(bundle_path)
        digest = hashlib.sha256(data).hexdigest()
        if sha256 not in (None, digest):
            raise BundleError(
                f"{bundle_path} is not the file any more that was checked.", remedy="Try again."
            )
        # Eight signers with long comments are more than a field of release.json takes.
        signers = ", ".join(str(key) for key in bundle.trusted_by or bundle.signers)
        signed_by = as_text(signers, "") or None
        with self._changing("create a release"):
            runtime = runtime_target(self.home, runtime_id)
            for release in self.all():
                if release.sha256 == digest and release.runtime == runtime_id and is_whole(release):
                    return release
            number = self.next_number()
            folder = self.home.release(release_name(number, bundle))
            release = Release(
                folder, number, bundle.name_at_sha, bundle.manifest.version, iso_time(self.clock()), digest,
                runtime_id, signed_by, admitted,
            )  # fmt: skip
            write_release(self.disk, release, data, runtime)
            self._note("admitted", release)
        return release

    def switch(
        self, release: Release | str, watch_s: float | None = None, *, again: bool = False
    ) -> Trial | None:
        """Make a release the one that counts.

        Parameters
        ----------
        release:
            The release, or what :meth:`get` takes.
        watch_s:
            How long the service must run it before it is confirmed; None: there is no service, it is
            confirmed at once.
        again:
            Try one once more that was taken back before.

        Returns
        -------
        The trial that is now in effect, None when the release is confirmed. To switch to the current release
        changes nothing.

        Raises
        ------
        UsageError, DataError, BundleError, GateError
            When there is no such release; when it is damaged or the disk refuses; when its signer is not
            trusted here any more; when it was taken back before.

        """
        wanted = self.get(release if isinstance(release, str) else release.name)
        with self._changing("switch to a release"):
            wanted.check()
            read_bundle(wanted.bundle)  # is its signer still trusted?
            current = self.current()
            if current is not None and current.name == wanted.name:
                if watch_s is None:
                    self._confirm(wanted)
                return self.trial()
            self._require_good(wanted, again=again)
            self._switch(wanted, current, watch_s or 0.0)
            if watch_s is None:
                self._confirm(wanted)
            return self.trial()

    def confirm(self, release: str | None = None) -> Release | None:
        """End the trial of the current release well.

        Parameters
        ----------
        release:
            Only if this one is the current one; left out: whichever is.

        Returns
        -------
        The release that is confirmed (again, where it was before); None when the current one is another.

        Raises
        ------
        DataError
            When there is no current release, or the disk refuses.

        """
        with self._changing("confirm a release"):
            current = self._require_current()
            if release is not None and current.name != release:
                return None
            self._confirm(current)
            return current

    def revert(self, reason: str, release: str | None = None) -> Release:
        """Go back to the release before and mark the current one as bad.

        Parameters
        ----------
        reason:
            Why, in one sentence.
        release:
            Go back only from this one: said again, or too late, it changes nothing more.

        Returns
        -------
        The release that counts now.

        Raises
        ------
        DataError
            When there is nothing to go back to (the current release still counts then), or the disk refuses.

        """
        with self._changing("go back to the release before") as finished:
            current = self.current()
            if current is not None and (finished if release is None else current.name != release):
                return current
            back = self.fallback(current)
            if back is None:
                raise DataError(
                    "There is no release to go back to; the current one still counts.",
                    why="No other one is whole, was confirmed before, and is signed where that is asked.",
                    remedy="Flash a bundle: edge-ecg flash HOST BUNDLE",
                )
            self._take_back(current, back, reason)
            return back

    def prune(self, spare: int = 1, keep: frozenset[str] = frozenset()) -> list[str]:
        """Remove releases, runtimes and uploads that nothing needs any more.

        Parameters
        ----------
        spare:
            How many are kept beside the current one, the one before and what is on trial.
        keep:
            Names of releases and runtimes to keep, too. The runtime that runs this is always kept.

        Returns
        -------
        The names of what was removed.

        Raises
        ------
        DataError
            When something cannot be removed.

        """
        with self._changing("remove old releases"):
            releases, needed = self.all(), needed_releases(self, spare, keep)
            used = {one.runtime for one in releases if one.name in needed} | keep
            removed = [one.path for one in releases if one.name not in needed]
            for folder in removed:
                remove_folder(self.disk, folder)
            runtimes = unused_runtimes(self.home, used, self.clock())
            for folder in runtimes:
                remove_folder(self.disk, folder)
            uploads = abandoned_uploads(self.home, self.clock())
            for file in uploads:
                self.disk.delete(file)
            return [path.name for path in (*removed, *runtimes, *uploads)]

    def _switch(self, wanted: Release, current: Release | None, watch_s: float) -> None:
        before = self.trial()
        # One on trial is no good to go back to, unless there is nothing else.
        good = (self.good(before.previous) or current) if before else current or self.previous()
        if good is not None and not is_whole(good):
            good = self.older_good(good)
        trial = Trial(
            wanted.name,
            good.name if good else None,
            self.clock(),
            watch_s,
            before.release if before else None,
        )
        # The start script counts in place: that needs no room, however full the disk is.
        self.disk.replace_file(self.home.starts, f"0 {wanted.name}\n".encode())
        write_trial(self.home, trial, self.disk)
        if good is not None:
            self.disk.replace_link(self.home.previous, target(good))
        self.disk.replace_link(self.home.current, target(wanted))
        self._note("switched", wanted, previous=trial.previous, watch_s=watch_s)

    def _confirm(self, release: Release) -> None:
        trial = self.trial()
        if trial is None and release.confirmed:
            self.disk.delete(self.home.trial)  # of a switch that was begun, and not taken up again
            return
        marked = self.bad()
        if marked.pop(release.name, None) is not None:
            write_bad(self.home, marked, self.disk)  # there was nothing to go back to, and it mended itself
        remember(self.home, release, self.disk)
        self.disk.replace_file(release.path / CONFIRMED_NAME, f"{iso_time(self.clock())}\n".encode())
        self.disk.delete(self.home.trial)
        self.disk.delete(self.home.starts)
        self._note("confirmed", release)

    def _require_current(self) -> Release:
        current = self.current()
        if current is None:
            raise DataError(
                f"There is no current release in {self.home.root}.",
                remedy="Flash a bundle: edge-ecg flash HOST BUNDLE",
            )
        return current

    def _require_good(self, release: Release, *, again: bool) -> None:
        marked = self.bad()
        bad = marked.pop(release.name, None)
        if bad is None:
            return
        if not again and bad.reason != ROLLOUT_HALTED:
            raise GateError(
                f"{release.name} was taken back on {bad.at}; nothing was switched.",
                why=bad.reason,
                remedy="Mend the cause, then try it once more with --again.",
            )
        write_bad(self.home, marked, self.disk)
