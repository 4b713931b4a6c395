"""What every change to the releases begins with: the lock, and finishing what was begun before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import time
from typing import Any

from .disk import Disk, disk_errors, read_json
from .journal import Journal, iso_time
from .layout import Home
from .lock import HomeLock
from .pruning import sweep
from .release import Release
from .shelf import Shelf
from .trial import Bad, read_fallbacks, read_trial, write_bad

START_SCRIPT = "edge-ecg-start"


class Recovery(Shelf):
    """The releases of a home, and what keeps them in order.

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

    @contextmanager
    def _changing(self, what: str) -> Iterator[bool]:
        """Hold the lock and finish what was begun before; gives whether going back was."""
        with self.lock.to(what), disk_errors(f"To {what}"):
            self.disk.make_folder(self.home.releases)
            self.disk.make_folder(self.home.state)
            finished = False
            with suppress(OSError):  # also on a full disk it must be possible to go back
                finished = self._recover()
            yield finished

    def _recover(self) -> bool:
        """Finish what an earlier command or the start script left unfinished; whether it was going back."""
        self._absorb_fallbacks()
        begun = read_json(self.home.reverting)
        current = self.current()
        reason = None if current is None else self._reason_to_leave(current, begun)
        if current is not None and reason is not None:
            back = self.fallback(current)
            if back is not None:
                self._take_back(current, back, reason)
        self._tidy()
        self.disk.delete(self.home.reverting)
        sweep(self.home, self.disk)
        return begun is not None

    def _reason_to_leave(self, current: Release, begun: object) -> str | None:
        """Why the current release was being taken back; None when it was not."""
        bad = self.bad().get(current.name)
        if bad is not None:
            return bad.reason
        if isinstance(begun, dict) and begun.get("release") == current.name:
            return str(begun.get("reason"))
        return None

    def _take_back(self, current: Release | None, back: Release, reason: str) -> None:
        if current is not None:
            with suppress(OSError):  # a full disk must not keep us here
                self.disk.replace_json(self.home.reverting, {"release": current.name, "reason": reason})
                marked = self.bad()
                marked.pop(current.name, None)
                marked[current.name] = Bad(reason, iso_time(self.clock()), back.name)
                write_bad(self.home, marked, self.disk)
        self._point_at(back)
        if current is not None:
            self._note("reverted", current, reason=reason, to=back.name)
        with suppress(OSError):
            self._tidy()
            self.disk.delete(self.home.reverting)

    def _point_at(self, back: Release) -> None:
        try:
            self.disk.replace_link(self.home.current, target(back))
        except OSError:
            # No room even for a link: the link that is there is given the other name.
            previous = self.previous()
            if previous is None or previous.name != back.name:
                raise
            self.disk.rename(self.home.previous, self.home.current)
            self.disk.sync_folder(self.home.root)

    def _absorb_fallbacks(self) -> None:
        fallbacks = read_fallbacks(self.home)
        if not fallbacks:
            return
        for name, bad in fallbacks:
            last = self.journal.last(name)
            if last is None or last.step != "reverted":
                self._record("reverted", name, reason=bad.reason, to=bad.to, by=START_SCRIPT)
        write_bad(self.home, self.bad(), self.disk)

    def _tidy(self) -> None:
        """After going back: ``previous`` leads to one that is older and good, or nowhere."""
        current, previous = self.current(), self.previous()
        if current is None:
            return
        if previous is None or previous.name == current.name:
            older = self.older_good(current)
            if older is not None:
                self.disk.replace_link(self.home.previous, target(older))
            else:
                self.disk.delete(self.home.previous)
        trial = read_trial(self.home)
        if trial is not None and self.trial() is None and trial.release in self.bad():
            self.disk.delete(self.home.trial)
            self.disk.delete(self.home.starts)

    def _note(self, step: str, release: Release, **more: Any) -> None:
        self._record(step, release.name, sha256=release.sha256, **more)

    def _record(self, step: str, name: str, **more: Any) -> None:
        # The journal tells what was done; that it cannot be written undoes nothing.
        with suppress(OSError):
            self.journal.record(step, release=name, **more)


def target(release: Release) -> str:
    """Return where a link to a release leads."""
    return f"releases/{release.name}"
