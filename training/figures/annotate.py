"""Exact annotation of a rendered figure: joints, visibility, class and instance maps, face boxes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from training.figures.skeleton import BONE, FACE_POINTS

# COCO-18 joints that are bone pivots; joint 1 (neck) lies between the shoulders; 0 and 14..17 are on the head
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
_FACE = {0: 0, 14: 1, 15: 2, 16: 3, 17: 4}
# outward directions of nose, eyes and ears in the head's frame, and how far they must face the camera
_OUTWARD = np.array([[0, 0, 1], [-0.38, 0, 0.92], [0.38, 0, 0.92], [-0.90, 0, 0.44], [0.90, 0, 0.44]], np.float32)
_LEAST = np.array([-0.16, 0.02, 0.02, 0.06, 0.06], np.float32)


def joints_in_space(affine: np.ndarray, pivots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joints (18, 3) in posed space, metres, and which face the camera (18,)."""
    out, facing = np.zeros((18, 3), np.float32), np.ones(18, bool)
    for joint, bone in _LIMB.items():
        b = BONE[bone]
        out[joint] = affine[b, :, :3] @ pivots[b] + affine[b, :, 3]
    out[1] = (out[2] + out[5]) / 2
    head = affine[BONE["head"]]
    points = FACE_POINTS @ head[:, :3].T + head[:, 3]
    turned = _OUTWARD @ head[:, :3].T
    turned = turned[:, 2] / np.linalg.norm(turned, axis=1)
    for joint, k in _FACE.items():
        out[joint] = points[k]
        facing[joint] = turned[k] > _LEAST[k]
    return out, facing


def majority(code: Tensor, factor: int) -> Tensor:
    """Most common integer of each 2 x 2 block of N x H x W (a factor of 1 changes nothing)."""
    if factor == 1:
        return code
    if factor != 2:
        raise ValueError("only a factor of 1 or 2 is known")
    a, b, c, d = code[:, ::2, ::2], code[:, ::2, 1::2], code[:, 1::2, ::2], code[:, 1::2, 1::2]
    pick_b = (a != b) & (a != c) & (a != d) & ((b == c) | (b == d))
    pick_c = (a != b) & (a != c) & (a != d) & ~((b == c) | (b == d)) & (c == d)
    return torch.where(pick_b, b, torch.where(pick_c, c, a))


def shown(point: Tensor, pixel: Tensor, fine: Tensor, code: Tensor, factor: int) -> Tensor:
    """The template point of each pixel, N x 3 x H x W int16 millimetres: the mean over those of its samples that show what the pixel
    counts as, so that no point lies between two surfaces.

    point: K x 3 metres, of the samples with flat index `pixel`.  fine: N x factor H x factor W, code: N x H x W, what both show.
    """
    n, height, width = fine.shape
    kept = (fine == code.repeat_interleave(factor, 1).repeat_interleave(factor, 2)) & (code > 255).repeat_interleave(
        factor, 1
    ).repeat_interleave(factor, 2)
    planes = torch.zeros(4, n * height * width, device=point.device)
    planes[:3, pixel] = point.t()
    planes[3] = 1
    planes *= kept.flatten()
    small = shrink(planes.reshape(4, n, height, width).transpose(0, 1), factor)
    return (small[:, :3] / small[:, 3:].clamp_min(1e-6) * 1000).round().to(torch.int16)


def face_boxes(class_map: Tensor, face: int = 15, least: int = 12) -> Tensor:
    """Boxes N x 4 (x0, y0, x1, y1) around the face class, -1 where fewer than `least` pixels show."""
    n, h, w = class_map.shape
    mask = class_map == face
    cols, rows = mask.any(1), mask.any(2)
    first = lambda m: m.float().argmax(1)  # noqa: E731
    x0, y0 = first(cols), first(rows)
    x1, y1 = w - first(cols.flip(1)), h - first(rows.flip(1))
    box = torch.stack([x0, y0, x1, y1], 1).float()
    return torch.where((mask.flatten(1).sum(1) >= least)[:, None], box, torch.full_like(box, -1.0))


def shrink(image: Tensor, factor: int) -> Tensor:
    """Box-filtered N x C x H x W, by a factor of 1 or 2."""
    if factor == 1:
        return image
    if factor != 2:
        raise ValueError("only a factor of 1 or 2 is known")
    return (image[..., ::2, ::2] + image[..., ::2, 1::2] + image[..., 1::2, ::2] + image[..., 1::2, 1::2]) * 0.25
