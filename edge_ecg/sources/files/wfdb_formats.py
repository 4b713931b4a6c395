"""The ways WFDB packs samples into bytes (PhysioNet's signal(5)).

``decode`` takes whole groups of bytes and gives the numbers they hold, in the order of the file. Format 8
stores differences; who reads it adds them up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Digits = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WfdbFormat:
    """One format: ``group_samples`` in ``group_bytes``; ``lost`` is the number that stands for no sample."""

    group_samples: int
    group_bytes: int
    lost: int | None
    decode: Callable[[NDArray[np.uint8]], Digits]

    def bytes_for(self, samples: int) -> int:
        """The length of a file with this many samples; a last, incomplete group is cut where its data end."""
        whole, rest = divmod(samples, self.group_samples)
        if self.group_samples == 3:
            # The third sample shares both halves of the four bytes with the first two.
            return whole * 4 + (0, 2, 4)[rest]
        return whole * self.group_bytes + -(-rest * self.group_bytes // self.group_samples)

    def samples_in(self, size: int) -> int:
        """How many samples a file of ``size`` bytes can hold at most."""
        whole, rest = divmod(max(0, size), self.group_bytes)
        partial = max(n for n in range(self.group_samples) if self.bytes_for(n) <= rest)
        return whole * self.group_samples + partial


def _as(dtype: str, offset: int = 0) -> Callable[[NDArray[np.uint8]], Digits]:
    return lambda data: data.view(dtype).astype(np.int64) - offset


def _signed(values: Digits, bits: int) -> Digits:
    half = 1 << (bits - 1)
    return ((values & ((1 << bits) - 1)) ^ half) - half


def _interleaved(*columns: Digits) -> Digits:
    return np.stack(columns, axis=1).reshape(-1)


def _format_24(data: NDArray[np.uint8]) -> Digits:
    triple = data.reshape(-1, 3).astype(np.int64)
    return _signed(triple[:, 0] | triple[:, 1] << 8 | triple[:, 2] << 16, 24)


def _format_212(data: NDArray[np.uint8]) -> Digits:
    triple = data.reshape(-1, 3).astype(np.int64)
    first = triple[:, 0] | (triple[:, 1] & 0x0F) << 8
    second = triple[:, 2] | (triple[:, 1] & 0xF0) << 4
    return _interleaved(_signed(first, 12), _signed(second, 12))


def _format_310(data: NDArray[np.uint8]) -> Digits:
    pair = data.view("<u2").reshape(-1, 2).astype(np.int64)
    third = pair[:, 0] >> 11 | (pair[:, 1] >> 11) << 5
    return _interleaved(_signed(pair[:, 0] >> 1, 10), _signed(pair[:, 1] >> 1, 10), _signed(third, 10))


def _format_311(data: NDArray[np.uint8]) -> Digits:
    word = data.view("<u4").astype(np.int64)
    return _interleaved(_signed(word, 10), _signed(word >> 10, 10), _signed(word >> 20, 10))


FORMATS: dict[int, WfdbFormat] = {
    8: WfdbFormat(1, 1, None, _as("i1")),
    16: WfdbFormat(1, 2, -(1 << 15), _as("<i2")),
    24: WfdbFormat(1, 3, -(1 << 23), _format_24),
    32: WfdbFormat(1, 4, -(1 << 31), _as("<i4")),
    61: WfdbFormat(1, 2, -(1 << 15), _as(">i2")),
    80: WfdbFormat(1, 1, -(1 << 7), _as("u1", 1 << 7)),
    160: WfdbFormat(1, 2, -(1 << 15), _as("<u2", 1 << 15)),
    212: WfdbFormat(2, 3, -(1 << 11), _format_212),
    310: WfdbFormat(3, 4, -(1 << 9), _format_310),
    311: WfdbFormat(3, 4, -(1 << 9), _format_311),
}
