"""Exact annotation of a rendered figure: joints, visibility, class and instance maps, face boxes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nted_step.classes import FACE
from nted_step.pose import JOINTS
from training.figures.skeleton import BONE, FACE_POINTS

CODES = 256  # a sample's code is its class times this, plus its instance
LEAST_FACE = 12  # pixels of a face that has a box

NECK, SHOULDERS = 1, (2, 5)
_LIMB = {
    2: "r_arm",
    3: "r_forearm",
    4: "r_hand",
    5: "l_arm",
    6: "l_forearm",
    7: "l_hand",
    8: "r_thigh",
    9: "r_shin",
    10: "r_foot",
    11: "l_thigh",
    12: "l_shin",
    13: "l_foot",
}
"""Joints that are where a bone begins."""

_FACE_JOINTS = [0, 14, 15, 16, 17]  # nose, right eye, left eye, right ear, left ear: the order of FACE_POINTS
_OUTWARD = np.array([[0, 0, 1], [-0.38, 0, 0.92], [0.38, 0, 0.92], [-0.90, 0, 0.44], [0.90, 0, 0.44]], np.float32)
_LEAST = np.array([-0.16, 0.02, 0.02, 0.06, 0.06], np.float32)
"""The outward directions of those in the head's frame, and how far they must face the camera to be visible."""


def joints_in_space(affine: np.ndarray, pivots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joints (18, 3) in posed space, metres, and which face the camera (18,).

    Args:
        affine: bones x 3 x 4, from the rest pose.
        pivots: bones x 3, the joints of the body in the rest pose, metres.
    """
    joints, facing = np.zeros((len(JOINTS), 3), np.float32), np.ones(len(JOINTS), bool)
    for joint, name in _LIMB.items():
        bone = BONE[name]
        joints[joint] = affine[bone, :, :3] @ pivots[bone] + affine[bone, :, 3]
    joints[NECK] = (joints[SHOULDERS[0]] + joints[SHOULDERS[1]]) / 2
    head = affine[BONE["head"]]
    joints[_FACE_JOINTS] = FACE_POINTS @ head[:, :3].T + head[:, 3]
    turned = _OUTWARD @ head[:, :3].T
    facing[_FACE_JOINTS] = turned[:, 2] / np.linalg.norm(turned, axis=1) > _LEAST
    return joints, facing


def majority(code: Tensor, factor: int) -> Tensor:
    """Most common integer of each factor x factor block of N x H x W. Raises ValueError for a factor other than 1 and 2."""
    if factor == 1:
        return code
    _require_two(factor)
    a, b, c, d = code[:, ::2, ::2], code[:, ::2, 1::2], code[:, 1::2, ::2], code[:, 1::2, 1::2]
    alone, second = (a != b) & (a != c) & (a != d), (b == c) | (b == d)
    return torch.where(alone & second, b, torch.where(alone & ~second & (c == d), c, a))


def shown(point: Tensor, pixel: Tensor, fine: Tensor, code: Tensor, factor: int) -> Tensor:
    """The template point of each pixel: the mean over those of its samples that show what the pixel counts as, so that no point
    lies between two surfaces.

    Args:
        point: K x 3, points of the template that the samples show, metres.
        pixel: K, flat index of the samples.
        fine: N x factor H x factor W, the code of the samples.
        code: N x H x W, the code of the pixels.
        factor: 1 or 2 samples per pixel in each direction.

    Returns:
        N x 3 x H x W int16, millimetres, 0 on the background.
    """
    count, height, width = fine.shape
    coarse = code.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
    kept = (fine == coarse) & (coarse >= CODES)
    planes = torch.zeros(4, count * height * width, device=point.device)
    planes[:3, pixel] = point.t()
    planes[3] = 1
    planes *= kept.flatten()
    small = shrink(planes.reshape(4, count, height, width).transpose(0, 1), factor)
    return (small[:, :3] / small[:, 3:].clamp_min(1e-6) * 1000).round().to(torch.int16)


def face_boxes(class_map: Tensor) -> Tensor:
    """Boxes N x 4 (x0, y0, x1, y1) around the face in maps N x H x W, pixels; -1 where fewer than LEAST_FACE pixels show."""
    _, h, w = class_map.shape
    mask = class_map == FACE
    columns, rows = mask.any(1), mask.any(2)
    low = _first(columns), _first(rows)
    high = w - _first(columns.flip(1)), h - _first(rows.flip(1))
    box = torch.stack([*low, *high], 1).float()
    return torch.where((mask.flatten(1).sum(1) >= LEAST_FACE)[:, None], box, torch.full_like(box, -1.0))


def _first(mask: Tensor) -> Tensor:
    """The index of the first True in each row."""
    return mask.float().argmax(1)


def shrink(image: Tensor, factor: int) -> Tensor:
    """Box-filtered N x C x H x W. Raises ValueError for a factor other than 1 and 2."""
    if factor == 1:
        return image
    _require_two(factor)
    return (image[..., ::2, ::2] + image[..., ::2, 1::2] + image[..., 1::2, ::2] + image[..., 1::2, 1::2]) * 0.25


def _require_two(factor: int) -> None:
    if factor != 2:
        raise ValueError(f"only a factor of 1 or 2 is known, not {factor}")
