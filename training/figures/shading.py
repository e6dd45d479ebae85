"""Light and shadow: the studio behind a figure, the light on it, and the darkening where surfaces meet (torch)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.figures.annotate import shrink
from training.figures.materials import GLOSS_COLUMN
from training.figures.scene import SUPERSAMPLE, Scene
from training.figures.skeleton import BONE, PIVOTS
from training.figures.textures import creases
from training.figures.views import View

CONTACTS = ((1, 0.55, 0.05), (2, 0.60, 0.12), (5, 0.45, 0.22))
"""Reach in coarse pixels, strength, and depth in metres at which it is full, of the darkening around something nearer."""

DARKEST_FLOOR = 0.5  # share of the studio's light that shadows take at most
HIGHLIGHT_POWER = 24


def background(scene: Scene, size: tuple[int, int]) -> Tensor:
    """Studio sweep N x 3 x H x W, 0..1, with soft shadows on the floor."""
    h, w = size
    device = scene.ground.device
    y = (torch.arange(h, device=device).float() + 0.5) / h
    x = (torch.arange(w, device=device).float() + 0.5) / w
    sweep = 1 - 0.045 * y[:, None] - 0.05 * ((x[None] - 0.5) ** 2 * 2 + (y[:, None] - 0.45) ** 2)
    image = scene.ground[:, :, None, None] * sweep
    dark = torch.zeros(len(scene.views), h, w, device=device)
    for shadow, view in zip(dark, scene.views, strict=True):
        if view.floor <= h * 1.1:
            _add_shadows(shadow, view, (x * w)[None], (y * h)[:, None])
    return image * (1 - dark.clamp_max(DARKEST_FLOOR))[:, None]


def _add_shadows(shadow: Tensor, view: View, x: Tensor, y: Tensor) -> None:
    """Add the shadows of feet and seat to ``shadow`` H x W; ``x`` 1 x W and ``y`` H x 1 in pixels."""
    for bone in ("r_foot", "l_foot"):
        affine, pivot = view.affine[BONE[bone]], PIVOTS[BONE[bone]]
        foot = affine[:, :3] @ (pivot + np.array([0.01 * np.sign(pivot[0]), 0, 0.05], np.float32)) + affine[:, 3]
        middle = float(foot[0]) * view.scale + view.shift[0]
        lift = max(view.floor - (view.shift[1] - view.scale * (float(foot[1]) - 0.085)), 0) / view.scale
        width, height = 0.15 * view.scale, 0.022 * view.scale
        core = torch.exp(-(((x - middle) / width) ** 2) - ((y - view.floor + 0.01 * view.scale) / height) ** 2)
        halo = torch.exp(-(((x - middle) / (2.2 * width)) ** 2) - ((y - view.floor) / (2.2 * height)) ** 2)
        shadow += (0.30 * core + 0.12 * halo) * np.exp(-lift * 9)
    if view.seat is not None:
        middle = float(view.seat[:, 0].mean()) * view.scale + view.shift[0]
        shadow += 0.22 * torch.exp(-(((x - middle) / (0.34 * view.scale)) ** 2) - ((y - view.floor) / (0.04 * view.scale)) ** 2)


def contact(depth: Tensor, pixel: Tensor, images: int, size: tuple[int, int]) -> Tensor:
    """Soft darkening (K, 0..0.62) of samples whose surroundings are nearer.

    Args:
        depth: K, metres, nearer is larger.
        pixel: K, flat index of each sample in ``images`` images of ``SUPERSAMPLE`` times ``size``.
        images: how many.
        size: (H, W) of the canvas.
    """
    height, width = (extent * SUPERSAMPLE for extent in size)
    both = torch.zeros(2, images * height * width, device=depth.device)
    both[0, pixel], both[1, pixel] = depth, 1
    both = shrink(both.reshape(2, images, height, width).transpose(0, 1), SUPERSAMPLE)
    coarse = F.avg_pool2d(both, 2, ceil_mode=True)
    own = both[:, 0] / both[:, 1].clamp_min(1e-6)
    dark = torch.zeros_like(own)
    for reach, strength, room in CONTACTS:
        side = 2 * reach + 1
        around = F.avg_pool2d(F.avg_pool2d(coarse, (1, side), 1, (0, reach)), (side, 1), 1, (reach, 0))
        around = F.interpolate(around, size, mode="bilinear", align_corners=False)
        dark += strength * ((around[:, 0] - (own + 0.006) * around[:, 1]) / room).clamp(0, 0.6)
    dark = F.avg_pool2d(dark.clamp(0, 0.62)[:, None], 3, 1, 1)
    return F.interpolate(dark, scale_factor=SUPERSAMPLE, mode="nearest").reshape(-1).index_select(0, pixel)


def shade(albedo: Tensor, normal: Tensor, material: Tensor, point: Tensor, light: Tensor, back: Tensor) -> Tensor:
    """The colour of lit points, K x 3.

    Args:
        albedo: K x 3, 0..1.
        normal: K x 3, unit vectors towards the viewer's side.
        material: K x ROW_LENGTH.
        point: K x 3, points of the template, metres.
        light: K x 3, unit vectors towards the light.
        back: K bool, whether the inside of a surface is seen.
    """
    facing = (normal * light).sum(1)
    diffuse = ((facing + 0.35) / 1.35).clamp_min(0)
    sky = 0.5 + 0.5 * normal[:, 1]
    bright = 0.56 + 0.44 * diffuse + 0.10 * sky
    bright = bright * creases(material, point)
    half = F.normalize(light + light.new_tensor([0, 0, 1.0]), dim=1)
    gloss = (normal * half).sum(1).clamp_min(0) ** HIGHLIGHT_POWER * material[:, GLOSS_COLUMN]
    bright = torch.where(back, bright * 0.55, bright)
    rim = (1 - normal[:, 2].clamp(0, 1)) ** 3
    return albedo * (bright * (1 - 0.16 * rim))[:, None] + gloss[:, None] * 0.35
