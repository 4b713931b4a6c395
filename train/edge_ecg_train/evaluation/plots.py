"""The plots of the evaluation card, as matplotlib figures with words that say the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib as mpl

from . import wording
from .drawing import (
    FAINT,
    LINES,
    MARKERS,
    PALETTE,
    PAPER,
    SHOWN,
    STYLE,
    Json,
    Plot,
    draw_bars,
    limits,
    new_figure,
    wrapped,
)
from .wording import duration, interval, setting_name, share, short_name

_LINE_IN = 0.15
"""Height of a line of text."""


def plots_of(card: Json) -> list[Plot]:
    """Draw a card (see :func:`~.card_dict.build_card`); what has no data gives no plot."""
    honest = [one for one in card["settings"] if one["honest"]]
    order = shown_systems(card)
    with mpl.rc_context(STYLE):
        plots = [_forest(honest, protocol) for protocol in dict.fromkeys(one["protocol"] for one in honest)]
        plots += _paired(card, honest)
        plots += [
            plot
            for key, axis, words in (
                ("label_efficiency", "share of the training labels", share),
                ("baseline", "personal baseline", duration),
                ("context", "context", duration),
            )
            for plot in _curves(card[key]["rows"], key, axis, words, order)
        ]
        plots += _reliability(card["calibration"]["rows"], order)
        plots += _risk(card["coverage"]["rows"], order)
    return plots


def shown_systems(card: Json) -> list[str]:
    """The systems of the plots with room for few: the reference, the pairs, then the best."""
    auc: dict[str, float] = {}
    for setting in card["settings"]:
        if setting["honest"]:
            for one in setting["systems"]:
                value = one["metrics"]["auc"]["value"]
                auc[one["system"]] = max(auc.get(one["system"], 0.0), 0.0 if value is None else value)
    first = [card["reference"], *(name for pair in card["pairs"] for name in pair)]
    best = sorted(auc, key=lambda name: -auc[name])
    return [name for name in dict.fromkeys([*first, *best]) if name in auc][:SHOWN]


def _forest(honest: Sequence[Json], protocol: str) -> Plot:
    """AUC of every system with its interval, with and without a baseline, at the shortest context."""
    settings = [one for one in honest if one["protocol"] == protocol]
    context = min(one["context_s"] for one in settings)
    settings = [one for one in settings if one["context_s"] == context]
    auc = [
        {
            one["system"]: one["metrics"]["auc"]
            for one in setting["systems"]
            if one["metrics"]["auc"]["value"] is not None
        }
        for setting in settings
    ]
    names = list(dict.fromkeys(name for column in reversed(auc) for name in column))
    names.sort(key=lambda name: next(c[name]["value"] for c in reversed(auc) if name in c))
    labels = [wrapped(name, 28) for name in names]
    lines = max(label.count("\n") + 1 for label in labels)
    figure, grid = new_figure(1.1 + max(0.42, _LINE_IN * (lines + 0.3)) * len(names))
    axes = grid[0, 0]
    words = []
    for number, (setting, column) in enumerate(zip(settings, auc, strict=True)):
        shift = 0.14 * (number - (len(settings) - 1) / 2)
        present = [name for name in names if name in column]
        axes.errorbar(
            [column[name]["value"] for name in present],
            [names.index(name) + shift for name in present],
            xerr=list(zip(*(limits(column[name]) for name in present), strict=True)) or None,
            linestyle="none",
            marker=MARKERS[number % SHOWN],
            color=PALETTE[number % SHOWN],
            markerfacecolor=PAPER if setting["baseline_s"] == 0 else PALETTE[number % SHOWN],
            markersize=5.5,
            elinewidth=1.2,
            capsize=2.5,
            label=short_name(setting),
        )
        words += [f"{short_name(setting)}: {name} {interval(column[name])}" for name in reversed(present)]
    axes.axvline(0.5, color=FAINT, linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(names)), labels)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlabel("AUC, 95 % interval over people (dotted: chance)")
    axes.grid(axis="x", color=FAINT, alpha=0.25, linewidth=0.6)
    figure.legend(loc="outside upper left", ncols=2)
    title = f"AUC of every system, {protocol}"
    return Plot("comparison", f"forest-{_slug(protocol)}", title, "; ".join(words) + ".", figure)


def _paired(card: Json, honest: Sequence[Json]) -> list[Plot]:
    """Everybody's own AUC by two systems, one line a person; one panel with and one without a baseline."""
    pair = _contrast(card, honest)
    panels = []
    for setting in honest:
        systems = {one["system"]: one for one in setting["systems"]}
        if pair is not None and setting["context_s"] == 0.0 and all(name in systems for name in pair):
            panels.append((setting, *(systems[name]["by_person"] for name in pair)))
    if pair is None or not panels:
        return []
    panels = panels[:4]
    figure, grid = new_figure(0.7 + 2.5 * ((len(panels) + 1) // 2), (len(panels) + 1) // 2, 2, sharey=True)
    words = []
    for axes, (setting, theirs, ours) in zip(grid.flat, panels, strict=False):
        of_theirs = {one["person"]: one["auc"] for one in theirs}
        values = [
            (of_theirs[one["person"]], one["auc"])
            for one in ours
            if one["auc"] is not None and of_theirs.get(one["person"]) is not None
        ]
        for before, after in values:
            worse = after < before
            axes.plot(
                (0, 1),
                (before, after),
                color=PALETTE[1] if worse else PALETTE[0],
                linestyle="--" if worse else "-",
                marker="v" if worse else "o",
                markersize=3.5,
                linewidth=0.9,
                alpha=0.8,
            )
        lost = sum(after < before for before, after in values)
        axes.set_title(wrapped(setting_name(setting), 38))
        axes.set_xticks((0, 1), [wrapped(name, 16) for name in pair])
        axes.set_xlim(-0.25, 1.25)
        axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
        words.append(
            f"{setting_name(setting)}: {pair[1]} is worse than {pair[0]} for {lost} of {len(values)} people"
        )
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("AUC of one person")
    title = f"Person by person: {pair[1]} against {pair[0]} (dashed with triangles: worse)"
    return [Plot("people", "people", title, ". ".join(words) + ".", figure)]


def _contrast(card: Json, honest: Sequence[Json]) -> tuple[str, str] | None:
    """The reference and the best other system; the first pair where the reference is not on the card."""
    names = [name for name in shown_systems(card) if name != card["reference"]]
    if card["reference"] is None:
        return (card["pairs"][0][1], card["pairs"][0][0]) if card["pairs"] else None
    if not names or not honest:
        return None
    last = max((one for one in honest if one["context_s"] == 0.0), key=_people_and_baseline, default=None)
    if last is None:
        return None
    auc = {one["system"]: one["metrics"]["auc"]["value"] or 0.0 for one in last["systems"]}
    others = [name for name in auc if name != card["reference"]]
    return (str(card["reference"]), max(others, key=lambda name: auc[name])) if others else None


def _people_and_baseline(setting: Json) -> tuple[bool, float]:
    return (setting["protocol"] == "leave-one-subject-out", setting["baseline_s"])


def _curves(
    rows: Sequence[Json], key: str, axis: str, words_of: Callable[[float], str], order: Sequence[str]
) -> list[Plot]:
    """AUC along an axis, one panel a setting."""
    settings = _settings(rows, order)
    if not settings:
        return []
    figure, grid = new_figure(0.9 + 2.3 * len(settings), len(settings))
    words = []
    drawn: list[str] = []
    for axes, setting in zip(grid[:, 0], settings, strict=True):
        curves = [row for row in rows if row["setting"] == setting and row["system"] in order]
        at = sorted({point["at"] for row in curves for point in row["points"]})
        for place, row in enumerate(curves):
            shift = 0.012 * len(at) * (place - (len(curves) - 1) / 2)
            auc = [point["metrics"]["auc"] for point in row["points"]]
            # Places, not values: 0 s and 1 % have no room on a common scale.
            x = [at.index(point["at"]) + shift for point in row["points"]]
            label = None if row["system"] in drawn else row["system"]
            drawn.append(row["system"])
            draw_bars(axes, x, auc, order.index(row["system"]), label=label)
            words.append(
                f"{row['system']}: "
                + ", ".join(
                    f"{words_of(point['at'])} {interval(point['metrics']['auc'])}" for point in row["points"]
                )
            )
        axes.set_xticks(range(len(at)), [words_of(one) for one in at])
        axes.set_xlim(-0.5, len(at) - 0.5)
        axes.set_title(setting_name(setting, without=curves[0]["axis"]))
        axes.set_ylabel("AUC")
        axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
    grid[-1, 0].set_xlabel(axis)
    figure.legend(loc="outside upper left", ncols=1 if max(map(len, drawn)) > 28 else 2)
    return [Plot(key, key.replace("_", "-"), f"AUC by {axis}", "; ".join(words) + ".", figure)]


def _reliability(rows: Sequence[Json], order: Sequence[str]) -> list[Plot]:
    """Accuracy against confidence before and after the temperature, one panel a system."""
    settings = _settings(rows, order)
    if not settings:
        return []
    # The setting of the most people's own baseline without context: the one the device runs in.
    setting = max(settings, key=lambda one: (_people_and_baseline(one), -one["context_s"]))
    shown = [row for row in rows if row["setting"] == setting and row["system"] in order]
    shown.sort(key=lambda row: order.index(row["system"]))
    high = (len(shown) + 1) // 2
    figure, grid = new_figure(0.8 + 2.3 * high, high, 2, sharex=True, sharey=True)
    words = []
    lowest = min(
        point["confidence"] for row in shown for point in (*row["points_before"], *row["points_after"])
    )
    for axes, row in zip(grid.flat, shown, strict=False):
        axes.plot((lowest, 1), (lowest, 1), color=FAINT, linewidth=0.8, linestyle=":")
        for number, (key, name) in enumerate((("points_before", "before"), ("points_after", "temperature"))):
            points = row[key]
            axes.errorbar(
                [point["confidence"] for point in points],
                [point["accuracy"]["value"] for point in points],
                yerr=list(zip(*(limits(point["accuracy"]) for point in points), strict=True)),
                color=PALETTE[1 - number],
                marker=MARKERS[1 - number],
                linestyle=LINES[1 - number],
                markersize=4,
                linewidth=1.2,
                elinewidth=0.7,
                label={"before": "before", "temperature": "with a temperature from the other people"}[name]
                if row is shown[0]
                else None,
            )
        axes.set_title(wrapped(row["system"], 34))
        axes.grid(color=FAINT, alpha=0.2, linewidth=0.6)
        words.append(
            f"{row['system']}: expected calibration error {_value(row['before'])} before, "
            f"{_value(row['after'])} after"
        )
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    figure.supxlabel("confidence (dotted: as it should be)", fontsize=9)
    figure.supylabel("share of right answers", fontsize=9)
    figure.legend(loc="outside upper left", ncols=2)
    title = f"Reliability, {setting_name(setting)}"
    return [Plot("calibration", "reliability", title, "; ".join(words) + ".", figure)]


def _risk(rows: Sequence[Json], order: Sequence[str]) -> list[Plot]:
    """Share of errors against coverage, one panel a setting of single windows."""
    settings = [one for one in _settings(rows, order) if one["context_s"] == 0.0] or _settings(rows, order)
    if not settings:
        return []
    figure, grid = new_figure(0.9 + 2.4 * len(settings), len(settings), sharex=True, sharey=True)
    words = []
    drawn: list[str] = []
    for axes, setting in zip(grid[:, 0], settings, strict=True):
        for row in (one for one in rows if one["setting"] == setting and one["system"] in order):
            place = order.index(row["system"])
            axes.plot(
                [100 * one["coverage"] for one in row["risk"]],
                [100 * one["value"] for one in row["risk"]],
                color=PALETTE[place],
                linestyle=LINES[place],
                marker=MARKERS[place],
                markevery=3,
                markersize=4.5,
                linewidth=1.4,
                label=None if row["system"] in drawn else row["system"],
            )
            drawn.append(row["system"])
            words.append(
                f"{setting_name(setting)}: {row['system']} area under the curve {_value(row['aurc'])}"
            )
        axes.set_title(setting_name(setting))
        axes.set_ylabel("errors, %")
        axes.set_ylim(bottom=0.0)
        axes.grid(color=FAINT, alpha=0.25, linewidth=0.6)
    grid[-1, 0].set_xlabel("windows answered, most confident first, %")
    figure.legend(loc="outside upper left", ncols=1 if max(map(len, drawn)) > 28 else 2)
    return [Plot("coverage", "risk-coverage", "Errors against coverage", "; ".join(words) + ".", figure)]


def _value(one: Json) -> str:
    """The value of an interval."""
    return wording.number(one["value"])


def _settings(rows: Sequence[Json], order: Sequence[str]) -> list[Json]:
    """The settings in which any of the shown systems has a row."""
    out: list[Json] = []
    for row in rows:
        if row["system"] in order and row["setting"] not in out:
            out.append(row["setting"])
    return out


def _slug(text: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
