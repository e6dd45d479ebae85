"""The page: choose a person, drag the joints, watch the person take the new pose step by step.

    python app.py [--weights FOLDER_OR_HUB_REPO[@REVISION]] [--device auto] [--port 7860]
"""

from __future__ import annotations

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import argparse
import base64
import html
import io
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from nted_step.image import MAX_BYTES, FittedPhoto, ImageError, load_photo, to_pil
from nted_step.pipeline import DEVICES, DTYPES, NTEDStepPipeline, Person
from nted_step.pose import Pose, PoseError, load_pose_text
from nted_step.sampler import StepOutput
from pose_editor import PoseEditor, formats, presets
from pose_editor.component import sentence
from pose_editor.picker import PhotoPicker
from pose_editor.viewer import StepViewer

ROOT = Path(__file__).parent
WEIGHTS = ROOT / "assets" / "weights" / "lite"
EXAMPLES = ROOT / "assets" / "examples"

PREVIEW_SECONDS = 0.12  # how long a preview may think before it shows what it has
WAITING = 32  # runs that may wait in the queue; more are refused
SESSIONS = 64  # visitors whose photo is kept in memory
IDLE_SECONDS = 3600  # after which a visitor's photo is forgotten
LOSSLESS_HEIGHT = 130  # frames up to this height are shown as squares, where lossy compression would be seen
OPENING = "wave"  # the preset in which the first person is shown


@dataclass(frozen=True)
class Subject:
    """A person on the page: the photo as fitted, its own pose, and the model's view of it."""

    title: str
    picture: str  # data URL of the fitted photo
    pose: Pose
    person: Person


@dataclass
class Session:
    """What the server keeps for one visitor."""

    upload: Subject | None = None
    edit: int = 0  # newest edit that was run
    run: int = 0  # what runs for this visitor, see Studio.claim; everything else stops


class Studio:
    """Everything the page's events do: plain functions of the pipeline, the examples and a visitor's session."""

    def __init__(self, pipeline: NTEDStepPipeline, examples: Path = EXAMPLES) -> None:
        self.pipeline = pipeline
        self.canvas = pipeline.config.size
        self.model = threading.Lock()  # one step at a time: two at once would only slow each other down
        self.claims = threading.Lock()
        self.examples = {entry["name"]: self._example(examples, entry) for entry in _read_examples(examples)}

    def _example(self, folder: Path, entry: dict[str, str]) -> Subject:
        photo = load_photo(folder / f"{entry['name']}.png", self.canvas)
        pose = load_pose_text(folder / f"{entry['name']}.txt", self.canvas)
        return self._subject(entry["title"], photo, pose)

    def _subject(self, title: str, photo: FittedPhoto, pose: Pose) -> Subject:
        return Subject(title, data_url(to_pil(photo.image)), pose, self.pipeline.encode(photo.image))

    def upload(self, path: str, name: str) -> Subject:
        """A visitor's photo, with a standing pose fitted to where the photo is on the canvas. Raises ImageError."""
        photo = load_photo(path, self.canvas, name=name)
        return self._subject(name, photo, presets.standing(self.canvas, photo.content()))

    def subject(self, chosen: str | None, session: Session) -> Subject:
        """The person on the visitor's page: the chosen example, or else the uploaded photo."""
        subject = self.examples[chosen] if chosen else session.upload
        if subject is None:
            raise gr.Error("This page was left alone for long and its photo is forgotten. Please choose it again.")
        return subject

    def announce(self, session: Session, edit: int) -> None:
        """A newer edit is waiting in the queue: whatever runs for an older one ends at its next step."""
        with self.claims:
            session.run = max(session.run, 3 * edit)

    def claim(self, session: Session, edit: int, *, preview: bool = False) -> int:
        """Make this the visitor's only run and return its number, or 0 when it comes too late.

        A newer edit goes before an older one, and of the same edit all steps go before a preview.
        """
        run = 3 * edit + (1 if preview else 2)
        with self.claims:
            if run <= session.run:
                return 0
            session.edit, session.run = edit, run
            return run

    def steps(self, subject: Subject, pose: Pose, session: Session, run: int) -> Iterator[StepOutput]:
        """Sampler steps as long as no newer run wants the model, which is free between two steps."""
        outputs = self.pipeline.generate(subject.person, pose)
        while session.run == run:
            with self.model:
                output = next(outputs, None)
            if output is None:
                return
            yield output

    def preview(self, value: dict[str, Any], chosen: str | None, session: Session) -> Any:
        """While a joint is dragged: the furthest step that fits in a moment. Never raises: that would end the drag."""
        try:
            subject, pose = self.subject(chosen, session), formats.from_value(value)
            began, output = time.perf_counter(), None
            for output in self.steps(subject, pose, session, self.claim(session, value["edit"], preview=True)):
                if output.step and time.perf_counter() - began > PREVIEW_SECONDS:
                    break
        except (PoseError, gr.Error):
            return gr.skip()  # the release that follows says what is wrong
        if output is None or not output.step:
            return gr.skip()  # something newer came in between
        return {"edit": value["edit"], "kind": "preview", "step": output.step, "frames": [frame(output)]}

    def released(self, value: dict[str, Any], session: Session) -> None:
        """At once, while the run for this change still waits for its turn."""
        self.announce(session, value["edit"])

    def opening_other(self, session: Session) -> None:
        """At once, while the run for the newly chosen person still waits for its turn."""
        self.announce(session, session.edit + 1)

    def render(self, value: dict[str, Any], chosen: str | None, session: Session) -> Iterator[Any]:
        """When a change is finished: all steps, each sent as soon as it is there."""
        yield from self._frames(self.subject(chosen, session), pose_of(value), session, value["edit"])

    def _frames(self, subject: Subject, pose: Pose, session: Session, edit: int) -> Iterator[dict[str, Any]]:
        """A growing list of frames for the viewer. The noise of step 0 is sent along with step 1, not on its own."""
        frames: list[str] = []
        try:
            for output in self.steps(subject, pose, session, self.claim(session, edit)):
                frames.append(frame(output))
                if output.step:
                    yield {"edit": edit, "kind": "steps", "frames": list(frames)}
        except PoseError as error:
            raise gr.Error(sentence(error), print_exception=False) from None

    def open_example(self, chosen: str | None, session: Session) -> Iterator[tuple[Any, ...]]:
        """Another example was picked: show the photo with its own pose, then its steps."""
        if chosen:
            yield from self._open(self.subject(chosen, session), chosen, "", session)

    def open_upload(self, path: str | None, session: Session) -> Iterator[tuple[Any, ...]]:
        """A photo was given. If it cannot be used, say so beside the button and leave everything as it is."""
        if not path:
            return
        name = Path(path).name
        try:
            session.upload = self.upload(path, name)
        except ImageError as error:
            yield gr.skip(), gr.skip(), notice(sentence(error), "error"), gr.skip()
            return
        hint = "Drag the joints onto the body in your photo, then pose it." + self._knows_only()
        yield from self._open(session.upload, None, notice(hint), session)

    def _open(self, subject: Subject, chosen: str | None, message: str, session: Session) -> Iterator[tuple[Any, ...]]:
        """Editor, picker, notice and viewer for a new person, then the viewer alone as steps arrive."""
        edit = session.edit + 1
        value = formats.to_value(subject.pose, edit)
        yield PoseEditor(value=value, photo=subject.picture, rest=value), chosen, message, gr.skip()
        for frames in self._frames(subject, subject.pose, session, edit):
            yield gr.skip(), gr.skip(), gr.skip(), frames

    def _knows_only(self) -> str:
        """What the weights were trained on, as a warning to whoever brings something else."""
        limits = self.pipeline.training.get("limits")
        return f" {limits}" if limits else ""

    def generate(self, photo: str, pose: dict[str, Any], seed: float, steps: float) -> Image.Image:
        """The API: a photo of a person and 18 joints in, the re-posed person out."""
        try:
            with self.model:
                person = self.pipeline.encode(load_photo(photo or b"", self.canvas, name=Path(photo or "photo").name).image)
            outputs = self.pipeline.generate(person, formats.from_value(pose), seed=whole(seed, "seed"), steps=whole(steps, "steps"))
            while True:
                with self.model:
                    output = next(outputs, None)
                if output is None:
                    return to_pil(image)
                image = output.image
        except ValueError as error:
            raise gr.Error(sentence(error), print_exception=False) from None

    def opening(self) -> tuple[str, Pose, dict[str, Any]]:
        """The first example in a pose of its own and all its steps, so that the page opens with a result."""
        name, subject = next(iter(self.examples.items()))
        pose = presets.apply(presets.PRESETS[OPENING], subject.pose, self.canvas)
        *_, frames = self._frames(subject, pose, Session(), 0)
        return name, pose, frames


# --- small helpers ------------------------------------------------------------------------------------------------


def frame(output: StepOutput) -> str:
    """A step as a data URL at its own resolution: 8x5 is 8x5 pixels, and the page enlarges them as squares."""
    height, width = output.size
    # The start is noise in every pixel; averaging would hide it, so it is sampled.
    how = Image.Resampling.BOX if output.step else Image.Resampling.NEAREST
    return data_url(to_pil(output.image).resize((width, height), how))


def data_url(image: Image.Image) -> str:
    """WebP inside a URL: needs no file on the server and no request of its own."""
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=image.height <= LOSSLESS_HEIGHT, quality=90, method=1)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def pose_of(value: dict[str, Any]) -> Pose:
    """The pose in an editor value, as gradio wants its errors."""
    try:
        return formats.from_value(value)
    except PoseError as error:
        raise gr.Error(sentence(error), print_exception=False) from None


def about(pipeline: NTEDStepPipeline) -> str:
    """Which weights and where they run, without the folder this checkout happens to stand in."""
    return pipeline.description.replace(f"{ROOT}{os.sep}", "")


def whole(number: float, name: str) -> int:
    """A whole number out of a JSON number. Raises ValueError."""
    if number is None or number != number or number != int(number) or not 0 <= number < 2**63:
        raise ValueError(f"{name} must be a whole number, not {number}")
    return int(number)


def notice(text: str, kind: str = "info") -> str:
    return f'<p class="notice {kind}" role="{"alert" if kind == "error" else "status"}">{html.escape(text)}</p>'


def _read_examples(folder: Path) -> list[dict[str, str]]:
    return json.loads((folder / "examples.json").read_text(encoding="utf-8"))["people"]


# --- layout and wiring --------------------------------------------------------------------------------------------

FONT = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
THEME = gr.themes.Base(primary_hue="indigo", neutral_hue="zinc", font=FONT, font_mono=MONO, radius_size="lg").set(
    body_background_fill="#fbfbfa", body_background_fill_dark="#131316", background_fill_secondary_dark="#1d1d21",
    block_background_fill_dark="#1d1d21", border_color_primary_dark="#313138",
    body_text_color_subdued="#62626b", body_text_color_subdued_dark="#a6a6b0",
)  # fmt: skip

CSS = (ROOT / "pose_editor" / "page.css").read_text(encoding="utf-8")


def build(studio: Studio) -> gr.Blocks:
    """The page: layout, then what happens when."""
    name, pose, frames = studio.opening()
    subject = studio.examples[name]
    choices = [{"name": key, "title": each.title, "picture": each.picture} for key, each in studio.examples.items()]
    with gr.Blocks(title="NTED Step", analytics_enabled=False, delete_cache=(3600, 3600)) as page, gr.Column(elem_id="page"):
        session = gr.State(Session(), time_to_live=IDLE_SECONDS)
        with gr.Row(elem_id="top"):
            gr.HTML("<h1>NTED Step</h1><p>Drag a joint. Watch the person take the new pose.</p>", elem_id="head")
            message = gr.HTML("", elem_id="notice")
        with gr.Row(elem_id="studio"):
            with gr.Column(elem_id="people"):
                picker = PhotoPicker(choices, name, elem_id="picker")
                photo = gr.UploadButton("Your photo", file_types=["image"], elem_id="upload")
            with gr.Column(elem_classes="part", elem_id="source"):
                gr.HTML("<b>Photo and pose</b> <span>· drag the dots</span>", elem_classes="part-title")
                editor = PoseEditor(pose, photo=subject.picture, rest=subject.pose, canvas=studio.canvas, elem_id="editor")
            with gr.Column(elem_classes="part", elem_id="result"):
                gr.HTML("<b>Result</b> <span>· from coarse to fine in 20 steps</span>", elem_classes="part-title")
                viewer = StepViewer([list(size) for size in studio.pipeline.ladder], frames, elem_id="viewer")
        gr.HTML(html.escape(about(studio.pipeline)), elem_id="about")
        _wire(studio, session, picker, photo, editor, viewer, message)
        _wire_api(studio)
    # Two lines: long runs one after another, and previews, which are short and must not wait behind them.
    return page.queue(max_size=WAITING, api_open=False)


def _wire(studio: Studio, session: gr.State, picker: Any, photo: Any, editor: Any, viewer: Any, message: Any) -> None:
    """Which event calls what. Only the newest pose of a visitor is worked on; see Studio.claim."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    run = quiet | {"concurrency_id": "run", "concurrency_limit": 1}
    opened = [editor, picker, message, viewer]
    editor.drag(studio.preview, [editor, picker, session], viewer, trigger_mode="always_last", concurrency_id="preview", **quiet)
    at_once = quiet | {"queue": False, "trigger_mode": "multiple"}
    editor.release(studio.released, [editor, session], None, **at_once)
    picker.select(studio.opening_other, [session], None, **at_once)
    editor.release(studio.render, [editor, picker, session], viewer, trigger_mode="multiple", **run)
    picker.select(studio.open_example, [picker, session], opened, trigger_mode="multiple", **run)
    photo.upload(studio.open_upload, [photo, session], opened, trigger_mode="multiple", **run)


def _wire_api(studio: Studio) -> None:
    """The endpoint ``/generate`` for programs: typed by components that the page does not show."""
    with gr.Group(visible=False):
        photo = gr.File(label="photo", file_types=["image"], type="filepath")
        pose = PoseEditor(canvas=studio.canvas, label="pose")
        seed = gr.Number(0, label="seed", precision=0)
        steps = gr.Number(studio.pipeline.config.steps, label="steps", precision=0)
        result = gr.Image(label="result", type="pil", format="png")
        gr.Button().click(
            studio.generate, [photo, pose, seed, steps], result, api_name="generate", concurrency_id="run", concurrency_limit=1,
            api_description="Re-pose the person in a photo. Joints are in pixels of the canvas, OpenPose order.",
        )  # fmt: skip


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="NTED Step: drag a person's joints and watch the person take the new pose.")
    parser.add_argument("--weights", default=str(WEIGHTS), metavar="FOLDER_OR_HUB_REPO[@REVISION]", help="default: the weights in the box")
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} (default: auto)")
    parser.add_argument("--dtype", default="auto", help=f"auto, {', '.join(DTYPES)} (default: auto)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default: %(default)s)")
    parser.add_argument("--port", type=int, default=7860, help="default: %(default)s")
    parser.add_argument("--share", action="store_true", help="make a temporary public link through Gradio's service")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Serve until Ctrl+C. Exit code 1 and one line when it cannot."""
    options = arguments(argv)
    try:
        serve(options)
    except KeyboardInterrupt:
        print("\nStopped.")
    except (ValueError, OSError) as error:  # weights, device, dtype, port
        print(f"app.py: {error}", file=sys.stderr)
        return 1
    return 0


def check_port(host: str, port: int) -> None:
    """Before seconds are spent on weights: is the address free? Raises OSError."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise OSError(f"cannot listen on {host}:{port} ({error.strerror or error}); choose another with --port") from None


def serve(options: argparse.Namespace) -> None:
    check_port(options.host, options.port)
    name, at, revision = options.weights.rpartition("@")
    if not at or Path(options.weights).exists():
        name, revision = options.weights, None
    pipeline = NTEDStepPipeline.from_pretrained(name, revision, device=options.device, dtype=options.dtype)
    page = build(Studio(pipeline))
    try:
        _, local, public = page.launch(
            server_name=options.host, server_port=options.port, share=options.share, quiet=True, prevent_thread_lock=True,
            theme=THEME, css=CSS, footer_links=["api"], max_file_size=MAX_BYTES, state_session_capacity=SESSIONS, ssr_mode=False,
        )  # fmt: skip
        print(f"NTED Step at {public or local} with weights {about(pipeline)}", flush=True)
        threading.Event().wait()
    finally:
        page.close(verbose=False)


if __name__ == "__main__":
    sys.exit(main())
