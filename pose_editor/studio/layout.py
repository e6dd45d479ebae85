"""The pose tab: its layout, and which event calls what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from nted_step.image import MAX_BYTES
from pose_editor.cropper import Cropper
from pose_editor.editor import PoseEditor
from pose_editor.picker import PhotoPicker
from pose_editor.run_bar import Download, RunBar
from pose_editor.serving import lent_gpu
from pose_editor.studio.events import Studio
from pose_editor.studio.person_cache import line
from pose_editor.studio.photo_upload import FITS, OwnPhoto
from pose_editor.studio.session import Session
from pose_editor.viewer import StepViewer

FONT = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
THEME = gr.themes.Base(primary_hue="indigo", neutral_hue="zinc", font=FONT, font_mono=MONO, radius_size="lg").set(
    body_background_fill="#fbfbfa", body_background_fill_dark="#131316", background_fill_secondary_dark="#1d1d21",
    block_background_fill_dark="#1d1d21", border_color_primary_dark="#313138",
    body_text_color_subdued="#62626b", body_text_color_subdued_dark="#a6a6b0",
)  # fmt: skip

CSS = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
PRIVACY = "Uploads: deleted within an hour, never logged."


@dataclass(frozen=True)
class Parts:
    """The components of the page that do something."""

    session: gr.State
    picker: Any
    photo: Any
    fit: Any
    crop: Any
    find: Any
    settle: Any
    cropper: Any
    editor: Any
    viewer: Any
    message: Any
    bar: Any
    download: Any


QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
RUN = QUIET | {"concurrency_id": "run", "concurrency_limit": 1, "trigger_mode": "multiple"}
PREVIEW = QUIET | {"trigger_mode": "always_last", "concurrency_id": "preview"}
SAVE = QUIET | {"trigger_mode": "multiple", "concurrency_id": "save", "concurrency_limit": 4}  # a film takes long, a picture does not
AT_ONCE = QUIET | {"queue": False, "trigger_mode": "multiple"}
SEARCH = QUIET | {"concurrency_id": "search", "concurrency_limit": 1}  # beside the runs, which must not wait for it


def pose_tab(studio: Studio, message: gr.HTML, photo_seconds: float) -> Parts:
    """The layout of the first tab."""
    name, subject = studio.opened_name, studio.examples[studio.opened_name]
    choices = [{"name": key, "title": each.title, "picture": each.picture} for key, each in studio.examples.items()]
    with gr.Column(elem_classes="desk"):
        session = gr.State(Session(), time_to_live=photo_seconds)
        with gr.Row(elem_classes="d-studio"):
            with gr.Column(elem_id="people", elem_classes="photos"):
                picker = PhotoPicker(choices, name, MAX_BYTES, elem_id="picker")
                photo = gr.UploadButton("Your photo", file_types=["image"], elem_id="upload")
                gr.HTML(f"<p>{PRIVACY}</p>", elem_id="privacy")
            with gr.Column(elem_classes=["part", "d-source"], elem_id="source"):
                gr.HTML("<b>Photo and pose</b> <span>· drag the dots</span>", elem_classes="part-title")
                with gr.Row(elem_id="own"):  # takes the place of the title
                    fit = gr.Radio(list(FITS), value="Auto", label="How the photo fits", show_label=False, visible=False, elem_id="fit")
                    crop = gr.Button("Crop…", visible=False, elem_id="crop")
                    find = gr.Button("Detect pose", visible=False, elem_id="find")
                    settle = gr.Button("Joints fit", visible=False, elem_id="settle")
                rest = subject.pose
                editor = PoseEditor(studio.opened_pose, photo=subject.picture, rest=rest, canvas=studio.canvas, elem_classes="d-editor")
            with gr.Column(elem_classes=["part", "d-result"]):
                gr.HTML("<b>Result</b> <span>· from coarse to fine in 20 steps</span>", elem_classes="part-title")
                sizes = [list(size) for size in studio.pipeline.ladder]
                viewer = StepViewer(sizes, studio.opened_frames, subject.picture, studio.levels(), elem_classes="d-viewer")
                bar = RunBar(elem_classes="d-run")
                download = Download(elem_classes="d-download")
        cropper = Cropper(canvas=studio.canvas, elem_id="cropper")
    return Parts(session, picker, photo, fit, crop, find, settle, cropper, editor, viewer, message, bar, download)


def wire(studio: Studio, own: OwnPhoto, on: Parts) -> list[Any]:
    """Only the newest pose of a visitor is worked on; see Studio.claim. Returns the events that bring an own photo."""
    wanted = [on.editor, on.picker, on.session, on.bar]
    opened = [on.editor, on.picker, on.message, on.viewer]
    if not lent_gpu.LENT:  # a GPU is lent for a run, and would be for every preview
        on.editor.drag(studio.preview, wanted, on.viewer, **PREVIEW)
    on.editor.release(studio.render, wanted, on.viewer, **RUN)  # sent first: the browser takes a moment for each
    on.editor.release(studio.released, [on.editor, on.session], None, **AT_ONCE)
    on.picker.select(studio.opening_other, [on.session], None, **AT_ONCE)
    on.viewer.stop(studio.stop, [on.session], None, **AT_ONCE)
    on.viewer.trace(studio.traced, [on.session], on.viewer, **PREVIEW)
    on.viewer.zoom(studio.zoomed, [on.session], on.viewer, **PREVIEW)
    on.bar.save(studio.save, wanted, on.download, **SAVE)
    chosen = on.picker.select(studio.open_example, [on.picker, on.session, on.bar], opened, **RUN)
    restored = on.bar.restore(studio.restore, [on.bar, on.session], opened, **RUN)
    given = on.photo.upload(own.given, [on.photo, on.session, on.bar], opened, **RUN)
    # As an output the state begins its time to live: an hour after a photo was given it is forgotten. Behind the event, not beside
    # it: with a second listener of its own the bar would be read when what it had to restore is gone.
    for giving in (given, restored):
        giving.then(_same, [on.session], [on.session], **AT_ONCE)
    return [restored, *_wire_own_photo(own, on, opened, given, (chosen, restored))]


def _same(session: Session) -> Session:
    return session


def _wire_own_photo(own: OwnPhoto, on: Parts, opened: list[Any], uploaded: Any, others: tuple[Any, ...]) -> list[Any]:
    given = [on.session, on.bar]
    tools = {"fn": own.tools, "inputs": [on.picker, on.session], "outputs": [on.fit, on.crop, on.find, on.settle]} | AT_ONCE
    openings = [
        uploaded,
        on.fit.input(own.refit, [on.fit, *given], opened, **RUN),
        on.cropper.crop(own.crop, [on.cropper, *given], opened, **RUN),
    ]
    for opening in openings:
        opening.then(**tools).then(own.find_at_once, given, opened, **SEARCH).then(**tools)
    on.picker.too_large(own.too_large, None, on.message, **AT_ONCE)
    on.picker.select(**tools)
    for opening in others:
        opening.then(**tools)  # once more for somebody just chosen, in case answers overtook each other
    on.crop.click(own.choose_window, [on.session], on.cropper, **AT_ONCE)
    on.settle.click(own.settle, [on.editor, on.picker, *given], opened, **RUN).then(**tools)
    on.find.click(own.find, [on.picker, *given], opened, **SEARCH).then(**tools)
    return openings


def tell_kept(page_line: gr.HTML, states: list[gr.State], events: list[Any]) -> None:
    """Keep the line about the visitor's photos up to date; ``states`` are those of the tabs, ``events`` what may bring a photo."""

    def kept(*visits: Session) -> str:
        return line(*(visit.kept for visit in visits))

    for event in events:
        event.then(kept, states, page_line, **AT_ONCE)
