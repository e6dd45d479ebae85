"""Where garments of the upper body end: signed distances from their edges, metres, positive inside, by vertex of the template."""

from __future__ import annotations

import numpy as np

from training.figures.body import Template, step

NECK_HEIGHT = 1.49  # above it no garment but a turtleneck reaches
ELSEWHERE = 1.0  # the distance where an edge cuts nothing


def bodice_cut(base: Template, cut: dict, hem: float) -> np.ndarray:
    """The cut of a top or of a dress above its waist.

    Args:
        base: the body.
        cut: of the garment: ``neck``, ``sleeve`` and optionally ``depth`` of the neckline.
        hem: height of the lower edge, metres.
    """
    height = base.position[:, 1]
    sleeve = 0.0 if cut["neck"] == "cami" else cut["sleeve"]
    above_hem = np.minimum(height - hem, neckline(base.position, cut["neck"], cut.get("depth", 0.08)))
    if cut["neck"] == "cami":
        arm = (0.30 - base.arm) * 0.12
    elif sleeve < 0.05:
        arm = (0.42 - base.arm) * 0.12
    else:
        arm = np.maximum((0.42 - base.arm) * 0.12, sleeve - base.arm_along)
    hanging = (height < 1.2) & (base.arm_along > 0.2)  # hands and forearms are not torso
    arm = np.where(hanging & (base.arm > 0.05), sleeve - base.arm_along, arm)
    return np.minimum(above_hem, arm)


def outer_cut(base: Template, cut: dict) -> np.ndarray:
    """The cut of a jacket or of a coat above its waist, open at the front."""
    hem = max(cut["hem"], 0.865) if cut["style"] != "coat" else 0.95
    bodice = bodice_cut(base, {"sleeve": cut["sleeve"], "neck": "jacket"}, hem)
    x, y, z = np.abs(base.position[:, 0]), base.position[:, 1], base.position[:, 2]
    width = cut["open"] + 0.30 * np.clip(1.20 - y, 0, 0.4) * 0.35 + 0.45 * np.clip(y - 1.36, 0, 0.1)
    return np.minimum(bodice, np.where((z > -0.02) & (base.arm < 0.3), x - width, ELSEWHERE))


def neckline(position: np.ndarray, kind: str, depth: float) -> np.ndarray:
    """Signed distance below a neckline.

    Args:
        position: n x 3 template points.
        kind: ``"turtle"``, ``"jacket"``, ``"collar"``, ``"v"``, ``"scoop"``, ``"boat"``, ``"off"``, ``"cami"`` or ``"crew"``.
        depth: of the opening at the front, metres.
    """
    x, y, z = np.abs(position[:, 0]), position[:, 1], position[:, 2]
    base = 1.452 - 0.42 * (z + 0.03)
    if kind == "turtle":
        return np.minimum(np.maximum(base - y + 0.062, np.minimum(x - 0.078, NECK_HEIGHT - y)), 1.497 - y)
    if kind == "jacket":
        return np.maximum(base + 0.012 - y, np.minimum(x - 0.075, NECK_HEIGHT - y))
    if kind == "off":
        return 1.345 - y - 0.02 * np.cos(x * 20)
    if kind == "cami":
        edge = 1.315 - y + 0.030 * np.exp(-(((x - 0.075) / 0.04) ** 2))
        strap = np.minimum(0.0075 - np.abs(x - 0.088 + 0.10 * np.maximum(y - 1.36, 0)), 1.48 - y)
        return np.maximum(edge, strap)
    cut = np.maximum(base - y, np.minimum(x - 0.078, NECK_HEIGHT - y))
    if kind == "collar":
        if depth <= 0.085:  # buttoned up
            return cut + 0.025
        opening = np.maximum(x * 1.1 + 0.9 * (1.400 - y), np.minimum(x - 0.06, NECK_HEIGHT - y))
        return np.minimum(cut + 0.028, np.where((z > 0) & (y > 1.33), opening, ELSEWHERE))
    if kind == "boat":
        return np.minimum(cut, (np.hypot(x / 0.125, (y - 1.455) / 0.055) - 1) * 0.06)
    front = step(z, -0.035, -0.005) > 0.5
    if kind == "v":
        opening = np.maximum(base - depth - y + x * (depth / 0.07), np.minimum(x - 0.075, NECK_HEIGHT - y))
        return np.minimum(cut, np.where(front, opening, ELSEWHERE))
    if kind == "scoop":
        opening = (np.hypot(x / 0.088, (y - 1.44) / (depth + 0.03)) - 1) * 0.08
        return np.minimum(cut, np.where(front, opening, ELSEWHERE))
    return cut
