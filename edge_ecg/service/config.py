"""From a TOML file to a :class:`ServiceConfig`, or to everything that is wrong with it at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .schema import SECTIONS, Key, ServiceConfig, keys
from .toml_lines import lines_of_keys
from .values import Value

# A real one has some 4 kB; a wrong path must not fill the memory.
MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes
    ----------
    line:
        Where it stands, from 1; None when it stands nowhere.
    key:
        ``section.name``, or as much of it as there is.
    sentence:
        What is wrong, and what is meant where that can be guessed.

    """

    line: int | None
    key: str
    sentence: str


class ConfigError(UsageError):
    """A configuration that cannot be used; ``problems`` holds everything that is wrong with it."""

    def __init__(self, path: Path, problems: Iterable[Problem]) -> None:
        self.path = path
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(
            f"The configuration {path} has {count} problem{'s' if count > 1 else ''}.",
            why="\n       ".join(described(self.path, problem) for problem in self.problems),
            remedy=f"Mend it, then: edge-ecg config check '{path}'",
        )


def described(path: Path, problem: Problem) -> str:
    """``FILE:LINE: sentence``, as compilers print it."""
    return f"{path}{'' if problem.line is None else f':{problem.line}'}: {problem.sentence}"


def load_config(path: Path) -> ServiceConfig:
    """Read and check a configuration.

    Raises
    ------
    ConfigError
        With every problem, when there is one.
    UsageError
        When the file cannot be read, or there is none.

    """
    return parse_config(_read(path), path)


def parse_config(text: str, path: Path) -> ServiceConfig:
    """Check the text of a configuration; raises ConfigError, which calls it ``path``."""
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(path, [_unreadable(error, text)]) from None
    problems: list[Problem] = []
    values: dict[str, dict[str, Value]] = {name: {} for name in SECTIONS}
    for name, table in tables.items():
        problems += _table(name, table, values)
    if problems:
        lines = lines_of_keys(text)
        raise ConfigError(path, sorted(_placed(problems, lines), key=lambda one: (one.line or 0, one.key)))
    return ServiceConfig(**{name: SECTIONS[name](**entries) for name, entries in values.items()})


def _table(name: str, table: Any, values: dict[str, dict[str, Value]]) -> Iterator[Problem]:
    if name not in SECTIONS:
        yield Problem(None, name, _unknown_section(name, table))
    elif not isinstance(table, dict):
        yield Problem(None, name, f"`{name}` is a section: write [{name}], and its keys below it.")
    else:
        known = {key.name: key for key in keys(name)}
        for entry, value in table.items():
            if entry not in known:
                yield Problem(None, f"{name}.{entry}", _unknown_key(entry, known))
                continue
            try:
                values[name][entry] = known[entry].kind.check(value)
            except ValueError as error:
                yield Problem(None, f"{name}.{entry}", f"{entry}: {error}")


def _unknown_section(name: str, table: Any) -> str:
    if isinstance(table, dict):
        return f"There is no section [{name}].{_nearest(name, SECTIONS, '[{}]')}"
    homes = [key for key in keys() if key.name == name]
    if homes:
        return f"`{name}` stands outside of its section: put it below [{homes[0].section}]."
    return f"There is no key `{name}`.{_nearest(name, [key.name for key in keys()])}"


def _unknown_key(name: str, known: Mapping[str, Key]) -> str:
    elsewhere = [key for key in keys() if key.name == name]
    if elsewhere:
        return f"`{name}` belongs below [{elsewhere[0].section}]."
    near = _nearest(name, known)
    section = next(iter(known.values())).section
    return f"There is no key `{name}` in [{section}].{near or ' It knows ' + ', '.join(known) + '.'}"


def _nearest(name: str, known: Iterable[str], shape: str = "`{}`") -> str:
    near = get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return f" Did you mean {shape.format(near[0])}?" if near else ""


def _placed(problems: Iterable[Problem], lines: Mapping[tuple[str, ...], int]) -> Iterator[Problem]:
    for problem in problems:
        section, _, name = problem.key.partition(".")
        line = lines.get((section, name)) if name else lines.get((section,))
        yield Problem(line, problem.key, problem.sentence)


def _unreadable(error: Exception, text: str) -> Problem:
    """Take the place from the end of tomllib's message: `(at line 3, column 5)`, `(at end of document)`."""
    if isinstance(error, RecursionError):
        return Problem(None, "", "This is no TOML: it is nested too deeply.")
    words, _, place = str(error).rpartition(" (at ")
    number = re.match(r"line (\d+)", place)
    line = int(number[1]) if number is not None else max(len(text.splitlines()), 1)
    hint = " Text stands in quotes." if words == "Invalid value" else ""
    return Problem(line, "", f"This is no TOML: {words or place}.{hint}")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise UsageError(
            f"There is no configuration {path}.", remedy=f"edge-ecg config init '{path}' writes one."
        ) from error
    except OSError as error:
        raise UsageError(
            f"The configuration {path} cannot be read.", why=f"{error.strerror or error}."
        ) from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"The configuration {path} is far too large.", remedy="Give another file.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, [Problem(line, "", "This is no UTF-8 text.")]) from None
