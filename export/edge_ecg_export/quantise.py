"""A first quantiser: min/max."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .graph import Conv, GlobalMax, Leaky, Pool, Trunk
from .quantised import INPUT, RESIDUE_GAINS, Affine, QConv, QGlobalMax, QLeaky, QPool, QStep, QuantisedTrunk
from .reference import float_steps


def affine(lo: float, hi: float) -> Affine:
    lo, hi = min(lo, 0.0), max(hi, 0.0)
    s = np.float32((hi - lo) / 255)
    return Affine(float(s), int(np.clip(np.rint(-128 - lo / s), -128, 127)))


def quantise(trunk: Trunk, windows: NDArray[np.floating]) -> QuantisedTrunk:
    lo: dict[str, np.ndarray] = {}
    hi: dict[str, np.ndarray] = {}
    for w in windows:
        for name, x in float_steps(trunk, w):
            a, b = x.min(1), x.max(1)
            lo[name] = np.minimum(lo.get(name, a), a)
            hi[name] = np.maximum(hi.get(name, b), b)
    steps: list[QStep] = []
    x = INPUT
    prev = None
    gain = offset = np.zeros(128, np.float32)
    for i, step in enumerate(trunk.steps):
        match step:
            case Conv():
                w = step.weight.astype(np.float64)
                b = step.bias.astype(np.float64)
                if prev is not None:
                    w = w * prev[None, :, None]
                nxt = trunk.steps[i + 1]
                ref = nxt.name if not isinstance(nxt, Leaky) else step.name
                l, h = lo[ref], hi[ref]
                if isinstance(nxt, GlobalMax):
                    d = np.maximum((h - l) / 2, 1e-6)
                    mid = (l + h) / 2
                    gain, offset = d.astype(np.float32), mid.astype(np.float32)
                    w, b = w / d[:, None, None], (b - mid) / d
                    target = affine(-1.0, 1.0)
                else:
                    d = np.maximum(np.maximum(h, -0.2 * l), 1e-6)
                    w, b = w / d[:, None, None], b / d
                    target = affine((l / d).min(), (h / d).max())
                prev = d
                ws = np.maximum(np.abs(w).max((1, 2)) / 127, 1e-12).astype(np.float32)
                q = np.rint(w / ws[:, None, None])
                if step.name == "conv1":
                    rem = w / ws[:, None, None] - 0
                    parts = [q]
                    for g in RESIDUE_GAINS:
                        p = np.rint(rem / g)
                        rem = rem - p * g
                        parts.append(p)
                    q = np.concatenate(parts, 1)
                bs = np.float32(x.scale) * ws
                c = QConv(step.name, q.astype(np.int8), ws, np.rint(b / bs).astype(np.int32), x, target)
                steps.append(c)
                x = target
            case Pool():
                steps.append(QPool(step.name, x))
            case GlobalMax():
                steps.append(QGlobalMax(step.name, x))
                break
            case Leaky():
                l, h = (-128 - x.zero_point), (127 - x.zero_point)
                k = int(256 * 255 / (h - 0.2 * l) // 10 * 10 - 5)
                k = max(min(k, 505), 255)
                lk = QLeaky(step.name, x, int(np.clip(np.rint(-128 - 0.2 * l * k / 256), -128, 127)), k, k // 5)
                steps.append(lk)
                x = lk.target
    return QuantisedTrunk(tuple(steps), gain, offset)
