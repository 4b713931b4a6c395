"""Sweep recipes: one readable YAML (or TOML) file that says all that a card is made of.

    title: ...
    data: {sets: [eegmat], hop_s: 5, normalisation: calibrated}
    task: stress
    protocols: [leave-one-subject-out, random-windows]
    baselines_s: [0, 60]
    contexts_s: [0, 30]
    labels: {fractions: [0.1, 1.0], baselines_s: [0]}
    seeds: [0]
    systems:
      - {id: heart, kind: heart}
      - {id: trunk, kind: encoder, encoder: bundled, only: {baselines_s: [0]}}
    reference: heart
    pairs: [[trunk, heart]]
    draws: 2000

docs/evaluation.md explains each key. One that is unknown is refused, with the known one that looks most
like it.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from edge_ecg.errors import UsageError

from ..metrics import DRAWS
from ..prepare import Preparation
from ..recipe import BUILT_IN, make
from .folds import Protocol, parse_protocol


@dataclass(frozen=True, slots=True)
class Sources:
    """Data sets, and how their recordings become windows.

    Attributes
    ----------
    sets:
        Names of data sets.
    root:
        The folder that holds them; by default what ``--root`` or EDGE_ECG_DATA says.
    hop_s, normalisation, notch_hz, keep_bad, labels:
        See :class:`edge_ecg_train.prepare.Preparation`.

    """

    sets: tuple[str, ...]
    root: str | None = None
    hop_s: int = 5
    normalisation: str = "calibrated"
    notch_hz: float | None = None
    keep_bad: bool = False
    labels: str = "whole"

    @property
    def preparation(self) -> Preparation:
        """How to prepare."""
        return Preparation(
            hop_s=self.hop_s,
            normalisation=self.normalisation,
            notch_hz=self.notch_hz,
            keep_bad=self.keep_bad,
            labels=self.labels,
        )


@dataclass(frozen=True, slots=True)
class Labels:
    """Label efficiency.

    Attributes
    ----------
    fractions:
        Shares of the training windows whose labels are used; 1.0 is all of them.
    baselines_s:
        The personal baselines at which shares below 1 are tried.

    """

    fractions: tuple[float, ...] = (1.0,)
    baselines_s: tuple[float, ...] = (0.0,)


@dataclass(frozen=True, slots=True)
class Only:
    """Restricts one system to part of the sweep; what is not named is not restricted."""

    protocols: tuple[str, ...] | None = None
    baselines_s: tuple[float, ...] | None = None
    fractions: tuple[float, ...] | None = None
    seeds: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class SystemEntry:
    """One system of a sweep.

    Attributes
    ----------
    table:
        For :func:`edge_ecg_train.systems.base.make_system`; its ``encoder`` is as the recipe has it.
    only:
        Where it takes part.
    id:
        How ``reference`` and ``pairs`` name it; empty when they need not.
    label:
        Printed instead of its own name; empty: its own.

    """

    table: Mapping[str, Any]
    only: Only = field(default_factory=Only)
    id: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """One system's task in the sweep, without contexts: these need no computation of their own.

    ``text`` is the protocol as the recipe names it.
    """

    system: SystemEntry
    text: str
    protocol: Protocol
    baseline_s: float
    label_fraction: float
    seed: int


@dataclass(frozen=True, slots=True)
class SweepRecipe:
    """A sweep recipe that has been read and checked.

    Attributes
    ----------
    data, task:
        The windows and what is to be told.
    protocols:
        Names that :func:`~edge_ecg_train.evaluation.folds.parse_protocol` reads.
    baselines_s:
        Lengths of the personal baseline; 0 is none.
    contexts_s:
        Seconds over which logits are averaged; 0 is a window alone.
    labels, seeds, systems:
        What is varied beside these.
    reference, pairs:
        The system that all others are compared with, and pairs (ours, theirs) beside these; by their ids.
    draws:
        Of the bootstrap over people.
    title, name:
        Heading of the card; name of the file.

    """

    data: Sources
    task: str
    protocols: tuple[str, ...] = ("leave-one-subject-out",)
    baselines_s: tuple[float, ...] = (0.0,)
    contexts_s: tuple[float, ...] = (0.0,)
    labels: Labels = field(default_factory=Labels)
    seeds: tuple[int, ...] = (0,)
    systems: tuple[SystemEntry, ...] = ()
    reference: str | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    draws: int = DRAWS
    title: str = ""
    name: str = ""

    def trials(self) -> Iterator[Trial]:
        """Yield what is to be computed.

        Random windows are split without a personal baseline and with all labels: that is how the published
        numbers came about that they stand beside.
        """
        for entry in self.systems:
            only = entry.only
            for text in self.protocols:
                protocol = parse_protocol(text)
                if not _allowed(only.protocols, text):
                    continue
                for baseline_s in self.baselines_s:
                    for fraction in self.labels.fractions:
                        plain = baseline_s == 0.0 and fraction == 1.0
                        if (
                            (protocol.leaks and not plain)
                            or (fraction < 1.0 and baseline_s not in self.labels.baselines_s)
                            or not _allowed(only.baselines_s, baseline_s)
                            or not _allowed(only.fractions, fraction)
                        ):
                            continue
                        for seed in self.seeds:
                            if _allowed(only.seeds, seed):
                                yield Trial(entry, text, protocol, baseline_s, fraction, seed)


def _allowed(listed: tuple[Any, ...] | None, value: object) -> bool:
    return listed is None or value in listed


def built_in_sweeps() -> dict[str, Path]:
    """Return the sweep recipes that come with edge-ecg, by name."""
    return {path.stem: path for path in sorted(BUILT_IN.glob("*.yaml"))}


def load_sweep(name: str) -> SweepRecipe:
    """Read a sweep recipe by the name of a built-in one, or by the path of a file.

    Raises
    ------
    UsageError
        If there is none, it is neither YAML nor TOML, or it holds a key or a value that makes no sense.

    """
    known = built_in_sweeps()
    path = known.get(name, Path(name))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        near = difflib.get_close_matches(Path(name).stem, known, 1, 0.0)
        raise UsageError(
            f"There is no sweep recipe {name!r}.",
            why=f"It is neither a file nor one of {', '.join(known)}.",
            remedy=f"Use --recipe {near[0]}." if near else "Give the path of a YAML file.",
        ) from None
    try:
        table = tomllib.loads(text) if path.suffix == ".toml" else yaml.load(text, _StrictLoader)
    except (yaml.YAMLError, tomllib.TOMLDecodeError) as error:
        kind = "TOML" if path.suffix == ".toml" else "YAML"
        raise UsageError(f"The sweep recipe {path} is not {kind}.", why=f"{error}.") from None
    return parse_sweep(table, path.stem)


def parse_sweep(table: Any, name: str) -> SweepRecipe:
    """Make a sweep recipe of a table.

    Raises
    ------
    UsageError
        If a key is unknown or missing, or a value makes no sense.

    """
    entries = dict(table) if isinstance(table, Mapping) else table
    systems: Any = None
    pairs: tuple[tuple[str, str], ...] = ()
    if isinstance(entries, dict):
        systems = entries.pop("systems", None)
        pairs = _pairs(entries.pop("pairs", []), name)
    recipe = make(SweepRecipe, entries, name)
    if not isinstance(systems, list) or not systems:
        raise UsageError(f"{name} lists no systems.", remedy="Add some, e.g. systems: [{kind: heart}].")
    recipe = replace(recipe, name=name, pairs=pairs, systems=tuple(_system(one, name) for one in systems))
    _check(recipe)
    return recipe


def _system(value: Any, name: str) -> SystemEntry:
    if not isinstance(value, Mapping):
        raise UsageError(f"{name}: a system must be a table, not {value!r}.", remedy="Write {kind: heart}.")
    table = dict(value)
    only = make(Only, table.pop("only", {}), f"{name}: systems: only")
    return SystemEntry(table, only, str(table.pop("id", "")), str(table.pop("label", "")))


def _pairs(value: Any, name: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or any(not isinstance(one, list) or len(one) != 2 for one in value):
        raise UsageError(
            f"{name}: pairs cannot be {value!r}.", remedy="List pairs of ids: pairs: [[ours, theirs]]."
        )
    return tuple((str(ours), str(theirs)) for ours, theirs in value)


def _check_ids(recipe: SweepRecipe) -> None:
    ids = [entry.id for entry in recipe.systems if entry.id]
    named = [one for pair in recipe.pairs for one in pair]
    if recipe.reference is not None:
        named.append(recipe.reference)
    for one in named:
        if one not in ids:
            near = difflib.get_close_matches(one, ids, 1, 0.5)
            raise UsageError(
                f"{recipe.name}: no system has the id {one!r}.",
                why=f"The ids are {', '.join(ids)}." if ids else "No system has one.",
                remedy=f"Did you mean {near[0]!r}?" if near else "Give the system that is meant an id.",
            )
    for one in ids:
        if ids.count(one) > 1:
            raise UsageError(f"{recipe.name}: two systems have the id {one!r}.", remedy="Rename one of them.")


def _check(recipe: SweepRecipe) -> None:
    where = recipe.name
    _check_ids(recipe)
    protocols = [parse_protocol(text) for text in recipe.protocols]
    for one in (name for protocol in protocols for name in protocol.datasets):
        if one not in recipe.data.sets:
            raise UsageError(
                f"{where} transfers from or to {one!r}, which is none of its data sets.",
                remedy=f"Add it to data sets: {', '.join(recipe.data.sets)}.",
            )
    for key in ("protocols", "baselines_s", "contexts_s", "seeds"):
        _check_list(getattr(recipe, key), f"{where} {key}")
    _check_list(recipe.labels.fractions, f"{where} labels fractions")
    _check_list(recipe.data.sets, f"{where} data sets")
    if any(not 0.0 < one <= 1.0 for one in recipe.labels.fractions):
        raise UsageError(f"{where}: a share of labels must be above 0 and at most 1.", remedy="Take 0.1.")
    if any(one < 0.0 for one in (*recipe.baselines_s, *recipe.contexts_s)):
        raise UsageError(f"{where}: seconds cannot be negative.", remedy="0 means none.")
    if recipe.draws < 1:
        raise UsageError(f"{where}: {recipe.draws} draws give no interval.", remedy="2000 is usual.")
    for entry in recipe.systems:
        for key, values in (
            ("protocols", recipe.protocols),
            ("baselines_s", recipe.baselines_s),
            ("fractions", recipe.labels.fractions),
            ("seeds", recipe.seeds),
        ):
            for one in getattr(entry.only, key) or ():
                if one not in values:
                    raise UsageError(
                        f"{where}: only {key} names {one!r}, which the sweep does not have.",
                        why=f"It has {', '.join(map(str, values))}.",
                        remedy="Correct one of the two.",
                    )


def _check_list(values: tuple[Any, ...], where: str) -> None:
    if not values or len(set(values)) != len(values):
        raise UsageError(f"{where} must be a list without repetitions, and not empty.")


class _StrictLoader(yaml.SafeLoader):
    """YAML without repeated keys: of two, plain YAML readers silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands there twice", node.start_mark
                )
        return super().construct_mapping(node, deep)
