"""The convolutional trunk of Sarkar & Etemad and the heads that are trained on it.

Table 1 of "Self-supervised learning for ECG-based emotion recognition" (ICASSP 2020): six convolutions in
three blocks, two max-pools, a global maximum over time. Shapes for a window of 2560 samples::

    conv1, conv2   32 taps,  32 filters   2560 × 32
    max-pool       8, stride 2, valid     1277 × 32
    conv3, conv4   16 taps,  64 filters   1277 × 64
    max-pool       8, stride 2, valid      635 × 64
    conv5, conv6   8 taps,  128 filters    635 × 128
    global max                             128

Convolutions are padded to "same" as TensorFlow and PyTorch both do for even kernels: (k-1)//2 zeros on the
left, k//2 on the right. Activations are LeakyReLU with slope 0.2; there is no batch normalisation.

Two things can be asked for that the paper has not (:class:`TrunkShape`): ``valid`` convolutions, whose values
depend on the signal alone and never on where a window's edge lies; and pooling by maximum, mean and standard
deviation over time. A maximum says that a shape occurs, a mean how often: it gives back the heart rate, which
the trunk's 0.78 s of sight cannot hold as an interval.

The convolutions run as 1 × k images in channels-last order: on CPUs this is 1.4 (one thread) to 2 times
(two threads) as fast as ``conv1d`` and gives the same function. Parameters keep the 1-D layout
``(out, in, k)``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .conv import VALID, Padding, conv, same_padding

WINDOW_SAMPLES = 2560
EMBEDDING = 128
LEAKY_SLOPE = 0.2
POOL_WIDTH = 8
POOL_STRIDE = 2
TRUNK_PARAMETERS = 329_152
TRUNK_MACS = 336_887_808
TRUNK_STRIDE = 4
TRUNK_RECEPTIVE_FIELD_SAMPLES = 200


class ConvShape(NamedTuple):
    """One convolution of the trunk."""

    inputs: int
    filters: int
    taps: int


TRUNK_CONVS: tuple[ConvShape, ...] = (
    ConvShape(1, 32, 32),
    ConvShape(32, 32, 32),
    ConvShape(32, 64, 16),
    ConvShape(64, 64, 16),
    ConvShape(64, 128, 8),
    ConvShape(128, 128, 8),
)
_POOL_AFTER = (1, 3)


PaddingName = Literal["same", "valid"]
PoolingName = Literal["max", "max-mean-std"]

_LEAST_VARIANCE = 1e-8
"""Below it a feature is constant in the window; its standard deviation has no gradient there."""


@dataclass(frozen=True, slots=True)
class TrunkShape:
    """How the trunk is padded and pooled; the parameters are the same in all cases.

    Parameters
    ----------
    padding:
        "same" (Table 1), or "valid": 591 steps instead of 635, none of which saw a zero that is not signal.
    pooling:
        "max" (Table 1), or "max-mean-std": maxima, means and (population) standard deviations over time, one
        after the other, 384 values.

    """

    padding: PaddingName = "same"
    pooling: PoolingName = "max"

    @property
    def embedding(self) -> int:
        """Length of an embedding."""
        return EMBEDDING * (1 if self.pooling == "max" else 3)

    def lengths(self) -> tuple[int, ...]:
        """Time steps behind each convolution, pools included, for a window of 2560 samples."""
        steps, time = [], WINDOW_SAMPLES
        for index, shape in enumerate(TRUNK_CONVS):
            time -= 0 if self.padding == "same" else shape.taps - 1
            if index in _POOL_AFTER:
                time = (time - POOL_WIDTH) // POOL_STRIDE + 1
            steps.append(time)
        return tuple(steps)

    def macs(self) -> int:
        """Multiply-accumulates of the convolutions for one window."""
        total, time = 0, WINDOW_SAMPLES
        for shape, after in zip(TRUNK_CONVS, self.lengths(), strict=True):
            computed = time if self.padding == "same" else time - shape.taps + 1
            total += computed * shape.filters * shape.inputs * shape.taps
            time = after
        return total


PAPER_TRUNK = TrunkShape()


class TrunkConv(nn.Module):
    """A 1-D convolution, computed on (n, channels, 1, time) in channels-last order.

    Kernels start Glorot-uniform, biases zero.
    """

    def __init__(self, shape: ConvShape, padding: PaddingName) -> None:
        super().__init__()
        self.padding: Padding = same_padding(shape.taps) if padding == "same" else VALID
        self.weight = nn.Parameter(torch.empty(shape.filters, shape.inputs, shape.taps))
        self.bias = nn.Parameter(torch.zeros(shape.filters))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (n, inputs, 1, time) to (n, filters, 1, steps)."""
        return conv(x, self.weight, self.bias, self.padding)


class Trunk(nn.Module):
    """Normalised ECG windows to embeddings: (n, 2560) float32 to (n, 128), or as the shape says."""

    def __init__(self, shape: TrunkShape = PAPER_TRUNK) -> None:
        super().__init__()
        self.shape = shape
        self.convs = nn.ModuleList(TrunkConv(one, shape.padding) for one in TRUNK_CONVS)

    @property
    def layers(self) -> tuple[TrunkConv, ...]:
        """The six convolutions."""
        return tuple(cast(TrunkConv, one) for one in self.convs)

    def feature_map(self, windows: Tensor) -> Tensor:
        """Return the last block's activations over time, (n, 128, steps), for windows (n, time)."""
        *_, last = self.stages(windows)
        return last.squeeze(2)

    def stages(
        self, windows: Tensor, between: Callable[[int, Tensor], Tensor] | None = None
    ) -> Iterator[Tensor]:
        """Yield what each convolution stage hands on, (n, channels, 1, steps), pooled where Table 1 pools.

        The maximum commutes with the rising LeakyReLU, so pooled stages are pooled first and activated
        after: the same values for a quarter of the work. ``between`` may change what stage i (from 0) hands
        to its activation.
        """
        x = windows[:, None, None, :].contiguous(memory_format=torch.channels_last)
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in _POOL_AFTER:
                x = functional.max_pool2d(x, (1, POOL_WIDTH), (1, POOL_STRIDE))
            if between is not None:
                x = between(index, x)
            x = functional.leaky_relu(x, LEAKY_SLOPE, inplace=True)
            yield x

    def forward(self, windows: Tensor) -> Tensor:
        """Embed windows (n, 2560) as (n, 128 or 384)."""
        return self.pool(self.feature_map(windows))

    def pool(self, features: Tensor) -> Tensor:
        """Pool a feature map (n, 128, steps) over time; means and deviations are computed in float32."""
        largest = global_max(features)
        if self.shape.pooling == "max":
            return largest
        variance, mean = torch.var_mean(features.float(), -1, correction=0)
        return torch.cat([largest.float(), mean, variance.clamp(min=_LEAST_VARIANCE).sqrt()], 1)


def global_max(features: Tensor) -> Tensor:
    """Return maxima over time (n, channels) of (n, channels, steps).

    By a pool, which remembers where each maximum was. ``amax`` looks for it again in the gradient: compiled
    in bfloat16 it compares rounded values with an unrounded maximum, finds none, and gives NaN.
    """
    return functional.max_pool2d(features.unsqueeze(2), (1, features.shape[-1])).flatten(1)


class PretextHeads(nn.Module):
    """Seven binary recognisers on one embedding, each 128 - 128 - 1, evaluated together.

    Parameters
    ----------
    tasks:
        How many recognisers; one logit each.
    dropout:
        The probability to drop a hidden value while training.

    """

    def __init__(self, tasks: int = 7, dropout: float = 0.6) -> None:
        super().__init__()
        self.dropout = dropout
        widths = (EMBEDDING, 128, 128, 1)
        self.weights = nn.ParameterList(
            _glorot(tasks, inputs, outputs) for inputs, outputs in itertools.pairwise(widths)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(tasks, 1, outputs)) for outputs in widths[1:])

    def forward(self, embedding: Tensor) -> Tensor:
        """Return logits (n, tasks) for embeddings (n, 128)."""
        hidden = embedding.expand(len(self.weights[0]), *embedding.shape)
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = torch.baddbmm(bias, hidden, weight)
            if index < last:
                hidden = functional.dropout(
                    functional.leaky_relu(hidden, LEAKY_SLOPE), self.dropout, self.training
                )
        return hidden.squeeze(2).T


class PretextNetwork(nn.Module):
    """The trunk and the seven recognisers of the transformation that was applied (561,223 parameters).

    The recognisers see the maxima alone, as in the paper, however the trunk pools for what comes after: a
    trunk that was trained on means and deviations too served the stress task no better (docs/science.md).
    """

    def __init__(self, dropout: float = 0.6, shape: TrunkShape = PAPER_TRUNK) -> None:
        super().__init__()
        self.trunk = Trunk(shape)
        self.heads = PretextHeads(dropout=dropout)

    def forward(self, windows: Tensor) -> Tensor:
        """Return logits (n, 7) for windows (n, 2560)."""
        logits: Tensor = self.heads(global_max(self.trunk.feature_map(windows)).float())
        return logits


def parameter_groups(network: nn.Module, l2: float) -> list[dict[str, object]]:
    """Split parameters for Adam so that kernels get the gradient of ``l2 * ½‖w‖²`` and biases none.

    ``torch.optim.Adam``'s ``weight_decay`` adds ``weight_decay * w`` to the gradient before the moments,
    which is exactly the gradient of that penalty in the loss (AdamW would not be).
    """
    kernels: list[nn.Parameter] = []
    biases: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (biases if "bias" in name else kernels).append(parameter)
    return [{"params": kernels, "weight_decay": l2}, {"params": biases, "weight_decay": 0.0}]


def _glorot(tasks: int, inputs: int, outputs: int) -> nn.Parameter:
    limit = math.sqrt(6.0 / (inputs + outputs))
    return nn.Parameter(torch.empty(tasks, inputs, outputs).uniform_(-limit, limit))
