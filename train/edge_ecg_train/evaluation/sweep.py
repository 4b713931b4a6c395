"""A sweep: everything that a recipe asks for, made ready, computed cell by cell, and collected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_ecg.errors import DataError, EdgeEcgError, UsageError

from ..embeddings import task_embeddings
from ..store import WindowStore
from .baseline import REST, PersonalBaseline, rest_class
from .cells import VERSION, Cell, finished
from .data import TaskData
from .executors import Executor
from .folds import RANDOM_WINDOWS, folds_of, parse_protocol
from .predictions import Predictions, joined, with_context
from .stage_encoders import OnRecording, Say, StagedEncoder, stage_encoder, stage_store
from .sweep_recipe import SweepRecipe, SystemEntry, Trial

if TYPE_CHECKING:
    from ..systems.base import System
    from .leaks import LeakFinding


def _silent(_: Any) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Listener:
    """Who is told how far a sweep is; each call is for a progress display.

    Attributes
    ----------
    say:
        A sentence about what begins now.
    recording:
        A recording has been prepared.
    windows:
        So many windows have been embedded.

    """

    say: Say = _silent
    recording: OnRecording = _silent
    windows: Callable[[int], None] = _silent


@dataclass(frozen=True)
class StagedSystem:
    """A system with everything that it needs.

    Attributes
    ----------
    entry:
        What the recipe says.
    name:
        As printed.
    table:
        For ``make_system``, with each encoder's place instead of its description.
    encoders:
        Those encoders; several where candidates have their own.

    """

    entry: SystemEntry
    name: str
    table: Mapping[str, Any]
    system: System
    encoders: tuple[StagedEncoder, ...] = ()


@dataclass(frozen=True)
class Sweep:
    """A sweep whose data and encoders are there, so that its cells can be computed.

    Attributes
    ----------
    recipe, store, data, systems:
        What is compared, and on what.
    groups:
        The cells of one system in one setting (its folds) stand together.
    listener:
        Who is told how far it is.
    failures:
        What could not be computed, and why.

    """

    recipe: SweepRecipe
    store: WindowStore
    data: TaskData
    systems: tuple[StagedSystem, ...]
    groups: tuple[tuple[Cell, ...], ...]
    listener: Listener = field(default_factory=Listener)
    failures: list[str] = field(default_factory=list)

    @property
    def cells(self) -> list[Cell]:
        """All cells."""
        return [cell for group in self.groups for cell in group]

    @property
    def encoders(self) -> dict[str, list[dict[str, Any]]]:
        """Facts of the encoders of each system that has any."""
        return {one.name: [each.facts for each in one.encoders] for one in self.systems if one.encoders}

    def name_of(self, identity: str) -> str:
        """Return the printed name of the system with an id."""
        return next(one.name for one in self.systems if one.entry.id == identity)


def stage(recipe: SweepRecipe, root: Path, cache: Path, listener: Listener | None = None) -> Sweep:
    """Prepare windows and encoders, and list the cells; what the cache holds is not made again.

    Parameters
    ----------
    recipe:
        What to compare.
    root:
        The folder that holds the data sets.
    cache:
        The folder of stores, encoders, features and results.
    listener:
        Who is told how far it is.

    Raises
    ------
    DataError
        When data is missing or damaged, or has no labels for the task.
    UsageError
        When the recipe names a system, an encoder or a data set that does not exist, or two systems would be
        printed under one name.

    """
    listener = listener or Listener()
    listener.say(f"windows of {', '.join(recipe.data.sets)}")
    store = stage_store(recipe.data, root, cache, listener.recording)
    return stage_on(recipe, store, root, cache, listener)


def stage_on(
    recipe: SweepRecipe, store: WindowStore, root: Path, cache: Path, listener: Listener | None = None
) -> Sweep:
    """As :func:`stage`, on a store that is there already."""
    listener = listener or Listener()
    data = TaskData.of(store, recipe.task, datasets=recipe.data.sets, cache=cache / "features")
    systems = tuple(_stage_system(one, recipe, root, cache, data, listener) for one in recipe.systems)
    names = [one.name for one in systems]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(
                f"{recipe.name} has two systems that are printed as {name!r}.",
                why="Nobody could tell them apart.",
                remedy="Give one of them another label: {kind: ..., label: ...}.",
            )
    by_entry = {id(one.entry): one for one in systems}
    groups = tuple(
        tuple(_cells(by_entry[id(trial.system)], trial, recipe, data, store, cache))
        for trial in recipe.trials()
    )
    return Sweep(recipe, store, data, systems, groups, listener)


def _stage_system(
    entry: SystemEntry, recipe: SweepRecipe, root: Path, cache: Path, data: TaskData, listener: Listener
) -> StagedSystem:
    from ..systems.base import make_system

    staged: dict[str, StagedEncoder] = {}

    def placed(value: Any) -> Any:
        """The same table with places of encoders, also in the tables of candidates."""
        if isinstance(value, list):
            return [placed(one) for one in value]
        if not isinstance(value, Mapping):
            return value
        table = {key: one if key == "encoder" else placed(one) for key, one in value.items()}
        if "encoder" in table:
            encoder = stage_encoder(table["encoder"], recipe.data, root, cache, listener.say)
            staged[encoder.sha256] = encoder
            table["encoder"] = encoder.source
        return table

    table = placed(entry.table)
    system = make_system(table)
    for encoder in staged.values():
        # Here, in all threads and once, instead of in every worker at the same time.
        task_embeddings(data, encoder.source, listener.windows)
    name = entry.label or system.name
    if staged and not entry.label:
        name += f" ({', '.join(one.name for one in staged.values())})"
    return StagedSystem(entry, name, table, system, tuple(staged.values()))


def _cells(
    staged: StagedSystem, trial: Trial, recipe: SweepRecipe, data: TaskData, store: WindowStore, cache: Path
) -> list[Cell]:
    config = {
        "version": VERSION,
        "name": staged.name,
        "system": staged.system.config(),
        "encoders": [one.sha256 for one in staged.encoders],
        "data": data.key,
        "datasets": list(recipe.data.sets),
        "task": recipe.task,
        "protocol": trial.protocol.name,
        "split": trial.text,
        "baseline_s": trial.baseline_s,
        "label_fraction": trial.label_fraction,
        "seed": trial.seed,
    }
    rest = rest_class(data.names)
    if trial.baseline_s and rest != REST:  # results that took the first class for rest are not met again
        config["rest"] = rest
    places = {
        "store": str(store.path.resolve()),
        "cache": str(data.cache_path.resolve()),
        "results": str((cache / "cells").resolve()),
        "system": staged.table,
    }
    if getattr(staged.system, "folds_together", True):
        return [Cell({**config, "fold": None}, places)]
    return [Cell({**config, "fold": fold.name}, places) for fold in folds_of(data, trial.protocol)]


def execute(
    sweep: Sweep, executor: Executor, on_cell: Callable[[Cell, EdgeEcgError | None], None] | None = None
) -> None:
    """Compute the cells that are not there yet; foreseen failures are noted in ``sweep.failures``.

    Parameters
    ----------
    sweep:
        Of :func:`stage`.
    executor:
        Where to compute.
    on_cell:
        Is called when a cell is done, or has failed.

    """
    open_cells = {cell.key: cell for cell in sweep.cells if finished(cell) is None}
    for outcome in executor(list(open_cells.values())) if open_cells else ():
        cell = open_cells[outcome.key]
        if outcome.failure is not None:
            sweep.failures.append(f"{cell.label}: {outcome.failure}")
        if on_cell is not None:
            on_cell(cell, outcome.failure)


def collect(sweep: Sweep) -> list[Predictions]:
    """Return all predictions, folds joined and averaged over each context that the recipe names.

    Contexts are taken with all labels and where nobody stands on both sides. A setting of which a fold failed
    is left out: what is scored must be the same windows for all.

    Raises
    ------
    DataError
        When nothing was computed.

    """
    out: list[Predictions] = []
    for group in sweep.groups:
        parts = [finished(cell) for cell in group]
        whole = [part for part in parts if part is not None]
        if len(whole) < len(parts):
            continue
        alone = joined([part for part in whole if len(part)] or whole)
        plain = alone.protocol == RANDOM_WINDOWS or alone.label_fraction < 1.0
        contexts: Sequence[float] = (0.0,) if plain else sweep.recipe.contexts_s
        out += [with_context(alone, context_s) for context_s in contexts]
    if not out:
        raise DataError(
            "Not one system could be evaluated.",
            why=sweep.failures[0] if sweep.failures else "No cell was computed.",
            remedy="Correct the recipe, or prepare more data.",
        )
    return out


def check(sweep: Sweep) -> list[LeakFinding]:
    """Look for leaks in what was compared: folds, encoders, normalisation, baselines, and inside the systems.

    Random windows leak on purpose and are not looked at. Systems that train a network are not probed: that
    would take as long as their folds.
    """
    from .leaks import find_leaks

    recipe = sweep.recipe
    protocols = {one.name: one for one in map(parse_protocol, recipe.protocols) if not one.leaks}
    facts = {
        f"{name}, {one['name']}" if len(each) > 1 else name: one
        for name, each in sweep.encoders.items()
        for one in each
    }
    sweep.listener.say("looking for leaks")
    return find_leaks(
        sweep.data,
        {name: folds_of(sweep.data, one) for name, one in protocols.items()},
        [one.system for one in sweep.systems if getattr(one.system, "folds_together", True)],
        encoders=facts,
        baselines_s=[one for one in recipe.baselines_s if one == 0.0 or _has_baseline(sweep.data, one)],
        seed=recipe.seeds[0],
        on_probe=sweep.listener.say,
    )


def _has_baseline(data: TaskData, seconds: float) -> bool:
    try:
        PersonalBaseline.of(data, seconds)
    except DataError:
        return False
    return True
