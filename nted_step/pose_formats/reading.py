"""Pose files in: what kind they are is seen from what they hold. The page, the command line, the API and training read them here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nted_step.pose import BASE_SIZE, MAX_CHARACTERS, Pose, PoseError, decode_text
from nted_step.pose_formats.documents import FilePerson, people_in
from nted_step.pose_formats.placing import Placed, check_usable, placed

READABLE = "can be read: 18 rows of text, OpenPose, VITON, Dress Code, COCO, Halpe, AlphaPose, MMPose, ultralytics, MediaPipe, OpenPifPaf"
MAX_NOTES = 6


@dataclass(frozen=True)
class Imported:
    """What a file held: one pose per person, and a line for everything in it that was left out.

    Attributes:
        people: the poses that can be used, at least one, in pixels of the canvas.
        notes: one line each, about everybody.
        places: for each of them its (frame, person) in the file, from 1.
        numbers: for each of them its number in the file, counted over all frames, from 1.
        remarks: for each of them the notes that concern it.
    """

    people: tuple[Pose, ...]
    notes: tuple[str, ...] = ()
    places: tuple[tuple[int, int], ...] = ()
    numbers: tuple[int, ...] = ()
    remarks: tuple[tuple[str, ...], ...] = ()


def load(path: str | Path, size: tuple[int, int] = BASE_SIZE, *, frame: int | None = None, person: int | None = None) -> Imported:
    """:func:`read` a file, whatever its name ends in. Raises PoseError, one line that names the file."""
    try:
        with open(path, "rb") as file:
            data = file.read(4 * MAX_CHARACTERS + 4)
    except OSError as error:
        raise PoseError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return read(data, size, frame=frame, person=person)
    except PoseError as error:
        raise PoseError(f"{path}: {error}") from None


def read(data: bytes | str, size: tuple[int, int] = BASE_SIZE, *, frame: int | None = None, person: int | None = None) -> Imported:
    """Read a pose file of any kind: 18 rows of text, or JSON of the tools in ``READABLE``.

    Args:
        data: the file, or its text.
        size: (H, W) in pixels of the canvas to put the poses on.
        frame: only people of this one, counted from 1; all by default.
        person: only this one, counted from 1 over the whole file, or in ``frame``; all by default.

    Returns:
        Poses that can be drawn: at least one limb, on the canvas, more than a dot. Who is left out has a note.

    Raises:
        PoseError: one line, with the reason and what can be read.
    """
    try:
        text = decode_text(data) if isinstance(data, bytes) else data
        found = people_in(_parsed(text)) if _looks_like_json(text) else [_found_in_text(text, size)]
        return _imported(found, size, True, frame, person)
    except PoseError as error:
        raise PoseError(f"{error}; {READABLE}") from None


def from_text(text: str, size: tuple[int, int] = BASE_SIZE) -> Imported:
    """Read :func:`nted_step.pose_formats.to_text`, on a canvas of ``size`` (H, W). Raises PoseError."""
    return _imported([_found_in_text(text, size)], size)


def from_json(document: Any, size: tuple[int, int] = BASE_SIZE) -> Imported:
    """Read JSON (text, or already parsed) of any tool, onto a canvas of ``size`` (H, W).

    A joint whose numbers are null or -1, or whose confidence is 0, is missing. Points of a picture of another size are fitted onto our
    canvas, never stretched. Unlike :func:`read`, poses are also returned that have no limb to draw. Raises PoseError.
    """
    return _imported(people_in(_parsed(document)), size)


def from_openpose(document: Any, size: tuple[int, int] = BASE_SIZE) -> Imported:
    """Read JSON as OpenPose writes it: 18 or BODY_25 points, in pixels or as fractions of the picture; see :func:`from_json`."""
    document = _parsed(document)
    first = document[0] if isinstance(document, list) and document else document  # preprocessors for diffusion models wrap it in a list
    if not isinstance(first, dict) or not {"people", "animals"} & set(first):
        raise PoseError('OpenPose JSON: no person found; expected {"people": [{"pose_keypoints_2d": [...]}]}')
    return from_json(document, size)


def from_coco(document: Any, size: tuple[int, int] = BASE_SIZE) -> Imported:
    """Read COCO keypoints: 51 numbers, an annotation with ``keypoints``, or a list of annotations; see :func:`from_json`.

    The neck is put midway between the shoulders.
    """
    document = _parsed(document)
    if isinstance(document, dict) and not {"annotations", "keypoints"} & set(document):
        raise PoseError("COCO keypoints: expected 51 numbers, x y v for 17 keypoints")
    return from_json(document, size)


def _looks_like_json(text: str) -> bool:
    return text.lstrip("\ufeff \t\r\n").startswith(("{", "["))


def _found_in_text(text: str, size: tuple[int, int]) -> FilePerson:
    pose = Pose.from_text(_bounded(text), size, name="")
    if not pose.visible.any():
        raise PoseError("the pose shows no limb: every joint is missing")
    points = tuple((float(x), float(y)) if seen else None for (x, y), seen in zip(pose.xy, pose.visible, strict=True))
    return FilePerson(1, 1, points, picture=(float(size[0]), float(size[1])))


def _imported(
    found: Sequence[FilePerson], size: tuple[int, int], drawable: bool = False, frame: int | None = None, person: int | None = None
) -> Imported:
    """The people of a file on the canvas, those who were chosen and can be used. Raises PoseError where there are none."""
    done = list(enumerate((_checked(one, size) if drawable else one for one in placed(found, size)), 1))
    done = _chosen(done, frame, person)
    usable = [(number, one) for number, one in done if one.pose is not None]
    if not usable:
        _, first = done[0]
        raise PoseError(f"{_label(*done[0], found)}{first.found.problem}")
    remarks = tuple(one.found.notes for _, one in usable)
    return Imported(
        people=tuple(one.pose for _, one in usable if one.pose is not None),
        notes=_notes(done, found),
        places=tuple((one.found.frame, one.found.person) for _, one in usable),
        numbers=tuple(number for number, _ in usable),
        remarks=remarks,
    )


def _checked(one: Placed, size: tuple[int, int]) -> Placed:
    if one.pose is None:
        return one
    try:
        check_usable(one.pose, size)
    except PoseError as error:
        return Placed(replace(one.found, problem=str(error)))
    return one


def _chosen(done: list[tuple[int, Placed]], frame: int | None, person: int | None) -> list[tuple[int, Placed]]:
    if frame is not None:
        frames = max(one.found.frame for _, one in done)
        done = [(number, one) for number, one in done if one.found.frame == frame]
        if not done:
            raise PoseError(f"there is no frame {frame} with a person; the file has {_count(frames, 'frame')}")
    if person is not None:
        if not 1 <= person <= len(done):
            whole = "the frame" if frame else "the file"
            raise PoseError(f"there is no person {person}; {whole} has {_count(len(done), 'person', 'people')}")
        done = [done[person - 1]]
    return done


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _label(number: int, one: Placed, found: Sequence[FilePerson]) -> str:
    """Who it is, where the file holds others."""
    if len(found) == 1:
        return ""
    frames = len({person.frame for person in found})
    return f"person {number}{f' (frame {one.found.frame})' if frames > 1 else ''}: "


def _notes(done: list[tuple[int, Placed]], found: Sequence[FilePerson]) -> tuple[str, ...]:
    """A line for each kind of points without a place in a pose, each reason why people were left out, and each remark."""
    extra = {kind for _, one in done if one.pose is not None for kind in one.found.extra}
    notes = [f"{kind} points were left out: the pose has 18 body joints" for kind in ("hands", "face", "feet") if kind in extra]
    whom: dict[str, list[tuple[int, Placed]]] = {}
    for number, one in done:
        for note in (f"left out: {one.found.problem}",) if one.found.problem else one.found.notes:
            whom.setdefault(note, []).append((number, one))
    for note, people in whom.items():
        everybody = len(people) == len(done)
        notes.append(note if everybody else _label(*people[0], found) + note if len(people) == 1 else f"{len(people)} people: {note}")
    more = len(notes) - MAX_NOTES
    return (*notes[:MAX_NOTES], f"and {more} notes more") if more > 0 else tuple(notes)


def _parsed(document: Any) -> Any:
    """Parsed JSON; text is parsed first."""
    if not isinstance(document, str):
        return document
    text = _bounded(document.lstrip("\ufeff"))
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        comma = "a comma too many" if text[: error.pos + 1].rstrip(" \t\r\n]}").endswith(",") else ""
        where = f"line {error.lineno}, column {error.colno}"
        raise PoseError(f"not valid JSON ({comma + ' before ' if comma else ''}{where})") from None
    except RecursionError:
        raise PoseError("not valid JSON (too deep)") from None
    except ValueError:  # a whole number of thousands of digits
        raise PoseError("not valid JSON (a number too long)") from None


def _bounded(text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        raise PoseError(f"a pose of {len(text):,} characters is too large; the limit is {MAX_CHARACTERS:,}")
    return text
