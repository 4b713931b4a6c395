"""Pretext training throughput: ours against the obvious implementation, in one interleaved run.

    python benchmarks/pretrain_throughput.py [--threads 1] [--windows 16] [--rounds 5]

The obvious implementation: NumPy transformations window by window, as a DataLoader would make them; Conv1d
with padding="same" in float32, activation before pooling, seven heads one after another, the whole batch at
once. Ours runs in float32 and, where that is native, in bfloat16. Each round times every variant once, so
that a busy moment of the machine falls on no variant alone; the table shows each variant's best round.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from edge_ecg_train.device import Execution, flushed_denormals, prepare_machine
from edge_ecg_train.losses import L2, TASK_WEIGHTS
from edge_ecg_train.pretext import PretextConfig
from edge_ecg_train.pretext_trainer import PretextTrainer

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


def obvious_versions(x: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
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


class Obvious:
    """A training step of it."""

    def __init__(self, windows: np.ndarray) -> None:
        self.windows = windows
        self.rng = np.random.default_rng(0)
        self.network = ObviousNetwork()
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=1e-3)

    def advance(self) -> None:
        """Make one step."""
        signals = np.stack([v for x in self.windows for v in obvious_versions(x, self.rng)]).astype(
            np.float32
        )
        targets = torch.eye(VERSIONS).repeat(len(self.windows), 1)
        logits = self.network(torch.from_numpy(signals))
        losses = nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(0)
        kernels = [p for p in self.network.parameters() if p.ndim > 1]
        penalty = L2 * 0.5 * sum(p.square().sum() for p in kernels)
        self.optimiser.zero_grad()
        ((losses * torch.tensor(TASK_WEIGHTS)).sum() + penalty).backward()
        self.optimiser.step()


def ours(windows: np.ndarray, precision: str) -> PretextTrainer:
    config = PretextConfig(steps=1000, batch_windows=len(windows))
    machine = prepare_machine(Execution("cpu", precision))
    return PretextTrainer(windows, np.arange(len(windows)), np.arange(0), config, machine)


def seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--windows", type=int, default=16, help="a batch; each becomes 7 signals")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    warnings.filterwarnings("ignore", message="Using padding='same'")
    torch.set_num_threads(args.threads)
    windows = np.random.default_rng(0).standard_normal((args.windows, 2560)).astype(np.float32)
    variants: dict[str, Callable[[], object]] = {
        "obvious, float32": Obvious(windows).advance,
        "edge-ecg, float32": ours(windows, "fp32").advance,
    }
    if prepare_machine(Execution("cpu", "auto")).precision == "bf16":
        variants["edge-ecg, bfloat16"] = ours(windows, "bf16").advance
    times: dict[str, list[float]] = {name: [] for name in variants}
    with flushed_denormals():
        for step in variants.values():
            step()
        for _ in range(args.rounds):
            for name, step in variants.items():
                times[name].append(seconds(step))
    base = np.array(times["obvious, float32"])
    steps = f"{args.windows} windows x {VERSIONS} versions a step"
    print(f"{args.threads} thread(s), {steps}, {args.rounds} rounds")
    print(f"{'':20}{'windows/s':>10}{'signals/s':>10}{'ratio':>7}   ratio in each round")
    for name, taken in times.items():
        rate = args.windows / min(taken)
        ratios = base / np.array(taken)
        each = " ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"{name:20}{rate:10.1f}{VERSIONS * rate:10.0f}{base.min() / min(taken):7.2f}   {each}")


if __name__ == "__main__":
    main()
