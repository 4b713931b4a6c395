"""How long refitting a personal head takes, by number of inputs and of marked windows.

    python benchmarks/enrol.py [--repeats 10]

Run it on the device. The data are noise around a centre for each label; time depends on their number and
on the few Newton steps. Embedding the marked windows comes on top: their number times one inference.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from edge_ecg.heads import MlpHead
from edge_ecg.heads.refit import refit
from edge_ecg.refitting import MOST_EXAMPLES

INPUTS = (131, 387)
WINDOWS = (12, 50, 150, MOST_EXAMPLES)
LABELS = (2, 3)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=10)
    args = parser.parse_args()
    print(f"{'labels':>6} {'inputs':>6} {'windows':>7} {'median':>10} {'longest':>10}")
    for labels in LABELS:
        for inputs in INPUTS:
            for windows in WINDOWS:
                taken = measure(labels, inputs, windows, args.repeats)
                median, longest = 1e3 * float(np.median(taken)), 1e3 * max(taken)
                print(f"{labels:6} {inputs:6} {windows:7} {median:7.1f} ms {longest:7.1f} ms")


def measure(labels: int, inputs: int, windows: int, repeats: int) -> list[float]:
    """Seconds of each of ``repeats`` refits."""
    rng = np.random.default_rng(0)
    outputs = 1 if labels == 2 else labels
    head = MlpHead(
        np.zeros(inputs), np.ones(inputs), [rng.normal(0, 0.1, (inputs, outputs))], [np.zeros(outputs)]
    )
    numbers = np.arange(windows) % labels
    values = rng.normal(size=(labels, inputs))[numbers] + 3 * rng.normal(size=(windows, inputs))
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        refit(head, values, numbers)
        taken.append(time.perf_counter() - began)
    return taken


if __name__ == "__main__":
    main()
