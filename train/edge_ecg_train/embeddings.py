"""Embeddings of windows by a frozen encoder, computed once and kept.

:func:`embeddings_of` serves a run and a store. :func:`task_embeddings` serves the evaluation, whose encoders
are named by a plain value:

    "bundled"                             the model that comes with edge-ecg, in its int8 engine
    {"run": "runs/mine"}                  a trained run's, in float32; "step": after so many steps
    {"random": 0, "padding": "valid", "pooling": "max-mean-std"}
                                          untrained, from a seed: what the architecture alone is worth
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge_ecg.errors import UsageError
from edge_ecg.model import Model, load_model

from .checkpoint import load_encoder, write_atomically
from .device import Execution, Machine, prepare_machine
from .networks import Trunk, TrunkShape
from .run_dir import RunDir
from .store import WindowStore

if TYPE_CHECKING:
    from .evaluation.data import TaskData
    from .transformer.network import TransformerNetwork

BUNDLED = "bundled"
EncoderName = str | Mapping[str, Any]
"""``"bundled"``, ``{"run": PATH}`` or ``{"random": SEED, "padding": ..., "pooling": ...}``."""


@torch.no_grad()
def embed(
    trunk: Trunk | TransformerNetwork,
    windows: NDArray[np.float32],
    machine: Machine,
    on_windows: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Embed windows (n, 2560) as (n, d), on the machine and in its precision."""
    trunk.to(machine.device).eval()
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
    trunk = _load(run.encoder)
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


def task_embeddings(
    data: TaskData, encoder: EncoderName, on_windows: Callable[[int], None] | None = None
) -> NDArray[np.float32]:
    """Return the embeddings (n, d) float32 of a task's windows, computed once for these windows and weights.

    Parameters
    ----------
    data:
        The windows.
    encoder:
        As the module's docstring says.
    on_windows:
        Is called with the number of windows just embedded; not at all if they come from the cache.

    Raises
    ------
    DataError
        If the run has no readable encoder.
    UsageError
        If the encoder is none of the known kinds.

    """

    def compute() -> NDArray[np.float32]:
        if encoder == BUNDLED:
            return _embed_bundled(data.windows, on_windows)
        machine = prepare_machine(Execution(precision="fp32"))
        return embed(trunk_of(encoder), data.windows, machine, on_windows)

    return data.cached(f"embeddings {encoder_sha256(encoder)}", compute)


def encoder_sha256(encoder: EncoderName) -> str:
    """SHA-256 over everything that the embeddings depend on beside the windows.

    Raises
    ------
    DataError, UsageError
        As :func:`task_embeddings`.

    """
    if encoder == BUNDLED:
        model = _bundled()
        files = {name: entry.sha256 for name, entry in model.manifest.files.items() if "encoder" in name}
        return hashlib.sha256(f"{model.engine} {sorted(files.items())}".encode()).hexdigest()
    # Through the loaded weights, so that one set of weights has one name wherever its file lies.
    digest = hashlib.sha256()
    trunk = trunk_of(encoder)
    digest.update(repr(trunk.shape).encode())
    for name, values in sorted(trunk.state_dict().items()):
        digest.update(name.encode())
        digest.update(values.cpu().numpy().tobytes())
    return digest.hexdigest()


def trunk_of(encoder: EncoderName) -> Trunk | TransformerNetwork:
    """Return the encoder as a PyTorch network, to embed with or to train further.

    Raises
    ------
    DataError
        If the run has no readable encoder.
    UsageError
        If the encoder is of another kind, or is the bundled one, which exists in int8 only.

    """
    if isinstance(encoder, Mapping):
        if "run" in encoder and set(encoder) <= {"run", "step"}:
            run, step = RunDir(Path(encoder["run"])), encoder.get("step")
            return _load(run.encoder_at(step) if step else run.encoder)
        if "random" in encoder and set(encoder) <= {"random", "padding", "pooling"}:
            shape = TrunkShape(encoder.get("padding", "same"), encoder.get("pooling", "max"))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(encoder["random"]))
                return Trunk(shape)
    if encoder == BUNDLED:
        raise UsageError(
            "The bundled encoder is int8 and cannot be trained further.",
            remedy="Name a run: encoder: {run: PATH}.",
        )
    raise UsageError(
        f"There is no encoder {encoder!r}.",
        remedy='Use "bundled", {run: PATH}, {pretext: RECIPE, sets: [NAMES]} or {random: SEED}.',
    )


def _load(path: Path) -> Trunk | TransformerNetwork:
    from .transformer.encoder_file import is_transformer, load_transformer

    return load_transformer(path) if is_transformer(path) else load_encoder(path)


@lru_cache(maxsize=1)
def _bundled() -> Model:
    return load_model()


def _embed_bundled(
    windows: NDArray[np.float32], on_windows: Callable[[int], None] | None
) -> NDArray[np.float32]:
    parts = []
    for first in range(0, len(windows), 32):
        part = np.array(windows[first : first + 32], np.float32)
        parts.append(_bundled().embed(part))
        if on_windows is not None:
            on_windows(len(part))
    return np.concatenate(parts)


def _hash(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:24]
