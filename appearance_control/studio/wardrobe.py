"""The component for choosing garments: rows of person, part and strength, and a dialog to paint a garment's mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from appearance_control.classes import SWAP_PARTS
from appearance_control.studio.mask_images import read_mask
from nted_step.pose import BASE_SIZE
from nted_step.pose_formats import is_number
from pose_editor.widget import Widget

MAX_GARMENTS = 3  # at once
COMMON_PARTS = ("upper", "lower", "dress", "shoes", "hair", "headwear")  # listed first
OTHER_PARTS = tuple(part for part in SWAP_PARTS if part not in COMMON_PARTS)


@dataclass(frozen=True)
class GarmentChoice:
    """One garment that a visitor chose.

    Attributes:
        person: name of whoever wears it in the photo; never empty.
        part: one of ``SWAP_PARTS``.
        strength: 0..1.
        mask: H x W bool painted on that person's photo, or None.
    """

    person: str
    part: str
    strength: float
    mask: np.ndarray | None = None

    def same_garment(self, other: GarmentChoice) -> bool:
        """Whether it is the same garment, at any strength."""
        masks = [mask for mask in (self.mask, other.mask) if mask is not None]
        same_mask = not masks or (len(masks) == 2 and np.array_equal(*masks))
        return self.person == other.person and self.part == other.part and same_mask


class WardrobeValue(NamedTuple):
    """The garments for which a person was chosen, and the row that the next photo is for."""

    garments: list[GarmentChoice]
    row: int


class Wardrobe(Widget):
    """Value ``{"garments": [{"person", "part", "strength", "mask"}, ...], "into": row}``: up to three garments. ``mask`` is the URL of a
    PNG painted on the photo, or "". ``into`` is the row that the next photo is for. A change makes the pose editor send its pose again.

    Args:
        people: dicts of ``name``, ``title``, ``picture`` (a URL).
        found: dicts of ``person``, ``part`` and ``mask``, a URL, or "": what the parser recognised as that garment in the photo.
        recognises: whether there is a parser, whose answer a garment waits for before it can be painted.
        put: ``{"into", "person"}``, a person to put into a row.
        later: names that people added later may have.
    """

    static = Path(__file__).parents[1] / "static"

    def __init__(
        self,
        people: list[dict[str, str]] | None = None,
        value: dict[str, Any] | None = None,
        *,
        found: list[dict[str, str]] | None = None,
        put: dict[str, Any] | None = None,
        canvas: tuple[int, int] = BASE_SIZE,
        later: Sequence[str] = (),
        recognises: bool = False,
        **arguments: Any,
    ) -> None:
        self.names = {*(person["name"] for person in people or []), *later}
        self.size = tuple(canvas)
        super().__init__(
            "wardrobe", ("wardrobe.js", "painter.js"), ("dialog.css",),
            value=value or {"garments": [], "into": 0}, people=people or [], found=found or [],
            put=put, canvas=list(canvas), recognises=recognises, common=COMMON_PARTS, others=OTHER_PARTS, most=MAX_GARMENTS, **arguments,
        )  # fmt: skip

    def preprocess(self, payload: Any) -> WardrobeValue:
        """The value that the page sent; anything malformed is refused with one line."""
        return self.checked(self._check, payload)

    def _check(self, payload: Any) -> WardrobeValue:
        rows = payload.get("garments") if isinstance(payload, dict) else None
        if not isinstance(rows, list) or len(rows) > MAX_GARMENTS or payload.get("into", 0) not in range(MAX_GARMENTS):
            raise ValueError(f"a wardrobe holds up to {MAX_GARMENTS} garments")
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("a garment is a person, a part, a strength and a mask")
        return WardrobeValue([self._choice(row) for row in rows if row.get("person")], int(payload.get("into", 0)))

    def _choice(self, row: Any) -> GarmentChoice:
        person, part, strength, mask = (row.get(key) for key in ("person", "part", "strength", "mask"))
        if not isinstance(person, str) or person not in self.names:
            raise ValueError("no such person is on the page")
        if part not in SWAP_PARTS:
            raise ValueError(f"the part must be one of {', '.join(SWAP_PARTS)}")
        if not is_number(strength) or not 0 <= strength <= 1:
            raise ValueError("the strength of a garment is 0 to 1")
        return GarmentChoice(person, part, float(strength), read_mask(mask, self.size) if mask else None)

    def api_info(self) -> dict[str, Any]:
        return {"type": "object", "properties": {"garments": {"type": "array", "items": {"type": "object"}, "maxItems": MAX_GARMENTS}}}

    def example_payload(self) -> dict[str, Any]:
        return {"garments": [], "into": 0}
