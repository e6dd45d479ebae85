"""The pose tab's events: what they show of a person, and the steps of a result."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from nted_step.pose import Pose, PoseError
from pose_editor import formats
from pose_editor.editor import PoseEditor
from pose_editor.picker import PhotoPicker
from pose_editor.pose_transfer import transferred
from pose_editor.studio.decoding import load_photo
from pose_editor.studio.photo_reader import off_window
from pose_editor.studio.presentation import notice
from pose_editor.studio.session import PHOTO_NAMES, PhotoFile, PhotoPeople, Session, Subject
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
            return self.studio.preview_value(subject.appearance, pose, session, value["edit"], settings["seed"], in_photo=subject.in_photo)
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

    def open_example(self, chosen: str | None, value: dict[str, Any], session: Session, settings: dict[str, Any]) -> Iterator[Outputs]:
        """Somebody else was chosen: the photo, with the pose that was made for the person before, if one was; then the steps."""
        if not chosen:
            yield self.changes()
            return
        subject = self.studio.subject(chosen, session)
        if chosen in session.photos:
            session.shown = chosen
        hint = self.unknown_pose_notice() if subject.person.pose is None else ""
        pose = self.pose_made(value, chosen, session)
        picker = gr.skip()  # it shows whom already, or another by now
        yield from self.open(subject, chosen, picker, hint, session, pose, settings["seed"])

    def pose_made(self, value: dict[str, Any], chosen: str, session: Session) -> Pose | None:
        """The editor's pose as it is, if it was made for whom is ``chosen``; else for that body, unless it is just the pose that
        somebody has in the photo."""
        subject, pose = self.studio.subject(chosen, session), formats.from_value(value)
        if value.get("person") == chosen:
            return pose
        own = [*self.studio.examples.values(), *session.photos.values()]
        if subject.person.pose is None or not pose.visible.any() or any(pose.near(other.pose) for other in own):
            return None
        return transferred(pose, subject.pose, self.studio.canvas)

    def restore(self, settings: dict[str, Any], session: Session) -> Iterator[Outputs]:
        """Person, pose, seed and step that the visitor's browser remembered, or that came with a link."""
        saved = settings.get("restore")
        if not saved:
            yield self.changes()
            return
        name, photos = saved["person"], {each["name"]: each for each in saved["photos"]}
        try:
            if name in photos:
                session.shown = self._restore_photo(photos.pop(name), session)
            subject = self._known(name, session)
            pose = formats.from_value({"joints": saved["joints"]}).require_drawable(self.studio.canvas)
        except ValueError:
            yield self.changes(message=notice("This link or saved state cannot be read, so the page starts from scratch.", "error"))
            return
        hint = self.unknown_pose_notice() if subject.person.pose is None else ""
        yield from self.open(subject, name, self.picked(name, session), hint, session, pose, settings["seed"])
        if photos:  # the other ones can wait for the result
            for photo in photos.values():
                with contextlib.suppress(ValueError):
                    self._restore_photo(photo, session)
            yield gr.skip(), self.show_photos(session), gr.skip(), gr.skip()

    def _known(self, name: str, session: Session) -> Subject:
        if name not in self.studio.examples and name not in session.photos:
            raise ValueError(f"nobody is called {name}")
        return self.studio.subject(name, session)

    def _restore_photo(self, saved: dict[str, Any], session: Session) -> str:
        """A photo that the visitor's browser remembered, under the name that it had. Raises ValueError."""
        studio, name = self.studio, saved["name"]
        head, _, data = saved["photo"].partition(",")
        if not head.startswith("data:image/webp;base64") or name not in PHOTO_NAMES:
            raise ValueError("no photo was saved")
        file = PhotoFile(base64.b64decode(data), "Your photo")
        subject = studio.upload(file.source, file.name, session.cache, saved["fit"])
        whole = load_photo(file.source, studio.large, "pad", file.name).content()
        subject = replace(subject, given=PhotoPeople(file, saved["photo"], whole))
        if saved["pose"] is not None:
            pose = formats.from_value({"joints": saved["pose"]}).require_drawable(studio.canvas)
            whole_pose = off_window(pose, subject.window, studio.large, studio.canvas, None)
            subject = replace(studio.posed(subject, pose), whole_pose=whole_pose)
        session.photos[name] = subject
        session.photo_count += 1
        return name

    def picked(self, name: str | None, session: Session) -> PhotoPicker:
        """The picker with the visitor's photos as they are now, and one of them chosen."""
        return PhotoPicker(choices=self.studio.choices(session), value=name)

    def show_photos(self, session: Session) -> PhotoPicker:
        """The tab is opened again: the photos that were given meanwhile are there, too."""
        return PhotoPicker(choices=self.studio.choices(session))

    def open(
        self, subject: Subject, name: str, picker: Any, message: str, session: Session, pose: Pose | None = None, seed: int = 0
    ) -> Iterator[Outputs]:
        """Everything about a new person, whom the picker calls ``name``, then the viewer alone as the steps come."""
        edit = session.edit + 1
        pose = pose or subject.pose
        editor = PoseEditor(
            value=formats.to_value(pose, edit),
            photo=subject.picture,
            person=name,
            rest=formats.to_value(subject.pose),
        )
        yield editor, picker, message, StepViewer(source=subject.picture, front="photo" if subject.person.pose is None else "result")
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
