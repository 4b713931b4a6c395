"""Fine-tuning on a store's labelled windows, leaving a complete run: encoder, head, run.json.

The run has the same form as one with a frozen encoder, so it is evaluated and exported in the same way.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..checkpoint import save_checkpoint, write_atomically
from ..device import Execution, prepare_machine
from ..loop import Session, train
from ..run_dir import RunDir, check_resumed_task
from ..store import WindowStore
from .encoder_file import encoder_state, load_transformer, save_transformer
from .finetune import FinetuneConfig, FinetuneTrainer, check_finetune
from .network import LITE, TransformerConfig, transformer_facts
from .resume import kept_state


def run_finetune(
    store: WindowStore,
    task: str,
    config: FinetuneConfig,
    run_dir: Path,
    *,
    start: RunDir | None = None,
    network: TransformerConfig = LITE,
    seed: int = 0,
    execution: Execution | None = None,
    session: Session | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Train a Transformer and a head with labels.

    Parameters
    ----------
    store, task:
        The windows and the labels.
    config, run_dir, execution, session:
        How, where to, on what, and for how long.
    start:
        The run of ``edge-ecg train pretext`` whose encoder it starts from; None is random weights.
    network:
        The form of the network where there is no such run.
    seed:
        Of random weights, order and dropout.
    resume:
        Go on from the folder's checkpoint (a new run, if it has none).

    Returns
    -------
    The "supervised" entry of run.json.

    Raises
    ------
    DataError
        If the store has no two classes of labels for the task, there is no encoder to start from, or a
        checkpoint is of another run.
    UsageError
        If a setting makes no sense.
    InterruptedAndSaved
        After Ctrl-C, once the checkpoint is written.

    """
    labels, names = store.label(task), store.tasks[task]
    rows = np.flatnonzero(labels >= 0)
    check_finetune(config, labels[rows])
    pretrained = None if start is None else load_transformer(start.encoder)
    pretext = {} if start is None else {"pretext": start.read_json().get("pretext", {})}
    machine = prepare_machine(execution or Execution())
    run = RunDir(run_dir)
    run.create()
    trainer = FinetuneTrainer(
        store.windows, labels, rows, rows[:0], len(names), config,
        network if pretrained is None else pretrained.config,
        None if pretrained is None else encoder_state(pretrained), machine, seed,
    )  # fmt: skip
    state = kept_state(run, resume=resume)
    if state is not None:
        check_resumed_task(run.facts(), task, store.preprocessing)
        trainer.restore(state)
    entry: dict[str, Any] = {}

    def save() -> None:
        save_checkpoint(run.checkpoint, trainer.state())
        save_transformer(run.encoder, trainer.network.trunk)
        run.head(task).parent.mkdir(exist_ok=True)
        write_atomically(run.head(task), trainer.network.numpy_head().save)
        entry.update(
            config={**asdict(config), "seed": seed},
            task=task,
            pretrained=start is not None,
            steps=trainer.step,
            finished=trainer.step >= trainer.steps,
            windows=len(rows),
            people=len(np.unique(store.subject[rows])),
            datasets=sorted(set(store.dataset[rows].tolist())),
            precision=machine.precision,
            device=machine.device.type,
            torch=torch.__version__,
            minutes=round(trainer.seconds / 60, 2),
            history=trainer.history,
        )
        run.update_json(
            encoder=transformer_facts(trainer.network.trunk.config),
            tasks={task: {"labels": list(names)}},
            head_encoders={task: run.encoder_sha256()},
            supervised=entry,
            store=str(store.path.resolve()),
            preprocessing=dict(store.preprocessing),
            **pretext,
        )

    train(trainer, trainer.steps, save, session or Session(), evaluate_every=0, curves_in=run.tensorboard)
    return entry
