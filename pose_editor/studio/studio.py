"""What the tabs of the page share: the weights in use, the people that can be shown, and the runs of the model."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from torch import Tensor

from nted_step.image import Fit, FittedPhoto, to_pil, to_uint8
from nted_step.person import Appearance, Person
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose, load_pose_text
from nted_step.sampler import StepOutput
from pose_editor import formats, presets
from pose_editor.studio import memory
from pose_editor.studio.decoding import load_photo, load_photos
from pose_editor.studio.model_runner import ModelRunner
from pose_editor.studio.person_cache import PersonCache
from pose_editor.studio.presentation import data_url, describe_weights, frame
from pose_editor.studio.run_frames import RunFrames
from pose_editor.studio.session import Result, Session, Subject
from pose_editor.studio.visitor_store import VisitorStore

LARGE = 4  # times the canvas's pixels, along each side, of zoomed and saved results
PREVIEW_SECONDS = 0.05  # how long a preview may compute before it shows what it has
OPENING_PRESET = "wave"  # the pose in which the first person is shown


class Studio:
    """The page's people and runs; every tab's events are about them.

    Attributes:
        canvas: (H, W) of the model's pictures.
        runner: does all work on the model.
        visitors: whose photos and results are kept.
        examples: the example people by name.
        opened: the result that the page opens with; ``opened_name``, ``opened_pose`` and ``opened_frames`` are of it.
    """

    opened: Result

    def __init__(self, pipeline: NTEDStepPipeline, examples: Path) -> None:
        self.canvas = pipeline.config.size
        self.runner = ModelRunner()
        self.visitors = VisitorStore()
        self.folder = examples
        self.use_pipeline(pipeline)

    def use_pipeline(self, pipeline: NTEDStepPipeline) -> None:
        """Work with these weights from now on. Visitors' photos are encoded again when they are next needed."""
        self.pipeline = pipeline
        self.examples = {entry["name"]: self._example(entry) for entry in _read_examples(self.folder)}
        self.opened_name, self.opened_pose, self.opened_frames = self._opening()

    def _opening(self) -> tuple[str, Pose, dict[str, Any]]:
        """Name, pose and finished viewer value of the first example in a pose of its own, so that the page opens with a result."""
        name, subject = next(iter(self.examples.items()))
        pose = presets.apply(presets.PRESETS[OPENING_PRESET], subject.pose, self.canvas)
        session = Session()
        *_, frames = self.frames(subject, pose, session, 0)
        self.opened = session.last
        return name, pose, frames

    # --- people -----------------------------------------------------------------------------------------------------

    def _example(self, entry: dict[str, str]) -> Subject:
        path = self.folder / entry.get("photo", f"{entry['name']}.png")
        photo, pose = load_photo(path, self.canvas), load_pose_text(self.folder / f"{entry['name']}.txt", self.canvas)
        large = _levels(load_photo(path, self.large)) if "photo" in entry and self.pipeline.carrier else None
        subject = self._subject(entry["title"], photo, pose, self.pipeline.encode(photo.image, pose, large))
        return replace(subject, in_photo="photo" in entry)

    @property
    def large(self) -> tuple[int, int]:
        """(H, W) of photos with LARGE times the pixels."""
        return LARGE * self.canvas[0], LARGE * self.canvas[1]

    def _subject(self, title: str, photo: FittedPhoto, pose: Pose, person: Person) -> Subject:
        return Subject(title, data_url(to_pil(photo.image)), pose, person, self.pipeline, photo.content(), photo.window())

    def upload(self, source: str | bytes, name: str, cache: PersonCache, fit: Fit = "auto") -> Subject:
        """A visitor's photo, with a standing pose fitted to where the photo is on the canvas, as its own pose is not known yet.

        Raises ImageError.
        """
        wanted = [(size, fit) for size in ([self.canvas, self.large] if self.pipeline.carrier else [self.canvas])]
        photo, *more = load_photos(source, wanted, name)
        large = _levels(more[0]) if more else None
        pose, person = presets.standing(self.canvas, photo.content()), cache.encode(self.pipeline, photo.image, None, large)
        subject = self._subject("Your photo", photo, pose, person)  # saved files do not contain the photo's file name
        return replace(subject, in_photo=True, fit=fit)

    @staticmethod
    def posed(subject: Subject, pose: Pose) -> Subject:
        """The same photo, now known to show this pose."""
        return replace(subject, pose=pose, person=subject.person.posed(pose))

    def people(self, session: Session) -> list[dict[str, str]]:
        """Everybody to choose from: the examples and the visitor's own photos, each as ``name``, ``title`` and ``picture``."""
        everybody = [*self.examples.items(), *sorted(session.photos.items())]
        return [{"name": name, "title": subject.title, "picture": subject.picture} for name, subject in everybody]

    def choices(self, session: Session) -> list[dict[str, Any]]:
        """:meth:`people` for a picker, which remembers own photos in the visitor's browser: ``own`` is how to make them again."""
        return [choice | self._own(session.photos.get(choice["name"])) for choice in self.people(session)]

    @staticmethod
    def _own(subject: Subject | None) -> dict[str, Any]:
        if subject is None or subject.given is None:
            return {}
        pose = subject.person.pose
        joints = None if pose is None else formats.to_value(pose)["joints"]
        return {"own": {"photo": subject.given.picture, "fit": subject.fit, "pose": joints}}

    def subject(self, chosen: str | None, session: Session) -> Subject:
        """An example or one of the visitor's photos by its name; without one, the photo that was posed last."""
        if chosen in self.examples:
            return self.examples[chosen]
        name = chosen or session.shown
        if name not in session.photos:
            raise gr.Error("Photos are kept for an hour, and this one has expired. Please choose it again.", print_exception=False)
        subject = session.photos[name] = self.with_current_weights(session.photos[name], session.cache)
        session.photos.move_to_end(name)
        return subject

    def with_current_weights(self, subject: Subject, cache: PersonCache) -> Subject:
        """The same photo for the weights in use, which may have changed since it was encoded."""
        if subject.pipeline is self.pipeline:
            cache.use(self.pipeline, subject.person)
            return subject
        old = subject.person
        person = cache.encode(self.pipeline, old.source[0].cpu(), old.pose, old.large)
        return replace(subject, person=person, pipeline=self.pipeline, dressed=None)  # garments were planned with the other weights

    # --- runs -------------------------------------------------------------------------------------------------------

    def steps(
        self,
        appearance: Appearance,
        pose: Pose,
        session: Session,
        run: int,
        seed: int = 0,
        *,
        preview: bool = False,
        in_photo: bool = False,
    ) -> Iterator[StepOutput]:
        """The sampler's steps until a newer run of this visitor is started; ``in_photo``: before the photo's own background."""
        outputs = (self.pipeline.generate if preview else self.pipeline.lend)(appearance, pose, seed=seed)
        shown = (replace(each, image=self.pipeline.in_photo(appearance, pose, each)) for each in outputs) if in_photo else outputs
        self.visitors.touch(session)
        yield from self.runner.iterate(shown, lambda: session.run == run)
        self.visitors.touch(session)  # textures came with the steps
        if not preview:
            memory.give_back()

    def preview_value(self, appearance: Appearance, pose: Pose, session: Session, edit: int, seed: int, *, in_photo: bool = False) -> Any:
        """The viewer's value of a preview: the furthest step that there is time for. Raises PoseError."""
        began, output = time.perf_counter(), None
        run = self.runner.claim(session, edit, preview=True)
        for output in self.steps(appearance, pose, session, run, seed, preview=True, in_photo=in_photo):
            if output.step and time.perf_counter() - began > PREVIEW_SECONDS:
                break
        if output is None or not output.step:
            return gr.skip()
        return {"edit": edit, "kind": "preview", "step": output.step, "frames": [frame(output)]}

    def frames(self, subject: Subject, pose: Pose, session: Session, edit: int, seed: int = 0) -> Iterator[dict[str, Any]]:
        """The viewer's values of a run: a growing list of frames. The newest step becomes the visitor's newest result."""
        settings = self.run_settings(subject, formats.to_value(pose)["joints"], seed)
        frames = RunFrames(edit, self.pipeline.config.steps, pose, subject.crop, settings)
        for output in self.steps(subject.appearance, pose, session, self.runner.claim(session, edit), seed, in_photo=subject.in_photo):
            frames.add(output)
            if output.step:
                session.last = Result(frames.run, subject, subject.appearance, output, edit)
            if frames.is_due():
                yield frames.value()

    def run_settings(self, subject: Subject, joints: list[list[Any]], seed: int) -> dict[str, Any]:
        """How a result was made, as saved files tell it."""
        pose = subject.person.pose
        return {
            "made_by": "NTED Step",
            "weights": describe_weights(self.pipeline),
            "weights_sha256": self.pipeline.sha256,
            "person": subject.title,
            "source_pose": None if pose is None else {"joints": formats.to_value(pose)["joints"], "from": "the page"},
            "seed": seed,
            "steps": self.pipeline.config.steps,
            "joints": joints,
        }


def _levels(photo: FittedPhoto) -> Tensor:
    """3 x H x W uint8."""
    return torch.from_numpy(to_uint8(photo.image)).permute(2, 0, 1)


def _read_examples(folder: Path) -> list[dict[str, str]]:
    return json.loads((folder / "examples.json").read_text(encoding="utf-8"))["people"]
