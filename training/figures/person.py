"""Who is drawn: a person's body, face, hair and outfit, all decided by one seed (numpy)."""

from __future__ import annotations

import colorsys
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from nted_step.classes import CLASSES

PATTERNS = ("solid", "stripes", "pinstripes", "check", "dots", "block", "floral", "graphic", "denim", "zigzag", "camo", "ombre",
            "knit", "leather", "gingham", "paint", "skin", "face", "hair", "shoe", "lens", "seat", "panel")
PATTERN = {name: i for i, name in enumerate(PATTERNS)}


@dataclass(frozen=True)
class Material:
    """How a surface is coloured; `row()` is the flat form that the shader reads."""

    pattern: str = "solid"
    a: tuple = (.5, .5, .5)
    b: tuple = (.2, .2, .2)
    c: tuple = (.8, .8, .8)
    scale: float = .05          # metres of one repeat
    duty: float = .5
    phase: float = 0.0
    gloss: float = .05
    fold: float = .3            # strength of the creases
    seed: int = 0
    detail: int = 0             # 0 none, 1 buttons, 3 fly and pockets, 4 lapels, 5 chest pocket, 6 buckle, 9 laces or curls

    def row(self) -> list[float]:
        """18 numbers: pattern, a (3), b (3), c (3), scale, duty, phase, gloss, fold, seed, detail, spare."""
        return [PATTERN[self.pattern], *self.a, *self.b, *self.c, self.scale, self.duty, self.phase, self.gloss, self.fold, self.seed, self.detail, 0]


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


_NEUTRAL = [(.93, .92, .90), (.06, .06, .07), (.10, .11, .16), (.35, .36, .38), (.62, .61, .60), (.80, .74, .64), (.45, .33, .24), (.14, .19, .34), (.30, .33, .22), (.85, .80, .76)]


def _colour(rng, bold: float = .55) -> tuple:
    if rng.random() > bold:
        return tuple(float(np.clip(c + rng.normal(0, .02), .02, .97)) for c in _NEUTRAL[rng.integers(len(_NEUTRAL))])
    return _hsv(rng.random(), rng.uniform(.25, .95), rng.uniform(.30, .95))


def _contrast(rng, other: tuple, bold: float = .5) -> tuple:
    for _ in range(12):
        c = _colour(rng, bold)
        if np.abs(np.subtract(c, other)).sum() > .65:
            return c
    return (.95, .95, .93) if sum(other) < 1.5 else (.08, .08, .10)


_CLOTH = {"solid": 5, "stripes": 2.6, "pinstripes": .8, "check": 1.4, "dots": 1.3, "block": 1.6, "floral": 1.6, "graphic": 2.2, "zigzag": .6, "camo": .5,
          "ombre": .5, "knit": 1.0, "gingham": .8, "paint": .7, "panel": .8}


def _material(rng, allowed: Collection[str] | None = None, fold=.35, gloss=.04, detail=0, bold=.55) -> Material:
    names = [n for n in _CLOTH if allowed is None or n in allowed]
    p = np.array([_CLOTH[n] for n in names])
    pattern = str(rng.choice(names, p=p / p.sum()))
    a = _colour(rng, bold)
    b = _contrast(rng, a)
    scale = {"stripes": rng.uniform(.022, .09), "pinstripes": rng.uniform(.018, .04), "check": rng.uniform(.05, .13), "dots": rng.uniform(.026, .075),
             "floral": rng.uniform(.04, .10), "zigzag": rng.uniform(.04, .08), "camo": rng.uniform(.06, .12), "gingham": rng.uniform(.022, .05),
             "knit": rng.uniform(.008, .014), "paint": rng.uniform(.08, .16)}.get(pattern, .05)
    return Material(pattern, a, b, _contrast(rng, b, .8), float(scale), float(rng.uniform(.25, .7)), float(rng.random()), gloss,
                    fold * float(rng.uniform(.6, 1.3)), int(rng.integers(1, 60000)), detail)


def _denim(rng) -> Material:
    base = np.array([(.13, .19, .33), (.24, .34, .50), (.42, .52, .66), (.07, .08, .11), (.60, .68, .76)][rng.integers(5)])
    return Material("denim", tuple(base), tuple(np.clip(base * 1.5 + .05, 0, 1)), (.62, .47, .25), .02, .5, 0, .02, .5, int(rng.integers(1, 60000)), 3)


def _leather(rng) -> Material:
    a = [(.07, .06, .06), (.25, .14, .08), (.45, .28, .15), (.35, .06, .07), (.70, .58, .44), (.85, .82, .78)][rng.integers(6)]
    return Material("leather", a, tuple(np.array(a) * .6), tuple(np.array(a) * 1.3), .03, .5, 0, .35, .3, int(rng.integers(1, 60000)))


def _top(rng, f: bool) -> Garment:
    style = rng.choice(["tee", "shirt", "sweater", "tank", "blouse"], p=[.40, .18, .17, .10, .15] if not f else [.30, .14, .16, .18, .22])
    sleeve = {"tee": rng.uniform(.10, .24), "shirt": .48 if rng.random() < .6 else rng.uniform(.16, .34), "sweater": .49, "tank": 0.0, "blouse": rng.choice([.12, .30, .48, .49])}[style]
    neck = {"tee": rng.choice(["crew", "crew", "v", "scoop"]), "shirt": "collar", "sweater": rng.choice(["crew", "turtle", "v"]),
            "tank": rng.choice(["scoop", "cami", "boat"]) if f else "scoop", "blouse": rng.choice(["v", "boat", "off", "crew", "scoop"]) if f else "v"}[style]
    cropped = f and rng.random() < .22
    tucked = (not cropped) and rng.random() < (.42 if f else .25)
    cut = dict(style=str(style), sleeve=float(sleeve), neck=str(neck), depth=float(rng.uniform(.05, .12)), hem=float(rng.uniform(1.03, 1.12) if cropped else rng.uniform(.86, .925)),
               tucked=bool(tucked), ease=float(rng.uniform(.004, .014) + (.008 if style == "sweater" else 0)), loose=float(rng.uniform(.1, 1.0)), flare=float(rng.uniform(0, .02) if style != "blouse" else rng.uniform(.01, .05)))
    allowed = {"sweater": ("solid", "stripes", "knit", "block", "zigzag", "check", "graphic"), "shirt": ("solid", "pinstripes", "check", "gingham", "stripes", "floral", "dots")}.get(str(style))
    return Garment("top", cut, _material(rng, allowed, detail=1 if style == "shirt" else 0, fold=.45 if style in ("shirt", "blouse") else .3))


def _pants(rng, f: bool) -> Garment:
    style = rng.choice(["skinny", "straight", "wide", "shorts", "cropped"], p=[.32, .30, .13, .15, .10])
    hem = {"shorts": rng.uniform(.52, .76) if f else rng.uniform(.46, .60), "cropped": rng.uniform(.17, .30)}.get(str(style), rng.uniform(.075, .105))
    width = {"skinny": .004, "straight": rng.uniform(.018, .034), "wide": rng.uniform(.05, .09), "shorts": rng.uniform(.012, .03), "cropped": rng.uniform(.006, .03)}[str(style)]
    m = _denim(rng) if rng.random() < .42 else _material(rng, ("solid", "solid", "check", "pinstripes", "stripes", "camo", "floral", "panel") if rng.random() < .4 else ("solid",), detail=3, bold=.35)
    return Garment("pants", dict(style=str(style), hem=float(hem), width=float(width), rise=float(rng.uniform(1.015, 1.06))), m)


def _skirt(rng) -> Garment:
    style = rng.choice(["pencil", "a_line", "full", "mini", "maxi", "pleated"], p=[.2, .28, .14, .16, .10, .12])
    hem = {"mini": rng.uniform(.66, .74), "maxi": rng.uniform(.14, .26), "pencil": rng.uniform(.46, .58)}.get(str(style), rng.uniform(.42, .68))
    flare = {"pencil": rng.uniform(-.03, .03), "full": rng.uniform(.40, .60), "mini": rng.uniform(.05, .30), "maxi": rng.uniform(.10, .22), "pleated": rng.uniform(.25, .42)}.get(str(style), rng.uniform(.14, .30))
    folds = {"pencil": .001, "full": .022, "mini": .006, "pleated": .014}.get(str(style), .010)
    count = int(rng.integers(20, 26)) if style == "pleated" else int(rng.integers(7, 12))
    return Garment("skirt", dict(style=str(style), hem=float(hem), flare=float(flare), fold=float(folds), count=count, phase=float(rng.random() * 6)), _material(rng, [n for n in _CLOTH if n != "graphic"], fold=.25))


def _dress(rng) -> Garment:
    skirt = _skirt(rng).cut
    neck = str(rng.choice(["v", "scoop", "boat", "crew", "cami", "off", "turtle"], p=[.22, .22, .12, .16, .14, .07, .07]))
    sleeve = float(rng.choice([0, 0, rng.uniform(.08, .2), rng.uniform(.28, .36), .485]))
    cut = dict(skirt, sleeve=sleeve, neck=neck, depth=float(rng.uniform(.06, .12)), ease=float(rng.uniform(.003, .010)), waist=float(rng.uniform(1.03, 1.09)))
    return Garment("dress", cut, _material(rng, [n for n in _CLOTH if n not in ("graphic", "knit")], fold=.3))


def _outer(rng, f: bool) -> Garment:
    style = str(rng.choice(["blazer", "denim", "leather", "coat", "cardigan", "bomber"]))
    m = {"denim": _denim, "leather": _leather}.get(style)
    material = m(rng) if m else _material(rng, ("solid", "check", "pinstripes", "knit", "stripes") if rng.random() < .5 else ("solid",), bold=.35, fold=.4)
    detail = {"blazer": 4, "coat": 4, "denim": 5, "leather": 2, "bomber": 2}.get(style, 0)
    hem = {"coat": rng.uniform(.38, .62), "blazer": rng.uniform(.84, .88), "cardigan": rng.uniform(.85, .90)}.get(style, rng.uniform(.93, 1.0))
    cut = dict(style=style, hem=float(hem), open=float(rng.uniform(.018, .07)), ease=float(rng.uniform(.020, .030)), sleeve=float(rng.uniform(.475, .51)), flare=float(rng.uniform(.05, .2)))
    return Garment("outer", cut, Material(**{**material.__dict__, "detail": detail}))


def _shoes(rng, f: bool) -> Garment:
    style = str(rng.choice(["sneaker", "boot", "ankle_boot", "flat", "loafer"], p=[.38, .12, .18, .20 if f else .02, .12 if f else .30]))
    top = {"sneaker": rng.uniform(.075, .10), "boot": rng.uniform(.26, .42), "ankle_boot": rng.uniform(.12, .16), "flat": .062, "loafer": .070}[style]
    a = _colour(rng, .35)
    sole = (.93, .93, .91) if style == "sneaker" and rng.random() < .8 else (.07, .06, .06)
    return Garment("footwear", dict(style=style, top=float(top)), Material("shoe", a, sole, _contrast(rng, a), .02, .5, 0, .05 if style == "sneaker" else .35, 0, int(rng.integers(1, 60000)), 9 if style == "sneaker" else 0))


def _accessories(rng, f: bool, out: dict) -> None:
    if rng.random() < .24:
        style = str(rng.choice(["hand", "cross", "shoulder"]))
        m = _leather(rng) if rng.random() < .5 else _material(rng, ("solid", "check", "stripes", "dots", "block"), fold=0, gloss=.2)
        out["bag"] = Garment("bag", dict(style=style, side=float(rng.choice([-1, 1])), width=float(rng.uniform(.09, .15)), height=float(rng.uniform(.07, .12))), m)
    if rng.random() < .17:
        style = str(rng.choice(["scarf", "necklace", "choker"] if f else ["scarf", "tie", "scarf"]))
        out["neckwear"] = Garment("neckwear", dict(style=style, length=float(rng.uniform(.15, .42))), _material(rng, ("solid", "stripes", "check", "dots", "knit"), bold=.8, fold=.3))
    if rng.random() < .17:
        style = str(rng.choice(["beanie", "cap", "brim"]))
        out["headwear"] = Garment("headwear", dict(style=style), _material(rng, ("solid", "knit", "stripes") if style == "beanie" else ("solid",), bold=.5, fold=.1))
    if rng.random() < .20:
        dark = rng.random() < .5
        a = _colour(rng, .3) if rng.random() < .4 else (.05, .05, .05)
        out["eyeglass"] = Garment("eyeglass", dict(dark=bool(dark), round=float(rng.uniform(2, 4.5)), width=float(rng.uniform(.026, .031)), height=float(rng.uniform(.017, .025))),
                                  Material("solid", a, gloss=.5, fold=0), Material("lens", (.05, .05, .06) if dark else (.75, .8, .85), gloss=.8, fold=0))


def sample_outfit(rng, f: bool) -> dict[str, Garment]:
    """Draw what is worn, by slot (a slot is a class name)."""
    out: dict[str, Garment] = {}
    top, pants, skirt, dress, outer, shoes = _top(rng, f), _pants(rng, f), _skirt(rng), _dress(rng), _outer(rng, f), _shoes(rng, f)
    leggings = Garment("leggings", dict(hem=float(rng.choice([.095, .095, .20, .40]))), _material(rng, ("solid", "solid", "stripes", "floral", "panel") if rng.random() < .3 else ("solid",), fold=.1, bold=.3))
    draw = rng.random(6)
    if f and draw[0] < .26:
        out["dress"] = dress
    else:
        out["top"] = top
        if f and draw[1] < .34:
            out["skirt"] = skirt
        elif f and draw[1] < .50:
            out["leggings"] = leggings
        else:
            out["pants"] = pants
    if ("dress" in out or "skirt" in out) and draw[2] < .22:
        out["leggings"] = leggings
    if draw[3] < .30:
        out["outer"] = outer
    if draw[4] < .94:
        out["footwear"] = shoes
    belt = Garment("belt", dict(height=float(rng.uniform(.014, .028))), _leather(rng))
    if draw[5] < .36:
        out["belt"] = belt
        if "top" in out and rng.random() < .75:
            out["top"] = Garment("top", dict(top.cut, tucked=True, hem=min(top.cut["hem"], .92)), top.material)
    _accessories(rng, f, out)
    return out


def _skin(rng) -> tuple:
    t = rng.random()
    stops = np.array([(.95, .80, .72), (.89, .72, .61), (.80, .61, .48), (.65, .46, .34), (.47, .32, .23), (.31, .205, .15)])
    x = t * (len(stops) - 1)
    i = min(int(x), len(stops) - 2)
    c = stops[i] + (x - i) * (stops[i + 1] - stops[i]) + rng.normal(0, .012, 3)
    return tuple(np.clip(c, .08, .98))


def _face(rng, f: bool, skin: tuple, hair_colour: tuple) -> dict:
    skin = np.asarray(skin)
    dark = skin.sum() < 1.5
    iris = [(.20, .11, .06), (.28, .17, .09), (.25, .32, .22), (.22, .34, .48)][rng.choice(4, p=[.5, .28, .1, .12] if not dark else [.8, .2, 0, 0])]
    lip = skin * np.array([.86, .58, .58]) + (np.array([.12, -.02, .0]) if f and rng.random() < .6 else 0)
    if f and rng.random() < .25:
        lip = np.array(_hsv(rng.uniform(.93, 1.02), rng.uniform(.5, .85), rng.uniform(.45, .8)))
    return dict(iris=iris, lip=tuple(np.clip(lip, .05, .95)), brow=tuple(np.asarray(hair_colour) * .7), brow_width=float(rng.uniform(.0024, .0042) + (0 if f else .0016)),
                brow_tilt=float(rng.normal(.12, .10)), eye=float(rng.uniform(1.04, 1.26) if f else rng.uniform(.96, 1.14)), mouth=float(rng.uniform(.020, .027)), full=float(rng.uniform(.75, 1.25)),
                beard=float(0 if f else rng.choice([0, 0, .35, .9])), blush=float(rng.uniform(.0, .5) if f else rng.uniform(0, .2)), lash=float(rng.uniform(.4, 1) if f else .3), smile=float(rng.uniform(-.1, .6)))


_HAIR = np.array([(.05, .04, .04), (.10, .07, .05), (.20, .12, .07), (.33, .20, .11), (.52, .34, .17), (.75, .58, .35), (.86, .74, .54), (.48, .18, .09), (.62, .61, .60), (.85, .84, .82)])


def sample_person(seed: int) -> Person:
    """The person of a seed."""
    draw = lambda stream: np.random.default_rng([int(seed), stream])  # noqa: E731
    rng = draw(1)
    f = bool(rng.random() < .58)
    s = rng.uniform(.7, 1.1)
    heavy = float(np.clip(rng.normal(.12, .34), -.42, 1.1))
    shape = {("female" if f else "male"): float(s), "heavy": heavy, "curvy": float(np.clip(rng.normal(.1, .35), -.3, .9)) if f else 0.0}
    stretch = dict(leg=float(rng.normal(1.0, .025)), torso=float(rng.normal(1.0, .018)), arm=float(rng.normal(.985, .022)),
                   head=float(rng.normal(1.055, .025)), face=float(rng.normal(1.0, .03)), height=float(rng.normal(1.0 if f else 1.03, .02)))
    skin = _skin(rng)
    dark = sum(skin) < 1.5
    p = np.array([3, 3, 2.4, 2, 1.5, 1.2, .8, .6, .4, .4]) * (np.array([3, 2, 1, .3, .1, .05, .05, .05, .4, .3]) if dark else 1)
    colour = tuple(np.clip(_HAIR[rng.choice(len(_HAIR), p=p / p.sum())] + rng.normal(0, .012, 3), .02, .95))
    if f:
        styles = ["long", "long_front", "bob", "ponytail", "bun", "curly", "lob", "short", "afro", "buzz"]
        p = np.array([.2, .16, .12, .13, .12, .08, .12, .03, .04 if dark else .0, .01])
    else:
        styles = ["short", "swept", "undercut", "buzz", "bald", "curly", "afro", "bun", "lob"]
        p = np.array([.30, .22, .14, .13, .07, .06, .05 if dark else .01, .02, .03])
    style = str(rng.choice(styles, p=p / p.sum()))
    light = np.array([rng.uniform(-.55, .55), rng.uniform(.45, .75), 1.0])
    tone = 1.02 - .16 * rng.random() ** 1.6
    tint = rng.normal(0, .006, 3)
    return Person(int(seed), shape, stretch, skin, _face(draw(2), f, skin, colour), style, colour, light / np.linalg.norm(light), tuple(np.clip(tone + tint, 0, 1.0)), sample_outfit(draw(3), f))


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
