"""Convolutions with equalised learning rate, and the [1, 3, 3, 1] blur, in plain PyTorch (StyleGAN2's building blocks)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
GAIN = math.sqrt(2.0)  # keeps the variance of activations through leaky ReLU and through sums of two branches


class EqualConv2d(nn.Module):
    """Convolution whose stored weights are unit-variance and are scaled by 1/sqrt(fan-in) when used (equalised learning rate).

    Weights are stored (out, in, k, k), also for :class:`EqualConvTranspose2d`.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, padding: int = 0, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.scale = 1 / math.sqrt(in_channels * kernel**2)
        self.stride, self.padding = stride, padding

    def scaled_weight(self) -> Tensor:
        """The weight as the convolution uses it."""
        return self.weight if self.scale == 1 else self.weight * self.scale

    @torch.no_grad()
    def fold(self, gain: float = 1.0) -> None:
        """Put the scale, and a gain of the output, into the stored weight: for inference, which then need not multiply."""
        self.weight.mul_(self.scale * gain)
        self.scale = 1

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.scaled_weight(), self.bias, self.stride, self.padding)


class EqualConvTranspose2d(EqualConv2d):
    """Stride-2 transposed convolution without padding: h x w -> (2h + 1) x (2w + 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.scaled_weight().transpose(0, 1), self.bias, stride=2)


class EqualLinear(nn.Module):
    """Fully connected layer with equalised learning rate; optionally followed by the scaled leaky ReLU."""

    def __init__(self, in_features: int, out_features: int, *, activate: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.scale = 1 / math.sqrt(in_features)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        x = F.linear(x, self.weight * self.scale, self.bias)
        return F.leaky_relu(x, SLOPE) * GAIN if self.activate else x


class BiasedLeakyReLU(nn.Module):
    """Per-channel bias, leaky ReLU 0.2, times sqrt 2."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias.to(x.dtype)  # else autocast would continue in float32, at twice the memory traffic
        return F.leaky_relu(x + bias.view(-1, 1, 1), SLOPE) * GAIN


def binomial_kernel(gain: float = 1.0) -> Tensor:
    """The 4x4 outer product of [1, 3, 3, 1], normalised to sum to ``gain``."""
    line = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(line, line)
    return kernel / kernel.sum() * gain


class Blur(nn.Module):
    """Zero-pad by ``padding`` (1 or 2) on every side, then the 4x4 binomial filter on each channel.

    ``gain`` is 4 after a zero-inserting upsampling, which spreads each pixel over four. ``way`` is which of FILTERS computes it, or
    ``"fused"`` where it is done by the convolution next to it (:func:`blur_convolve`, :func:`convolve_blur`).
    """

    kernel: Tensor

    def __init__(self, padding: int, gain: float = 1.0):
        super().__init__()
        self.register_buffer("kernel", binomial_kernel(gain))
        self.bias: Tensor | None = None  # of the activation behind it, folded in for inference
        self.padding = padding
        self.way = "depthwise"

    def forward(self, x: Tensor) -> Tensor:
        return FILTERS[self.way](x, self)


class Upsample(nn.Module):
    """Twice the size by zero insertion and the binomial filter, as one depthwise transposed convolution."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", binomial_kernel(gain=4.0))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, depthwise(self.kernel, x), stride=2, padding=1, groups=x.shape[1])


def blur_convolve(x: Tensor, blur: Blur, conv: EqualConv2d) -> Tensor:
    """``conv(blur(x))``, of a convolution that does not pad."""
    if not _fused(blur):
        return conv(blur(x))
    return F.conv2d(x, smoothed(conv.scaled_weight(), blur.kernel), conv.bias, conv.stride, blur.padding)


def convolve_blur(x: Tensor, conv: EqualConv2d, blur: Blur) -> Tensor:
    """``blur(conv(x))``, of a transposed convolution without bias."""
    if not _fused(blur):
        return blur(conv(x))
    weight = smoothed(conv.scaled_weight(), blur.kernel).transpose(0, 1)
    return F.conv_transpose2d(x, weight, blur.bias, stride=2, padding=3 - blur.padding)


def _fused(blur: nn.Module) -> bool:
    return isinstance(blur, Blur) and blur.way == "fused"  # for inference something else may stand in its place


def smoothed(weight: Tensor, kernel: Tensor) -> Tensor:
    """The weight of a convolution and the 4x4 filter next to it in one: out x in x k x k -> out x in x (k+3) x (k+3).

    Four times the operations for k = 3, but dense ones, and one pass over memory in place of three: for GPUs.
    """
    side = weight.shape[-1]
    with torch.autocast(weight.device.type, enabled=False):
        places = torch.eye(side**2, dtype=weight.dtype, device=weight.device).view(-1, 1, side, side)
        spread = F.conv_transpose2d(places, kernel.to(weight.dtype)[None, None])  # the filter, at every place of the weight
        out = weight.flatten(2) @ spread.flatten(1)
    return out.view(*weight.shape[:2], side + 3, side + 3)


def depthwise(kernel: Tensor, x: Tensor) -> Tensor:
    """A 4x4 kernel as the weight that filters each channel of x by itself: C x 1 x 4 x 4."""
    return kernel.to(x.dtype).expand(x.shape[1], 1, 4, 4)


def _by_depthwise(x: Tensor, blur: Blur) -> Tensor:
    """One convolution in the layout that x has."""
    return F.conv2d(x, depthwise(blur.kernel, x), blur.bias, padding=blur.padding, groups=x.shape[1])


def _by_planes(x: Tensor, blur: Blur) -> Tensor:
    """One convolution, channel after channel in memory, and back: two moves, but on some GPUs a far better kernel."""
    return _by_depthwise(x.contiguous(), blur).contiguous(memory_format=torch.channels_last)


FILTERS: dict[str, Callable[[Tensor, Blur], Tensor]] = {"depthwise": _by_depthwise, "planes": _by_planes}
