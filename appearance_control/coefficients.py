"""Coefficients of appearance control: one per neural texture, 1 where the garment's texture replaces the wearer's.

NTED (CVPR 2022, section on appearance control) starts from :func:`initial_coefficients`: a texture belongs to a garment when the
mean probability of its label inside the garment's mask is clearly above chance, in either rendering. That misses textures that serve
the garment alone but share it with many others, and takes those that serve the whole picture. :func:`coefficients`, which swaps use,
asks the other way round: how much of a texture's use is inside. On rendered people that is nearer to the truth (assets/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

LEAST_USE = 1e-6  # pixels; against division by nothing
THRESHOLD = 3.0  # as published: times chance, which is 1/K for K labels
LEAST_SHARE = 0.25  # of a texture's use, of which more must be inside; from 0.2 to 0.3 the swaps were equally good
LEAST_OF_MOST = 0.5  # of the greatest share, which is enough in a mask that may be a part of a garment


def label_means(logits: Tensor, mask: Tensor) -> Tensor:
    """Mean label probability inside a mask.

    Args:
        logits: B x K x h x w distribution logits of one operation.
        mask: B x 1 x H x W, 1 inside; resized to h x w by nearest neighbour.

    Returns:
        B x K; zeros where the mask is empty at this resolution.
    """
    probability, inside = _use(logits, mask)
    return (probability * inside).sum(dim=(2, 3)) / inside.sum(dim=(2, 3)).clamp(min=1)


def initial_coefficients(garment: Tensor, wearer: Tensor) -> Tensor:
    """As published: 0/1 per texture from the label means of the garment's and of the wearer's rendering, two B x K -> B x 1 x K."""
    strongest = garment.maximum(wearer)
    return (strongest > THRESHOLD / strongest.shape[1]).to(garment.dtype)[:, None]


def label_shares(logits: Tensor, mask: Tensor) -> Tensor:
    """How much of every label's use is inside a mask: its probability summed inside, over its sum everywhere.

    Args:
        logits, mask: as in :func:`label_means`.

    Returns:
        B x K in [0, 1]; zeros where the mask is empty at this resolution.
    """
    probability, inside = _use(logits, mask)
    return (probability * inside).sum(dim=(2, 3)) / probability.sum(dim=(2, 3)).clamp(min=LEAST_USE)


def _use(logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Label probabilities B x K x h x w, and the mask B x 1 x h x w on their grid."""
    return logits.softmax(dim=1), F.interpolate(mask.to(logits.dtype), size=logits.shape[-2:], mode="nearest")


def coefficients(
    garment: Sequence[Tensor], wearer: Sequence[Tensor], garment_mask: Tensor, wearer_mask: Tensor, *, part: bool = False
) -> tuple[Tensor, ...]:
    """The coefficients of every distribution, from two renderings in the same pose.

    A texture is the garment's where more than :data:`LEAST_SHARE` of its use is inside the garment's mask in either rendering.

    Args:
        garment, wearer: distribution logits, each B x K x h x w, coarsest first.
        garment_mask, wearer_mask: B x 1 x H x W, 1 inside the garment.
        part: the masks may be a part of a garment, whose textures serve the rest of it too. Then those that serve the part most
            are taken, even where most of their use is outside: above :data:`LEAST_OF_MOST` of the greatest share of a distribution.

    Returns:
        B x 1 x K float32 of 0 and 1 for each distribution.
    """
    return tuple(
        _belonging(label_shares(theirs.float(), garment_mask).maximum(label_shares(ours.float(), wearer_mask)), part)
        for theirs, ours in zip(garment, wearer, strict=True)
    )


def _belonging(share: Tensor, part: bool) -> Tensor:
    """B x K shares -> B x 1 x K float32 of 0 and 1."""
    least = share.amax(dim=1, keepdim=True).mul(LEAST_OF_MOST).clamp(max=LEAST_SHARE) if part else LEAST_SHARE
    return (share > least).float()[:, None]


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
