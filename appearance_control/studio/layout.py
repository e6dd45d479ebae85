"""The garments tab: its layout, and which event calls what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from appearance_control.studio.events import GarmentEvents
from appearance_control.studio.parse_cache import ParserLoader
from appearance_control.studio.session import SwapSession
from appearance_control.studio.wardrobe import Wardrobe
from nted_step.image import MAX_BYTES
from pose_editor.chooser import PersonChooser
from pose_editor.editor import PoseEditor
from pose_editor.picker import PhotoPicker
from pose_editor.run_bar import Download, RunBar
from pose_editor.studio.layout import AT_ONCE, PREVIEW, RUN, SAVE, SEARCH, Parts, pose_photo_button
from pose_editor.studio.photo_upload import PhotoUpload
from pose_editor.studio.save_events import KINDS as SAVED_ALONE
from pose_editor.studio.save_events import SaveEvents
from pose_editor.studio.session import PHOTO_NAMES
from pose_editor.studio.studio import Studio
from pose_editor.viewer import StepViewer

CSS = (Path(__file__).parent / "studio.css").read_text(encoding="utf-8")
DROP = "Drop the photo on a garment to take it from there, or anywhere else to dress the person in it."
GIVER = 2  # index of the example whose garment is shown first; the wearer is the first example


@dataclass(frozen=True)
class GarmentComponents:
    """The components of the tab."""

    session: gr.State
    picker: PhotoPicker
    wearer_photo: gr.UploadButton
    from_pose: gr.Button
    wardrobe: Wardrobe
    garment_photo: gr.UploadButton
    message: gr.HTML
    editor: PoseEditor
    chooser: PersonChooser
    pose_photo: gr.UploadButton
    viewer: StepViewer
    bar: RunBar
    download: Download
    to_pose: gr.Button
    recognised: gr.HTML


def add(
    studio: Studio, tabs: gr.Tabs, tab: gr.Tab, pose: Parts, own: PhotoUpload, parser: Path, idle: int
) -> tuple[GarmentEvents, gr.State, list[Any]]:
    """Fill the tab that is being built. Returns its events, the visitor's state, and the Gradio events that may change how many photos
    or textures are kept.

    Args:
        pose, own: the parts of the pose tab.
        parser: folder of the parser's weights, which may be missing.
        idle: seconds after which a visitor's state is deleted.
    """
    events = GarmentEvents(studio, ParserLoader(parser, studio.pipeline.device.type), own.reader)
    components = _build(events, idle)
    return events, components.session, _wire(events, components, tabs, tab, pose, own)


def _build(events: GarmentEvents, idle: int) -> GarmentComponents:
    studio, people = events.studio, events.studio.people(SwapSession())
    wearer, giver = people[0], people[min(GIVER, len(people) - 1)]
    rest = studio.examples[wearer["name"]].pose
    with gr.Column(elem_classes="desk", elem_id="garments"):
        session = gr.State(SwapSession(), time_to_live=idle)
        with gr.Row(elem_classes="d-studio"):
            with gr.Column(elem_id="dressing"):
                gr.HTML("<b>Wearer</b> <span>· stays who they are</span>", elem_classes="part-title")
                with gr.Row(elem_id="wearers", elem_classes="photos"):
                    picker = PhotoPicker(people, wearer["name"], MAX_BYTES, PHOTO_NAMES, DROP)
                    wearer_photo = gr.UploadButton("Your photo", elem_id="wearer-photo")
                    from_pose = gr.Button("From Pose", elem_id="from-pose")
                gr.HTML("<b>Garments</b> <span>· from other people</span>", elem_classes="part-title")
                garments = [{"person": giver["name"], "part": "upper", "strength": 1, "mask": ""}]
                recognises = events.parser_loader.available
                wardrobe = Wardrobe(
                    people, {"garments": garments, "into": 0}, canvas=studio.canvas, later=PHOTO_NAMES, recognises=recognises
                )
                with gr.Row(elem_id="garment-photo", elem_classes="photos"):  # hidden: a garment's own button presses it
                    garment_photo = gr.UploadButton("Photo of a garment")
                message = gr.HTML("", elem_id="garment-says")
            with gr.Column(elem_classes=["part", "d-source"]):
                editor = PoseEditor(
                    rest, photo=wearer["picture"], person=wearer["name"], rest=rest, canvas=studio.canvas, elem_classes="d-editor"
                )
                pose_photo = pose_photo_button()
            with gr.Column(elem_classes=["part", "d-result"]):
                sizes = [list(size) for size in studio.pipeline.ladder]
                waiting = {"edit": 0, "kind": "preview", "step": len(sizes) - 1, "frames": [wearer["picture"]]}
                viewer = StepViewer(sizes, waiting, against="the wearer's own clothes", inset="Before", elem_classes="d-viewer")
                bar = RunBar(keeps="garments", saves=SAVED_ALONE, elem_classes="d-run")
                download = Download(elem_classes="d-download")
            to_pose = gr.Button("To Pose tab", elem_id="to-pose", elem_classes="needs-result")
        with gr.Accordion("What is recognised", open=False, elem_id="recognised", visible=recognises):
            recognised = gr.HTML("<p>Nothing yet.</p>")
        chooser = PersonChooser(elem_classes="d-chooser")
    return GarmentComponents(
        session, picker, wearer_photo, from_pose, wardrobe, garment_photo, message, editor, chooser, pose_photo, viewer, bar, download,
        to_pose, recognised,
    )  # fmt: skip


def _wire(events: GarmentEvents, tab: GarmentComponents, tabs: gr.Tabs, shown: gr.Tab, pose: Parts, own: PhotoUpload) -> list[Any]:
    outputs = [tab.editor, tab.picker, tab.wardrobe, tab.viewer, tab.message, tab.recognised]
    state = [tab.wardrobe, tab.bar, tab.session]
    shown.select(events.enter, [pose.session, tab.session], outputs, **AT_ONCE)
    tab.bar.restore(events.begin, [tab.editor, tab.picker, pose.session, *state], outputs, **RUN)
    tab.editor.drag(events.preview, [tab.editor, tab.picker, *state], tab.viewer, **PREVIEW)
    released = tab.editor.release(events.render, [tab.editor, tab.picker, *state], outputs, **RUN)
    tab.editor.release(events.released, [tab.editor, tab.session], None, **AT_ONCE)
    tab.picker.select(events.choosing, [tab.session], None, **AT_ONCE)
    tab.picker.select(events.choose_wearer, [tab.picker, tab.editor, *state], outputs, **RUN)
    tab.picker.too_large(own.too_large, None, tab.message, **AT_ONCE)
    forgotten = tab.picker.forget(events.forget, [tab.session], outputs, **AT_ONCE)
    wearer_given = tab.wearer_photo.upload(events.photo_of_wearer, [tab.wearer_photo, *state], outputs, **RUN)
    garment_given = tab.garment_photo.upload(events.photo_of_garment, [tab.garment_photo, tab.wardrobe, tab.session], outputs, **RUN)
    chosen = tab.chooser.choose(events.chosen_person, [tab.chooser, *state], outputs, **RUN)
    for given in (wearer_given, garment_given):
        given.then(own.ask, [tab.session], tab.chooser, **AT_ONCE)
    tab.pose_photo.upload(own.take_pose, [tab.pose_photo], tab.editor, **SEARCH)
    tab.viewer.stop(events.stop, [tab.session], None, **AT_ONCE)
    tab.viewer.zoom(SaveEvents(events.studio).zoomed, [tab.session], tab.viewer, **PREVIEW)
    tab.bar.save(events.save, [tab.editor, tab.picker, tab.session, tab.bar], tab.download, **SAVE)
    fetched = tab.from_pose.click(events.fetch, [pose.editor, pose.picker, pose.session, *state], outputs, **RUN)
    opened: list[Any] = [pose.editor, pose.picker, pose.message, pose.viewer]
    sent = tab.to_pose.click(events.send, [tab.session, pose.session, pose.bar], [*opened, tabs, tab.message], **RUN)
    sent.then(own.tools, [pose.picker, pose.session], [pose.fit, pose.crop, pose.find, pose.settle], **AT_ONCE)
    return [wearer_given, garment_given, chosen, fetched, sent, released, forgotten]
