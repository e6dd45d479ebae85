"""What the page's events do: plain functions of the pipeline, the examples and a visitor's session."""

from __future__ import annotations

import base64
import contextvars
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from nted_step.image import Fit, FittedPhoto, load_photo, to_pil, to_tensor, to_uint8
from nted_step.person import Appearance, Person
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose, PoseError, load_pose_text
from nted_step.sampler import StepOutput
from pose_editor import formats, presets
from pose_editor.editor import PoseEditor
from pose_editor.studio import export, tracing
from pose_editor.studio.api import whole
from pose_editor.studio.interpolation import tween
from pose_editor.studio.person_cache import KeptPeople
from pose_editor.studio.presentation import about, data_url, frame, notice
from pose_editor.studio.run_frames import Reel
from pose_editor.studio.session import EDIT, PREVIEW, STEPS, Result, Session, Subject
from pose_editor.viewer import StepViewer
from pose_editor.widget import sentence

LARGE = 4  # times the canvas's pixels, along each side, of zoomed and saved results
PREVIEW_SECONDS = 0.05  # how long a preview may think before it shows what it has
OPENING = "wave"  # the preset in which the first person is shown


class ModelThread:
    """Does the model's work, one piece at a time: two at once would only slow each other down.

    Always the same thread, because OpenMP keeps a team of threads for each thread that computes; with more of them than cores
    they sleep between two operations, and every operation waits until they are awake.
    """

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="model")

    def __call__(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return self.pool.submit(contextvars.copy_context().run, work, *arguments).result()  # gradio's request goes along


class Studio:
    """Everything the page's events do: plain functions of the pipeline, the examples and a visitor's session."""

    def __init__(self, pipeline: NTEDStepPipeline, examples: Path) -> None:
        self.canvas = pipeline.config.size
        self.model = ModelThread()
        self.claims = threading.Lock()
        self.folder = examples
        self.take(pipeline)

    def take(self, pipeline: NTEDStepPipeline) -> None:
        """Work with these weights from now on. What visitors uploaded is encoded anew when it is next asked for."""
        self.pipeline = pipeline
        self.examples = {entry["name"]: self._example(self.folder, entry) for entry in _read_examples(self.folder)}
        self.opened_name, self.opened_pose, self.opened_frames = self.opening()

    def _example(self, folder: Path, entry: dict[str, str]) -> Subject:
        photo = load_photo(folder / f"{entry['name']}.png", self.canvas)
        pose = load_pose_text(folder / f"{entry['name']}.txt", self.canvas)
        return self._subject(entry["title"], photo, pose, self.pipeline.encode(photo.image, pose))

    def _subject(self, title: str, photo: FittedPhoto, pose: Pose, person: Person) -> Subject:
        return Subject(title, data_url(to_pil(photo.image)), pose, person, self.pipeline, photo.content(), photo.window())

    def upload(self, source: str | bytes, name: str, kept: KeptPeople, fit: Fit = "auto") -> Subject:
        """A visitor's photo, with a standing pose fitted to where the photo is on the canvas: nobody knows yet which pose it shows.

        Raises ImageError.
        """
        photo, large = load_photo(source, self.canvas, fit, name), None
        if self.pipeline.carrier:
            height, width = self.canvas
            large = torch.from_numpy(to_uint8(load_photo(source, (LARGE * height, LARGE * width), fit, name).image)).permute(2, 0, 1)
        pose, person = presets.standing(self.canvas, photo.content()), kept.encode(self.pipeline, photo.image, None, large)
        return self._subject("Your photo", photo, pose, person)  # a saved file does not tell its name

    @staticmethod
    def posed(subject: Subject, pose: Pose) -> Subject:
        """The same photo, of which it is known now that it shows this pose."""
        return replace(subject, pose=pose, person=subject.person.posed(pose))

    def subject(self, chosen: str | None, session: Session) -> Subject:
        """The person on the visitor's page: the chosen example, or else the uploaded photo."""
        if chosen:
            return self.examples[chosen]
        if session.upload is None:
            raise gr.Error("Photos are kept for an hour, and this one is forgotten. Please choose it again.", print_exception=False)
        session.upload = self.current(session.upload, session.kept)
        return session.upload

    def current(self, subject: Subject, kept: KeptPeople) -> Subject:
        """The same photo as the weights in use see it, which may have been changed meanwhile."""
        if subject.pipeline is self.pipeline:
            kept.use(self.pipeline, subject.person)
            return subject
        old = subject.person
        return replace(subject, person=kept.encode(self.pipeline, old.source[0].cpu(), old.pose, old.large), pipeline=self.pipeline)

    def announce(self, session: Session, edit: int) -> None:
        """A newer edit is waiting in the queue: whatever runs for an older one ends at its next step."""
        with self.claims:
            session.run = max(session.run, EDIT * edit)

    def claim(self, session: Session, edit: int, *, preview: bool = False) -> int:
        """Make this the visitor's only run and return its number, or 0 when it comes too late.

        A newer edit goes before an older one, and of the same edit all steps go before a preview.
        """
        run = EDIT * edit + (PREVIEW if preview else STEPS)
        with self.claims:
            if run <= session.run:
                return 0
            session.edit, session.run = edit, run
            return run

    def stop(self, session: Session) -> None:
        """Whatever runs for this visitor ends at its next step; the next edit runs as ever."""
        with self.claims:
            session.run += 1

    def steps(
        self, person: Appearance, pose: Pose, session: Session, run: int, seed: int = 0, *, preview: bool = False
    ) -> Iterator[StepOutput]:
        """Sampler steps as long as no newer run wants the model, which is free between two steps."""
        outputs = (self.pipeline.generate if preview else self.pipeline.lend)(person, pose, seed=seed)
        while session.run == run:
            output = self.model(next, outputs, None)
            if output is None:
                return
            yield output

    def preview(self, value: dict[str, Any], chosen: str | None, session: Session, settings: dict[str, Any]) -> Any:
        """While a joint is dragged: the furthest step that fits in a moment. Never raises: that would end the drag."""
        try:
            person, pose = self.subject(chosen, session).person, formats.from_value(value)
            return self.glance(person, pose, session, value["edit"], settings["seed"])
        except (PoseError, gr.Error):
            return gr.skip()  # the release that follows says what is wrong

    def glance(self, person: Appearance, pose: Pose, session: Session, edit: int, seed: int) -> Any:
        """The furthest step that fits in a moment, for the viewer; nothing where something newer came in between. Raises PoseError."""
        began, output = time.perf_counter(), None
        for output in self.steps(person, pose, session, self.claim(session, edit, preview=True), seed, preview=True):
            if output.step and time.perf_counter() - began > PREVIEW_SECONDS:
                break
        if output is None or not output.step:
            return gr.skip()
        return {"edit": edit, "kind": "preview", "step": output.step, "frames": [frame(output)]}

    def released(self, value: dict[str, Any], session: Session) -> None:
        """At once, while the run for this change still waits for its turn."""
        self.announce(session, value["edit"])

    def opening_other(self, session: Session) -> None:
        """At once, while the run for the newly chosen person still waits for its turn."""
        self.announce(session, session.edit + 1)

    def render(self, value: dict[str, Any], chosen: str | None, session: Session, settings: dict[str, Any]) -> Iterator[Any]:
        """When a change is finished: all steps, each sent as soon as it is there."""
        edit = value["edit"]
        try:
            yield from self._frames(self.subject(chosen, session), formats.from_value(value), session, edit, settings["seed"])
        except PoseError as error:
            yield {"edit": edit, "kind": "refused", "says": sentence(error)}

    def _frames(self, subject: Subject, pose: Pose, session: Session, edit: int, seed: int = 0) -> Iterator[dict[str, Any]]:
        """A growing list of frames for the viewer: with step 1 (and the noise of step 0) at once, then in small groups."""
        made = self.made(subject, formats.to_value(pose)["joints"], seed)
        reel = Reel(edit, self.pipeline.config.steps, pose, subject.crop, made)
        for output in self.steps(subject.person, pose, session, self.claim(session, edit), seed):
            reel.add(output)
            if output.step:
                session.last = Result(reel.run, subject, subject.person, output, edit)
            if reel.due():
                yield reel.value()

    def made(self, subject: Subject, joints: list[list[Any]], seed: int) -> dict[str, Any]:
        """What a saved file says about how it was made."""
        steps = self.pipeline.config.steps
        made = {"made_by": "NTED Step", "weights": about(self.pipeline), "weights_sha256": self.pipeline.sha256}
        pose = subject.person.pose
        source_pose = None if pose is None else {"joints": formats.to_value(pose)["joints"], "from": "the page"}
        return made | {"person": subject.title, "source_pose": source_pose, "seed": seed, "steps": steps, "joints": joints}

    def save(self, value: dict[str, Any], chosen: str | None, session: Session, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The visitor's newest result as a file to download, or a film from the photo's pose to the editor's."""
        result, wanted = session.last or self.opened, settings["save"]
        run = result.run
        try:
            if wanted["kind"].startswith("film"):
                subject, frames, images = self.subject(chosen, session), wanted["frames"], []
                for image in self.film(subject.person, subject.pose, formats.from_value(value), frames, settings["seed"]):
                    images.append(image)
                    yield {"said": f"Making the film: {len(images)} of {frames} poses…"}
                made = self.made(subject, value["joints"], settings["seed"]) | {"film_poses": frames}
                name, mime, data = export.film(images, wanted["kind"].removeprefix("film-"), made)
            elif wanted["kind"] in export.LARGE:
                name, mime, data = export.large(run, wanted["kind"], *self.model(self.enlarged, result))
            else:
                name, mime, data = export.save(run, wanted["kind"], wanted["step"])
        except ValueError as error:
            yield {"said": sentence(error)}
            return
        url = f"data:{mime};base64,{base64.b64encode(data).decode()}"
        yield {"name": name, "url": url, "n": time.time()}  # a new value each time, else the second click does nothing

    def enlarged(self, result: Result) -> tuple[Image.Image, Tensor | None]:
        """A finished result with LARGE times the canvas's pixels, and the person's mask H x W, or None where nothing is carried."""
        height, width = self.canvas
        image, mask = self.pipeline.enlarge(result.person, result.run.pose, result.output, (LARGE * height, LARGE * width))
        return to_pil(image), mask

    def zoomed(self, session: Session) -> Any:
        """The viewer looks closely at the newest result: the same with more pixels."""
        result = session.last or self.opened
        if result.output.step < self.pipeline.config.steps or result.subject.pipeline is not self.pipeline:
            return gr.skip()
        return StepViewer(zoomed={"edit": result.edit, "url": data_url(self.model(self.enlarged, result)[0])})

    def film(self, person: Appearance, first: Pose, last: Pose, frames: int, seed: int) -> Iterator[Image.Image]:
        """The last step of every pose on the way from one to the other, all from the same noise. Raises ValueError."""
        for pose in tween(first, last, frames):
            for output in self.locked(self.pipeline.generate(person, pose, seed=seed)):
                image = output.image
            yield to_pil(image)

    def locked(self, outputs: Iterator[StepOutput]) -> Iterator[StepOutput]:
        """The same steps, leaving the model to others between two of them."""
        while True:
            output = self.model(next, outputs, None)
            if output is None:
                return
            yield output

    def traced(self, session: Session, event: gr.EventData) -> Any:
        """A pixel of the result was clicked: where in the photo it comes from, and the texture labels."""
        result = session.last or self.opened
        try:
            clicked = event._data
            step, level = whole(clicked["step"], "step"), whole(clicked["level"], "level")
            subject, before = result.subject, StepOutput(step - 1, (0, 0), to_tensor(result.run.images[step - 1]), 0.0)
            if subject.pipeline is not self.pipeline:
                return gr.skip()  # other weights are in use, and their first result is on its way
            at = (clicked["x"], clicked["y"])
            glow, labels, everywhere = self.trace(subject.person, result.run.pose, before, level, *at)
            place = self.model(self.place, result, at)
        except (KeyError, IndexError, TypeError, ValueError):
            return gr.skip()  # a click on a picture that is no longer there
        shown = glow if place is None else tracing.spot(place, self.canvas)
        return StepViewer(
            traced={
                "glow": data_url(shown),
                "labels": data_url(labels),
                "everywhere": everywhere and place is None,
                "place": place,
                "edit": result.edit,
            }
        )

    def place(self, result: Result, at: tuple[float, float]) -> tuple[float, float] | None:
        """(x, y) in the photo, in canvas pixels, that a pixel of a result is carried from; None where it is rendered."""
        carried, places = result.person.carried(result.run.pose), result.subject.person.places(result.run.pose)
        if carried is None or places is None:
            return None
        height, width = self.canvas
        column, row = min(int(at[0]), width - 1), min(int(at[1]), height - 1)
        if carried.alpha[0, 0, row, column] < 0.5:
            return None
        h, w = places.place.shape[-2:]
        x, y = places.place[0, :, row * h // height, column * w // width].tolist()
        return (x + 1) / 2 * width, (y + 1) / 2 * height

    def trace(
        self, person: Person, pose: Pose, before: StepOutput, level: int, x: float, y: float
    ) -> tuple[Image.Image, Image.Image, bool]:
        """(glow, label map, whether the pixel looked everywhere alike), see :mod:`pose_editor.studio.tracing`. Raises ValueError."""
        height, width = self.canvas
        if not (0 <= x <= width and 0 <= y <= height):
            raise ValueError(f"x, y must lie on the {width}x{height} canvas, not ({x:g}, {y:g})")
        maps = [each.numpy() for each in self.model(self.pipeline.trace, person, pose, before, level)]
        where = (*maps, (x, y), self.canvas)
        return tracing.glow(*where), tracing.label_map(maps[0], self.canvas), tracing.everywhere(*where)

    def levels(self) -> list[list[int]]:
        """(h, w) of the maps that can be traced, coarsest first."""
        config, (height, width) = self.pipeline.config, self.canvas
        return [[level, level * width // height] for level in config.levels if config.labels[level]]

    def restore(self, settings: dict[str, Any], session: Session) -> Iterator[tuple[Any, ...]]:
        """What was kept in the visitor's browser, or came with a link: person, pose, seed and step."""
        kept = settings.get("restore")
        if not kept:
            yield self.only()
            return
        try:
            subject = self._kept_subject(kept, session)
            pose = formats.from_value({"joints": kept["joints"]}).require_drawable(self.canvas)
        except (ValueError, KeyError):
            yield self.only(message=notice("This link or saved state cannot be read, so the page starts afresh.", "error"))
            return
        hint = self.lay_first() if subject is session.upload and subject.person.pose is None else ""
        opened = self.open(subject, kept["person"], hint, session, pose, settings["seed"])
        yield next(opened)
        for *same, frames in opened:
            yield *same, frames | {"at": kept["step"]}

    def _kept_subject(self, kept: dict[str, Any], session: Session) -> Subject:
        if kept["person"] is not None:
            return self.examples[kept["person"]]
        head, _, data = (kept["photo"] or "").partition(",")
        if not head.startswith("data:image/webp;base64"):
            raise ValueError("no photo was kept")
        session.upload = self.upload(base64.b64decode(data), "Your photo", session.kept)
        if kept["photo_pose"] is not None:
            session.upload = self.posed(session.upload, formats.from_value({"joints": kept["photo_pose"]}).require_drawable(self.canvas))
        return session.upload

    def open_example(self, chosen: str | None, session: Session, settings: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Another example was picked: show the photo with its own pose, then its steps."""
        if not chosen:
            yield self.only()
            return
        opened = self.open(self.subject(chosen, session), chosen, "", session, seed=settings["seed"])
        editor, _, *others = next(opened)
        yield editor, gr.skip(), *others  # the picker shows it already, and by now maybe another one
        yield from opened

    def open(
        self, subject: Subject, chosen: str | None, message: str, session: Session, pose: Pose | None = None, seed: int = 0
    ) -> Iterator[tuple[Any, ...]]:
        """Editor, picker, notice and viewer for a new person, then the viewer alone as steps arrive."""
        edit = session.edit + 1
        pose = pose or subject.pose
        value, rest, said = formats.to_value(pose, edit), formats.to_value(subject.pose), subject.person.pose
        known = None if said is None else formats.to_value(said)
        editor = PoseEditor(value=value, photo=subject.picture, rest=rest, known=known)
        yield editor, chosen, message, StepViewer(source=subject.picture)
        for frames in self._frames(subject, pose, session, edit, seed):
            yield self.only(viewer=frames)

    @staticmethod
    def only(message: Any = None, viewer: Any = None) -> tuple[Any, ...]:
        """What :meth:`open` yields when just one part of it changes."""
        return gr.skip(), gr.skip(), message or gr.skip(), viewer or gr.skip()

    def lay_first(self) -> str:
        """A notice for a photo of which nobody knows the pose yet: what to do first."""
        return notice("Drag the joints onto the body in your photo and press “Joints fit”; then pose it." + self.knows_only())

    def knows_only(self) -> str:
        """What the weights were trained on, as a warning to whoever brings something else."""
        limits = self.pipeline.training.get("limits")
        return f" {limits}" if limits else ""

    def opening(self) -> tuple[str, Pose, dict[str, Any]]:
        """The first example in a pose of its own and all its steps, so that the page opens with a result."""
        name, subject = next(iter(self.examples.items()))
        pose = presets.apply(presets.PRESETS[OPENING], subject.pose, self.canvas)
        session = Session()
        *_, frames = self._frames(subject, pose, session, 0)
        self.opened = session.last
        return name, pose, frames


def _read_examples(folder: Path) -> list[dict[str, str]]:
    return json.loads((folder / "examples.json").read_text(encoding="utf-8"))["people"]
