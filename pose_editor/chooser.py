"""A dialog that asks which of the people in a photo is meant."""

from __future__ import annotations

import time
from typing import Any, Protocol

import numpy as np

from nted_step.pose import Pose
from pose_editor.widget import Widget

MARGIN = 0.06  # of a person's height, around their joints


class People(Protocol):
    """A photo and the poses in it; see :class:`pose_editor.studio.session.PhotoPeople`."""

    picture: str
    box: tuple[int, int, int, int]
    people: tuple[Pose, ...]


class PersonChooser(Widget):
    """Opens when it is given a photo. The value is ``{"person": k}``, the index of the box that was pressed.

    A changing number ``n`` beside it makes the dialog open again.

    Event: ``choose`` when somebody was chosen.

    Args:
        photo: URL of the picture.
        boxes: (left, top, right, bottom) of every person, in fractions of the picture.
    """

    def __init__(
        self, value: dict[str, Any] | None = None, *, photo: str | None = None, boxes: list[list[float]] | None = None, **arguments: Any
    ) -> None:
        super().__init__("chooser", ("chooser.js",), value=value or {"person": 0}, photo=photo, boxes=boxes or [], **arguments)

    @classmethod
    def asking(cls, given: People) -> PersonChooser:
        """The update that asks about a photo."""
        return cls({"person": 0, "n": time.time()}, photo=given.picture, boxes=boxes_of(given))

    def preprocess(self, payload: Any) -> int:
        """The index, checked."""
        return self.checked(_index, payload)

    def api_info(self) -> dict[str, Any]:
        return {"type": "object", "properties": {"person": {"type": "integer", "minimum": 0}}}

    def example_payload(self) -> dict[str, Any]:
        return {"person": 0}


def boxes_of(given: People) -> list[list[float]]:
    """(left, top, right, bottom) of every person in a photo, in fractions of it."""
    left, top, right, bottom = given.box
    boxes = []
    for pose in given.people:
        seen = pose.xy[pose.visible].astype(float)
        low, high = seen.min(0), seen.max(0)
        room = MARGIN * (high - low).max()
        room = room * np.array((1, 2, 1, 1.5))  # more above and below, for hair and shoes
        edges = np.concatenate([low, high]) + room * (-1, -1, 1, 1)
        shares = (edges - (left, top, left, top)) / (right - left, bottom - top, right - left, bottom - top)
        boxes.append([round(float(share), 4) for share in shares.clip(0, 1)])
    return boxes


def _index(payload: Any) -> int:
    person = payload.get("person") if isinstance(payload, dict) else None
    if type(person) is not int or not 0 <= person < 100:
        raise ValueError("a person is chosen by a number")
    return person
