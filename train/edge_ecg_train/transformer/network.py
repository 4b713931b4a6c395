"""The Transformer of Vazquez-Rodriguez et al., "Transformer-based self-supervised learning for emotion
recognition" (ICPR 2022), on this project's windows.

Shapes for one window, with the paper's settings::

    window at 256 Hz                                          2560
    decimation by 2 (fixed filter, below)                     1280
    3 convolutions, 65 / 33 / 17 taps, ReLU, layer norm       1280 x 64, x 128, x 256
    a learned CLS token in front, sinusoidal positions added  1281 x 256
    4 Transformer layers, 2 heads, 1024 hidden                1281 x 256
    the CLS token, or the mean of the others                  256

The paper works at 128 Hz, this project's windows, bundles and devices at 256 Hz. So that one store and one
interface serve all encoders, the network halves the rate itself, with a fixed 67-tap filter: flat to 50 Hz
within 0.03 dB, 60 dB down from 64 Hz on, which also is the upper edge of the paper's 0.8 to 50 Hz band.

Strides above 1 are this project's addition (``LITE``): fewer tokens, because attention and the layers' dense
parts are what a Raspberry Pi cannot pay for.
"""  # noqa: D205

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import firwin
from torch import Tensor, nn
from torch.nn import functional

from edge_ecg.errors import UsageError

from ..networks import WINDOW_SAMPLES

DECIMATION = 2
SAMPLES = WINDOW_SAMPLES // DECIMATION
"""Of a window at 128 Hz, the paper's rate."""

FIR_TAPS = 67
_FIR_CUTOFF_HZ = 56.8
_FIR_BETA = 5.76
"""Kaiser's, for 61 dB: 0.1102 (61 - 8.7). The cut-off lies in the middle of 50 to 64 Hz."""

PoolingName = Literal["cls", "mean", "mean-std"]

_LEAST_VARIANCE = 1e-8


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """The form of the network. The defaults are the paper's as far as they are known (docs/transformer.md).

    Parameters
    ----------
    taps, channels, strides:
        Of the convolutions at 128 Hz, one value each; the last one's channels are the width of the tokens.
    layers, heads, feedforward:
        Of the Transformer encoder: how many layers, attention heads, and values between its two dense parts.
    dropout:
        The probability to drop a value in the Transformer layers while training.
    pooling:
        What an embedding is: "cls", the CLS token (what fine-tuning trains); "mean", the mean of the other
        tokens (what masked pretraining trains); "mean-std", mean and standard deviation of these.

    """

    taps: tuple[int, ...] = (65, 33, 17)
    channels: tuple[int, ...] = (64, 128, 256)
    strides: tuple[int, ...] = (1, 1, 1)
    layers: int = 4
    heads: int = 2
    feedforward: int = 1024
    dropout: float = 0.1
    pooling: PoolingName = "mean"

    def __post_init__(self) -> None:
        sizes = (*self.taps, *self.channels, *self.strides, self.layers, self.heads, self.feedforward)
        if not len(self.taps) == len(self.channels) == len(self.strides) or not self.taps or min(sizes) < 1:
            raise UsageError(
                "A Transformer needs as many taps as channels and strides, and sizes of at least 1.",
                why=f"taps = {self.taps}, channels = {self.channels}, strides = {self.strides}, layers = "
                f"{self.layers}, heads = {self.heads}, feedforward = {self.feedforward}.",
            )
        if any(taps % 2 == 0 for taps in self.taps) or SAMPLES % self.stride:
            raise UsageError(
                f"A Transformer's taps must be odd and its strides divide {SAMPLES} samples.",
                why=f"taps = {self.taps}, strides = {self.strides}.",
            )
        if self.width % self.heads or self.width % 2 or not 0 <= self.dropout < 1:
            raise UsageError(
                "The last convolution's channels must be even and divide among the heads; "
                "dropout lies between 0 and 1.",
                why=f"channels = {self.channels}, heads = {self.heads}, dropout = {self.dropout}.",
            )

    @property
    def stride(self) -> int:
        """Samples at 128 Hz from one token to the next."""
        return math.prod(self.strides)

    @property
    def width(self) -> int:
        """Values of a token."""
        return self.channels[-1]

    @property
    def tokens(self) -> int:
        """Tokens of one window, CLS not counted."""
        return SAMPLES // self.stride

    @property
    def padding(self) -> str:
        """The convolutions keep the length; a trunk's shape has this name too."""
        return "same"

    def windows_at_once(self, micro_batch_signals: int) -> int:
        """Return how many windows to pass through the network at once where the trunk takes so many signals.

        One on a CPU for 1280 tokens, eight for 160: what keeps the activations near the caches.
        """
        return max(1, micro_batch_signals * 40 // self.tokens)

    @property
    def embedding(self) -> int:
        """Length of an embedding."""
        return self.width * (2 if self.pooling == "mean-std" else 1)

    @property
    def cnn_receptive_field(self) -> int:
        """Samples at 128 Hz that one token is made of before it attends to the others."""
        seen, jump = 1, 1
        for taps, stride in zip(self.taps, self.strides, strict=True):
            seen += (taps - 1) * jump
            jump *= stride
        return seen

    def cnn_parameters(self) -> int:
        """Weights and biases of the convolutions."""
        return sum(
            taps * inputs * outputs + outputs
            for taps, inputs, outputs in zip(self.taps, (1, *self.channels), self.channels, strict=False)
        )

    def transformer_parameters(self) -> int:
        """Parameters of the Transformer layers."""
        attention = 4 * (self.width * self.width + self.width)
        dense = 2 * self.width * self.feedforward + self.feedforward + self.width
        return self.layers * (attention + dense + 4 * self.width)

    def parameters(self) -> int:
        """All of them: also the convolutions' layer norms and the CLS token."""
        return self.cnn_parameters() + self.transformer_parameters() + 2 * sum(self.channels) + self.width

    def cnn_macs(self) -> int:
        """Multiply-accumulates of the convolutions for one window."""
        total, steps = 0, SAMPLES
        layers = zip(self.taps, (1, *self.channels), self.channels, self.strides, strict=False)
        for taps, inputs, outputs, stride in layers:
            steps //= stride
            total += steps * taps * inputs * outputs
        return total

    def transformer_macs(self) -> int:
        """Multiply-accumulates of the Transformer layers: dense parts, and both products of attention."""
        tokens = self.tokens + 1
        dense = tokens * (4 * self.width**2 + 2 * self.width * self.feedforward)
        return self.layers * (dense + 2 * tokens**2 * self.width)

    def macs(self) -> int:
        """Multiply-accumulates for one window, the decimation filter included."""
        return SAMPLES * FIR_TAPS + self.cnn_macs() + self.transformer_macs()


FULL = TransformerConfig()
"""The paper's network."""

LITE = TransformerConfig(taps=(33, 17, 9), strides=(2, 2, 2), layers=2, feedforward=512)
"""Ours, for a Pi ("transformer-lite"): 160 tokens, each made of 97 samples (the paper's: 113)."""

PRESETS = {"full": FULL, "lite": LITE}


def decimation_filter() -> NDArray[np.float64]:
    """Return the 67 taps (symmetric, sum 1) that go before every second sample is dropped."""
    taps: NDArray[np.float64] = firwin(
        FIR_TAPS, _FIR_CUTOFF_HZ, window=("kaiser", _FIR_BETA), fs=SAMPLES / 10.0 * DECIMATION
    )
    return taps


def sinusoidal_positions(length: int, width: int) -> NDArray[np.float64]:
    """Return the fixed positions (length, width) of Vaswani et al. (2017), section 3.5."""
    rate = np.exp(-np.log(10_000.0) * np.arange(0, width, 2) / width)
    angle = np.arange(length)[:, None] * rate
    return np.stack([np.sin(angle), np.cos(angle)], 2).reshape(length, width)


class ConvBlock(nn.Module):
    """Convolution, ReLU and layer norm over the channels: (n, c, 1, time) to (n, c', 1, time / stride)."""

    def __init__(self, inputs: int, outputs: int, taps: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, (1, taps), (1, stride), (0, taps // 2))
        self.norm = nn.LayerNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve; time stays channels-last, so that the norm needs no copy."""
        hidden = functional.relu(self.conv(x)).permute(0, 2, 3, 1)
        normed: Tensor = self.norm(hidden)
        return normed.permute(0, 3, 1, 2)


class TransformerNetwork(nn.Module):
    """Normalised ECG windows at 256 Hz to embeddings: (n, 2560) float32 to (n, d)."""

    fir: Tensor
    positions: Tensor

    def __init__(self, config: TransformerConfig = FULL) -> None:
        super().__init__()
        self.config = config
        sizes = zip((1, *config.channels), config.channels, config.taps, config.strides, strict=False)
        self.convs = nn.ModuleList(ConvBlock(*one) for one in sizes)
        self.cls = nn.Parameter(0.02 * torch.randn(config.width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.width, config.heads, config.feedforward, config.dropout, batch_first=True
            )
            for _ in range(config.layers)
        )
        # Fixed, so not in the state: a file of weights cannot disagree with them.
        fir = torch.from_numpy(decimation_filter()).float()
        positions = torch.from_numpy(sinusoidal_positions(config.tokens + 1, config.width)).float()
        self.register_buffer("fir", fir[None, None, None], persistent=False)
        self.register_buffer("positions", positions, persistent=False)

    @property
    def shape(self) -> TransformerConfig:
        """The form, under the name that the convolutional trunk has for its own."""
        return self.config

    def decimate(self, windows: Tensor) -> Tensor:
        """Filter windows (n, 2560) at 256 Hz and keep every second sample: (n, 1280) at 128 Hz."""
        with torch.autocast(windows.device.type, enabled=False):
            filtered = functional.conv2d(
                windows[:, None, None], self.fir, stride=(1, DECIMATION), padding=(0, FIR_TAPS // 2)
            )
        return filtered[:, 0, 0]

    def tokens(self, ecg: Tensor) -> Tensor:
        """Return the last layer's tokens (n, 1 + tokens, width), CLS first, for ECG (n, 1280) at 128 Hz."""
        x = ecg[:, None, None].contiguous(memory_format=torch.channels_last)
        for block in self.convs:
            x = block(x)
        x = x.squeeze(2).transpose(1, 2)
        x = torch.cat([self.cls.to(x.dtype).expand(len(x), 1, -1), x], 1) + self.positions
        for layer in self.layers:
            x = layer(x)
        return x

    def pool(self, tokens: Tensor) -> Tensor:
        """Make embeddings (n, d) of tokens."""
        if self.config.pooling == "cls":
            return tokens[:, 0]
        if self.config.pooling == "mean":
            return tokens[:, 1:].mean(1)
        variance, mean = torch.var_mean(tokens[:, 1:].float(), 1, correction=0)
        return torch.cat([mean, variance.clamp(min=_LEAST_VARIANCE).sqrt()], 1)

    def forward(self, windows: Tensor) -> Tensor:
        """Embed windows (n, 2560)."""
        return self.pool(self.tokens(self.decimate(windows)))


def transformer_facts(config: TransformerConfig) -> dict[str, Any]:
    """Return what run.json and a bundle's manifest say of this encoder, in samples at 256 Hz."""
    return {
        "architecture": "transformer",
        "parameters": config.parameters(),
        "macs": config.macs(),
        "stride": DECIMATION * config.stride,
        # Every token attends to every other one.
        "receptive_field_samples": WINDOW_SAMPLES,
        "embedding": config.embedding,
        "padding": config.padding,
        "pooling": config.pooling,
        "tokens": config.tokens,
    }
