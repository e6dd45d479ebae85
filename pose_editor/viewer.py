"""The step viewer: every step of a run on a slider, without further requests to the server."""

from __future__ import annotations

from typing import Any

from pose_editor.widget import Widget


class StepViewer(Widget):
    """Shows a run of the sampler step by step.

    The value is ``{"edit": n, "kind": "steps", "frames": [url, ...]}`` with one picture per step from step 0 on (a list that grows
    while the sampler runs), or ``{"edit": n, "kind": "preview", "step": k, "frames": [url]}`` for one early step. Of two values the
    one with the larger ``edit`` wins, whatever order they arrive in. ``{"edit": n, "kind": "refused", "says": line}`` leaves the
    result as it is, and the pose editor shows the line.

    Events: ``stop`` when a person wants a run to end; ``trace`` when a pixel of the result is clicked to see where it comes
    from, with ``x``, ``y``, ``step`` and ``level`` in the event's data, answered by ``StepViewer(traced={"glow", "labels",
    "everywhere", "place", "edit"})``: whether it comes from all of the photo evenly, and (x, y) where it is carried from, or None; ``zoom``
    when the lens is on the result, answered by ``StepViewer(zoomed={"edit", "url"})``, the newest result with more pixels.

    Args:
        sizes: (h, w) of every step; the slider has one position for each.
        source: URL of the picture that the result can be compared with, small beside it; ``against``: what it is called in a sentence,
            and ``inset``: on the small picture.
        front: "result", or "photo" to begin with the source in front and the result small beside it.
        levels: (h, w) of the maps that can be traced, coarsest first.
    """

    def __init__(
        self,
        sizes: list[list[int]] | None = None,
        value: dict[str, Any] | None = None,
        source: str | None = None,
        levels: list[list[int]] | None = None,
        traced: dict[str, Any] | None = None,
        against: str = "the photo",
        inset: str = "Photo",
        front: str = "result",
        zoomed: dict[str, Any] | None = None,
        **arguments: Any,
    ) -> None:
        sizes = [list(size) for size in sizes or [[1, 1]]]
        scripts = ("viewer.js", "viewer_tools.js")
        super().__init__(
            "viewer", scripts, ("stage.css",),
            value=value, sizes=sizes, source=source, against=against, inset=inset, front=front, levels=levels or [],
            traced=traced, zoomed=zoomed, **arguments,
        )  # fmt: skip

    def api_info(self) -> dict[str, Any]:
        frames = {"type": "array", "items": {"type": "string"}, "description": "data URLs, step 0 first"}
        return {"type": "object", "properties": {"edit": {"type": "integer"}, "kind": {"type": "string"}, "frames": frames}}

    def example_payload(self) -> dict[str, Any]:
        return {"edit": 0, "kind": "steps", "frames": []}
