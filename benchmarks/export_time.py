"""How long writing both int8 files from one table takes; calibration apart.

    python benchmarks/export_time.py [--encoder RUN/encoder.npz] [--windows 16] [--repeats 10]

Without an encoder the weights are random, and windows are noise: time depends on neither.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from edge_ecg_export.calibrate import calibrate
from edge_ecg_export.graph import CONV_SHAPES, load_trunk, make_trunk
from edge_ecg_export.onnx_writer import int8_onnx
from edge_ecg_export.quantise import quantise
from edge_ecg_export.tflite_writer import int8_tflite


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--windows", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=10)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    arrays = {}
    for index, (outputs, inputs, taps) in enumerate(CONV_SHAPES, start=1):
        bound = np.sqrt(6 / (taps * (inputs + outputs)))
        arrays[f"conv{index}.weight"] = rng.uniform(-bound, bound, (outputs, inputs, taps))
        arrays[f"conv{index}.bias"] = np.zeros(outputs)
    trunk = load_trunk(args.encoder) if args.encoder else make_trunk(arrays)
    windows = rng.normal(size=(args.windows, 2560)).astype(np.float32)

    began = time.perf_counter()
    calibration = calibrate(trunk, windows)
    print(f"calibration: {1e3 * (time.perf_counter() - began) / args.windows:.0f} ms a window")
    for float_convs in (0, 2):
        began = time.perf_counter()
        table = quantise(trunk, calibration, float_convs)
        each = 1e3 * (time.perf_counter() - began) / args.windows
        print(f"float_convs {float_convs}: the table, with its correction, {each:.0f} ms a window")
        writers: dict[str, Callable[[], bytes]] = {
            "onnx-int8": partial(int8_onnx, table),
            "litert-int8": partial(int8_tflite, table),
        }
        for name, write in writers.items():
            taken = []
            for _ in range(args.repeats):
                began = time.perf_counter()
                data = write()
                taken.append(time.perf_counter() - began)
            p50, best = 1e3 * float(np.median(taken)), 1e3 * min(taken)
            print(f"  {name:>11}: {len(data):,} bytes in {p50:.1f} ms (best {best:.1f})")


if __name__ == "__main__":
    main()
