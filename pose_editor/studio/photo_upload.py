"""A visitor's own photo: given, fitted to the canvas in one way or another, and its pose."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from nted_step.image import Fit, ImageError, to_pil, too_many_bytes
from nted_step.pose import PoseError
from pose_editor import formats
from pose_editor.chooser import PersonChooser
from pose_editor.cropper import Cropper
from pose_editor.editor import PoseEditor
from pose_editor.gradio_workarounds import event_payload
from pose_editor.studio.decoding import load_photo
from pose_editor.studio.events import Outputs, PoseEvents
from pose_editor.studio.photo_reader import PhotoReader, onto_window
from pose_editor.studio.presentation import data_url, notice
from pose_editor.studio.session import PhotoFile, PhotoPeople, Session, Subject
from pose_editor.widget import sentence

FITS = {"Auto": "auto", "Fill": "crop", "Whole": "pad"}  # what the page calls the ways to fit a photo
LOOKING = "Looking for people in your photo…"
FOUND = "A pose was found in your photo. Where it is off, drag the joints onto the body and press “Joints fit”."


class PhotoUpload:
    """The events about a visitor's own photo. ``events`` are those of the tab that it is opened in."""

    def __init__(self, events: PoseEvents, reader: PhotoReader | None = None) -> None:
        self.events, self.studio = events, events.studio
        self.reader = reader or PhotoReader(events.studio)

    def given(self, path: str | None, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        """A photo came. If it cannot be used, the notice says why; if it shows several people, :meth:`ask` asks whom; until then
        everything else stays as it is."""
        yield self.events.changes(message=notice(LOOKING) if path else None)
        if path:
            yield from self._read(PhotoFile(path, Path(path).name), session, settings)

    @staticmethod
    def too_large(event: gr.EventData) -> Any:
        """A photo that the page did not even send."""
        try:
            data = event_payload(event)
            return notice(sentence(ImageError(too_many_bytes(str(data["name"]), int(data["size"])))), "error")
        except (KeyError, TypeError, ValueError):
            return gr.skip()

    def _read(self, file: PhotoFile, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        session.asked = None  # of a photo before, whose people the visitor did not choose from
        try:
            given = self.reader.read(file)
        except ImageError as error:
            yield self.events.changes(message=notice(sentence(error), "error"))
            return
        if len(given.people) > 1:
            session.asked = given
            yield self.events.changes(message="")
        else:
            yield from self._open(lambda: self.reader.subject(given, session.cache), session, settings)

    @staticmethod
    def ask(session: Session) -> Any:
        """After a photo came: whom of several people it is about."""
        return PersonChooser.asking(session.asked) if session.asked else gr.skip()

    def forget(self, event: gr.EventData, session: Session) -> Any:
        """The visitor removes one of their photos."""
        session.remove_photo(str(event_payload(event)["name"]))
        return self.events.show_photos(session)

    def choose(self, person: int, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        """The visitor said whom."""
        yield self.events.changes()
        given, session.asked = session.asked, None
        if given and person < len(given.people):
            yield from self._open(lambda: self.reader.subject(given, session.cache, person), session, settings)

    def refit(self, name: str, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        """The photo fitted another way: cropped to fill the canvas, or whole on white."""
        yield self.events.changes()
        if name in FITS:
            yield from self._fit(FITS[name], session, settings)

    def crop(self, window: tuple[float, float, float], session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        """A window of the photo that the visitor chose."""
        yield self.events.changes()
        yield from self._fit(window, session, settings)

    def _fit(self, fit: Fit, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        subject = session.upload
        if subject and (given := subject.given):
            whole = subject.whole_pose
            yield from self._open(lambda: self.reader.fitted(given, session.cache, fit, whole), session, settings, session.shown)

    def _open(self, make: Callable[[], Subject], session: Session, settings: dict[str, Any], name: str | None = None) -> Iterator[Outputs]:
        """Show a photo that is made now, in place of the one with that name where one is given."""
        try:
            subject = make()
        except ImageError as error:
            yield self.events.changes(message=notice(sentence(error), "error"))
            return
        if name is not None and name in session.photos:
            session.photos[name] = subject
        else:
            name = session.add_photo(subject)
        session.shown = name
        yield from self.events.open(subject, name, self.events.picked(name, session), self._said(subject), session, seed=settings["seed"])

    def _said(self, subject: Subject) -> str:
        if subject.person.pose is not None:
            return notice(FOUND + self.events.limits_text())
        problem = subject.given.problem if subject.given else ""
        return notice(problem + self.events.limits_text()) if problem else self.events.unknown_pose_notice()

    def choose_window(self, session: Session) -> Any:
        """The whole photo, with the part of it that the canvas shows now, for the visitor to change."""
        height, width = self.studio.canvas
        subject = session.upload
        if subject is None or subject.given is None:
            return gr.skip()
        try:
            whole = load_photo(subject.given.file.source, (2 * height, 2 * width), "pad", subject.given.file.name)
        except ImageError:
            return gr.skip()  # the file has been deleted
        return Cropper(photo=data_url(to_pil(whole.image)), value={"window": list(subject.window), "n": time.time()})

    def find(self, chosen: str | None, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        """The visitor asks for the pose: as when the photo came, but on the part of it that is shown."""
        own = chosen not in self.studio.examples
        yield self.events.changes(message=notice(LOOKING) if own else None)
        if not own:
            return
        subject, session.asked = self.studio.subject(chosen, session), None
        try:
            given = self.reader.read(subject.given.file) if subject.given else None
        except ImageError as error:
            yield self.events.changes(message=notice(sentence(error), "error"))
            return
        if given is None or given.problem:
            yield self.events.changes(message=notice((given.problem if given else "") + self.events.limits_text()))
        elif len(given.people) > 1:
            session.asked = given
            yield self.events.changes(message="")
        else:
            yield from self._found(subject, given, session, settings)

    def _found(self, subject: Subject, given: PhotoPeople, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        pose = given.people[0]
        fit = subject.fit if onto_window(pose, subject.window, self.studio.large, self.studio.canvas) else "pad"
        yield from self._open(lambda: self.reader.fitted(given, session.cache, fit, pose), session, settings, session.shown)

    def settle(self, value: dict[str, Any], chosen: str | None, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        """The visitor has laid the joints onto the body: from now on this is the photo's pose, and its pixels are carried."""
        events = self.events
        yield events.changes()
        if chosen in self.studio.examples:
            return
        subject, name = self.studio.subject(chosen, session), chosen or session.shown or ""
        try:
            pose = formats.from_value(value).require_drawable(self.studio.canvas)
        except PoseError as error:
            yield events.changes(message=notice(sentence(error), "error"))
            return
        session.upload = settled = self.reader.settled(subject, pose)
        hint = notice("The photo’s pose is set. Now drag a joint, and the photo follows." + events.limits_text())
        yield from events.open(settled, name, events.picked(name, session), hint, session, seed=settings["seed"])

    def take_pose(self, path: str | None) -> Any:
        """A photo came whose pose the person shown shall take; the editor fits it to their body."""
        if not path:
            return gr.skip()
        try:
            given = self.reader.read(PhotoFile(path, Path(path).name))
        except ImageError as error:
            return PoseEditor(taken={"error": sentence(error), "n": time.time()})
        if given.problem:
            return PoseEditor(taken={"error": "No person was found in that photo; choose another one.", "n": time.time()})
        scale = self.studio.large, self.studio.canvas
        return PoseEditor(taken={"people": [formats.to_value(pose.scaled(*scale))["joints"] for pose in given.people], "n": time.time()})

    def tools(self, chosen: str | None, session: Session) -> tuple[Any, Any, Any, Any]:
        """Which of fits, crop, detection and "Joints fit" make sense now. The last is highlighted until the photo's pose is known."""
        subject = session.photos.get(chosen or session.shown or "")
        own = subject is not None and chosen not in self.studio.examples
        can_refit = own and subject.given is not None
        name = next((name for name, fit in FITS.items() if own and fit == subject.fit), None)
        first = own and subject.person.pose is None
        settling = gr.update(visible=own and self.studio.pipeline.carrier is not None, variant="primary" if first else "secondary")
        return gr.update(visible=can_refit, value=name), gr.update(visible=can_refit), gr.update(visible=own), settling
