"""Stage one: teach the trunk to recognise which transformation was applied to a window.

The data order, the transformations and the dropout of step s depend on the seed and s alone, so a run that
was stopped and resumed ends with the same weights as one that was not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge_ecg.errors import DataError, UsageError

from .augment import AugmentConfig
from .checkpoint import load_checkpoint, save_checkpoint, save_encoder
from .device import Execution, prepare_machine
from .loop import Progress, Session, train
from .losses import L2, staircase
from .networks import PAPER_TRUNK, WINDOW_SAMPLES, TrunkShape
from .pretext_trainer import PretextTrainer
from .run_dir import RunDir, check_resumed, encoder_facts
from .sampling import FULL_SHUFFLE, Shuffle, people_of, split_people
from .sharded import Windows
from .team import ALONE, Team
from .transforms import VERSIONS, TransformConfig


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
    shards:
        A batch is drawn and computed in so many parts; as many processes, or a divisor, can share it with the
        same result.
    shuffle:
        How far apart the windows of a batch may lie on the disk.
    trunk:
        How the trunk is padded and pooled.
    l2, dropout:
        The penalty on kernels; the probability to drop a hidden value of the heads.
    seed:
        Of weights, order, transformations, dropout and the held-out people.
    holdout:
        The share of people whose windows are only evaluated on.
    evaluation_windows, evaluate_every:
        How many of their windows, and after how many steps each time (0: only at the end).
    keep_steps:
        After these steps the encoder is also kept as encoder-STEP.npz: to see what longer pretraining brings.
    transforms:
        The strengths of the transformations.
    augment:
        What happens to a window before it is transformed.

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
    keep_steps: tuple[int, ...] = ()
    shards: int = 1
    shuffle: Shuffle = FULL_SHUFFLE
    trunk: TrunkShape = PAPER_TRUNK
    transforms: TransformConfig = field(default_factory=TransformConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        rate = staircase(step, initial=self.learning_rate, factor=self.lr_factor, every=self.lr_every)
        return rate * min(1.0, (self.steps - step) / self.cooldown_steps) if self.cooldown_steps else rate


def run_pretext(
    windows: Windows,
    subjects: NDArray[np.str_],
    config: PretextConfig,
    run_dir: Path,
    *,
    team: Team = ALONE,
    execution: Execution | None = None,
    session: Session | None = None,
    resume: bool = False,
    facts: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train, leaving encoder.npz, checkpoint.pt, run.json and curves in the run's folder.

    Parameters
    ----------
    windows:
        Normalised ECG (n, 2560) float32, in memory, mapped, or in shards.
    subjects:
        Who each window is of, (n,); whole people are held out.
    config, run_dir, execution, session:
        What, where to, on what, and for how long.
    team:
        The processes that train together; all call this with the same arguments.
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
    _check(windows, subjects, config, team)
    machine = prepare_machine(execution or Execution())
    run = RunDir(run_dir)
    # The other machines of a team need not see the run's folder.
    state = team.from_leader(lambda: _begin(run, facts or {}, resume=resume))
    training, held_out = split_people(subjects, config.holdout, config.seed)
    people = len(people_of(subjects[training])[0])
    trainer = PretextTrainer(windows, training, held_out, config, machine, team)
    if state is not None:
        trainer.restore(state)
    entry: dict[str, Any] = {}

    def save() -> None:
        if not team.leads:
            return
        save_checkpoint(run.checkpoint, trainer.state())
        save_encoder(run.encoder, trainer.network.trunk)
        entry.update(
            config=asdict(config),
            steps=trainer.step,
            finished=trainer.step >= config.steps,
            windows=len(training),
            people=people,
            held_out_windows=len(held_out),
            processes=team.size,
            precision=machine.precision,
            compiled=bool(machine.compiler),
            device=machine.device.type,
            torch=torch.__version__,
            minutes=round(trainer.seconds / 60, 2),
            history=trainer.history,
            **(facts or {}),
        )
        run.update_json(encoder=encoder_facts(config.trunk), pretext=entry)

    session = session or Session()

    def observe(progress: Progress) -> None:
        if progress.step in config.keep_steps and team.leads:
            save_encoder(run.encoder_at(progress.step), trainer.network.trunk)
        if session.observe is not None:
            session.observe(progress)

    try:
        train(
            trainer,
            config.steps,
            save,
            replace(session, observe=observe),
            evaluate_every=config.evaluate_every,
            curves_in=run.tensorboard,
            team=team,
        )
    finally:
        trainer.close()
    return entry


def _begin(run: RunDir, facts: Mapping[str, Any], *, resume: bool) -> dict[str, Any] | None:
    """Make the run's folder; return the state to go on from, if there is one."""
    run.create()
    if not run.checkpoint.exists():
        return None
    if not resume:
        raise DataError(
            f"{run.path} already holds a training run.",
            remedy="Go on with --resume, or give another folder.",
        )
    check_resumed(run.facts().get("pretext", {}).get("preprocessing"), facts.get("preprocessing"))
    return load_checkpoint(run.checkpoint)


def _check(windows: Windows, subjects: NDArray[np.str_], config: PretextConfig, team: Team) -> None:
    if len(windows.shape) != 2 or windows.shape[1] != WINDOW_SAMPLES:
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
    if config.shards < 1 or config.shards % team.size or config.batch_windows % config.shards:
        raise UsageError(
            f"A batch of {config.batch_windows} windows in {config.shards} shards cannot be shared by "
            f"{team.size} process(es).",
            why="The processes must divide the shards, and the shards the windows.",
            remedy=f"Write shards = {team.size}, and batch_windows as a multiple of it, under [pretext].",
        )
    if len(config.augment.noise_snr_db) != 2:
        raise UsageError(
            "The electrode noise needs the lowest and the highest signal-to-noise ratio.",
            why=f"noise_snr_db = {list(config.augment.noise_snr_db)}.",
            remedy="Write two numbers under [pretext.augment], as noise_snr_db = [0.0, 20.0].",
        )
    if not 0 <= config.holdout < 1:
        raise UsageError(f"The held-out share must be at least 0 and below 1, not {config.holdout}.")
