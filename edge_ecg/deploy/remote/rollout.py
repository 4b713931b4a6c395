"""Many devices: a few at once, stage by stage, and no further when one fails.

A host is *waiting* until it is begun, and then ends as *done* (it runs the new model), *same* (it ran it
already), or *failed*. Once more than ``max_failures`` have failed nobody else is begun: what was begun is
finished, what was not stays *untouched*.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ...bundle.fields import as_text
from ...errors import EdgeEcgError


class State(StrEnum):
    """How far a host is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    SAME = "same"
    FAILED = "failed"
    UNTOUCHED = "untouched"
    REVERTED = "reverted"


@dataclass
class Row:
    """One host of a rollout: its name, how far it is, what it is at or ended with, and how far that is.

    ``stage`` counts from 1; ``share`` is 0 to 1 while bytes are sent, else None; ``result`` goes into the
    host's record.
    """

    name: str
    stage: int
    state: State = State.WAITING
    text: str = ""
    share: float | None = None
    error: EdgeEcgError | None = None
    warnings: list[str] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)


#: Does one host (by its index); returns False when there was nothing to do. Called on a thread of its own.
Work = Callable[[int, Row], bool]


class Rollout:
    """Runs the stages.

    Parameters
    ----------
    names:
        The hosts, in the order in which they are begun.
    ends:
        How many are done after each stage (:func:`.stages.stage_ends`).
    work:
        Does one host.
    jobs:
        How many at once.
    max_failures:
        So many may fail before nobody else is begun.

    """

    def __init__(
        self, names: Sequence[str], ends: Sequence[int], work: Work, *, jobs: int = 8, max_failures: int = 0
    ) -> None:
        self._work = work
        self._ends = list(ends)
        self._jobs = jobs
        self._max_failures = max_failures
        self._stop = threading.Event()
        self.rows = [
            Row(name, next(stage for stage, end in enumerate(ends, start=1) if index < end))
            for index, name in enumerate(names)
        ]

    @property
    def halted(self) -> bool:
        """Whether nobody else is begun."""
        return self._stop.is_set() or self.failures > self._max_failures

    @property
    def failures(self) -> int:
        """How many hosts have failed."""
        return sum(row.state is State.FAILED for row in self.rows)

    def stop(self) -> None:
        """Begin nobody else."""
        self._stop.set()

    def run(self) -> None:
        """Do all stages; returns when all that was begun has ended. Nothing a host does is raised here."""
        begin = 0
        with ThreadPoolExecutor(self._jobs, thread_name_prefix="host") as pool:
            for end in self._ends:
                self._stage(pool, begin, end)
                begin = end
        for row in self.rows:
            if row.state is State.WAITING:
                row.state, row.text = State.UNTOUCHED, ""

    def _stage(self, pool: ThreadPoolExecutor, begin: int, end: int) -> None:
        # Submitted one by one, so that what is not begun can still be left alone.
        left = list(range(begin, end))
        running: set[Future[None]] = set()
        while running or (left and not self.halted):
            while left and len(running) < self._jobs and not self.halted:
                running.add(pool.submit(self._one, left.pop(0)))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for one in done:
                one.result()  # a bug in the work is a bug

    def _one(self, index: int) -> None:
        row = self.rows[index]
        row.state = State.RUNNING
        try:
            row.state = State.DONE if self._work(index, row) else State.SAME
        except EdgeEcgError as error:
            row.error, row.text, row.state = error, as_text(error.what, ""), State.FAILED
        finally:
            row.share = None

    def exit_code(self) -> int:
        """Return 0 when nobody failed, else the code of the first host that did."""
        return next((row.error.exit_code for row in self.rows if row.error is not None), 0)
