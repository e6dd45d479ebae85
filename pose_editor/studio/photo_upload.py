"""A visitor's own photo: uploaded, fitted to the canvas in one way or another, and its pose found."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from torch import Tensor
from torch.nn.functional import interpolate

from nted_step.image import Fit, ImageError, to_pil, too_many_bytes
from nted_step.pose import PoseError
from nted_step.pose_detection import LOOK_HEIGHT
from pose_editor import formats
from pose_editor.cropper import Cropper
from pose_editor.gradio_workarounds import event_payload
from pose_editor.studio.decoding import load_photo
from pose_editor.studio.events import Outputs, PoseEvents
from pose_editor.studio.pose_detector import EstimatorError, PoseEstimator
from pose_editor.studio.presentation import data_url, notice
from pose_editor.studio.session import EDIT, STEPS, Session
from pose_editor.widget import sentence

FITS = {"Auto": "auto", "Fill": "crop", "Whole": "pad"}  # what the page calls the ways to fit a photo


class PhotoUpload:
    """The events about a visitor's own photo. ``events`` are those of the tab that it is opened in."""

    def __init__(self, events: PoseEvents, estimator: PoseEstimator | None = None) -> None:
        self.events, self.studio = events, events.studio
        self.estimator = estimator or PoseEstimator()

    def given(self, path: str | None, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        """A photo was uploaded. If it cannot be used, the notice says why and everything else stays as it is."""
        yield self.events.changes()
        if path:
            yield from self._open((path, Path(path).name), "auto", session, settings)

    @staticmethod
    def too_large(event: gr.EventData) -> Any:
        """A photo that the page did not even send."""
        try:
            data = event_payload(event)
            return notice(sentence(ImageError(too_many_bytes(str(data["name"]), int(data["size"])))), "error")
        except (KeyError, TypeError, ValueError):
            return gr.skip()

    def refit(self, name: str, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        """The photo fitted another way: cropped to fill the canvas, or whole on white."""
        yield self.events.changes()
        if session.file and name in FITS:
            yield from self._open(session.file, FITS[name], session, settings)

    def crop(self, window: tuple[float, float, float], session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        """A window of the photo that the visitor chose."""
        yield self.events.changes()
        if session.file:
            yield from self._open(session.file, window, session, settings)

    def _open(self, file: tuple[str, str], fit: Fit, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        message = self.events.unknown_pose_notice()
        try:
            session.upload = self.studio.upload(*file, session.cache, fit)
        except ImageError as error:
            yield self.events.changes(message=notice(sentence(error), "error"))
            return
        session.file, session.fit = file, fit
        session.opened = session.edit + 1
        yield from self.events.open(session.upload, None, message, session, seed=settings["seed"])

    def choose_window(self, session: Session) -> Any:
        """The whole photo, with the part of it that the canvas shows now, for the visitor to change."""
        height, width = self.studio.canvas
        try:
            whole = load_photo(session.file[0], (2 * height, 2 * width), "pad", session.file[1])
        except (ImageError, TypeError):
            return gr.skip()  # the file has been deleted
        return Cropper(photo=data_url(to_pil(whole.image)), value={"window": list(session.upload.window), "n": time.time()})

    def find_at_once(self, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        """After a photo was opened: its pose, unless the visitor has begun to drag the joints."""
        yield self.events.changes()
        opened, session.opened = session.opened, 0
        run = EDIT * opened + STEPS
        if opened and session.run == run:
            yield from self._found(session, settings, lambda: session.run == run)

    def find(self, chosen: str | None, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        """The visitor asks for the pose."""
        yield self.events.changes(message=notice("Looking for a person in your photo…") if chosen is None else None)
        if chosen is None:
            yield from self._found(session, settings, lambda: True)

    def _found(self, session: Session, settings: dict[str, Any], is_wanted: Callable[[], bool]) -> Iterator[Outputs]:
        studio, events = self.studio, self.events
        subject = studio.subject(None, session)
        try:
            pose = self.estimator.find(self._sharp(session), studio.canvas)
        except EstimatorError as error:
            if is_wanted():
                yield events.changes(message=notice(str(error) + events.limits_text()))
            return
        if is_wanted() and session.upload is subject:
            session.upload = studio.posed(subject, pose)
            message = notice(
                "A pose was found in your photo. Where it is off, drag the joints onto the body and press “Joints fit”."
                + events.limits_text()
            )
            yield from events.open(session.upload, None, message, session, seed=settings["seed"])

    def settle(self, value: dict[str, Any], chosen: str | None, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        """The visitor has laid the joints onto the body: from now on this is the photo's pose, and its pixels are carried."""
        events = self.events
        yield events.changes()
        if chosen is not None:
            return
        subject = self.studio.subject(None, session)
        try:
            pose = formats.from_value(value).require_drawable(self.studio.canvas)
        except PoseError as error:
            yield events.changes(message=notice(sentence(error), "error"))
            return
        session.upload = self.studio.posed(subject, pose)
        hint = notice("The photo’s pose is set. Now drag a joint, and the photo follows." + events.limits_text())
        yield from events.open(session.upload, None, hint, session, seed=settings["seed"])

    def _sharp(self, session: Session) -> Tensor:
        """The photo as it is fitted, 3 x H x W in [-1, 1], but with more pixels for the detector where there are more."""
        height, width = self.studio.canvas
        size = (LOOK_HEIGHT, round(LOOK_HEIGHT * width / height))
        try:
            return load_photo(session.file[0], size, session.fit).image
        except (ImageError, TypeError):  # deleted, or remembered by the browser at canvas size
            return interpolate(session.upload.person.source.cpu(), size, mode="bicubic")[0].clamp(-1, 1)

    def tools(self, chosen: str | None, session: Session) -> tuple[Any, Any, Any, Any]:
        """Which of fits, crop, detection and "Joints fit" make sense now. The last is highlighted until the photo's pose is known."""
        own = chosen is None and session.upload is not None
        can_refit = own and session.file is not None
        name = next((name for name, fit in FITS.items() if fit == session.fit), None)
        first = own and session.upload.person.pose is None
        settling = gr.update(visible=own and self.studio.pipeline.carrier is not None, variant="primary" if first else "secondary")
        return gr.update(visible=can_refit, value=name), gr.update(visible=can_refit), gr.update(visible=own), settling
