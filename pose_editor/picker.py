"""A row of pictures to choose one from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pose_editor.widget import Widget


class PhotoPicker(Widget):
    """A radio group of pictures; the value is the name of the chosen one, or None.

    A photo that is dropped on the page or pasted while the picker is on screen goes to the upload button beside it, in the same element of
    class ``photos``, as if it had been chosen there.

    Events: ``select`` when a person chooses; ``too_large`` when a photo file of more than ``most`` bytes is given to an upload button
    of the same part of the page, with its ``name`` and ``size`` in the event's data; ``forget`` when a visitor removes one of their own
    photos, whose names begin with "@", with its ``name``.

    Args:
        choices: dicts of ``name``, ``title`` and ``picture`` (a URL); of a visitor's own photo also ``own``, whatever the browser is to
            remember of it beside the name.
        most: bytes that a photo file may have.
        later: names that choices may get later.
        invitation: what the page says while a file is dragged over it.
    """

    def __init__(
        self,
        choices: list[dict[str, Any]] | None = None,
        value: str | None = None,
        most: int = 0,
        later: Sequence[str] = (),
        invitation: str = "Drop the photo anywhere.",
        **arguments: Any,
    ) -> None:
        choices = choices or []
        self.names = [*(choice["name"] for choice in choices), *later]
        super().__init__("picker", ("picker.js", "giving.js"), value=value, choices=choices, most=most, invitation=invitation, **arguments)

    def preprocess(self, payload: Any) -> str | None:
        """The chosen name. A name that was not offered is refused."""
        return self.checked(self._known, payload)

    def _known(self, payload: Any) -> str | None:
        if payload not in (None, "", *self.names):
            raise ValueError(f"no such example; choose one of {', '.join(self.names)}")
        return payload or None

    def api_info(self) -> dict[str, Any]:
        return {"type": "string", "enum": self.names}

    def example_payload(self) -> str | None:
        return self.names[0] if self.names else None
