"""What an evaluation says on stderr while it works."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .progress import Progress

if TYPE_CHECKING:
    from edge_ecg_train.evaluation.sweep import Listener


class Talk:
    """Sentences on stderr, each with a progress line below it when something is counted."""

    def __init__(self) -> None:
        self._progress: Progress | None = None

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def listener(self) -> Listener:
        """Return who a sweep tells how far it is."""
        from edge_ecg_train.evaluation.sweep import Listener

        return Listener(self.say, self.count("recordings"), self.count("windows"))

    def say(self, text: str) -> None:
        """Print a sentence."""
        self._end()
        print(text, file=sys.stderr, flush=True)

    def count(self, unit: str) -> Callable[[Any], None]:
        """Return what counts units: as many as it is given a number for, else one."""

        def one(what: Any) -> None:
            if self._progress is None or self._progress.unit != unit:
                self._end()
                self._progress = Progress(None, unit, sys.stderr)
            self._progress.advance(what if isinstance(what, int) else 1)

        return one

    def _end(self) -> None:
        if self._progress is not None:
            self._progress.__exit__(None, None, None)
            self._progress = None
