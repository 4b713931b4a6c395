"""Whole networks trained with labels: fine-tuned from a pretrained encoder, or the twin from random weights.

A network has no features to subtract a baseline from before it is trained. So with a personal baseline a
window's score is by how much its logits exceed the median of the person's own at rest, and logistic
regression on the training people turns that into probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from edge_ecg.errors import UsageError

from ..baselines import LogisticModel
from ..device import Machine, evaluation_machine
from ..embeddings import EncoderName, embed, trunk_of
from ..evaluation.baseline import PersonalBaseline
from ..evaluation.data import Rows, TaskData
from ..networks import Trunk
from ..recipe import make
from ..supervised import SupervisedConfig, SupervisedTrainer, fit_supervised
from ..transformer.finetune import FinetuneTrainer
from .base import FloatArray, scored_rows, training_rows

EPOCHS = 5


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """The trunk of Sarkar and Etemad and a head, trained together.

    Attributes
    ----------
    encoder:
        The pretrained encoder to start from; None starts from random weights.
    training:
        How; its seed is replaced by the evaluation's, and its trunk by the encoder's if there is one.

    """

    encoder: EncoderName | None = None
    training: SupervisedConfig = field(default_factory=lambda: SupervisedConfig(epochs=EPOCHS))

    folds_together: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """As printed."""
        return "supervised from random weights" if self.encoder is None else "encoder fine-tuned end to end"

    def config(self) -> dict[str, Any]:
        """Plain values; of the encoder not where it lies, for whoever files results knows its hash."""
        training = {**asdict(self.training), "seed": None}
        return {"kind": "end-to-end", "pretrained": self.encoder is not None, "training": training}

    def predict(
        self, data: TaskData, train: Rows, test: Rows, baseline: PersonalBaseline | None, seed: int
    ) -> FloatArray:
        """See :meth:`.base.System.predict`."""
        training, tested = training_rows(data, train, baseline), scored_rows(test, baseline)
        machine = evaluation_machine()
        trainer = self._fit(data, training, seed, machine)
        return trained_probabilities(trainer, data, training, tested, baseline, machine)

    def _fit(self, data: TaskData, rows: Rows, seed: int, machine: Machine) -> SupervisedTrainer:
        config = replace(self.training, seed=seed, holdout=0.0)
        init = None if self.encoder is None else trunk_of(self.encoder)
        if init is not None:
            if not isinstance(init, Trunk):
                raise UsageError(
                    "This encoder is a Transformer.", remedy="Fine-tune it with the system transformer."
                )
            config = replace(config, trunk=init.shape)
        return fit_supervised(data.windows, data.labels, rows, len(data.names), config, machine, init)


def trained_probabilities(
    trainer: SupervisedTrainer | FinetuneTrainer,
    data: TaskData,
    training: Rows,
    tested: Rows,
    baseline: PersonalBaseline | None,
    machine: Machine,
) -> FloatArray:
    """Return probabilities (len(tested), classes); with a baseline, of the logits above the person's own."""
    if baseline is None:
        return np.asarray(trainer.probabilities(data.windows[tested]), np.float64)
    shown = np.union1d(training, tested)
    theirs = np.isin(data.subject, data.subject[shown])
    rows = np.union1d(shown, np.flatnonzero(baseline.baseline & theirs))
    head = trainer.network.numpy_head()
    logits = head.logits(embed(trainer.network.trunk, data.windows[rows], machine))
    everywhere = np.full((len(data), logits.shape[1]), np.nan)
    everywhere[rows] = logits
    above = baseline.apply(everywhere)
    model = LogisticModel(above[training], data.labels[training], len(data.names))
    return model.probabilities(above[tested])


def from_table(table: Mapping[str, Any]) -> EndToEnd:
    """Make one from ``encoder`` (or none) and ``training``, fields of :class:`SupervisedConfig`."""
    entries = dict(table)
    encoder = entries.pop("encoder", None)
    plain = SupervisedConfig(epochs=EPOCHS)
    training = make(SupervisedConfig, entries.pop("training", {}), "end-to-end: training", plain)
    return make(EndToEnd, entries, "end-to-end", EndToEnd(encoder, training))
