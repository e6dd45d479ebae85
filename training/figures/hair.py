"""Hair styles as small template meshes, made from distance fields on first use."""

from __future__ import annotations

from functools import cache, partial
from typing import NamedTuple

import numpy as np

from training.figures.body import step
from training.figures.implicit import Field, Loft, cone, ellipsoid, gradient, project, smooth_min, triangulate
from training.figures.skeleton import BONE, BONES

_CENTRE, _RADII = (0, 1.632, -0.012), (0.0745, 0.092, 0.094)  # of the skull, metres
_FALLING = ("bob", "long", "long_front", "lob")  # over the neck
_LINE_ANGLE = np.array([0, 0.45, 0.8, 1.05, 1.22, 1.42, 1.62, 1.85, 2.2, 3.2])
_LINE_HEIGHT = np.array([1.676, 1.678, 1.672, 1.645, 1.605, 1.578, 1.603, 1.575, 1.535, 1.512])
"""The hairline: directions around the head, in radians from the front, and its height there, metres."""


class HairMesh(NamedTuple):
    """Hair on the template: position (V, 3), normal (V, 3), weight (V, bones), face (F, 3), and cut (V,): shown where >= 0, metres."""

    position: np.ndarray
    normal: np.ndarray
    weight: np.ndarray
    face: np.ndarray
    cut: np.ndarray


def hairline(points: np.ndarray, low: bool = False) -> np.ndarray:
    """Signed height above the hairline, metres; ``low`` lets the hair fall at the sides and back."""
    angle = np.arctan2(np.abs(points[:, 0]), points[:, 2] + 0.012)
    height = _LINE_HEIGHT.copy()
    if low:
        height[4:] = (1.50, 1.3, 0.5, 0.5, 0.5, 0.5)
    return (points[:, 1] - np.interp(angle, _LINE_ANGLE, height)).astype(np.float32)


def _shell(thickness: float, top: float = 0.0, back: float = 0.0) -> Field:
    """The field of a skull with so many metres of hair on it, ``top`` more above and ``back`` more behind."""
    centre = (_CENTRE[0], _CENTRE[1] + top / 2, _CENTRE[2] - back / 2)
    radii = (_RADII[0] + thickness, _RADII[1] + thickness + top / 2, _RADII[2] + thickness + back / 2)
    return partial(ellipsoid, centre=centre, radii=radii)


def _ripple(points: np.ndarray, amount: float, scale: float) -> np.ndarray:
    scaled = points * scale
    return amount * (
        np.sin(scaled[:, 0] + 1.7 * np.sin(scaled[:, 1]))
        * np.sin(scaled[:, 1] + 1.3 * np.sin(scaled[:, 2]))
        * np.sin(scaled[:, 2] + scaled[:, 0])
    )


def _curtain(bottom: float, width: float, front: float) -> Loft:
    """Hair that falls to the height ``bottom``, metres."""
    rows = [(-1.67, 0.070, 0.055, 0.09), (-1.62, 0.084, front, 0.100), (-1.54, 0.088, front, 0.095), (-1.45, 0.094, front - 0.004, 0.085)]
    if bottom < 1.42:
        rows += [(-1.36, width, 0.002, 0.095), (-(bottom + 0.04), width * 1.02, 0.002, 0.10), (-bottom, width * 0.80, 0.002, 0.085)]
    else:
        rows = [row for row in rows if -row[0] > bottom + 0.02] + [(-bottom, 0.086, front, 0.088)]
    return Loft((0, 0, -0.015), (0, -1, 0), (1, 0, 0), (0, 0, 1), rows, power=2.2, cap=0.3)


def _field(style: str) -> Field:
    """The distance field of a style, before it is cut at the hairline."""
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

    def field(points: np.ndarray) -> np.ndarray:
        distance = base(points)
        if style in _FALLING:
            bottom = {"bob": 1.515, "lob": 1.44}.get(style, 1.24)
            distance = smooth_min(distance, _curtain(bottom, 0.112, 0.034)(points), 0.03)
        if style == "swept":
            distance = smooth_min(distance, ellipsoid(points, (0.022, 1.708, 0.045), (0.055, 0.026, 0.050)), 0.03)
        if style == "undercut":
            distance = smooth_min(distance, ellipsoid(points, (0.0, 1.715, 0.03), (0.055, 0.024, 0.070)), 0.02)
        if style == "long_front":
            half = np.stack([np.abs(points[:, 0]), points[:, 1], points[:, 2]], 1)
            distance = smooth_min(distance, cone(half, (0.074, 1.53, 0.012), (0.085, 1.40, 0.055), 0.024, 0.030), 0.03)
            distance = smooth_min(distance, cone(half, (0.085, 1.40, 0.055), (0.086, 1.25, 0.112), 0.030, 0.018), 0.03)
        if style == "ponytail":
            distance = smooth_min(distance, cone(points, (0, 1.69, -0.10), (0, 1.665, -0.155), 0.020, 0.028), 0.015)
            distance = smooth_min(distance, cone(points, (0, 1.665, -0.155), (0, 1.52, -0.165), 0.030, 0.028), 0.03)
            distance = smooth_min(distance, cone(points, (0, 1.52, -0.165), (0, 1.36, -0.150), 0.028, 0.008), 0.03)
        if style == "bun":
            distance = smooth_min(distance, ellipsoid(points, (0, 1.735, -0.070), (0.042, 0.036, 0.042)), 0.012)
        if style in ("afro", "curly"):
            distance = distance + _ripple(points, 0.009 if style == "curly" else 0.006, 130)
            if style == "curly":
                below = ellipsoid(points, (0, 1.57, -0.05), (0.105, 0.085, 0.07)) + _ripple(points, 0.01, 120)
                distance = smooth_min(distance, below, 0.02)
        return distance

    return field


@cache
def hair_mesh(style: str) -> HairMesh:
    """The hair of a style."""
    field = _field(style)
    bottom = {"long": 1.20, "long_front": 1.20, "lob": 1.40, "ponytail": 1.34, "bob": 1.48}.get(style, 1.49)
    position, face = triangulate(field, (-0.155, bottom, -0.21), (0.155, 1.83, 0.16), 0.0085 if bottom < 1.45 else 0.0075)
    position = project(field, position, 1)
    falls = style in (*_FALLING, "curly")
    cut = hairline(position, falls)
    if falls:
        cut = np.where(position[:, 1] < 1.50, 0.05, cut)
    if style in ("afro", "curly"):
        cut = np.minimum(cut, np.where(position[:, 2] > 0.055, position[:, 1] - 1.672, 0.05))
    if style in ("ponytail", "bun"):
        cut = np.where((position[:, 2] < -0.118) | (position[:, 1] > 1.7), 0.05, cut)
    weight = np.zeros((len(position), len(BONES)), np.float32)
    chest = step(position[:, 1], 1.47, 1.35) * (0.0 if style == "ponytail" else 1.0)
    neck = step(position[:, 1], 1.53, 1.45) * (1 - chest) * (0.3 if style == "ponytail" else 0.6)
    weight[:, BONE["chest"]], weight[:, BONE["neck"]], weight[:, BONE["head"]] = chest, neck, 1 - chest - neck
    return HairMesh(position, gradient(field, position), weight, face, cut.astype(np.float32))
