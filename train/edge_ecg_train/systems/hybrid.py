"""The hybrid: a frozen encoder's embedding and the intervals between beats, in one linear head.

How the two are joined says :mod:`edge_ecg_train.fusion`. With a personal baseline the head sees by how much
an embedding differs from the person's own at rest, and the changes of the intervals in the person's own
measure (:mod:`edge_ecg.heads.personal`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge_ecg.errors import UsageError
from edge_ecg.heads.mlp import MlpHead

from ..embeddings import EncoderName, task_embeddings
from ..evaluation.baseline import PersonalBaseline
from ..evaluation.data import Rows, TaskData
from ..fusion import fit_hybrid
from ..heads import PRESETS, HeadConfig
from ..recipe import make
from .base import FeatureSystem, FloatArray, Groups, Labels, training_rows
from .encoder import head_name, take_encoder, take_head
from .intervals import check_intervals, check_personal, intervals_of, personal_intervals_of


@dataclass(frozen=True, slots=True)
class Hybrid(FeatureSystem):
    """An encoder's embedding and interval features.

    Attributes
    ----------
    encoder:
        As :func:`edge_ecg_train.embeddings.task_embeddings` takes it.
    head:
        Of kind "hybrid".

    """

    encoder: EncoderName
    head: HeadConfig = PRESETS["hybrid"]

    @property
    def name(self) -> str:
        """As printed."""
        return f"hybrid: frozen encoder + intervals, {self.head.fusion} fusion, {head_name(self.head)}"

    def config(self) -> dict[str, Any]:
        """Plain values; of the encoder not where it lies, for whoever files results knows its hash."""
        return {"kind": "hybrid", "head": {**asdict(self.head), "seed": None}}

    def inputs(self, data: TaskData, baseline: PersonalBaseline | None) -> FloatArray:
        """Embeddings, then interval features, (n, d + k)."""
        embeddings = np.asarray(task_embeddings(data, self.encoder), np.float64)
        if baseline is None:
            return np.hstack([embeddings, intervals_of(data, self.head.intervals)])
        features = personal_intervals_of(data, baseline, self.head.personal)
        return np.hstack([baseline.apply(embeddings), features])

    def fit(
        self,
        features: FloatArray,
        labels: Labels,
        groups: Groups,
        classes: int,
        seed: int,
        personal: bool,
    ) -> MlpHead:
        """Fit; nothing is drawn, so the seed is not used."""
        names = self.head.personal if personal else self.head.intervals
        config = self.head if personal else self.head.plain()
        return fit_hybrid(features, labels, groups, features.shape[1] - len(names), classes, config)

    def as_head(self, data: TaskData, train: Rows, baseline: PersonalBaseline | None = None) -> MlpHead:
        """Fit on the training rows; return the one linear head on [embedding, intervals] of a device."""
        rows = training_rows(data, train, baseline)
        return self.fit(
            self.inputs(data, baseline)[rows],
            data.labels[rows],
            data.subject[rows],
            len(data.names),
            0,
            baseline is not None,
        )


def from_table(table: Mapping[str, Any]) -> Hybrid:
    """Make one from ``encoder`` and ``head``, fields of :class:`HeadConfig`.

    Raises
    ------
    UsageError
        When the head is of another kind: it would not be one linear head any more.

    """
    entries = dict(table)
    encoder = take_encoder(entries, "hybrid")
    head = take_head(entries, "hybrid: head", "hybrid")
    check_intervals(head.intervals)
    check_personal(head.personal)
    if head.kind != "hybrid":
        raise UsageError(
            f"A hybrid has no head of kind {head.kind!r}.",
            remedy="Leave head: kind out, or take the system encoder.",
        )
    return make(Hybrid, entries, "hybrid", Hybrid(encoder, head))
