"""The evaluation card as one HTML page: no script, no request, light and dark, readable on a phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .courses import course_plot
from .drawing import PALETTE, Plot
from .plots import plots_of
from .predictions import Predictions
from .svg import inline_svg
from .tables import Section, Table, facts_of, sections_of, sources_of, summary_of

_DARK_PALETTE = ("#56b4e9", "#ff8c42", "#2cc99a", "#e08fd0", "#e6c229", "#a5a5ff")
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --faint: #767676; --paper: #fdfdfd; --band: #f0f1f3;
  --alarm: #b00020; --fine: #00663f; LIGHT }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --faint: #9a9a9a; --paper: #16181b;
  --band: #23272c; --alarm: #c62839; --fine: #6fd7a8; DARK } }
body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 62rem; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
.leaks { border-left: 0.4rem solid var(--faint); padding: 0.5rem 0.8rem; background: var(--band); }
.leaks p { margin: 0.2rem 0; } .leaks.fine { border-color: var(--fine); }
.leaks.alarm { background: var(--alarm); border-color: var(--alarm); color: #ffffff; font-weight: 700; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: 0.85rem; margin: 1rem 0 0.2rem; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.3rem; }
th, td { text-align: left; padding: 0.25rem 0.8rem 0.25rem 0; border-bottom: 1px solid var(--band);
  vertical-align: top; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; }
thead th { border-bottom-color: var(--faint); } tbody th { font-weight: 500; min-width: 9rem; }
.made { font-size: 0.75rem; color: var(--faint); margin: 0 0 1.2rem; overflow-wrap: anywhere; }
figure { margin: 1.2rem 0; max-width: 42rem; } figcaption { font-size: 0.85rem; font-weight: 600; }
svg { width: 100%; height: auto; display: block; }
details { margin: 0.8rem 0; } summary { cursor: pointer; font-weight: 600; } li { margin: 0.4rem 0; }
"""


def html_of(card: Mapping[str, Any], predictions: Sequence[Predictions] = ()) -> str:
    """A card (see :func:`~.card_dict.build_card`) as a self-contained page.

    Parameters
    ----------
    card:
        What is shown.
    predictions:
        Those that the card was made of. When given, the page also shows each person's course over the
        recording, which the card itself does not keep.

    """
    plots = plots_of(card)
    course = course_plot(card, predictions)
    if course is not None:
        plots.append(course)
    title = escape(str(card["title"]))
    body = [f"<h1>{title}</h1>", _leaks(card)]
    body += [f"<p>{escape(line)}</p>" for line in summary_of(card)]
    for section in sections_of(card):
        body += _section(section, [plot for plot in plots if plot.section == section.key])
    body += ["<h2>How it was made</h2>", "<ul>"]
    body += [f"<li>{escape(name)}: {escape(text)}</li>" for name, text in facts_of(card)]
    body += [f"<li>Measured on: {escape(line)}</li>" for line in sources_of(card)]
    body += ["</ul>", f'<p class="made">Made by <code>{escape(card["command"])}</code></p>']
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>",
            f"<style>{_style()}</style>",
            "</head>",
            "<body>",
            "<main>",
            *body,
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _style() -> str:
    light, dark = (
        " ".join(f"--c{number}: {colour};" for number, colour in enumerate(palette))
        for palette in (PALETTE, _DARK_PALETTE)
    )
    return _STYLE.replace("LIGHT", light).replace("DARK", dark)


def _leaks(card: Mapping[str, Any]) -> str:
    look = {True: "fine", False: "alarm", None: "unknown"}[card["trustworthy"]]
    lines = "".join(f"<p>{escape(line)}</p>" for line in card["leaks"]["lines"])
    role = ' role="alert"' if card["trustworthy"] is False else ""
    return f'<div class="leaks {look}"{role}>{lines}</div>'


def _section(section: Section, plots: Sequence[Plot]) -> list[str]:
    lines = [f'<section id="{section.key.replace("_", "-")}">', f"<h2>{escape(section.heading)}</h2>"]
    lines += [
        f"<figure>\n<figcaption>{escape(plot.title)}</figcaption>\n{inline_svg(plot)}\n</figure>"
        for plot in plots
    ]
    lines += [_table(table) for table in section.tables]
    if section.sentences:
        said = "\n".join(f"<li>{escape(line)}</li>" for line in section.sentences)
        quoted = f"<ul>\n{said}\n</ul>"
        lines.append(
            f"<details>\n<summary>In sentences</summary>\n{quoted}\n</details>" if section.tables else quoted
        )
    return [*lines, "</section>"]


def _cell(text: str) -> str:
    # A number and its interval stay on one line; words may break.
    return f'<td class="number">{escape(text)}</td>' if "[" in text else f"<td>{escape(text)}</td>"


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in table.columns)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>' + "".join(map(_cell, row[1:])) + "</tr>"
        for row in table.rows
    )
    return (
        f'<div class="wide">\n<table>\n<caption>{escape(table.caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>\n"
        f'<p class="made">Made by <code>{escape(table.command)}</code></p>'
    )
