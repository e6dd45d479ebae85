"""From a person to one mesh: the body, the clothes cut from it or hung on it, hair, and accessories (numpy)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nted_step.classes import LABELS
from training.figures.body import HEAD
from training.figures.garments import Wardrobe, wear
from training.figures.hair import hair_mesh
from training.figures.materials import SEEDS, Detail, Material
from training.figures.person import FigurePerson
from training.figures.pieces import Piece, compact
from training.figures.shapes import SHAPES, SHOULDER_SHIFT
from training.figures.skeleton import ARM_AXIS, BONES, LEG_AXIS, PIVOTS

COARSE_STEP = 7  # every such vertex of the bare body counts when a pose is framed
HAT_EDGE = 1.690  # height above which hair is not seen under a hat, metres
UNDER_HAT = {"afro": "curly", "bun": "ponytail", "swept": "short", "undercut": "short"}
SEEN_UNDER_EDGE = 0.012  # metres that the skin reaches under a garment


@dataclass
class Figure:
    """A dressed person in the rest pose: one mesh of V vertices and F faces.

    Attributes:
        position: V x 3, metres.
        normal: V x 3.
        texture: V x 3, the point of the template, by which a surface is coloured, metres.
        weight: V x bones.
        cut: V, metres; shown where >= 0.
        face: F x 3, numbers of vertices.
        region: F, how the texture is wrapped.
        material: F, rows of ``materials``.
        label: F, classes.
        instance: F, instances of the class.
        bias: F, metres towards the viewer in the depth test.
        two_sided: F bool.
        materials: M x ROW_LENGTH.
        pivots: bones x 3, the joints of this body, metres.
        stretch: bones x 3 x 3, change of each bone's shape in the rest pose.
        coarse_weight: the weights of some vertices of the bare body, by which a pose is framed.
        coarse_position: their positions, metres.
    """

    position: np.ndarray
    normal: np.ndarray
    texture: np.ndarray
    weight: np.ndarray
    cut: np.ndarray
    face: np.ndarray
    region: np.ndarray
    material: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    bias: np.ndarray
    two_sided: np.ndarray
    materials: np.ndarray
    pivots: np.ndarray
    stretch: np.ndarray
    coarse_weight: np.ndarray
    coarse_position: np.ndarray


def assemble(person: FigurePerson) -> Figure:
    """The mesh of a dressed person."""
    wardrobe = Wardrobe(person)
    wear(wardrobe)
    _add_skin(wardrobe)
    _add_hair(wardrobe)
    pieces, body = wardrobe.pieces, wardrobe.body
    first = np.cumsum([0] + [len(piece.position) for piece in pieces])
    return Figure(
        position=_joined(pieces, "position").astype(np.float32),
        normal=_joined(pieces, "normal").astype(np.float32),
        texture=_joined(pieces, "texture").astype(np.float32),
        weight=_joined(pieces, "weight").astype(np.float32),
        cut=_joined(pieces, "cut").astype(np.float32),
        face=np.concatenate([piece.face + base for piece, base in zip(pieces, first[:-1], strict=True)]),
        region=_joined(pieces, "region"),
        material=_per_face(pieces, "material", np.int64),
        label=_per_face(pieces, "label", np.int64),
        instance=_per_face(pieces, "instance", np.int64),
        bias=_per_face(pieces, "bias", np.float32),
        two_sided=_per_face(pieces, "two_sided", bool),
        materials=np.array([material.row() for material in wardrobe.materials], np.float32),
        pivots=_pivots(person),
        stretch=_stretch(person),
        coarse_weight=np.ascontiguousarray(body.template.weight[::COARSE_STEP]),
        coarse_position=np.ascontiguousarray(body.position[::COARSE_STEP]),
    )


def _joined(pieces: list[Piece], name: str) -> np.ndarray:
    return np.concatenate([getattr(piece, name) for piece in pieces])


def _per_face(pieces: list[Piece], name: str, kind: type) -> np.ndarray:
    return np.concatenate([np.full(len(piece.face), getattr(piece, name), kind) for piece in pieces])


def _add_skin(wardrobe: Wardrobe) -> None:
    """The bare body, where no garment covers it, as the first piece."""
    person, body = wardrobe.person, wardrobe.body
    base = body.template
    material = Material("skin", person.skin, person.skin, person.hair_colour, phase=0, gloss=0.12, fold=0.1, seed=_texture_seed(person))
    skin = Piece(
        position=body.position,
        normal=body.normal,
        texture=base.position,
        weight=base.weight,
        face=base.face,
        region=base.region,
        cut=SEEN_UNDER_EDGE - wardrobe.cover,
        material=wardrobe.material(material),
        label=LABELS["skin"],
        instance=1,
    )
    wardrobe.pieces.insert(0, compact(skin))


def _add_hair(wardrobe: Wardrobe) -> None:
    person, hatted = wardrobe.person, "headwear" in wardrobe.outfit
    style = UNDER_HAT.get(person.hair, person.hair) if hatted else person.hair
    if style == "bald":
        return
    mesh = hair_mesh(style)
    position, cut = mesh.position, mesh.cut
    if hatted:
        cut = np.minimum(cut, HAT_EDGE - position[:, 1])
        position = np.where((position[:, 1] > 1.63)[:, None], position * [0.95, 1, 0.95], position).astype(np.float32)
    colour = np.asarray(person.hair_colour)
    material = Material(
        "hair",
        tuple(colour),
        tuple(np.clip(colour * 0.55, 0, 1)),
        tuple(np.clip(colour * 1.35 + 0.03, 0, 1)),
        scale=0.006,
        phase=0,
        gloss=0.25,
        fold=0.4,
        seed=_texture_seed(person),
        detail=Detail.LACES_OR_CURLS if style in ("afro", "curly", "buzz") else Detail.NONE,
    )
    hair = Piece(
        position=position,
        normal=mesh.normal,
        texture=position,
        weight=mesh.weight,
        face=mesh.face,
        region=np.full(len(mesh.face), HEAD),
        cut=cut,
        material=wardrobe.material(material),
        label=LABELS["hair"],
        instance=1,
        bias=0.001,
        two_sided=True,
    )
    wardrobe.pieces.append(compact(hair))


def _texture_seed(person: FigurePerson) -> int:
    return person.seed % SEEDS


def _pivots(person: FigurePerson) -> np.ndarray:
    """The joints of a body, bones x 3 metres: broad shoulders carry the arms further out."""
    pivots = PIVOTS.copy()
    shift = sum(amount * (SHAPES[name].shoulder - 1) * SHOULDER_SHIFT for name, amount in person.shape.items())
    for bone, name in enumerate(BONES):
        if name.endswith(("_arm", "_forearm", "_hand", "_fingers", "_carry")):
            pivots[bone, 0] += shift * (-1 if name.startswith("r_") else 1)
    return pivots


def _stretch(person: FigurePerson) -> np.ndarray:
    """The change of each bone's shape, bones x 3 x 3."""
    factor = person.stretch
    stretch = np.tile(np.eye(3), (len(BONES), 1, 1))
    for bone, name in enumerate(BONES):
        flip = np.array([-1 if name.startswith("r_") else 1, 1, 1])
        if name in ("abdomen", "chest", "pelvis"):
            stretch[bone] = np.diag([1, factor["torso"], 1])
        elif name.endswith(("_thigh", "_shin", "_hang")):
            stretch[bone] = _stretch_along(LEG_AXIS * flip, factor["leg"])
        elif name.endswith(("_arm", "_forearm")):
            stretch[bone] = _stretch_along(ARM_AXIS * flip, factor["arm"])
        elif name == "head":
            stretch[bone] = np.diag([factor["head"] * factor["face"], factor["head"], factor["head"]])
    return stretch


def _stretch_along(axis: np.ndarray, factor: float) -> np.ndarray:
    return np.eye(3) + (factor - 1) * np.outer(axis, axis)
