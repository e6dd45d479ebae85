"""A baseline without a network: move the pixels of each limb of the source to the limb's place in the target pose."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nted_step.pose import Pose

# Bones (from, to) by joint: the limbs, the head, and the trunk as two bones that carry the chest's sides with them.
BONES = ((2, 3), (3, 4), (5, 6), (6, 7), (8, 9), (9, 10), (11, 12), (12, 13), (1, 0), (1, 8), (1, 11))
REACH = {(1, 0): 0.55, (1, 8): 0.42, (1, 11): 0.42}  # half-width of the body around a bone, as a share of the trunk's length
LIMB_REACH = 0.2


def limb_warp(source: Tensor, source_pose: Pose, target_pose: Pose) -> Tensor:
    """The source in the target pose, by one similarity transform per bone; 3 x H x W in and out.

    Within a bone's reach, a pixel of the result belongs to the nearest bone that is visible in both poses, and takes the source's pixel
    at the same place along and across that bone. All other pixels take the source's background, the median colour of its upper and
    side borders.
    """
    height, width = source.shape[1:]
    there = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)  # H x W x (x, y)
    trunk = _trunk(target_pose)
    nearest = np.full((height, width), np.inf, np.float32)
    here = np.full((height, width, 2), -1e4, np.float32)
    for bone in BONES:
        if not (source_pose.visible[list(bone)].all() and target_pose.visible[list(bone)].all()):
            continue
        distance, place = _along_bone(there, target_pose.xy[list(bone)], source_pose.xy[list(bone)])
        share = distance / (REACH.get(bone, LIMB_REACH) * trunk)
        closer = (share < 1) & (share < nearest)
        nearest[closer], here[closer] = share[closer], place[closer]
    grid = torch.from_numpy(here / ([width - 1, height - 1]) * 2 - 1).float()[None]
    moved = F.grid_sample(source[None], grid, align_corners=True, padding_mode="border")[0]
    covered = torch.from_numpy(np.isfinite(nearest))
    return torch.where(covered, moved, _background(source))


def _along_bone(pixel: np.ndarray, to: np.ndarray, back: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of every pixel from the bone ``to`` (2 x 2), and its position when the bone is mapped onto ``back``."""
    axis, other = to[1] - to[0], back[1] - back[0]
    length, other_length = max(float(np.hypot(*axis)), 1.0), max(float(np.hypot(*other)), 1.0)
    unit, other_unit = axis / length, other / other_length
    offset = pixel - to[0]
    along, across = offset @ unit, offset @ np.array([-unit[1], unit[0]])
    beyond = along - along.clip(0, length)
    scale = other_length / length
    place = back[0] + (along * scale)[..., None] * other_unit + across[..., None] * np.array([-other_unit[1], other_unit[0]])
    return np.hypot(beyond, across), place.astype(np.float32)


def _trunk(pose: Pose) -> float:
    """Length from neck to hips in pixels, or a typical length if they are hidden."""
    hips = [joint for joint in (8, 11) if pose.visible[joint]]
    if not hips or not pose.visible[1]:
        return 70.0
    return max(float(np.hypot(*(pose.xy[hips].mean(axis=0) - pose.xy[1]))), 10.0)


def _background(source: Tensor) -> Tensor:
    border = torch.cat([source[:, 0], source[:, :, 0], source[:, :, -1]], dim=1)
    return border.median(dim=1).values[:, None, None].expand_as(source)
