"""Hats and glasses, which move with the head."""

from __future__ import annotations

from functools import cache

import numpy as np

from nted_step.classes import LABELS
from training.figures.body import HEAD
from training.figures.garments.wardrobe import Wardrobe
from training.figures.outfits import Garment
from training.figures.pieces import bone_weight, grid_faces, rounded_box, simple, tube

HAT_CENTRE = (0, 1.648, -0.012)
HAT_RADII = {"beanie": (0.0885, 0.112, 0.109), "cap": (0.0885, 0.108, 0.108), "brim": (0.092, 0.128, 0.110)}
BRIM_HEIGHT = 1.676
BRIM_ROWS = 7
EYE_X, EYE_Y = 0.0335, 1.608  # middle of the left lens
LENS_DEPTH = 0.110
LENS_POINTS = 20  # of its rim
WIRE = 0.0030  # radius of a frame, metres


def wear_headwear(wardrobe: Wardrobe, garment: Garment) -> None:
    """Put on a beanie, a cap, or a hat with a brim."""
    material = wardrobe.material(garment.material)
    style, label = garment.cut["style"], LABELS["headwear"]
    position, face = _crown(style)
    cut = (position[:, 1] - _crown_edge(style, position[:, 2])).astype(np.float32)
    weight = bone_weight(len(position), "head")
    wardrobe.pieces.append(simple(position, face, weight, material, label, cut=cut, region=HEAD, bias=0.004, two_sided=True))
    position, face = _roll() if style == "beanie" else _brim(style)
    weight = bone_weight(len(position), "head")
    wardrobe.pieces.append(simple(position, face, weight, material, label, region=HEAD, bias=0.005, two_sided=style != "beanie"))


@cache
def _crown(style: str) -> tuple[np.ndarray, np.ndarray]:
    return rounded_box(HAT_CENTRE, HAT_RADII[style], 2.9 if style == "brim" else 2.2, rows=24, columns=40)


def _crown_edge(style: str, z: np.ndarray) -> np.ndarray:
    """Height of the lower edge of a crown at depths ``z``, metres."""
    if style == "beanie":
        return 1.650 + 0.10 * (z + 0.012)
    return 1.672 + (0.10 if style == "cap" else 0.08) * (z + 0.012)


def _roll() -> tuple[np.ndarray, np.ndarray]:
    """The turned-up edge of a beanie."""
    angle = np.arange(36) / 36 * 2 * np.pi
    ring = np.stack([np.sin(angle) * 0.090, 1.662 - 0.022 * np.cos(angle + np.pi), -0.012 + np.cos(angle) * 0.108], 1)
    return tube(ring, 0.017, flat=1.0, sides=8, closed=True, out=(0, 1, 0))


def _brim(style: str) -> tuple[np.ndarray, np.ndarray]:
    """The peak of a cap, or the brim round a hat."""
    share = np.linspace(0, 1, BRIM_ROWS)[:, None]
    if style == "cap":
        angle = np.linspace(-1.25, 1.25, 25)[None]
        reach = 0.075 * np.cos(np.clip(angle, -1.3, 1.3)) ** 0.6
        droop = 0.030 * share**2
    else:
        angle = np.arange(48)[None] / 48 * 2 * np.pi
        reach = 0.075 + 0.01 * np.cos(2 * angle)
        droop = 0.022 * share**1.5 - 0.016 * share * np.cos(2 * angle)
    x, z = np.sin(angle) * (0.088 + share * reach), -0.012 + np.cos(angle) * (0.106 + share * reach)
    grid = np.stack(np.broadcast_arrays(x, BRIM_HEIGHT - droop + 0.012 * np.cos(angle), z), -1)
    return grid.reshape(-1, 3), grid_faces(BRIM_ROWS, grid.shape[1], closed=style != "cap")


def wear_eyeglass(wardrobe: Wardrobe, garment: Garment) -> None:
    """Put on glasses; only dark lenses are drawn."""
    cut, frame = garment.cut, wardrobe.material(garment.material)

    def add(position: np.ndarray, face: np.ndarray, material: int = frame, two_sided: bool = False) -> None:
        weight = bone_weight(len(position), "head")
        piece = simple(position, face, weight, material, LABELS["eyeglass"], region=HEAD, bias=0.006, two_sided=two_sided)
        wardrobe.pieces.append(piece)

    for side in (-1, 1):
        ring = _rim(cut, side)
        add(*tube(ring, WIRE, sides=5, closed=True))
        hinge = [side * (0.033 + cut["width"]), 1.614, 0.092]
        temple = np.array([hinge, [side * 0.079, 1.615, 0.055], [side * 0.083, 1.611, -0.005], [side * 0.080, 1.59, -0.025]])
        add(*tube(temple, WIRE, sides=5, out=(0, 1, 0)))
        if cut["dark"]:
            disc = np.concatenate([ring, [[side * EYE_X, EYE_Y, LENS_DEPTH]]])
            corner = np.arange(LENS_POINTS)
            face = np.stack([corner, (corner + 1) % LENS_POINTS, np.full(LENS_POINTS, LENS_POINTS)], 1)
            add(disc, face if side > 0 else face[:, ::-1], wardrobe.material(garment.second), two_sided=True)
    bridge = np.array([[-0.008, 1.612, 0.109], [0, 1.615, 0.113], [0.008, 1.612, 0.109]])
    add(*tube(bridge, WIRE, sides=5, out=(0, 1, 0)))


def _rim(cut: dict, side: int) -> np.ndarray:
    """Points (LENS_POINTS, 3) round a lens, metres."""
    angle = np.arange(LENS_POINTS) / LENS_POINTS * 2 * np.pi
    power = 2 / cut["round"]
    x = side * (EYE_X + np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power * cut["width"])
    y = EYE_Y + np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power * cut["height"]
    return np.stack([x, y, LENS_DEPTH - 6.0 * np.maximum(np.abs(x) - 0.01, 0) ** 2], 1)
