"""On which line of a TOML text each key stands: tomllib tells it only of what it cannot read.

A statement of TOML ends with a line, so lines are gathered until they can be read by themselves.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str, ...]


def lines_of_keys(text: str) -> dict[Path, int]:
    """Return the first line (from 1) of each table and key of a text that tomllib reads."""
    found: dict[Path, int] = {}
    table: Path = ()
    gathered, begun = "", 1
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        if not gathered:
            begun = number
        gathered += line
        try:
            statement = tomllib.loads(gathered)
        except tomllib.TOMLDecodeError:
            continue
        is_header = gathered.lstrip().startswith("[")
        gathered = ""
        paths = list(_paths(statement))
        if is_header:
            table = paths[-1]
        for path in paths:
            found.setdefault(path if is_header else table + path, begun)
    return found


def _paths(value: Any, before: Path = ()) -> Iterator[Path]:
    if isinstance(value, list):  # [[table]]
        value = value[-1] if value and isinstance(value[-1], dict) else None
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        yield (*before, name)
        yield from _paths(inner, (*before, name))
