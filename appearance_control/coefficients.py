"""Coefficients of appearance control: one per neural texture, 1 where the garment's texture replaces the wearer's.

NTED (CVPR 2022, section on appearance control) starts from :func:`initial_coefficients`: a texture belongs to a garment if the mean
probability of its label inside the garment's mask is clearly above chance, in either rendering. That misses textures that are used
for the garment only but share it with many others, and includes textures used all over the picture. :func:`coefficients`, which swaps
use, asks instead how much of a texture's use lies inside the mask. On rendered people that is closer to the truth
(assets/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

LEAST_USE = 1e-6  # pixels; avoids division by zero
THRESHOLD = 3.0  # as published: times chance, which is 1/K for K labels
LEAST_SHARE = 0.25  # more than this share of a texture's use must be inside; swaps were equally good from 0.2 to 0.3
LEAST_OF_MOST = 0.5  # share relative to the greatest one that is enough if the mask may cover only part of a garment


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
    """As published: 0 or 1 per texture, B x 1 x K, from the label means B x K of the garment's and of the wearer's rendering."""
    strongest = garment.maximum(wearer)
    return (strongest > THRESHOLD / strongest.shape[1]).to(garment.dtype)[:, None]


def label_shares(logits: Tensor, mask: Tensor) -> Tensor:
    """Share of each label's use that is inside a mask: its probability summed inside, divided by its sum everywhere.

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
        part: the masks may cover only part of a garment, whose textures are used for the rest of it too. Then the textures used most
            in that part are taken even if most of their use is outside: those above :data:`LEAST_OF_MOST` of the greatest share in
            their distribution.

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


def mix_textures(
    wearer: Sequence[Tensor], garment: Sequence[Tensor], coefficient: Sequence[Tensor], strength: float = 1.0
) -> tuple[Tensor, ...]:
    """wearer + (garment - wearer) * coefficient * strength for every texture set.

    Args:
        wearer, garment: B x C x K textures each.
        coefficient: B x 1 x K each, 0..1.
        strength: 0..1.
    """
    return tuple(
        ours + (theirs - ours) * (strength * share).to(ours.dtype) for ours, theirs, share in zip(wearer, garment, coefficient, strict=True)
    )


def transfer_mask(mask: Tensor, attention: Tensor, mixture: Tensor) -> Tensor:
    """A mask drawn on the photo, moved to a rendering by where each pixel's textures were taken from.

    Args:
        mask: H x W, 1 inside, on the photo.
        attention: K x h x w, where in the photo each texture comes from, summing to 1 over the photo.
        mixture: K x h x w, how much of each texture every pixel of the rendering takes, summing to 1 over K.

    Returns:
        h x w in [0, 1], the share of every pixel of the rendering that comes from inside.
    """
    inside = F.interpolate(mask[None, None].to(attention.dtype), size=attention.shape[-2:], mode="area")[0, 0]
    share = (attention * inside).sum(dim=(1, 2))
    return (mixture * share[:, None, None]).sum(dim=0)
