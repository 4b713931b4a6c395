"""Pretext training throughput: ours against the obvious implementation, in interleaved rounds.

    python benchmarks/pretrain_throughput.py [--threads 1] [--windows 16] [--rounds 5] [--workers 2]
                                             [--store STORE ...] [--device cuda]

The obvious implementation is `obvious_pretext.py`: NumPy transformations in a DataLoader, with no worker and
with `--workers` of them. Ours runs on windows in memory, in float32 and where that is native in bfloat16
(on a GPU also compiled), and on a memory-mapped store of several shards with and without reading ahead, in
full and in block shuffle. Without `--store` the shards are generated; they then lie in the page cache, as a
store does that fits the memory.

Each round times every variant once, so that a busy moment of the machine falls on no variant alone; the
table shows each variant's best round, and on the mean of all rounds where its time went. The arithmetic is
compared with the device's peak where that is known, else with what a wide convolution or a large product of
matrices reaches on it in the same precision.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from device_peak import flops_a_signal, peak
from obvious_pretext import VERSIONS, Obvious

from edge_ecg_train.device import Execution, Machine, flushed_denormals, prepare_machine
from edge_ecg_train.pretext import PretextConfig
from edge_ecg_train.pretext_trainer import PretextTrainer
from edge_ecg_train.sampling import FULL_SHUFFLE, Shuffle
from edge_ecg_train.sharded import Windows, open_shards
from edge_ecg_train.store_writer import StoreWriter, WindowMeta

BLOCKS = Shuffle(block=64, buffer=64)


class Variant(Protocol):
    """One way to train; ``split`` adds up the seconds of its parts."""

    split: dict[str, float]

    def advance(self) -> None:
        """Make one step."""

    def close(self) -> None:
        """End its threads and processes."""


class Ours:
    """The trainer itself, with a watch at the reading and at the transformations."""

    def __init__(
        self,
        windows: Windows,
        batch: int,
        machine: Machine,
        shuffle: Shuffle = FULL_SHUFFLE,
        ahead: bool = True,
    ) -> None:
        config = PretextConfig(steps=10**6, batch_windows=batch, shuffle=shuffle)
        rows = np.arange(len(windows))
        self.trainer: Any = PretextTrainer(windows, rows, rows[:0], config, machine)
        self.on_gpu = machine.device.type == "cuda"
        self.split: dict[str, float] = {}
        if not ahead:
            self.trainer._ahead.take = self.trainer._read
        self.trainer._ahead.take = self._timed("read", self.trainer._ahead.take)
        self.trainer._training_signals = self._timed("transform", self.trainer._training_signals)

    def _timed(self, part: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:
            started = time.perf_counter()
            result = work(*args)
            if self.on_gpu:
                torch.cuda.synchronize()
            self.split[part] = self.split.get(part, 0.0) + time.perf_counter() - started
            return result

        return timed

    def advance(self) -> None:
        """Make one step."""
        before = sum(self.split.get(part, 0.0) for part in ("read", "transform"))
        started = time.perf_counter()
        self.trainer.advance()
        rest = time.perf_counter() - started - (self.split["read"] + self.split["transform"] - before)
        self.split["network"] = self.split.get("network", 0.0) + rest

    def close(self) -> None:
        """End the reading ahead."""
        self.trainer.close()


def generated_shards(folder: Path, shards: int = 4, windows: int = 256) -> list[Path]:
    """Write small stores of noise."""
    paths = [folder / f"shard{number}" for number in range(shards)]
    for seed, path in enumerate(paths):
        rng = np.random.default_rng(seed)
        with StoreWriter(path) as writer:
            for row in range(windows):
                meta = WindowMeta(
                    dataset="noise", subject=f"noise/{seed}", session="1", lead="I", start_s=10.0 * row,
                    heart_rate_bpm=float("nan"), quality=1.0, labels={},
                )  # fmt: skip
                writer.append(rng.standard_normal(2560).astype(np.float32), meta)
            writer.commit(preprocessing={}, labels={}, datasets=[], windowing={"hop_s": 10.0})
    return paths


def variants(args: argparse.Namespace, stores: list[Path]) -> dict[str, tuple[Variant, Machine]]:
    """Return what is compared; the first is what the ratios are to."""
    mapped, _, _ = open_shards(stores)
    memory = np.asarray(mapped[np.arange(min(len(mapped), 8 * args.windows))], np.float32)
    fp32 = prepare_machine(Execution(args.device, "fp32", args.threads))
    best = prepare_machine(Execution(args.device, "auto", args.threads))
    found: dict[str, tuple[Variant, Machine]] = {}
    for workers in dict.fromkeys((0, args.workers)):
        found[f"obvious, fp32, {workers} workers"] = Obvious(memory, args.windows, workers, fp32.device), fp32
    found["memory, fp32"] = Ours(memory, args.windows, fp32), fp32
    if best.precision != "fp32":
        found[f"memory, {best.precision}"] = Ours(memory, args.windows, best), best
    if args.compile or best.device.type == "cuda":
        compiled = prepare_machine(Execution(args.device, "auto", args.threads, compile=True))
        found[f"memory, {best.precision}, compiled"] = Ours(memory, args.windows, compiled), compiled
        best = compiled if best.device.type == "cuda" else best
    for shuffle, name in ((FULL_SHUFFLE, "full shuffle"), (BLOCKS, "block shuffle")):
        for ahead in (False, True):
            label = f"store, {name}{', ahead' * ahead}"
            found[label] = Ours(mapped, args.windows, best, shuffle, ahead), best
    return found


def measure(found: dict[str, tuple[Variant, Machine]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each variant's step in each round, after a step that does not count."""
    times: dict[str, list[float]] = {name: [] for name in found}
    with flushed_denormals():
        for number in range(-1, rounds):
            for name, (variant, _) in found.items():
                if number == 0:
                    variant.split.clear()
                started = time.perf_counter()
                variant.advance()
                if number >= 0:
                    times[name].append(time.perf_counter() - started)
                print(f"round {number + 1}/{rounds}: {name}", file=sys.stderr)
    return times


def table(
    args: argparse.Namespace, found: dict[str, tuple[Variant, Machine]], times: dict[str, list[float]]
) -> None:
    """Print it."""
    base = np.array(next(iter(times.values())))
    steps = f"{args.windows} windows x {VERSIONS} versions a step"
    print(f"{torch.get_num_threads()} thread(s), {steps}, {args.rounds} rounds; its parts in ms a step")
    print(f"{'':30}{'windows/s':>10}{'signals/s':>10}{'ratio':>7}{'read':>7}{'transf.':>8}{'network':>9}"
          f"{'GFLOP/s':>9}  ratio in each round")  # fmt: skip
    for name, taken in times.items():
        rate = args.windows / min(taken)
        read, transform, network = (
            1000 * found[name][0].split.get(part, 0.0) / args.rounds
            for part in ("read", "transform", "network")
        )
        each = " ".join(f"{ratio:.2f}" for ratio in base / np.array(taken))
        gflops = flops_a_signal() * VERSIONS * rate / 1e9
        print(f"{name:30}{rate:10.1f}{VERSIONS * rate:10.0f}{base.min() / min(taken):7.2f}{read:7.2f}"
              f"{transform:8.1f}{network:9.1f}{gflops:9.0f}  {each}")  # fmt: skip
    for machine in {machine.precision: machine for _, machine in found.values()}.values():
        names = [name for name, (_, its) in found.items() if its.precision == machine.precision]
        fastest = min(names, key=lambda name: min(times[name]))
        done = flops_a_signal() * VERSIONS * args.windows / min(times[fastest])
        there, how = peak(machine)
        print(f"{fastest}: {done / there:.0%} of {there / 1e9:.0f} GFLOP/s ({how})")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--windows", type=int, default=16, help="a batch; each becomes 7 signals")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="of the DataLoader, beside 0")
    parser.add_argument("--store", type=Path, nargs="+", help="a real store, or its shards")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", action="store_true", help="the compiled step on a CPU too")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", message="Using padding='same'")
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        found = variants(args, args.store or generated_shards(Path(folder)))
        try:
            times = measure(found, args.rounds)
        finally:
            for variant, _ in found.values():
                variant.close()
    table(args, found, times)


if __name__ == "__main__":
    main()
