"""Garments as meshes, fitted to a person's own body; :func:`wear` puts on whatever the outfit has."""

from __future__ import annotations

from training.figures.garments.accessories import wear_bag, wear_belt, wear_neckwear
from training.figures.garments.bottoms import wear_footwear, wear_leggings, wear_pants, wear_skirt
from training.figures.garments.headgear import wear_eyeglass, wear_headwear
from training.figures.garments.tops import wear_dress, wear_outer, wear_top
from training.figures.garments.wardrobe import Wardrobe

_WEAR = {
    "leggings": wear_leggings,
    "pants": wear_pants,
    "skirt": wear_skirt,
    "dress": wear_dress,
    "top": wear_top,
    "outer": wear_outer,
    "footwear": wear_footwear,
    "belt": wear_belt,
    "bag": wear_bag,
    "neckwear": wear_neckwear,
    "headwear": wear_headwear,
    "eyeglass": wear_eyeglass,
}


def wear(wardrobe: Wardrobe) -> None:
    """Add the pieces and materials of everything that the wardrobe's person wears."""
    for kind, put_on in _WEAR.items():
        if kind in wardrobe.outfit:
            put_on(wardrobe, wardrobe.outfit[kind])


__all__ = ["Wardrobe", "wear"]
