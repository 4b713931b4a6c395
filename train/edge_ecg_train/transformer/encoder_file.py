"""A Transformer encoder as plain arrays in encoder.npz, beside its form as JSON."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edge_ecg.errors import DataError, UsageError

from ..checkpoint import write_atomically
from .network import TransformerConfig, TransformerNetwork

ARCHITECTURE = "transformer"


def save_transformer(path: Path, network: TransformerNetwork) -> None:
    """Write an .npz: the parameters by their names in PyTorch, in float32; ``architecture``; ``config``."""
    arrays: dict[str, Any] = {
        name: value.detach().cpu().float().numpy() for name, value in network.state_dict().items()
    }
    arrays["architecture"] = np.array(ARCHITECTURE)
    arrays["config"] = np.array(json.dumps(asdict(network.config)))
    write_atomically(path, lambda file: np.savez(file, **arrays))


def is_transformer(path: Path) -> bool:
    """Say whether a file is an encoder that ``save_transformer`` wrote; False for whatever cannot be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return "architecture" in arrays and str(arrays["architecture"]) == ARCHITECTURE
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False


def load_transformer(path: Path) -> TransformerNetwork:
    """Read the encoder that ``save_transformer`` wrote, in evaluation mode.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of another network.

    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if str(arrays["architecture"]) != ARCHITECTURE:
                raise ValueError(f"its architecture is {arrays['architecture']}")
            network = TransformerNetwork(_config(json.loads(str(arrays["config"]))))
            state = {
                name: torch.from_numpy(arrays[name])
                for name in arrays.files
                if name not in ("architecture", "config")
            }
            network.load_state_dict(state)
    except FileNotFoundError as error:
        raise DataError(
            f"There is no encoder {path}.",
            remedy="Train one with `edge-ecg train pretext --recipe transformer-lite`.",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, zipfile.BadZipFile,
            UsageError) as error:  # fmt: skip
        raise DataError(
            f"{path} is not a Transformer encoder of edge-ecg.", why=str(error), remedy="Train it again."
        ) from error
    return network.eval()


def encoder_state(network: TransformerNetwork) -> dict[str, Tensor]:
    """Return a copy of an encoder's parameters, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def _config(values: Mapping[str, Any]) -> TransformerConfig:
    entries: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    return TransformerConfig(**entries)
