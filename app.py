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

from nted_step.image import MAX_BYTES, FittedPhoto, ImageError, load_photo, to_pil, to_tensor
from nted_step.output import label
from nted_step.pipeline import DEVICES, DTYPES, NTEDStepPipeline, Person
from nted_step.pose import Pose, PoseError, load_pose_text
from nted_step.sampler import StepOutput
from pose_editor import PoseEditor, endpoints, formats, presets, saving, tracing
from pose_editor.component import sentence
from pose_editor.endpoints import whole
from pose_editor.mixer import Mixer, Mixture
from pose_editor.picker import PhotoPicker
from pose_editor.runbar import Download, RunBar
from pose_editor.tween import tween
from pose_editor.viewer import StepViewer

ROOT = Path(__file__).parent
WEIGHTS = ROOT / "assets" / "weights" / "lite"
EXAMPLES = ROOT / "assets" / "examples"

PREVIEW_SECONDS = 0.12  # how long a preview may think before it shows what it has
WAITING = 32  # runs that may wait in the queue; more are refused
SESSIONS = 64  # visitors whose photo is kept in memory
IDLE_SECONDS = 3600  # after which a visitor's photo is forgotten
LOSSLESS_HEIGHT = 130  # frames up to this height are shown as squares, where lossy compression would be seen
FILM_POSES = 12  # of a film from the page; programs choose their own number
FITS = {"Auto": "auto", "Fill": "crop", "Whole": "pad"}  # what the page calls the ways to fit a photo
OPENING = "wave"  # the preset in which the first person is shown


@dataclass(frozen=True)
class Subject:
    """A person on the page: the photo as fitted, its own pose, and the model's view of it."""

    title: str
    picture: str  # data URL of the fitted photo
    pose: Pose
    person: Person
    crop: tuple[int, int, int, int]  # what of the canvas is photo and not padding


@dataclass(frozen=True)
class Mixed:
    """A run with several people's textures. Another run that starts alike can go on from where they part."""

    of: tuple[Subject, Pose, int]  # who, pose and seed
    owners: list[str]  # of every step
    outputs: list[StepOutput]

    def agrees_until(self, of: tuple[Subject, Pose, int], owners: list[str]) -> int:
        """How many of its steps the new run can take over."""
        if self.of[0] is not of[0] or self.of[1:] != of[1:]:
            return 0
        same = next((t for t, pair in enumerate(zip(self.owners, owners, strict=True)) if pair[0] != pair[1]), len(owners))
        return max(min(same, len(self.outputs) - 1), 0)


@dataclass
class Session:
    """What the server keeps for one visitor."""

    upload: Subject | None = None
    mixed: Mixed | None = None  # the newest mixed result, to go on from
    file: tuple[str, str] | None = None  # path and name of the uploaded photo, to fit it another way
    last: saving.Run | None = None  # the newest result, to be saved
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
        return Subject(title, data_url(to_pil(photo.image)), pose, self.pipeline.encode(photo.image), photo.content())

    def upload(self, source: str | bytes, name: str, fit: str = "auto") -> Subject:
        """A visitor's photo, with a standing pose fitted to where the photo is on the canvas. Raises ImageError."""
        photo = load_photo(source, self.canvas, fit, name)
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

    def stop(self, session: Session) -> None:
        """Whatever runs for this visitor ends at its next step; the next edit runs as ever."""
        self.announce(session, session.edit + 1)

    def mixture(self, subject: Subject, owners: list[str]) -> Person | Mixture:
        """The person, or where another person's textures were painted on some steps, all of them together."""
        if not any(owners):
            return subject.person
        return Mixture(subject.person, [self.examples[name].person if name else subject.person for name in owners])

    def steps(
        self, person: Person | Mixture, pose: Pose, session: Session, run: int, seed: int = 0, start: StepOutput | None = None
    ) -> Iterator[StepOutput]:
        """Sampler steps as long as no newer run wants the model, which is free between two steps."""
        outputs = self.pipeline.generate(person, pose, seed=seed, start=start)
        while session.run == run:
            with self.model:
                output = next(outputs, None)
            if output is None:
                return
            yield output

    def preview(
        self, value: dict[str, Any], chosen: str | None, session: Session, settings: dict[str, Any], owners: list[str]
    ) -> Any:
        """While a joint is dragged: the furthest step that fits in a moment. Never raises: that would end the drag."""
        try:
            subject, pose = self.subject(chosen, session), formats.from_value(value)
            began, output = time.perf_counter(), None
            run = self.claim(session, value["edit"], preview=True)
            for output in self.steps(self.mixture(subject, owners), pose, session, run, settings["seed"]):
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

    def render(
        self, value: dict[str, Any], chosen: str | None, session: Session, settings: dict[str, Any], owners: list[str]
    ) -> Iterator[Any]:
        """When a change is finished: all steps, each sent as soon as it is there."""
        yield from self._frames(self.subject(chosen, session), pose_of(value), session, value["edit"], settings["seed"], owners)

    def _frames(
        self, subject: Subject, pose: Pose, session: Session, edit: int, seed: int = 0, owners: list[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """A growing list of frames for the viewer. The noise of step 0 is sent along with step 1, not on its own."""
        owners = owners or []
        mixed = Mixed((subject, pose, seed), owners, []) if any(owners) else None
        known = session.mixed.agrees_until(mixed.of, owners) if mixed and session.mixed else 0
        taken = session.mixed.outputs[: known + 1] if known else []
        frames: list[str] = [frame(output) for output in taken[:-1]]
        images: list[Image.Image] = [to_pil(output.image) for output in taken[:-1]]
        labels: list[str] = [label(output) for output in taken[:-1]]
        joints = formats.to_value(pose)["joints"]
        run = saving.Run(images, labels, pose, subject.crop, self._settings(subject, joints, seed) | ({"owners": owners} if mixed else {}))
        try:
            if mixed:
                mixed.outputs.extend(taken[:-1])
            session.mixed = mixed
            person, start = self.mixture(subject, owners), taken[-1] if taken else None
            for output in self.steps(person, pose, session, self.claim(session, edit), seed, start):
                if mixed:
                    mixed.outputs.append(output)
                frames.append(frame(output))
                images.append(to_pil(output.image))
                labels.append(label(output))
                if output.step:
                    session.last = run
                    yield {"edit": edit, "kind": "steps", "frames": list(frames), "joints": joints}
        except PoseError as error:
            raise gr.Error(sentence(error), print_exception=False) from None

    def _settings(self, subject: Subject, joints: list[list[Any]], seed: int) -> dict[str, Any]:
        """What a saved file says about how it was made."""
        steps = self.pipeline.config.steps
        made = {"made_by": "NTED Step", "weights": about(self.pipeline), "weights_sha256": self.pipeline.sha256}
        return made | {"person": subject.title, "seed": seed, "steps": steps, "joints": joints}

    def save(self, value: dict[str, Any], chosen: str | None, session: Session, settings: dict[str, Any]) -> dict[str, Any]:
        """The visitor's newest result as a file to download, or a film from the photo's pose to the editor's."""
        run, kind = session.last or self.opened, settings["save"]["kind"]
        try:
            if kind.startswith("film"):
                subject = self.subject(chosen, session)
                images = self.film(subject.person, subject.pose, formats.from_value(value), FILM_POSES, settings["seed"])
                name, mime, data = saving.film(images, kind.removeprefix("film-"), run.settings)
            else:
                name, mime, data = saving.save(run, kind, settings["save"]["step"])
        except (KeyError, ValueError) as error:
            raise gr.Error(sentence(error), print_exception=False) from None
        url = f"data:{mime};base64,{base64.b64encode(data).decode()}"
        return {"name": name, "url": url, "n": time.time()}  # a new value each time, else the second click does nothing

    def film(self, person: Person, first: Pose, last: Pose, frames: int, seed: int) -> list[Image.Image]:
        """The last step of every pose on the way from one to the other, all from the same noise. Raises ValueError."""
        images = []
        for pose in tween(first, last, frames):
            for output in self.locked(self.pipeline.generate(person, pose, seed=seed)):
                image = output.image
            images.append(to_pil(image))
        return images

    def locked(self, outputs: Iterator[StepOutput]) -> Iterator[StepOutput]:
        """The same steps, leaving the model to others between two of them."""
        while True:
            with self.model:
                output = next(outputs, None)
            if output is None:
                return
            yield output

    def traced(self, chosen: str | None, session: Session, event: gr.EventData) -> Any:
        """A pixel of the result was clicked: where in the photo it comes from, and the texture labels."""
        run = session.last or self.opened
        try:
            clicked = event._data
            step, level = whole(clicked["step"], "step"), whole(clicked["level"], "level")
            before = StepOutput(step - 1, (0, 0), to_tensor(run.images[step - 1]), 0.0)
            glow, labels = self.trace(self.subject(chosen, session).person, run.pose, before, level, clicked["x"], clicked["y"])
        except (KeyError, IndexError, TypeError, ValueError):
            return gr.skip()  # a click on a picture that is no longer there
        return StepViewer(traced={"glow": data_url(glow), "labels": data_url(labels)})

    def trace(self, person: Person, pose: Pose, before: StepOutput, level: int, x: float, y: float) -> tuple[Image.Image, Image.Image]:
        height, width = self.canvas
        if not (0 <= x <= width and 0 <= y <= height):
            raise ValueError(f"x, y must lie on the {width}x{height} canvas, not ({x:g}, {y:g})")
        with self.model:
            mixture, attention = (maps.numpy() for maps in self.pipeline.trace(person, pose, before, level))
        return tracing.glow(mixture, attention, (x, y), self.canvas), tracing.label_map(mixture, self.canvas)

    def levels(self) -> list[list[int]]:
        """(h, w) of the maps that can be traced, coarsest first."""
        config, (height, width) = self.pipeline.config, self.canvas
        return [[level, level * width // height] for level in config.levels if config.labels[level]]

    def refit(self, fit: str, session: Session, settings: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """The uploaded photo fitted another way: cut to fill the canvas, or whole on white."""
        if session.file is None:
            return
        try:
            session.upload = self.upload(*session.file, FITS[fit])
        except (ImageError, KeyError) as error:
            yield gr.skip(), gr.skip(), notice(sentence(error), "error"), gr.skip()
            return
        yield from self._open(session.upload, None, "", session, seed=settings["seed"])

    def restore(self, settings: dict[str, Any], session: Session) -> Iterator[tuple[Any, ...]]:
        """What was kept in the visitor's browser, or came with a link: person, pose, seed and step."""
        kept = settings.get("restore")
        if not kept:
            return
        try:
            subject = self._kept_subject(kept, session)
            pose = formats.from_value({"joints": kept["joints"]}).require_drawable(self.canvas)
        except (ValueError, KeyError):
            yield gr.skip(), gr.skip(), notice("This link or saved state cannot be read, so the page starts afresh.", "error"), gr.skip()
            return
        opened = self._open(subject, kept["person"], "", session, pose, settings["seed"])
        yield next(opened)
        for editor, chosen, message, frames in opened:
            yield editor, chosen, message, frames | {"at": kept["step"]}

    def _kept_subject(self, kept: dict[str, Any], session: Session) -> Subject:
        if kept["person"] is not None:
            return self.examples[kept["person"]]
        head, _, data = (kept["photo"] or "").partition(",")
        if not head.startswith("data:image/webp;base64"):
            raise ValueError("no photo was kept")
        session.upload = self.upload(base64.b64decode(data), "Your photo")
        return session.upload

    def open_example(self, chosen: str | None, session: Session, settings: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """Another example was picked: show the photo with its own pose, then its steps."""
        if chosen:
            yield from self._open(self.subject(chosen, session), chosen, "", session, seed=settings["seed"])

    def open_upload(self, path: str | None, session: Session, settings: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        """A photo was given. If it cannot be used, say so beside the button and leave everything as it is."""
        if not path:
            return
        name = Path(path).name
        try:
            session.upload = self.upload(path, name)
            session.file = (path, name)
        except ImageError as error:
            yield gr.skip(), gr.skip(), notice(sentence(error), "error"), gr.skip()
            return
        hint = "Drag the joints onto the body in your photo, then pose it." + self._knows_only()
        yield from self._open(session.upload, None, notice(hint), session, seed=settings["seed"])

    def _open(
        self, subject: Subject, chosen: str | None, message: str, session: Session, pose: Pose | None = None, seed: int = 0
    ) -> Iterator[tuple[Any, ...]]:
        """Editor, picker, notice and viewer for a new person, then the viewer alone as steps arrive."""
        edit = session.edit + 1
        pose = pose or subject.pose
        value, rest = formats.to_value(pose, edit), formats.to_value(subject.pose)
        yield PoseEditor(value=value, photo=subject.picture, rest=rest), chosen, message, StepViewer(source=subject.picture)
        for frames in self._frames(subject, pose, session, edit, seed):
            yield gr.skip(), gr.skip(), gr.skip(), frames

    def _knows_only(self) -> str:
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
                fit = gr.Radio(list(FITS), value="Auto", label="How the photo fits", show_label=False, visible=False, elem_id="fit")
            with gr.Column(elem_classes="part", elem_id="source"):
                gr.HTML("<b>Photo and pose</b> <span>· drag the dots</span>", elem_classes="part-title")
                editor = PoseEditor(pose, photo=subject.picture, rest=subject.pose, canvas=studio.canvas, elem_id="editor")
            with gr.Column(elem_classes="part", elem_id="result"):
                gr.HTML("<b>Result</b> <span>· from coarse to fine in 20 steps</span>", elem_classes="part-title")
                viewer = StepViewer([list(size) for size in studio.pipeline.ladder], frames, subject.picture, studio.levels(), elem_id="viewer")
                bar = RunBar(elem_id="run")
                download = Download(elem_id="download")
        mixer = Mixer(choices, studio.pipeline.config.steps, elem_id="mixer")
        gr.HTML(html.escape(about(studio.pipeline)), elem_id="about")
        _wire(studio, session, picker, photo, fit, editor, viewer, message, bar, download, mixer)
        endpoints.add(studio)
    # Two lines: long runs one after another, and previews, which are short and must not wait behind them.
    return page.queue(max_size=WAITING, api_open=False)


def _wire(
    studio: Studio, session: gr.State, picker: Any, photo: Any, fit: Any, editor: Any, viewer: Any, message: Any, bar: Any, download: Any,
    mixer: Any,
) -> None:
    """Which event calls what. Only the newest pose of a visitor is worked on; see Studio.claim."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    run = quiet | {"concurrency_id": "run", "concurrency_limit": 1, "trigger_mode": "multiple"}
    at_once = quiet | {"queue": False, "trigger_mode": "multiple"}
    opened = [editor, picker, message, viewer]
    wanted = [editor, picker, session, bar, mixer]
    editor.drag(studio.preview, wanted, viewer, **quiet | {"trigger_mode": "always_last", "concurrency_id": "preview"})
    editor.release(studio.released, [editor, session], None, **at_once)
    picker.select(studio.opening_other, [session], None, **at_once)
    viewer.stop(studio.stop, [session], None, **at_once)
    viewer.trace(studio.traced, [picker, session], viewer, **quiet | {"trigger_mode": "always_last", "concurrency_id": "preview"})
    bar.save(studio.save, wanted[:4], download, **quiet)
    bar.restore(studio.restore, [bar, session], opened, **run)
    editor.release(studio.render, wanted, viewer, **run)
    picker.select(studio.open_example, [picker, session, bar], opened, **run)
    photo.upload(studio.open_upload, [photo, session, bar], opened, **run).then(
        lambda session: gr.update(visible=session.file is not None, value="Auto"), [session], fit, **at_once
    )
    fit.input(studio.refit, [fit, session, bar], opened, **run)
    picker.select(lambda: gr.update(visible=False), None, fit, **at_once)


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
