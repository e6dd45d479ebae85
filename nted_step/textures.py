"""Neural texture extraction and distribution: the two operations of NTED (Ren et al., CVPR 2022)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nted_step.layers import GAIN, EqualConv2d


class Extraction(nn.Module):
    """Neural texture extraction: K textures of a feature map, each an attention-weighted mean of its values.

    key = semantic filter of the channel-centred, L2-normalised features, A = softmax of key over positions,
    textures = value(features) A^T.
    """

    def __init__(self, channels: int, labels: int, kernel: int):
        super().__init__()
        self.value_conv = EqualConv2d(channels, channels, kernel, padding=kernel // 2)
        self.semantic_extraction_filter = EqualConv2d(channels, labels, kernel, padding=kernel // 2, bias=False)
        self.kernel = kernel

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features B x C x h x w -> (textures B x C x K, attention B x K x h x w, which sums to 1 over positions)."""
        centred = features - features.mean(dim=1, keepdim=True)
        key = self.semantic_extraction_filter(F.normalize(centred, dim=1))
        attention = key.flatten(2).float().softmax(dim=-1).to(features.dtype).view_as(key)
        return self._aggregate(features, attention), attention

    def _aggregate(self, features: Tensor, attention: Tensor) -> Tensor:
        """value_conv(features) A^T, computed as value_conv applied to the k x k neighbourhoods averaged by A.

        The value convolution is linear and A sums to one, so the order can be exchanged; with K << C that is a fraction
        of the arithmetic. The neighbourhoods are formed by shifting A, which has fewer channels than the features.
        """
        batch, labels, height, width = attention.shape
        side = self.kernel
        shifted = F.unfold(attention, side, padding=side // 2)  # B x K*k*k x hw
        means = torch.bmm(shifted, _positions_first(features)).view(batch, labels, -1)  # the k x k shifts, then the channels
        # Neighbour q = p + d of the features meets A at p = q - d: A is shifted the other way, hence the flipped kernel.
        weight = self.value_conv.scaled_weight().flip(2, 3).permute(0, 2, 3, 1).flatten(1).to(features.dtype)
        return F.linear(means, weight, self.value_conv.bias).transpose(1, 2)


class Distribution(nn.Module):
    """Neural texture distribution: each position mixes the K textures by a softmax over labels of its own features."""

    def __init__(self, channels: int, labels: int, kernel: int):
        super().__init__()
        self.semantic_distribution_filter = EqualConv2d(channels, labels, kernel, padding=kernel // 2)
        self.gain = 1 / GAIN  # keeps the variance of the sum; folded for inference, it is 1

    def forward(self, features: Tensor, textures: Tensor) -> tuple[Tensor, Tensor]:
        """Features B x C x h x w, textures B x C x K -> ((features + attended)/sqrt 2, distribution logits B x K x h x w)."""
        logits = self.semantic_distribution_filter(features)
        mixture = _positions_first(logits).float().softmax(dim=2).to(features.dtype)
        attended = torch.bmm(mixture, textures.transpose(1, 2))
        batch, channels, height, width = features.shape
        attended = attended.view(batch, height, width, channels).permute(0, 3, 1, 2)
        out = features + attended
        return (out if self.gain == 1 else out * self.gain), logits


def _positions_first(x: Tensor) -> Tensor:
    """B x C x h x w -> B x hw x C, without moving anything when the memory is channels-last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)
