"""Hair styles as small template meshes, made from distance fields on first use."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from training.figures.body import step
from training.figures.implicit import Loft, cone, ellipsoid, gradient, project, smooth_min, triangulate
from training.figures.skeleton import BONE, BONES

_CENTRE = (0, 1.632, -0.012)
_LINE_ANGLE = np.array([0, 0.45, 0.8, 1.05, 1.22, 1.42, 1.62, 1.85, 2.2, 3.2])
_LINE_HEIGHT = np.array([1.676, 1.678, 1.672, 1.645, 1.605, 1.578, 1.603, 1.575, 1.535, 1.512])


class HairMesh(NamedTuple):
    """Hair on the template: position (V, 3), normal (V, 3), weight (V, bones), face (F, 3), and cut (V,): shown where >= 0, metres."""

    position: np.ndarray
    normal: np.ndarray
    weight: np.ndarray
    face: np.ndarray
    cut: np.ndarray


def hairline(p: np.ndarray, low: bool = False) -> np.ndarray:
    """Signed height above the hairline, metres; `low` lets the hair fall at the sides and back."""
    angle = np.arctan2(np.abs(p[:, 0]), p[:, 2] + 0.012)
    height = _LINE_HEIGHT.copy()
    if low:
        height[4:] = (1.50, 1.3, 0.5, 0.5, 0.5, 0.5)
    return (p[:, 1] - np.interp(angle, _LINE_ANGLE, height)).astype(np.float32)


def _shell(t: float, top: float = 0.0, back: float = 0.0):
    return lambda p: ellipsoid(
        p, (_CENTRE[0], _CENTRE[1] + top / 2, _CENTRE[2] - back / 2), (0.0745 + t, 0.092 + t + top / 2, 0.094 + t + back / 2)
    )


def _ripple(p: np.ndarray, amount: float, scale: float) -> np.ndarray:
    q = p * scale
    return amount * (np.sin(q[:, 0] + 1.7 * np.sin(q[:, 1])) * np.sin(q[:, 1] + 1.3 * np.sin(q[:, 2])) * np.sin(q[:, 2] + q[:, 0]))


def _curtain(bottom: float, width: float, front: float):
    rows = [(-1.67, 0.070, 0.055, 0.09), (-1.62, 0.084, front, 0.100), (-1.54, 0.088, front, 0.095), (-1.45, 0.094, front - 0.004, 0.085)]
    if bottom < 1.42:
        rows += [(-1.36, width, 0.002, 0.095), (-(bottom + 0.04), width * 1.02, -0.0 + 0.002, 0.10), (-bottom, width * 0.80, 0.002, 0.085)]
    else:
        rows = [r for r in rows if -r[0] > bottom + 0.02] + [(-bottom, 0.086, front, 0.088)]
    return Loft((0, 0, -0.015), (0, -1, 0), (1, 0, 0), (0, 0, 1), rows, power=2.2, cap=0.3)


def _field(style: str):
    base = {
        "buzz": _shell(0.004),
        "short": _shell(0.012, 0.016),
        "swept": _shell(0.011, 0.026),
        "afro": _shell(0.052, 0.02, 0.01),
        "undercut": _shell(0.005, 0.04),
        "curly": _shell(0.026, 0.02, 0.01),
        "ponytail": _shell(0.007, 0.006),
        "bun": _shell(0.007, 0.006),
    }.get(style, _shell(0.012, 0.012))

    def field(p: np.ndarray) -> np.ndarray:
        d = base(p)
        if style in ("bob", "long", "long_front", "lob"):
            bottom = {"bob": 1.515, "lob": 1.44}.get(style, 1.24)
            d = smooth_min(d, _curtain(bottom, 0.112, 0.034)(p), 0.03)
        if style == "swept":
            d = smooth_min(d, ellipsoid(p, (0.022, 1.708, 0.045), (0.055, 0.026, 0.050)), 0.03)
        if style == "undercut":
            d = smooth_min(d, ellipsoid(p, (0.0, 1.715, 0.03), (0.055, 0.024, 0.070)), 0.02)
        if style == "long_front":
            q = np.stack([np.abs(p[:, 0]), p[:, 1], p[:, 2]], 1)
            d = smooth_min(d, cone(q, (0.074, 1.53, 0.012), (0.085, 1.40, 0.055), 0.024, 0.030), 0.03)
            d = smooth_min(d, cone(q, (0.085, 1.40, 0.055), (0.086, 1.25, 0.112), 0.030, 0.018), 0.03)
        if style == "ponytail":
            d = smooth_min(d, cone(p, (0, 1.69, -0.10), (0, 1.665, -0.155), 0.020, 0.028), 0.015)
            d = smooth_min(d, cone(p, (0, 1.665, -0.155), (0, 1.52, -0.165), 0.030, 0.028), 0.03)
            d = smooth_min(d, cone(p, (0, 1.52, -0.165), (0, 1.36, -0.150), 0.028, 0.008), 0.03)
        if style == "bun":
            d = smooth_min(d, ellipsoid(p, (0, 1.735, -0.070), (0.042, 0.036, 0.042)), 0.012)
        if style in ("afro", "curly"):
            d = d + _ripple(p, 0.009 if style == "curly" else 0.006, 130)
            if style == "curly":
                d = smooth_min(d, ellipsoid(p, (0, 1.57, -0.05), (0.105, 0.085, 0.07)) + _ripple(p, 0.01, 120), 0.02)
        return d

    return field


@cache
def hair_mesh(style: str) -> HairMesh:
    """(position (v, 3), normal, weight, face, cut) of a style in template space."""
    field = _field(style)
    deep = {"long": 1.20, "long_front": 1.20, "lob": 1.40, "ponytail": 1.34, "bob": 1.48}.get(style, 1.49)
    p, f = triangulate(field, (-0.155, deep, -0.21), (0.155, 1.83, 0.16), 0.0085 if deep < 1.45 else 0.0075)
    p = project(field, p, 1)
    low = style in ("bob", "long", "long_front", "lob", "curly")
    cut = hairline(p, low)
    if low:
        cut = np.where(p[:, 1] < 1.50, 0.05, cut)
    if style in ("afro", "curly"):
        cut = np.minimum(cut, np.where(p[:, 2] > 0.055, p[:, 1] - 1.672, 0.05))
    if style in ("ponytail", "bun"):
        cut = np.where((p[:, 2] < -0.118) | (p[:, 1] > 1.7), 0.05, cut)
    w = np.zeros((len(p), len(BONES)), np.float32)
    chest = step(p[:, 1], 1.47, 1.35) * (0.0 if style == "ponytail" else 1.0)
    neck = step(p[:, 1], 1.53, 1.45) * (1 - chest) * (0.3 if style == "ponytail" else 0.6)
    w[:, BONE["chest"]], w[:, BONE["neck"]], w[:, BONE["head"]] = chest, neck, 1 - chest - neck
    return HairMesh(p, gradient(field, p), w, f, cut.astype(np.float32))
