"""Matplotlib figures as SVG that can stand in an HTML page: small, themed by CSS, and told in words."""

from __future__ import annotations

import io
import re
from html import escape

import matplotlib as mpl

from .drawing import FAINT, INK, PALETTE, PAPER, STYLE, Plot

_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_OPENING = re.compile(r"<svg[^>]*?viewBox=\"([^\"]+)\"[^>]*>")
_VARIABLES = {INK: "--ink", FAINT: "--faint", PAPER: "--paper"} | {
    colour: f"--c{number}" for number, colour in enumerate(PALETTE)
}


def inline_svg(plot: Plot) -> str:
    """One ``<svg>`` element with title and description, colours by CSS variables, and ids of its own."""
    file = io.BytesIO()
    with mpl.rc_context(STYLE):
        plot.figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = _PROLOGUE.sub("", file.getvalue().decode("utf-8"))
    text = _METADATA.sub("", text)
    text = _OPENING.sub(lambda opening: _opening(plot, opening.group(1)), text, count=1)
    text = text.replace("xlink:href=", "href=")
    # Ids are unique within a figure only.
    text = re.sub(r'id="(?!word-)([^"]+)"', rf'id="{plot.name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{plot.name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{plot.name}-\1)", text)
    # Matplotlib asks for its own fonts by name; the page's font is as good and is there.
    text = re.sub(r"font: ([0-9.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    return text.strip()


def _opening(plot: Plot, view_box: str) -> str:
    title, words = f"word-{plot.name}-title", f"word-{plot.name}-words"
    return (
        f'<svg viewBox="{view_box}" role="img" aria-labelledby="{title} {words}">\n'
        f'<title id="{title}">{escape(plot.title)}</title>\n<desc id="{words}">{escape(plot.words)}</desc>'
    )
