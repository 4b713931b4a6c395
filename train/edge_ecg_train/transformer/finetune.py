"""Fine-tuning: the whole network and a head on the CLS token, trained with labels.

Vazquez-Rodriguez et al.: CLS to 1024, to 512, to the classes; dropout 0.3; Adam at 1e-4, times 0.65 every
45 epochs; 100 epochs. From random weights instead of pretrained ones it is the supervised twin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_ecg.errors import DataError, UsageError
from edge_ecg.heads.mlp import MlpHead

from ..device import Machine, flushed_denormals
from ..embeddings import embed
from ..heads import class_loss, class_weights, dense_layers, layer_arrays
from ..sampling import Rows, batch_rows, step_seed
from .masked_trainer import decayed_kernels
from .network import PoolingName, TransformerConfig, TransformerNetwork
from .resume import refuse_other_run


@dataclass(frozen=True, slots=True)
class FinetuneConfig:
    """How to fine-tune. The defaults are the paper's; batch size and class weights are not known from it.

    Parameters
    ----------
    epochs, batch_windows:
        Passes over the training windows (fixed, nothing is stopped early), windows a step.
    learning_rate, lr_factor, lr_every_epochs:
        Adam's rate, and by what it is multiplied how often.
    weight_decay:
        ``weight_decay * w`` is added to the gradient of kernels.
    hidden, dropout:
        The head's hidden layers (ReLU) and the probability to drop one of their values.
    class_weight:
        "balanced": classes count equally, however many windows they have.
    pooling:
        What the head sees: "cls" as in the paper.

    """

    epochs: int = 100
    batch_windows: int = 64
    learning_rate: float = 1e-4
    lr_factor: float = 0.65
    lr_every_epochs: int = 45
    weight_decay: float = 1e-5
    hidden: tuple[int, ...] = (1024, 512)
    dropout: float = 0.3
    class_weight: Literal["balanced", "none"] = "none"
    pooling: PoolingName = "cls"


class FinetuneNetwork(nn.Module):
    """Encoder and head: windows (n, 2560) to logits (n, 1) for two classes, (n, classes) for more."""

    def __init__(self, network: TransformerConfig, config: FinetuneConfig, classes: int) -> None:
        super().__init__()
        self.trunk = TransformerNetwork(replace(network, pooling=config.pooling))
        outputs = 1 if classes == 2 else classes
        self.head = dense_layers(self.trunk.shape.embedding, config.hidden, outputs, config.dropout)

    def forward(self, windows: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.trunk(windows))
        return logits

    def numpy_head(self) -> MlpHead:
        """Return the head alone."""
        width = self.trunk.shape.embedding
        return MlpHead(np.zeros(width), np.ones(width), *layer_arrays(self.head))


class FinetuneTrainer:
    """One step of fine-tuning after another, and the state to go on from (see ``loop.train``)."""

    def __init__(
        self,
        windows: NDArray[np.float32],
        labels: NDArray[np.int64],
        training: Rows,
        held_out: Rows,
        classes: int,
        config: FinetuneConfig,
        network: TransformerConfig,
        init_state: Mapping[str, Tensor] | None,
        machine: Machine,
        seed: int,
    ) -> None:
        self.windows, self.labels, self.training, self.held_out = windows, labels, training, held_out
        self.config, self.machine, self.seed = config, machine, seed
        self.batch = min(config.batch_windows, len(training))
        self.steps_per_epoch = -(-len(training) // self.batch)
        self.steps = config.epochs * self.steps_per_epoch
        torch.manual_seed(seed)
        self.network = FinetuneNetwork(network, config, classes).to(machine.device)
        if init_state is not None:
            self.network.trunk.load_state_dict(dict(init_state))
        groups = decayed_kernels(self.network, config.weight_decay)
        self.optimiser = torch.optim.Adam(groups, lr=config.learning_rate, eps=1e-8, fused=True)
        self.weights = class_weights(labels[training], classes, config.class_weight).to(machine.device)
        self.step = 0
        self.seconds = 0.0
        self.history: list[dict[str, Any]] = []

    def rate(self, step: int) -> float:
        """Return a step's learning rate."""
        falls = step // self.steps_per_epoch // self.config.lr_every_epochs
        return self.config.learning_rate * self.config.lr_factor**falls

    def advance(self) -> float:
        """Make one step; return the batch's loss."""
        rows = batch_rows(self.training, self.step, self.batch, self.seed)
        torch.manual_seed(step_seed(self.seed, self.step))
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        total = 0.0
        size = self.network.trunk.config.windows_at_once(self.machine.micro_batch_signals)
        for part in (rows[first : first + size] for first in range(0, len(rows), size)):
            x = torch.from_numpy(np.asarray(self.windows[part], np.float32)).to(self.machine.device)
            y = torch.from_numpy(self.labels[part]).to(self.machine.device)
            with self.machine.autocast():
                logits = self.network(x)
            loss = class_loss(logits.float(), y, self.weights) * (len(part) / len(rows))
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        self.optimiser.step()
        self.step += 1
        return total

    def evaluate(self) -> dict[str, Any]:
        """Measure on the held-out people."""
        if not len(self.held_out):
            return {}
        said = self.probabilities(self.windows[self.held_out]).argmax(1)
        true = self.labels[self.held_out]
        recalls = [float((said[true == one] == one).mean()) for one in np.unique(true)]
        measured = {"step": self.step, "balanced_accuracy": round(float(np.mean(recalls)), 4)}
        self.history.append(measured)
        return measured

    def probabilities(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities (n, classes) of windows (n, 2560)."""
        return self.model().probabilities(windows)

    def model(self) -> FineTuned:
        """Return the encoder and the head as they are now."""
        return FineTuned(self.network.trunk, self.network.numpy_head(), self.machine)

    def state(self) -> dict[str, Any]:
        """Return all that ``restore`` needs, in tensors and plain values."""
        return {
            "config": self._settings(),
            "training": torch.from_numpy(self.training),
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Raises
        ------
        DataError
            If it belongs to another experiment.

        """
        refuse_other_run(state, self._settings(), self.training, {"epochs"})
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]

    def _settings(self) -> dict[str, Any]:
        return {**asdict(self.config), "network": asdict(self.network.trunk.config), "seed": self.seed}


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned encoder with its head."""

    encoder: TransformerNetwork
    head: MlpHead
    machine: Machine

    def probabilities(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities (n, classes) of windows (n, 2560)."""
        return self.head.probabilities(embed(self.encoder, windows, self.machine))


def finetune(
    windows: NDArray[np.float32],
    labels: NDArray[np.int64],
    config: FinetuneConfig,
    init_state: Mapping[str, Tensor] | None,
    machine: Machine,
    seed: int,
    *,
    network: TransformerConfig,
    classes: int | None = None,
) -> FineTuned:
    """Fine-tune on labelled windows, in one go; a function of its arguments only.

    Parameters
    ----------
    windows, labels:
        (n, 2560) float32, (n,) class numbers from 0.
    config:
        How.
    init_state:
        The pretrained encoder (``encoder_file.encoder_state``), or None for random weights.
    machine, seed:
        On what; of random weights, order and dropout.
    network:
        The form of the encoder; its pooling is the fine-tuning's.
    classes:
        How many, where some may be missing here; else the largest label and one.

    Raises
    ------
    DataError
        If there are fewer than two classes.
    UsageError
        If a setting makes no sense.

    """
    check_finetune(config, labels)
    rows = np.arange(len(windows))
    trainer = FinetuneTrainer(
        windows, labels, rows, rows[:0], max(int(labels.max()) + 1, classes or 2), config, network,
        init_state, machine, seed,
    )  # fmt: skip
    with flushed_denormals():
        while trainer.step < trainer.steps:
            trainer.advance()
    return trainer.model()


def check_finetune(config: FinetuneConfig, labels: NDArray[np.int64]) -> None:
    """Refuse settings without sense, and labels of one class.

    Raises
    ------
    DataError
        If there are fewer than two classes.
    UsageError
        If a setting makes no sense.

    """
    if min(config.epochs, config.batch_windows, config.lr_every_epochs) < 1 or not 0 <= config.dropout < 1:
        raise UsageError(
            "Fine-tuning needs at least one epoch and one window a batch, and a dropout from 0 to below 1.",
            why=f"epochs = {config.epochs}, batch_windows = {config.batch_windows}, "
            f"lr_every_epochs = {config.lr_every_epochs}, dropout = {config.dropout}.",
        )
    if len(np.unique(labels)) < 2:
        raise DataError(
            "Fine-tuning needs windows of at least two classes.",
            why=f"There are {len(labels)} windows of {len(np.unique(labels))} class(es).",
            remedy="Prepare recordings of all classes.",
        )
