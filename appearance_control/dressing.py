"""A wearer in other people's garments: the garments' own pixels over the wearer's, and their textures where no photo shows them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from appearance_control.coefficients import mix_textures
from nted_step.carrier import Places, carry
from nted_step.carrying import Carried
from nted_step.classes import LABELS
from nted_step.generator import Textures
from nted_step.person import Appearance, Encoder, Person
from nted_step.pose import Pose

COVER_FROM, COVER_TO = 0.35, 0.65  # share of garment in a pixel; in between the pixel goes from the wearer's to the garment's
FULL_BODY = frozenset({"dress"})
UPPER, LOWER = frozenset({"top", "outer"}), frozenset({"skirt", "leggings", "pants"})
UNCOVERED = frozenset({"face", "hair", "eyeglass", "headwear"})  # of the wearer; no garment covers them unless it is one of them


@dataclass(frozen=True)
class GarmentLayer:
    """One garment as it is put on the wearer.

    Attributes:
        person: whose garment it is.
        classes: class names of the garment; empty if unknown, as for most masks drawn by hand.
        on_photo: H x W bool, which pixels of that person's photo are the garment; None if the mask was made in the pose.
        in_pose: H x W bool, the mask in the target pose if it was made there, else None.
        coefficients: 1 x 1 x K in 0..1 for every distribution: which textures are the garment's.
        strength: 0 leaves the wearer as is, 1 takes the garment completely.
    """

    person: Person
    classes: frozenset[str]
    on_photo: np.ndarray | None
    in_pose: np.ndarray | None
    coefficients: tuple[Tensor, ...] = ()
    strength: float = 1.0


class DressedPerson:
    """The wearer with garments on: an :class:`nted_step.person.Appearance`, for ``pipeline.generate``."""

    def __init__(self, wearer: Person, layers: Sequence[GarmentLayer]):
        """``layers``: in the order in which they are put on."""
        self.source, self._wearer, self._layers = wearer.source, wearer, tuple(layers)

    def over(self, worn: Appearance | None) -> DressedPerson:
        """The same garments over those that the wearer has on already; ``worn`` is the wearer as dressed before, or None."""
        return DressedPerson(self._wearer, [*worn._layers, *self._layers]) if isinstance(worn, DressedPerson) else self

    def textures(self, t: int) -> Textures:
        """The textures of step t; where two garments claim the same texture, the later one gets it."""
        values = self._wearer.textures(t).values
        for layer in self._layers:
            values = mix_textures(values, layer.person.textures(t).values, layer.coefficients, layer.strength)
        return Textures(values)

    def carried(self, pose: Pose, size: tuple[int, int] | None = None) -> Carried | None:
        own, places = self._wearer.carried(pose, size), self._wearer.places(pose)
        if own is None or places is None:
            return own
        canvas = (own.alpha.shape[-2], own.alpha.shape[-1])
        for layer in self._layers:
            theirs = layer.person.carried(pose, size)
            if theirs is not None:
                own = put_on(own, theirs, *coverage(layer, pose, places, canvas), layer.strength)
        return own

    def background(self, size: tuple[int, int] | None = None) -> Tensor | None:
        return self._wearer.background(size)

    def on(self, encoder: Encoder) -> Appearance:
        wearer = self._wearer.on(encoder)
        device = wearer.source.device
        layers = [
            replace(layer, person=layer.person.on(encoder), coefficients=tuple(share.to(device) for share in layer.coefficients))
            for layer in self._layers
        ]
        return DressedPerson(wearer, layers)


def put_on(own: Carried, theirs: Carried, covered: Tensor, bared: Tensor, strength: float) -> Carried:
    """The wearer's carried pixels with a garment over them.

    Args:
        own, theirs: the wearer's and the garment's person's pixels in the pose.
        covered: B x 1 x H x W in [0, 1], where the garment is.
        bared: the same shape, where the wearer's own garment was removed and nothing took its place: nothing is carried there, and
            the model renders those pixels.
        strength: 0..1.
    """
    covered, bared = strength * covered, strength * bared
    person = own.person * (1 - bared) + theirs.person * bared
    return Carried(
        pixels=torch.lerp(own.pixels, theirs.pixels, covered),
        person=torch.lerp(person, theirs.person, covered),
        alpha=own.alpha * (1 - covered) * (1 - bared) + theirs.alpha * covered,
    )


def coverage(layer: GarmentLayer, pose: Pose, wearer: Places, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(covered, bared) of :func:`put_on`, each 1 x 1 x H x W of ``size``.

    The visible part of the garment is where its mask is carried to. Where the photo shows nothing, the classes that the carrier expects
    in the pose say where the garment would be.
    """
    if layer.in_pose is not None:
        covered = _resized(torch.from_numpy(layer.in_pose).float()[None, None], size).to(wearer.place.device)
        return covered, torch.zeros_like(covered)
    theirs = layer.person.places(pose)
    if theirs is None or layer.on_photo is None:
        raise ValueError("a garment is carried from a mask on its photo, in a known pose")
    mask = torch.from_numpy(layer.on_photo).float()[None, None].to(theirs.place.device)
    shown = carry(mask, theirs.place, size)
    if layer.classes:
        seen, expected = _resized(theirs.seen.sigmoid(), size), class_share(theirs, layer.classes, size)
        shown = seen * shown + (1 - seen) * expected
    covered = _ramp(shown * _resized(theirs.person.sigmoid(), size))
    covered = covered * (1 - class_share(wearer, UNCOVERED - layer.classes, size))
    return covered, _bared(layer.classes, wearer, covered, size)


def _bared(classes: frozenset[str], wearer: Places, covered: Tensor, size: tuple[int, int]) -> Tensor:
    """Where the wearer's own garments of the same kind were and the new one does not reach."""
    gone = torch.zeros_like(covered)
    below, above = _rows_inside(covered)
    if classes & (FULL_BODY | UPPER):
        gone = torch.maximum(gone, class_share(wearer, UPPER, size))
        gone = torch.maximum(gone, class_share(wearer, FULL_BODY, size) * above)
    if classes & (FULL_BODY | LOWER):
        gone = torch.maximum(gone, class_share(wearer, LOWER, size))
        gone = torch.maximum(gone, class_share(wearer, FULL_BODY, size) * below)
    others = classes - FULL_BODY - UPPER - LOWER
    if others:
        gone = torch.maximum(gone, class_share(wearer, others, size))
    return _ramp(gone) * (1 - covered)


def _rows_inside(covered: Tensor) -> tuple[Tensor, Tensor]:
    """(rows from the garment's first row down, rows up to its last row): 1 x 1 x H x 1 of 0 and 1."""
    rows = (covered > 0.5).any(dim=3, keepdim=True).float()
    return rows.cummax(dim=2).values, rows.flip(2).cummax(dim=2).values.flip(2)


def class_share(places: Places, names: Collection[str], size: tuple[int, int]) -> Tensor:
    """Probability of some classes in the target pose: 1 x 1 x H x W."""
    labels = [LABELS[name] for name in sorted(names)]
    return _resized(places.classes.softmax(dim=1)[:, labels].sum(dim=1, keepdim=True), size)


def _ramp(share: Tensor) -> Tensor:
    return ((share - COVER_FROM) / (COVER_TO - COVER_FROM)).clamp(0, 1)


def _resized(plane: Tensor, size: tuple[int, int]) -> Tensor:
    return plane if tuple(plane.shape[-2:]) == tuple(size) else F.interpolate(plane, size=size, mode="bilinear", align_corners=False)
