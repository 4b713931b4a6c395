"""Stage one: teach the trunk to recognise which transformation was applied to a window.

The data order, the transformations and the dropout of step s depend on the seed and s alone, so a run that
was stopped and resumed ends with the same weights as one that was not.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_ecg.errors import DataError, UsageError
from edge_ecg_train.checkpoint import load_checkpoint, save_checkpoint, save_encoder
from edge_ecg_train.device import Execution, Machine, prepare_machine
from edge_ecg_train.losses import L2, pretext_loss, staircase
from edge_ecg_train.networks import WINDOW_SAMPLES, PretextNetwork, parameter_groups
from edge_ecg_train.run_dir import ENCODER_FACTS, RunDir
from edge_ecg_train.transforms import VERSIONS, TransformConfig, make_versions

_EVALUATION_STREAM = 2**40
"""The step number that stands for evaluation when randomness is drawn; no run gets there."""


@dataclass(frozen=True, slots=True)
class PretextConfig:
    """What to train. The defaults are the released code's, apart from ``steps``.

    Parameters
    ----------
    steps:
        Updates of the weights.
    batch_windows, versions:
        Windows a step, and how many of its 7 versions each gets (7: all, 128 windows are 896 signals).
    learning_rate, lr_factor, lr_every:
        Adam's rate falls by ``lr_factor`` every ``lr_every`` steps.
    cooldown_steps:
        In the last so many steps the rate also falls linearly to zero (0: never, as in the paper).
    l2, dropout:
        The penalty on kernels; the probability to drop a hidden value of the heads.
    seed:
        Of weights, order, transformations, dropout and the held-out people.
    holdout:
        The share of people whose windows are only evaluated on.
    evaluation_windows, evaluate_every:
        How many of their windows, and after how many steps each time (0: only at the end).
    transforms:
        The strengths of the transformations.

    """

    steps: int
    batch_windows: int = 128
    versions: int = len(VERSIONS)
    learning_rate: float = 1e-3
    lr_factor: float = 0.9
    lr_every: int = 10_000
    cooldown_steps: int = 0
    l2: float = L2
    dropout: float = 0.6
    seed: int = 0
    holdout: float = 0.05
    evaluation_windows: int = 256
    evaluate_every: int = 250
    transforms: TransformConfig = field(default_factory=TransformConfig)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        rate = staircase(step, initial=self.learning_rate, factor=self.lr_factor, every=self.lr_every)
        return rate * min(1.0, (self.steps - step) / self.cooldown_steps) if self.cooldown_steps else rate


@dataclass(frozen=True, slots=True)
class Progress:
    """What an observer is told after each step."""

    step: int
    steps: int
    loss: float
    windows_per_s: float
    eta_s: float
    evaluation: dict[str, Any] | None


Observer = Callable[[Progress], None]


def run_pretext(
    windows: NDArray[np.float32],
    subjects: NDArray[np.str_],
    config: PretextConfig,
    run_dir: Path,
    *,
    execution: Execution | None = None,
    resume: bool = False,
    max_minutes: float | None = None,
    checkpoint_minutes: float = 5.0,
    observe: Observer | None = None,
    facts: dict[str, Any] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """Train, leaving encoder.npz, checkpoint.pt, run.json and curves in the run's folder.

    Parameters
    ----------
    windows:
        Normalised ECG (n, 2560) float32, in memory or mapped.
    subjects:
        Who each window is of, (n,); whole people are held out.
    config, run_dir, execution:
        What, where to, and how.
    resume:
        Go on from the folder's checkpoint (a new run, if it has none).
    max_minutes:
        Stop then, with a checkpoint.
    checkpoint_minutes:
        How often a checkpoint is written.
    observe:
        Is called after each step.
    facts:
        What else run.json should say of this stage (the data sets, say).

    Returns
    -------
    The "pretext" entry of run.json.

    Raises
    ------
    DataError
        If the windows are not such, there are too few, or a checkpoint is of another run.
    UsageError
        If a setting makes no sense.
    KeyboardInterrupt
        After Ctrl-C, once the checkpoint is written.

    """
    _check(windows, subjects, config)
    machine = prepare_machine(execution or Execution())
    run = RunDir(run_dir)
    run.create()
    training, held_out = split_people(subjects, config.holdout, config.seed)
    trainer = _Trainer(windows, training, held_out, config, machine)
    if resume and run.checkpoint.exists():
        trainer.restore(load_checkpoint(run.checkpoint))
    elif run.checkpoint.exists():
        raise DataError(
            f"{run_dir} already holds a pretext run.",
            remedy="Go on with --resume, or give another folder.",
        )

    def save() -> dict[str, Any]:
        save_checkpoint(run.checkpoint, trainer.state())
        save_encoder(run.encoder, trainer.network.trunk)
        entry = {
            "config": asdict(config), "steps": trainer.step, "finished": trainer.step >= config.steps,
            "training_windows": len(training), "held_out_windows": len(held_out),
            "precision": machine.precision, "device": machine.device.type, "torch": torch.__version__,
            "minutes": round(trainer.seconds / 60, 2), "history": trainer.history, **(facts or {}),
        }  # fmt: skip
        run.update_json(encoder=ENCODER_FACTS, pretext=entry)
        return entry

    started = saved = before = clock()
    begun_at = trainer.step
    with _interruptible() as interrupted, _curves(run.tensorboard, trainer.step) as curves:
        while trainer.step < config.steps and not interrupted.is_set():
            loss = trainer.advance()
            now = clock()
            trainer.seconds += now - before
            before = now
            done = trainer.step
            evaluation = None
            if done == config.steps or (config.evaluate_every and done % config.evaluate_every == 0):
                evaluation = trainer.evaluate()
            curves(done, loss, config.rate(done - 1), evaluation)
            if observe is not None:
                pace = (done - begun_at) / max(now - started, 1e-9)
                rate = pace * config.batch_windows
                observe(Progress(done, config.steps, loss, rate, (config.steps - done) / pace, evaluation))
            if now - saved >= 60 * checkpoint_minutes:
                save()
                saved = clock()
            if max_minutes is not None and now - started >= 60 * max_minutes:
                break
        entry = save()
        if interrupted.is_set():
            raise KeyboardInterrupt
    return entry


def split_people(
    subjects: NDArray[np.str_], holdout: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of training people and of a random share of people held out (none if share is 0)."""
    people = np.unique(subjects)
    count = round(holdout * len(people))
    if holdout > 0 and len(people) > 1:
        count = min(max(count, 1), len(people) - 1)
    chosen = np.random.default_rng([seed, 1]).permutation(people)[:count]
    mask = np.isin(subjects, chosen)
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def batch_rows(rows: NDArray[np.int64], step: int, size: int, seed: int) -> NDArray[np.int64]:
    """Return the rows of a step's batch, (size,).

    Batches are cut from the endless sequence of the epochs' permutations, so every epoch shows each window
    exactly once, and a batch may lie across two epochs.
    """
    first, n = step * size, len(rows)
    parts = []
    while size:
        epoch, at = divmod(first, n)
        order = np.random.default_rng([seed, 2, epoch]).permutation(n)
        part = order[at : at + size]
        parts.append(part)
        first += len(part)
        size -= len(part)
    return rows[np.concatenate(parts)]


class _Trainer:
    """The network, its optimiser and its place in the sequence of steps."""

    def __init__(
        self,
        windows: NDArray[np.float32],
        training: NDArray[np.int64],
        held_out: NDArray[np.int64],
        config: PretextConfig,
        machine: Machine,
    ) -> None:
        self.windows, self.training, self.config, self.machine = windows, training, config, machine
        count = min(config.evaluation_windows, len(held_out))
        self.held_out = np.sort(np.random.default_rng([config.seed, 3]).permutation(held_out)[:count])
        torch.manual_seed(config.seed)
        self.network = PretextNetwork(config.dropout).to(machine.device)
        groups = parameter_groups(self.network, config.l2)
        self.optimiser = torch.optim.Adam(groups, lr=config.learning_rate, eps=1e-8, fused=True)
        self.step = 0
        self.seconds = 0.0
        self.history: list[dict[str, Any]] = []

    def advance(self) -> float:
        """Make one step; return the batch's loss."""
        config = self.config
        rows = batch_rows(self.training, self.step, config.batch_windows, config.seed)
        signals, labels = self._signals(rows, self.step, config.versions)
        if self.machine.micro_batch_signals < len(signals):
            # The signals come grouped by label: parts get a mixture, as batches of any size should.
            order = torch.randperm(len(signals), device=signals.device)
            signals, labels = signals[order], labels[order]
        self.network.train()
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.machine.device)
        for part, part_labels in self._parts(signals, labels):
            with self.machine.autocast():
                logits = self.network(part)
            loss = pretext_loss(logits.float(), part_labels, len(signals))
            loss.backward()
            total += loss.detach()
        self.optimiser.step()
        self.step += 1
        return float(total)

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """Measure each recogniser on the held-out windows, in all their versions; always the same ones."""
        if not len(self.held_out):
            return {}
        signals, labels = self._signals(self.held_out, _EVALUATION_STREAM, len(VERSIONS))
        self.network.eval()
        logits = []
        for part, _ in self._parts(signals, labels):
            with self.machine.autocast():
                logits.append(self.network(part).float())
        joined = torch.cat(logits)
        measured = {"step": self.step, "loss": float(pretext_loss(joined, labels)), **_scores(joined, labels)}
        self.history.append(measured)
        return measured

    def state(self) -> dict[str, Any]:
        return {
            "config": asdict(self.config),
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
            If it belongs to another experiment; only ``steps`` and the evaluation may have changed.

        """
        free = {"steps", "cooldown_steps", "evaluate_every"}
        mine, theirs = asdict(self.config), state["config"]
        changed = sorted(key for key in mine if key not in free and mine[key] != theirs.get(key))
        if changed:
            raise DataError(
                "The checkpoint was trained with other settings.",
                why=", ".join(f"{key} was {theirs.get(key)}, is {mine[key]}" for key in changed) + ".",
                remedy="Resume with the same recipe, or start a new run in another folder.",
            )
        if not np.array_equal(state["training"].numpy(), self.training):
            raise DataError(
                "The checkpoint was trained on other windows.",
                remedy="Resume with the same store, or start a new run in another folder.",
            )
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.seconds, self.history = state["step"], state["seconds"], state["history"]

    def _signals(self, rows: NDArray[np.int64], stream: int, versions: int) -> tuple[Tensor, Tensor]:
        device = self.machine.device
        seed = int(np.random.SeedSequence([self.config.seed, 4, stream]).generate_state(1, np.uint64)[0])
        generator = torch.Generator(device).manual_seed(seed % 2**63)
        torch.manual_seed(seed % 2**63)
        batch = torch.from_numpy(np.asarray(self.windows[rows], np.float32)).to(device)
        return make_versions(batch, versions, generator, self.config.transforms)

    def _parts(self, signals: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        size = self.machine.micro_batch_signals
        return zip(signals.split(size), labels.split(size), strict=True)


def _scores(logits: Tensor, labels: Tensor) -> dict[str, Any]:
    """Per recogniser: accuracy (0.857 for always "no") and balanced accuracy (0.5 for chance)."""
    said = logits > 0
    accuracy, balanced = {}, {}
    for index, name in enumerate(VERSIONS):
        true = labels == index
        right = said[:, index] == true
        accuracy[name] = round(float(right.float().mean()), 4)
        sensitivity, specificity = right[true].float().mean(), right[~true].float().mean()
        balanced[name] = round(float((sensitivity + specificity) / 2), 4)
    return {"accuracy": accuracy, "balanced_accuracy": balanced}


def _check(windows: NDArray[np.float32], subjects: NDArray[np.str_], config: PretextConfig) -> None:
    if windows.ndim != 2 or windows.shape[1] != WINDOW_SAMPLES:
        raise DataError(
            f"Windows must have the shape (n, {WINDOW_SAMPLES}), not {windows.shape}.",
            remedy="Prepare them with `edge-ecg data prepare`.",
        )
    if len(subjects) != len(windows):
        raise DataError(f"There are {len(windows)} windows but {len(subjects)} subject names.")
    if len(windows) < 2:
        raise DataError("There are too few windows to train on.", remedy="Prepare more recordings.")
    if config.steps < 1 or config.batch_windows < 1 or not 1 <= config.versions <= len(VERSIONS):
        raise UsageError(
            "A pretext run needs at least one step, one window a batch and 1 to 7 versions of each.",
            why=f"steps = {config.steps}, batch_windows = {config.batch_windows}, "
            f"versions = {config.versions}.",
        )
    if not 0 <= config.holdout < 1:
        raise UsageError(f"The held-out share must be at least 0 and below 1, not {config.holdout}.")


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event, so that the step is finished and saved; a second one ends at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def first(signum: int, frame: FrameType | None) -> None:
        event.set()
        signal.signal(signal.SIGINT, previous)

    previous = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, first)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def _curves(folder: Path, step: int) -> Iterator[Callable[[int, float, float, dict[str, Any] | None], None]]:
    """Yield a function that draws one step's curves in TensorBoard; it draws nothing where that is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield lambda step, loss, rate, evaluation: None
        return
    writer = SummaryWriter(str(folder), purge_step=step + 1)

    def draw(step: int, loss: float, rate: float, evaluation: dict[str, Any] | None) -> None:
        writer.add_scalar("loss/train", loss, step)
        writer.add_scalar("rate", rate, step)
        if evaluation:
            writer.add_scalar("loss/held_out", evaluation["loss"], step)
            for name, value in evaluation["balanced_accuracy"].items():
                writer.add_scalar(f"balanced_accuracy/{name}", value, step)

    try:
        yield draw
    finally:
        writer.close()
