"""Belts, bags, and what is worn round the neck."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nted_step.classes import LABELS
from training.figures.body import skin_weights, step
from training.figures.garments.wardrobe import Body, Wardrobe, cloth
from training.figures.materials import Detail
from training.figures.outfits import Garment
from training.figures.pieces import bone_weight, rounded_box, simple, tube
from training.figures.skeleton import ARM_AXIS, BONE, WRIST

TORSO_BONES = ("pelvis", "abdomen", "chest", "neck", "r_clavicle", "l_clavicle")
BELT_HEIGHT = 1.028  # of its middle, metres
BAG_POWER = 5  # of the superquadric that a bag is
BAG_THICKNESS = 0.035  # half of it, of a bag on a strap, metres
RING_POINTS = 28  # of what is worn round the neck


def wear_belt(wardrobe: Wardrobe, garment: Garment) -> None:
    """Put on a belt, unless a top hangs over it."""
    body, hem = wardrobe.body, wardrobe.hanging_top
    if hem is not None and hem < 1.02:
        return
    inside = np.where(body.template.arm > 0.05, -1, garment.cut["height"] - np.abs(body.template.position[:, 1] - BELT_HEIGHT))
    offset = np.full(len(inside), 0.016)
    if "dress" in wardrobe.outfit or "skirt" in wardrobe.outfit:
        offset += 0.006
    material = wardrobe.material(replace(garment.material, detail=Detail.BUCKLE))
    wardrobe.pieces.append(cloth(body, inside, offset, material, "belt", bias=0.012))


def wear_bag(wardrobe: Wardrobe, garment: Garment) -> None:
    """Put on a bag: in a hand, or on a strap over a shoulder."""
    material = wardrobe.material(garment.material)
    if garment.cut["style"] == "hand":
        _add_handbag(wardrobe, garment.cut, material)
    else:
        _add_strap_bag(wardrobe, garment.cut, material)


def _add_handbag(wardrobe: Wardrobe, cut: dict, material: int) -> None:
    bone = "l_carry" if cut["side"] > 0 else "r_carry"
    pivot = (WRIST + 0.10 * ARM_AXIS) * np.array([cut["side"], 1, 1], np.float32)
    centre = np.add(pivot, [0, -0.11 - cut["height"], 0])
    position, face = rounded_box(centre, (0.045, cut["height"], cut["width"]), BAG_POWER)
    weight, texture = bone_weight(len(position), bone), _bag_texture(position)
    wardrobe.pieces.append(simple(position, face, weight, material, LABELS["bag"], texture=texture, bias=0.006))
    angle = np.linspace(0, np.pi, 13)
    for side in (-0.02, 0.02):
        handle = np.stack([np.full(13, side), np.sin(angle) * 0.13 - 0.125, np.cos(angle) * cut["width"] * 0.55], 1)
        position, face = tube(pivot + handle, 0.006, out=(1, 0, 0), sides=6)
        wardrobe.pieces.append(simple(position, face, bone_weight(len(position), bone), material, LABELS["bag"], bias=0.006))


def _add_strap_bag(wardrobe: Wardrobe, cut: dict, material: int) -> None:
    body, side = wardrobe.body, cut["side"]
    hip = float(body.girth(np.array(0.92)).wide)
    centre = np.array([side * (hip + BAG_THICKNESS + 0.035), 0.90, 0.02])
    position, face = rounded_box(centre, (BAG_THICKNESS, cut["height"], cut["width"]), BAG_POWER)
    weight, texture = bone_weight(len(position), "pelvis"), _bag_texture(position)
    wardrobe.pieces.append(simple(position, face, weight, material, LABELS["bag"], texture=texture, bias=0.01))
    # the strap: over the far (cross) or near shoulder, front and back
    over = np.array([-side * 0.085 if cut["style"] == "cross" else side * 0.115, 1.452, -0.03])
    end = np.array([side * (hip + 0.03), 0.985, 0.02])
    for direction in (1, -1):
        position, face = tube(_strap(body, over, end, direction), 0.009, flat=0.35, sides=6)
        wardrobe.pieces.append(simple(position, face, _torso_weights(position), material, LABELS["bag"], bias=0.022))


def _strap(body: Body, over: np.ndarray, end: np.ndarray, direction: int) -> np.ndarray:
    """Points (26, 3) from a shoulder to a hip along the front (``direction`` 1) or the back (-1) of the torso, metres."""
    share = np.linspace(0, 1, 26)[:, None]
    line = (1 - share) * over + share * end
    girth = body.girth(line[:, 1])
    across = np.clip(1 - np.abs(line[:, 0] / (girth.wide + 0.02)) ** 3, 0, 1)
    depth = np.where(direction > 0, girth.front, girth.back) * across**0.45
    below = step(line[:, 1], 1.46, 1.34)
    line[:, 2] = direction * (depth * below + 0.026) - 0.03 * (1 - below)
    return line


def _bag_texture(position: np.ndarray) -> np.ndarray:
    """The points that colour a bag: a pattern runs along its sides."""
    return np.stack([position[:, 2], position[:, 1], np.abs(position[:, 0])], 1)


def _torso_weights(position: np.ndarray) -> np.ndarray:
    """Weights (n, bones) of what lies on the torso and must not follow arms and legs."""
    weight = skin_weights(position)[0]
    torso = [BONE[name] for name in TORSO_BONES]
    kept = np.zeros_like(weight)
    kept[:, torso] = weight[:, torso]
    kept[:, BONE["chest"]] += 1e-4
    return kept / kept.sum(1, keepdims=True)


def wear_neckwear(wardrobe: Wardrobe, garment: Garment) -> None:
    """Put on a scarf, a tie, a choker or a necklace."""
    material = wardrobe.material(garment.material)
    extra = 0.028 if "outer" in wardrobe.outfit else 0.012  # metres off the chest
    add = {"scarf": _scarf, "tie": _tie, "choker": _choker}.get(garment.cut["style"], _necklace)
    for (position, face), bias in add(wardrobe.body, garment.cut["length"], extra):
        wardrobe.pieces.append(simple(position, face, _torso_weights(position), material, LABELS["neckwear"], bias=bias))


Tubes = list[tuple[tuple[np.ndarray, np.ndarray], float]]  # vertices and faces, and their bias in the depth test, metres


def _round_neck() -> np.ndarray:
    return np.arange(RING_POINTS) / RING_POINTS * 2 * np.pi


def _scarf(body: Body, length: float, extra: float) -> Tubes:
    angle, tubes = _round_neck(), []
    for lift, radius in ((0, 0.086), (0.028, 0.078)):
        ring = np.stack([np.sin(angle) * radius, 1.452 + lift - 0.030 * np.cos(angle), -0.030 + np.cos(angle) * radius * 0.98], 1)
        tubes.append((tube(ring, 0.030, sides=10, closed=True, out=(0, 1, 0)), 0.01))
    for x, share in ((0.035, 1.0), (-0.030, 0.8)):
        y = np.linspace(1.43, 1.43 - length * share, 14)
        z = np.maximum(body.chest_front(y), body.girth(y).front * 0.96) + extra + 0.012
        end = np.stack([x + 0.02 * np.linspace(0, 1, 14), y, z], 1)
        tubes.append((tube(end, 0.036, flat=0.35, sides=10), 0.014))
    return tubes


def _tie(body: Body, length: float, extra: float) -> Tubes:
    y = np.linspace(1.418, 1.05, 18)
    width = np.interp(y, [1.05, 1.09, 1.38, 1.395, 1.42], [0.004, 0.036, 0.020, 0.014, 0.020])
    line = np.stack([np.zeros(18), y, body.chest_front(y) + extra + 0.010], 1)
    return [(tube(line, width, flat=0.25, sides=8), 0.012)]


def _choker(body: Body, length: float, extra: float) -> Tubes:
    angle = _round_neck()
    ring = np.stack([np.sin(angle) * 0.060, 1.478 - 0.012 * np.cos(angle), -0.024 + np.cos(angle) * 0.060], 1)
    return [(tube(ring, 0.009, sides=6, closed=True, out=(0, 1, 0)), 0.01)]


def _necklace(body: Body, length: float, extra: float) -> Tubes:
    angle = _round_neck()
    front = np.clip(np.cos(angle), 0, 1)
    y = 1.445 - 0.02 * np.cos(angle) - length * 0.45 * front**1.5
    z = np.where(np.cos(angle) > 0.15, body.chest_front(y) + 0.006 + extra * 0.5, -0.030 + np.cos(angle) * 0.068)
    return [(tube(np.stack([np.sin(angle) * 0.070, y, z], 1), 0.0055, sides=6, closed=True), 0.02)]
