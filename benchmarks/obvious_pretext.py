"""A pretext step as one would write it down first, to compare with: what `pretrain_throughput.py` beats.

NumPy transformations window by window in the workers of a torch DataLoader; Conv1d with padding="same" in
float32, activation before pooling, seven heads one after another, the whole batch at once.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from edge_ecg_train.losses import L2, TASK_WEIGHTS

VERSIONS = 7


class ObviousNetwork(nn.Module):
    """Table 1 and its heads, written down as they are."""

    def __init__(self) -> None:
        super().__init__()

        def conv(inputs: int, filters: int, taps: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv1d(inputs, filters, taps, padding="same"), nn.LeakyReLU(0.2))

        def head() -> nn.Sequential:
            dense = [nn.Linear(128, 128), nn.LeakyReLU(0.2), nn.Dropout(0.6)]
            return nn.Sequential(
                *dense, nn.Linear(128, 128), nn.LeakyReLU(0.2), nn.Dropout(0.6), nn.Linear(128, 1)
            )

        self.trunk = nn.Sequential(
            conv(1, 32, 32), conv(32, 32, 32), nn.MaxPool1d(8, 2),
            conv(32, 64, 16), conv(64, 64, 16), nn.MaxPool1d(8, 2),
            conv(64, 128, 8), conv(128, 128, 8), nn.AdaptiveMaxPool1d(1), nn.Flatten(),
        )  # fmt: skip
        self.heads = nn.ModuleList(head() for _ in range(VERSIONS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (n, 7)."""
        embedding = self.trunk(x[:, None])
        return torch.cat([head(embedding) for head in self.heads], 1)


def versions_of(x: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the window's seven versions, in the order of ``transforms.VERSIONS``."""
    noisy = x + rng.normal(0, math.sqrt(np.mean(x**2) / 10**1.5), len(x))
    pieces = x.reshape(20, 128)[rng.permutation(20)]
    stretched = set(rng.permutation(9)[:5].tolist())
    warped = []
    for i in range(9):
        piece = x[i * 284 : (i + 1) * 284]
        length = 299 if i in stretched else 271
        warped.append(np.interp((np.arange(length) + 0.5) * 284 / length - 0.5, np.arange(284), piece))
    start = rng.integers(19)
    return [x, noisy, 1.1 * x, -x, x[::-1], pieces.ravel(), np.concatenate(warped)[start : start + 2560]]


class ObviousDataset(Dataset[torch.Tensor]):
    """A window of a store and its versions, (7, 2560)."""

    def __init__(self, windows: np.ndarray) -> None:
        self.windows = windows

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, row: int) -> torch.Tensor:
        rng = np.random.default_rng([0, row])
        return torch.from_numpy(np.stack(versions_of(self.windows[row], rng)).astype(np.float32))


class Obvious:
    """A training of it; ``split`` adds up where its seconds went.

    Between its steps the workers stand still: they must not work ahead while others are timed.
    """

    def __init__(self, windows: np.ndarray, batch: int, workers: int, device: torch.device) -> None:
        self.device = device
        self.network = ObviousNetwork().to(device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        self.loader = DataLoader(
            ObviousDataset(windows), batch, shuffle=True, drop_last=True, num_workers=workers,
            persistent_workers=workers > 0,
        )  # fmt: skip
        self.batches = self._endless()
        self.split: dict[str, float] = {}

    def _endless(self) -> Iterator[torch.Tensor]:
        while True:
            yield from self.loader

    def advance(self) -> None:
        """Make one step."""
        started = time.perf_counter()
        _signal_workers(signal.SIGCONT)
        signals = next(self.batches).flatten(0, 1).to(self.device)
        loaded = time.perf_counter()
        targets = torch.eye(VERSIONS, device=self.device).repeat(len(signals) // VERSIONS, 1)
        logits = self.network(signals)
        losses = nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(0)
        kernels = [p for p in self.network.parameters() if p.ndim > 1]
        penalty = L2 * 0.5 * sum(p.square().sum() for p in kernels)
        self.optimiser.zero_grad()
        ((losses * torch.tensor(TASK_WEIGHTS, device=self.device)).sum() + penalty).backward()
        self.optimiser.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        # The loader reads and transforms in one: what a step waits for it.
        self.split["transform"] = self.split.get("transform", 0.0) + loaded - started
        self.split["network"] = self.split.get("network", 0.0) + time.perf_counter() - loaded
        _signal_workers(signal.SIGSTOP)

    def close(self) -> None:
        """Let the workers end."""
        _signal_workers(signal.SIGCONT)


def _signal_workers(number: signal.Signals) -> None:
    for worker in multiprocessing.active_children():
        if worker.pid is not None:
            os.kill(worker.pid, number)
