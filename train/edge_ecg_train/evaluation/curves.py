"""A metric against something that is varied: labels, seconds of personal baseline, seconds of context.

All points of one curve are computed on the windows that every point has: a longer baseline leaves fewer
windows to score, and other windows are another test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..metrics import DRAWS, Interval
from .arms import Arm, Setting, align
from .comparison import Comparison, compare, measure

Axis = Literal["label_fraction", "baseline_s", "context_s"]


@dataclass(frozen=True)
class Curve:
    """One system along one axis, everything else in ``setting`` being equal.

    Attributes
    ----------
    at:
        Values of the axis, ascending.
    values:
        The metrics at each, with intervals over people.
    gains:
        Each point minus the first (the last for labels: what is lost by having fewer), paired by people.
    people, windows:
        Of the rows that all points share.

    """

    system: str
    axis: Axis
    setting: Setting
    at: tuple[float, ...]
    values: tuple[dict[str, Interval], ...]
    gains: tuple[Comparison, ...]
    people: int
    windows: int


@dataclass(frozen=True)
class FractionDifference:
    """Two systems at the same share of labels; ``comparison`` is ours minus theirs."""

    ours: str
    theirs: str
    setting: Setting
    label_fraction: float
    comparison: Comparison


def curves_along(axis: Axis, arms: Sequence[Arm], *, draws: int = DRAWS, seed: int = 0) -> list[Curve]:
    """The curves of all systems that were run with two or more values of ``axis``, all else equal.

    Curves along the baseline and the context are those of all labels.
    """
    families: dict[tuple[str, Setting], list[Arm]] = {}
    for arm in arms:
        if axis != "label_fraction" and arm.setting.label_fraction != 1.0:
            continue
        families.setdefault((arm.system, _without(arm.setting, axis)), []).append(arm)
    out = []
    for (system, setting), family in families.items():
        if len(family) < 2:
            continue
        members = align(sorted(family, key=lambda arm: float(getattr(arm.setting, axis))))
        anchor = members[-1] if axis == "label_fraction" else members[0]
        out.append(
            Curve(
                system,
                axis,
                setting,
                tuple(float(getattr(arm.setting, axis)) for arm in members),
                tuple(measure(arm, draws=draws, seed=seed) for arm in members),
                tuple(compare(arm, anchor, draws=draws, seed=seed) for arm in members),
                len(members[0].people),
                members[0].windows,
            )
        )
    return out


def _without(setting: Setting, axis: Axis) -> Setting:
    neutral = {"label_fraction": 1.0, "baseline_s": 0.0, "context_s": 0.0}
    return setting.moved(axis, neutral[axis])


def by_label_fraction(
    ours: str, theirs: str, arms: Sequence[Arm], *, draws: int = DRAWS, seed: int = 0
) -> list[FractionDifference]:
    """Two systems compared at every share of labels that both were trained with.

    Settings in which both have nothing but all labels are left out.
    """
    found = {(arm.system, arm.setting): arm for arm in arms}
    out = [
        FractionDifference(
            ours,
            theirs,
            arm.setting,
            arm.setting.label_fraction,
            compare(arm, found[theirs, arm.setting], draws=draws, seed=seed),
        )
        for (system, setting), arm in sorted(found.items(), key=lambda one: one[0][1])
        if system == ours and (theirs, setting) in found
    ]
    kept = {_without(one.setting, "label_fraction") for one in out if one.label_fraction < 1.0}
    return [one for one in out if _without(one.setting, "label_fraction") in kept]
