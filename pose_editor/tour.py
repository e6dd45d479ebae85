"""A short tour for first-time visitors."""

from __future__ import annotations

from typing import Any

from pose_editor.widget import Widget


class Tour(Widget):
    """Appears once, in the place of the tagline, and covers nothing. It has no value and no events."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__("tour", ("tour.js",), **arguments)
