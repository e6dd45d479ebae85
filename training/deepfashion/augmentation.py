"""Random enlarging and cropping of a person: the picture, its mask and its joints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from nted_step.pose import Pose

LARGEST = 1.1  # our choice: the original records a crop of 1.074, but not the range that it was drawn from


@dataclass(frozen=True)
class Crop:
    """Resize to ``resized`` (H, W) pixels, then cut out the canvas at ``left``, ``top``."""

    resized: tuple[int, int]
    left: int
    top: int

    def image(self, image: Tensor) -> Tensor:
        """C x h x w -> C x h x w, bilinear; values stay in their range."""
        height, width = image.shape[-2:]
        large = F.interpolate(image[None], size=self.resized, mode="bilinear", align_corners=False)[0]
        return large[:, self.top : self.top + height, self.left : self.left + width]

    def pose(self, pose: Pose, size: tuple[int, int]) -> Pose:
        """The joints on the cropped canvas of ``size``; some may lie outside it."""
        scale = (self.resized[1] / size[1], self.resized[0] / size[0])
        return Pose(pose.xy.astype(float) * scale - (self.left, self.top), pose.visible)


def random_crop(rng: np.random.Generator, size: tuple[int, int], largest: float = LARGEST) -> Crop:
    """A crop of a canvas (H, W) enlarged by 1..``largest``, uniform in scale and position."""
    scale = rng.uniform(1, largest)
    height, width = round(size[0] * scale), round(size[1] * scale)
    return Crop((height, width), int(rng.integers(width - size[1] + 1)), int(rng.integers(height - size[0] + 1)))
