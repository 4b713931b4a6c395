"""The power is cut after each step of each change, and any of what was not synced is lost."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from edge_ecg.deploy.disk import Disk, Step

from .crashes import CHANGES, Change, copied, count_steps, require_runnable, snapshot
from .power_cuts import Loss, losses, moved, replay
from .tiny import at, make_home

# Removing a folder is not synced step by step, on purpose; of its many outcomes a sample is enough.
_MOST = 120


def cut_everywhere(folder: Path, name: str, change: Change) -> int:
    """Make every disk that a power cut during the change could leave; return how many were tried."""
    bundles = folder / "bundles"
    home = make_home(folder / "home", bundles)
    change.before(at(home), bundles)
    before = snapshot(home)
    done = copied(home, folder / "done")
    steps = count_steps(done, change, bundles)
    after = snapshot(done)
    count = 0
    for loss in sample(list(losses(steps))):
        where = f"{name}: {loss}"
        broken = copied(home, folder / "broken")
        replay(moved(steps, done.root, broken.root), loss)
        require_runnable(broken, before, after, where)
        change.do(at(broken), bundles)
        found = snapshot(broken)
        if change.idempotent:
            assert found == after, where
        assert (found["current"] is None) == (after["current"] is None), where
        count += 1
    return count


def sample(found: list[Loss]) -> list[Loss]:
    return found if len(found) <= _MOST else random.Random(0).sample(found, _MOST)


@pytest.mark.parametrize("name", list(CHANGES))
def test_every_disk_that_a_power_cut_could_leave(name: str, memory: Path) -> None:
    assert cut_everywhere(memory, name, CHANGES[name]) > 15


def test_the_model_finds_a_switch_that_is_not_synced(memory: Path) -> None:
    """A file that is renamed before it is synced may be empty: the model must say so."""
    steps = [
        Step("write", memory / "a.part", data=b"new!"),
        Step("rename", memory / "a.part", str(memory / "a")),
        Step("sync_folder", memory),
    ]
    seen = set()
    for loss in losses(steps):
        (memory / "a").write_bytes(b"old")
        replay(steps, loss)
        seen.add((memory / "a").read_bytes())
        (memory / "a.part").unlink(missing_ok=True)
    assert seen == {b"old", b"", b"ne", b"new!"}


def test_the_model_finds_nothing_wrong_with_a_replaced_file(memory: Path) -> None:
    steps: list[Step] = []
    (memory / "a").write_bytes(b"old")
    Disk(steps.append).replace_file(memory / "a", b"new!")
    seen = set()
    for loss in losses(steps):
        (memory / "a").write_bytes(b"old")
        replay(steps, loss)
        seen.add((memory / "a").read_bytes())
        (memory / "a.part").unlink(missing_ok=True)
    assert seen == {b"old", b"new!"}
