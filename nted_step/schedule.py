"""The resolution ladder: step -> (h, w), the degradation that defines each step's target, and the start image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from nted_step.config import NTEDStepConfig


def ladder(config: NTEDStepConfig) -> tuple[tuple[int, int], ...]:
    """Resolutions (h, w) of levels 0..steps; level 0 is the noisy start and the last level the canvas.

    Each axis is spaced on its own and rounded half to even.
    """
    axes = [
        _axis(low, high, config.steps, config.ladder) for low, high in zip(config.min_size, config.grows_to or config.size, strict=True)
    ]
    return tuple((min(h, config.size[0]), min(w, config.size[1])) for h, w in zip(*axes, strict=True))


def _axis(low: int, high: int, steps: int, spacing: str) -> list[int]:
    fractions = [k / steps for k in range(steps + 1)]
    if spacing == "linear":
        return [round(low + (high - low) * f) for f in fractions]
    return [round(low * (high / low) ** f) for f in fractions]


def degrade(image: Tensor, size: tuple[int, int]) -> Tensor:
    """What an image looks like at a level of the ladder, on the full canvas.

    Args:
        image: B x C x H x W.
        size: (h, w) of the level.

    Returns:
        B x C x H x W: bilinear (corners aligned) down to ``size`` and back up; the image itself at the last level.
    """
    canvas = image.shape[-2:]
    if tuple(size) == tuple(canvas):
        return image
    small = F.interpolate(image, size=tuple(size), mode="bilinear", align_corners=True)
    return F.interpolate(small, size=tuple(canvas), mode="bilinear", align_corners=True)


def start_image(source: Tensor, noise: Tensor, config: NTEDStepConfig) -> Tensor:
    """x_0 = degrade(source, 0) + noise, with noise ~ N(0, 1) for every canvas pixel. All B x 3 x H x W.

    A stage of growing sees the noise of the canvas that it grows to, averaged down, hence weaker.
    """
    strength = 1 if config.grows_to is None else config.size[0] / config.grows_to[0]
    return degrade(source, config.min_size) + strength * noise


def seeded_noise(seed: int, size: tuple[int, int], batch: int = 1) -> Tensor:
    """N(0, 1) noise, batch x 3 x H x W float32, drawn on the CPU so that a seed means the same on every device.

    Raises ValueError for a seed that is not from -2^63 to 2^64 - 1, torch's range.
    """
    if not -(2**63) <= seed < 2**64:
        raise ValueError(f"the seed must be a whole number of at most 64 bits, not {str(seed)[:24]}{'...' if len(str(seed)) > 24 else ''}")
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, *size, generator=generator)
