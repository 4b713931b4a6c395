"""From annotations to classes, by rules that are data: ``tasks.toml``.

A rule names a field of the annotations and says which of its values make which class. Three kinds:

    classes = {rest = ["baseline"], stress = ["stress"]}      words (or numbers) to classes
    threshold = 5.0                                           low: value < 5; high: from 5 on
    threshold = "mean", of = "person" (or "set")              the same, around the mean of all ratings
    levels = [1, 2, 3, 4, 5]                                  a class a level; ratings are rounded to it

:class:`Labeller` applies the rules to windows.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from edge_ecg.errors import DataError

BINARY = ("low", "high")
_KEYS = {"field", "classes", "threshold", "of", "levels", "order"}
_MEANS = ("person", "set")


@dataclass(frozen=True, slots=True)
class Rule:
    """How one field of a data set's annotations becomes the classes of one task.

    Attributes
    ----------
    task, names:
        The task, and its classes in the order of their numbers.
    field:
        Which of an annotation's values decides.
    classes:
        For each class the values that make it; empty for the other kinds.
    threshold:
        Values below are class 0, others class 1; NaN when there is none or it is a mean.
    mean_of:
        ``person`` or ``set`` when the threshold is the mean of all ratings of the person or of the set.
    levels:
        Rising; a value's class is the nearest level, the higher one of two; none beyond half a step outside.
    order:
        Values in rising order, for labels of the ``max`` kind only: the last one in a window wins, and where
        it belongs to no class, the window has no label. Without it: the order of ``classes``, and other
        values take no part.

    """

    task: str
    field: str
    names: tuple[str, ...]
    classes: tuple[tuple[float | str, ...], ...] = ()
    threshold: float = math.nan
    mean_of: str = ""
    levels: tuple[float, ...] = ()
    order: tuple[float | str, ...] = ()

    def class_of(self, value: float | str | None, mean: float = math.nan) -> int | None:
        """Class number of an annotation's value; None when it makes no class.

        ``mean`` is what the value is compared with when the threshold is a mean.
        """
        if self.classes:
            return next((number for number, values in enumerate(self.classes) if value in values), None)
        if not isinstance(value, int | float) or not math.isfinite(value):
            return None
        if self.levels:
            levels = self.levels
            nearest = min(levels, key=lambda level: (abs(level - value), -level))
            lowest, highest = 1.5 * levels[0] - 0.5 * levels[1], 1.5 * levels[-1] - 0.5 * levels[-2]
            return levels.index(nearest) if lowest <= value < highest else None
        threshold = mean if self.mean_of else self.threshold
        return None if math.isnan(threshold) else int(value >= threshold)

    def rank(self, value: float | str) -> float:
        """Where a value stands when the largest one in a window decides; -inf for one that takes no part."""
        if self.classes:
            order = self.order or tuple(one for values in self.classes for one in values)
            return float(order.index(value)) if value in order else -math.inf
        return value if isinstance(value, int | float) and math.isfinite(value) else -math.inf

    def to_json(self) -> dict[str, object]:
        """The rule in the words of ``tasks.toml``, for the store's record and its hash."""
        table: dict[str, object] = {"field": self.field}
        if self.classes:
            table["classes"] = {
                name: list(values) for name, values in zip(self.names, self.classes, strict=True)
            }
        elif self.levels:
            table["levels"] = list(self.levels)
        elif self.mean_of:
            table |= {"threshold": "mean", "of": self.mean_of}
        else:
            table["threshold"] = self.threshold
        if self.order:
            table["order"] = list(self.order)
        return table


@cache
def bundled_rules() -> Mapping[str, tuple[Rule, ...]]:
    """Data set to rules, from the ``tasks.toml`` that comes with edge-ecg."""
    file = resources.files(__package__).joinpath("tasks.toml")
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    return {name: parse_rules(table, f"tasks.toml [{name}]") for name, table in tables.items()}


def read_rules(path: Path) -> tuple[Rule, ...]:
    """Read the rules of one data set from a TOML file of one table a task.

    Raises
    ------
    DataError
        When the file cannot be read or a rule makes no sense.

    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(
            f"{path} cannot be read as TOML.", why=f"{error}.", remedy="See docs/data.md for an example."
        ) from None
    return parse_rules(tables, str(path))


def parse_rules(tables: Mapping[str, Any], where: str) -> tuple[Rule, ...]:
    """Make rules of TOML tables, one a task.

    Raises
    ------
    DataError
        When one makes no sense; names ``where`` it stands.

    """
    return tuple(_rule(task, table, f"{where} [{task}]") for task, table in tables.items())


def _rule(task: str, table: Any, where: str) -> Rule:
    if not isinstance(table, dict):
        raise _wrong(where, "It is not a table.")
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise _wrong(where, f"It has {', '.join(unknown)}, which is not known.")
    kinds = [kind for kind in ("classes", "threshold", "levels") if kind in table]
    if len(kinds) != 1 or not isinstance(table.get("field"), str):
        raise _wrong(where, "It needs a field, and one of classes, threshold and levels.")
    make = {"classes": _by_classes, "threshold": _by_threshold, "levels": _by_levels}[kinds[0]]
    return make(task, table, where)


def _by_classes(task: str, table: Mapping[str, Any], where: str) -> Rule:
    classes = table["classes"]
    if not isinstance(classes, dict) or len(classes) < 2:
        raise _wrong(where, "Two classes or more are needed.")
    if not all(isinstance(values, list) and _plain(values) for values in classes.values()):
        raise _wrong(where, "Each class is a list of words or numbers.")
    used = [value for values in classes.values() for value in values]
    order = table.get("order", [])
    if len(set(used)) < len(used):
        raise _wrong(where, "A value stands in two classes.")
    if not isinstance(order, list) or (order and not set(used) <= set(order)):
        raise _wrong(where, "The order is a list of all values of the classes, and possibly others.")
    return Rule(
        task,
        str(table["field"]),
        tuple(classes),
        classes=tuple(tuple(values) for values in classes.values()),
        order=tuple(order),
    )


def _by_threshold(task: str, table: Mapping[str, Any], where: str) -> Rule:
    threshold, of = table["threshold"], table.get("of", "")
    if threshold == "mean":
        if of not in _MEANS:
            raise _wrong(where, f'It needs of = "{_MEANS[0]}" or of = "{_MEANS[1]}": whose mean it is.')
        return Rule(task, str(table["field"]), BINARY, mean_of=of)
    if not _number(threshold) or of:
        raise _wrong(where, 'The threshold is a number, or "mean" with of.')
    return Rule(task, str(table["field"]), BINARY, threshold=float(threshold))


def _by_levels(task: str, table: Mapping[str, Any], where: str) -> Rule:
    levels = table["levels"]
    if not isinstance(levels, list) or len(levels) < 2 or not all(map(_number, levels)):
        raise _wrong(where, "The levels are two numbers or more.")
    if levels != sorted(set(levels)):
        raise _wrong(where, "The levels must rise.")
    names = tuple(f"{level:g}" for level in levels)
    return Rule(task, str(table["field"]), names, levels=tuple(map(float, levels)))


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _plain(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, str) or _number(value) for value in values)


def _wrong(where: str, why: str) -> DataError:
    return DataError(f"The rule {where} makes no sense.", why=why, remedy="See docs/data.md for an example.")
