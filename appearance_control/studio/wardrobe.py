"""The garments as a component: rows to choose a person, a part and a strength in, and a dialog to paint a garment's mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from appearance_control.classes import PARTS
from appearance_control.studio.mask_images import read_mask
from nted_step.pose import BASE_SIZE
from nted_step.pose_formats import is_number
from pose_editor.widget import Widget

MOST = 3  # garments at once
COMMON = ("upper", "lower", "dress", "shoes", "hair", "headwear")  # offered first
OTHERS = tuple(part for part in PARTS if part not in COMMON)


@dataclass(frozen=True)
class Wanted:
    """One garment that a visitor asks for.

    Attributes:
        person: name of whoever wears it; never empty.
        part: one of ``PARTS``.
        strength: 0..1.
        mask: H x W bool painted on that person's photo, or None.
    """

    person: str
    part: str
    strength: float
    mask: np.ndarray | None = None

    def alike(self, other: Wanted) -> bool:
        """Whether it is the same garment, as strong or not."""
        masks = [mask for mask in (self.mask, other.mask) if mask is not None]
        same_mask = not masks or (len(masks) == 2 and np.array_equal(*masks))
        return self.person == other.person and self.part == other.part and same_mask


class Wardrobe(Widget):
    """Value ``{"garments": [{"person", "part", "strength", "mask"}, ...], "into": row}``: up to three garments, ``mask`` the URL of a PNG
    painted on the photo or "". ``into`` is the row that a photo given next is for. A change makes the pose editor send its pose again.

    Args:
        people: dicts of ``name``, ``title``, ``picture`` (a URL).
        found: dicts of ``person``, ``part`` and ``mask``, a URL: what the parser takes for that garment in the photo.
        put: ``{"into", "person"}``, a person to put into a row.
        later: names that people may get later.
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
        **arguments: Any,
    ) -> None:
        self.names = {*(person["name"] for person in people or []), *later}
        self.size = tuple(canvas)
        super().__init__(
            "wardrobe", ("wardrobe.js", "painter.js"), value=value or {"garments": [], "into": 0}, people=people or [], found=found or [],
            put=put, canvas=list(canvas), common=COMMON, others=OTHERS, most=MOST, **arguments,
        )  # fmt: skip

    def preprocess(self, payload: Any) -> tuple[list[Wanted], int]:
        """The garments for which somebody was chosen, and ``into``; anything else is refused with one line."""
        return self.checked(self._check, payload)

    def _check(self, payload: Any) -> tuple[list[Wanted], int]:
        rows = payload.get("garments") if isinstance(payload, dict) else None
        if not isinstance(rows, list) or len(rows) > MOST or payload.get("into", 0) not in range(MOST):
            raise ValueError(f"a wardrobe holds up to {MOST} garments")
        if not all(isinstance(row, dict) for row in rows):
            raise ValueError("a garment is a person, a part, a strength and a mask")
        return [self._wanted(row) for row in rows if row.get("person")], int(payload.get("into", 0))

    def _wanted(self, row: Any) -> Wanted:
        person, part, strength, mask = (row.get(key) for key in ("person", "part", "strength", "mask"))
        if not isinstance(person, str) or person not in self.names:
            raise ValueError("no such person is on the page")
        if part not in PARTS:
            raise ValueError(f"the part must be one of {', '.join(PARTS)}")
        if not is_number(strength) or not 0 <= strength <= 1:
            raise ValueError("the strength of a garment is 0 to 1")
        return Wanted(person, part, float(strength), read_mask(mask, self.size) if mask else None)

    def api_info(self) -> dict[str, Any]:
        return {"type": "object", "properties": {"garments": {"type": "array", "items": {"type": "object"}, "maxItems": MOST}}}

    def example_payload(self) -> dict[str, Any]:
        return {"garments": [], "into": 0}
