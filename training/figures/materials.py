"""What surfaces are made of: patterns and colours, and how a seed's generator draws them (numpy)."""

from __future__ import annotations

import colorsys
from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

Colour = tuple[float, float, float]  # red, green, blue, 0..1

PATTERNS = (
    "solid", "stripes", "pinstripes", "check", "dots", "block", "floral", "graphic", "denim", "zigzag", "camo", "ombre", "knit",
    "leather", "gingham", "paint", "skin", "face", "hair", "shoe", "lens", "seat", "panel",
)  # fmt: skip
PATTERN = {name: number for number, name in enumerate(PATTERNS)}

# the columns of a material's row
PATTERN_COLUMN = 0
COLOUR_COLUMNS, SECOND_COLUMNS, THIRD_COLUMNS = slice(1, 4), slice(4, 7), slice(7, 10)
SCALE_COLUMN, DUTY_COLUMN, PHASE_COLUMN, GLOSS_COLUMN, FOLD_COLUMN, SEED_COLUMN, DETAIL_COLUMN = range(10, 17)
ROW_LENGTH = 18  # the last column is spare

DARK = 1.5  # the sum of a colour's channels below which it counts as dark
CONTRAST = 0.65  # least sum of differences between the channels of two colours that set each other off
MOST_TRIES = 12  # at a contrasting colour, before it becomes nearly white or black
SEEDS = 60_000  # of patterns; float32 holds them exactly

_WHITE, _BLACK = (0.95, 0.95, 0.93), (0.08, 0.08, 0.10)
_NEUTRAL = (
    (0.93, 0.92, 0.90), (0.06, 0.06, 0.07), (0.10, 0.11, 0.16), (0.35, 0.36, 0.38), (0.62, 0.61, 0.60),
    (0.80, 0.74, 0.64), (0.45, 0.33, 0.24), (0.14, 0.19, 0.34), (0.30, 0.33, 0.22), (0.85, 0.80, 0.76),
)  # fmt: skip
_DENIM = ((0.13, 0.19, 0.33), (0.24, 0.34, 0.50), (0.42, 0.52, 0.66), (0.07, 0.08, 0.11), (0.60, 0.68, 0.76))
_STITCHING = (0.62, 0.47, 0.25)
_LEATHER = ((0.07, 0.06, 0.06), (0.25, 0.14, 0.08), (0.45, 0.28, 0.15), (0.35, 0.06, 0.07), (0.70, 0.58, 0.44), (0.85, 0.82, 0.78))
CLOTH_SHARES = {
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
"""How often each pattern of cloth is drawn, relative to the others."""


class Detail(IntEnum):
    """What is sewn on to a garment, or how a shoe or hair differs from the usual."""

    NONE = 0
    BUTTONS = 1
    ZIP = 2  # on the edges of an open front, where nothing of it is drawn
    FLY = 3  # and a waistband
    LAPELS = 4  # and hip pockets
    CHEST_POCKETS = 5
    BUCKLE = 6
    LACES_OR_CURLS = 9


@dataclass(frozen=True)
class Material:
    """How a surface is coloured.

    Attributes:
        pattern: one of ``PATTERNS``.
        colour: of most of the surface.
        second: the pattern's other colour.
        third: its accents.
        scale: metres of one repeat.
        duty: share of a repeat that the second colour takes, 0..1.
        phase: shift of the pattern, in repeats or as the pattern has it, 0..1.
        gloss: strength of the highlight, 0..1.
        fold: strength of the creases.
        seed: of the pattern's random numbers, below ``SEEDS``.
        detail: what is drawn on top of the pattern.
    """

    pattern: str = "solid"
    colour: Colour = (0.5, 0.5, 0.5)
    second: Colour = (0.2, 0.2, 0.2)
    third: Colour = (0.8, 0.8, 0.8)
    scale: float = 0.05
    duty: float = 0.5
    phase: float = 0.0
    gloss: float = 0.05
    fold: float = 0.3
    seed: int = 0
    detail: Detail = Detail.NONE

    def row(self) -> list[float]:
        """The ``ROW_LENGTH`` numbers that the shader reads, in the order of the columns above."""
        colours = (*self.colour, *self.second, *self.third)
        numbers = (self.scale, self.duty, self.phase, self.gloss, self.fold, self.seed, self.detail)
        return [PATTERN[self.pattern], *colours, *numbers, 0]


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """RGB of a colour; the hue counts modulo 1, the others are clipped to 0..1."""
    rgb = colorsys.hsv_to_rgb(hue % 1, float(np.clip(saturation, 0, 1)), float(np.clip(value, 0, 1)))
    return tuple(float(channel) for channel in rgb)


def sample_seed(rng: np.random.Generator) -> int:
    """Draw the seed of a pattern."""
    return int(rng.integers(1, SEEDS))


def sample_colour(rng: np.random.Generator, bold: float = 0.55) -> Colour:
    """Draw a neutral colour or, with probability ``bold``, any other."""
    if rng.random() > bold:
        neutral = _NEUTRAL[rng.integers(len(_NEUTRAL))]
        return tuple(float(np.clip(channel + rng.normal(0, 0.02), 0.02, 0.97)) for channel in neutral)
    return hsv(rng.random(), rng.uniform(0.25, 0.95), rng.uniform(0.30, 0.95))


def contrasting_colour(rng: np.random.Generator, other: Colour, bold: float = 0.5) -> Colour:
    """Draw a colour that differs clearly from another."""
    for _ in range(MOST_TRIES):
        colour = sample_colour(rng, bold)
        if np.abs(np.subtract(colour, other)).sum() > CONTRAST:
            return colour
    return _WHITE if sum(other) < DARK else _BLACK


def sample_cloth(
    rng: np.random.Generator,
    allowed: Collection[str] | None = None,
    *,
    fold: float = 0.35,
    gloss: float = 0.04,
    detail: Detail = Detail.NONE,
    bold: float = 0.55,
) -> Material:
    """Draw a cloth.

    Args:
        rng: the generator.
        allowed: names of patterns; None for all of ``CLOTH_SHARES``.
        fold: strength of the creases, about which it varies.
        gloss: strength of the highlight, 0..1.
        detail: what is sewn on.
        bold: probability that the main colour is not a neutral one.
    """
    names = [name for name in CLOTH_SHARES if allowed is None or name in allowed]
    shares = np.array([CLOTH_SHARES[name] for name in names])
    pattern = str(rng.choice(names, p=shares / shares.sum()))
    colour = sample_colour(rng, bold)
    second = contrasting_colour(rng, colour)
    scales = {  # all of them are drawn, whatever the pattern
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
    }
    return Material(
        pattern,
        colour,
        second,
        third=contrasting_colour(rng, second, 0.8),
        scale=float(scales.get(pattern, 0.05)),
        duty=float(rng.uniform(0.25, 0.7)),
        phase=float(rng.random()),
        gloss=gloss,
        fold=fold * float(rng.uniform(0.6, 1.3)),
        seed=sample_seed(rng),
        detail=detail,
    )


def sample_denim(rng: np.random.Generator) -> Material:
    """Draw a denim with a fly and a waistband."""
    base = np.array(_DENIM[rng.integers(len(_DENIM))])
    faded = tuple(np.clip(base * 1.5 + 0.05, 0, 1))
    return Material("denim", tuple(base), faded, _STITCHING, 0.02, phase=0, gloss=0.02, fold=0.5, seed=sample_seed(rng), detail=Detail.FLY)


def sample_leather(rng: np.random.Generator) -> Material:
    """Draw a leather."""
    colour = _LEATHER[rng.integers(len(_LEATHER))]
    darker, lighter = tuple(np.array(colour) * 0.6), tuple(np.array(colour) * 1.3)
    return Material("leather", colour, darker, lighter, 0.03, phase=0, gloss=0.35, fold=0.3, seed=sample_seed(rng))
