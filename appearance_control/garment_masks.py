"""Where a garment is: on its photo and in the target pose, and what it replaces on the wearer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from appearance_control.classes import classes_of
from appearance_control.dressing import LOWER, GarmentLayer, coverage
from appearance_control.garment import Garment, SwapError
from appearance_control.masks import MOST_SHARE, MaskError, check_mask
from appearance_control.posed_people import PersonParses, PosedPeople
from nted_step.person import Person

if TYPE_CHECKING:
    from appearance_control.parser import Parse

LEAST_AGREEMENT = 0.6  # overlap over union of a mask drawn by hand and what the parser found, to count as the same garment


class GarmentMasks:
    """The masks of one garment in one swap. Raises SwapError and MaskError.

    Attributes:
        layer: where the garment lies and what it is, still without coefficients.
        garment: H x W bool, the garment on its person's rendering in the target pose.
        wearer: H x W bool, what it replaces on the wearer's rendering.
        notes: what the user should know, one line each.
    """

    def __init__(self, garment: Garment, wearer: Person, people: PosedPeople, parses: PersonParses):
        self._garment, self._wearer, self._people, self._parses = garment, wearer, people, parses
        self.notes: list[str] = []
        on_photo = self._find_on_photo()
        in_pose = garment.mask if on_photo is None else None
        self.layer = GarmentLayer(garment.person, self._find_classes(on_photo), on_photo, in_pose)
        self.garment = cast("np.ndarray", in_pose) if on_photo is None else self._find_in_pose(on_photo)
        self.wearer = self._find_on_wearer()

    def _find_on_photo(self) -> np.ndarray | None:
        """H x W bool, the garment on its photo; None for a mask drawn in the pose."""
        garment = self._garment
        if garment.mask is not None:
            return garment.mask if garment.mask_on == "photo" else None
        photo = self._parses.photo(garment.person)
        _check_alone(photo, garment.name)
        mask, found = photo.mask(garment.parts), photo.class_names()
        if not mask.any():
            missing = " or ".join(sorted({name for part in garment.parts for name in classes_of(part)}))
            seen = f"only {', '.join(found)}" if found else "nothing at all"
            raise SwapError(f"{garment.name}: no {missing} is recognised in it, {seen}; choose another part, or paint the garment")
        if "lower" in garment.parts and not LOWER & set(found) and "dress" in found:
            self.notes.append(
                f"{garment.name} shows a dress and no other garment below the waist: only shoes and belt are taken; choose dress to take it"
            )
        return check_mask(mask, self._people.size, f"{garment.name}: the garment found")

    def _find_classes(self, on_photo: np.ndarray | None) -> frozenset[str]:
        """Classes of the garment: those of its parts that the photo shows; none if a mask drawn by hand covers something else."""
        garment = self._garment
        if self._parses.parser is None or on_photo is None:
            return frozenset()
        photo = self._parses.photo(garment.person)
        found = photo.mask(garment.parts)
        if garment.mask is not None and (found & on_photo).sum() < LEAST_AGREEMENT * (found | on_photo).sum():
            return frozenset()
        return frozenset(_visible_classes(garment.parts, photo))

    def _find_in_pose(self, on_photo: np.ndarray) -> np.ndarray:
        garment, people = self._garment, self._people
        name = f"the mask on {garment.name}" if garment.mask is not None else garment.name
        places = garment.person.places(people.pose)
        if places is not None:
            covered, _ = coverage(self.layer, people.pose, places, people.size)
            return check_mask((covered[0, 0] > 0.5).cpu().numpy(), people.size, name)
        if garment.mask is None:
            parts = _visible_classes(garment.parts, self._parses.photo(garment.person))
            try:
                return check_mask(self._parses.rendering(garment.person).mask(parts), people.size)
            except MaskError:
                self.notes.append(f"{garment.name}: not recognised in this pose, so its place is carried over from the photo")
        return check_mask(people.transfer_mask(on_photo, garment.person), people.size, name)

    def _find_on_wearer(self) -> np.ndarray:
        garment = self._garment
        if garment.wearer_mask is not None:
            return garment.wearer_mask
        if self._parses.parser is None or garment.mask is not None:
            return self.garment  # the same place, as both are in the same pose
        photo = self._parses.photo(self._wearer)
        _check_alone(photo, "the wearer's photo")
        mask = self._parses.rendering(self._wearer).mask(_visible_classes(garment.parts, photo) or garment.parts)
        if mask.any() and mask.mean() <= MOST_SHARE:
            return mask
        if self._wearer.places(self._people.pose) is None:  # otherwise it goes over whatever the wearer has on
            self.notes.append(f"nothing of the kind is recognised on the wearer, so {garment.name} goes over what they have on")
        return self.garment


def _check_alone(photo: Parse, name: str) -> None:
    if (people := photo.people()) > 1:
        raise SwapError(f"{name}: {people} people found; crop it to one")


def _visible_classes(parts: Sequence[str], photo: Parse) -> tuple[str, ...]:
    """The classes of some parts that a photo shows. A soft rendering of a top over trousers may look like a dress that is not there."""
    return tuple(sorted({name for part in parts for name in classes_of(part)} & set(photo.class_names())))
