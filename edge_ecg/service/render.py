"""The configuration as text: the commented file, the effective values, the reference for docs/service.md."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from pathlib import Path

from ..errors import UsageError
from .schema import SECTIONS, Key, ServiceConfig, about, keys
from .values import Value

_WIDTH = 100


def toml_value(value: Value) -> str:
    """A value as TOML writes it."""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)


def commented_file(values: Mapping[str, Value] | None = None) -> str:
    """Return a configuration with a comment on every key.

    Parameters
    ----------
    values:
        ``section.name`` -> value, for keys that shall not have their default. Each other key stands with its
        default behind a ``#``, so that a later version may have a better one.

    """
    chosen = dict(values or {})
    lines = ["# Configuration of the edge-ecg service. Check it with: edge-ecg config check"]
    for section in SECTIONS:
        lines += ["", *_comment(about(section)), f"[{section}]"]
        for key in keys(section):
            unset = f" Left out: {key.unset}." if key.unset else ""
            lines += ["", *_comment(f"{key.meaning}{unset} ({key.kind.wants})")]
            if key.path in chosen:
                lines.append(f"{key.name} = {toml_value(chosen[key.path])}")
            else:
                lines.append(f"#{key.name} = {toml_value(_shown(key))}")
    return "\n".join(lines) + "\n"


def effective_file(config: ServiceConfig) -> str:
    """Return the values that hold, defaults included; what is not set stands as a comment."""
    lines: list[str] = []
    for section in SECTIONS:
        lines += ["", f"[{section}]"] if lines else [f"[{section}]"]
        for key in keys(section):
            value = value_of(config, key)
            lines.append(
                f"# {key.name}: {key.unset}" if value is None else f"{key.name} = {toml_value(value)}"
            )
    return "\n".join(lines) + "\n"


def reference() -> str:
    """Return the reference of all keys in Markdown: one table a section."""
    parts: list[str] = []
    for section in SECTIONS:
        rows = ["| key | default | value | |", "|---|---|---|---|"]
        for key in keys(section):
            default = key.unset if key.default is None else f"`{toml_value(key.default)}`"
            mark = " *" if key.in_unit else ""
            rows.append(f"| `{key.name}`{mark} | {default} | {key.kind.wants} | {key.meaning} |")
        parts += [f"### `[{section}]`", about(section), "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


def value_of(config: ServiceConfig, key: Key) -> Value | None:
    """The value of a key in a configuration."""
    value: Value | None = getattr(getattr(config, key.section), key.name)
    return value


def write_new(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a configuration that only its owner may read (it may name a person); never over another one.

    Raises
    ------
    UsageError
        When there is one already and ``replace`` is not set, or it cannot be written.

    """
    half = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and not replace:
            raise UsageError(
                f"There is a configuration {path} already; it was left as it is.",
                remedy=f"Look at it with `edge-ecg config show '{path}'`, or begin anew with --force.",
            )
        half.unlink(missing_ok=True)
        with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        raise UsageError(
            f"The configuration {path} cannot be written.", why=f"{error.strerror or error}."
        ) from error


def _shown(key: Key) -> Value:
    value = key.example if key.default is None else key.default
    assert value is not None, f"{key.path} has neither a default nor an example"
    return value


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")
