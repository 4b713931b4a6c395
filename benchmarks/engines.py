"""How fast the engines of one bundle are, beside PyTorch and as ratios, interleaved in one process.

    python benchmarks/engines.py [--model FILE] [--beside FILE] [--repeats 100] [--threads 1]

Every round runs each engine once on one window, so that whatever else the machine does meets all of them.
PyTorch runs a trunk eagerly with random weights: time does not depend on their values. ``--beside`` lets the
engines of a second bundle take their turns, too, and then the first one's are parts of those.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch

from edge_ecg.bundle import read_bundle
from edge_ecg.engines import open_encoder
from edge_ecg.model import bundled
from edge_ecg_train.networks import PaddingName, PoolingName, Trunk, TrunkShape

BASE = "onnx-fp32"
BESIDE = "beside: "
WARM_UP = 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="a bundle (default: the bundled one)")
    parser.add_argument("--beside", type=Path, metavar="FILE", help="a second bundle to compare with")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    bundle = read_bundle(args.model) if args.model else bundled()
    window = np.random.default_rng(0).normal(size=(1, 2560)).astype(np.float32)

    engines: dict[str, Callable[[], object]] = {}
    for one in [bundle, *([read_bundle(args.beside)] if args.beside else [])]:
        for name in one.manifest.engines:
            encoder = open_encoder(one, name, threads=args.threads)
            engines[name if one is bundle else f"{BESIDE}{name}"] = partial(encoder.embed, window)
    torch.set_num_threads(args.threads)
    if bundle.manifest.encoder.architecture == "sarkar-etemad":
        encoder_spec = bundle.manifest.encoder
        shape = TrunkShape(cast(PaddingName, encoder_spec.padding), cast(PoolingName, encoder_spec.pooling))
        trunk, tensor = Trunk(shape).eval(), torch.from_numpy(window)
        engines["torch"] = lambda: trunk(tensor)

    seconds: dict[str, list[float]] = {name: [] for name in engines}
    with torch.inference_mode():
        for repeat in range(-WARM_UP, args.repeats):
            for name, embed in engines.items():
                began = time.perf_counter()
                embed()
                if repeat >= 0:
                    seconds[name].append(time.perf_counter() - began)

    base = BASE if BASE in engines else next(reversed(engines))
    print(f"{bundle.manifest.name} {bundle.manifest.version}, {args.threads} thread(s), one window a call")
    of = f"{base}, or of the same engine beside it" if args.beside else base
    print(f"{'':>20}{'p50, ms':>10}{'best, ms':>10}   as parts of {of}: p50, best")
    for name, taken in seconds.items():
        p50, best = float(np.median(taken)), min(taken)
        other = seconds.get(f"{BESIDE}{name}", seconds[base])
        ratios = p50 / float(np.median(other)), best / min(other)
        print(f"{name:>20}{1e3 * p50:>10.2f}{1e3 * best:>10.2f}{ratios[0]:>28.2f}{ratios[1]:>6.2f}")


if __name__ == "__main__":
    main()
