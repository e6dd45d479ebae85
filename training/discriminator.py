"""The discriminator: real or fake, and the step that an image belongs to (an auxiliary classifier, ACGAN)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nted_step.layers import GAIN, BiasedLeakyReLU, Blur, EqualConv2d, EqualLinear, blur_convolve

COARSEST = 4  # feature height at which the residual blocks end


@dataclass(frozen=True)
class Verdict:
    """The discriminator's output for a batch of images.

    Attributes:
        logit: B x 1, large for real images.
        step_logprob: B x steps, log-probability that the image is an output of each step.
        features: output of every residual block, finest first, for feature matching.
    """

    logit: Tensor
    step_logprob: Tensor
    features: tuple[Tensor, ...]


class ResBlock(nn.Module):
    """StyleGAN2's downsampling residual block: h x w -> h//2 x w//2."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv1 = nn.Sequential(EqualConv2d(in_channels, in_channels, 3, padding=1, bias=False), BiasedLeakyReLU(in_channels))
        self.conv2 = nn.Sequential(
            Blur(padding=2), EqualConv2d(in_channels, out_channels, 3, stride=2, bias=False), BiasedLeakyReLU(out_channels)
        )
        self.skip = nn.Sequential(Blur(padding=1), EqualConv2d(in_channels, out_channels, 1, stride=2, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        (blur, conv, activate), (skip_blur, skip_conv) = self.conv2, self.skip
        return (activate(blur_convolve(self.conv1(x), blur, conv)) + blur_convolve(x, skip_blur, skip_conv)) / GAIN


class Discriminator(nn.Module):
    """It sees only the image, not the step, which it has to predict.

    Args:
        size: canvas (H, W).
        channels: level -> channels, for H, H/2, ... 4.
        steps: number of classes of the step head.
    """

    def __init__(self, size: tuple[int, int], channels: Mapping[int, int], steps: int):
        super().__init__()
        height, width = size
        levels = [height]
        while levels[-1] > COARSEST:
            levels.append(levels[-1] // 2)
        self.convs = nn.Sequential(
            nn.Sequential(EqualConv2d(3, channels[height], 1, bias=False), BiasedLeakyReLU(channels[height])),
            *(ResBlock(channels[fine], channels[coarse]) for fine, coarse in pairwise(levels)),
        )
        last = channels[COARSEST]
        positions = COARSEST * (width >> (len(levels) - 1))
        if positions == 0:
            raise ValueError(f"size {height}x{width} is too narrow: its width is 0 at height {COARSEST}")
        self.final_conv = nn.Sequential(EqualConv2d(last + 1, last, 3, padding=1, bias=False), BiasedLeakyReLU(last))
        self.final_linear = nn.Sequential(EqualLinear(last * positions, last, activate=True), EqualLinear(last, 1))
        self.fc_step = nn.Sequential(nn.Linear((last + 1) * positions, 256), nn.ReLU(), nn.Linear(256, steps))

    def forward(self, image: Tensor, groups: int = 1) -> Verdict:
        """Image B x 3 x H x W in [-1, 1] -> verdict.

        ``groups``: the batch consists of this many equal runs of samples that must not share statistics (the rollout's steps); the
        minibatch deviation is computed within each run.
        """
        features = []
        x = self.convs[0](image)
        for block in self.convs[1:]:
            x = block(x)
            features.append(x)
        x = torch.cat([x, minibatch_deviation(x, groups)], dim=1)
        logit = self.final_linear(self.final_conv(x).flatten(1))
        return Verdict(logit.float(), F.log_softmax(self.fc_step(x.flatten(1)).float(), dim=1), tuple(features))


def minibatch_deviation(x: Tensor, runs: int = 1, group: int = 4) -> Tensor:
    """Standard deviation over groups of samples, averaged over channels and positions: B x C x h x w -> B x 1 x h x w.

    The size of a group is the largest number up to ``group`` that divides a run, so any batch size works and samples of different
    runs (steps) never mix. The members of a group are spaced apart, as in StyleGAN2.
    """
    batch, channels, height, width = x.shape
    if batch % runs:
        raise ValueError(f"a batch of {batch} cannot be {runs} equal runs")
    per_run = batch // runs
    size = max(n for n in range(1, min(group, per_run) + 1) if per_run % n == 0)
    grouped = x.view(runs, size, per_run // size, channels, height, width)
    deviation = (grouped.float().var(dim=1, unbiased=False, keepdim=True) + 1e-8).sqrt().mean(dim=(3, 4, 5), keepdim=True)
    return deviation.expand(runs, size, per_run // size, 1, height, width).reshape(batch, 1, height, width).to(x.dtype)
