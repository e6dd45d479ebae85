"""A short tour for who is here for the first time."""

from __future__ import annotations

from typing import Any

from pose_editor.widget import Widget


class Tour(Widget):
    """Shows itself once, in the place of the tagline, and covers nothing. It has no value and asks nothing of Python."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__("tour", ("tour.js",), **arguments)
