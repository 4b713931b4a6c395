"""Changes that are broken off at every step, and what must hold afterwards.

Run as a program it kills itself with SIGKILL: ``python -m tests.edge_ecg.deploy.crashes FOLDER`` makes a home
there, breaks off every change of ``CHANGES`` before each of its steps in a process of its own, and prints one
JSON object a change.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from edge_ecg.deploy import Home, Releases
from edge_ecg.deploy.disk import Disk, Step
from edge_ecg.deploy.start_script import install_start_script

from .tiny import NOW, at, make_home


class Change(NamedTuple):
    """A change: what the home is before it, what is done, and whether doing it once more does nothing."""

    before: Callable[[Releases, Path], object]
    do: Callable[[Releases, Path], object]
    idempotent: bool = True


def confirmed(*minors: int) -> Callable[[Releases, Path], object]:
    """Releases of these versions, each switched to and confirmed."""

    def prepare(releases: Releases, bundles: Path) -> None:
        for minor in minors:
            releases.switch(releases.create(bundles / f"{minor}.ecgb", "one", {}))

    return prepare


def on_trial(*minors: int) -> Callable[[Releases, Path], object]:
    """As ``confirmed``, but the last one is on trial."""

    def prepare(releases: Releases, bundles: Path) -> None:
        confirmed(*minors[:-1])(releases, bundles)
        releases.switch(releases.create(bundles / f"{minors[-1]}.ecgb", "two", {}), 60.0)

    return prepare


def then_created(first: Callable[[Releases, Path], object], minor: int) -> Callable[[Releases, Path], object]:
    """After ``first``, one more release is there that was never switched to."""

    def prepare(releases: Releases, bundles: Path) -> None:
        first(releases, bundles)
        releases.create(bundles / f"{minor}.ecgb", "two", {})

    return prepare


def fallen_back(releases: Releases, bundles: Path) -> None:
    """The start script took a release on trial back; nobody has looked at that yet."""
    then_created(on_trial(1, 2, 3), 4)(releases, bundles)
    home = releases.home
    bad, good = releases.current(), releases.previous()
    assert bad is not None
    assert good is not None
    home.fallbacks.write_text(f"{bad.name} {good.name} {int(NOW)} it was started 3 times and not confirmed\n")
    home.current.unlink()
    home.current.symlink_to(f"releases/{good.name}")
    home.starts.unlink()


def create(releases: Releases, bundles: Path) -> object:
    return releases.create(bundles / "5.ecgb", "two", {"engine": "litert-int8"})


CHANGES: dict[str, Change] = {
    "the first release": Change(lambda releases, _: None, create),
    "create": Change(confirmed(1, 2), create),
    "the first switch": Change(then_created(confirmed(), 1), lambda r, _: r.switch("1")),
    "the first switch, on trial": Change(then_created(confirmed(), 1), lambda r, _: r.switch("1", 60.0)),
    "switch": Change(then_created(confirmed(1, 2), 3), lambda r, _: r.switch("3")),
    "switch, on trial": Change(then_created(confirmed(1, 2), 3), lambda r, _: r.switch("3", 60.0)),
    "switch during a trial": Change(then_created(on_trial(1, 2), 3), lambda r, _: r.switch("3", 60.0)),
    "switch to the one before": Change(confirmed(1, 2), lambda r, _: r.switch("1", 60.0)),
    "switch after a fall-back": Change(fallen_back, lambda r, _: r.switch("4", 60.0)),
    "confirm": Change(on_trial(1, 2), lambda r, _: r.confirm()),
    "revert a trial": Change(on_trial(1, 2, 3), lambda r, _: r.revert("it failed"), False),
    "revert by name": Change(on_trial(1, 2, 3), lambda r, _: r.revert("it failed", r.get("3").name)),
    "revert a confirmed one": Change(confirmed(1, 2, 3), lambda r, _: r.revert("by hand"), False),
    "prune": Change(confirmed(1, 2, 3, 4, 5, 6), lambda r, _: r.prune()),
    "prune during a trial": Change(on_trial(1, 2, 3, 4, 5), lambda r, _: r.prune(spare=0)),
    "the start script": Change(confirmed(1), lambda r, _: install_start_script(r.home, r.disk)),
}  # fmt: skip


def snapshot(home: Home) -> dict[str, Any]:
    """What counts of a home: where the links lead, what is there, what is known; no times, no journal."""
    shelf = at(home)
    current, previous, trial = shelf.current(), shelf.previous(), shelf.trial()
    return {
        "current": current.name if current else None,
        "previous": previous.name if previous else None,
        "trial": trial and (trial.release, trial.previous, trial.watch_s),
        "confirmed": [one.name for one in shelf.all() if one.confirmed],
        "bad": sorted(shelf.bad()),
        "highest": json.loads(home.highest.read_text()) if home.highest.exists() else None,
        "files": sorted(
            str(path.relative_to(home.root))
            for path in home.root.rglob("*")
            if path.name not in ("lock", home.journal.name, home.starts.name, home.trial.name)
        ),
    }


def require_runnable(home: Home, before: dict[str, Any], after: dict[str, Any], where: str) -> None:
    """Whatever was broken off: the current release is the old or the new one, and whole."""
    releases = at(home)
    current = releases.current()
    name = current.name if current else None
    assert name in (before["current"], after["current"]), f"{where}: {name} counts"
    if current is not None:
        current.check()
    for release in releases.all():
        release.check()
    if before["trial"] and name == before["current"] != after["current"]:
        assert releases.trial() is not None, f"{where}: the old one is no longer on trial"
    if after["trial"] and name == after["current"] != before["current"]:
        assert releases.trial() is not None, f"{where}: the new one is not on trial"


def count_steps(home: Home, change: Change, bundles: Path) -> list[Step]:
    """Make the change in full and return its steps."""
    steps: list[Step] = []
    change.do(Releases(home, lambda: NOW, disk=Disk(steps.append)), bundles)
    return steps


def copied(home: Home, to: Path) -> Home:
    """Copy a home, links as links; what was there before is removed."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(home.root, to, symlinks=True)
    return Home(to)


def _kill_at(number: int) -> Callable[[Step], None]:
    left = [number]

    def before(_: Step) -> None:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    return before


def _broken_off(home: Home, change: Change, bundles: Path, number: int) -> None:
    child = os.fork()
    if child == 0:
        try:
            change.do(Releases(home, lambda: NOW, disk=Disk(_kill_at(number))), bundles)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"it was not killed before step {number}"


def try_all(folder: Path, name: str, change: Change) -> dict[str, Any]:
    """Break a change off before each of its steps, look, and make it again."""
    bundles = folder / "bundles"
    home = make_home(folder / "home", bundles)
    change.before(at(home), bundles)
    before = snapshot(home)
    done = copied(home, folder / "done")
    steps = count_steps(done, change, bundles)
    after = snapshot(done)
    for number in range(len(steps)):
        where = f"{name}, killed before step {number} of {len(steps)} ({steps[number].kind})"
        broken = copied(home, folder / "broken")
        _broken_off(broken, change, bundles, number)
        require_runnable(broken, before, after, where)
        if not change.idempotent and number == len(steps) - 1:
            assert snapshot(broken) == after, f"{where}: all was done but the last sync"
            continue
        change.do(at(broken), bundles)
        assert snapshot(broken) == after, where
        if change.idempotent:
            change.do(at(broken), bundles)
            assert snapshot(broken) == after, f"{where}: made a third time"
    return {"change": name, "steps": len(steps)}


if __name__ == "__main__":
    for index, (name, change) in enumerate(CHANGES.items()):
        print(json.dumps(try_all(Path(sys.argv[1]) / str(index), name, change)), flush=True)
