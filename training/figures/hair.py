"""Hair styles as small template meshes, made from distance fields on first use."""

from __future__ import annotations

from functools import cache

import numpy as np

from .body import BONE, BONES, step
from .implicit import Loft, cone, ellipsoid, gradient, project, smooth_min, triangulate

STYLES = ("bald", "buzz", "short", "swept", "afro", "bob", "long", "long_front", "ponytail", "bun", "curly", "undercut", "lob")
_CENTRE = (0, 1.632, -.012)
_LINE_ANGLE = np.array([0, .45, .8, 1.05, 1.22, 1.42, 1.62, 1.85, 2.2, 3.2])
_LINE_HEIGHT = np.array([1.676, 1.678, 1.672, 1.645, 1.605, 1.578, 1.603, 1.575, 1.535, 1.512])


def hairline(p: np.ndarray, low: bool = False) -> np.ndarray:
    """Signed height above the hairline, metres; `low` lets the hair fall at the sides and back."""
    angle = np.arctan2(np.abs(p[:, 0]), p[:, 2] + .012)
    height = _LINE_HEIGHT.copy()
    if low:
        height[4:] = (1.50, 1.3, .5, .5, .5, .5)
    return (p[:, 1] - np.interp(angle, _LINE_ANGLE, height)).astype(np.float32)


def _shell(t: float, top: float = 0.0, back: float = 0.0):
    return lambda p: ellipsoid(p, (_CENTRE[0], _CENTRE[1] + top / 2, _CENTRE[2] - back / 2), (.0745 + t, .092 + t + top / 2, .094 + t + back / 2))


def _ripple(p: np.ndarray, amount: float, scale: float) -> np.ndarray:
    q = p * scale
    return amount * (np.sin(q[:, 0] + 1.7 * np.sin(q[:, 1])) * np.sin(q[:, 1] + 1.3 * np.sin(q[:, 2])) * np.sin(q[:, 2] + q[:, 0]))


def _curtain(bottom: float, width: float, front: float):
    rows = [(-1.67, .070, .055, .09), (-1.62, .084, front, .100), (-1.54, .088, front, .095), (-1.45, .094, front - .004, .085)]
    if bottom < 1.42:
        rows += [(-1.36, width, .002, .095), (-(bottom + .04), width * 1.02, -.0 + .002, .10), (-bottom, width * .80, .002, .085)]
    else:
        rows = [r for r in rows if -r[0] > bottom + .02] + [(-bottom, .086, front, .088)]
    return Loft((0, 0, -.015), (0, -1, 0), (1, 0, 0), (0, 0, 1), rows, power=2.2, cap=.3)


def _field(style: str):
    base = {"buzz": _shell(.004), "short": _shell(.012, .016), "swept": _shell(.011, .026), "afro": _shell(.052, .02, .01), "undercut": _shell(.005, .04),
            "curly": _shell(.026, .02, .01), "ponytail": _shell(.007, .006), "bun": _shell(.007, .006)}.get(style, _shell(.012, .012))

    def field(p: np.ndarray) -> np.ndarray:
        d = base(p)
        if style in ("bob", "long", "long_front", "lob"):
            bottom = {"bob": 1.515, "lob": 1.44}.get(style, 1.24)
            d = smooth_min(d, _curtain(bottom, .112, .034)(p), .03)
        if style == "swept":
            d = smooth_min(d, ellipsoid(p, (.022, 1.708, .045), (.055, .026, .050)), .03)
        if style == "undercut":
            d = smooth_min(d, ellipsoid(p, (.0, 1.715, .03), (.055, .024, .070)), .02)
        if style == "long_front":
            q = np.stack([np.abs(p[:, 0]), p[:, 1], p[:, 2]], 1)
            d = smooth_min(d, cone(q, (.074, 1.53, .012), (.085, 1.40, .055), .024, .030), .03)
            d = smooth_min(d, cone(q, (.085, 1.40, .055), (.086, 1.25, .112), .030, .018), .03)
        if style == "ponytail":
            d = smooth_min(d, cone(p, (0, 1.69, -.10), (0, 1.665, -.155), .020, .028), .015)
            d = smooth_min(d, cone(p, (0, 1.665, -.155), (0, 1.52, -.165), .030, .028), .03)
            d = smooth_min(d, cone(p, (0, 1.52, -.165), (0, 1.36, -.150), .028, .008), .03)
        if style == "bun":
            d = smooth_min(d, ellipsoid(p, (0, 1.735, -.070), (.042, .036, .042)), .012)
        if style in ("afro", "curly"):
            d = d + _ripple(p, .009 if style == "curly" else .006, 130)
            if style == "curly":
                d = smooth_min(d, ellipsoid(p, (0, 1.57, -.05), (.105, .085, .07)) + _ripple(p, .01, 120), .02)
        return d

    return field


@cache
def hair_mesh(style: str):
    """(position (v, 3), normal, weight, face, cut) of a style in template space."""
    field = _field(style)
    deep = {"long": 1.20, "long_front": 1.20, "lob": 1.40, "ponytail": 1.34, "bob": 1.48}.get(style, 1.49)
    p, f = triangulate(field, (-.155, deep, -.21), (.155, 1.83, .16), .0085 if deep < 1.45 else .0075)
    p = project(field, p, 1)
    low = style in ("bob", "long", "long_front", "lob", "curly")
    cut = hairline(p, low)
    if low:
        cut = np.where(p[:, 1] < 1.50, .05, cut)
    if style in ("afro", "curly"):
        cut = np.minimum(cut, np.where(p[:, 2] > .055, p[:, 1] - 1.672, .05))
    if style in ("ponytail", "bun"):
        cut = np.where((p[:, 2] < -.118) | (p[:, 1] > 1.7), .05, cut)
    w = np.zeros((len(p), len(BONES)), np.float32)
    chest = step(p[:, 1], 1.47, 1.35) * (.0 if style == "ponytail" else 1.0)
    neck = step(p[:, 1], 1.53, 1.45) * (1 - chest) * (.3 if style == "ponytail" else .6)
    w[:, BONE["chest"]], w[:, BONE["neck"]], w[:, BONE["head"]] = chest, neck, 1 - chest - neck
    return p, gradient(field, p), w, f, cut.astype(np.float32)
