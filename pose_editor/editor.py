"""The pose editor as a Gradio component."""

from __future__ import annotations

from typing import Any

from nted_step.pose import BASE_SIZE, JOINTS, LIMB_COLOURS, LIMBS, Pose
from pose_editor import formats, presets, server_functions
from pose_editor.widget import Widget

FIGURE = {
    "joints": JOINTS,
    "limbs": LIMBS,
    "colours": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in LIMB_COLOURS],
    "parents": presets.PARENTS,
    "standing": presets.STANDING_UNIT,
    "presets": server_functions.thumbnails(),
}


class PoseEditor(Widget):
    """18 draggable joints over a photo.

    The value is ``{"joints": [[x, y, visible], ... 18], "edit": n, "person": name}``: canvas pixels, OpenPose order, a counter that
    grows with every change, so that a listener can tell an old pose from a new one, and ``person`` below. A
    :class:`nted_step.pose.Pose` can be given wherever a value can.

    Events: ``drag`` while a joint moves (give its listener ``trigger_mode="always_last"``), ``release`` when a change is
    finished, and Gradio's ``change`` for both.

    Args:
        value: the pose to show.
        photo: URL or ``data:`` URL of the picture behind the joints, drawn over the whole canvas.
        person: name of whoever is in the photo. Undo returns to an earlier person, too, see ``static/editor/history.js``.
        rest: the pose that Reset returns to; the value it starts with by default. (Gradio sends an argument of an
            update as it is, so a listener that returns ``PoseEditor(rest=...)`` gives ``formats.to_value(pose)``.)
        taken: ``{"people": [joints, ...], "n"}`` or ``{"error": line, "n"}``: who was found in a photo whose pose is to be taken.
        canvas: (H, W) in pixels.
    """

    def __init__(
        self,
        value: Pose | dict[str, Any] | None = None,
        *,
        photo: str | None = None,
        person: str | None = None,
        rest: Pose | dict[str, Any] | None = None,
        taken: dict[str, Any] | None = None,
        canvas: tuple[int, int] = BASE_SIZE,
        **arguments: Any,
    ) -> None:
        value = _to_editor_value(presets.standing(canvas) if value is None else value)
        super().__init__(
            "editor",
            ("geometry.js", "editor.js", "history.js", "pointer.js", "loupe.js", "keys.js", "panels.js", "taking.js"),
            ("stage.css", "dialog.css"),
            value=value,
            photo=photo,
            person=person,
            rest=value if rest is None else _to_editor_value(rest),
            taken=taken,
            canvas=list(canvas),
            figure=FIGURE,
            server_functions=server_functions.for_canvas(canvas),
            **arguments,
        )

    def preprocess(self, payload: Any) -> dict[str, Any]:
        """The editor's value, checked; anything but 18 finite joints is refused with one line."""
        return self.checked(formats.check_value, payload)

    def postprocess(self, value: Pose | dict[str, Any] | None) -> dict[str, Any] | None:
        """A pose or an editor value, as the page wants it."""
        return None if value is None else _to_editor_value(value)

    def api_info(self) -> dict[str, Any]:
        joint = {"type": "array", "items": {"type": "number"}, "description": "x, y in canvas pixels, visible 0 or 1"}
        return {
            "type": "object",
            "properties": {
                "joints": {"type": "array", "items": joint, "minItems": 18, "maxItems": 18},
                "edit": {"type": "integer"},
            },
            "required": ["joints"],
            "description": f"18 joints in OpenPose order: {', '.join(JOINTS)}",
        }

    def example_payload(self) -> dict[str, Any]:
        return formats.to_value(presets.standing(BASE_SIZE))

    def example_value(self) -> dict[str, Any]:
        return self.example_payload()


def _to_editor_value(value: Pose | dict[str, Any]) -> dict[str, Any]:
    """The editor value of a pose, or the checked editor value itself. Raises PoseError."""
    if isinstance(value, Pose):
        return formats.to_value(value)
    return formats.check_value(value)
