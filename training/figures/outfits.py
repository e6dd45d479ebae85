"""What a person wears: the cut and the material of every garment, drawn from a seed's generator (numpy)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nted_step.classes import CLASSES, LABELS
from training.figures.materials import (
    CLOTH_SHARES,
    Detail,
    Material,
    contrasting_colour,
    sample_cloth,
    sample_colour,
    sample_denim,
    sample_leather,
    sample_seed,
)

GARMENT_CLASSES = CLASSES[: LABELS["hair"] - 1]
"""The classes of what is worn; those after them are of the body."""

BELOW = ("skirt", "pants", "leggings")  # what a top is worn with
SEPARATES = ("top", "skirt", "pants")  # what a dress takes the place of
_REPLACES = {"dress": SEPARATES, "top": ("dress",), "skirt": ("dress", "pants"), "pants": ("dress", "skirt")}


@dataclass(frozen=True)
class Garment:
    """One thing that is worn.

    Attributes:
        kind: its class, one of ``GARMENT_CLASSES``.
        cut: the measures of its cut by name, metres unless they are shares; which there are depends on the kind.
        material: what it is made of.
        second: what the glasses' lenses are made of; None for all other kinds.
    """

    kind: str
    cut: dict[str, Any]
    material: Material
    second: Material | None = None


def sample_outfit(rng: np.random.Generator, female: bool) -> dict[str, Garment]:
    """Draw what is worn, by class. Every garment is drawn whether it is worn or not."""
    outfit: dict[str, Garment] = {}
    top, pants, skirt, dress = sample_top(rng, female), sample_pants(rng, female), _sample_skirt(rng), _sample_dress(rng)
    outer, footwear, leggings = _sample_outer(rng), _sample_footwear(rng, female), _sample_leggings(rng)
    for_dress, for_lower, for_leggings, for_outer, for_footwear, for_belt = rng.random(6)
    if female and for_dress < 0.26:
        outfit["dress"] = dress
    else:
        outfit["top"] = top
        if female and for_lower < 0.34:
            outfit["skirt"] = skirt
        elif female and for_lower < 0.50:
            outfit["leggings"] = leggings
        else:
            outfit["pants"] = pants
    if ("dress" in outfit or "skirt" in outfit) and for_leggings < 0.22:
        outfit["leggings"] = leggings
    if for_outer < 0.30:
        outfit["outer"] = outer
    if for_footwear < 0.94:
        outfit["footwear"] = footwear
    belt = Garment("belt", {"height": float(rng.uniform(0.014, 0.028))}, sample_leather(rng))
    if for_belt < 0.36:
        outfit["belt"] = belt
        if "top" in outfit and rng.random() < 0.75:
            outfit["top"] = replace(top, cut={**top.cut, "tucked": True, "hem": min(top.cut["hem"], 0.92)})
    _add_accessories(rng, female, outfit)
    return outfit


def exchange(
    outfit: dict[str, Garment], other: dict[str, Garment], classes: Collection[str], rng: np.random.Generator, female: bool
) -> dict[str, Garment]:
    """An outfit with another's garments of some classes; a dress and separates replace each other.

    Args:
        outfit: what is worn so far, by class.
        other: what the donor wears.
        classes: of ``GARMENT_CLASSES``, what is taken over; the donor's lack of it, too, unless the person were left undressed.
        rng: draws a garment where neither outfit has one that is needed.
        female: what that garment is drawn for.

    Raises:
        ValueError: a class is not one of garments.
    """
    unknown = set(classes) - set(GARMENT_CLASSES)
    if unknown:
        raise ValueError(f"not garment classes: {sorted(unknown)}")
    worn = dict(outfit)
    for name in GARMENT_CLASSES:
        if name in classes:
            _take_over(worn, other, name)
    if "dress" not in worn:
        if "top" not in worn:
            worn["top"] = other.get("top") or sample_top(rng, female)
        if not set(BELOW) & set(worn):
            lower = next((other[name] for name in BELOW if name in other), None) or sample_pants(rng, False)
            worn[lower.kind] = lower
    return {name: worn[name] for name in CLASSES if name in worn}


def _take_over(worn: dict[str, Garment], other: dict[str, Garment], name: str) -> None:
    """Change one class of what is worn to what the donor has of it."""
    if name in other:
        for gone in (name, *_REPLACES.get(name, ())):
            worn.pop(gone, None)
        worn[name] = other[name]
    elif name in ("top", *BELOW) and "dress" in other:
        for gone in SEPARATES:
            worn.pop(gone, None)
        worn["dress"] = other["dress"]
    elif name not in (*SEPARATES, "dress"):
        worn.pop(name, None)


def sample_top(rng: np.random.Generator, female: bool) -> Garment:
    """Draw a top."""
    shares = [0.30, 0.14, 0.16, 0.18, 0.22] if female else [0.40, 0.18, 0.17, 0.10, 0.15]
    style = str(rng.choice(["tee", "shirt", "sweater", "tank", "blouse"], p=shares))
    sleeve = {
        "tee": rng.uniform(0.10, 0.24),
        "shirt": 0.48 if rng.random() < 0.6 else rng.uniform(0.16, 0.34),
        "sweater": 0.49,
        "tank": 0.0,
        "blouse": rng.choice([0.12, 0.30, 0.48, 0.49]),
    }[style]
    neck = {
        "tee": rng.choice(["crew", "crew", "v", "scoop"]),
        "shirt": "collar",
        "sweater": rng.choice(["crew", "turtle", "v"]),
        "tank": rng.choice(["scoop", "cami", "boat"]) if female else "scoop",
        "blouse": rng.choice(["v", "boat", "off", "crew", "scoop"]) if female else "v",
    }[style]
    cropped = female and rng.random() < 0.22
    tucked = (not cropped) and rng.random() < (0.42 if female else 0.25)
    cut = {
        "style": style,
        "sleeve": float(sleeve),
        "neck": str(neck),
        "depth": float(rng.uniform(0.05, 0.12)),
        "hem": float(rng.uniform(1.03, 1.12) if cropped else rng.uniform(0.86, 0.925)),
        "tucked": bool(tucked),
        "ease": float(rng.uniform(0.004, 0.014) + (0.008 if style == "sweater" else 0)),
        "loose": float(rng.uniform(0.1, 1.0)),
        "flare": float(rng.uniform(0, 0.02) if style != "blouse" else rng.uniform(0.01, 0.05)),
    }
    allowed = {
        "sweater": ("solid", "stripes", "knit", "block", "zigzag", "check", "graphic"),
        "shirt": ("solid", "pinstripes", "check", "gingham", "stripes", "floral", "dots"),
    }.get(style)
    detail = Detail.BUTTONS if style == "shirt" else Detail.NONE
    return Garment("top", cut, sample_cloth(rng, allowed, detail=detail, fold=0.45 if style in ("shirt", "blouse") else 0.3))


def sample_pants(rng: np.random.Generator, female: bool) -> Garment:
    """Draw trousers or shorts."""
    style = str(rng.choice(["skinny", "straight", "wide", "shorts", "cropped"], p=[0.32, 0.30, 0.13, 0.15, 0.10]))
    hems = {"shorts": rng.uniform(0.52, 0.76) if female else rng.uniform(0.46, 0.60), "cropped": rng.uniform(0.17, 0.30)}
    hem = hems.get(style, rng.uniform(0.075, 0.105))
    width = {
        "skinny": 0.004,
        "straight": rng.uniform(0.018, 0.034),
        "wide": rng.uniform(0.05, 0.09),
        "shorts": rng.uniform(0.012, 0.03),
        "cropped": rng.uniform(0.006, 0.03),
    }[style]
    if rng.random() < 0.42:
        material = sample_denim(rng)
    else:
        patterned = rng.random() < 0.4
        allowed = ("solid", "check", "pinstripes", "stripes", "camo", "floral", "panel") if patterned else ("solid",)
        material = sample_cloth(rng, allowed, detail=Detail.FLY, bold=0.35)
    cut = {"style": style, "hem": float(hem), "width": float(width), "rise": float(rng.uniform(1.015, 1.06))}
    return Garment("pants", cut, material)


def _sample_leggings(rng: np.random.Generator) -> Garment:
    cut = {"hem": float(rng.choice([0.095, 0.095, 0.20, 0.40]))}
    allowed = ("solid", "stripes", "floral", "panel") if rng.random() < 0.3 else ("solid",)
    return Garment("leggings", cut, sample_cloth(rng, allowed, fold=0.1, bold=0.3))


def _skirt_cut(rng: np.random.Generator) -> dict[str, Any]:
    style = str(rng.choice(["pencil", "a_line", "full", "mini", "maxi", "pleated"], p=[0.2, 0.28, 0.14, 0.16, 0.10, 0.12]))
    hems = {"mini": rng.uniform(0.66, 0.74), "maxi": rng.uniform(0.14, 0.26), "pencil": rng.uniform(0.46, 0.58)}
    hem = hems.get(style, rng.uniform(0.42, 0.68))
    flares = {
        "pencil": rng.uniform(-0.03, 0.03),
        "full": rng.uniform(0.40, 0.60),
        "mini": rng.uniform(0.05, 0.30),
        "maxi": rng.uniform(0.10, 0.22),
        "pleated": rng.uniform(0.25, 0.42),
    }
    flare = flares.get(style, rng.uniform(0.14, 0.30))
    fold = {"pencil": 0.001, "full": 0.022, "mini": 0.006, "pleated": 0.014}.get(style, 0.010)
    count = int(rng.integers(20, 26)) if style == "pleated" else int(rng.integers(7, 12))
    return {"style": style, "hem": float(hem), "flare": float(flare), "fold": fold, "count": count, "phase": float(rng.random() * 6)}


def _sample_skirt(rng: np.random.Generator) -> Garment:
    return Garment("skirt", _skirt_cut(rng), sample_cloth(rng, set(CLOTH_SHARES) - {"graphic"}, fold=0.25))


def _sample_dress(rng: np.random.Generator) -> Garment:
    skirt = _sample_skirt(rng).cut
    necks, shares = ["v", "scoop", "boat", "crew", "cami", "off", "turtle"], [0.22, 0.22, 0.12, 0.16, 0.14, 0.07, 0.07]
    neck = str(rng.choice(necks, p=shares))
    sleeve = float(rng.choice([0, 0, rng.uniform(0.08, 0.2), rng.uniform(0.28, 0.36), 0.485]))
    cut = {
        **skirt,
        "sleeve": sleeve,
        "neck": neck,
        "depth": float(rng.uniform(0.06, 0.12)),
        "ease": float(rng.uniform(0.003, 0.010)),
        "waist": float(rng.uniform(1.03, 1.09)),
    }
    return Garment("dress", cut, sample_cloth(rng, set(CLOTH_SHARES) - {"graphic", "knit"}, fold=0.3))


def _sample_outer(rng: np.random.Generator) -> Garment:
    style = str(rng.choice(["blazer", "denim", "leather", "coat", "cardigan", "bomber"]))
    if style == "denim":
        material = sample_denim(rng)
    elif style == "leather":
        material = sample_leather(rng)
    else:
        allowed = ("solid", "check", "pinstripes", "knit", "stripes") if rng.random() < 0.5 else ("solid",)
        material = sample_cloth(rng, allowed, bold=0.35, fold=0.4)
    details = {
        "blazer": Detail.LAPELS,
        "coat": Detail.LAPELS,
        "denim": Detail.CHEST_POCKETS,
        "leather": Detail.ZIP,
        "bomber": Detail.ZIP,
    }
    hems = {"coat": rng.uniform(0.38, 0.62), "blazer": rng.uniform(0.84, 0.88), "cardigan": rng.uniform(0.85, 0.90)}
    hem = hems.get(style, rng.uniform(0.93, 1.0))
    cut = {
        "style": style,
        "hem": float(hem),
        "open": float(rng.uniform(0.018, 0.07)),
        "ease": float(rng.uniform(0.020, 0.030)),
        "sleeve": float(rng.uniform(0.475, 0.51)),
        "flare": float(rng.uniform(0.05, 0.2)),
    }
    return Garment("outer", cut, replace(material, detail=details.get(style, Detail.NONE)))


def _sample_footwear(rng: np.random.Generator, female: bool) -> Garment:
    shares = [0.38, 0.12, 0.18, 0.20 if female else 0.02, 0.12 if female else 0.30]
    style = str(rng.choice(["sneaker", "boot", "ankle_boot", "flat", "loafer"], p=shares))
    top = {
        "sneaker": rng.uniform(0.075, 0.10),
        "boot": rng.uniform(0.26, 0.42),
        "ankle_boot": rng.uniform(0.12, 0.16),
        "flat": 0.062,
        "loafer": 0.070,
    }[style]
    colour = sample_colour(rng, 0.35)
    sneaker = style == "sneaker"
    sole = (0.93, 0.93, 0.91) if sneaker and rng.random() < 0.8 else (0.07, 0.06, 0.06)
    material = Material(
        "shoe",
        colour,
        sole,
        third=contrasting_colour(rng, colour),
        scale=0.02,
        phase=0,
        gloss=0.05 if sneaker else 0.35,
        fold=0,
        seed=sample_seed(rng),
        detail=Detail.LACES_OR_CURLS if sneaker else Detail.NONE,
    )
    return Garment("footwear", {"style": style, "top": float(top)}, material)


def _add_accessories(rng: np.random.Generator, female: bool, outfit: dict[str, Garment]) -> None:
    if rng.random() < 0.24:
        outfit["bag"] = _sample_bag(rng)
    if rng.random() < 0.17:
        outfit["neckwear"] = _sample_neckwear(rng, female)
    if rng.random() < 0.17:
        outfit["headwear"] = _sample_headwear(rng)
    if rng.random() < 0.20:
        outfit["eyeglass"] = _sample_eyeglass(rng)


def _sample_bag(rng: np.random.Generator) -> Garment:
    style = str(rng.choice(["hand", "cross", "shoulder"]))
    if rng.random() < 0.5:
        material = sample_leather(rng)
    else:
        material = sample_cloth(rng, ("solid", "check", "stripes", "dots", "block"), fold=0, gloss=0.2)
    side, width, height = rng.choice([-1, 1]), rng.uniform(0.09, 0.15), rng.uniform(0.07, 0.12)
    return Garment("bag", {"style": style, "side": float(side), "width": float(width), "height": float(height)}, material)


def _sample_neckwear(rng: np.random.Generator, female: bool) -> Garment:
    style = str(rng.choice(["scarf", "necklace", "choker"] if female else ["scarf", "tie", "scarf"]))
    cut = {"style": style, "length": float(rng.uniform(0.15, 0.42))}
    return Garment("neckwear", cut, sample_cloth(rng, ("solid", "stripes", "check", "dots", "knit"), bold=0.8, fold=0.3))


def _sample_headwear(rng: np.random.Generator) -> Garment:
    style = str(rng.choice(["beanie", "cap", "brim"]))
    allowed = ("solid", "knit", "stripes") if style == "beanie" else ("solid",)
    return Garment("headwear", {"style": style}, sample_cloth(rng, allowed, bold=0.5, fold=0.1))


def _sample_eyeglass(rng: np.random.Generator) -> Garment:
    dark = rng.random() < 0.5
    frame = sample_colour(rng, 0.3) if rng.random() < 0.4 else (0.05, 0.05, 0.05)
    cut = {
        "dark": bool(dark),
        "round": float(rng.uniform(2, 4.5)),
        "width": float(rng.uniform(0.026, 0.031)),
        "height": float(rng.uniform(0.017, 0.025)),
    }
    lens = Material("lens", (0.05, 0.05, 0.06) if dark else (0.75, 0.8, 0.85), gloss=0.8, fold=0)
    return Garment("eyeglass", cut, Material("solid", frame, gloss=0.5, fold=0), lens)
