"""From a normalised window to probabilities by task: by which head, from which baseline, over what time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .heads import MlpHead
from .model import Model
from .profile import Profile

Float32Array = NDArray[np.float32]


class Decider:
    """Decide on good windows in the order of time.

    With a profile, a task that has a personal head (the model's, or one refitted for this person) is decided
    by it, on the window's values relative to the baseline's; a task that has none is decided by its plain
    head on the values themselves, as all are without a profile.

    Logits are averaged over the good windows that ended within the last ``context_s`` seconds, this one
    included, so 0 means this window alone.

    Parameters
    ----------
    model, profile:
        The profile must fit the model (:meth:`~edge_ecg.profile.Profile.require_fit`).
    context_s:
        Seconds for all tasks; None for what the manifest says of each.

    """

    def __init__(self, model: Model, profile: Profile | None = None, context_s: float | None = None) -> None:
        self._model = model
        self._profile = profile
        self._tasks = {
            task: _Task(_head_of(model, task, profile), seconds)
            for task, seconds in context_by_task(model, context_s).items()
        }

    def decide(self, window: Float32Array, end_s: float) -> dict[str, Float32Array]:
        """Probabilities (labels,) by task of one normalised window (2560,) that ends at ``end_s``."""
        windows = window[np.newaxis]
        embeddings = self._model.embed(windows)
        return {
            name: task.probabilities(self._inputs(name, embeddings, windows), end_s)
            for name, task in self._tasks.items()
        }

    def _inputs(self, task: str, embeddings: Float32Array, windows: Float32Array) -> Float32Array:
        if self._profile is None or task not in self._model.personal_heads:
            return self._model.head_inputs(task, embeddings, windows)
        return personal_inputs(self._model, self._profile, task, embeddings, windows)


def personal_inputs(
    model: Model, profile: Profile, task: str, embeddings: Float32Array, windows: Float32Array
) -> Float32Array:
    """(n, d + k) what the personal head of a task sees of (n, 2560) windows and their embeddings."""
    return model.personal_inputs(task, embeddings, windows, profile.embedding, profile.sources)


def context_by_task(model: Model, context_s: float | None = None) -> Mapping[str, float]:
    """Over how many seconds each task is averaged."""
    return {
        task: spec.context_s if context_s is None else context_s
        for task, spec in model.manifest.tasks.items()
    }


class _Task:
    """One task's head and its recent logits."""

    def __init__(self, head: MlpHead, context_s: float) -> None:
        self._head = head
        self._context_s = context_s
        self._recent: deque[tuple[float, Float32Array]] = deque()

    def probabilities(self, inputs: Float32Array, end_s: float) -> Float32Array:
        """Average the logits of (1, d + k) inputs with the recent ones."""
        self._recent.append((end_s, self._head.logits(inputs)[0]))
        while self._recent[0][0] < end_s - self._context_s:
            self._recent.popleft()
        mean = np.mean([logits for _, logits in self._recent], axis=0, dtype=np.float64)
        return softmax(mean)


def softmax(logits: ArrayLike) -> Float32Array:
    """Probabilities (labels,) of (labels,) logits; a single logit is that of the second of two labels."""
    both = np.asarray(logits, dtype=np.float64)
    if len(both) == 1:
        both = np.concatenate([[0.0], both])
    powers = np.exp(both - both.max())
    return np.asarray(powers / powers.sum(), dtype=np.float32)


def _head_of(model: Model, task: str, profile: Profile | None) -> MlpHead:
    if profile is None or task not in model.personal_heads:
        return model.heads[task]
    refitted = profile.heads.get(task)
    return model.personal_heads[task] if refitted is None else refitted.head
