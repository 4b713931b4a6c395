"""The parts of the evaluation card, computed from the arms: tables, differences, curves, as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from .arms import RANDOM_WINDOWS, Arm, Setting
from .calibration import CalibrationResult, ReliabilityPoint, calibration_of
from .comparison import Comparison, compare, holm, measure, people_of
from .coverage import coverage_of
from .curves import Axis, Curve, by_label_fraction, curves_along

_AXES: tuple[Axis, ...] = ("label_fraction", "baseline_s", "context_s")
_USUAL_BASELINE_S, _USUAL_CONTEXT_S = 60.0, 30.0
_PROTOCOL_ORDER = ("leave-one-subject-out", "grouped", "transfer")


class Sections:
    """Computes the card's sections from the same arms, draws and seed."""

    def __init__(
        self,
        arms: list[Arm],
        command: str,
        draws: int,
        seed: int,
        reference: str | None,
        pairs: tuple[tuple[str, str], ...],
    ) -> None:
        self.arms, self.command, self.draws, self.seed = arms, command, draws, seed
        self.reference, self.pairs = reference, pairs
        self.found = {(arm.system, arm.setting): arm for arm in arms}
        self.whole = [arm for arm in arms if arm.setting.label_fraction == 1.0]
        self.honest = [arm for arm in arms if arm.setting.honest]

    def all(self) -> dict[str, Any]:
        """Every part of the card that is a number or a table of them."""
        curves = {axis: self._curves(axis) for axis in _AXES}
        shown = self._shown([curve for axis in ("baseline_s", "context_s") for curve in curves[axis]])
        honest = [arm for arm in self.whole if arm.setting.honest and arm.setting in shown]
        return {
            "settings": [self._setting(one) for one in _ordered(shown)],
            "random_windows": self._table(self._flattery()),
            "label_efficiency": {
                **self._table([self._curve(one) for one in curves["label_fraction"]]),
                "differences": [
                    self._comparison(one.comparison)
                    for ours, theirs in self.pairs
                    for one in by_label_fraction(ours, theirs, self.honest, draws=self.draws, seed=self.seed)
                ],
            },
            "baseline": self._table([self._curve(one) for one in curves["baseline_s"]]),
            "context": self._table([self._curve(one) for one in curves["context_s"]]),
            "calibration": self._table([self._calibration(arm) for arm in honest]),
            "coverage": self._table([self._coverage(arm) for arm in honest]),
            "looks": {"results": len(self.honest), "systems": len({arm.system for arm in self.honest})},
        }

    def _shown(self, curves: list[Curve]) -> set[Setting]:
        """Settings that get tables of their own; points that only serve a curve stand in the curve."""
        main = Setting(
            "", self._usual("baseline_s", _USUAL_BASELINE_S), self._usual("context_s", _USUAL_CONTEXT_S)
        )
        drawn = {(curve.system, curve.setting.moved(curve.axis, at)) for curve in curves for at in curve.at}
        return {
            arm.setting
            for arm in self.whole
            if (
                arm.setting.baseline_s in (0.0, main.baseline_s)
                and arm.setting.context_s in (0.0, main.context_s)
            )
            or (arm.system, arm.setting) not in drawn
        }

    def _usual(self, axis: str, preferred: float) -> float:
        """The value, other than none, that most results have; of equals the one nearest ``preferred``."""
        values = Counter(float(getattr(arm.setting, axis)) for arm in self.honest)
        del values[0.0]
        return max(values, key=lambda one: (values[one], -abs(one - preferred)), default=0.0)

    def _table(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        return {"command": self.command, "rows": rows}

    def _setting(self, setting: Setting) -> dict[str, Any]:
        arms = [arm for arm in self.whole if arm.setting == setting]
        return {
            **asdict(setting),
            "honest": setting.honest,
            "command": self.command,
            "systems": [self._system(arm) for arm in arms],
            "differences": self._differences(setting, arms) if setting.honest else [],
        }

    def _system(self, arm: Arm) -> dict[str, Any]:
        measured = measure(arm, draws=self.draws, seed=self.seed)
        people = people_of(arm)
        return {
            "system": arm.system,
            "people": len(people),
            "windows": arm.windows,
            "seeds": list(arm.seeds),
            "chosen": _chosen(arm),
            "metrics": {name: one.to_json() for name, one in measured.items()},
            "seed_sd": _plain(arm.seed_sd("auc")),
            "spread": {name: _spread([getattr(one, name) for one in people]) for name in _SPREAD},
            "by_person": [
                {"person": one.name, "windows": one.windows, **{n: _plain(getattr(one, n)) for n in _SPREAD}}
                | {"majority_rate": _plain(one.majority_rate)}
                for one in people
            ],
            "below_majority": [
                {
                    "person": one.name,
                    "accuracy": _plain(one.accuracy),
                    "majority_rate": _plain(one.majority_rate),
                }
                for one in sorted(people, key=lambda one: one.accuracy - one.majority_rate)
                if one.accuracy < one.majority_rate
            ],
        }

    def _differences(self, setting: Setting, arms: list[Arm]) -> list[dict[str, Any]]:
        against = [(arm.system, self.reference) for arm in arms if arm.system != self.reference]
        wanted = [pair for pair in (*against, *self.pairs) if pair[1] is not None]
        rows = []
        for ours, theirs in dict.fromkeys(wanted):
            a, b = self.found.get((ours, setting)), self.found.get((str(theirs), setting))
            if a is not None and b is not None:
                rows.append(self._comparison(compare(a, b, draws=self.draws, seed=self.seed)))
        corrected = holm([_number(row["metrics"]["auc"]["p"]) for row in rows])
        for row, p in zip(rows, corrected, strict=True):
            row["metrics"]["auc"]["p_holm"] = _plain(p)
        return rows

    def _comparison(self, one: Comparison) -> dict[str, Any]:
        return {
            "system": one.ours.system,
            "against": one.theirs.system,
            "setting": asdict(one.ours.setting),
            "people": len(one.ours.people),
            "windows": one.ours.windows,
            "metrics": _differences(one),
            "people_test": {**asdict(one.test), "p": _plain(one.test.p)},
            "worse_for": [
                {"person": name, "difference": _plain(value)}
                for name, value in one.by_person.items()
                if value < 0.0
            ],
        }

    def _flattery(self) -> list[dict[str, Any]]:
        """Every system's random-window result beside its first honest one in the same setting."""
        rows = []
        for leaky in (arm for arm in self.whole if not arm.setting.honest):
            fair = [
                arm
                for arm in self.honest
                if arm.system == leaky.system
                and not arm.setting.protocol.startswith("transfer")
                and asdict(arm.setting) == asdict(leaky.setting) | {"protocol": arm.setting.protocol}
            ]
            if not fair:
                continue
            honest = min(fair, key=lambda arm: _rank(arm.setting))
            one = compare(leaky, honest, draws=self.draws, seed=self.seed)
            random, fair_auc = (
                measure(arm, draws=self.draws, seed=self.seed)["auc"].to_json()
                for arm in (one.ours, one.theirs)
            )
            rows.append(
                {
                    "system": leaky.system,
                    "honest_protocol": honest.setting.protocol,
                    "setting": asdict(leaky.setting),
                    "people": len(one.ours.people),
                    "windows": one.ours.windows,
                    "honest": fair_auc,
                    "random": random,
                    "difference": _differences(one)["auc"],
                }
            )
        return rows

    def _curves(self, axis: Axis) -> list[Curve]:
        return curves_along(axis, self.honest, draws=self.draws, seed=self.seed)

    def _curve(self, curve: Curve) -> dict[str, Any]:
        return {
            "system": curve.system,
            "axis": curve.axis,
            "setting": asdict(curve.setting),
            "people": curve.people,
            "windows": curve.windows,
            "points": [
                {
                    "at": at,
                    "metrics": {name: one.to_json() for name, one in values.items()},
                    "gain": _differences(gain),
                }
                for at, values, gain in zip(curve.at, curve.values, curve.gains, strict=True)
            ],
        }

    def _calibration(self, arm: Arm) -> dict[str, Any]:
        one: CalibrationResult = calibration_of(arm, draws=self.draws, seed=self.seed)
        return {
            **self._who(arm),
            "before": one.before.to_json(),
            "after": one.after.to_json(),
            "change": {**one.change.to_json(), "p": _plain(one.p)},
            "temperature": dict(zip(("median", "min", "max"), map(_plain, one.temperature), strict=True)),
            "points_before": [_point(point) for point in one.points_before],
            "points_after": [_point(point) for point in one.points_after],
        }

    def _coverage(self, arm: Arm) -> dict[str, Any]:
        one = coverage_of(arm, draws=self.draws, seed=self.seed)
        return {
            **self._who(arm),
            "aurc": one.aurc.to_json(),
            "risk": [{"coverage": at, **risk.to_json()} for at, risk in one.risk.items()],
        }

    def _who(self, arm: Arm) -> dict[str, Any]:
        return {
            "system": arm.system,
            "setting": asdict(arm.setting),
            "people": len(arm.people),
            "windows": arm.windows,
        }


def _chosen(arm: Arm) -> dict[str, int]:
    """How often a system chose what inside its folds, over all seeds; empty for those that do not choose."""
    told = (fold for run in arm.runs for fold in run.facts.values())
    return dict(Counter(str(fold["chosen"]) for fold in told if "chosen" in fold).most_common())


_SPREAD = ("auc", "accuracy", "balanced_accuracy")


def _differences(one: Comparison) -> dict[str, Any]:
    return {name: {**value.to_json(), "p": _plain(one.p[name])} for name, value in one.metrics.items()}


def _point(point: ReliabilityPoint) -> dict[str, Any]:
    return {
        "confidence": _plain(point.confidence),
        "accuracy": point.accuracy.to_json(),
        "windows": point.windows,
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    """Minimum, quartiles and maximum over people, and of how many the metric can be told."""
    told = np.array([one for one in values if np.isfinite(one)])
    names = ("min", "q25", "median", "q75", "max")
    if len(told) == 0:
        return {"people": 0, **dict.fromkeys(names)}
    quantiles = np.quantile(told, [0.0, 0.25, 0.5, 0.75, 1.0])
    return {"people": len(told), **{n: _plain(float(q)) for n, q in zip(names, quantiles, strict=True)}}


def _plain(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 4)


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _rank(setting: Setting) -> tuple[int, float, float, str]:
    rank = next((i for i, name in enumerate(_PROTOCOL_ORDER) if setting.protocol.startswith(name)), 9)
    rank = 99 if setting.protocol == RANDOM_WINDOWS else rank
    return (rank, setting.baseline_s, setting.context_s, setting.protocol)


def _ordered(settings: Iterable[Setting]) -> list[Setting]:
    return sorted(settings, key=_rank)
