"""What is gained by staying silent: the error rate among the most confident windows.

Coverage is the share of windows for which an answer is given, risk the share of wrong answers among them, and
AURC the mean risk over all coverages (Geifman et al., Bias-Reduced Uncertainty Estimation, ICLR 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..metrics import DRAWS, FloatArray, Interval, interval_of
from .arms import Arm
from .comparison import weights_for
from .predictions import Predictions

COVERAGES = tuple(round(0.05 * step, 2) for step in range(2, 21))
_VALUES_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class CoverageResult:
    """Selective prediction of one arm.

    Attributes
    ----------
    aurc:
        Area under the risk-coverage curve; lower is better.
    risk:
        At each of ``COVERAGES``, with intervals over people.

    """

    aurc: Interval
    risk: dict[float, Interval]


@dataclass(frozen=True)
class _Ordered:
    """One run, most confident windows first; windows of equal confidence are accepted together."""

    person: NDArray[np.intp]
    wrong: FloatArray
    ends: NDArray[np.intp]

    @classmethod
    def of(cls, run: Predictions, person: NDArray[np.intp]) -> _Ordered:
        confidence = run.probabilities.max(axis=1)
        order = np.argsort(-confidence, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(confidence[order])), len(order) - 1)
        wrong = (run.probabilities.argmax(axis=1) != run.labels).astype(np.float64)
        return cls(person[order], wrong[order], ends)

    def curves(self, weights: FloatArray) -> FloatArray:
        """AURC and the risks at ``COVERAGES`` for (draws, people) weights, (draws, 1 + coverages)."""
        block = max(1, _VALUES_AT_ONCE // len(self.wrong))
        return np.concatenate([self._block(weights[at : at + block]) for at in range(0, len(weights), block)])

    def _block(self, weights: FloatArray) -> FloatArray:
        of_window = weights[:, self.person]
        covered = np.cumsum(of_window, axis=1)[:, self.ends]
        wrong = np.cumsum(of_window * self.wrong, axis=1)[:, self.ends]
        # Steps that nobody drawn takes have weight 0, so that their risk (0/0 at the start) does not matter.
        risk = wrong / np.maximum(covered, 1.0)
        steps = np.diff(covered, axis=1, prepend=0.0)
        total = covered[:, -1:]
        out = [(risk * steps).sum(axis=1) / total[:, 0]]
        for coverage in COVERAGES:
            # The smallest step that answers at least so many; a hair below, for sums that are not exact.
            first = (covered >= coverage * total - 1e-9).argmax(axis=1)
            out.append(risk[np.arange(len(risk)), first])
        return np.stack(out, axis=1)


def coverage_of(arm: Arm, *, draws: int = DRAWS, seed: int = 0) -> CoverageResult:
    """Risk against coverage, confidence being the probability of the predicted class; means over seeds."""
    runs = [_Ordered.of(run, arm.person) for run in arm.runs]
    once = np.ones((1, len(arm.people)))
    weights = weights_for(arm, draws=draws, seed=seed)
    value = np.mean([one.curves(once) for one in runs], axis=0)[0]
    drawn = np.mean([one.curves(weights) for one in runs], axis=0)
    intervals = [interval_of(float(value[i]), drawn[:, i]) for i in range(len(value))]
    return CoverageResult(intervals[0], dict(zip(COVERAGES, intervals[1:], strict=True)))
