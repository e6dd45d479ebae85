"""The one mesh that all bodies are made from: surface, changes of shape, and skin weights, in the rest pose.

All cuts and textures of skin and cloth are functions of the *template* position, so they stay with the body.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from training.figures.implicit import gradient, project, triangulate
from training.figures.shapes import SHAPES, SHOULDER_SHIFT, Build, body_field
from training.figures.skeleton import ARM_AXIS, ARM_OUT, BONE, BONES, SHOULDER, UPPER_ARM, WRIST

BODY, HANGING, HEAD = range(3)
"""Regions of faces, which choose how a texture is wrapped: the body's own surface (told apart further by place), cloth that hangs
from it, and the head."""


@dataclass(frozen=True)
class Template:
    """The body mesh.  Arrays are per vertex unless named otherwise."""

    position: np.ndarray  # (v, 3) template position
    normal: np.ndarray  # (v, 3)
    shape: dict  # name -> ((v, 3) displacement, (v, 3) change of normal)
    weight: np.ndarray  # (v, bones)
    face: np.ndarray  # (f, 3)
    region: np.ndarray  # (f,)
    arm: np.ndarray  # membership of an arm, 0..1
    arm_along: np.ndarray  # metres from the shoulder joint down the nearer arm
    leg: np.ndarray  # membership of a leg, 0..1
    drape: np.ndarray  # metres a loose cloth stands off below the chest
    part: np.ndarray  # 0 body, 1 head, 2 and 3 hands: separate, overlapping meshes


def step(x, a, b):
    """Smooth 0..1 step as x goes from a to b (a may exceed b)."""
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)


def arm_coordinates(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(along, out, front) metres in the frame of the nearer arm for template points (n, 3)."""
    q = np.stack([np.abs(p[:, 0]), p[:, 1], p[:, 2]], 1) - SHOULDER
    return q @ ARM_AXIS, q @ ARM_OUT, q[:, 2]


def skin_weights(p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (n, bones) and memberships of arms and legs (n,) for template points."""
    x, y, _ = p.T
    w = np.zeros((len(p), len(BONES)), np.float32)
    along, out, front = arm_coordinates(p)
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
    w[:, BONE["head"]] = torso * head
    w[:, BONE["neck"]] = torso * neck * (1 - head)
    upper = torso * (1 - neck)
    w[:, BONE["chest"]] = upper * chest * (1 - clavicle)
    w[:, BONE["abdomen"]] = upper * abdomen * (1 - chest)
    w[:, BONE["pelvis"]] = upper * (1 - abdomen) * (1 - chest)
    elbow, wrist, finger = step(along, UPPER_ARM - 0.045, UPPER_ARM + 0.045), step(along, 0.495, 0.535), step(along, 0.595, 0.63)
    knee, ankle = step(y, 0.56, 0.445), step(y, 0.125, 0.075)
    thumb = front > 0.034
    for side, share in (("l", left), ("r", 1 - left)):
        w[:, BONE[f"{side}_clavicle"]] = upper * chest * clavicle * share
        w[:, BONE[f"{side}_arm"]] = arm * share * (1 - elbow)
        w[:, BONE[f"{side}_forearm"]] = arm * share * elbow * (1 - wrist)
        finger_only = np.where(thumb & (along < 0.62), 0, finger)
        w[:, BONE[f"{side}_hand"]] = arm * share * wrist * (1 - finger_only)
        w[:, BONE[f"{side}_fingers"]] = arm * share * wrist * finger_only
        w[:, BONE[f"{side}_thigh"]] = leg * share * (1 - knee)
        w[:, BONE[f"{side}_shin"]] = leg * share * knee * (1 - ankle)
        w[:, BONE[f"{side}_foot"]] = leg * share * knee * ankle
    return w / w.sum(1, keepdims=True), arm.astype(np.float32), leg.astype(np.float32)


def _mesh(field) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The template's vertices, faces and parts: a coarse body, finer head and hands, slightly overlapping."""
    parts = []
    p, f = triangulate(field, (-0.62, -0.02, -0.22), (0.62, 1.50, 0.26), 0.0180)
    parts.append((p, f))
    parts.append(triangulate(field, (-0.105, 1.475, -0.135), (0.105, 1.75, 0.15), 0.0088))
    hand_low, hand_high = np.add(WRIST, (-0.070, -0.20, -0.075)), np.add(WRIST, (0.19, 0.065, 0.085))
    for sign in (1, -1):
        low, high = (
            (hand_low, hand_high) if sign > 0 else (np.array([-hand_high[0], *hand_low[1:]]), np.array([-hand_low[0], *hand_high[1:]]))
        )
        parts.append(triangulate(field, low, high, 0.0080))
    kept = []
    for i, (p, f) in enumerate(parts):
        along, out, front = arm_coordinates(p)
        hand = (along > 0.495) & (np.abs(p[:, 0]) > 0.35)
        if i == 0:
            keep = ~((along > 0.545) & (np.abs(p[:, 0]) > 0.35)) & (p[:, 1] < 1.512)
        elif i == 1:
            keep = p[:, 1] > 1.472
        else:
            keep = hand
        kept.append((p, f[keep[f].all(1)]))
    points, faces, base = [], [], 0
    for p, f in kept:
        used = np.unique(f)
        remap = np.zeros(len(p), np.int64)
        remap[used] = np.arange(len(used)) + base
        points.append(p[used])
        faces.append(remap[f])
        base += len(used)
    return np.concatenate(points), np.concatenate(faces), np.concatenate([np.full(len(q), i) for i, q in enumerate(points)])


def _drape(p: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """How far a cloth hung from the chest stands off the body, per vertex."""
    angle = np.arctan2(p[:, 0], p[:, 2] + 0.01)
    r = np.hypot(p[:, 0], p[:, 2] + 0.01)
    bins, rows = 24, 40
    a = ((angle + np.pi) / (2 * np.pi) * bins).astype(int) % bins
    row = np.clip(((1.36 - p[:, 1]) / 0.6 * rows), -1, rows - 1).astype(int)
    ok = (arm < 0.1) & (row >= 0) & (p[:, 1] > 0.76)
    table = np.zeros((rows, bins))
    np.maximum.at(table, (row[ok], a[ok]), r[ok])
    for i in range(1, rows):
        table[i] = np.maximum(table[i], np.where(table[i] > 0, np.maximum(table[i - 1] - 0.0008, table[i]), table[i - 1]))
    for _ in range(2):
        table = (np.roll(table, 1, 1) + 2 * table + np.roll(table, -1, 1)) / 4
    d = np.where(row >= 0, table[np.maximum(row, 0), a] - r, 0) * (1 - arm)
    return np.clip(d, 0, 0.09).astype(np.float32)


@lru_cache(maxsize=1)
def template() -> Template:
    """The one body template (built on first use, a few seconds)."""
    field = body_field(Build())
    p, f, part = _mesh(field)
    p = project(field, p, 2)
    n = gradient(field, p)
    shape = {}
    for name, build in SHAPES.items():
        other = body_field(build)
        q = p.copy()
        arm = skin_weights(p)[1]
        q[:, 0] += np.sign(p[:, 0]) * arm * (build.shoulder - 1) * SHOULDER_SHIFT
        q = project(other, q, 3)
        shape[name] = (q - p, gradient(other, q) - n)
    w, arm, leg = skin_weights(p)
    region = np.where((p[:, 1] > 1.49)[f].all(1), HEAD, BODY)
    return Template(p, n, shape, w, f, region, arm, arm_coordinates(p)[0].astype(np.float32), leg, _drape(p, arm), part)
