"""A wearer in other people's garments: the garments' own pixels carried over the wearer's, and their textures where no photo shows them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from appearance_control.coefficients import blend
from nted_step.carrier import Places, carry
from nted_step.carrying import Carried
from nted_step.classes import CLASSES
from nted_step.generator import Textures
from nted_step.person import Appearance, Encoder, Person
from nted_step.pose import Pose

COVER_FROM, COVER_TO = 0.35, 0.65  # share of a pixel that is garment, over which it goes from the wearer's to the garment's
WHOLE = frozenset({"dress"})
UPPER, LOWER = frozenset({"top", "outer"}), frozenset({"skirt", "leggings", "pants"})
ON_TOP = frozenset({"face", "hair", "eyeglass", "headwear"})  # of the wearer's, which no garment covers unless it is one of them


@dataclass(frozen=True)
class Worn:
    """One garment, as it is put on.

    Attributes:
        person: whose it is.
        classes: names of the classes of the garment; empty for a mask made by hand, of which nobody said what it is.
        on_photo: H x W bool, which pixels of that person's photo are the garment; None where the mask was made in the pose.
        in_pose: H x W bool, the mask in the target pose where it was made there, else None.
        coefficients: 1 x 1 x K in 0..1 for every distribution: which textures are the garment's.
        strength: 0 leaves the wearer as is, 1 takes the garment whole.
    """

    person: Person
    classes: frozenset[str]
    on_photo: np.ndarray | None
    in_pose: np.ndarray | None
    coefficients: tuple[Tensor, ...]
    strength: float


class Dressed:
    """The wearer with garments on: takes a Person's place in ``pipeline.generate``."""

    def __init__(self, wearer: Person, worn: Sequence[Worn]):
        self.source, self._wearer, self._worn = wearer.source, wearer, tuple(worn)

    def textures(self, t: int) -> Textures:
        """The textures of step t; where two garments claim one texture, the later has it."""
        values = self._wearer.textures(t).values
        for worn in self._worn:
            values = blend(values, worn.person.textures(t).values, worn.coefficients, worn.strength)
        return Textures(values)

    def carried(self, pose: Pose, size: tuple[int, int] | None = None) -> Carried | None:
        own, places = self._wearer.carried(pose, size), self._wearer.places(pose)
        if own is None:
            return None
        for worn in self._worn:
            theirs = worn.person.carried(pose, size)
            if theirs is not None:
                own = put_on(own, theirs, *coverage(worn, pose, places, tuple(own.alpha.shape[-2:])), worn.strength)
        return own

    def on(self, encoder: Encoder) -> Appearance:
        wearer = self._wearer.on(encoder)
        moved = [
            replace(worn, person=worn.person.on(encoder), coefficients=tuple(share.to(wearer.source.device) for share in worn.coefficients))
            for worn in self._worn
        ]
        return Dressed(wearer, moved)


def put_on(own: Carried, theirs: Carried, covered: Tensor, bared: Tensor, strength: float) -> Carried:
    """The wearer's carried pixels with a garment over them.

    Args:
        own, theirs: the wearer's and the garment's person's pixels in the pose.
        covered: B x 1 x H x W in [0, 1], the garment. bared: where the wearer's own garment gave way to it and nothing took its place:
            there nothing is carried, and the renderer paints.
        strength: 0..1.
    """
    covered, bared = strength * covered, strength * bared
    person = own.person * (1 - bared) + theirs.person * bared
    return Carried(
        pixels=torch.lerp(own.pixels, theirs.pixels, covered),
        person=torch.lerp(person, theirs.person, covered),
        alpha=own.alpha * (1 - covered) * (1 - bared) + theirs.alpha * covered,
    )


def coverage(worn: Worn, pose: Pose, wearer: Places, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """(covered, bared) of :func:`put_on`, each 1 x 1 x H x W of ``size``.

    What the photo shows of the garment is where its mask is carried to. Where it shows nothing the classes that the carrier expects in
    the pose say where the garment would be.
    """
    if worn.in_pose is not None:
        covered = _resized(torch.from_numpy(worn.in_pose).float()[None, None], size).to(wearer.place.device)
        return covered, torch.zeros_like(covered)
    theirs = worn.person.places(pose)
    mask = torch.from_numpy(worn.on_photo).float()[None, None].to(theirs.place.device)
    shown = carry(mask, theirs.place, size)
    if worn.classes:
        seen, expected = _resized(theirs.seen.sigmoid(), size), class_share(theirs, worn.classes, size)
        shown = seen * shown + (1 - seen) * expected
    covered = _ramp(shown * _resized(theirs.person.sigmoid(), size))
    covered = covered * (1 - class_share(wearer, ON_TOP - worn.classes, size))
    return covered, _bared(worn.classes, wearer, covered, size)


def _bared(classes: frozenset[str], wearer: Places, covered: Tensor, size: tuple[int, int]) -> Tensor:
    """Where the wearer's own garments of the kind were, and the new one does not reach."""
    gone = torch.zeros_like(covered)
    below, above = _rows_inside(covered)
    if classes & (WHOLE | UPPER):
        gone = torch.maximum(gone, class_share(wearer, UPPER, size))
        gone = torch.maximum(gone, class_share(wearer, WHOLE, size) * above)
    if classes & (WHOLE | LOWER):
        gone = torch.maximum(gone, class_share(wearer, LOWER, size))
        gone = torch.maximum(gone, class_share(wearer, WHOLE, size) * below)
    others = classes - WHOLE - UPPER - LOWER
    if others:
        gone = torch.maximum(gone, class_share(wearer, others, size))
    return _ramp(gone) * (1 - covered)


def _rows_inside(covered: Tensor) -> tuple[Tensor, Tensor]:
    """(rows from the garment's first on, rows up to its last): 1 x 1 x H x 1 of 0 and 1."""
    rows = (covered > 0.5).any(dim=3, keepdim=True).float()
    return rows.cummax(dim=2).values, rows.flip(2).cummax(dim=2).values.flip(2)


def class_share(places: Places, names: Collection[str], size: tuple[int, int]) -> Tensor:
    """Probability of some classes in the target pose: 1 x 1 x H x W."""
    labels = [CLASSES.index(name) + 1 for name in sorted(names)]
    return _resized(places.classes.softmax(dim=1)[:, labels].sum(dim=1, keepdim=True), size)


def _ramp(share: Tensor) -> Tensor:
    return ((share - COVER_FROM) / (COVER_TO - COVER_FROM)).clamp(0, 1)


def _resized(plane: Tensor, size: tuple[int, int]) -> Tensor:
    return plane if tuple(plane.shape[-2:]) == tuple(size) else F.interpolate(plane, size=size, mode="bilinear", align_corners=False)
