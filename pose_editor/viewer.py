"""The step viewer: every step of a run, on a slider, without asking the server."""

from __future__ import annotations

from typing import Any

from pose_editor.component import Widget


class StepViewer(Widget):
    """Shows a run of the sampler step by step.

    The value is ``{"edit": n, "kind": "steps", "frames": [url, ...]}`` with one picture per step from step 0 on (a list
    that grows while the sampler runs), or ``{"edit": n, "kind": "preview", "step": k, "frames": [url]}`` for one early
    step. Of two values the one with the larger ``edit`` wins, whatever order they arrive in.

    Args:
        sizes: (h, w) of every step; the slider has one position for each.
    """

    def __init__(self, sizes: list[list[int]], value: dict[str, Any] | None = None, **arguments: Any) -> None:
        super().__init__("viewer", ("viewer.js",), value=value, sizes=[list(size) for size in sizes], **arguments)

    def api_info(self) -> dict[str, Any]:
        frames = {"type": "array", "items": {"type": "string"}, "description": "data URLs, step 0 first"}
        return {"type": "object", "properties": {"edit": {"type": "integer"}, "kind": {"type": "string"}, "frames": frames}}

    def example_payload(self) -> dict[str, Any]:
        return {"edit": 0, "kind": "steps", "frames": []}
