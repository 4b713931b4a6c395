"""Checkpoints of a training run, and the encoder as plain arrays.

Files are written beside their final place and moved there, so that whatever stops the program leaves either
the old file or the new one.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch

from edge_ecg.errors import DataError

from .networks import TRUNK_CONVS, PaddingName, PoolingName, Trunk, TrunkShape

_STATE = ("config", "training", "step", "seconds", "history", "network", "optimiser")
"""What every trainer keeps and goes on from."""


def write_atomically(path: Path, write: Callable[[io.BufferedWriter], object]) -> None:
    """Write a file through ``write`` so that it is either whole or as before.

    Raises
    ------
    DataError
        If it cannot be written (a full disk, say).

    """
    part = path.with_name(path.name + ".part")
    try:
        try:
            with part.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)  # half a file would only take room
            raise
    except OSError as error:
        raise DataError(
            f"{path} cannot be written.",
            why=f"{error.strerror or error}.",
            remedy="Make room there and run the command again (a training that has a checkpoint: --resume).",
        ) from error


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Save tensors and plain values, atomically."""
    stream = io.BytesIO()  # written to a full disk, torch.save would hide what is wrong
    torch.save(state, stream)
    write_atomically(path, lambda file: file.write(stream.getbuffer()))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint back onto the CPU.

    Raises
    ------
    DataError
        If there is none, it is damaged, or it lacks what a training goes on from.

    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise DataError(
            f"There is no checkpoint {path}.", remedy="Leave --resume out to start a new run."
        ) from error
    except Exception as error:  # torch.load raises whatever its unpickler or zip reader does
        raise DataError(
            f"The checkpoint {path} cannot be read.",
            why=str(error).splitlines()[0] if str(error) else type(error).__name__,
            remedy="Delete it and train again.",
        ) from error
    missing = [name for name in _STATE if name not in state] if isinstance(state, dict) else list(_STATE)
    if missing:
        raise DataError(
            f"The checkpoint {path} is not one of edge-ecg, or of another version.",
            why=f"It lacks {', '.join(missing)}.",
            remedy="Delete it and train again.",
        )
    return state


def save_encoder(path: Path, trunk: Trunk) -> None:
    """Write an .npz of conv1.weight (out, in, k), conv1.bias (out,) ... conv6.bias in float32.

    Beside them stand ``padding`` and ``pooling``, as strings of no dimension.
    """
    arrays: dict[str, Any] = {
        "padding": np.array(trunk.shape.padding), "pooling": np.array(trunk.shape.pooling),
    }  # fmt: skip
    for index, conv in enumerate(trunk.layers, start=1):
        arrays[f"conv{index}.weight"] = conv.weight.detach().cpu().float().numpy()
        arrays[f"conv{index}.bias"] = conv.bias.detach().cpu().float().numpy()
    write_atomically(path, lambda file: np.savez(file, **arrays))


def load_encoder(path: Path) -> Trunk:
    """Read the encoder that ``save_encoder`` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of another network.

    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays, torch.no_grad():
            trunk = Trunk(_shape(arrays))
            for index, (conv, shape) in enumerate(zip(trunk.layers, TRUNK_CONVS, strict=True), start=1):
                weight = torch.from_numpy(arrays[f"conv{index}.weight"])
                if weight.shape != (shape.filters, shape.inputs, shape.taps):
                    raise ValueError(f"conv{index}.weight has the shape {tuple(weight.shape)}")
                conv.weight.copy_(weight)
                conv.bias.copy_(torch.from_numpy(arrays[f"conv{index}.bias"]))
    except FileNotFoundError as error:
        raise DataError(
            f"There is no encoder {path}.", remedy="Train one with `edge-ecg train pretext`."
        ) from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is not an encoder of edge-ecg.", why=str(error), remedy="Train it again."
        ) from error
    return trunk


def _shape(arrays: Any) -> TrunkShape:
    padding, pooling = (str(arrays[name]) for name in ("padding", "pooling"))
    if padding not in get_args(PaddingName) or pooling not in get_args(PoolingName):
        raise ValueError(f"it is padded by {padding!r} and pooled by {pooling!r}")
    return TrunkShape(cast(PaddingName, padding), cast(PoolingName, pooling))
