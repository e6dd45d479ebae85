"""What a swap takes from one person, and the error for a swap that cannot be made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from appearance_control.classes import labels_of
from appearance_control.masks import check_mask
from nted_step.person import Person


class SwapError(ValueError):
    """A swap that cannot be made; the message is one line that says what was found. The wearer is unchanged."""


@dataclass(frozen=True)
class Garment:
    """What is taken from one person.

    Attributes:
        person: from ``pipeline.encode`` of a photo.
        parts: names from ``classes.SWAP_PARTS``.
        strength: 0 leaves the wearer as is, 1 takes the garment completely.
        mask: H x W, drawn by hand instead of found by the parser: bool, 0/255 uint8, or 0..1.
        mask_on: ``"pose"`` if the mask is drawn on this person's rendering in the target pose (``GarmentPlan.rendering``),
            ``"photo"`` if it is drawn on the photo.
        wearer_mask: H x W, drawn by hand: what the garment replaces, on the wearer's rendering in the target pose.
        name: how messages refer to it.
    """

    person: Person
    parts: tuple[str, ...] = ("upper",)
    strength: float = 1.0
    mask: np.ndarray | None = None
    mask_on: str = "pose"
    wearer_mask: np.ndarray | None = None
    name: str = "the garment's photo"


def check_garments(garments: Sequence[Garment], size: tuple[int, int]) -> list[Garment]:
    """The garments with masks as H x W bool. Raises SwapError, PartError, or MaskError for a mask unusable on a canvas of ``size``."""
    if not garments:
        raise SwapError("no garment given")
    return [_check_garment(garment, size) for garment in garments]


def _check_garment(garment: Garment, size: tuple[int, int]) -> Garment:
    labels_of(garment.parts)
    if not 0 <= garment.strength <= 1:
        raise SwapError(f"{garment.name}: the strength is 0..1, not {garment.strength}")
    if garment.mask_on not in ("pose", "photo"):
        raise SwapError(f"a mask is on the pose or on the photo, not on {garment.mask_on!r}")
    names = {"mask": f"the mask on {garment.name}", "wearer_mask": "the mask on the wearer"}
    given = {key: getattr(garment, key) for key in names}
    masks: dict[str, Any] = {key: check_mask(mask, size, names[key]) for key, mask in given.items() if mask is not None}
    return replace(garment, **masks)
