"""The endpoints for programs: ``/generate``, ``/steps``, ``/tween`` and ``/trace``. Invalid input is answered with one line."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.processing_utils import hash_bytes, save_bytes_to_cache
from PIL import Image

from nted_step.image import to_pil
from nted_step.output import label
from nted_step.person import Person
from nted_step.sampler import StepOutput
from pose_editor import formats
from pose_editor.editor import PoseEditor
from pose_editor.studio import export
from pose_editor.studio.api_inputs import PhotoInput, PoseInput
from pose_editor.studio.layout import FILM_LANE
from pose_editor.studio.photo_reader import PhotoReader
from pose_editor.studio.save_events import FILM_SCALES, SaveEvents
from pose_editor.studio.studio import Studio
from pose_editor.studio.trace_events import TraceEvents
from pose_editor.studio.validation import require_integer, require_number
from pose_editor.widget import sentence

JOINTS = "Joints are in canvas pixels, OpenPose order; source_pose is the pose in the photo, which is detected where it is not given."


def report_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a ValueError into the one-line error that Gradio sends to the caller."""

    @functools.wraps(function)
    def answer(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except ValueError as error:
            raise gr.Error(sentence(error), print_exception=False) from None

    return answer


class Endpoints:
    """What programs can ask for; it is done by the studio that also serves the page."""

    def __init__(self, studio: Studio, reader: PhotoReader, cache: str) -> None:
        self.reader = reader
        self.studio, self.saving, self.tracing = studio, SaveEvents(studio), TraceEvents(studio)
        self.cache = cache  # folder for files, which the page clears from time to time

    def _person(self, photo: str | None, source_pose: dict[str, Any] | None) -> Person:
        """Whose pose is found where none is given, and stays unknown where nobody is found."""
        fitted, pose = self.reader.for_program(photo, source_pose)
        return self.studio.runner.run(self.studio.pipeline.encode, fitted, pose)

    def _outputs(
        self, photo: str, pose: dict[str, Any], seed: float, steps: float, source_pose: dict[str, Any] | None
    ) -> Iterator[StepOutput]:
        outputs = self.studio.pipeline.lend(
            self._person(photo, source_pose),
            formats.from_value(pose),
            seed=require_integer(seed, "seed"),
            steps=require_integer(steps, "steps"),
        )
        return self.studio.runner.iterate(outputs)

    def generate(
        self, photo: str, pose: dict[str, Any], seed: float, steps: float, source_pose: dict[str, Any] | None = None
    ) -> Image.Image:
        *_, last = self._outputs(photo, pose, seed, steps, source_pose)
        return to_pil(last.image)

    def steps(
        self, photo: str, pose: dict[str, Any], seed: float, steps: float, source_pose: dict[str, Any] | None = None
    ) -> list[tuple[Image.Image, str]]:
        return [(to_pil(output.image), label(output)) for output in self._outputs(photo, pose, seed, steps, source_pose)]

    def tween(
        self, photo: str, first_pose: dict[str, Any], pose: dict[str, Any], frames: float, seed: float, kind: str,
        source_pose: dict[str, Any] | None = None,
    ) -> str:  # fmt: skip
        poses = formats.from_value(first_pose), formats.from_value(pose)
        if kind not in ("gif", "mp4"):
            raise ValueError(f"kind must be gif or mp4, not {kind}")
        person, count, noise = self._person(photo, source_pose), require_integer(frames, "frames"), require_integer(seed, "seed")
        images = [*self.saving.film(person, *poses, count, noise, FILM_SCALES[kind])]
        name, _, data = export.film(images, kind, {"made_by": "NTED Step", "seed": int(seed), "frames": int(frames)})
        return self._keep(name, data)

    def _keep(self, name: str, data: bytes) -> str:
        """Path of a new file for the caller to fetch. Raises ValueError when there is no room for it."""
        with export.telling_of_room():
            try:
                return save_bytes_to_cache(data, name, self.cache)
            except OSError:
                (Path(self.cache) / hash_bytes(data) / name).unlink(missing_ok=True)  # what was written of it
                raise

    def trace(
        self,
        photo: str,
        pose: dict[str, Any],
        x: float,
        y: float,
        step: float,
        level: float,
        seed: float,
        source_pose: dict[str, Any] | None = None,
    ) -> tuple[Image.Image, Image.Image]:
        wanted = require_integer(step, "step")
        if wanted < 1:
            raise ValueError("step must be 1 or more: step 0 is noise")
        at = require_number(x, "x"), require_number(y, "y")
        person, posed = self._person(photo, source_pose), formats.from_value(pose)
        *_, before = self.studio.runner.iterate(
            self.studio.pipeline.generate(person, posed, seed=require_integer(seed, "seed"), steps=wanted - 1)
        )
        return self.tracing.trace(person, posed, before, require_integer(level, "level"), *at)[:2]


def add(studio: Studio, reader: PhotoReader) -> tuple[PoseEditor, gr.Number]:
    """Add the endpoints to the page that is being built. Hidden components define their types; those of the pose and the seed are
    returned for further endpoints."""
    run: dict[str, Any] = {"concurrency_id": "run", "concurrency_limit": 1}
    with gr.Group(visible=False):
        photo = PhotoInput(label="photo", file_types=["image"], type="filepath")
        pose, first = PoseEditor(canvas=studio.canvas, label="pose"), PoseEditor(canvas=studio.canvas, label="first_pose")
        seed, steps = gr.Number(0, label="seed"), gr.Number(studio.pipeline.config.steps, label="steps")
        source_pose = PoseInput(label="source_pose")  # the pose in the photo
        result, gallery = gr.Image(label="result", type="pil", format="png"), gr.Gallery(label="steps", type="pil", format="png")
        frames = gr.Number(12, label="frames")
        kind, film = gr.Radio(["gif", "mp4"], value="gif", label="kind"), gr.File(label="film")
        endpoints = Endpoints(studio, reader, film.GRADIO_CACHE)
        gr.Button().click(
            report_errors(endpoints.generate), [photo, pose, seed, steps, source_pose], result, api_name="generate", **run,
            api_description=f"Re-pose the person in a photo. {JOINTS}",
        )  # fmt: skip
        gr.Button().click(
            report_errors(endpoints.steps), [photo, pose, seed, steps, source_pose], gallery, api_name="steps", **run,
            api_description=f"Re-pose the person in a photo and return every step from the noisy start on. {JOINTS}",
        )  # fmt: skip
        gr.Button().click(
            report_errors(endpoints.tween), [photo, first, pose, frames, seed, kind, source_pose], film, api_name="tween",
            api_description=f"A film from one pose to another and back, every frame from the same noise. {JOINTS}", **FILM_LANE,
        )  # fmt: skip
        x, y = gr.Number(88, label="x"), gr.Number(100, label="y")
        step, level = gr.Number(studio.pipeline.config.steps, label="step"), gr.Number(0, label="level")
        glow = gr.Image(label="glow", type="pil", format="png", image_mode="RGBA")
        labels = gr.Image(label="labels", type="pil", format="png")
        gr.Button().click(
            report_errors(endpoints.trace), [photo, pose, x, y, step, level, seed, source_pose], [glow, labels], api_name="trace", **run,
            api_description="Where in the photo the pixel (x, y) of a step comes from, as a layer to put over the photo, and the map of "
            "the learned texture labels. Level 0 is the coarsest.",
        )  # fmt: skip
    return pose, seed
