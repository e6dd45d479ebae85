"""Functions that the editor's script calls: reading and writing pose files, and presets. They use no model and no files on disk.

Each function takes a JSON object and returns one; an error comes back as ``{"error": one line}``.
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from nted_step.image import encode_image
from nted_step.pose import Pose, PoseError, draw_figure
from nted_step.pose_formats import is_number
from pose_editor import formats, pose_transfer, presets

Answer = dict[str, Any]
MAX_CANVAS = 4096


def report_errors(function: Callable[[Any], Answer]) -> Callable[[Any], Answer]:
    """Turn errors into answers, because the editor's script asks."""

    @functools.wraps(function)
    def answer(request: Any) -> Answer:
        try:
            return function(request)
        except PoseError as error:
            text = str(error)
            return {"error": text[:1].upper() + text[1:]}
        except (KeyError, TypeError, AttributeError, ValueError):
            return {"error": "The editor sent an invalid request."}

    return answer


@report_errors
def read_pose(request: Any) -> Answer:
    """``{text, canvas}`` -> ``{people: [joints, ...], notes: [...]}``: a pose file of any kind that ``formats.read`` knows."""
    text, canvas = request["text"], _canvas(request["canvas"])
    if not isinstance(text, str):
        raise TypeError
    read = formats.read(text, canvas)
    return {"people": [_joints(pose) for pose in read.people], "notes": list(read.notes)}


@report_errors
def write_pose(request: Any) -> Answer:
    """``{kind, joints, canvas}`` -> ``{name, url}``, a file to save as a ``data:`` URL."""
    canvas = _canvas(request["canvas"])
    pose = formats.from_value({"joints": request["joints"]})
    name, mime, data = FILES[request["kind"]](pose, canvas)
    return {"name": name, "url": f"data:{mime};base64,{base64.b64encode(data).decode()}"}


@report_errors
def preset_pose(request: Any) -> Answer:
    """``{name, joints, canvas}`` -> ``{joints}``: the person in a preset."""
    pose = formats.from_value({"joints": request["joints"]})
    return {"joints": _joints(presets.posed(request["name"], pose, _canvas(request["canvas"])))}


@report_errors
def transfer_pose(request: Any) -> Answer:
    """``{found, joints, canvas}`` -> ``{joints}``: the person in the pose ``found`` of another."""
    found, body = (formats.from_value({"joints": request[key]}) for key in ("found", "joints"))
    return {"joints": _joints(pose_transfer.transferred(found, body, _canvas(request["canvas"])))}


def for_canvas(canvas: tuple[int, int]) -> list[Callable[[Any], Answer]]:
    """The functions of a page whose pictures are all on one canvas (H, W). Whatever other canvas is asked for is refused."""
    return [_only_on(canvas, function) for function in (read_pose, write_pose, preset_pose, transfer_pose)]


def _only_on(canvas: tuple[int, int], function: Callable[[Any], Answer]) -> Callable[[Any], Answer]:
    @functools.wraps(function)
    def answer(request: Any) -> Answer:
        if isinstance(request, dict) and request.get("canvas", list(canvas)) != list(canvas):
            return {"error": f"The canvas of this page is {list(canvas)}, and no other."}
        return function(request)

    return answer


def thumbnails() -> list[dict[str, Any]]:
    """Every preset on a standing figure, on a small canvas."""
    size = (64, 44)
    figure = presets.standing(size)
    return [{"name": name, "joints": _rounded(presets.posed(name, figure, size))} for name in presets.PRESETS]


def _json_bytes(document: Any) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()


def _skeleton_png(pose: Pose, canvas: tuple[int, int]) -> bytes:
    return encode_image(Image.fromarray(np.ascontiguousarray(draw_figure(pose, canvas))))


def _coco(pose: Pose) -> dict[str, Any]:
    return {"keypoints": formats.to_coco(pose), "category_id": 1}


FILES: dict[str, Callable[[Pose, tuple[int, int]], tuple[str, str, bytes]]] = {
    "openpose": lambda pose, size: ("pose-openpose.json", "application/json", _json_bytes(formats.to_openpose(pose, size))),
    "coco": lambda pose, size: ("pose-coco.json", "application/json", _json_bytes(_coco(pose))),
    "text": lambda pose, size: ("pose.txt", "text/plain", formats.to_text(pose, size).encode()),
    "png": lambda pose, size: ("pose.png", "image/png", _skeleton_png(pose, size)),
}


def _joints(pose: Pose) -> list[list[Any]]:
    return formats.to_value(pose)["joints"]


def _rounded(pose: Pose) -> list[list[Any]]:
    return [[round(x, 1), round(y, 1), int(seen)] for x, y, seen in _joints(pose)]


def _canvas(size: Any) -> tuple[int, int]:
    height, width = size
    if not (is_number(height) and is_number(width) and 1 <= height <= MAX_CANVAS and 1 <= width <= MAX_CANVAS):
        raise PoseError(f"a canvas is [height, width], each up to {MAX_CANVAS}")
    return int(height), int(width)
