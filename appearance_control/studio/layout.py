"""The garment tab: its layout, and what happens when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from appearance_control.studio.events import PHOTOS, GarmentDesk, Visit
from appearance_control.studio.parse_cache import Opener
from appearance_control.studio.wardrobe import Wardrobe
from nted_step.image import MAX_BYTES
from pose_editor.editor import PoseEditor
from pose_editor.picker import PhotoPicker
from pose_editor.run_bar import Download, RunBar
from pose_editor.studio.layout import AT_ONCE, PREVIEW, RUN, SAVE, Parts
from pose_editor.studio.photo_upload import PhotoUpload
from pose_editor.studio.save_events import SaveEvents
from pose_editor.studio.studio import Studio
from pose_editor.viewer import StepViewer

CSS = (Path(__file__).parent / "studio.css").read_text(encoding="utf-8")
GIVER = 2  # the example whose garment the first visitor sees, from behind: the wearer is the first


def add(
    studio: Studio, tabs: gr.Tabs, tab: gr.Tab, pose: Parts, own: PhotoUpload, parser: Path, idle: int
) -> tuple[GarmentDesk, gr.State, list[Any]]:
    """Fill the tab that is being built. Returns what its events do, the visitor's state, and the events after
    which other photos, or more textures, may be kept.

    Args:
        pose, own: the parts of the pose tab.
        parser: folder of the parser's weights, which may be missing.
        idle: seconds after which a visitor is forgotten.
    """
    desk = GarmentDesk(studio, Opener(parser, studio.pipeline.device.type))
    people = desk.people(Visit())
    wearer, giver = people[0], people[min(GIVER, len(people) - 1)]
    rest = studio.examples[wearer["name"]].pose
    with gr.Column(elem_classes="desk", elem_id="garments"):
        visit = gr.State(Visit(), time_to_live=idle)
        with gr.Row(elem_classes="d-studio"):
            with gr.Column(elem_id="dressing"):
                gr.HTML("<b>Wearer</b> <span>· stays who they are</span>", elem_classes="part-title")
                with gr.Row(elem_id="wearers", elem_classes="photos"):
                    picker = PhotoPicker(people, wearer["name"], MAX_BYTES, PHOTOS)
                    photo = gr.UploadButton("Your photo", file_types=["image"], elem_id="wearer-photo")
                    fetch = gr.Button("From Pose", elem_id="from-pose")
                gr.HTML("<b>Garments</b> <span>· from other people</span>", elem_classes="part-title")
                garments = [{"person": giver["name"], "part": "upper", "strength": 1, "mask": ""}]
                wardrobe = Wardrobe(people, {"garments": garments, "into": 0}, canvas=studio.canvas, later=PHOTOS)
                with gr.Row(elem_id="garment-photo", elem_classes="photos"):  # not shown: a garment's own button presses it
                    given = gr.UploadButton("Photo of a garment", file_types=["image"])
                says = gr.HTML("", elem_id="garment-says")
            with gr.Column(elem_classes=["part", "d-source"]):
                gr.HTML("<b>Pose</b> <span>· drag the dots</span>", elem_classes="part-title")
                editor = PoseEditor(rest, photo=wearer["picture"], rest=rest, canvas=studio.canvas, elem_classes="d-editor")
            with gr.Column(elem_classes=["part", "d-result"]):
                gr.HTML("<b>Result</b> <span>· from coarse to fine in 20 steps</span>", elem_classes="part-title")
                sizes = [list(size) for size in studio.pipeline.ladder]
                viewer = StepViewer(sizes, against="the wearer's own clothes", elem_classes="d-viewer")
                bar = RunBar(keeps=False, elem_classes="d-run")
                download = Download(elem_classes="d-download")
            send = gr.Button("To Pose tab", elem_id="to-pose")
        with gr.Accordion("What is recognised", open=False, elem_id="recognised", visible=desk.opener.there):
            seen = gr.HTML("<p>Nothing yet.</p>")
    mine = [editor, picker, wardrobe, viewer, says, seen]
    wanted = [editor, picker, wardrobe, bar, visit]
    tab.select(desk.enter, wanted, mine, **RUN)
    editor.drag(desk.preview, wanted, viewer, **PREVIEW)
    dressed = editor.release(desk.render, wanted, mine, **RUN)
    editor.release(desk.released, [editor, visit], None, **AT_ONCE)
    picker.select(desk.choosing, [visit], None, **AT_ONCE)
    picker.select(desk.wear, [picker, wardrobe, bar, visit], mine, **RUN)
    picker.too_large(own.too_large, None, says, **AT_ONCE)
    worn = photo.upload(desk.photo_of_wearer, [photo, wardrobe, bar, visit], mine, **RUN)
    taken = given.upload(desk.photo_of_garment, [given, wardrobe, visit], mine, **RUN)
    viewer.stop(desk.stop, [visit], None, **AT_ONCE)
    viewer.zoom(SaveEvents(studio).zoomed, [visit], viewer, **PREVIEW)
    bar.save(desk.save, [editor, picker, visit, bar], download, **SAVE)
    fetched = fetch.click(desk.fetch, [pose.editor, pose.picker, pose.session, wardrobe, bar, visit], mine, **RUN)
    opened: list[Any] = [pose.editor, pose.picker, pose.message, pose.viewer]
    sent = send.click(desk.send, [visit, pose.session, pose.bar], [*opened, tabs, says], **RUN)
    sent.then(own.tools, [pose.picker, pose.session], [pose.fit, pose.crop, pose.find, pose.settle], **AT_ONCE)
    return desk, visit, [worn, taken, fetched, sent, dressed]
