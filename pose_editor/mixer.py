"""Style mixing: which person's textures each step takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nted_step.generator import Textures
from nted_step.pipeline import Person
from pose_editor.component import Widget

OWN = "@own"  # the visitor's own photo, as the owner of a step


class Mixture:
    """Stands where a Person stands, but asks another person at every step."""

    def __init__(self, person: Person, owners: Sequence[Person]) -> None:
        self.source = person.source  # the noisy start keeps the size and device of the person on the page
        self.owners = owners

    def textures(self, t: int) -> Textures:
        return self.owners[t].textures(t)


class Mixer(Widget):
    """A timeline to paint. Value ``{"owners": [name or "", ...]}``, one per step; "" is the person on the page.

    Args: ``choices``, dicts of ``name``, ``title`` and ``picture``; ``own``, the picture of the visitor's own photo, who can
    be painted with too, under the name ``OWN``.
    """

    def __init__(self, choices: list[dict[str, str]] | None = None, steps: int = 20, own: str | None = None, **arguments: Any) -> None:
        self.names = [choice["name"] for choice in choices or []]
        self.steps = steps
        value = arguments.pop("value", None) or {"owners": [""] * steps}
        super().__init__("mixer", ("mixer.js",), value=value, choices=choices or [], own=own, **arguments)

    def preprocess(self, payload: Any) -> list[str]:
        """The owner of every step, checked."""
        return self.checked(self._known, payload)

    def _known(self, payload: Any) -> list[str]:
        owners = payload.get("owners") if isinstance(payload, dict) else None
        if not isinstance(owners, list) or len(owners) != self.steps or not all(name in ("", OWN, *self.names) for name in owners):
            raise ValueError(f"a mix names one of the people for each of {self.steps} steps")
        return owners

    def api_info(self) -> dict[str, Any]:
        return {"type": "object", "properties": {"owners": {"type": "array", "items": {"type": "string"}}}}

    def example_payload(self) -> dict[str, Any]:
        return {"owners": [""] * self.steps}
