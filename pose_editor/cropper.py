"""A dialog to choose the part of a photo that the model sees."""

from __future__ import annotations

from typing import Any

from nted_step.image import MIN_SHARE, check_fit
from nted_step.pose import BASE_SIZE
from nted_step.pose_formats import is_number
from pose_editor.widget import Widget


class Cropper(Widget):
    """Opens when it is given a photo. The value is ``{"window": [left, top, share]}``, in fractions of the picture.

    The picture is the whole photo on white in the shape of the canvas, so one share serves width and height.

    A changing number ``n`` beside the window makes the dialog open again.

    Event: ``crop`` when a window was chosen.

    Args:
        photo: URL of the picture.
        canvas: (H, W) of the model.
    """

    def __init__(
        self, value: dict[str, Any] | None = None, *, photo: str | None = None, canvas: tuple[int, int] = BASE_SIZE, **arguments: Any
    ) -> None:
        value = value or {"window": [0, 0, 1]}
        super().__init__(
            "cropper", ("cropper.js",), ("dialog.css",), value=value, photo=photo, canvas=list(canvas), least=MIN_SHARE, **arguments
        )

    def preprocess(self, payload: Any) -> tuple[float, float, float]:
        """The window, checked."""
        return self.checked(_window, payload)

    def api_info(self) -> dict[str, Any]:
        return {"type": "object", "properties": {"window": {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3}}}

    def example_payload(self) -> dict[str, Any]:
        return {"window": [0, 0, 1]}


def _window(payload: Any) -> tuple[float, float, float]:
    window = payload.get("window") if isinstance(payload, dict) else None
    if not isinstance(window, list) or len(window) != 3 or not all(is_number(number) for number in window):
        raise ValueError("a window is three numbers: left, top and share")
    return check_fit(tuple(float(number) for number in window))
