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
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import time
from typing import Any

from ..errors import DataError, GateError
from .creating import bundle_file, runtime_target, write_release
from .disk import Disk, disk_errors, read_json
from .journal import Journal, iso_time
from .layout import Home
from .lock import HomeLock
from .pruning import needed_releases, remove_folder, sweep, unused_runtimes
from .release import CONFIRMED_NAME, Release, release_name
from .shelf import Shelf, is_whole
from .trial import Bad, Trial, read_fallbacks, read_trial, write_bad, write_trial

_RUNTIME_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


class Releases(Shelf):
    """The releases of a home, and every change to them.

    Parameters
    ----------
    home:
        Where they lie.
    clock:
        Seconds since 1970.
    disk:
        Makes the changes; tests stop it between two steps.
    lock:
        Held during every change; left out: the home's.

    """

    def __init__(
        self,
        home: Home,
        clock: Callable[[], float] = time,
        *,
        disk: Disk | None = None,
        lock: HomeLock | None = None,
    ) -> None:
        super().__init__(home)
        self.clock = clock
        self.disk = disk or Disk()
        self.lock = lock or HomeLock(home)
        self.journal = Journal(home, clock, self.disk)

    def create(
        self,
        bundle_path: Path,
        runtime_id: str,
        admitted: Mapping[str, Any],
        *,
        signed_by: str | None = None,
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
        signed_by:
            Whose signature it bears.

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
        with self._changing("create a release"):
            target = runtime_target(self.home, runtime_id)
            for release in self.all():
                if release.sha256 == digest and release.runtime == runtime_id and is_whole(release):
                    return release
            number = self.next_number()
            folder = self.home.release(release_name(number, bundle))
            release = Release(
                folder, number, bundle.name_at_sha, bundle.manifest.version, iso_time(self.clock()), digest,
                runtime_id, signed_by, admitted,
            )  # fmt: skip
            write_release(self.disk, release, data, target)
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
        UsageError, DataError, GateError
            When there is no such release; when it is damaged or the disk refuses; when it was taken back
            before.

        """
        wanted = self.get(release if isinstance(release, str) else release.name)
        with self._changing("switch to a release"):
            wanted.check()
            current = self.current()
            if current is not None and current.name == wanted.name:
                if watch_s is None:
                    self._confirm(wanted)
                return self.trial()
            self._require_good(wanted, again=again)
            before = self.trial()
            good = self.good(before.previous) if before else current
            if good is not None:
                self.disk.replace_link(self.home.previous, _target(good))
            if watch_s is not None:
                # The start script counts in place: that needs no room, however full the disk is.
                self.disk.replace_file(self.home.starts, f"0 {wanted.name}\n".encode())
                write_trial(
                    self.home,
                    Trial(
                        wanted.name,
                        good.name if good else None,
                        self.clock(),
                        watch_s,
                        before.release if before else None,
                    ),
                    self.disk,
                )
            self.disk.replace_link(self.home.current, _target(wanted))
            self._note("switched", wanted, previous=good.name if good else None, watch_s=watch_s)
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
        with self._changing("go back to the release before"):
            current = self.current()
            if current is not None and release is not None and current.name != release:
                return current
            back = self.previous()
            if back is None or (current is not None and back.name == current.name) or not is_whole(back):
                back = self.older_good(current)
            if back is None:
                raise DataError(
                    "There is no release to go back to; the current one still counts.",
                    why="No other release here is whole, and was confirmed before.",
                    remedy="Flash a bundle: edge-ecg flash HOST BUNDLE",
                )
            if current is not None:
                with suppress(OSError):  # a full disk must not keep us here
                    marked = self.bad()
                    marked.pop(current.name, None)
                    marked[current.name] = Bad(reason, iso_time(self.clock()), back.name)
                    write_bad(self.home, marked, self.disk)
            self._go_back(back)
            if current is not None:
                self._note("reverted", current, reason=reason, to=back.name)
            with suppress(OSError):
                self._tidy()
            return back

    def prune(self, spare: int = 1, keep: frozenset[str] = frozenset()) -> list[str]:
        """Remove releases and runtimes that nothing needs any more.

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
            return [folder.name for folder in (*removed, *runtimes)]

    # ------------------------------------------------------------------ steps

    @contextmanager
    def _changing(self, what: str) -> Iterator[None]:
        with self.lock.to(what), disk_errors(f"To {what}"):
            self.disk.make_folder(self.home.releases)
            self.disk.make_folder(self.home.state)
            with suppress(OSError):  # also on a full disk it must be possible to go back
                self._recover()
            yield

    def _recover(self) -> None:
        """Finish what an earlier command or the start script left unfinished."""
        fallbacks = read_fallbacks(self.home)
        if fallbacks:
            for name, bad in fallbacks:
                self._record("reverted", name, reason=bad.reason, to=bad.to, by="edge-ecg-start")
            write_bad(self.home, self.bad(), self.disk)
        self._tidy()
        sweep(self.home, self.disk)

    def _tidy(self) -> None:
        """After going back: ``previous`` leads to one that is older and good, or nowhere."""
        current, previous = self.current(), self.previous()
        if current is None:
            return
        if previous is None or previous.name == current.name:
            older = self.older_good(current)
            if older is not None:
                self.disk.replace_link(self.home.previous, _target(older))
            else:
                self.disk.delete(self.home.previous)
        trial = read_trial(self.home)
        if trial is not None and self.trial() is None and trial.release in self.bad():
            self.disk.delete(self.home.trial)
            self.disk.delete(self.home.starts)

    def _confirm(self, release: Release) -> None:
        trial = self.trial()
        if trial is None and release.confirmed:
            return
        self._raise_highest(release)
        self.disk.replace_file(release.path / CONFIRMED_NAME, f"{iso_time(self.clock())}\n".encode())
        self.disk.delete(self.home.trial)
        self.disk.delete(self.home.starts)
        self._note("confirmed", release)

    def _raise_highest(self, release: Release) -> None:
        known = read_json(self.home.highest)
        highest = known if isinstance(known, dict) else {}
        name = release.model.rpartition("@")[0]
        highest[name] = {"version": release.version, "release": release.name}
        self.disk.replace_json(self.home.highest, highest)

    def _go_back(self, back: Release) -> None:
        try:
            self.disk.replace_link(self.home.current, _target(back))
        except OSError:
            # No room even for a link: the link that is there is given the other name.
            previous = self.previous()
            if previous is None or previous.name != back.name:
                raise
            self.disk.rename(self.home.previous, self.home.current)
            self.disk.sync_folder(self.home.root)

    def _note(self, step: str, release: Release, **more: Any) -> None:
        self._record(step, release.name, sha256=release.sha256, **more)

    def _record(self, step: str, name: str, **more: Any) -> None:
        # The journal tells what was done; that it cannot be written undoes nothing.
        with suppress(OSError):
            self.journal.record(step, release=name, **more)

    # ------------------------------------------------------------------ questions

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
        if not again:
            raise GateError(
                f"{release.name} was taken back on {bad.at}; nothing was switched.",
                why=bad.reason,
                remedy="Mend the cause, then try it once more with --again.",
            )
        write_bad(self.home, marked, self.disk)


def _target(release: Release) -> str:
    return f"releases/{release.name}"
