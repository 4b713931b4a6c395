"""A 1-D convolution whose gradient is as fast as its forward pass on a CPU.

oneDNN computes the weight gradient of a long, narrow convolution (32 channels, 32 taps) at a quarter of the
speed of its forward pass; it is fast where there are at least 128 channels. So the time axis is cut into
blocks of s samples whose samples become channels: with time-major (channels-last) tensors that is a view.
The blocked convolution has s times as many input and output channels and k/s + 1 taps, and every tap of
the true kernel is found s times in its weight gradient:

    y[t] = sum_k w[k] x[t + k],   t = s T + j,   t + k = s (T + τ) + i   =>   k = s τ + i - j

    dL/dw[k] = sum_j dL/dW[j, i, τ]   with i and τ from  s τ + i = k + j

This costs a factor 1 + s/k in arithmetic and gains a factor 2 to 3 in time for the trunk's first four
convolutions; a whole training step becomes about 1.4 times as fast.

A GPU's matrix units, too, want at least 128 channels, in the forward pass as in both gradients: there the
whole convolution is computed on blocks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

_WIDE_ENOUGH = 128


Padding = tuple[int, int]
"""Zeros left and right of the signal."""

VALID: Padding = (0, 0)


def same_padding(taps: int) -> Padding:
    """Return the zeros that keep the length: (k-1)//2 left, k//2 right, as TensorFlow and PyTorch do."""
    return (taps - 1) // 2, taps // 2


def conv(x: Tensor, weight: Tensor, bias: Tensor, padding: Padding) -> Tensor:
    """Convolve a signal with zeros around it.

    Parameters
    ----------
    x:
        (n, inputs, 1, time), channels last.
    weight:
        (outputs, inputs, k).
    bias:
        (outputs,).
    padding:
        Zeros left and right.

    Returns
    -------
    (n, outputs, 1, time + left + right - k + 1), channels last.

    """
    device = x.device.type
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
    if device == "cpu" and weight.requires_grad and torch.is_grad_enabled():
        result: Tensor = _Conv.apply(x, weight, bias, padding)  # type: ignore[no-untyped-call]
        return result
    if device == "cuda":
        return blocked_forward(x, weight, bias, padding)
    return _forward(x, weight, bias, padding)


def blocked_forward(x: Tensor, weight: Tensor, bias: Tensor, padding: Padding) -> Tensor:
    """Convolve as :func:`conv` does, by way of blocks of samples where there are fewer than 128 outputs."""
    outputs, inputs, taps = weight.shape
    s = _block_samples(outputs, taps)
    if s == 1:
        return _forward(x, weight, bias, padding)
    time = x.shape[3] + sum(padding) - taps + 1
    blocks, wide_taps = -(-time // s), taps // s + 1
    right = (blocks + wide_taps - 1) * s - padding[0] - x.shape[3]
    wide_x = _block(functional.pad(x, (padding[0], right)), s)
    # W[j, i, τ] = w[s τ + i - j], zero where that is no tap.
    shifted = torch.stack([functional.pad(weight, (j, s - j)) for j in range(s)])
    wide_w = shifted.view(s, outputs, inputs, wide_taps, s).permute(0, 1, 4, 2, 3)
    wide_w = wide_w.reshape(s * outputs, s * inputs, wide_taps)
    y = functional.conv2d(wide_x, _image_kernel(wide_w), bias.repeat(s))
    flat = y.permute(0, 2, 3, 1).reshape(len(x), 1, blocks * s, outputs)
    return flat.permute(0, 3, 1, 2)[..., :time]


def _block_samples(outputs: int, taps: int) -> int:
    s = max(1, _WIDE_ENOUGH // outputs)
    return s if taps % s == 0 else 1


def _forward(x: Tensor, weight: Tensor, bias: Tensor | None, padding: Padding) -> Tensor:
    return functional.conv2d(functional.pad(x, padding), _image_kernel(weight), bias)


def _image_kernel(weight: Tensor) -> Tensor:
    return weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)


class _Conv(torch.autograd.Function):
    """The same function with its own backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, padding: Padding) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        return _forward(x, weight, bias, padding)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        to_x = _input_gradient(gradient, weight, ctx.padding) if ctx.needs_input_grad[0] else None
        return to_x, *_parameter_gradients(x, gradient, weight.shape[2], ctx.padding[0]), None


def _input_gradient(gradient: Tensor, weight: Tensor, padding: Padding) -> Tensor:
    """Correlate the output's gradient with the kernel: a convolution with the kernel reversed in time."""
    taps = weight.shape[2]
    left, right = padding
    padded = functional.pad(gradient, (taps - 1 - left, taps - 1 - right))
    return functional.conv2d(padded, _image_kernel(weight.flip(2).transpose(0, 1)))


def _parameter_gradients(x: Tensor, gradient: Tensor, taps: int, left: int) -> tuple[Tensor, Tensor]:
    """Return dL/dw (outputs, inputs, taps) and dL/db (outputs,), in float32 or better, by way of blocks."""
    inputs, outputs = x.shape[1], gradient.shape[1]
    time = gradient.shape[3]
    s = _block_samples(outputs, taps)
    blocks, wide_taps = -(-time // s), taps // s + (s > 1)
    right = (blocks + wide_taps - 1) * s - left - x.shape[3]
    wide_x = _block(functional.pad(x, (left, right)), s)
    wide_gradient = _block(functional.pad(gradient, (0, blocks * s - time)), s)
    _, wide_w, wide_b = torch.ops.aten.convolution_backward(
        wide_gradient,
        wide_x,
        # Only the shape of the weight matters when its own gradient is asked for.
        wide_gradient.new_empty(1).expand(s * outputs, s * inputs, 1, wide_taps),
        [s * outputs],
        stride=[1, 1],
        padding=[0, 0],
        dilation=[1, 1],
        transposed=False,
        output_padding=[0, 0],
        groups=1,
        output_mask=[False, True, True],
    )
    # (j, output, i, input, τ) -> (j, output, input, s τ + i)
    summed = torch.promote_types(wide_w.dtype, torch.float32)
    by_sample = wide_w.to(summed).view(s, outputs, s, inputs, wide_taps).permute(0, 1, 3, 4, 2)
    by_sample = by_sample.reshape(s, outputs, inputs, wide_taps * s)
    to_w = torch.stack([by_sample[j, :, :, j : j + taps] for j in range(s)]).sum(0)
    return to_w, wide_b.to(summed).view(s, outputs).sum(0)


def _block(x: Tensor, s: int) -> Tensor:
    """View (n, channels, 1, time) as (n, s * channels, 1, time / s), sample i of a block as channels i."""
    n, channels, _, time = x.shape
    flat = x.permute(0, 2, 3, 1).contiguous()
    return flat.view(n, 1, time // s, s * channels).permute(0, 3, 1, 2)
