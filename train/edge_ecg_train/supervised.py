"""The fully supervised twin: the same trunk and head from random weights, trained end to end on one task.

It is the baseline that pretraining has to beat. The run that it leaves has the same form as one of the two
stages, so it is evaluated and exported in the same way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_ecg.errors import DataError, UsageError
from edge_ecg.heads.mlp import MlpHead

from .checkpoint import load_checkpoint, save_checkpoint, save_encoder, write_atomically
from .device import Execution, Machine, flushed_denormals, prepare_machine
from .embeddings import embed
from .heads import class_loss, class_weights, dense_layers, layer_arrays
from .loop import Session, train
from .networks import PAPER_TRUNK, WINDOW_SAMPLES, Trunk, TrunkShape
from .run_dir import RunDir, check_resumed_task, encoder_facts
from .sampling import Rows, batch_rows, split_people, step_seed
from .store import WindowStore


@dataclass(frozen=True, slots=True)
class SupervisedConfig:
    """What to train.

    Parameters
    ----------
    epochs:
        Passes over the training windows; fixed, nothing is stopped early.
    batch_windows, learning_rate:
        Adam at a constant rate.
    hidden, dropout:
        The head's hidden layers (ReLU) and the probability to drop one of their values.
    l2:
        The gradient of ``l2 * ½‖w‖²`` is added on all kernels.
    class_weight:
        "balanced": classes count equally, however many windows they have.
    holdout:
        The share of people whose windows are only evaluated on, to be seen in the curves.
    seed:
        Of weights, order, dropout and the held-out people.
    trunk:
        How the trunk is padded and pooled.

    """

    epochs: int = 10
    batch_windows: int = 32
    learning_rate: float = 1e-3
    hidden: tuple[int, ...] = (512, 512)
    dropout: float = 0.0
    l2: float = 1e-4
    class_weight: Literal["balanced", "none"] = "balanced"
    holdout: float = 0.0
    seed: int = 0
    trunk: TrunkShape = PAPER_TRUNK


class SupervisedNetwork(nn.Module):
    """The trunk and one head: (n, 2560) to (n, 1) sigmoid or (n, classes) softmax logits."""

    def __init__(
        self, classes: int, hidden: tuple[int, ...], dropout: float, shape: TrunkShape = PAPER_TRUNK
    ) -> None:
        super().__init__()
        self.trunk = Trunk(shape)
        self.head = dense_layers(shape.embedding, hidden, 1 if classes == 2 else classes, dropout)

    def forward(self, windows: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.trunk(windows))
        return logits

    def numpy_head(self) -> MlpHead:
        """Return the head alone."""
        width = self.trunk.shape.embedding
        return MlpHead(np.zeros(width), np.ones(width), *layer_arrays(self.head))


class SupervisedTrainer:
    """One step after another, and the state to go on from."""

    def __init__(
        self,
        windows: NDArray[np.float32],
        labels: NDArray[np.int64],
        training: Rows,
        held_out: Rows,
        classes: int,
        config: SupervisedConfig,
        machine: Machine,
        init: Trunk | None = None,
    ) -> None:
        self.windows, self.labels, self.training, self.held_out = windows, labels, training, held_out
        self.config, self.machine = config, machine
        self.batch = min(config.batch_windows, len(training))
        self.steps = config.epochs * -(-len(training) // self.batch)
        torch.manual_seed(config.seed)
        self.network = SupervisedNetwork(classes, config.hidden, config.dropout, config.trunk).to(
            machine.device
        )
        if init is not None:
            self.network.trunk.load_state_dict(init.state_dict())
        kernels = [one for one in self.network.parameters() if one.ndim > 1]
        biases = [one for one in self.network.parameters() if one.ndim == 1]
        groups: list[dict[str, Any]] = [{"params": kernels, "weight_decay": config.l2}, {"params": biases}]
        self.optimiser = torch.optim.Adam(groups, lr=config.learning_rate, eps=1e-8)
        self.weights = class_weights(labels[training], classes, config.class_weight).to(machine.device)
        self.step = 0
        self.seconds = 0.0
        self.history: list[dict[str, Any]] = []

    def rate(self, step: int) -> float:
        """Return the learning rate."""
        return self.config.learning_rate

    def advance(self) -> float:
        """Make one step; return the batch's loss."""
        rows = batch_rows(self.training, self.step, self.batch, self.config.seed)
        torch.manual_seed(step_seed(self.config.seed, self.step))
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        total = 0.0
        size = self.machine.micro_batch_signals
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
        measured = {
            "step": self.step,
            "accuracy": round(float((said == true).mean()), 4),
            "balanced_accuracy": round(float(np.mean(recalls)), 4),
        }
        self.history.append(measured)
        return measured

    def probabilities(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities (n, classes) of windows (n, 2560)."""
        embeddings = embed(self.network.trunk, windows, self.machine)
        return self.network.numpy_head().probabilities(embeddings)

    def state(self) -> dict[str, Any]:
        """Return all that ``restore`` needs, in tensors and plain values."""
        return {
            "config": {**asdict(self.config), "hidden": list(self.config.hidden)},
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
        mine = self.state()
        same_rows = np.array_equal(state["training"].numpy(), self.training)
        if {**state["config"], "epochs": 0} != {**mine["config"], "epochs": 0} or not same_rows:
            raise DataError(
                "The checkpoint was trained with other settings or on other windows.",
                remedy="Resume with the same recipe and store, or start a new run in another folder.",
            )
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]


def fit_supervised(
    windows: NDArray[np.float32],
    labels: NDArray[np.int64],
    training: Rows,
    classes: int,
    config: SupervisedConfig,
    machine: Machine,
    init: Trunk | None = None,
) -> SupervisedTrainer:
    """Train trunk and head in memory, leaving no run; a function of its arguments alone.

    Parameters
    ----------
    windows, labels:
        (n, 2560) float32 and (n,) class numbers.
    training:
        The rows to train on.
    classes:
        How many there are.
    config, machine:
        What to train, and where; nobody is held out.
    init:
        A pretrained trunk to start from, of the config's shape; random weights if None.

    Raises
    ------
    UsageError
        If a setting makes no sense, or the pretrained trunk has another shape.

    """
    _check(config)
    if init is not None and init.shape != config.trunk:
        raise UsageError(
            "The pretrained trunk is not of the shape that is to be trained.",
            why=f"It is {init.shape}, not {config.trunk}.",
        )
    nobody = training[:0]
    with torch.random.fork_rng(devices=[]), flushed_denormals():
        trainer = SupervisedTrainer(windows, labels, training, nobody, classes, config, machine, init)
        while trainer.step < trainer.steps:
            trainer.advance()
    return trainer


def run_supervised(
    store: WindowStore,
    task: str,
    config: SupervisedConfig,
    run_dir: Path,
    *,
    execution: Execution | None = None,
    session: Session | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Train trunk and head on a task's labelled windows; leaves a complete run.

    Parameters
    ----------
    store, task:
        The windows and the labels.
    config, run_dir, execution, session:
        What, where to, on what, and for how long.
    resume:
        Go on from the folder's checkpoint (a new run, if it has none).

    Returns
    -------
    The "supervised" entry of run.json.

    Raises
    ------
    DataError
        If the store has no two classes of labels for the task, or a checkpoint is of another run.
    UsageError
        If a setting makes no sense.
    InterruptedAndSaved
        After Ctrl-C, once the checkpoint is written.

    """
    _check(config)
    labels, names = store.label(task), store.tasks[task]
    rows = np.flatnonzero(labels >= 0)
    if len(np.unique(labels[rows])) < 2 or store.windows.shape[1] != WINDOW_SAMPLES:
        raise DataError(
            f"The task {task!r} needs windows of at least two classes.",
            why=f"{store.path} has {len(rows)} labelled windows.",
            remedy="Prepare all recordings of the data set.",
        )
    training, held_out = (
        rows[part] for part in split_people(store.subject[rows], config.holdout, config.seed)
    )
    machine = prepare_machine(execution or Execution())
    run = RunDir(run_dir)
    run.create()
    trainer = SupervisedTrainer(store.windows, labels, training, held_out, len(names), config, machine)
    if run.checkpoint.exists():
        if not resume:
            raise DataError(
                f"{run_dir} already holds a training run.",
                remedy="Go on with --resume, or give another folder.",
            )
        check_resumed_task(run.facts(), task, store.preprocessing)
        trainer.restore(load_checkpoint(run.checkpoint))
    entry: dict[str, Any] = {}

    def save() -> None:
        save_checkpoint(run.checkpoint, trainer.state())
        save_encoder(run.encoder, trainer.network.trunk)
        run.head(task).parent.mkdir(exist_ok=True)
        write_atomically(run.head(task), trainer.network.numpy_head().save)
        entry.update(
            config=asdict(config),
            task=task,
            steps=trainer.step,
            finished=trainer.step >= trainer.steps,
            windows=len(training),
            people=len(np.unique(store.subject[training])),
            datasets=sorted(set(store.dataset[training].tolist())),
            precision=machine.precision,
            device=machine.device.type,
            torch=torch.__version__,
            minutes=round(trainer.seconds / 60, 2),
            history=trainer.history,
        )
        run.update_json(
            encoder=encoder_facts(config.trunk),
            tasks={task: {"labels": list(names)}},
            head_encoders={task: run.encoder_sha256()},
            supervised=entry,
            store=str(store.path.resolve()),
            preprocessing=dict(store.preprocessing),
        )

    train(
        trainer,
        trainer.steps,
        save,
        session or Session(),
        evaluate_every=trainer.steps // config.epochs,
        curves_in=run.tensorboard,
    )
    return entry


def _check(config: SupervisedConfig) -> None:
    if config.epochs < 1 or config.batch_windows < 1 or not 0 <= config.holdout < 1:
        raise UsageError(
            "A supervised run needs at least one epoch, one window a batch, and people to train on.",
            why=f"epochs = {config.epochs}, batch_windows = {config.batch_windows}, "
            f"holdout = {config.holdout}.",
        )
