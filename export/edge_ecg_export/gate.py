"""The gate: a model that decides differently after export is not shipped, and the layer at fault is named.

Every exported encoder is run in its own engine on windows of people whom calibration did not see, and
compared with PyTorch. What counts is what a user would notice: decisions that flip, macro-F1 and AUC lost, by
the head for everyone and, where people have a baseline, by the head for known people. Every window decides
for itself here; a model that averages over a context flips less. Cosine and signal-to-noise ratio of the
embeddings catch damage that the shipped heads happen not to look at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, roc_auc_score

from edge_ecg.errors import GateError

from .deciders import Decider
from .fidelity import LayerFidelity

Float32Array = NDArray[np.float32]
Labels = NDArray[np.int64]

MAX_FLIPS = 0.01
MAX_CHANGES = 0.05
MAX_MACRO_F1_LOSS = 0.01
MAX_AUC_LOSS = 0.005


@dataclass(frozen=True, slots=True)
class CosineLimits:
    """The lowest admissible cosine between an engine's embeddings and PyTorch's: mean, and 1st percentile.

    Float files must reproduce PyTorch up to the order of sums. Eight-bit ones may not turn an embedding by
    more than 8 degrees (cosine 0.99) on average; single windows whose R peaks lie beyond the calibrated range
    saturate, which costs more and is allowed to one in a hundred.
    """

    mean: float
    p1: float


# A cosine hardly sees a wrong scale; so what differs between windows must stand out from the error, too.
# Eight bits leave 15 to 20 dB, a layer's scale that is a third off less than 9.
MIN_SNR_DB = {"fp32": 60.0, "int8": 10.0}

COSINES = {"fp32": CosineLimits(0.999999, 0.99999), "int8": CosineLimits(0.99, 0.9)}


@dataclass(frozen=True, slots=True)
class EngineResult:
    """One engine against PyTorch.

    Attributes
    ----------
    engine:
        Its name in the table of engines.
    cosine_mean, cosine_p1:
        Of embeddings with PyTorch's: mean and 1st percentile.
    snr_db:
        Variance of PyTorch's embeddings between windows over the mean square of the error.
    flips:
        By task: share of windows to which both give a decision, but not the same.
    changes:
        By task: share of windows to which one gives a decision and the other withholds it.
    forced_flips:
        By task: share of windows that would flip if nothing was ever withheld. For information.
    macro_f1_loss:
        By task, in points of 1, if nothing was ever withheld.
    auc:
        By task: area under the ROC curve, the mean over classes of one against the rest.
    auc_loss:
        By task: PyTorch's minus that.
    """

    engine: str
    cosine_mean: float
    cosine_p1: float
    snr_db: float
    flips: Mapping[str, float]
    changes: Mapping[str, float]
    forced_flips: Mapping[str, float]
    macro_f1_loss: Mapping[str, float]
    auc: Mapping[str, float] = field(default_factory=dict)
    auc_loss: Mapping[str, float] = field(default_factory=dict)

    def failures(self) -> list[str]:
        """Sentences on what is beyond the limits; none when the engine passes."""
        precision = self.engine.rpartition("-")[2]
        limits, least_db = COSINES[precision], MIN_SNR_DB[precision]
        found = []
        if not self.cosine_mean >= limits.mean:
            found.append(
                f"the mean cosine of its embeddings is {self.cosine_mean:.6f} (at least {limits.mean})"
            )
        if not self.cosine_p1 >= limits.p1:
            found.append(f"one embedding in a hundred has a cosine below {self.cosine_p1:.4f} ({limits.p1})")
        if not self.snr_db >= least_db:
            found.append(
                f"its embeddings lie {self.snr_db:.1f} dB above their error (at least {least_db:.0f})"
            )
        for task, share in self.flips.items():
            if share > MAX_FLIPS:
                found.append(f"{share:.2%} of its {task} decisions flip (at most {MAX_FLIPS:.0%})")
        for task, share in self.changes.items():
            if share > MAX_CHANGES:
                found.append(f"{share:.2%} of its {task} decisions come or go (at most {MAX_CHANGES:.0%})")
        for task, loss in self.macro_f1_loss.items():
            if loss > MAX_MACRO_F1_LOSS:
                found.append(f"it loses {100 * loss:.1f} points of macro-F1 on {task} (at most 1)")
        for task, loss in self.auc_loss.items():
            if loss > MAX_AUC_LOSS:
                found.append(f"it loses {100 * loss:.2f} points of AUC on {task} (at most 0.5)")
        return [f"{self.engine}: {text}" for text in found]


@dataclass(frozen=True, slots=True)
class GateReport:
    """What the gate saw; ``layers`` are those of the int8 network, in order."""

    windows: int
    people: int
    engines: Sequence[EngineResult]
    layers: Sequence[LayerFidelity]

    @property
    def failures(self) -> list[str]:
        """All that is beyond the limits."""
        return [text for engine in self.engines for text in engine.failures()]

    @property
    def weakest_layer(self) -> LayerFidelity:
        """The layer that adds most noise for its input."""
        return min(self.layers, key=lambda layer: layer.own_snr_db)

    def check(self) -> None:
        """Let the model pass.

        Raises
        ------
        GateError
            When it must not be shipped; the message names the layer that adds most noise.
        """
        failures = self.failures
        if not failures:
            return
        raise GateError(
            f"The exported model does not decide as PyTorch does: {'; '.join(failures)}.",
            why=self._blame(),
            remedy="Calibrate with more windows (--calibration-windows), or train the head with a "
            "rounding_penalty (docs/export.md).",
        )

    def _blame(self) -> str:
        if not self.layers:
            return ""
        weakest = self.weakest_layer
        others = [layer.own_snr_db for layer in self.layers if layer is not weakest]
        return (
            f"Of the int8 layers, {weakest.name} loses most: its rounding lies {weakest.own_snr_db:.1f} dB "
            f"below its own output, that of the others {min(others):.1f} to {max(others):.1f} dB."
        )

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values."""
        return {
            "windows": self.windows,
            "people": self.people,
            "engines": {
                one.engine: {
                    "cosine_mean": round(one.cosine_mean, 7),
                    "cosine_p1": round(one.cosine_p1, 6),
                    "snr_db": round(one.snr_db, 2),
                    "flips": _rounded(one.flips),
                    "changes": _rounded(one.changes),
                    "forced_flips": _rounded(one.forced_flips),
                    "macro_f1_loss": _rounded(one.macro_f1_loss),
                    "auc": _rounded(one.auc),
                    "auc_loss": _rounded(one.auc_loss),
                }
                for one in self.engines
            },
            "layers": {
                layer.name: {
                    "snr_db": round(layer.snr_db, 1),
                    "own_snr_db": round(layer.own_snr_db, 1),
                }
                for layer in self.layers
            },
        }


def compare(
    engine: str,
    embeddings: Float32Array,
    reference: Float32Array,
    heads: Mapping[str, Decider],
    labels: Mapping[str, Labels],
    min_confidence: float = 0.5,
) -> EngineResult:
    """Compare an engine's embeddings (n, d) with PyTorch's.

    Parameters
    ----------
    engine:
        Its name in the table of engines.
    embeddings, reference:
        (n, d), the engine's and PyTorch's.
    heads, labels:
        By task: who decides, and the labels of the m rows that it decides on, -1 where a window has none.
    min_confidence:
        Below it a decision is withheld.
    """
    lengths = [np.maximum(np.linalg.norm(each, axis=1), 1e-12) for each in (embeddings, reference)]
    cosines = (embeddings.astype(np.float64) * reference).sum(axis=1) / (lengths[0] * lengths[1])
    flips, changes, forced, losses, aucs, auc_losses = {}, {}, {}, {}, {}, {}
    for task, head in heads.items():
        ours, theirs = head.probabilities(embeddings), head.probabilities(reference)
        said, exact = ours.argmax(axis=1), theirs.argmax(axis=1)
        given, wanted = ours.max(axis=1) >= min_confidence, theirs.max(axis=1) >= min_confidence
        flips[task] = float(np.mean(given & wanted & (said != exact)))
        changes[task] = float(np.mean(given != wanted))
        forced[task] = float(np.mean(said != exact))
        known = labels[task] >= 0
        if known.any():
            truth = labels[task][known]
            score, before = (f1_score(truth, each[known], average="macro") for each in (said, exact))
            losses[task] = max(0.0, float(before - score))
            if len(np.unique(truth)) > 1:
                aucs[task], exact_auc = (_auc(truth, each[known]) for each in (ours, theirs))
                auc_losses[task] = max(0.0, exact_auc - aucs[task])
    return EngineResult(
        engine,
        float(cosines.mean()),
        float(np.quantile(cosines, 0.01)),
        _snr_db(embeddings.astype(np.float64), reference.astype(np.float64)),
        flips,
        changes,
        forced,
        losses,
        aucs,
        auc_losses,
    )


def _auc(truth: Labels, probabilities: Float32Array) -> float:
    """Mean over the classes that occur of the area under the curve of one against the rest."""
    each = [roc_auc_score(truth == one, probabilities[:, one]) for one in np.unique(truth)]
    return float(np.mean(each))


def _rounded(shares: Mapping[str, float]) -> dict[str, float]:
    return {task: round(value, 5) for task, value in shares.items()}


def _snr_db(embeddings: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    signal, noise = reference.var(axis=0).sum(), ((embeddings - reference) ** 2).mean(axis=0).sum()
    return float(10.0 * np.log10(max(signal, 1e-30) / max(noise, 1e-30)))
