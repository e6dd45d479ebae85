"""Coefficients of appearance control: one per neural texture, 1 where the garment's texture replaces the wearer's.

The initialisation of NTED (CVPR 2022, section on appearance control): a texture belongs to a garment when the mean
probability of its label inside the garment's mask is clearly above chance, in either rendering.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

THRESHOLD = 3.0  # times chance, which is 1/K for K labels


def label_means(logits: Tensor, mask: Tensor) -> Tensor:
    """Mean label probability inside a mask.

    Args:
        logits: B x K x h x w distribution logits of one operation.
        mask: B x 1 x H x W, 1 inside; resized to h x w by nearest neighbour.

    Returns:
        B x K; zeros where the mask is empty at this resolution.
    """
    inside = F.interpolate(mask.to(logits.dtype), size=logits.shape[-2:], mode="nearest")
    probability = logits.softmax(dim=1)
    return (probability * inside).sum(dim=(2, 3)) / inside.sum(dim=(2, 3)).clamp(min=1)


def initial_coefficients(garment: Tensor, wearer: Tensor) -> Tensor:
    """0/1 per texture from the means of the garment's and of the wearer's rendering: two B x K -> B x 1 x K."""
    strongest = garment.maximum(wearer)
    return (strongest > THRESHOLD / strongest.shape[1]).to(garment.dtype)[:, None]
