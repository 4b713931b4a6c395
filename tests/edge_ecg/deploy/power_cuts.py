"""Every disk that a power cut could leave, made from the steps of a change.

The model, after Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014): what was written to a
file is on the disk once the file was synced, before that nothing, half or all of it is; the names in a folder
(made, renamed, removed) reach the disk in their order, some or all of them, and surely once the folder was
synced; different folders know nothing of each other. A power cut may come after any number of steps.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from edge_ecg.deploy.disk import Step

NOTHING, HALF, ALL = 0.0, 0.5, 1.0

_NAMES = ("make_folder", "write", "append", "rename", "link", "remove", "remove_folder")


class Loss(NamedTuple):
    """What of the first ``done`` steps reached the disk: names lost, and parts of contents, by their step."""

    done: int
    lost_names: frozenset[int]
    contents: Mapping[int, float]


def losses(steps: Sequence[Step]) -> Iterator[Loss]:
    """Yield every loss that the model allows, for a power cut after any number of steps."""
    for done in range(len(steps) + 1):
        names, contents = _pending(steps[:done])
        # Of the names of one folder that are not synced the first few are there, for every folder on its own.
        cuts = [range(len(numbers) + 1) for numbers in names.values()]
        parts = [(NOTHING, HALF, ALL)] * len(contents)
        for kept in itertools.product(*cuts):
            lost = frozenset(
                number
                for numbers, count in zip(names.values(), kept, strict=True)
                for number in numbers[count:]
            )
            for part in itertools.product(*parts):
                yield Loss(done, lost, dict(zip(contents, part, strict=True)))


def replay(steps: Sequence[Step], loss: Loss) -> None:
    """Do to the disk what is left of the steps."""
    gone: set[Path] = set()
    for number, step in enumerate(steps[: loss.done]):
        if step.kind not in _NAMES:
            continue
        if number in loss.lost_names or not _possible(step, gone):
            if step.kind in ("make_folder", "write", "link"):
                gone.add(step.path)
            continue
        _do(step, loss.contents.get(number, ALL))


def _pending(steps: Sequence[Step]) -> tuple[dict[Path, list[int]], list[int]]:
    """Return what is not synced: names by folder, and contents, each by the number of its step."""
    names: dict[Path, list[int]] = {}
    contents: dict[Path, list[int]] = {}
    for number, step in enumerate(steps):
        if step.kind == "sync_folder":
            names.pop(step.path, None)
        elif step.kind == "sync":
            contents.pop(step.path, None)
        elif step.kind in _NAMES:
            if step.kind in ("write", "append"):
                contents.setdefault(step.path, []).append(number)
            if step.kind != "append":
                names.setdefault(step.path.parent, []).append(number)
            if step.kind == "rename" and step.path in contents:
                contents[Path(step.other)] = contents.pop(step.path)
    return names, [number for numbers in contents.values() for number in numbers]


def _possible(step: Step, gone: set[Path]) -> bool:
    """Whether what a step works on is there; it is not where a name before it was lost."""
    if any(parent in gone for parent in (step.path, *step.path.parents)) and step.kind == "rename":
        return False
    if step.kind in ("make_folder", "write", "link"):
        return step.path.parent.is_dir()
    return step.path.is_symlink() or step.path.exists()


def _do(step: Step, part: float) -> None:
    data = step.data[: int(len(step.data) * part)]
    if step.kind == "make_folder":
        step.path.mkdir(exist_ok=True)
    elif step.kind == "write":
        step.path.write_bytes(data)
    elif step.kind == "append":
        with step.path.open("ab") as file:
            file.write(data)
    elif step.kind == "rename":
        step.path.replace(step.other)
    elif step.kind == "link":
        step.path.unlink(missing_ok=True)
        step.path.symlink_to(step.other)
    elif step.kind == "remove":
        step.path.unlink()
    else:
        shutil.rmtree(step.path)  # what was in it, lost names or not, is gone with it


def moved(steps: Sequence[Step], root: Path, to: Path) -> list[Step]:
    """Return the same steps on a copy of the home."""

    def there(path: Path | str) -> Path:
        return to / Path(path).relative_to(root)

    return [
        step._replace(
            path=there(step.path) if step.path.is_relative_to(root) else step.path,
            other=str(there(step.other)) if step.kind == "rename" else step.other,
        )
        for step in steps
    ]
