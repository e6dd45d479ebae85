"""Neural texture extraction and distribution: the two operations of NTED (Ren et al., CVPR 2022)."""

from __future__ import annotations

from typing import Any

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
        self.direct = channels <= 2 * labels  # which order of the two linear operations is quicker, see _aggregate

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features B x C x h x w -> (textures B x C x K, attention B x K x h x w, which sums to 1 over positions)."""
        centred = features - features.mean(dim=1, keepdim=True)
        key = self.semantic_extraction_filter(F.normalize(centred, dim=1))
        attention = key.flatten(2).float().softmax(dim=-1).to(features.dtype).view_as(key)
        return self._aggregate(features, attention), attention

    def _aggregate(self, features: Tensor, attention: Tensor) -> Tensor:
        """value_conv(features) A^T.

        The value convolution is linear and A sums to one, so it can also be applied to the k x k neighbourhoods averaged by A.
        With K << C that is a fraction of the arithmetic; with few channels the convolution itself is the quicker way. On a GPU it
        always is: the neighbourhoods' kernels are launched for every sample anew, and are the lean shapes (K rows) of a weight gradient,
        which leave most of its multipliers idle, while the convolution is one launch for the whole batch.
        """
        if self.direct or features.is_cuda:
            values = self.value_conv(features)
            return torch.bmm(_positions_first(values).transpose(1, 2), _positions_first(attention))
        means = AttendedNeighbourhoods.apply(attention, features, self.kernel)
        weight = self.value_conv.scaled_weight().permute(0, 2, 3, 1).flatten(1).to(features.dtype)  # channels last, as the means
        return F.linear(means.flatten(2), weight, self.value_conv.bias).transpose(1, 2)


class AttendedNeighbourhoods(torch.autograd.Function):
    """mean[b, k, i, j, c] = sum over positions p of A[b, k, p] features[b, c, p + (i, j) - side // 2], zero outside the map.

    That is a convolution's gradient with respect to its weight (features its input, A the gradient of its output), which
    every backend has a kernel for that forms no neighbourhoods in memory.
    """

    @staticmethod
    def forward(context: Any, attention: Tensor, features: Tensor, side: int) -> Tensor:
        """A B x K x h x w, features B x C x h x w -> B x K x side x side x C."""
        context.save_for_backward(attention, features)
        context.padding = side // 2
        shape = attention.new_empty(attention.shape[1], features.shape[1], side, side)
        arguments = (shape, None, (1, 1), (side // 2,) * 2, (1, 1), False, (0, 0), 1, (False, True, False))
        gradient = torch.ops.aten.convolution_backward
        pairs = zip(attention.split(1), features.split(1), strict=True)
        return torch.stack([gradient(weights, values, *arguments)[1].permute(0, 2, 3, 1) for weights, values in pairs])

    @staticmethod
    def backward(context: Any, means: Tensor) -> tuple[Tensor, Tensor, None]:
        attention, features = context.saved_tensors
        samples = list(zip(attention.split(1), features.split(1), means.permute(0, 1, 4, 2, 3), strict=True))
        to_attention = [F.conv2d(values, mean, padding=context.padding) for _, values, mean in samples]
        to_features = [F.conv_transpose2d(weights, mean, padding=context.padding) for weights, _, mean in samples]
        return torch.cat(to_attention), torch.cat(to_features), None


class Distribution(nn.Module):
    """Neural texture distribution: each position mixes the K textures by a softmax over labels of its own features."""

    def __init__(self, channels: int, labels: int, kernel: int):
        super().__init__()
        self.semantic_distribution_filter = EqualConv2d(channels, labels, kernel, padding=kernel // 2)
        self.gain = 1 / GAIN  # keeps the variance of the sum; folded for inference, it is 1
        self.bias: Tensor | None = None  # of the activation behind it, folded in for inference

    def forward(self, features: Tensor, textures: Tensor) -> tuple[Tensor, Tensor]:
        """Features B x C x h x w, textures B x C x K -> ((features + attended)/sqrt 2, distribution logits B x K x h x w)."""
        logits = self.semantic_distribution_filter(features)
        mixture = _positions_first(logits).float().softmax(dim=2).to(features.dtype)
        if self.bias is not None:  # a mixture sums to one, so what is added to every texture is added to every position
            textures = textures + self.bias[:, None]
        out = torch.baddbmm(_positions_first(features), mixture, textures.transpose(1, 2))
        out = out.view(len(out), *features.shape[2:], -1).permute(0, 3, 1, 2)
        return (out if self.gain == 1 else out * self.gain), logits


def _positions_first(x: Tensor) -> Tensor:
    """B x C x h x w -> B x hw x C, without moving anything when the memory is channels-last."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)
