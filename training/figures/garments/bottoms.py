"""Garments of the lower body: trousers, leggings, skirts and footwear."""

from __future__ import annotations

import numpy as np

from training.figures.body import step
from training.figures.garments.wardrobe import Body, Wardrobe, cloth, hanging
from training.figures.outfits import Garment
from training.figures.skeleton import HIP, LEG_AXIS

SKIRT_TOP = 1.05  # height of the waistband, metres
FIRST_SHOE = 20  # instance of the right shoe; the left one's is the next


def wear_pants(wardrobe: Wardrobe, garment: Garment) -> None:
    """Put on trousers or shorts."""
    cut, body = garment.cut, wardrobe.body
    position = body.template.position
    height = position[:, 1]
    inside = np.minimum(height - _leg_hem(wardrobe, cut["hem"], cut["width"]), cut["rise"] - height)
    inside = np.where(body.template.arm > 0.05, -1, np.minimum(inside, _no_foot(position)))
    wardrobe.hide(inside)
    if wardrobe.hanging_top is not None:
        inside = np.minimum(inside, max(wardrobe.hanging_top, 0.9) + 0.02 - height)
    elif "dress" in wardrobe.outfit:
        inside = np.minimum(inside, 0.93 - height)
    offset = (0.006 + 0.004 * step(height, 0.95, 1.03)) * np.ones(len(position))
    material = wardrobe.material(garment.material)
    sideways = _leg_sideways(body, cut["width"])
    two_sided = cut["width"] > 0.01
    wardrobe.pieces.append(cloth(body, inside, offset, material, "pants", sideways=sideways, bias=0.003, two_sided=two_sided))


def wear_leggings(wardrobe: Wardrobe, garment: Garment) -> None:
    """Put on leggings."""
    body, outfit = wardrobe.body, wardrobe.outfit
    position = body.template.position
    height = position[:, 1]
    inside = np.minimum(height - _leg_hem(wardrobe, garment.cut["hem"], 0), 1.04 - height)
    inside = np.where(body.template.arm > 0.05, -1, np.minimum(inside, _no_foot(position)))
    wardrobe.hide(inside)
    if wardrobe.hanging_top is not None:
        inside = np.minimum(inside, max(wardrobe.hanging_top, 0.88) + 0.02 - height)
    for name in ("skirt", "dress"):
        if name in outfit:
            inside = np.minimum(inside, outfit[name].cut["hem"] + 0.06 - height)
    material = wardrobe.material(garment.material)
    wardrobe.pieces.append(cloth(body, inside, np.full(len(position), 0.003), material, "leggings", bias=0.001))


def wear_skirt(wardrobe: Wardrobe, garment: Garment) -> None:
    """Put on a skirt."""
    piece = hanging(wardrobe.body, garment.cut, SKIRT_TOP, wardrobe.material(garment.material), "skirt", ease=0.008)
    if wardrobe.hanging_top is not None:
        piece.cut = np.minimum(piece.cut, wardrobe.hanging_top + 0.02 - piece.texture[:, 1]).astype(np.float32)
    wardrobe.hide_legs(garment.cut["hem"])
    wardrobe.pieces.append(piece)


def wear_footwear(wardrobe: Wardrobe, garment: Garment) -> None:
    """Put on a pair of shoes, each an instance of its own."""
    body = wardrobe.body
    x, y, z = body.template.position.T
    style = garment.cut["style"]
    boot = "boot" in style
    inside = np.where((y < 0.6) & (body.template.arm < 0.05), garment.cut["top"] - y, -1)
    if style in ("flat", "loafer"):
        instep = 0.036 + 0.030 * step(z, 0.075, 0.105) - y + 0.016 * (style == "loafer")
        inside = np.minimum(inside, np.where(z > -0.02, instep, 1))
    wardrobe.hide(inside - 0.004)
    material = wardrobe.material(garment.material)
    offset = 0.007 + 0.004 * step(y, 0.05, 0.02) + (0.010 if boot else 0) * step(y, 0.10, 0.16)
    for instance, side in enumerate((-1, 1), FIRST_SHOE):
        one = np.where(np.sign(x) == side, inside, -1)
        bias = 0.004 if boot else 0.002
        wardrobe.pieces.append(cloth(body, one, offset, material, "footwear", instance=instance, bias=bias, two_sided=boot))


def _no_foot(position: np.ndarray) -> np.ndarray:
    """Signed distance from the instep and toes, which trouser legs leave free, metres."""
    return np.where(position[:, 1] < 0.16, np.maximum(0.028 - position[:, 2], position[:, 1] - 0.115), 1.0)


def _leg_hem(wardrobe: Wardrobe, hem: float, width: float) -> float:
    """The visible hem of a trouser leg, metres: narrow legs go into boots."""
    shoes = wardrobe.outfit.get("footwear")
    if shoes is not None and "boot" in shoes.cut["style"] and width < 0.03:
        return max(hem, shoes.cut["top"] - 0.015)
    return hem


def _leg_sideways(body: Body, width: float) -> np.ndarray:
    """Horizontal displacement (V, 3) that widens trouser legs towards the hem, metres."""
    position, base = body.position, body.template
    axis = HIP[0] + (HIP[1] - position[:, 1]) * (LEG_AXIS[0] / -LEG_AXIS[1])
    out = np.stack([position[:, 0] - np.sign(position[:, 0]) * axis, np.zeros(len(position)), position[:, 2]], 1)
    distance = np.linalg.norm(out, axis=1, keepdims=True)
    y = base.position[:, 1]
    wanted = width * step(y, 0.94, 0.62)
    # straight fall: below the knee the leg narrows, the cloth does not
    natural = np.interp(y, [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.022, 0.024, 0.02, 0.010, 0.006, 0.012, 0])
    wanted = wanted + np.clip(width / 0.03, 0, 1) * natural
    return out / np.maximum(distance, 1e-4) * (wanted * base.leg)[:, None]
