"""Garments of the upper body: tops, jackets and coats, and dresses with their skirts."""

from __future__ import annotations

import numpy as np

from training.figures.body import step
from training.figures.garments.cuts import bodice_cut, outer_cut
from training.figures.garments.wardrobe import Wardrobe, cloth, hanging, torso_offset
from training.figures.outfits import BELOW, Garment

UNDER_OUTER = 0.03  # metres that a garment reaches under the edge of the jacket worn over it
MOST_UNDER_OUTER = 0.022  # metres that a top stands off the body under a jacket
COAT_TOP = 0.985  # height from which the skirt of a coat hangs, metres


def wear_top(wardrobe: Wardrobe, garment: Garment) -> None:
    """Put on a top."""
    cut, body, outfit = garment.cut, wardrobe.body, wardrobe.outfit
    tucked = cut["tucked"] and any(name in outfit for name in BELOW)
    inside = bodice_cut(body.template, cut, 1.0 if tucked else cut["hem"])
    wardrobe.hide(inside)
    if tucked:
        offset = torso_offset(body, cut["ease"], cut["loose"] * 0.55)
    else:
        offset = torso_offset(body, cut["ease"] + 0.007, cut["loose"], cut["flare"])
    if "outer" in outfit:
        offset = np.minimum(offset, MOST_UNDER_OUTER)
        inside = np.minimum(inside, UNDER_OUTER - outer_cut(body.template, outfit["outer"].cut))
    material = wardrobe.material(garment.material)
    wardrobe.pieces.append(cloth(body, inside, offset, material, "top", bias=0.004, two_sided=not tucked))


def wear_dress(wardrobe: Wardrobe, garment: Garment) -> None:
    """Put on a dress: a bodice, and a skirt that hangs from its waist."""
    cut, body = garment.cut, wardrobe.body
    height = body.template.position[:, 1]
    material = wardrobe.material(garment.material)
    inside = bodice_cut(body.template, cut, cut["waist"] - 0.025)
    wardrobe.hide(inside)
    wardrobe.hide_legs(cut["hem"])
    wardrobe.hide(np.where(body.template.arm > 0.05, -1, np.minimum(1.06 - height, height - 0.9)))
    if "outer" in wardrobe.outfit:
        inside = np.minimum(inside, UNDER_OUTER - outer_cut(body.template, wardrobe.outfit["outer"].cut))
    wardrobe.pieces.append(cloth(body, inside, torso_offset(body, cut["ease"], 0.25), material, "dress", bias=0.004))
    wardrobe.pieces.append(hanging(body, cut, cut["waist"], material, "dress", ease=cut["ease"] + 0.004))


def wear_outer(wardrobe: Wardrobe, garment: Garment) -> None:
    """Put on a jacket or a coat."""
    cut, body, outfit = garment.cut, wardrobe.body, wardrobe.outfit
    arm, height = body.template.arm, body.template.position[:, 1]
    inside = outer_cut(body.template, cut)
    wardrobe.hide(np.where(arm > 0.6, inside, -1))
    offset = torso_offset(body, cut["ease"], 0.75, 0.012) + 0.004 * step(height, 1.37, 1.42) * (1 - arm)
    inner = outfit.get("skirt") or outfit.get("dress")
    if inner is not None:
        offset = offset + 0.015 * step(height, 1.1, 0.98) * (1 - arm)
    material = wardrobe.material(garment.material)
    wardrobe.pieces.append(cloth(body, inside, offset, material, "outer", bias=0.008, two_sided=True))
    if cut["style"] == "coat":
        flare = cut["flare"] if inner is None else max(cut["flare"], inner.cut["flare"] + 0.08)
        skirt = {**cut, "flare": flare, "fold": 0.004, "count": 7}
        ease, opening = cut["ease"] + 0.034, cut["open"] + 0.005
        wardrobe.pieces.append(hanging(body, skirt, COAT_TOP, material, "outer", ease=ease, opening=opening, bias=0.012))
