"""Carrying inside every step: how the photo's pixels in the target pose condition the model, and where a step shows them.

    x_{t+1} = degrade(alpha pixels, t + 1) + (1 - degrade(alpha, t + 1)) G(source, x_t, skeleton, carried, t)

Every step carries as much detail as its level of the ladder can show, so copying is exact at every step. Light, shadow, the background
and whatever the photo does not show come from the renderer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nted_step.carrier import Places, carry

SEEN_FROM, SEEN_TO = 0.1, 0.35  # seen x person, over which a place goes from rendered to carried
MASK_FROM, MASK_TO = 0.3, 0.7  # of the photo's person mask where a pixel comes from: less is the photo's background
CUT_FROM, CUT_TO = 0.4, 0.8  # of the person, over which a cut-out goes from clear to opaque
EDGE = 0.05  # against division by an empty mask


@dataclass(frozen=True)
class Carried:
    """The photo's pixels in a target pose.

    Attributes:
        pixels: B x 3 x H x W float32 in [-1, 1], cut out of the photo's background.
        person: B x 1 x H x W in [0, 1], the person in the target pose.
        alpha: B x 1 x H x W in [0, 1], how much of the picture is carried there.
    """

    pixels: Tensor
    person: Tensor
    alpha: Tensor

    @classmethod
    def nothing(cls, like: Tensor) -> Carried:
        """For a photo B x 3 x H x W whose pose is not known."""
        empty = torch.zeros_like(like[:, :1], dtype=torch.float32)
        return cls(torch.zeros_like(like, dtype=torch.float32), empty, empty)

    def select(self, index: Tensor) -> Carried:
        """Some of the batch."""
        return Carried(self.pixels[index], self.person[index], self.alpha[index])


@dataclass(frozen=True)
class StepCarried:
    """:class:`Carried` at the level that one step aims at.

    Attributes:
        condition: B x 5 x H x W, the pixels of the person, person and alpha: these channels follow the skeleton map's.
        shown: B x 3 x H x W, alpha times pixels. alpha: B x 1 x H x W.
    """

    condition: Tensor
    shown: Tensor
    alpha: Tensor

    def blend(self, rendered: Tensor) -> Tensor:
        """The step's image: carried pixels where alpha says so, the renderer's B x 3 x H x W elsewhere."""
        return self.shown + (1 - self.alpha) * rendered


def carry_person(places: Places, photo: Tensor, size: tuple[int, int] | None = None) -> Carried:
    """The photo's pixels in the pose, without the photo's background: colour x mask and the mask are carried, and divided.

    Args:
        photo: B x 3 x H x W in [-1, 1], of any resolution with the canvas's aspect.
        size: (H', W') of the result, the photo's own by default.
    """
    size = size or (photo.shape[-2], photo.shape[-1])
    mask = F.interpolate(places.photo_mask.sigmoid(), size=photo.shape[-2:], mode="bilinear", align_corners=False)
    moved = carry(torch.cat([(photo.float() + 1) * mask, mask], dim=1), places.place, size)
    there = moved[:, 3:]
    pixels = (moved[:, :3] / there.clamp_min(EDGE) - 1).clamp(-1, 1) * (there > EDGE)
    person, seen = (F.interpolate(v.sigmoid(), size=size, mode="bilinear", align_corners=False) for v in (places.person, places.seen))
    alpha = _ramp(person * seen, SEEN_FROM, SEEN_TO) * _ramp(there, MASK_FROM, MASK_TO)
    return Carried(pixels, person, alpha)


def _ramp(share: Tensor, start: float, end: float) -> Tensor:
    return ((share - start) / (end - start)).clamp(0, 1)


def enlarge(carried: Carried, rendered: Tensor) -> Tensor:
    """The last step's image at the resolution of what is carried: B x 3 x H' x W'. What is rendered, B x 3 x H x W, has no more detail."""
    large = F.interpolate(rendered, size=carried.alpha.shape[-2:], mode="bicubic", align_corners=False)
    return carried.pixels * carried.alpha + (1 - carried.alpha) * large


def cut_out_mask(carried: Carried) -> Tensor:
    """B x 1 x H x W in [0, 1]: the person, with an edge that takes little of the ground along."""
    return _ramp(torch.maximum(carried.person, carried.alpha), CUT_FROM, CUT_TO)


def at_level(carried: Carried, degrade: Callable[[Tensor], Tensor]) -> StepCarried:
    """``degrade`` brings B x C x H x W to the level that the step aims at."""
    planes = torch.cat([carried.pixels * carried.person, carried.person, carried.alpha, carried.pixels * carried.alpha], dim=1)
    condition, shown = degrade(planes).split((5, 3), dim=1)
    return StepCarried(condition, shown, condition[:, 4:5])
