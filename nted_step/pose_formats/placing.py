"""People of a file onto our canvas: units, the size of their picture, and joints off its edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nted_step.pose import JOINTS, Pose, PoseError
from nted_step.pose_formats.documents import FilePerson

ROOM = 0.09  # of a figure's length, kept around its joints: the skull above the eyes, the feet below the ankles
NEAR = 0.05  # of the canvas's longer side: so far off its edge a joint is moved onto it, beyond it is hidden
ROUNDING = 1e-3  # pixels off the edge that are no news
FRACTIONS = 2.0  # where no number of a file is larger, they are fractions of the picture: 0..1, and a little beyond its edge
SMALLEST = 2.0  # pixels; a figure no larger is a dot

UNKNOWN_SIZE = "the file does not say how large its picture is: the pose did not fit on the canvas and was moved or made smaller"
WRONG_SIZE = "most joints lie off the picture: the pose did not fit on the canvas and was moved or made smaller"
UNKNOWN_SHAPE = "the file does not say what shape its picture has: that of the canvas was taken"


@dataclass(frozen=True)
class Placed:
    """A person of a file, with the pose on our canvas; ``pose`` is None where ``found.problem`` says why there is none."""

    found: FilePerson
    pose: Pose | None = None


def placed(people: Sequence[FilePerson], size: tuple[int, int]) -> list[Placed]:
    """The people of one file on a canvas of ``size`` (H, W): never stretched, where they are in their picture, or where they fit.

    What the numbers mean is decided over the whole file: fractions of the picture or its pixels, and, where no size is given, whether
    they are pixels of our canvas. Otherwise each person is fitted onto the canvas, with room for skull and feet.
    """
    usable = [person for person in people if not person.problem]
    fractions = bool(usable) and max(np.abs(_seen(person)).max() for person in usable) <= FRACTIONS
    pixels = [_in_pixels(person, size, usable) if fractions else person for person in usable]
    pixels = [_believed(person, pixels) for person in pixels]
    ours = all(_is_near(_seen(person), size) for person in pixels if person.picture is None)
    done = iter(_place(person, ours, size) for person in pixels)
    return [Placed(person) if person.problem else next(done) for person in people]


def check_usable(pose: Pose, size: tuple[int, int]) -> None:
    """Raises PoseError with the reason where a pose has no limb, or is a dot."""
    spread = np.ptp(pose.xy[pose.visible], axis=0).max()
    if pose.visible.sum() > 1 and spread <= SMALLEST:
        raise PoseError(f"the pose is {spread:.2g} pixels large, no more than a dot")
    pose.require_drawable(size)


def _seen(person: FilePerson) -> np.ndarray:
    """The points that there are, N x 2."""
    return np.array([point for point in person.points if point])


def _moved(person: FilePerson, scale: np.ndarray | float, by: np.ndarray | float) -> tuple[tuple[float, float] | None, ...]:
    return tuple(point and tuple((np.array(point) * scale + by).tolist()) for point in person.points)


def _in_pixels(person: FilePerson, size: tuple[int, int], everybody: Sequence[FilePerson]) -> FilePerson:
    """From fractions of the picture, 0..1, or -1..1 with its centre at 0, to pixels."""
    numbers = np.concatenate([_seen(other) for other in everybody])
    centred = (numbers < 0).mean() > 0.25 and np.abs(numbers).max() <= 1
    picture, notes = person.picture, person.notes
    if picture is None:
        picture, notes = (float(size[0]), float(size[1])), (*notes, UNKNOWN_SHAPE)
    scale = np.array((picture[1], picture[0])) / (2 if centred else 1)
    return replace(person, points=_moved(person, scale, scale if centred else 0.0), picture=picture, notes=notes)


def _believed(person: FilePerson, everybody: Sequence[FilePerson]) -> FilePerson:
    """The person without a picture size that most joints of that picture belie."""
    if person.picture is None:
        return person
    numbers = np.concatenate([_seen(other) for other in everybody if other.picture == person.picture])
    inside = ((numbers >= 0) & (numbers <= (person.picture[1], person.picture[0]))).all(axis=1)
    return person if inside.mean() >= 0.5 else replace(person, picture=None, notes=(*person.notes, WRONG_SIZE))


def _is_near(points: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether all lie on the canvas, or just off it."""
    near = NEAR * max(size)
    return bool((points >= -near).all() and (points <= np.array((size[1], size[0])) + near).all())


def _place(person: FilePerson, ours: bool, size: tuple[int, int]) -> Placed:
    height, width = size
    notes = person.notes
    if person.picture is None and not ours:
        notes = notes if WRONG_SIZE in notes else (*notes, UNKNOWN_SIZE)
        points = _fitted(person, size)
    elif person.picture in (None, size):
        points = person.points
    else:
        assert person.picture is not None
        scale = min(width / person.picture[1], height / person.picture[0])
        points = _moved(person, scale, (np.array((width, height)) - np.array(person.picture[::-1]) * scale) / 2)
    xy, visible, moved = _onto(points, size)
    person = replace(person, notes=(*notes, *moved))
    if not visible.any():
        return Placed(replace(person, problem="every joint lies off the canvas"))
    return Placed(person, Pose(xy, visible))


def _fitted(person: FilePerson, size: tuple[int, int]) -> tuple[tuple[float, float] | None, ...]:
    """The points in the middle of the canvas, as large as they and some room around them can be."""
    low, high = _seen(person).min(0), _seen(person).max(0)
    room = ROOM * (high - low).max()
    canvas = np.array((size[1], size[0]), float)
    scale = (canvas / np.maximum(high - low + 2 * room, 1e-6)).min()
    return _moved(person, scale, canvas / 2 - (low + high) / 2 * scale)


def _onto(points: Sequence[tuple[float, float] | None], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Points and which are visible, those just off the canvas moved onto it and those far off hidden; and notes that name them."""
    xy = np.array([point or (-1.0, -1.0) for point in points])
    seen = np.array([point is not None for point in points])
    nearest = np.clip(xy, 0, (size[1], size[0]))
    off = np.abs(xy - nearest).max(axis=1)
    near, far = seen & (off <= NEAR * max(size)), seen & (off > NEAR * max(size))
    moved = near & (off > ROUNDING)
    notes = [f"{_named(moved)}: just off the picture, moved onto its edge"] if moved.any() else []
    notes += [f"{_named(far)}: off the picture, hidden"] if far.any() else []
    return np.where(seen[:, None], nearest, -1.0), near, notes


def _named(joints: np.ndarray) -> str:
    return ", ".join(name for name, chosen in zip(JOINTS, joints, strict=True) if chosen)
