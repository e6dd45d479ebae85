"""The pose tab's events: what they show of a person, and the steps of a result."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from nted_step.pose import Pose, PoseError
from pose_editor import formats
from pose_editor.editor import PoseEditor
from pose_editor.picker import PhotoPicker
from pose_editor.studio.decoding import load_photo
from pose_editor.studio.photo_reader import off_window
from pose_editor.studio.presentation import notice
from pose_editor.studio.session import PhotoFile, PhotoPeople, Session, Subject
from pose_editor.studio.studio import Studio
from pose_editor.viewer import StepViewer
from pose_editor.widget import sentence

Outputs = tuple[Any, ...]  # editor, picker, notice and viewer


class PoseEvents:
    """The events of the pose tab except those of a visitor's own photo, of saving and of tracing.

    A generator yields something in any case, if only "no change": Gradio clears the outputs of one that ends without yielding.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def preview(self, value: dict[str, Any], chosen: str | None, session: Session, settings: dict[str, Any]) -> Any:
        """While a joint is dragged: the furthest step that there is time for. Never raises, because that would end the drag."""
        try:
            subject, pose = self.studio.subject(chosen, session), formats.from_value(value)
            return self.studio.preview_value(subject.person, pose, session, value["edit"], settings["seed"], in_photo=subject.in_photo)
        except (PoseError, gr.Error):
            return gr.skip()  # the release that follows says what is wrong

    def released(self, value: dict[str, Any], session: Session) -> None:
        """A change of the pose is finished. Handled at once, while the run for it still waits for its turn."""
        self.studio.runner.announce(session, value["edit"])

    def opening_other(self, session: Session) -> None:
        """Another person was chosen. Handled at once, while the run for that person still waits for its turn."""
        self.studio.runner.announce(session, session.edit + 1)

    def stop(self, session: Session) -> None:
        self.studio.runner.stop(session)

    def render(self, value: dict[str, Any], chosen: str | None, session: Session, settings: dict[str, Any]) -> Iterator[Any]:
        """A change of the pose is finished: all steps, as they come."""
        edit = value["edit"]
        try:
            subject, pose = self.studio.subject(chosen, session), formats.from_value(value)
            yield from self.studio.frames(subject, pose, session, edit, settings["seed"])
        except PoseError as error:
            yield {"edit": edit, "kind": "refused", "says": sentence(error)}

    def open_example(self, chosen: str | None, session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        """Somebody else was chosen: the photo with its own pose, then the steps."""
        if not chosen:
            yield self.changes()
            return
        subject = self.studio.subject(chosen, session)
        if chosen in session.photos:
            session.shown = chosen
        hint = self.unknown_pose_notice() if subject.person.pose is None else ""
        yield from self.open(subject, gr.skip(), hint, session, seed=settings["seed"])  # the picker shows it already, or another by now

    def restore(self, settings: dict[str, Any], session: Session) -> Iterator[Outputs]:
        """Person, pose, seed and step that the visitor's browser remembered, or that came with a link."""
        saved = settings.get("restore")
        if not saved:
            yield self.changes()
            return
        try:
            subject = self._saved_subject(saved, session)
            pose = formats.from_value({"joints": saved["joints"]}).require_drawable(self.studio.canvas)
        except (ValueError, KeyError):
            yield self.changes(message=notice("This link or saved state cannot be read, so the page starts from scratch.", "error"))
            return
        hint = self.unknown_pose_notice() if subject.person.pose is None else ""
        picker = saved["person"] or self.picked(session.shown, session)
        opened = self.open(subject, picker, hint, session, pose, settings["seed"])
        yield next(opened)
        for *same, frames in opened:
            yield *same, frames | {"at": saved["step"]}

    def _saved_subject(self, saved: dict[str, Any], session: Session) -> Subject:
        studio = self.studio
        if saved["person"] is not None:
            return studio.examples[saved["person"]]
        head, _, data = (saved["photo"] or "").partition(",")
        if not head.startswith("data:image/webp;base64"):
            raise ValueError("no photo was saved")
        file = PhotoFile(base64.b64decode(data), "Your photo")
        subject = studio.upload(file.source, file.name, session.cache, saved["fit"])
        whole = load_photo(file.source, studio.large, "pad", file.name).content()
        subject = replace(subject, given=PhotoPeople(file, saved["photo"], whole))
        if saved["photo_pose"] is not None:
            pose = formats.from_value({"joints": saved["photo_pose"]}).require_drawable(studio.canvas)
            whole_pose = off_window(pose, subject.window, studio.large, studio.canvas, None)
            subject = replace(studio.posed(subject, pose), whole_pose=whole_pose)
        session.shown = session.add_photo(subject)
        return subject

    def picked(self, name: str | None, session: Session) -> PhotoPicker:
        """The picker with the visitor's photos as they are now, and one of them chosen."""
        return PhotoPicker(choices=self.studio.people(session), value=name)

    def show_photos(self, session: Session) -> PhotoPicker:
        """The tab is opened again: the photos that were given meanwhile are there, too."""
        return PhotoPicker(choices=self.studio.people(session))

    def open(
        self, subject: Subject, picker: Any, message: str, session: Session, pose: Pose | None = None, seed: int = 0
    ) -> Iterator[Outputs]:
        """Everything about a new person, then the viewer alone as the steps come."""
        edit = session.edit + 1
        pose, known = pose or subject.pose, subject.person.pose
        editor = PoseEditor(
            value=formats.to_value(pose, edit),
            photo=subject.picture,
            rest=formats.to_value(subject.pose),
            known=None if known is None else formats.to_value(known),
            own=None if subject.given is None else {"photo": subject.given.picture, "fit": subject.fit},
        )
        yield editor, picker, message, StepViewer(source=subject.picture)
        for frames in self.studio.frames(subject, pose, session, edit, seed):
            yield self.changes(viewer=frames)

    @staticmethod
    def changes(message: Any = None, viewer: Any = None) -> Outputs:
        """Outputs of which at most the notice and the viewer change."""
        return gr.skip(), gr.skip(), gr.skip() if message is None else message, viewer or gr.skip()

    def unknown_pose_notice(self) -> str:
        """What to do first with a photo whose pose is not known."""
        return notice("Drag the joints onto the body in your photo and press “Joints fit”; then pose it." + self.limits_text())

    def limits_text(self) -> str:
        """What the weights cannot do, for visitors who bring a photo of their own; begins with a space, or is empty."""
        limits = self.studio.pipeline.training.get("limits")
        return f" {limits}" if limits else ""
