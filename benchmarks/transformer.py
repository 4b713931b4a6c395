"""What a Transformer costs beside the convolutional trunk: size, arithmetic, time, training, int8.

    python benchmarks/transformer.py STORE [--run RUN] [--repeats 50] [--train-s 20]

Weights are random unless a run is given for the lite network; time does not depend on them. One thread. Every
round runs each engine once on one window, and what is printed is processor time, so that a busy machine
disturbs little. Closeness of int8 is measured on windows of people whom calibration did not see: the
cosine of embeddings, and the harder one of what is left when the mean embedding is taken off. Training is
masked pretraining, the whole step.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

# Before ONNX Runtime is loaded: no reports to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from edge_ecg_export.calibrate import calibrate
from edge_ecg_export.graph import load_trunk
from edge_ecg_export.onnx_writer import fp32_onnx, int8_onnx
from edge_ecg_export.quantise import quantise
from edge_ecg_export.transformer import quantised_onnx
from edge_ecg_export.transformer_graph import transformer_onnx
from edge_ecg_train.checkpoint import save_encoder
from edge_ecg_train.device import Execution, flushed_denormals, prepare_machine
from edge_ecg_train.networks import TRUNK_MACS, TRUNK_PARAMETERS, Trunk
from edge_ecg_train.store import WindowStore
from edge_ecg_train.transformer.encoder_file import load_transformer
from edge_ecg_train.transformer.masked import MaskedConfig
from edge_ecg_train.transformer.masked_trainer import MaskedTrainer
from edge_ecg_train.transformer.network import FULL, LITE, TransformerConfig, TransformerNetwork

Windows = NDArray[np.float32]
WARM_UP = 3
CALIBRATION, CHECK = 64, 64


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("store", type=Path, help="windows to calibrate, check and train with")
    parser.add_argument("--run", type=Path, help="a pretrained Transformer in place of the random lite one")
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--train-s", type=float, default=20.0, help="0 leaves training out")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    store = WindowStore.open(args.store)
    calibration, check = halves(store)
    lite = load_transformer(args.run / "encoder.npz") if args.run else TransformerNetwork(LITE).eval()
    networks = {"full": TransformerNetwork(FULL).eval(), "lite": lite}

    models = trunk_models(calibration)
    sizes = {"trunk": (TRUNK_PARAMETERS, TRUNK_MACS)}
    for name, network in networks.items():
        whole = transformer_onnx(network)
        models[f"{name} fp32"] = whole
        models[f"{name} int8"] = quantised_onnx(whole, network.config, calibration)
        sizes[name] = network.config.parameters(), network.config.macs()
    sessions = {name: session(data) for name, data in models.items()}
    taken = interleaved(
        {name: partial(embed, one, check[:1]) for name, one in sessions.items()}, args.repeats
    )

    base = float(np.median(taken["trunk fp32"]))
    print(f"ONNX Runtime, one thread, one window a call, {args.repeats} interleaved rounds, processor time")
    columns = ("parameters", 12), ("GMAC", 8), ("bytes", 12), ("p50, ms", 10), ("best, ms", 10), ("ratio", 8)
    print(" " * 11 + "".join(f"{title:>{width}}" for title, width in columns))
    for name, seconds in taken.items():
        parameters, macs = sizes[name.split()[0]]
        p50 = float(np.median(seconds))
        print(
            f"{name:>11}{parameters:>12,}{macs / 1e9:>8.3f}{len(models[name]):>12,}"
            f"{1e3 * p50:>10.2f}{1e3 * min(seconds):>10.2f}{p50 / base:>8.2f}"
        )
    print(
        f"\nint8 against fp32 on {len(check)} windows of other people, cosine: mean, least; without the mean"
    )
    for name in sizes:
        whole, rounded = (embed(sessions[f"{name} {kind}"], check) for kind in ("fp32", "int8"))
        plain, apart = cosines(whole, rounded), cosines(whole - whole.mean(0), rounded - whole.mean(0))
        print(f"{name:>11}{plain.mean():>10.5f}{plain.min():>10.5f}{apart.mean():>12.5f}{apart.min():>10.5f}")
    if args.train_s:
        print("\nmasked pretraining, float32, one thread")
        for name, form in (("full", FULL), ("lite", LITE)):
            rate, cpu = training_rate(store, form, args.train_s)
            print(f"{name:>11}{rate:>10.2f} windows/s, {cpu:.2f} a second of processor time")


def halves(store: WindowStore) -> tuple[Windows, Windows]:
    """Windows of the first half of the people, and of the others."""
    people = np.unique(store.subject)
    first = np.isin(store.subject, people[: len(people) // 2])
    parts = []
    for rows, count in ((np.flatnonzero(first), CALIBRATION), (np.flatnonzero(~first), CHECK)):
        some = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
        parts.append(np.array(store.windows[some], np.float32))
    return parts[0], parts[1]


def trunk_models(calibration: Windows) -> dict[str, bytes]:
    """The convolutional trunk, random, through this project's own quantiser."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.npz"
        save_encoder(path, Trunk())
        trunk = load_trunk(path)
    ranges = calibrate(trunk, calibration[:16])
    return {"trunk fp32": fp32_onnx(trunk), "trunk int8": int8_onnx(quantise(trunk, ranges, 0))}


def session(data: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def embed(one: onnxruntime.InferenceSession, windows: Windows) -> Windows:
    # One by one: the full network's attention maps of many windows would fill the memory.
    name = one.get_inputs()[0].name
    return np.concatenate([one.run(None, {name: windows[row : row + 1]})[0] for row in range(len(windows))])


def interleaved(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for repeat in range(-WARM_UP, repeats):
        for name, call in calls.items():
            began = time.process_time()
            call()
            if repeat >= 0:
                seconds[name].append(time.process_time() - began)
    return seconds


def cosines(one: Windows, other: Windows) -> Windows:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    result: Windows = (one * other).sum(1) / lengths
    return result


def training_rate(store: WindowStore, form: TransformerConfig, limit_s: float) -> tuple[float, float]:
    """Windows a second, by the clock and by processor time, after one step to warm up."""
    batch = 2 if form is FULL else 32
    config = replace(MaskedConfig(steps=10**6), batch_windows=batch, network=form)
    machine = prepare_machine(Execution("cpu", "fp32", 1))
    rows = np.arange(len(store))
    trainer = MaskedTrainer(store.windows, rows, rows[:0], config, machine)
    with flushed_denormals():
        trainer.advance()
        began, cpu, steps = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - began < limit_s:
            trainer.advance()
            steps += 1
    done = steps * batch
    return done / (time.perf_counter() - began), done / (time.process_time() - cpu)


if __name__ == "__main__":
    main()
