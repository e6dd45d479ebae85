"""Coefficients of appearance control: one per neural texture, 1 where the garment's texture replaces the wearer's.

The initialisation of NTED (CVPR 2022, section on appearance control): a texture belongs to a garment when the mean
probability of its label inside the garment's mask is clearly above chance, in either rendering.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def coefficients(
    garment: Sequence[Tensor], wearer: Sequence[Tensor], garment_mask: Tensor, wearer_mask: Tensor
) -> tuple[Tensor, ...]:
    """The initial coefficients of every distribution, from two renderings in the same pose.

    Args:
        garment, wearer: distribution logits, each B x K x h x w, coarsest first.
        garment_mask, wearer_mask: B x 1 x H x W, 1 inside the garment.

    Returns:
        B x 1 x K float32 of 0 and 1 for each distribution.
    """
    return tuple(
        initial_coefficients(label_means(theirs.float(), garment_mask), label_means(ours.float(), wearer_mask))
        for theirs, ours in zip(garment, wearer, strict=True)
    )


def blend(wearer: Sequence[Tensor], garment: Sequence[Tensor], coefficient: Sequence[Tensor], strength: float = 1.0) -> tuple[Tensor, ...]:
    """wearer + (garment - wearer) * coefficient * strength for every texture set.

    Args:
        wearer, garment: B x C x K textures each.
        coefficient: B x 1 x K each, 0..1.
        strength: 0..1.
    """
    return tuple(
        ours + (theirs - ours) * (strength * share).to(ours.dtype) for ours, theirs, share in zip(wearer, garment, coefficient, strict=True)
    )


def carry(mask: Tensor, attention: Tensor, mixture: Tensor) -> Tensor:
    """A mask drawn on the photo, moved to a rendering along the textures: where each pixel's textures were taken from.

    Args:
        mask: H x W, 1 inside, on the photo.
        attention: K x h x w, where in the photo each texture is from, summing to 1.
        mixture: K x h x w, how much of each texture every pixel of the rendering takes, summing to 1 over K.

    Returns:
        h x w in [0, 1], the share of every pixel of the rendering that comes from inside.
    """
    inside = F.interpolate(mask[None, None].to(attention.dtype), size=attention.shape[-2:], mode="area")[0, 0]
    share = (attention * inside).sum(dim=(1, 2))
    return (mixture * share[:, None, None]).sum(dim=0)
