"""What every long training has in common: observers, checkpoints, time limits, curves and Ctrl-C."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from edge_ecg.errors import DataError

from .device import flushed_denormals
from .team import ALONE, Team

Evaluation = dict[str, Any]
Curves = Callable[[int, float, float, Evaluation | None], None]


class InterruptedAndSaved(KeyboardInterrupt):
    """The user stopped a training, which can go on from its checkpoint."""


class Trainer(Protocol):
    """A training that advances one step at a time."""

    step: int
    """Steps done."""
    seconds: float
    """Time spent, over all sessions."""

    def advance(self) -> float:
        """Make one step; return its loss."""

    def evaluate(self) -> Evaluation:
        """Measure on what is held out; empty if nothing is."""

    def rate(self, step: int) -> float:
        """Return a step's learning rate."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What an observer is told after each step."""

    step: int
    steps: int
    loss: float
    steps_per_s: float
    evaluation: Evaluation | None

    @property
    def eta_s(self) -> float:
        """Seconds to go at the present pace."""
        return (self.steps - self.step) / self.steps_per_s


Observer = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Session:
    """How one sitting of a training goes; none of this changes what is learnt.

    Parameters
    ----------
    max_minutes:
        Stop then, with a checkpoint (None: never).
    checkpoint_minutes:
        How often a checkpoint is written.
    observe:
        Is called after each step.
    clock:
        Monotonic seconds.

    """

    max_minutes: float | None = None
    checkpoint_minutes: float = 5.0
    observe: Observer | None = None
    clock: Callable[[], float] = time.monotonic


def train(
    trainer: Trainer,
    steps: int,
    save: Callable[[], None],
    session: Session,
    *,
    evaluate_every: int,
    curves_in: Path,
    team: Team = ALONE,
) -> None:
    """Advance to ``steps``, or to the session's time limit, or to Ctrl-C; save now and then and at the end.

    All processes of a team make the same steps and stop at the same one; the first draws, observes and
    evaluates.

    Raises
    ------
    InterruptedAndSaved
        After Ctrl-C, once the running step is done and saved. A second Ctrl-C ends at once.
    DataError
        When the loss is no longer a number; nothing is saved then.

    """
    clock = session.clock
    started = saved = before = clock()
    begun_at = trainer.step
    curves = _curves(curves_in, trainer.step) if team.leads else contextlib.nullcontext(_draw_nothing)
    stopped = False
    with flushed_denormals(), _interruptible(team) as interrupted, curves as draw:
        while trainer.step < steps and not stopped:
            loss = trainer.advance()
            done = trainer.step
            if not math.isfinite(loss):
                raise DataError(
                    f"The training diverged: at step {done} the loss is {loss}.",
                    why="The rate is too high for this batch, or the arithmetic too coarse.",
                    remedy="Lower learning_rate in the recipe, or try --precision fp32; --resume goes on "
                    "from the last checkpoint.",
                )
            evaluation = None
            if team.leads and (done == steps or (evaluate_every and done % evaluate_every == 0)):
                evaluation = trainer.evaluate() or None
            now = clock()
            trainer.seconds += now - before
            before = now
            draw(done, loss, trainer.rate(done - 1), evaluation)
            if session.observe is not None and team.leads:
                pace = (done - begun_at) / max(now - started, 1e-9)
                session.observe(Progress(done, steps, loss, pace, evaluation))
            if now - saved >= 60 * session.checkpoint_minutes:
                save()
                saved = now
            late = session.max_minutes is not None and now - started >= 60 * session.max_minutes
            stopped = team.any(late or interrupted.is_set())
        save()
        team.wait()
        if team.any(interrupted.is_set()):
            raise InterruptedAndSaved


@contextmanager
def _interruptible(team: Team) -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into an event, so that the step is finished; a second one ends it.

    In a team it does not: the launcher passes on what the terminal has already sent to all.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def first(signum: int, frame: FrameType | None) -> None:
        event.set()
        if team.size == 1:
            restore()

    for number in previous:
        signal.signal(number, first)
    try:
        yield event
    finally:
        restore()


def _draw_nothing(step: int, loss: float, rate: float, evaluation: Evaluation | None) -> None:
    pass


@contextmanager
def _curves(folder: Path, step: int) -> Iterator[Curves]:
    """Yield a function that draws a step in TensorBoard, or does nothing where that is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield _draw_nothing
        return
    with _told(folder):
        # Curves drawn after the checkpoint that is resumed from would be drawn twice.
        writer = SummaryWriter(str(folder), purge_step=step + 1)

    def draw(step: int, loss: float, rate: float, evaluation: Evaluation | None) -> None:
        with _told(folder):
            writer.add_scalar("loss/train", loss, step)
            writer.add_scalar("rate", rate, step)
            for name, value in _scalars(evaluation or {}, "held_out"):
                writer.add_scalar(name, value, step)

    try:
        yield draw
    finally:
        with _told(folder):
            writer.close()


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Make a sentence of a disk that is full."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"The curves in {folder} cannot be written.",
            why=f"{error.strerror or error}.",
            remedy="Make room there and run the command again, with --resume where there is a checkpoint.",
        ) from error


def _scalars(values: Evaluation, prefix: str) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _scalars(value, f"{prefix}/{name}")
        elif name != "step":
            yield f"{prefix}/{name}", value
