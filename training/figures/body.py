"""The one mesh that all bodies are made from: surface, changes of shape, and skin weights, in the rest pose.

All cuts and textures of skin and cloth are functions of the *template* position, so they stay with the body.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from training.figures.implicit import Field, gradient, project, triangulate
from training.figures.shapes import SHAPES, SHOULDER_SHIFT, Build, body_field
from training.figures.skeleton import ARM_AXIS, ARM_OUT, BONE, BONES, SHOULDER, UPPER_ARM, WRIST

BODY, HANGING, HEAD = range(3)
"""Regions of faces, which choose how a texture is wrapped: the body's own surface (told apart further by place), cloth that hangs
from it, and the head."""


COARSE_PART, HEAD_PART = 0, 1  # the parts of the template's mesh; the others are the hands
DRAPE_ROWS, DRAPE_SECTORS = 40, 24  # heights and directions around the body by which a drape is tabulated


@dataclass(frozen=True)
class Template:
    """The body mesh, of V vertices and F faces.

    Attributes:
        position: V x 3, metres.
        normal: V x 3, of unit length.
        shape: by name of ``SHAPES``, the displacement V x 3 of a full change to it, metres, and the change of the normals V x 3.
        weight: V x bones.
        face: F x 3, numbers of vertices.
        region: F, BODY or HEAD.
        arm: V, membership of an arm, 0..1.
        arm_along: V, metres from the shoulder joint down the nearer arm.
        leg: V, membership of a leg, 0..1.
        drape: V, metres that a loose cloth stands off below the chest.
        part: V, COARSE_PART, HEAD_PART, or a larger number for each hand: separate, overlapping meshes.
    """

    position: np.ndarray
    normal: np.ndarray
    shape: dict[str, tuple[np.ndarray, np.ndarray]]
    weight: np.ndarray
    face: np.ndarray
    region: np.ndarray
    arm: np.ndarray
    arm_along: np.ndarray
    leg: np.ndarray
    drape: np.ndarray
    part: np.ndarray


def step(x: np.ndarray, start: float, end: float) -> np.ndarray:
    """Smooth step from 0 to 1 as x goes from ``start`` to ``end``, which may be the smaller."""
    share = np.clip((x - start) / (end - start), 0, 1)
    return share * share * (3 - 2 * share)


def arm_coordinates(position: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Metres along, out of the back of the hand, and to the front (n each), in the frame of the nearer arm, of points (n, 3)."""
    offset = np.stack([np.abs(position[:, 0]), position[:, 1], position[:, 2]], 1) - SHOULDER
    return offset @ ARM_AXIS, offset @ ARM_OUT, offset[:, 2]


def skin_weights(position: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (n, bones) and memberships of arms and legs (n,), 0..1, of template points (n, 3)."""
    x, y, _ = position.T
    weight = np.zeros((len(position), len(BONES)), np.float32)
    along, out, front = arm_coordinates(position)
    reach = np.hypot(out, front)
    arm = step(along, -0.045, 0.090) * np.where(along > 0.17, step(reach, 0.17, 0.13), step(reach, 0.112, 0.062)) * (np.abs(x) > 0.08)
    arm *= step(y, 1.50, 1.45)
    leg = step(y, 0.985, 0.825) * (1 - arm) * (along < 0.45)
    leg = np.where((y < 0.80) & (np.abs(x) < 0.33), 1.0, leg)
    left = step(x, -0.035, 0.035)
    torso = np.clip(1 - arm - leg, 0, 1)
    neck, head = step(y, 1.415, 1.48), step(y, 1.495, 1.555)
    chest, abdomen = step(y, 1.12, 1.26), step(y, 0.98, 1.10)
    clavicle = step(np.abs(x), 0.03, 0.14) * step(y, 1.24, 1.37) * (1 - neck) * 0.8
    weight[:, BONE["head"]] = torso * head
    weight[:, BONE["neck"]] = torso * neck * (1 - head)
    upper = torso * (1 - neck)
    weight[:, BONE["chest"]] = upper * chest * (1 - clavicle)
    weight[:, BONE["abdomen"]] = upper * abdomen * (1 - chest)
    weight[:, BONE["pelvis"]] = upper * (1 - abdomen) * (1 - chest)
    elbow, wrist, finger = step(along, UPPER_ARM - 0.045, UPPER_ARM + 0.045), step(along, 0.495, 0.535), step(along, 0.595, 0.63)
    knee, ankle = step(y, 0.56, 0.445), step(y, 0.125, 0.075)
    thumb = front > 0.034
    for side, share in (("l", left), ("r", 1 - left)):
        weight[:, BONE[f"{side}_clavicle"]] = upper * chest * clavicle * share
        weight[:, BONE[f"{side}_arm"]] = arm * share * (1 - elbow)
        weight[:, BONE[f"{side}_forearm"]] = arm * share * elbow * (1 - wrist)
        finger_only = np.where(thumb & (along < 0.62), 0, finger)
        weight[:, BONE[f"{side}_hand"]] = arm * share * wrist * (1 - finger_only)
        weight[:, BONE[f"{side}_fingers"]] = arm * share * wrist * finger_only
        weight[:, BONE[f"{side}_thigh"]] = leg * share * (1 - knee)
        weight[:, BONE[f"{side}_shin"]] = leg * share * knee * (1 - ankle)
        weight[:, BONE[f"{side}_foot"]] = leg * share * knee * ankle
    return weight / weight.sum(1, keepdims=True), arm.astype(np.float32), leg.astype(np.float32)


def _mesh(field: Field) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The template's vertices, faces and parts: a coarse body, finer head and hands, slightly overlapping."""
    low, high = np.add(WRIST, (-0.070, -0.20, -0.075)), np.add(WRIST, (0.19, 0.065, 0.085))  # of the left hand
    parts = [
        triangulate(field, (-0.62, -0.02, -0.22), (0.62, 1.50, 0.26), 0.0180),
        triangulate(field, (-0.105, 1.475, -0.135), (0.105, 1.75, 0.15), 0.0088),
        triangulate(field, low, high, 0.0080),
        triangulate(field, np.array([-high[0], *low[1:]]), np.array([-low[0], *high[1:]]), 0.0080),
    ]
    points, faces, base = [], [], 0
    for part, (position, face) in enumerate(parts):
        face = face[_belongs(position, part)[face].all(1)]
        used = np.unique(face)
        number = np.zeros(len(position), np.int64)
        number[used] = np.arange(len(used)) + base
        points.append(position[used])
        faces.append(number[face])
        base += len(used)
    part = np.concatenate([np.full(len(position), part) for part, position in enumerate(points)])
    return np.concatenate(points), np.concatenate(faces), part


def _belongs(position: np.ndarray, part: int) -> np.ndarray:
    """Which points (n, 3) one of the meshes may have: the others have the rest."""
    y, away = position[:, 1], np.abs(position[:, 0]) > 0.35
    along = arm_coordinates(position)[0]
    if part == COARSE_PART:
        return ~((along > 0.545) & away) & (y < 1.512)
    if part == HEAD_PART:
        return y > 1.472
    return (along > 0.495) & away


def _drape(position: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """How far a cloth that hangs from the chest stands off the body, per vertex, metres."""
    x, y, z = position[:, 0], position[:, 1], position[:, 2] + 0.01
    radius = np.hypot(x, z)
    sector = ((np.arctan2(x, z) + np.pi) / (2 * np.pi) * DRAPE_SECTORS).astype(int) % DRAPE_SECTORS
    row = np.clip(((1.36 - y) / 0.6 * DRAPE_ROWS), -1, DRAPE_ROWS - 1).astype(int)
    torso = (arm < 0.1) & (row >= 0) & (y > 0.76)
    table = np.zeros((DRAPE_ROWS, DRAPE_SECTORS))
    np.maximum.at(table, (row[torso], sector[torso]), radius[torso])
    for i in range(1, DRAPE_ROWS):  # cloth falls almost straight from what is above
        table[i] = np.maximum(table[i], np.where(table[i] > 0, np.maximum(table[i - 1] - 0.0008, table[i]), table[i - 1]))
    for _ in range(2):
        table = (np.roll(table, 1, 1) + 2 * table + np.roll(table, -1, 1)) / 4
    distance = np.where(row >= 0, table[np.maximum(row, 0), sector] - radius, 0) * (1 - arm)
    return np.clip(distance, 0, 0.09).astype(np.float32)


@lru_cache(maxsize=1)
def template() -> Template:
    """The one body template (built on first use, a few seconds)."""
    field = body_field(Build())
    position, face, part = _mesh(field)
    position = project(field, position, 2)
    normal = gradient(field, position)
    weight, arm, leg = skin_weights(position)
    shape = {}
    for name, build in SHAPES.items():
        other = body_field(build)
        moved = position.copy()
        moved[:, 0] += np.sign(position[:, 0]) * arm * (build.shoulder - 1) * SHOULDER_SHIFT
        moved = project(other, moved, 3)
        shape[name] = (moved - position, gradient(other, moved) - normal)
    return Template(
        position=position,
        normal=normal,
        shape=shape,
        weight=weight,
        face=face,
        region=np.where((position[:, 1] > 1.49)[face].all(1), HEAD, BODY),
        arm=arm,
        arm_along=arm_coordinates(position)[0].astype(np.float32),
        leg=leg,
        drape=_drape(position, arm),
        part=part,
    )
