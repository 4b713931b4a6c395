"""Everybody's course over the recording: what a system said, window by window, beside what was true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from .drawing import FAINT, PALETTE, STYLE, Plot
from .plots import shown_systems
from .predictions import Predictions
from .wording import setting_name

_COLUMNS = 4
_AT_MOST = 40
_GAP_S = 30.0


def course_plot(card: Mapping[str, Any], predictions: Sequence[Predictions]) -> Plot | None:
    """One small panel a person, for the first system that the card highlights; None when it cannot be drawn.

    Of two classes the probability of the second is shown; of more, that of the true class. Sessions stand one
    behind the other, with a gap.
    """
    one = _chosen(card, predictions)
    if one is None:
        return None
    people = [str(name) for name in np.unique(one.subject)][:_AT_MOST]
    rows = -(-len(people) // _COLUMNS)
    with mpl.rc_context(STYLE | {"font.size": 7.5, "axes.titlesize": 7.5}):
        height_in = 0.6 + 0.85 * rows
        # Placed by hand: matplotlib's own layout takes seconds for so many panels.
        figure = Figure(figsize=(5.6, height_in))
        figure.subplots_adjust(
            left=0.11, right=0.99, bottom=0.45 / height_in, top=1.0 - 0.2 / height_in, hspace=0.45, wspace=0.1
        )
        grid = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
        for axes, person in zip(grid.flat, people, strict=False):
            _course(axes, one, person)
        for axes in grid.flat[len(people) :]:
            axes.set_axis_off()
        last = len(people) % _COLUMNS
        if last and rows > 1:  # nobody stands below the others
            for axes in grid[-2, last:]:
                axes.tick_params(labelbottom=True)
        two = len(one.names) == 2
        shown = f"probability of {one.names[1]}" if two else "probability of the true class"
        figure.supylabel(shown, fontsize=8, x=0.01)
        figure.supxlabel("minutes", fontsize=8, y=0.05 / height_in)
    setting = {
        "protocol": one.protocol,
        "baseline_s": one.baseline_s,
        "context_s": one.context_s,
        "label_fraction": one.label_fraction,
    }
    shape = f"triangles: windows of {one.names[1]}; " if two else ""
    title = f"{one.system}, {setting_name(setting)}: {shown}, person by person ({shape}dotted: one half)"
    right = one.probabilities.argmax(axis=1) == one.labels
    words = "; ".join(
        f"{person}: {int(right[one.subject == person].sum())} of {int((one.subject == person).sum())} "
        "windows right"
        for person in people
    )
    return Plot("people", "courses", title, f"{words}.", figure)


def _chosen(card: Mapping[str, Any], predictions: Sequence[Predictions]) -> Predictions | None:
    """The longest usual baseline of the card, without context, of the system that has the highest AUC."""
    systems = shown_systems(card)
    settings = [one for one in card["settings"] if one["honest"] and one["context_s"] == 0.0]
    if not settings:
        return None
    first = settings[0]["protocol"]
    setting = max((one for one in settings if one["protocol"] == first), key=lambda one: one["baseline_s"])
    auc = {one["system"]: one["metrics"]["auc"]["value"] or 0.0 for one in setting["systems"]}
    names = sorted((name for name in systems if name in auc), key=lambda name: -auc[name])
    found = [
        one
        for one in predictions
        if one.system in names[:1]
        and (one.protocol, one.baseline_s, one.context_s, one.label_fraction)
        == (first, setting["baseline_s"], 0.0, 1.0)
    ]
    return min(found, key=lambda one: one.seed, default=None)


def _course(axes: Any, one: Predictions, person: str) -> None:
    axes.axhline(0.5, color=FAINT, linewidth=0.6, linestyle=":")
    offset = 0.0
    for session in dict.fromkeys(one.session[one.subject == person].tolist()):
        rows = np.flatnonzero((one.subject == person) & (one.session == session))
        rows = rows[np.argsort(one.start_s[rows], kind="stable")]
        minutes = (one.start_s[rows] - one.start_s[rows[0]] + offset) / 60.0
        labels = one.labels[rows]
        column = np.ones(len(rows), dtype=np.int64) if len(one.names) == 2 else labels
        values = one.probabilities[rows, column]
        for label in np.unique(labels):
            here = labels == label
            axes.plot(
                minutes[here],
                values[here],
                color=PALETTE[int(label) % len(PALETTE)],
                marker="^" if label else ".",
                markersize=2.5,
                linewidth=0.7,
            )
        offset = 60.0 * float(minutes[-1]) + _GAP_S
    axes.set_title(person.rpartition("/")[2], pad=2)
    axes.set_ylim(-0.05, 1.05)
    axes.set_yticks((0, 1))
