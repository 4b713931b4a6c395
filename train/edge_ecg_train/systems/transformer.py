"""The Transformer as a system: fine-tuned from masked pretraining, or its twin from random weights.

Frozen, a Transformer is an encoder like any other: ``{"kind": "encoder", "encoder": {"run": PATH}}``.
With a personal baseline its logits are compared with the person's own at rest, as in :mod:`.endtoend`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np

from edge_ecg.errors import UsageError

from ..device import evaluation_machine, flushed_denormals
from ..embeddings import EncoderName, trunk_of
from ..evaluation.baseline import PersonalBaseline
from ..evaluation.data import Rows, TaskData
from ..recipe import make
from ..transformer.encoder_file import encoder_state
from ..transformer.finetune import FinetuneConfig, FinetuneTrainer, check_finetune
from ..transformer.network import LITE, PRESETS, TransformerConfig, TransformerNetwork
from .base import FloatArray, scored_rows, training_rows
from .endtoend import trained_probabilities

# The paper's 100 epochs at 1e-4 are for ten times the windows and a GPU; these fit a two-core machine.
QUICK = FinetuneConfig(
    epochs=6, batch_windows=32, learning_rate=3e-4, lr_every_epochs=3, hidden=(64,),
    class_weight="balanced", pooling="mean",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FinetunedTransformer:
    """A Transformer and a head, trained together on the fold's training rows.

    Attributes
    ----------
    encoder:
        The pretrained Transformer to start from; None starts from random weights.
    network:
        The form of the network where there is no encoder.
    training:
        How.

    """

    encoder: EncoderName | None = None
    network: TransformerConfig = LITE
    training: FinetuneConfig = field(default_factory=lambda: QUICK)

    folds_together: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """As printed."""
        return "transformer from random weights" if self.encoder is None else "transformer fine-tuned"

    def config(self) -> dict[str, Any]:
        """Plain values; of the encoder not where it lies, for whoever files results knows its hash."""
        return {
            "kind": "transformer",
            "pretrained": self.encoder is not None,
            "network": asdict(self.network) if self.encoder is None else None,
            "training": asdict(self.training),
        }

    def predict(
        self, data: TaskData, train: Rows, test: Rows, baseline: PersonalBaseline | None, seed: int
    ) -> FloatArray:
        """See :meth:`.base.System.predict`."""
        training, tested = training_rows(data, train, baseline), scored_rows(test, baseline)
        machine = evaluation_machine()
        network, state = self.network, None
        if self.encoder is not None:
            start = trunk_of(self.encoder)
            if not isinstance(start, TransformerNetwork):
                raise UsageError(
                    "This encoder is no Transformer.", remedy="Fine-tune it with the system end-to-end."
                )
            network, state = start.config, encoder_state(start)
        check_finetune(self.training, data.labels[training])
        trainer = FinetuneTrainer(
            data.windows, np.asarray(data.labels, np.int64), training, training[:0], len(data.names),
            self.training, network, state, machine, seed,
        )  # fmt: skip
        with flushed_denormals():
            while trainer.step < trainer.steps:
                trainer.advance()
        return trained_probabilities(trainer, data, training, tested, baseline, machine)


def from_table(table: Mapping[str, Any]) -> FinetunedTransformer:
    """Make one from ``encoder`` (or none), ``network`` ("lite", "full") and ``training`` (FinetuneConfig).

    Raises
    ------
    UsageError
        When something of it makes no sense.

    """
    entries = dict(table)
    encoder, network = entries.pop("encoder", None), entries.pop("network", "lite")
    if not isinstance(network, str) or network not in PRESETS:
        raise UsageError(f"There is no Transformer {network!r}.", remedy=f"Use one of {', '.join(PRESETS)}.")
    training = make(FinetuneConfig, entries.pop("training", {}), "transformer: training", QUICK)
    plain = FinetunedTransformer(encoder, PRESETS[network], training)
    return make(FinetunedTransformer, entries, "transformer", plain)
