"""The evaluation card as Markdown, with every sentence and the command below every table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .tables import Section, Table, facts_of, sections_of, sources_of, summary_of

_ESCAPED = str.maketrans({"|": "\\|", "\n": " ", "<": "&lt;", "*": "\\*"})


def markdown_of(card: Mapping[str, Any]) -> str:
    """A card (see :func:`~.card_dict.build_card`) as GitHub-flavoured Markdown."""
    lines = [f"# {_text(card['title'])}", ""]
    loud = card["trustworthy"] is False
    lines += [_quoted(line, loud=loud) for line in _apart(card["leaks"]["lines"])]
    lines += ["", *(_text(line) for line in summary_of(card)), ""]
    for section in sections_of(card):
        lines += _section(section)
    facts = [f"- {_text(name)}: {_text(text)}" for name, text in facts_of(card)]
    lines += [
        "## How it was made",
        "",
        *facts,
        *(f"- measured on: {_text(line)}" for line in sources_of(card)),
    ]
    lines += ["", f"Made by `{card['command']}`.", ""]
    return "\n".join(lines)


def _apart(lines: list[str]) -> Iterator[str]:
    """Lines of a quotation, each its own paragraph."""
    for number, line in enumerate(lines):
        if number:
            yield ""
        yield line


def _quoted(line: str, *, loud: bool) -> str:
    if not line:
        return ">"
    return f"> **{_text(line)}**" if loud else f"> {_text(line)}"


def _section(section: Section) -> list[str]:
    lines = [f"## {section.heading}", ""]
    for table in section.tables:
        lines += _table(table)
    if section.sentences:
        lines += [*(f"- {_text(line)}" for line in section.sentences), ""]
    return lines


def _table(table: Table) -> list[str]:
    return [
        f"**{_text(table.caption)}**",
        "",
        _row(table.columns),
        "|---" * len(table.columns) + "|",
        *map(_row, table.rows),
        "",
        f"Made by `{table.command}`.",
        "",
    ]


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(map(_text, cells))} |"


def _text(text: str) -> str:
    return text.translate(_ESCAPED)
