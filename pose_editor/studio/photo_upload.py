"""A visitor's own photo: given, fitted to the canvas in one way or another, and its pose found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from torch.nn.functional import interpolate

from nted_step.image import Fit, ImageError, load_photo, to_pil, too_many_bytes
from nted_step.pose import PoseError
from nted_step.pose_detection import LOOK_HEIGHT
from pose_editor import formats
from pose_editor.cropper import Cropper
from pose_editor.studio.pose_detector import EstimatorError, PoseEstimator
from pose_editor.studio.presentation import data_url, notice
from pose_editor.studio.session import EDIT, STEPS, Session
from pose_editor.widget import sentence

FITS = {"Auto": "auto", "Fill": "crop", "Whole": "pad"}  # what the page calls the ways to fit a photo
Opening = Iterator[tuple[Any, ...]]  # what Studio.open yields


class OwnPhoto:
    """The events of the page that are about an own photo. ``studio`` is the page's studio.

    Every event yields something, if only "no change": Gradio empties the outputs of a generator that ends without a yield.
    """

    def __init__(self, studio: Any, estimator: PoseEstimator | None = None) -> None:
        self.studio = studio
        self.estimator = estimator or PoseEstimator()

    def given(self, path: str | None, session: Session, settings: dict[str, Any]) -> Opening:
        """A photo was given. If it cannot be used, say so beside the button and leave everything as it is."""
        yield self.studio.only()
        if path:
            yield from self._open((path, Path(path).name), "auto", self.studio.lay_first(), session, settings)

    @staticmethod
    def too_large(event: gr.EventData) -> Any:
        """A photo that the page did not even send."""
        try:
            return notice(sentence(ImageError(too_many_bytes(str(event._data["name"]), int(event._data["size"])))), "error")
        except (KeyError, TypeError, ValueError):
            return gr.skip()

    def refit(self, name: str, session: Session, settings: dict[str, Any]) -> Opening:
        """The photo fitted another way: cut to fill the canvas, or whole on white."""
        yield self.studio.only()
        if session.file and name in FITS:
            yield from self._open(session.file, FITS[name], self.studio.lay_first(), session, settings)

    def crop(self, window: tuple[float, float, float], session: Session, settings: dict[str, Any]) -> Opening:
        """A window of the photo that the visitor chose."""
        yield self.studio.only()
        if session.file:
            yield from self._open(session.file, window, self.studio.lay_first(), session, settings)

    def _open(self, file: tuple[str, str], fit: Fit, message: str, session: Session, settings: dict[str, Any]) -> Opening:
        studio = self.studio
        try:
            session.upload = studio.upload(*file, session.kept, fit)
        except ImageError as error:
            yield studio.only(message=notice(sentence(error), "error"))
            return
        session.file, session.fit = file, fit
        session.opened = session.edit + 1
        yield from studio.open(session.upload, None, message, session, seed=settings["seed"])

    def choose_window(self, session: Session) -> Any:
        """The whole photo, with the part of it that the canvas shows now, for the visitor to change."""
        height, width = self.studio.canvas
        try:
            whole = load_photo(session.file[0], (2 * height, 2 * width), "pad", session.file[1])
        except (ImageError, TypeError):
            return gr.skip()  # the file was cleared away meanwhile
        return Cropper(photo=data_url(to_pil(whole.image)), value={"window": list(session.upload.window), "n": time.time()})

    def find_at_once(self, session: Session, settings: dict[str, Any]) -> Opening:
        """After a photo was opened: its pose, unless the visitor has begun to drag the joints meanwhile."""
        yield self.studio.only()
        opened, session.opened = session.opened, 0
        if opened and session.run == EDIT * opened + STEPS:
            yield from self._found(session, settings, lambda: session.run == EDIT * opened + STEPS)

    def find(self, chosen: str | None, session: Session, settings: dict[str, Any]) -> Opening:
        """The visitor asks for it."""
        yield self.studio.only(message=notice("Looking for a person in your photo…") if chosen is None else None)
        if chosen is None:
            yield from self._found(session, settings, lambda: True)

    def _found(self, session: Session, settings: dict[str, Any], wanted: Any) -> Opening:
        studio = self.studio
        subject = studio.subject(None, session)
        try:
            pose = self.estimator.find(self._sharp(session), studio.canvas)
        except EstimatorError as error:
            if wanted():
                yield studio.only(message=notice(str(error) + studio.knows_only()))
            return
        if wanted() and session.upload is subject:
            session.upload = studio.posed(subject, pose)
            message = notice(
                "This pose was found in your photo. Where it is off, drag the joints onto the body and press “Joints fit”."
                + studio.knows_only()
            )
            yield from studio.open(session.upload, None, message, session, seed=settings["seed"])

    def settle(self, value: dict[str, Any], chosen: str | None, session: Session, settings: dict[str, Any]) -> Opening:
        """The visitor has laid the joints onto the body in the photo: from now on this is the photo's pose, and its pixels are carried."""
        yield self.studio.only()
        if chosen is not None:
            return
        subject = self.studio.subject(None, session)
        try:
            pose = formats.from_value(value).require_drawable(self.studio.canvas)
        except PoseError as error:
            yield self.studio.only(message=notice(sentence(error), "error"))
            return
        session.upload = self.studio.posed(subject, pose)
        hint = notice("The photo’s pose is known now: drag a joint, and the photo goes along." + self.studio.knows_only())
        yield from self.studio.open(session.upload, None, hint, session, seed=settings["seed"])

    def _sharp(self, session: Session) -> Any:
        """The photo as it is fitted, 3 x H x W in [-1, 1], but with more pixels for the detector where there are more."""
        height, width = self.studio.canvas
        size = (LOOK_HEIGHT, round(LOOK_HEIGHT * width / height))
        try:
            return load_photo(session.file[0], size, session.fit).image
        except (ImageError, TypeError):  # cleared away meanwhile, or kept in the browser at canvas size
            return interpolate(session.upload.person.source.cpu(), size, mode="bicubic")[0].clamp(-1, 1)

    def tools(self, chosen: str | None, session: Session) -> tuple[Any, Any, Any, Any]:
        """Which of the fits, the crop, the search for the pose and its settling make sense now; the last stands out until it was done."""
        own = chosen is None and session.upload is not None
        fitting = own and session.file is not None
        name = next((name for name, fit in FITS.items() if fit == session.fit), None)
        first = own and session.upload.person.pose is None
        settling = gr.update(visible=own and self.studio.pipeline.carrier is not None, variant="primary" if first else "secondary")
        return gr.update(visible=fitting, value=name), gr.update(visible=fitting), gr.update(visible=own), settling
