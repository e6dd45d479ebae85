"""Who is drawn: a person's body, face, hair and outfit, all decided by one seed (numpy)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from training.figures.materials import DARK, Colour, hsv
from training.figures.outfits import Garment, exchange, sample_outfit

FEMALE_SHARE = 0.58
_PERSON, _FACE, _OUTFIT, _EXCHANGE = 1, 2, 3, 9  # the streams of random numbers of one seed

_SKIN = np.array([(0.95, 0.80, 0.72), (0.89, 0.72, 0.61), (0.80, 0.61, 0.48), (0.65, 0.46, 0.34), (0.47, 0.32, 0.23), (0.31, 0.205, 0.15)])
_IRIS = ((0.20, 0.11, 0.06), (0.28, 0.17, 0.09), (0.25, 0.32, 0.22), (0.22, 0.34, 0.48))
_HAIR = np.array(
    [
        (0.05, 0.04, 0.04), (0.10, 0.07, 0.05), (0.20, 0.12, 0.07), (0.33, 0.20, 0.11), (0.52, 0.34, 0.17),
        (0.75, 0.58, 0.35), (0.86, 0.74, 0.54), (0.48, 0.18, 0.09), (0.62, 0.61, 0.60), (0.85, 0.84, 0.82),
    ]
)  # fmt: skip
_HAIR_SHARES = np.array([3, 3, 2.4, 2, 1.5, 1.2, 0.8, 0.6, 0.4, 0.4])
_DARK_SKIN_FACTORS = np.array([3, 2, 1, 0.3, 0.1, 0.05, 0.05, 0.05, 0.4, 0.3])


@dataclass(frozen=True)
class FigurePerson:
    """Everything that is the same in every photo of a person.

    Attributes:
        seed: what the person was drawn from.
        shape: amounts of the ``SHAPES`` of the body, by name.
        stretch: factors of the lengths of leg, torso, arm and head, of the width of the face, and of the height.
        skin: colour.
        face: colours and measures of the features; see :func:`training.figures.faces.face_row`.
        hair: style, ``"bald"`` or one that :func:`training.figures.hair.hair_mesh` knows.
        hair_colour: colour.
        light: unit vector (3,) towards the light.
        background: colour of the studio.
        outfit: what is worn, by class.
    """

    seed: int
    shape: dict[str, float]
    stretch: dict[str, float]
    skin: Colour
    face: dict[str, Any]
    hair: str
    hair_colour: Colour
    light: np.ndarray
    background: Colour
    outfit: dict[str, Garment] = field(default_factory=dict)

    @property
    def female(self) -> bool:
        """Whether the body is of the female shape."""
        return "male" not in self.shape


def sample_person(seed: int) -> FigurePerson:
    """The person of a seed."""
    rng = _generator(seed, _PERSON)
    female = bool(rng.random() < FEMALE_SHARE)
    shape = _sample_shape(rng, female)
    stretch = {
        "leg": float(rng.normal(1.0, 0.025)),
        "torso": float(rng.normal(1.0, 0.018)),
        "arm": float(rng.normal(0.985, 0.022)),
        "head": float(rng.normal(1.055, 0.025)),
        "face": float(rng.normal(1.0, 0.03)),
        "height": float(rng.normal(1.0 if female else 1.03, 0.02)),
    }
    skin = _sample_skin(rng)
    dark = sum(skin) < DARK
    shares = _HAIR_SHARES * (_DARK_SKIN_FACTORS if dark else 1)
    hair_colour = tuple(np.clip(_HAIR[rng.choice(len(_HAIR), p=shares / shares.sum())] + rng.normal(0, 0.012, 3), 0.02, 0.95))
    hair = _sample_hair(rng, female, dark)
    light = np.array([rng.uniform(-0.55, 0.55), rng.uniform(0.45, 0.75), 1.0])
    tone = 1.02 - 0.16 * rng.random() ** 1.6
    tint = rng.normal(0, 0.006, 3)
    return FigurePerson(
        int(seed),
        shape,
        stretch,
        skin,
        face=_sample_face(_generator(seed, _FACE), female, skin, hair_colour),
        hair=hair,
        hair_colour=hair_colour,
        light=light / np.linalg.norm(light),
        background=tuple(np.clip(tone + tint, 0, 1.0)),
        outfit=sample_outfit(_generator(seed, _OUTFIT), female),
    )


def with_garments(person: FigurePerson, donor: FigurePerson, classes: Collection[str]) -> FigurePerson:
    """The person wearing the donor's garments of some classes; a dress and separates replace each other.

    Raises:
        ValueError: a class is not one of garments.
    """
    rng = _generator(person.seed, _EXCHANGE)
    return replace(person, outfit=exchange(person.outfit, donor.outfit, classes, rng, person.female))


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([int(seed), stream])


def _sample_shape(rng: np.random.Generator, female: bool) -> dict[str, float]:
    typical = rng.uniform(0.7, 1.1)
    heavy = float(np.clip(rng.normal(0.12, 0.34), -0.42, 1.1))
    curvy = float(np.clip(rng.normal(0.1, 0.35), -0.3, 0.9)) if female else 0.0
    return {"female" if female else "male": float(typical), "heavy": heavy, "curvy": curvy}


def _sample_skin(rng: np.random.Generator) -> Colour:
    """Draw a tone between the given ones, from light to dark."""
    place = rng.random() * (len(_SKIN) - 1)
    lower = min(int(place), len(_SKIN) - 2)
    tone = _SKIN[lower] + (place - lower) * (_SKIN[lower + 1] - _SKIN[lower]) + rng.normal(0, 0.012, 3)
    return tuple(np.clip(tone, 0.08, 0.98))


def _sample_hair(rng: np.random.Generator, female: bool, dark: bool) -> str:
    if female:
        styles = ["long", "long_front", "bob", "ponytail", "bun", "curly", "lob", "short", "afro", "buzz"]
        shares = np.array([0.2, 0.16, 0.12, 0.13, 0.12, 0.08, 0.12, 0.03, 0.04 if dark else 0.0, 0.01])
    else:
        styles = ["short", "swept", "undercut", "buzz", "bald", "curly", "afro", "bun", "lob"]
        shares = np.array([0.30, 0.22, 0.14, 0.13, 0.07, 0.06, 0.05 if dark else 0.01, 0.02, 0.03])
    return str(rng.choice(styles, p=shares / shares.sum()))


def _sample_face(rng: np.random.Generator, female: bool, skin: Colour, hair_colour: Colour) -> dict[str, Any]:
    tone = np.asarray(skin)
    iris = _IRIS[rng.choice(len(_IRIS), p=[0.8, 0.2, 0, 0] if tone.sum() < DARK else [0.5, 0.28, 0.1, 0.12])]
    lip = tone * np.array([0.86, 0.58, 0.58]) + (np.array([0.12, -0.02, 0.0]) if female and rng.random() < 0.6 else 0)
    if female and rng.random() < 0.25:
        lip = np.array(hsv(rng.uniform(0.93, 1.02), rng.uniform(0.5, 0.85), rng.uniform(0.45, 0.8)))
    return {
        "iris": iris,
        "lip": tuple(np.clip(lip, 0.05, 0.95)),
        "brow": tuple(np.asarray(hair_colour) * 0.7),
        "brow_width": float(rng.uniform(0.0024, 0.0042) + (0 if female else 0.0016)),
        "brow_tilt": float(rng.normal(0.12, 0.10)),
        "eye": float(rng.uniform(1.04, 1.26) if female else rng.uniform(0.96, 1.14)),
        "mouth": float(rng.uniform(0.020, 0.027)),
        "full": float(rng.uniform(0.75, 1.25)),
        "beard": float(0 if female else rng.choice([0, 0, 0.35, 0.9])),
        "blush": float(rng.uniform(0.0, 0.5) if female else rng.uniform(0, 0.2)),
        "lash": float(rng.uniform(0.4, 1) if female else 0.3),
        "smile": float(rng.uniform(-0.1, 0.6)),
    }
