"""JSON of other tools -> the people in it, in the units of their pictures.

What is told apart by its keys: OpenPose and the editors and preprocessors that write like it (``people``), AlphaPose (``bodies``, or COCO
results), COCO (``annotations``, or results), MMPose (``instance_info``, ``predictions``), ultralytics (``keypoints`` of x, y, visible),
MediaPipe (``landmarks``, or points of x, y, z, visibility), Dress Code and older web editors (``keypoints`` of points), OpenPifPaf.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from nted_step.pose import JOINTS, PoseError
from nted_step.pose_formats.layouts import (
    KEYPOINTS,
    LANDMARKS,
    LEFT_SHOULDER,
    MEDIAPIPE_33,
    NECK,
    OPENPOSE,
    OPENPOSE_18,
    RIGHT_SHOULDER,
    Layout,
)
from nted_step.pose_formats.numbers import as_number, is_absent

Point = tuple[float, float]
MAX_DEPTH = 6  # of lists and objects around a person; no tool nests deeper
MEDIAPIPE_SURE, MMPOSE_SURE = 0.5, 0.3  # below, those tools do not draw a joint themselves
DRESS_CODE = (512, 384)  # H, W of the picture in which the points of that data set count

PERSON_KEYS: dict[str, tuple[Layout, ...]] = {
    "pose_keypoints_2d": OPENPOSE, "pose_keypoints": OPENPOSE, "joints": (OPENPOSE_18,), "keypoints": KEYPOINTS,
    "landmarks": LANDMARKS, "landmark": LANDMARKS, "pose_landmarks": LANDMARKS, "poseLandmarks": LANDMARKS,
}  # fmt: skip
PEOPLE_KEYS = ("people", "bodies")
FRAME_KEYS = ("instance_info", "instances", "predictions", "frames")
LANDMARK_KEYS = ("landmarks", "landmark", "pose_landmarks", "poseLandmarks")
SIZE_KEYS = (("canvas_height", "canvas_width"), ("height", "width"), ("image_height", "image_width"), ("img_height", "img_width"))
EXTRA_KEYS = {"hand": "hands", "face": "face", "foot": "feet"}
ANIMALS = frozenset({
    "animal", "animals", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "macaque", "fly", "locust",
    "ap10k", "ap-10k", "apt36k", "apt-36k", "animalpose", "animalkingdom", "atrw", "horse10",
})  # fmt: skip
COCO_ANIMALS = range(16, 26)  # the categories bird to giraffe


@dataclass(frozen=True)
class FilePerson:
    """One person of a file.

    Attributes:
        frame, person: counted from 1; people are counted anew in each frame.
        points: for each of our 18 joints its (x, y) in the file's units, or None where it is missing.
        picture: (H, W) in pixels of the picture that the points count in, or None where the file does not say.
        notes: what was left out or taken otherwise than written.
        extra: kinds of points there are beyond the body's: hands, face, feet.
        problem: why the person cannot be used, or nothing.
    """

    frame: int
    person: int
    points: tuple[Point | None, ...] = (None,) * len(JOINTS)
    picture: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    extra: frozenset[str] = frozenset()
    problem: str = ""


@dataclass(frozen=True)
class _Scene:
    """What is said of a person further out in the document."""

    picture: tuple[float, float] | None = None
    note: str = ""
    animal: str = ""
    species: dict[Any, str] = field(default_factory=dict)  # names of COCO's categories, animals only


def people_in(document: Any) -> list[FilePerson]:
    """Everybody in a parsed JSON document. Raises PoseError where it is not a document of poses, or holds nobody."""
    frames = list(_frames(document, _Scene(), 0))
    found = [
        _person(raw, scene, number, index)
        for number, (scene, people) in enumerate(frames, 1)
        for index, raw in enumerate((one for raw in people for one in _split(raw, scene)), 1)
    ]
    if not found:
        if any(scene.animal for scene, _ in frames):
            raise PoseError("no person found: it holds poses of animals, not of people")
        raise PoseError("no person found")
    if all(person.problem.startswith("an animal") for person in found):
        raise PoseError(f"no person found: {found[0].problem}, not a person")
    return found


# --- frames -------------------------------------------------------------------------------------------------------


def _frames(document: Any, scene: _Scene, depth: int) -> Iterator[tuple[_Scene, list[Any]]]:
    """Each picture that the document speaks of, with the people in it as they are written."""
    if depth > MAX_DEPTH:
        raise PoseError("not poses: nested too deeply")
    if isinstance(document, dict):
        yield from _frames_of_object(document, _within(scene, document), depth)
    elif not isinstance(document, list):
        raise PoseError("not poses: neither an object nor a list")
    elif all(isinstance(item, dict) for item in document):
        if any(_is_frame(item) for item in document):
            for item in document:
                yield from _frames(item, scene, depth + 1)
        elif document and "x" in document[0]:
            yield scene, [{"landmarks": document}]
        else:
            yield from _by_image(document, scene, {})
    elif all(isinstance(item, list) for item in document) and (_depth(document) > 3 or any(_holds_objects(item) for item in document)):
        for item in document:
            yield from _frames(item, scene, depth + 1)
    else:
        yield scene, [{"keypoints": document}]


def _frames_of_object(document: dict[str, Any], scene: _Scene, depth: int) -> Iterator[tuple[_Scene, list[Any]]]:
    for key in PEOPLE_KEYS:
        if key in document:
            people = document[key]
            people = list(people.values()) if isinstance(people, dict) else people
            if not isinstance(people, list):
                raise PoseError(f"no person found: {key!r} is not a list")
            yield replace(scene, animal=scene.animal or ("animals" if document.get("animals") else "")), people
            return
    if "animals" in document:
        yield replace(scene, animal="animals"), []
    elif isinstance(document.get("annotations"), list):
        yield from _by_image(document["annotations"], scene, _pictures(document.get("images")))
    elif key := next((key for key in FRAME_KEYS if isinstance(document.get(key), list)), ""):
        yield from _frames(document[key], scene, depth + 1)
    elif key := next((key for key in LANDMARK_KEYS if document.get(key)), ""):
        landmarks = document[key]
        several = isinstance(landmarks, list) and all(isinstance(one, list) for one in landmarks) and _depth(landmarks) == 2
        people = landmarks if several and all(one and isinstance(one[0], dict) for one in landmarks) else [landmarks]
        yield scene, [{"landmarks": one} for one in people]
    elif any(key in document for key in PERSON_KEYS):
        yield scene, [document]
    elif document and all(isinstance(value, dict) and _is_frame(value) for value in document.values()):  # AlphaPose: by file name
        for value in document.values():
            yield from _frames(value, scene, depth + 1)
    else:
        keys = ", ".join(repr(key[:20]) for key in list(document)[:3])
        raise PoseError(f"not poses of a kind that is known here (it has {keys or 'nothing'})")


def _holds_objects(items: list[Any]) -> bool:
    return any(isinstance(item, dict) for item in items)


def _is_frame(item: dict[str, Any]) -> bool:
    return any(key in item for key in (*PEOPLE_KEYS, *FRAME_KEYS, "animals"))


def _by_image(people: list[Any], scene: _Scene, pictures: dict[Any, tuple[float, float]]) -> Iterator[tuple[_Scene, list[Any]]]:
    """COCO's annotations or results, gathered by the picture that they name."""
    images: dict[Any, list[Any]] = {}
    for person in people:
        images.setdefault(_hashable(person.get("image_id")) if isinstance(person, dict) else None, []).append(person)
    for image, inside in images.items():
        yield replace(scene, picture=pictures.get(image, scene.picture)), inside


def _pictures(images: Any) -> dict[Any, tuple[float, float]]:
    """COCO's ``images``: id -> (H, W)."""
    sizes = {_hashable(image.get("id")): _size(image)[0] for image in images if isinstance(image, dict)} if isinstance(images, list) else {}
    return {image: size for image, size in sizes.items() if size}


def _hashable(value: Any) -> Any:
    return value if isinstance(value, (str, int, float)) else None


def _within(scene: _Scene, document: dict[str, Any]) -> _Scene:
    """The scene with what an object around people adds to it: the picture's size, and whether they are animals."""
    size, note = _size(document)
    about, categories = document.get("meta_info"), document.get("categories")
    name = about.get("dataset_name") if isinstance(about, dict) else None
    if name == "h36m":
        raise PoseError("not read: the points of Human3.6M, 17 in an order of its own")
    species = {
        _hashable(category.get("id")): _animal(category.get("name"), category.get("supercategory"))
        for category in (categories if isinstance(categories, list) else ())
        if isinstance(category, dict)
    }
    return _Scene(size or scene.picture, note or scene.note, _animal(name) or scene.animal, species or scene.species)


def _size(document: dict[str, Any]) -> tuple[tuple[float, float] | None, str]:
    """(H, W) of a picture where the object says so, and a note where it says so wrongly."""
    for keys in SIZE_KEYS:
        given = [document.get(key) for key in keys]
        if given == [None, None]:
            continue
        height, width = (as_number(value) for value in given)
        if height is not None and width is not None and min(height, width) >= 1:
            return (height, width), ""
        return None, f"{keys[1]} and {keys[0]} do not give the size of a picture and were not used"
    return None, ""


def _animal(*names: Any) -> str:
    """The first of the names that is an animal's, or nothing."""
    return next((name for name in names if isinstance(name, str) and not ANIMALS.isdisjoint(name.lower().replace("_", " ").split())), "")


# --- one person ---------------------------------------------------------------------------------------------------


def _split(raw: Any, scene: _Scene) -> list[Any]:
    """The people in one entry: some tools write all points of all people into one list."""
    points = raw.get("keypoints") if isinstance(raw, dict) else None
    if not isinstance(points, list) or not points:
        return [raw]
    scores = raw.get("keypoint_scores")
    if _depth(points) == 3:
        nested = isinstance(scores, list) and len(scores) == len(points) and _depth(scores) == 2
        return [raw | {"keypoints": one} | ({"keypoint_scores": scores[i]} if nested else {}) for i, one in enumerate(points)]
    in_pairs = all(isinstance(point, list) and len(point) == 2 for point in points)
    if scene.picture and in_pairs and len(points) > 18 and len(points) % 18 == 0:
        return [raw | {"keypoints": points[i : i + 18]} for i in range(0, len(points), 18)]
    return [raw]


def _person(raw: Any, scene: _Scene, frame: int, person: int) -> FilePerson:
    found = FilePerson(frame, person, picture=scene.picture, notes=(scene.note,) if scene.note else ())
    try:
        return _points(raw, scene, found)
    except PoseError as error:
        return replace(found, problem=str(error))


def _points(raw: Any, scene: _Scene, found: FilePerson) -> FilePerson:
    """``found`` with the person's points in it. Raises PoseError with the reason why there are none."""
    raw = raw if isinstance(raw, dict) else {}
    category = _hashable(raw.get("category_id"))
    species = scene.animal or scene.species.get(category) or _animal(raw.get("name"), raw.get("category"))
    if species or (not scene.species and category in COCO_ANIMALS):
        raise PoseError(f"an animal ({species or 'by its category_id'})")
    key = next((key for key in PERSON_KEYS if raw.get(key)), "")
    if not key:
        raise PoseError("it has no body points")
    layouts = PERSON_KEYS[key]
    rows = _rows(raw[key], layouts)
    layout = next((layout for layout in layouts if layout.count == len(rows)), None)
    if layout is None:
        known = ", ".join(f"{layout.count} ({layout.name})" for layout in layouts[:2]) + (" ..." if len(layouts) > 2 else "")
        raise PoseError(f"{len(rows)} points are in no order that is known here; a person has {known}")
    scores = raw.get("keypoint_scores")
    if isinstance(scores, list) and len(scores) == len(rows):
        rows = [row and [*row[:2], score] for row, score in zip(rows, scores, strict=True)]
    sure = MEDIAPIPE_SURE if layout is MEDIAPIPE_33 else MMPOSE_SURE if isinstance(scores, list) else 0.0
    dress_code = key == "keypoints" and layout is OPENPOSE_18 and all(row and len(row) == 4 for row in rows)
    found = replace(found, picture=found.picture or (DRESS_CODE if dress_code else None))
    every = [_point(row, dress_code) for row in (_without_depth(rows) if layout is MEDIAPIPE_33 else rows)]
    theirs = [(x, y) if point and sureness >= sure else None for point, (x, y, sureness) in ((p, p or (0, 0, 0)) for p in every)]
    points = [None if i is None else theirs[i] for i in layout.joints]
    right, left = points[RIGHT_SHOULDER], points[LEFT_SHOULDER]
    if layout.joints[NECK] is None and right and left:
        points[NECK] = ((right[0] + left[0]) / 2, (right[1] + left[1]) / 2)
    unsure = sum(i is not None and every[i] is not None and theirs[i] is None for i in layout.joints)
    notes = (f"joints that are less than {sure:g} certain were hidden ({unsure})",) if unsure else ()
    if not any(points):
        raise PoseError(f"every joint is less than {sure:g} certain" if unsure else "every joint is missing")
    beyond = {kind for kind, first, after in layout.extra if any(point and any(point) for point in theirs[first:after])}
    return replace(found, points=tuple(points), notes=found.notes + notes, extra=frozenset(beyond | _extra(raw)))


def _extra(raw: dict[str, Any]) -> set[str]:
    """Kinds of points under keys of their own, such as OpenPose's hand_left_keypoints_2d or COCO's foot_kpts."""
    return {
        kind
        for key, value in raw.items()
        for word, kind in EXTRA_KEYS.items()
        if word in key and ("keypoints" in key or "kpts" in key) and isinstance(value, list) and any(value)
    }


def _rows(points: Any, layouts: tuple[Layout, ...]) -> list[list[Any] | None]:
    """One row for each point, x and y first, or None: from flat numbers, from points, or from columns."""
    if isinstance(points, dict):
        if isinstance(points.get("landmark"), list):
            return _rows(points["landmark"], layouts)
        x, y, visible = points.get("x"), points.get("y"), points.get("visible", points.get("visibility"))
        columns = [column for column in (x, y, visible) if isinstance(column, list)]
        if len({len(column) for column in columns}) != 1 or not (isinstance(x, list) and isinstance(y, list)):
            raise PoseError("its points are no lists of x and y of one length")
        return [[*row] if any(row[:2]) else None for row in zip(*columns, strict=True)]
    if not isinstance(points, list):
        raise PoseError("its points are not a list")
    if all(point is None or isinstance(point, (list, dict)) for point in points):
        return [_row(point) for point in points]
    if any(isinstance(number, (list, dict)) for number in points):
        raise PoseError("its points are numbers and lists, mixed")
    width = next((width for width in (3, 2, 4) if len(points) in {width * layout.count for layout in layouts}), 0)
    if not width:
        counts = " or ".join(str(3 * layout.count) for layout in layouts[:2])
        raise PoseError(f"{len(points)} numbers are not those of a body; {counts} are, x y confidence for each point")
    return [points[i : i + width] for i in range(0, len(points), width)]


def _row(point: Any) -> list[Any] | None:
    if isinstance(point, dict):
        place = point.get("position", point)
        place = place if isinstance(place, dict) else {}
        sure = next((point[key] for key in ("visibility", "score", "confidence", "visible") if point.get(key) is not None), None)
        return [place.get("x"), place.get("y")] + ([] if sure is None else [sure])
    if point is not None and len(point) < 2:
        raise PoseError("every point is x, y and how certain it is")
    return point


def _without_depth(rows: list[list[Any] | None]) -> list[list[Any] | None]:
    """MediaPipe's rows without their z: x y z visibility, x y z, or x y visibility."""
    third = [number for row in rows if row and len(row) == 3 and (number := as_number(row[2])) is not None]
    is_z = any(not 0 <= number <= 1 for number in third)
    return [row and [*row[:2], *(row[3:4] if len(row) > 3 else row[2:] if not is_z else [])] for row in rows]


def _point(row: list[Any] | None, dress_code: bool) -> tuple[float, float, float] | None:
    """x, y and how certain, or None for a missing joint: null or -1 in place of a number, or confidence 0."""
    if row is None or any(is_absent(number) for number in row[:3]):
        return None
    x, y, sure = (as_number(number) for number in (row[:3] if len(row) > 2 else [*row, 1.0]))
    if x is None or y is None or sure is None:
        raise PoseError("every point is three finite numbers, x y confidence")
    nowhere = x == y == -1 or (len(row) == 2 and x == y == 0) or (dress_code and min(x, y) <= 1)
    return None if nowhere or sure <= 0 else (x, y, sure)


def _depth(value: Any) -> int:
    """How many lists stand inside one another, by the first entry of each that is one."""
    depth = 0
    while isinstance(value, list):
        depth, value = depth + 1, next((item for item in value if item is not None), None)
    return depth
