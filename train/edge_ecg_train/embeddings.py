"""Embeddings of a store's windows by a run's frozen encoder, computed once and kept in the run's folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from .checkpoint import load_encoder, write_atomically
from .device import Execution, Machine, prepare_machine
from .networks import Trunk
from .run_dir import RunDir
from .store import WindowStore


@torch.no_grad()
def embed(
    trunk: Trunk,
    windows: NDArray[np.float32],
    machine: Machine,
    on_windows: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Embed windows (n, 2560) as (n, d), on the machine and in its precision."""
    trunk = trunk.to(machine.device).eval()
    out = np.empty((len(windows), trunk.shape.embedding), np.float32)
    for first in range(0, len(windows), machine.micro_batch_signals):
        part = np.array(windows[first : first + machine.micro_batch_signals], np.float32)
        with machine.autocast():
            embedded = trunk(torch.from_numpy(part).to(machine.device))
        out[first : first + len(part)] = embedded.float().cpu().numpy()
        if on_windows is not None:
            on_windows(len(part))
    return out


def embeddings_of(
    run: RunDir,
    store: WindowStore,
    *,
    execution: Execution | None = None,
    on_windows: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Return the embeddings (n, d) of all windows of a store by the run's encoder, in float32 arithmetic.

    They are computed once: RUN/cache keeps them under a name that is made of the SHA-256 of encoder and
    windows, so a changed encoder or store never meets old embeddings.

    Parameters
    ----------
    run, store:
        The encoder and the windows.
    execution:
        Where to compute; its precision is not used, because these numbers are compared with exported models.
    on_windows:
        Is called with the number of windows just embedded; not at all if they come from the cache.

    Raises
    ------
    DataError
        If the run has no readable encoder.

    """
    trunk = load_encoder(run.encoder)
    key = _hash(run.encoder, store.path / "windows.npy")
    place = run.cache / f"embeddings-{key}.npy"
    if place.exists():
        try:
            kept: NDArray[np.float32] = np.load(place, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            kept = np.empty((0, 0), np.float32)
        if kept.shape == (len(store), trunk.shape.embedding):
            return kept
    settings = execution or Execution()
    machine = prepare_machine(
        Execution(settings.device, "fp32", settings.threads, settings.micro_batch_signals)
    )
    out = embed(trunk, store.windows, machine, on_windows)
    run.cache.mkdir(parents=True, exist_ok=True)
    write_atomically(place, lambda file: np.save(file, out))
    return out


def _hash(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:24]
