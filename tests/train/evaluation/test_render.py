"""The forms of the card: nothing is lost, a leak is seen in each, the page needs nothing but itself."""

from __future__ import annotations

import io
import itertools
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from edge_ecg_train.evaluation.card_dict import build_card
from edge_ecg_train.evaluation.courses import course_plot
from edge_ecg_train.evaluation.html import html_of
from edge_ecg_train.evaluation.leaks import LeakFinding
from edge_ecg_train.evaluation.markdown import markdown_of
from edge_ecg_train.evaluation.plots import plots_of
from edge_ecg_train.evaluation.predictions import Predictions, with_context
from edge_ecg_train.evaluation.terminal import print_card
from edge_ecg_train.evaluation.wording import interval, p_value

VOID = {"meta", "link", "img", "br", "hr", "input"}
COMMAND = "edge-ecg evaluate --recipe 'a<b.yaml'"
LEAK = LeakFinding("nobody is trained on and tested on", False, "made/<3> in 2 folds")
PASSED = LeakFinding("no window is trained on and tested on", True, "6 folds")


class Page(HTMLParser):
    """Checks that elements nest, and collects what a browser would load and what a reader of words gets."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.used: list[str] = []
        self.resources: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in attributes:
            self.ids.append(str(attributes["id"]))
        for name in ("src", "href", "srcset", "data", "poster"):
            if name in attributes:
                self.resources.append(str(attributes[name]))
        self.used += re.findall(r"url\(([^)]*)\)", " ".join(str(value) for _, value in attrs))
        if tag in ("svg", "img"):
            self.pictures.append(attributes)
        assert tag not in ("script", "link", "iframe", "object", "embed")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)
        else:
            assert "@import" not in data
            assert "url(" not in data or "#" in data


@pytest.fixture(scope="module")
def runs(sampled: Any) -> list[Predictions]:
    out = []
    for number, (system, skill) in enumerate([("three <features>", 0.8), ("network", 2.0)]):
        for baseline_s in (0.0, 60.0):
            one = sampled(skill, noise=number, system=system, baseline_s=baseline_s)
            out += [one, with_context(one, 30.0)]
        out.append(sampled(skill + 1, noise=number, system=system, protocol="random-windows"))
        out.append(sampled(skill / 2, noise=number, system=system, baseline_s=60.0, label_fraction=0.1))
    return out


def _card(runs: list[Predictions], *findings: LeakFinding) -> dict[str, Any]:
    return build_card(
        runs,
        findings or (PASSED,),
        title="made | by hand",
        command=COMMAND,
        store_facts={"datasets": [{"name": "made", "title": "Made", "caution": "Nobody was <stressed>."}]},
        draws=50,
        reference="three <features>",
        pairs=(("network", "three <features>"),),
        facts={"machine": "two cores", "failures": ["one cell"], "encoders": {"small": "abc"}, "none": None},
    )


@pytest.fixture(scope="module")
def card(runs: list[Predictions]) -> dict[str, Any]:
    return _card(runs)


@pytest.fixture(scope="module")
def html(card: dict[str, Any], runs: list[Predictions]) -> str:
    """The page, drawn once: it takes seconds."""
    return html_of(card, runs)


def _terminal(card: dict[str, Any], width: int = 100) -> str:
    file = io.StringIO()
    print_card(card, Console(file=file, width=width, highlight=False))
    return file.getvalue()


def _page(text: str) -> Page:
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


def test_a_leak_is_on_top_of_every_form(runs: list[Predictions]) -> None:
    card = _card(runs[:1], PASSED, LEAK)
    line = "LEAK: it does not hold that nobody is trained on and tested on: made/<3> in 2 folds"
    assert card["leaks"]["lines"][0] == line
    assert card["trustworthy"] is False
    assert _terminal(card).startswith(line)
    lines = [one for one in markdown_of(card).splitlines() if one]
    assert lines[1] == f"> **{line.replace('<', '&lt;')}**"
    text = html_of(card)
    page = _page(text)
    assert line in page.words
    words = [one for one in page.words if one.strip()]
    assert (
        words.index(line) == words.index("made | by hand", 1) + 1
    )  # after the title of the tab and of the page
    assert 'class="leaks alarm" role="alert"' in text
    sound = _card(runs[:1])
    for form in (_terminal(sound), markdown_of(sound), html_of(sound)):
        assert "LEAK" not in form
        assert "No leak found by 1 check." in form


def test_every_number_is_in_every_form(card: dict[str, Any], html: str) -> None:
    terminal, text = _terminal(card), markdown_of(card)
    for setting in card["settings"]:
        for one in setting["systems"] if setting["honest"] else ():
            for metric in ("auc", "balanced_accuracy", "macro_f1", "f1_sarkar"):
                value, _, bounds = interval(one["metrics"][metric]).partition(" ")
                assert value in terminal
                assert bounds in terminal
                assert f"{value} {bounds}" in text
                assert f"{value} {bounds}" in html
    words = " ".join(_page(html).words)
    for lines in card["sentences"].values():
        for line in lines:
            assert line.replace("<", "&lt;") in text
            assert line in words


def test_the_terminal_keeps_to_its_width(card: dict[str, Any]) -> None:
    for width in (80, 100, 160):
        lines = _terminal(card, width).splitlines()
        assert max(map(len, lines)) <= width
        tables = [line for line in lines if line.startswith("  ")]
        assert sum("[" in line for line in tables) > 50
        # No interval is torn apart.
        assert not any(re.search(r"\[[^\]]*$|\[[^\]]*  ", line) for line in tables)


def test_the_page_stands_alone(html: str) -> None:
    page = _page(html)
    assert all(one.startswith("#") for one in page.resources)
    assert all(one.startswith("#") for one in page.used)
    assert "http" not in "".join(page.resources)
    assert len(set(page.ids)) == len(page.ids)
    assert {one.lstrip("#") for one in (*page.resources, *page.used)} <= set(page.ids)


def test_every_picture_is_told_in_words(html: str) -> None:
    page = _page(html)
    assert len(page.pictures) >= 8
    for picture in page.pictures:
        assert picture["role"] == "img"
        title, words = str(picture["aria-labelledby"]).split()
        for name, at_least in ((title, 5), (words, 40)):
            told = re.search(rf'id="{name}">([^<]+)<', html)
            assert told is not None
            assert len(told.group(1)) > at_least


def test_pictures_are_well_formed_and_take_the_pages_colours(html: str) -> None:
    pictures = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    for picture in pictures:
        root = ElementTree.fromstring(picture)
        assert root.tag == "svg"
        assert "var(--c0)" in picture
        # Every colour that is drawn follows light and dark.
        assert re.findall(r"#[0-9a-fA-F]{6}\b", picture) == []


def test_each_plot_shows_its_numbers(card: dict[str, Any]) -> None:
    plots = {plot.name: plot for plot in plots_of(card)}
    assert set(plots) == {
        "forest-leave-one-subject-out",
        "people",
        "label-efficiency",
        "baseline",
        "context",
        "reliability",
        "risk-coverage",
    }
    (axes,) = plots["forest-leave-one-subject-out"].figure.axes
    drawn = {round(float(x), 4) for line in axes.containers for x in line.lines[0].get_xdata()}
    expected = {
        one["metrics"]["auc"]["value"]
        for setting in card["settings"]
        if setting["honest"] and setting["context_s"] == 0.0
        for one in setting["systems"]
    }
    assert drawn == expected
    assert "is worse than three <features> for" in plots["people"].words
    for plot in plots.values():
        assert all(axes.has_data() for axes in plot.figure.axes if axes.axison)


def test_long_names_of_systems_have_room(sampled: Any) -> None:
    long = "hybrid: frozen encoder + intervals, late fusion, linear head (bundled int8 encoder)"
    runs = [sampled(1.0, noise=number, system=f"{long} {number}") for number in range(5)]
    card = build_card(runs, (), title="long", command=COMMAND, store_facts={}, draws=20)
    figure = next(plot for plot in plots_of(card) if plot.name.startswith("forest")).figure
    figure.draw_without_rendering()
    boxes = sorted(
        (one.get_window_extent() for one in figure.axes[0].get_yticklabels()), key=lambda box: box.y0
    )
    assert len(boxes) == len(runs)
    assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))


@pytest.mark.parametrize("people", [3, 6, 8])
def test_every_column_of_courses_tells_its_minutes(sampled: Any, people: int) -> None:
    run = sampled(1.0, people=people)
    card = build_card([run], (), title="courses", command=COMMAND, store_facts={}, draws=20)
    plot = course_plot(card, [run])
    assert plot is not None
    plot.figure.draw_without_rendering()
    shown = [axes for axes in plot.figure.axes if axes.axison]
    lowest = {axes.get_subplotspec().colspan.start: axes for axes in shown}
    for axes in shown:
        told = any(label.get_visible() and label.get_text() for label in axes.get_xticklabels())
        assert told == (axes in lowest.values())


def test_a_card_of_one_system_and_one_setting(sampled: Any) -> None:
    card = build_card(
        [sampled(1.0, classes=3)],
        (),
        title="small",
        command=COMMAND,
        store_facts={},
        draws=20,
    )
    assert "No leak check was made." in _terminal(card)
    assert "small" in markdown_of(card)
    _page(html_of(card))


def test_numbers_as_text() -> None:
    assert interval({"value": 0.5, "low": None, "high": 0.75}) == "0.500 [–, 0.750]"
    assert interval({"value": -0.00001, "low": -0.1, "high": 0.1}, signed=True) == "+0.000 [-0.100, +0.100]"
    assert [p_value(p) for p in (0.0004, 0.012, 0.5, None)] == ["<0.001", "0.012", "0.50", "–"]
