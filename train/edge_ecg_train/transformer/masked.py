"""Masked pretraining, in the manner of BERT: spans of the ECG are set to zero, the network draws them again.

Every sample of a window at 128 Hz is masked with the same probability: a span begins at a sample with
probability 3.25 % and covers 20 of them, so 1 - (1 - 0.0325)^20 = 48.4 % are masked. The loss is the mean
squared error of the raw samples, over the masked ones alone.

The data order, the masks and the dropout of step s depend on the seed and s alone, so a run that was stopped
and resumed ends with the same weights as one that was not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge_ecg.errors import DataError, UsageError

from ..checkpoint import save_checkpoint
from ..device import Execution, prepare_machine
from ..loop import Session, train
from ..networks import WINDOW_SAMPLES
from ..run_dir import RunDir, check_resumed
from ..sampling import split_people
from ..sharded import Windows
from .encoder_file import save_transformer
from .masked_trainer import MaskedTrainer
from .network import SAMPLES, TransformerConfig, transformer_facts
from .resume import kept_state


@dataclass(frozen=True, slots=True)
class MaskedConfig:
    """What to train. The defaults are the paper's, apart from ``steps`` and ``warmup_steps``.

    Parameters
    ----------
    steps:
        Updates of the weights.
    warmup_steps:
        Over so many steps the rate rises linearly from zero; then it falls linearly to zero.
    batch_windows:
        Windows a step.
    learning_rate, weight_decay:
        Adam's rate at its highest; ``weight_decay * w`` is added to the gradient of kernels.
    span_probability, span_samples:
        How often a masked span begins, and how many samples (at 128 Hz) it covers.
    head_hidden:
        Width of the small network (ReLU) that makes samples of a token.
    holdout, evaluation_windows, evaluate_every:
        The share of people whose windows are only evaluated on, how many of these, and after how many steps
        each time (0: only at the end).
    seed:
        Of weights, order, masks, dropout and the held-out people.
    network:
        The form of the network; the table [transformer] of a recipe.

    """

    steps: int
    warmup_steps: int = 0
    batch_windows: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.005
    span_probability: float = 0.0325
    span_samples: int = 20
    head_hidden: int = 128
    holdout: float = 0.05
    evaluation_windows: int = 256
    evaluate_every: int = 250
    seed: int = 0
    network: TransformerConfig = field(default_factory=TransformerConfig)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        return self.learning_rate * (self.steps - step) / max(1, self.steps - self.warmup_steps)

    def masked_share(self) -> float:
        """Return the probability of a sample to be masked."""
        return 1.0 - (1.0 - self.span_probability) ** self.span_samples


def run_masked(
    windows: Windows,
    subjects: NDArray[np.str_],
    config: MaskedConfig,
    run_dir: Path,
    *,
    execution: Execution | None = None,
    session: Session | None = None,
    resume: bool = False,
    facts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train, leaving encoder.npz, checkpoint.pt, run.json and curves in the run's folder.

    Parameters
    ----------
    windows:
        Normalised ECG (n, 2560) float32 at 256 Hz, in memory, mapped, or in shards.
    subjects:
        Who each window is of, (n,); whole people are held out.
    config, run_dir, execution, session:
        What, where to, on what, and for how long.
    resume:
        Go on from the folder's checkpoint (a new run, if it has none).
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
    InterruptedAndSaved
        After Ctrl-C, once the checkpoint is written.

    """
    _check(windows, subjects, config)
    machine = prepare_machine(execution or Execution())
    run = RunDir(run_dir)
    run.create()
    training, held_out = split_people(subjects, config.holdout, config.seed)
    trainer = MaskedTrainer(windows, training, held_out, config, machine)
    state = kept_state(run, resume=resume)
    if state is not None:
        check_resumed(run.facts().get("pretext", {}).get("preprocessing"), (facts or {}).get("preprocessing"))
        trainer.restore(state)
    entry: dict[str, Any] = {}

    def save() -> None:
        save_checkpoint(run.checkpoint, trainer.state())
        save_transformer(run.encoder, trainer.network.encoder)
        entry.update(
            task="masked samples",
            config=asdict(config),
            steps=trainer.step,
            finished=trainer.step >= config.steps,
            windows=len(training),
            people=len(np.unique(subjects[training])),
            held_out_windows=len(held_out),
            precision=machine.precision,
            device=machine.device.type,
            torch=torch.__version__,
            minutes=round(trainer.seconds / 60, 2),
            history=trainer.history,
            **(facts or {}),
        )
        run.update_json(encoder=transformer_facts(config.network), pretext=entry)

    train(
        trainer,
        config.steps,
        save,
        session or Session(),
        evaluate_every=config.evaluate_every,
        curves_in=run.tensorboard,
    )
    return entry


def _check(windows: Windows, subjects: NDArray[np.str_], config: MaskedConfig) -> None:
    if len(windows.shape) != 2 or windows.shape[1] != WINDOW_SAMPLES or len(subjects) != len(windows):
        raise DataError(
            f"Windows must have the shape (n, {WINDOW_SAMPLES}), and as many names of people.",
            why=f"They have the shape {windows.shape}, and there are {len(subjects)} names.",
            remedy="Prepare them with `edge-ecg data prepare`.",
        )
    if len(windows) < 2:
        raise DataError("There are too few windows to train on.", remedy="Prepare more recordings.")
    if not 0 <= config.warmup_steps <= config.steps or min(config.steps, config.batch_windows) < 1:
        raise UsageError(
            "Masked pretraining needs at least one step and one window a batch; warm-up is a part of it.",
            why=f"steps = {config.steps}, warmup_steps = {config.warmup_steps}, "
            f"batch_windows = {config.batch_windows}.",
        )
    if not 0 < config.span_probability < 1 or not 1 <= config.span_samples <= SAMPLES:
        raise UsageError(
            f"Spans must begin with a probability between 0 and 1 and cover 1 to {SAMPLES} samples.",
            why=f"span_probability = {config.span_probability}, span_samples = {config.span_samples}.",
        )
    if not 0 <= config.holdout < 1:
        raise UsageError(f"The held-out share must be at least 0 and below 1, not {config.holdout}.")
