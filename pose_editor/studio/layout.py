"""The pose tab: its layout, and which event calls what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from nted_step.image import MAX_BYTES
from pose_editor.chooser import PersonChooser
from pose_editor.cropper import Cropper
from pose_editor.editor import PoseEditor
from pose_editor.gradio_workarounds import start_time_to_live
from pose_editor.picker import PhotoPicker
from pose_editor.run_bar import KINDS, Download, RunBar
from pose_editor.serving import lent_gpu
from pose_editor.studio.person_cache import kept_photos_notice
from pose_editor.studio.photo_upload import FITS, PhotoUpload
from pose_editor.studio.save_events import SaveEvents
from pose_editor.studio.session import PHOTO_NAMES, Session
from pose_editor.studio.studio import Studio
from pose_editor.studio.trace_events import TraceEvents
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
ADVICE = "Best: one person, whole body, plain background."
DROP = "Drop the photo anywhere, and pose the person in it."


@dataclass(frozen=True)
class Parts:
    """The components of the pose tab that events read or change."""

    session: gr.State
    picker: PhotoPicker
    photo: gr.UploadButton
    fit: gr.Radio
    crop: gr.Button
    find: gr.Button
    settle: gr.Button
    cropper: Cropper
    chooser: PersonChooser
    editor: PoseEditor
    pose_photo: gr.UploadButton
    viewer: StepViewer
    message: gr.HTML
    bar: RunBar
    download: Download


QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
RUN = QUIET | {"concurrency_id": "run", "concurrency_limit": 1, "trigger_mode": "multiple"}
PREVIEW = QUIET | {"trigger_mode": "always_last", "concurrency_id": "preview"}
SAVE = QUIET | {"trigger_mode": "multiple", "concurrency_id": "save", "concurrency_limit": 4}
FILM_LANE: dict[str, Any] = {"concurrency_id": "film", "concurrency_limit": 1}  # takes long, and nothing else may wait for it
FILM = QUIET | {"trigger_mode": "multiple"} | FILM_LANE
AT_ONCE = QUIET | {"queue": False, "trigger_mode": "multiple"}
WINDOW = QUIET | {"concurrency_id": "window", "concurrency_limit": 2}  # the whole photo is decoded for it
SEARCH = QUIET | {"concurrency_id": "search", "concurrency_limit": 1}  # for people in a photo; beside the runs, which need not wait for it


def pose_tab(studio: Studio, message: gr.HTML, photo_seconds: float) -> Parts:
    """The layout of the tab."""
    name, subject = studio.opened_name, studio.examples[studio.opened_name]
    choices = [{"name": key, "title": each.title, "picture": each.picture} for key, each in studio.examples.items()]
    with gr.Column(elem_classes="desk"):
        session = gr.State(Session(), time_to_live=photo_seconds)
        with gr.Row(elem_classes="d-studio"):
            with gr.Column(elem_id="people", elem_classes="photos"):
                gr.HTML(f"<p>{ADVICE}</p>", elem_id="advice")
                photo = gr.UploadButton("Your photo", elem_id="upload")
                gr.HTML(f"<p>{PRIVACY}</p>", elem_id="privacy")
                picker = PhotoPicker(choices, name, MAX_BYTES, PHOTO_NAMES, DROP, elem_id="picker")
            with gr.Column(elem_classes=["part", "d-source"], elem_id="source"):
                with gr.Row(elem_id="own"):
                    fit = gr.Radio(list(FITS), value="Auto", label="How the photo fits", show_label=False, visible=False, elem_id="fit")
                    crop = gr.Button("Crop…", visible=False, elem_id="crop")
                    find = gr.Button("Detect pose", visible=False, elem_id="find")
                    settle = gr.Button("Joints fit", visible=False, elem_id="settle")
                rest = subject.pose
                editor = PoseEditor(
                    studio.opened_pose, photo=subject.picture, person=name, rest=rest, canvas=studio.canvas, elem_classes="d-editor"
                )
                pose_photo = pose_photo_button()
            with gr.Column(elem_classes=["part", "d-result"]):
                sizes = [list(size) for size in studio.pipeline.ladder]
                viewer = StepViewer(sizes, studio.opened_frames, subject.picture, TraceEvents(studio).levels(), elem_classes="d-viewer")
                bar = RunBar(keeps="pose", saves=(*KINDS, "link"), elem_classes="d-run")
                download = Download(elem_classes="d-download")
        cropper = Cropper(canvas=studio.canvas, elem_id="cropper")
        chooser = PersonChooser(elem_classes="d-chooser")
    return Parts(session, picker, photo, fit, crop, find, settle, cropper, chooser, editor, pose_photo, viewer, message, bar, download)


def pose_photo_button() -> gr.UploadButton:
    """Hidden: where the editor of the same part of the page puts a photo whose pose is taken."""
    with gr.Row(elem_classes=["photos", "pose-photo"]):
        return gr.UploadButton("Pose of another photo")


def wire(studio: Studio, upload: PhotoUpload, on: Parts, tab: gr.Tab) -> list[Any]:
    """Connect the components of the ``tab`` to what they do. Returns the events that bring a visitor's photo.

    Only the newest pose of a visitor is worked on; see :class:`pose_editor.studio.model_runner.ModelRunner`.
    """
    events, saving, tracing = upload.events, SaveEvents(studio), TraceEvents(studio)
    wanted = [on.editor, on.picker, on.session, on.bar]
    opened = [on.editor, on.picker, on.message, on.viewer]
    if not lent_gpu.LENT:  # a GPU is lent for a run, and would be for every preview
        on.editor.drag(events.preview, wanted, on.viewer, **PREVIEW)
    on.editor.release(events.render, wanted, on.viewer, **RUN)  # sent first: the browser takes a moment for each
    on.editor.release(events.released, [on.editor, on.session], None, **AT_ONCE)
    on.picker.select(events.opening_other, [on.session], None, **AT_ONCE)
    on.viewer.stop(events.stop, [on.session], None, **AT_ONCE)
    on.viewer.trace(tracing.traced, [on.session], on.viewer, **PREVIEW)
    on.viewer.zoom(saving.zoomed, [on.session], on.viewer, **PREVIEW)
    on.bar.save(saving.save, wanted, on.download, **SAVE)
    on.bar.film(saving.save_film, wanted, on.download, **FILM)
    tab.select(events.show_photos, [on.session], on.picker, **AT_ONCE)
    on.pose_photo.upload(upload.take_pose, [on.pose_photo], on.editor, **SEARCH)
    chosen = on.picker.select(events.open_example, [on.picker, on.editor, on.session, on.bar], opened, **RUN)
    restored = on.bar.restore(events.restore, [on.bar, on.session], opened, **RUN)
    uploaded = on.photo.upload(upload.given, [on.photo, on.session, on.bar], opened, **RUN)
    for event in (uploaded, restored):  # an hour after a photo came it is forgotten
        start_time_to_live(event, on.session, **AT_ONCE)
    return [restored, *_wire_upload(upload, on, opened, uploaded, (chosen, restored))]


def _wire_upload(upload: PhotoUpload, on: Parts, opened: list[Any], uploaded: Any, others: tuple[Any, ...]) -> list[Any]:
    given = [on.session, on.bar]
    tools = {"fn": upload.tools, "inputs": [on.picker, on.session], "outputs": [on.fit, on.crop, on.find, on.settle]} | AT_ONCE
    openings = [
        uploaded,
        on.chooser.choose(upload.choose, [on.chooser, *given], opened, **RUN),
        on.fit.input(upload.refit, [on.fit, *given], opened, **RUN),
        on.cropper.crop(upload.crop, [on.cropper, *given], opened, **RUN),
        on.find.click(upload.find, [on.picker, *given], opened, **RUN),
        on.settle.click(upload.settle, [on.editor, on.picker, *given], opened, **RUN),
        *others,  # again for the person just chosen, in case answers overtook each other
    ]
    for opening in openings:
        opening.then(**tools)
    for asking in (openings[0], openings[4]):
        asking.then(upload.ask, [on.session], on.chooser, **AT_ONCE)
    on.picker.too_large(upload.too_large, None, on.message, **AT_ONCE)
    forgotten = on.picker.forget(upload.forget, [on.session], on.picker, **AT_ONCE)
    on.picker.select(**tools)
    on.crop.click(upload.choose_window, [on.session], on.cropper, **WINDOW)
    return [*openings[:4], forgotten]


def update_kept_photos(notice: gr.HTML, states: list[gr.State], events: list[Any]) -> None:
    """Keep the notice of what the server keeps up to date; ``states`` are those of the tabs, ``events`` what may bring a photo."""

    def kept(*sessions: Session) -> str:
        return kept_photos_notice(*(session.cache for session in sessions))

    for event in events:
        event.then(kept, states, notice, **AT_ONCE)
