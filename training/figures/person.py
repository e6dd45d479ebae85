"""Who is drawn: a person's body, face, hair and outfit, all decided by one seed (numpy)."""

from __future__ import annotations

import colorsys
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from nted_step.classes import CLASSES

PATTERNS = (
    "solid",
    "stripes",
    "pinstripes",
    "check",
    "dots",
    "block",
    "floral",
    "graphic",
    "denim",
    "zigzag",
    "camo",
    "ombre",
    "knit",
    "leather",
    "gingham",
    "paint",
    "skin",
    "face",
    "hair",
    "shoe",
    "lens",
    "seat",
    "panel",
)
PATTERN = {name: i for i, name in enumerate(PATTERNS)}


@dataclass(frozen=True)
class Material:
    """How a surface is coloured; `row()` is the flat form that the shader reads."""

    pattern: str = "solid"
    a: tuple = (0.5, 0.5, 0.5)
    b: tuple = (0.2, 0.2, 0.2)
    c: tuple = (0.8, 0.8, 0.8)
    scale: float = 0.05  # metres of one repeat
    duty: float = 0.5
    phase: float = 0.0
    gloss: float = 0.05
    fold: float = 0.3  # strength of the creases
    seed: int = 0
    detail: int = 0  # 0 none, 1 buttons, 3 fly and pockets, 4 lapels, 5 chest pocket, 6 buckle, 9 laces or curls

    def row(self) -> list[float]:
        """18 numbers: pattern, a (3), b (3), c (3), scale, duty, phase, gloss, fold, seed, detail, spare."""
        return [
            PATTERN[self.pattern],
            *self.a,
            *self.b,
            *self.c,
            self.scale,
            self.duty,
            self.phase,
            self.gloss,
            self.fold,
            self.seed,
            self.detail,
            0,
        ]


@dataclass(frozen=True)
class Garment:
    """One thing that is worn: its class, its cut and its material."""

    kind: str
    cut: dict
    material: Material
    second: Material | None = None


@dataclass(frozen=True)
class Person:
    """Everything that is the same in every photo of a person."""

    seed: int
    shape: dict
    stretch: dict
    skin: tuple
    face: dict
    hair: str
    hair_colour: tuple
    light: np.ndarray
    background: tuple
    outfit: dict = field(default_factory=dict)


def _hsv(h, s, v) -> tuple:
    return tuple(float(c) for c in colorsys.hsv_to_rgb(h % 1, float(np.clip(s, 0, 1)), float(np.clip(v, 0, 1))))


_NEUTRAL = [
    (0.93, 0.92, 0.90),
    (0.06, 0.06, 0.07),
    (0.10, 0.11, 0.16),
    (0.35, 0.36, 0.38),
    (0.62, 0.61, 0.60),
    (0.80, 0.74, 0.64),
    (0.45, 0.33, 0.24),
    (0.14, 0.19, 0.34),
    (0.30, 0.33, 0.22),
    (0.85, 0.80, 0.76),
]


def _colour(rng, bold: float = 0.55) -> tuple:
    if rng.random() > bold:
        return tuple(float(np.clip(c + rng.normal(0, 0.02), 0.02, 0.97)) for c in _NEUTRAL[rng.integers(len(_NEUTRAL))])
    return _hsv(rng.random(), rng.uniform(0.25, 0.95), rng.uniform(0.30, 0.95))


def _contrast(rng, other: tuple, bold: float = 0.5) -> tuple:
    for _ in range(12):
        c = _colour(rng, bold)
        if np.abs(np.subtract(c, other)).sum() > 0.65:
            return c
    return (0.95, 0.95, 0.93) if sum(other) < 1.5 else (0.08, 0.08, 0.10)


_CLOTH = {
    "solid": 5,
    "stripes": 2.6,
    "pinstripes": 0.8,
    "check": 1.4,
    "dots": 1.3,
    "block": 1.6,
    "floral": 1.6,
    "graphic": 2.2,
    "zigzag": 0.6,
    "camo": 0.5,
    "ombre": 0.5,
    "knit": 1.0,
    "gingham": 0.8,
    "paint": 0.7,
    "panel": 0.8,
}


def _material(rng, allowed: Collection[str] | None = None, fold=0.35, gloss=0.04, detail=0, bold=0.55) -> Material:
    names = [n for n in _CLOTH if allowed is None or n in allowed]
    p = np.array([_CLOTH[n] for n in names])
    pattern = str(rng.choice(names, p=p / p.sum()))
    a = _colour(rng, bold)
    b = _contrast(rng, a)
    scale = {
        "stripes": rng.uniform(0.022, 0.09),
        "pinstripes": rng.uniform(0.018, 0.04),
        "check": rng.uniform(0.05, 0.13),
        "dots": rng.uniform(0.026, 0.075),
        "floral": rng.uniform(0.04, 0.10),
        "zigzag": rng.uniform(0.04, 0.08),
        "camo": rng.uniform(0.06, 0.12),
        "gingham": rng.uniform(0.022, 0.05),
        "knit": rng.uniform(0.008, 0.014),
        "paint": rng.uniform(0.08, 0.16),
    }.get(pattern, 0.05)
    return Material(
        pattern,
        a,
        b,
        _contrast(rng, b, 0.8),
        float(scale),
        float(rng.uniform(0.25, 0.7)),
        float(rng.random()),
        gloss,
        fold * float(rng.uniform(0.6, 1.3)),
        int(rng.integers(1, 60000)),
        detail,
    )


def _denim(rng) -> Material:
    base = np.array([(0.13, 0.19, 0.33), (0.24, 0.34, 0.50), (0.42, 0.52, 0.66), (0.07, 0.08, 0.11), (0.60, 0.68, 0.76)][rng.integers(5)])
    return Material(
        "denim",
        tuple(base),
        tuple(np.clip(base * 1.5 + 0.05, 0, 1)),
        (0.62, 0.47, 0.25),
        0.02,
        0.5,
        0,
        0.02,
        0.5,
        int(rng.integers(1, 60000)),
        3,
    )


def _leather(rng) -> Material:
    a = [(0.07, 0.06, 0.06), (0.25, 0.14, 0.08), (0.45, 0.28, 0.15), (0.35, 0.06, 0.07), (0.70, 0.58, 0.44), (0.85, 0.82, 0.78)][
        rng.integers(6)
    ]
    return Material("leather", a, tuple(np.array(a) * 0.6), tuple(np.array(a) * 1.3), 0.03, 0.5, 0, 0.35, 0.3, int(rng.integers(1, 60000)))


def _top(rng, f: bool) -> Garment:
    style = rng.choice(
        ["tee", "shirt", "sweater", "tank", "blouse"], p=[0.40, 0.18, 0.17, 0.10, 0.15] if not f else [0.30, 0.14, 0.16, 0.18, 0.22]
    )
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
        "tank": rng.choice(["scoop", "cami", "boat"]) if f else "scoop",
        "blouse": rng.choice(["v", "boat", "off", "crew", "scoop"]) if f else "v",
    }[style]
    cropped = f and rng.random() < 0.22
    tucked = (not cropped) and rng.random() < (0.42 if f else 0.25)
    cut = dict(
        style=str(style),
        sleeve=float(sleeve),
        neck=str(neck),
        depth=float(rng.uniform(0.05, 0.12)),
        hem=float(rng.uniform(1.03, 1.12) if cropped else rng.uniform(0.86, 0.925)),
        tucked=bool(tucked),
        ease=float(rng.uniform(0.004, 0.014) + (0.008 if style == "sweater" else 0)),
        loose=float(rng.uniform(0.1, 1.0)),
        flare=float(rng.uniform(0, 0.02) if style != "blouse" else rng.uniform(0.01, 0.05)),
    )
    allowed = {
        "sweater": ("solid", "stripes", "knit", "block", "zigzag", "check", "graphic"),
        "shirt": ("solid", "pinstripes", "check", "gingham", "stripes", "floral", "dots"),
    }.get(str(style))
    return Garment(
        "top", cut, _material(rng, allowed, detail=1 if style == "shirt" else 0, fold=0.45 if style in ("shirt", "blouse") else 0.3)
    )


def _pants(rng, f: bool) -> Garment:
    style = rng.choice(["skinny", "straight", "wide", "shorts", "cropped"], p=[0.32, 0.30, 0.13, 0.15, 0.10])
    hem = {"shorts": rng.uniform(0.52, 0.76) if f else rng.uniform(0.46, 0.60), "cropped": rng.uniform(0.17, 0.30)}.get(
        str(style), rng.uniform(0.075, 0.105)
    )
    width = {
        "skinny": 0.004,
        "straight": rng.uniform(0.018, 0.034),
        "wide": rng.uniform(0.05, 0.09),
        "shorts": rng.uniform(0.012, 0.03),
        "cropped": rng.uniform(0.006, 0.03),
    }[str(style)]
    m = (
        _denim(rng)
        if rng.random() < 0.42
        else _material(
            rng,
            ("solid", "solid", "check", "pinstripes", "stripes", "camo", "floral", "panel") if rng.random() < 0.4 else ("solid",),
            detail=3,
            bold=0.35,
        )
    )
    return Garment("pants", dict(style=str(style), hem=float(hem), width=float(width), rise=float(rng.uniform(1.015, 1.06))), m)


def _skirt(rng) -> Garment:
    style = rng.choice(["pencil", "a_line", "full", "mini", "maxi", "pleated"], p=[0.2, 0.28, 0.14, 0.16, 0.10, 0.12])
    hem = {"mini": rng.uniform(0.66, 0.74), "maxi": rng.uniform(0.14, 0.26), "pencil": rng.uniform(0.46, 0.58)}.get(
        str(style), rng.uniform(0.42, 0.68)
    )
    flare = {
        "pencil": rng.uniform(-0.03, 0.03),
        "full": rng.uniform(0.40, 0.60),
        "mini": rng.uniform(0.05, 0.30),
        "maxi": rng.uniform(0.10, 0.22),
        "pleated": rng.uniform(0.25, 0.42),
    }.get(str(style), rng.uniform(0.14, 0.30))
    folds = {"pencil": 0.001, "full": 0.022, "mini": 0.006, "pleated": 0.014}.get(str(style), 0.010)
    count = int(rng.integers(20, 26)) if style == "pleated" else int(rng.integers(7, 12))
    return Garment(
        "skirt",
        dict(style=str(style), hem=float(hem), flare=float(flare), fold=float(folds), count=count, phase=float(rng.random() * 6)),
        _material(rng, [n for n in _CLOTH if n != "graphic"], fold=0.25),
    )


def _dress(rng) -> Garment:
    skirt = _skirt(rng).cut
    neck = str(rng.choice(["v", "scoop", "boat", "crew", "cami", "off", "turtle"], p=[0.22, 0.22, 0.12, 0.16, 0.14, 0.07, 0.07]))
    sleeve = float(rng.choice([0, 0, rng.uniform(0.08, 0.2), rng.uniform(0.28, 0.36), 0.485]))
    cut = dict(
        skirt,
        sleeve=sleeve,
        neck=neck,
        depth=float(rng.uniform(0.06, 0.12)),
        ease=float(rng.uniform(0.003, 0.010)),
        waist=float(rng.uniform(1.03, 1.09)),
    )
    return Garment("dress", cut, _material(rng, [n for n in _CLOTH if n not in ("graphic", "knit")], fold=0.3))


def _outer(rng, f: bool) -> Garment:
    style = str(rng.choice(["blazer", "denim", "leather", "coat", "cardigan", "bomber"]))
    m = {"denim": _denim, "leather": _leather}.get(style)
    material = (
        m(rng)
        if m
        else _material(rng, ("solid", "check", "pinstripes", "knit", "stripes") if rng.random() < 0.5 else ("solid",), bold=0.35, fold=0.4)
    )
    detail = {"blazer": 4, "coat": 4, "denim": 5, "leather": 2, "bomber": 2}.get(style, 0)
    hem = {"coat": rng.uniform(0.38, 0.62), "blazer": rng.uniform(0.84, 0.88), "cardigan": rng.uniform(0.85, 0.90)}.get(
        style, rng.uniform(0.93, 1.0)
    )
    cut = dict(
        style=style,
        hem=float(hem),
        open=float(rng.uniform(0.018, 0.07)),
        ease=float(rng.uniform(0.020, 0.030)),
        sleeve=float(rng.uniform(0.475, 0.51)),
        flare=float(rng.uniform(0.05, 0.2)),
    )
    return Garment("outer", cut, Material(**{**material.__dict__, "detail": detail}))


def _shoes(rng, f: bool) -> Garment:
    style = str(
        rng.choice(["sneaker", "boot", "ankle_boot", "flat", "loafer"], p=[0.38, 0.12, 0.18, 0.20 if f else 0.02, 0.12 if f else 0.30])
    )
    top = {
        "sneaker": rng.uniform(0.075, 0.10),
        "boot": rng.uniform(0.26, 0.42),
        "ankle_boot": rng.uniform(0.12, 0.16),
        "flat": 0.062,
        "loafer": 0.070,
    }[style]
    a = _colour(rng, 0.35)
    sole = (0.93, 0.93, 0.91) if style == "sneaker" and rng.random() < 0.8 else (0.07, 0.06, 0.06)
    return Garment(
        "footwear",
        dict(style=style, top=float(top)),
        Material(
            "shoe",
            a,
            sole,
            _contrast(rng, a),
            0.02,
            0.5,
            0,
            0.05 if style == "sneaker" else 0.35,
            0,
            int(rng.integers(1, 60000)),
            9 if style == "sneaker" else 0,
        ),
    )


def _accessories(rng, f: bool, out: dict) -> None:
    if rng.random() < 0.24:
        style = str(rng.choice(["hand", "cross", "shoulder"]))
        m = _leather(rng) if rng.random() < 0.5 else _material(rng, ("solid", "check", "stripes", "dots", "block"), fold=0, gloss=0.2)
        out["bag"] = Garment(
            "bag",
            dict(style=style, side=float(rng.choice([-1, 1])), width=float(rng.uniform(0.09, 0.15)), height=float(rng.uniform(0.07, 0.12))),
            m,
        )
    if rng.random() < 0.17:
        style = str(rng.choice(["scarf", "necklace", "choker"] if f else ["scarf", "tie", "scarf"]))
        out["neckwear"] = Garment(
            "neckwear",
            dict(style=style, length=float(rng.uniform(0.15, 0.42))),
            _material(rng, ("solid", "stripes", "check", "dots", "knit"), bold=0.8, fold=0.3),
        )
    if rng.random() < 0.17:
        style = str(rng.choice(["beanie", "cap", "brim"]))
        out["headwear"] = Garment(
            "headwear",
            dict(style=style),
            _material(rng, ("solid", "knit", "stripes") if style == "beanie" else ("solid",), bold=0.5, fold=0.1),
        )
    if rng.random() < 0.20:
        dark = rng.random() < 0.5
        a = _colour(rng, 0.3) if rng.random() < 0.4 else (0.05, 0.05, 0.05)
        out["eyeglass"] = Garment(
            "eyeglass",
            dict(
                dark=bool(dark),
                round=float(rng.uniform(2, 4.5)),
                width=float(rng.uniform(0.026, 0.031)),
                height=float(rng.uniform(0.017, 0.025)),
            ),
            Material("solid", a, gloss=0.5, fold=0),
            Material("lens", (0.05, 0.05, 0.06) if dark else (0.75, 0.8, 0.85), gloss=0.8, fold=0),
        )


def sample_outfit(rng, f: bool) -> dict[str, Garment]:
    """Draw what is worn, by slot (a slot is a class name)."""
    out: dict[str, Garment] = {}
    top, pants, skirt, dress, outer, shoes = _top(rng, f), _pants(rng, f), _skirt(rng), _dress(rng), _outer(rng, f), _shoes(rng, f)
    leggings = Garment(
        "leggings",
        dict(hem=float(rng.choice([0.095, 0.095, 0.20, 0.40]))),
        _material(rng, ("solid", "solid", "stripes", "floral", "panel") if rng.random() < 0.3 else ("solid",), fold=0.1, bold=0.3),
    )
    draw = rng.random(6)
    if f and draw[0] < 0.26:
        out["dress"] = dress
    else:
        out["top"] = top
        if f and draw[1] < 0.34:
            out["skirt"] = skirt
        elif f and draw[1] < 0.50:
            out["leggings"] = leggings
        else:
            out["pants"] = pants
    if ("dress" in out or "skirt" in out) and draw[2] < 0.22:
        out["leggings"] = leggings
    if draw[3] < 0.30:
        out["outer"] = outer
    if draw[4] < 0.94:
        out["footwear"] = shoes
    belt = Garment("belt", dict(height=float(rng.uniform(0.014, 0.028))), _leather(rng))
    if draw[5] < 0.36:
        out["belt"] = belt
        if "top" in out and rng.random() < 0.75:
            out["top"] = Garment("top", dict(top.cut, tucked=True, hem=min(top.cut["hem"], 0.92)), top.material)
    _accessories(rng, f, out)
    return out


def _skin(rng) -> tuple:
    t = rng.random()
    stops = np.array(
        [(0.95, 0.80, 0.72), (0.89, 0.72, 0.61), (0.80, 0.61, 0.48), (0.65, 0.46, 0.34), (0.47, 0.32, 0.23), (0.31, 0.205, 0.15)]
    )
    x = t * (len(stops) - 1)
    i = min(int(x), len(stops) - 2)
    c = stops[i] + (x - i) * (stops[i + 1] - stops[i]) + rng.normal(0, 0.012, 3)
    return tuple(np.clip(c, 0.08, 0.98))


def _face(rng, f: bool, skin: tuple, hair_colour: tuple) -> dict:
    skin = np.asarray(skin)
    dark = skin.sum() < 1.5
    iris = [(0.20, 0.11, 0.06), (0.28, 0.17, 0.09), (0.25, 0.32, 0.22), (0.22, 0.34, 0.48)][
        rng.choice(4, p=[0.5, 0.28, 0.1, 0.12] if not dark else [0.8, 0.2, 0, 0])
    ]
    lip = skin * np.array([0.86, 0.58, 0.58]) + (np.array([0.12, -0.02, 0.0]) if f and rng.random() < 0.6 else 0)
    if f and rng.random() < 0.25:
        lip = np.array(_hsv(rng.uniform(0.93, 1.02), rng.uniform(0.5, 0.85), rng.uniform(0.45, 0.8)))
    return dict(
        iris=iris,
        lip=tuple(np.clip(lip, 0.05, 0.95)),
        brow=tuple(np.asarray(hair_colour) * 0.7),
        brow_width=float(rng.uniform(0.0024, 0.0042) + (0 if f else 0.0016)),
        brow_tilt=float(rng.normal(0.12, 0.10)),
        eye=float(rng.uniform(1.04, 1.26) if f else rng.uniform(0.96, 1.14)),
        mouth=float(rng.uniform(0.020, 0.027)),
        full=float(rng.uniform(0.75, 1.25)),
        beard=float(0 if f else rng.choice([0, 0, 0.35, 0.9])),
        blush=float(rng.uniform(0.0, 0.5) if f else rng.uniform(0, 0.2)),
        lash=float(rng.uniform(0.4, 1) if f else 0.3),
        smile=float(rng.uniform(-0.1, 0.6)),
    )


_HAIR = np.array(
    [
        (0.05, 0.04, 0.04),
        (0.10, 0.07, 0.05),
        (0.20, 0.12, 0.07),
        (0.33, 0.20, 0.11),
        (0.52, 0.34, 0.17),
        (0.75, 0.58, 0.35),
        (0.86, 0.74, 0.54),
        (0.48, 0.18, 0.09),
        (0.62, 0.61, 0.60),
        (0.85, 0.84, 0.82),
    ]
)


def sample_person(seed: int) -> Person:
    """The person of a seed."""
    draw = lambda stream: np.random.default_rng([int(seed), stream])  # noqa: E731
    rng = draw(1)
    f = bool(rng.random() < 0.58)
    s = rng.uniform(0.7, 1.1)
    heavy = float(np.clip(rng.normal(0.12, 0.34), -0.42, 1.1))
    shape = {("female" if f else "male"): float(s), "heavy": heavy, "curvy": float(np.clip(rng.normal(0.1, 0.35), -0.3, 0.9)) if f else 0.0}
    stretch = dict(
        leg=float(rng.normal(1.0, 0.025)),
        torso=float(rng.normal(1.0, 0.018)),
        arm=float(rng.normal(0.985, 0.022)),
        head=float(rng.normal(1.055, 0.025)),
        face=float(rng.normal(1.0, 0.03)),
        height=float(rng.normal(1.0 if f else 1.03, 0.02)),
    )
    skin = _skin(rng)
    dark = sum(skin) < 1.5
    p = np.array([3, 3, 2.4, 2, 1.5, 1.2, 0.8, 0.6, 0.4, 0.4]) * (np.array([3, 2, 1, 0.3, 0.1, 0.05, 0.05, 0.05, 0.4, 0.3]) if dark else 1)
    colour = tuple(np.clip(_HAIR[rng.choice(len(_HAIR), p=p / p.sum())] + rng.normal(0, 0.012, 3), 0.02, 0.95))
    if f:
        styles = ["long", "long_front", "bob", "ponytail", "bun", "curly", "lob", "short", "afro", "buzz"]
        p = np.array([0.2, 0.16, 0.12, 0.13, 0.12, 0.08, 0.12, 0.03, 0.04 if dark else 0.0, 0.01])
    else:
        styles = ["short", "swept", "undercut", "buzz", "bald", "curly", "afro", "bun", "lob"]
        p = np.array([0.30, 0.22, 0.14, 0.13, 0.07, 0.06, 0.05 if dark else 0.01, 0.02, 0.03])
    style = str(rng.choice(styles, p=p / p.sum()))
    light = np.array([rng.uniform(-0.55, 0.55), rng.uniform(0.45, 0.75), 1.0])
    tone = 1.02 - 0.16 * rng.random() ** 1.6
    tint = rng.normal(0, 0.006, 3)
    return Person(
        int(seed),
        shape,
        stretch,
        skin,
        _face(draw(2), f, skin, colour),
        style,
        colour,
        light / np.linalg.norm(light),
        tuple(np.clip(tone + tint, 0, 1.0)),
        sample_outfit(draw(3), f),
    )


_SUIT = {"dress": ("top", "skirt", "pants"), "top": ("dress",), "skirt": ("dress", "pants"), "pants": ("dress", "skirt"), "leggings": ()}


def with_garments(person: Person, donor: Person, classes: Collection[str]) -> Person:
    """The person wearing the donor's garments of some classes (a dress and separates replace each other)."""
    unknown = set(classes) - set(CLASSES[:12])
    if unknown:
        raise ValueError(f"not garment classes: {sorted(unknown)}")
    out, other = dict(person.outfit), donor.outfit
    for name in CLASSES[:12]:
        if name not in classes:
            continue
        if name in other:
            out.pop(name, None)
            for clash in _SUIT.get(name, ()):
                out.pop(clash, None)
            out[name] = other[name]
        elif name in ("top", "skirt", "pants", "leggings") and "dress" in other:
            for gone in ("top", "skirt", "pants"):
                out.pop(gone, None)
            out["dress"] = other["dress"]
        elif name not in ("top", "skirt", "pants", "dress"):
            out.pop(name, None)
    rng = np.random.default_rng([person.seed, 9])
    if "dress" not in out:
        if "top" not in out:
            out["top"] = other.get("top") or _top(rng, "male" not in person.shape)
        if not {"skirt", "pants", "leggings"} & set(out):
            for name in ("skirt", "pants", "leggings"):
                if name in other:
                    out[name] = other[name]
                    break
            else:
                out["pants"] = _pants(rng, False)
    order = [n for n in CLASSES if n in out]
    return Person(**{**person.__dict__, "outfit": {n: out[n] for n in order}})
