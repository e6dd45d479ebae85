"""What all garments are made with: the wearer's body, the pieces so far, and the ways in which cloth lies on or hangs from a body."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nted_step.classes import LABELS
from training.figures.body import HANGING, step, template
from training.figures.materials import Material
from training.figures.person import FigurePerson
from training.figures.pieces import Piece, compact, grid_faces, vertex_normals
from training.figures.skeleton import BONE, BONES

LOWEST, HIGHEST, SPAN = 0.70, 1.45, 0.75  # heights between which the torso is measured, metres
GIRTH_ROWS = 30  # at which it is
HIP_HEIGHT = 0.90
SKIRT_ROWS, SKIRT_COLUMNS = 24, 72
SKIRT_POWER = 2 / 2.3  # of a skirt's section: a little squarer than an ellipse


class Girth(NamedTuple):
    """The torso's measures at some heights, metres: half its width, and its depth in front of and behind the middle."""

    wide: np.ndarray
    front: np.ndarray
    back: np.ndarray


class Body:
    """The person's own body and the measures that garments are fitted to.

    Attributes:
        template: the body that all people share.
        position: V x 3, rest position of its vertices on this person, metres.
        normal: V x 3, of unit length.
    """

    def __init__(self, person: FigurePerson):
        self.template = template()
        self.position, self.normal = self.template.position.copy(), self.template.normal.copy()
        for name, amount in person.shape.items():
            self.position += np.float32(amount) * self.template.shape[name][0]
            self.normal += np.float32(amount) * self.template.shape[name][1]
        self.normal /= np.linalg.norm(self.normal, axis=1, keepdims=True)
        x, y, z = self.position.T
        torso = (self.template.arm < 0.2) & (y < HIGHEST) & (y > LOWEST)
        row = np.clip(((y[torso] - LOWEST) / SPAN * GIRTH_ROWS).astype(int), 0, GIRTH_ROWS - 1)
        self._heights = LOWEST + (np.arange(GIRTH_ROWS) + 0.5) / GIRTH_ROWS * SPAN
        self._girth = Girth(np.zeros(GIRTH_ROWS), np.full(GIRTH_ROWS, -1.0), np.full(GIRTH_ROWS, -1.0))
        np.maximum.at(self._girth.wide, row, np.abs(x[torso]))
        np.maximum.at(self._girth.front, row, z[torso])
        np.maximum.at(self._girth.back, row, -z[torso])

    def girth(self, y: np.ndarray) -> Girth:
        """The torso's measures at heights ``y``, metres."""
        return Girth(*(np.interp(y, self._heights, measure) for measure in self._girth))

    def chest_front(self, y: np.ndarray) -> np.ndarray:
        """Depth of the middle of the chest at heights ``y``, metres."""
        keep = np.abs(self.position[:, 0]) < 0.02
        keep &= (self.position[:, 2] > 0) & (self.position[:, 1] > 0.85) & (self.position[:, 1] < 1.5)
        order = np.argsort(self.position[keep, 1])
        return np.interp(y, self.position[keep, 1][order], self.position[keep, 2][order])


class Wardrobe:
    """Collects the pieces and materials of a person.

    Attributes:
        cover: V, how far inside some garment each vertex of the body lies, metres.
    """

    def __init__(self, person: FigurePerson):
        self.person, self.outfit, self.body = person, person.outfit, Body(person)
        self.pieces: list[Piece] = []
        self.materials: list[Material] = []
        self.cover = np.full(len(self.body.position), -1.0)

    @property
    def hanging_top(self) -> float | None:
        """The hem of a top that is not tucked in, metres; None without one."""
        top = self.outfit.get("top")
        return None if top is None or top.cut["tucked"] else top.cut["hem"]

    def material(self, material: Material) -> int:
        """Add a material; the number of its row."""
        self.materials.append(material)
        return len(self.materials) - 1

    def hide(self, cut: np.ndarray) -> None:
        """The skin is not seen where ``cut`` (V, metres) is positive."""
        self.cover = np.maximum(self.cover, cut)

    def hide_legs(self, hem: float) -> None:
        """The skin is not seen under a skirt that ends at ``hem``, metres."""
        height = self.body.template.position[:, 1]
        self.hide(np.where(self.body.template.arm > 0.05, -1, np.minimum(height - hem - 0.02, 0.97 - height)))


def cloth(
    body: Body,
    cut: np.ndarray,
    offset: np.ndarray,
    material: int,
    kind: str,
    *,
    instance: int = 1,
    sideways: np.ndarray | None = None,
    bias: float,
    two_sided: bool = False,
) -> Piece:
    """A garment cut from the body's own surface.

    Args:
        body: the wearer's.
        cut: V, how far inside the garment each vertex lies, metres.
        offset: V, how far it stands off the skin, metres.
        material: row of the figure's materials.
        kind: class of the garment.
        instance: tells several garments of the class apart.
        sideways: V x 3, a further displacement, metres.
        bias: metres towards the viewer in the depth test.
        two_sided: whether the inside is drawn.
    """
    base = body.template
    cut = np.where(base.part > 0, -1.0, cut)
    position = body.position + body.normal * offset[:, None].astype(np.float32)
    if sideways is not None:
        position = position + sideways.astype(np.float32)
    whole = Piece(
        position=position,
        normal=body.normal,
        texture=base.position,
        weight=base.weight,
        face=base.face,
        region=base.region,
        cut=cut,
        material=material,
        label=LABELS[kind],
        instance=instance,
        bias=bias,
        two_sided=two_sided,
    )
    piece = compact(whole)
    piece.normal = vertex_normals(piece.position, piece.face)
    return piece


def torso_offset(body: Body, ease: float, loose: float, flare: float = 0.0) -> np.ndarray:
    """How far a garment stands off the body, V metres.

    Args:
        body: the wearer's.
        ease: metres everywhere but on the shoulders and forearms, where it is less.
        loose: share of the drape below the chest, 0..1.
        flare: metres more towards the hem.
    """
    base = body.template
    y = base.position[:, 1]
    shoulder = step(y, 1.33, 1.39) * step(base.normal[:, 1], 0.1, 0.7)
    offset = ease * (1 - 0.55 * shoulder) * (1 - 0.35 * step(base.arm_along, 0.30, 0.50) * base.arm)
    return offset + base.drape * loose * (1 - base.arm) + flare * step(y, 1.15, 0.90) * (1 - base.arm)


def hanging(
    body: Body, cut: dict, top: float, material: int, kind: str, *, ease: float, opening: float = 0.0, bias: float = 0.008
) -> Piece:
    """A garment that hangs from the waist: a folded ring from ``top`` down to the hem.

    Args:
        body: the wearer's.
        cut: of the garment: ``hem`` and ``flare``, and optionally ``fold``, ``count`` and ``phase`` of the folds.
        top: height of its upper edge, metres.
        material: row of the figure's materials.
        kind: class of the garment.
        ease: metres that it stands off the body.
        opening: half the width of an open front at the waist, metres; 0 for a closed garment.
        bias: metres towards the viewer in the depth test.
    """
    y = top + (cut["hem"] - top) * np.linspace(0, 1, SKIRT_ROWS)
    wide, front, back = _skirt_girth(body, y, cut["flare"], ease)
    angle = np.arange(SKIRT_COLUMNS) / SKIRT_COLUMNS * 2 * np.pi
    sine, cosine = np.sin(angle), np.cos(angle)
    fall = np.clip((1.0 - y) / max(1.0 - cut["hem"], 0.1), 0, 1) ** 1.2
    count = cut.get("count", 9)
    wave = np.sin(count * angle + cut.get("phase", 0)) + 0.5 * np.sin((count * 0.5 // 1 + 3) * angle + 1.3)
    fold = 1 + cut.get("fold", 0.01) * fall[:, None] * wave[None] / 0.16
    across, forwards = (np.sign(value) * np.abs(value) ** SKIRT_POWER for value in (sine, cosine))
    depth = np.where(cosine[None] > 0, front[:, None], back[:, None])
    grid = np.stack([wide[:, None] * across * fold, np.broadcast_to(y[:, None], fold.shape), depth * forwards * fold], -1)
    position = grid.reshape(-1, 3).astype(np.float32)
    face = grid_faces(SKIRT_ROWS, SKIRT_COLUMNS)
    normal = vertex_normals(position, face)
    if (normal[:, 0] * position[:, 0]).sum() < 0:
        face, normal = face[:, ::-1], -normal
    shown = np.ones(len(position), np.float32)
    if opening:
        gap = np.abs(position[:, 0]) - opening - 0.08 * np.clip(1.0 - position[:, 1], 0, 1)
        shown = np.where(position[:, 2] > 0, gap, 1).astype(np.float32)
    return Piece(
        position=position,
        normal=normal,
        texture=position.copy(),
        weight=_skirt_weights(position),
        face=face,
        region=np.full(len(face), HANGING),
        cut=shown,
        material=material,
        label=LABELS[kind],
        instance=1,
        bias=bias,
        two_sided=True,
    )


def _skirt_girth(body: Body, y: np.ndarray, flare: float, ease: float) -> Girth:
    """The measures of a skirt at heights ``y``: those of the body down to the hips, then falling straight or flared."""
    girth = body.girth(np.maximum(y, 0.72))
    hips = Girth(*(float(measure) for measure in body.girth(np.array(HIP_HEIGHT))))
    below = np.clip(HIP_HEIGHT - y, 0, None)
    narrow = 1 - np.clip(-flare, 0, 1) * below
    wide = np.where(y < HIP_HEIGHT, hips.wide * narrow + flare * below * 0.42 + below * 0.055, np.maximum(girth.wide, 0))
    front = np.where(y < HIP_HEIGHT, hips.front * 0.98 + flare * below * 0.36, girth.front)
    back = np.where(y < HIP_HEIGHT, hips.back * 0.98 + flare * below * 0.36, girth.back)
    spread = np.clip(flare, 0, 1) * 0.10 * step(y, 1.04, 0.88)
    return Girth(*(_smoothed(measure) + ease + spread * 0.5 for measure in (wide, front, back)))


def _smoothed(values: np.ndarray) -> np.ndarray:
    """The moving mean of five."""
    return np.convolve(np.pad(values, 2, mode="edge"), np.ones(5) / 5, "valid")


def _skirt_weights(position: np.ndarray) -> np.ndarray:
    """Weights (n, bones) of cloth that hangs from the pelvis over both legs."""
    x, y, _ = position.T
    weight = np.zeros((len(position), len(BONES)), np.float32)
    thigh = step(y, 1.00, 0.78) * 0.97
    left = step(x, -0.11, 0.11)
    low = step(y, 0.60, 0.40)
    abdomen = step(y, 0.99, 1.09)
    weight[:, BONE["pelvis"]] = (1 - thigh) * (1 - abdomen)
    weight[:, BONE["abdomen"]] = (1 - thigh) * abdomen
    for side, share in (("l", left), ("r", 1 - left)):
        weight[:, BONE[f"{side}_thigh"]] = thigh * share * (1 - low)
        weight[:, BONE[f"{side}_hang"]] = thigh * share * low
    return weight
