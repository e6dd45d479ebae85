"""What becomes of a photo file: the people in it are found, and one of them is put on the canvas, with their pose."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from nted_step.image import MIN_SHARE, Fit, to_pil
from nted_step.pose import Pose, PoseError
from pose_editor import formats
from pose_editor.studio.decoding import load_photo, load_photos
from pose_editor.studio.person_cache import PersonCache
from pose_editor.studio.pose_detector import NOBODY, EstimatorError, PoseEstimator
from pose_editor.studio.presentation import data_url
from pose_editor.studio.session import PhotoFile, PhotoPeople, Subject
from pose_editor.studio.studio import Studio

Window = tuple[float, float, float]

# Around a person's joints, in heights of their box: hair and hats above the eyes, shoes below the ankles, hands and skirts beside.
ABOVE, BELOW, BESIDE = 0.16, 0.09, 0.12
LEAST_HEIGHT = 0.4  # of the canvas: a person who is less of it is what the canvas should show


class PhotoReader:
    """Reads visitors' photos, for every tab and for programs."""

    def __init__(self, studio: Studio, estimator: PoseEstimator | None = None) -> None:
        self.studio = studio
        self.estimator = estimator or PoseEstimator()

    def read(self, file: PhotoFile) -> PhotoPeople:
        """Who is in a photo. Raises ImageError."""
        photo = load_photo(file.source, self.studio.large, "pad", file.name)
        left, top, right, bottom = photo.content()
        picture = photo.image[:, top:bottom, left:right]
        people, problem = self._people(picture)
        moved = tuple(Pose(pose.xy + np.array((left, top)), pose.visible) for pose in people)
        return PhotoPeople(file, data_url(to_pil(picture)), (left, top, right, bottom), moved, problem)

    def _people(self, picture: Tensor) -> tuple[list[Pose], str]:
        """The poses of everybody in a picture, or nobody and why. Found in the model's thread, see :class:`ModelRunner`."""
        try:
            people = self.studio.runner.run(self.estimator.find_all, picture)
        except EstimatorError as error:
            return [], str(error)
        return people, "" if people else NOBODY

    def subject(self, given: PhotoPeople, cache: PersonCache, person: int = 0) -> Subject:
        """One of the people in a photo, on the part of it that shows them; in a photo of nobody, a standing pose. Raises ImageError."""
        pose = given.people[person] if given.people else None
        return self.fitted(given, cache, self._fit_for(given, pose), pose)

    def fitted(self, given: PhotoPeople, cache: PersonCache, fit: Fit, pose: Pose | None) -> Subject:
        """A photo fitted in one way or another.

        Args:
            pose: the pose in it on the whole canvas, or None where it is not known.

        Raises:
            ImageError
        """
        subject = self.studio.upload(given.file.source, given.file.name, cache, fit)
        subject = replace(subject, given=given, whole_pose=pose)
        here = None if pose is None else onto_window(pose, subject.window, self.studio.large, self.studio.canvas)
        return subject if here is None else self.studio.posed(subject, here)

    def settled(self, subject: Subject, pose: Pose) -> Subject:
        """The same photo, of which a visitor says which pose it shows."""
        whole = off_window(pose, subject.window, self.studio.large, self.studio.canvas, subject.whole_pose)
        return replace(self.studio.posed(subject, pose), whole_pose=whole)

    def for_program(self, photo: str | None, pose: dict[str, Any] | None) -> tuple[Tensor, Pose | None]:
        """A photo that a program gave, fitted as "auto": 3 x H x W in [-1, 1], and the pose in it.

        Args:
            photo: path.
            pose: an editor value; without one, the person nearest to the middle is looked for.

        Raises:
            ImageError, PoseError
        """
        known = formats.from_value(formats.check_value(pose)) if pose else None
        sizes = [self.studio.canvas] if known else [self.studio.canvas, self.studio.large]
        fitted, *large = load_photos(photo or b"", [(size, "auto") for size in sizes], Path(photo or "photo").name)
        if large:
            with contextlib.suppress(EstimatorError):  # nobody, or no detector: the pose stays unknown
                known = self.estimator.find(large[0].image, self.studio.canvas)
        return fitted.image, known

    def _fit_for(self, given: PhotoPeople, pose: Pose | None) -> Fit:
        """How to fit a photo so that a person is seen: as any other photo where that shows them, else their part of it."""
        if pose is None:
            return "auto"
        window = window_around(pose, self.studio.large)
        if len(given.people) > 1:
            return window
        _, top, _, bottom = given.box
        share = (bottom - top) / self.studio.large[0]  # the middle, as high as the photo
        here = onto_window(pose, ((1 - share) / 2, (1 - share) / 2, share), self.studio.large, self.studio.canvas)
        is_whole = here is not None and here.visible.sum() == pose.visible.sum()
        return "auto" if is_whole and window[2] > LEAST_HEIGHT * share else window


def window_around(pose: Pose, whole: tuple[int, int]) -> Window:
    """The window of a photo that shows a person, with room around; ``pose`` is on the canvas ``whole`` (H, W) of the whole photo."""
    seen = pose.xy[pose.visible].astype(float) / (whole[1], whole[0])
    (left, top), (right, bottom) = seen.min(0), seen.max(0)
    tall = max(bottom - top, right - left)
    left, right, top, bottom = left - BESIDE * tall, right + BESIDE * tall, top - ABOVE * tall, bottom + BELOW * tall
    share = float(np.clip(max(bottom - top, right - left), MIN_SHARE, 1))
    corner = np.clip([(left + right - share) / 2, (top + bottom - share) / 2], 0, 1 - share)
    return float(corner[0]), float(corner[1]), share


def onto_window(pose: Pose, window: Window, whole: tuple[int, int], size: tuple[int, int]) -> Pose | None:
    """A pose on the canvas ``whole`` (H, W) of a whole photo, on a canvas ``size`` that shows a window of it; None if no limb is there."""
    left, top, share = window
    xy = (pose.xy / (whole[1], whole[0]) - (left, top)) / share * (size[1], size[0])
    inside = np.all((xy >= 0) & (xy <= (size[1], size[0])), axis=1)
    try:
        return Pose(xy, pose.visible & inside).require_drawable(size)
    except PoseError:
        return None


def off_window(pose: Pose, window: Window, whole: tuple[int, int], size: tuple[int, int], before: Pose | None) -> Pose:
    """The inverse of :func:`onto_window`; joints beyond the window are where they were in the pose ``before``."""
    left, top, share = window
    xy, visible = (pose.xy / (size[1], size[0]) * share + (left, top)) * (whole[1], whole[0]), pose.visible
    if before is not None:
        here = onto_window(before, window, whole, size)
        beyond = before.visible & ~(np.zeros(18, bool) if here is None else here.visible) & ~visible
        xy, visible = np.where(beyond[:, None], before.xy, xy), visible | beyond
    return Pose(xy, visible)
