"""Pose file formats: 18-row text, OpenPose JSON and COCO-17 keypoints.

Reading is strict: what cannot be understood raises :class:`nted_step.pose.PoseError` with one line that says what and
where. Writing and reading back gives the same pose, to the last bit.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from nted_step.pose import BASE_SIZE, Pose, PoseError

MAX_CHARACTERS = 1_000_000  # a file of many people is some kilobytes; more is a mistake
MISSING = (0.0, 0.0, 0.0)

# Where each of our 18 joints stands in the other two layouts. COCO has no neck.
BODY_25 = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)
COCO_17 = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
NECK, RIGHT_SHOULDER, LEFT_SHOULDER = 1, 2, 5


@dataclass(frozen=True)
class Imported:
    """What a file held: one pose per person, and a line for everything in it that was left out."""

    people: tuple[Pose, ...]
    notes: tuple[str, ...] = ()


# --- 18-row text --------------------------------------------------------------------------------------------------


def to_text(pose: Pose, size: tuple[int, int] = BASE_SIZE) -> str:
    """18 rows ``x y``, x on the white-padded 256-wide frame, -1 -1 for a missing joint."""
    return pose.to_text(size)


def from_text(text: str, size: tuple[int, int] = BASE_SIZE) -> Imported:
    """Read :func:`to_text`. Raises PoseError."""
    return Imported((Pose.from_text(_bounded(text), size),))


# --- OpenPose JSON ------------------------------------------------------------------------------------------------


def to_openpose(pose: Pose, size: tuple[int, int] = BASE_SIZE) -> dict[str, Any]:
    """OpenPose's JSON with 18 body points in pixels and confidence 1, or 0 0 0 for a missing joint."""
    points = [
        number for (x, y), seen in zip(pose.xy, pose.visible, strict=True) for number in ((short(x), short(y), 1.0) if seen else MISSING)
    ]
    people = [{"person_id": [-1], "pose_keypoints_2d": points}]
    return {"version": 1.3, "people": people, "canvas_width": size[1], "canvas_height": size[0]}


def from_openpose(document: Any, size: tuple[int, int] = BASE_SIZE) -> Imported:
    """Read OpenPose JSON (text, or already parsed): 18 or BODY_25 points, in pixels or normalised to 0..1.

    A joint whose numbers are null or -1, or whose confidence is 0, is missing. Points of a canvas of another size are
    fitted onto ours, never stretched. Hands and faces are left out, with a note. Raises PoseError.
    """
    document = _parsed(document)
    if isinstance(document, list) and len(document) == 1:  # preprocessors for diffusion models wrap it in a list
        document = document[0]
    people = document.get("people") if isinstance(document, dict) else None
    if not isinstance(people, list) or not people:
        raise PoseError('OpenPose JSON: no person found; expected {"people": [{"pose_keypoints_2d": [...]}]}')
    canvas = _canvas(document)
    poses = tuple(_openpose_person(person, index, canvas, size) for index, person in enumerate(people, 1))
    return Imported(poses, _openpose_notes(people))


def _openpose_person(person: Any, index: int, canvas: tuple[float, float] | None, size: tuple[int, int]) -> Pose:
    label = f"OpenPose JSON, person {index}"
    numbers = person.get("pose_keypoints_2d") if isinstance(person, dict) else None
    if not isinstance(numbers, list) or len(numbers) not in (54, 75):
        count = f"{len(numbers)} were given" if isinstance(numbers, list) else "there are none"
        raise PoseError(f"{label}: pose_keypoints_2d holds 54 numbers (18 points) or 75 (BODY_25); {count}")
    points = [_point(numbers[i : i + 3], label) for i in range(0, len(numbers), 3)]
    if len(points) == 25:
        points = [points[i] for i in BODY_25]
    return _fitted(points, canvas, size, label)


def _openpose_notes(people: list[Any]) -> tuple[str, ...]:
    """One note for each kind of points that a body pose has no place for."""
    kinds = {"hands": ("hand_left_keypoints_2d", "hand_right_keypoints_2d"), "face": ("face_keypoints_2d",)}
    found = [kind for kind, keys in kinds.items() if any(person.get(key) for person in people for key in keys)]
    return tuple(f"{kind} points were left out: the pose has 18 body joints" for kind in found)


def _canvas(document: dict[str, Any]) -> tuple[float, float] | None:
    """(height, width) of the canvas the file was made for, where it says so."""
    height, width = document.get("canvas_height"), document.get("canvas_width")
    if height is None and width is None:
        return None
    if not is_number(height) or not is_number(width) or min(height, width) <= 0:
        raise PoseError("OpenPose JSON: canvas_width and canvas_height must be positive numbers")
    return float(height), float(width)


# --- COCO-17 ------------------------------------------------------------------------------------------------------


def to_coco(pose: Pose) -> list[float]:
    """COCO's 51 numbers: x, y, v for 17 keypoints, v = 2 when visible. The neck is not among them."""
    numbers = [0.0] * 51
    for ours, theirs in enumerate(COCO_17):
        if theirs is not None and pose.visible[ours]:
            x, y = pose.xy[ours]
            numbers[3 * theirs : 3 * theirs + 3] = [short(x), short(y), 2.0]
    return numbers


def from_coco(document: Any, size: tuple[int, int] = BASE_SIZE) -> Imported:
    """Read COCO-17 keypoints: 51 numbers, an annotation with ``keypoints``, or a list of annotations.

    The neck is put midway between the shoulders. Raises PoseError.
    """
    document = _parsed(document)
    if isinstance(document, dict) and isinstance(document.get("annotations"), list):
        document = document["annotations"]
    several = isinstance(document, list) and document and all(isinstance(item, dict) for item in document)
    people = document if several else [document]
    return Imported(tuple(_coco_person(person, index, size) for index, person in enumerate(people, 1)))


def _coco_person(person: Any, index: int, size: tuple[int, int]) -> Pose:
    label = f"COCO keypoints, person {index}"
    numbers = person.get("keypoints") if isinstance(person, dict) else person
    if not isinstance(numbers, list) or len(numbers) != 51:
        raise PoseError(f"{label}: expected 51 numbers, x y v for 17 keypoints")
    theirs = [_point(numbers[i : i + 3], label) for i in range(0, 51, 3)]
    points = [None if i is None else theirs[i] for i in COCO_17]
    right, left = points[RIGHT_SHOULDER], points[LEFT_SHOULDER]
    if right and left:
        points[NECK] = ((right[0] + left[0]) / 2, (right[1] + left[1]) / 2)
    return _fitted(points, None, size, label)


# --- any JSON -----------------------------------------------------------------------------------------------------


def from_json(text: str, size: tuple[int, int] = BASE_SIZE) -> Imported:
    """Read OpenPose or COCO JSON, whichever it is. Raises PoseError."""
    document = _parsed(text)
    first = document[0] if isinstance(document, list) and document else document
    return from_openpose(document, size) if isinstance(first, dict) and "people" in first else from_coco(document, size)


# --- shared -------------------------------------------------------------------------------------------------------


def _fitted(points: list[tuple[float, float] | None], canvas: tuple[float, float] | None, size: tuple[int, int], label: str) -> Pose:
    """The points on our canvas: normalised ones are scaled up, those of another canvas are fitted and centred."""
    seen = np.array([point is not None for point in points])
    if not seen.any():
        raise PoseError(f"{label}: every joint is missing")
    xy = np.array([point or (-1.0, -1.0) for point in points])
    height, width = size
    if (xy[seen] <= 1).all():
        canvas = canvas or (height, width)
        xy = xy * (canvas[1], canvas[0])
    if canvas and canvas != (height, width):
        scale = min(width / canvas[1], height / canvas[0])
        xy = xy * scale + ((width - canvas[1] * scale) / 2, (height - canvas[0] * scale) / 2)
    return Pose(xy, seen)


def _point(triple: list[Any], label: str) -> tuple[float, float] | None:
    """(x, y), or None for a missing joint: null or -1 in place of a number, or confidence 0."""
    x, y, confidence = triple
    if any(number is None for number in triple) or (x == -1 and y == -1):
        return None
    if not all(is_number(number) for number in triple):
        raise PoseError(f"{label}: every point is three finite numbers, x y confidence")
    return (float(x), float(y)) if confidence > 0 else None


def _parsed(document: Any) -> Any:
    """Parsed JSON; text is parsed first."""
    if not isinstance(document, str):
        return document
    try:
        return json.loads(_bounded(document))
    except (json.JSONDecodeError, RecursionError) as error:
        where = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "too deep"
        raise PoseError(f"not valid JSON ({where})") from None


def _bounded(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise PoseError(f"a pose of {len(text):,} characters is too large; the limit is {MAX_CHARACTERS:,}")
    return text


def is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)


def short(value: np.float32) -> float:
    """The shortest decimal number that reads back as the same float32, so that files stay legible."""
    return float(str(np.float32(value)))
