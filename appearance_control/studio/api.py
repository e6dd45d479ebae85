"""The endpoint ``/swap`` for programs. Invalid input is answered with one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from appearance_control.classes import SWAP_PARTS
from appearance_control.garment import Garment
from appearance_control.studio.events import GarmentEvents
from appearance_control.studio.wardrobe import MAX_GARMENTS
from appearance_control.swap import SwapPlanner
from nted_step.image import to_pil
from nted_step.person import Person
from pose_editor import formats
from pose_editor.editor import PoseEditor
from pose_editor.studio.api import JOINTS, report_errors
from pose_editor.studio.api_inputs import PhotoInput, PoseInput
from pose_editor.studio.validation import require_integer

DESCRIPTION = f"The wearer in garments of other people: {MAX_GARMENTS} photos at most, and for each the part that is taken of it. {JOINTS}"


class SwapEndpoint:
    """Swaps with the studio and the parser that also serve the page."""

    def __init__(self, events: GarmentEvents) -> None:
        self.studio, self.parser_loader, self.reader = events.studio, events.parser_loader, events.reader

    def swap(
        self,
        wearer: str,
        garments: list[str],
        parts: list[str],
        pose: dict[str, Any],
        seed: float,
        wearer_pose: dict[str, Any] | None = None,
        garment_poses: list[dict[str, Any] | None] | None = None,
    ) -> Image.Image:
        photos, parts = garments or [], parts or []
        if not 1 <= len(photos) <= MAX_GARMENTS or len(parts) != len(photos):
            raise ValueError(f"give 1 to {MAX_GARMENTS} garment photos and a part for each of them, not {len(photos)} and {len(parts)}")
        if not all(isinstance(path, str) for path in photos):
            raise ValueError("every garment is a photo, and none of them is empty")
        parser = self.parser_loader.load()
        if parser is None:
            raise ValueError(f"garments cannot be recognised here: {self.parser_loader.error}")
        poses = garment_poses or [None] * len(photos)
        if not isinstance(poses, list) or len(poses) != len(photos):
            raise ValueError(f"garment_poses is a list with the pose in each of the {len(photos)} garment photos, or null")
        chosen = [
            Garment(self._person(path, own), (part,), name=Path(path).name) for path, part, own in zip(photos, parts, poses, strict=True)
        ]
        target, noise, pipeline = formats.from_value(pose), require_integer(seed, "seed"), self.studio.pipeline
        plan = self.studio.runner.run(
            lambda: SwapPlanner(pipeline, self._person(wearer, wearer_pose), target, parser=parser, seed=noise).plan(chosen)
        )
        *_, last = self.studio.runner.iterate(pipeline.generate(plan.dressed(), target, seed=noise))
        return to_pil(last.image)

    def _person(self, photo: str | None, pose: dict[str, Any] | None) -> Person:
        return self.studio.pipeline.encode(*self.reader.for_program(photo, pose))


def add(events: GarmentEvents, pose: PoseEditor, seed: gr.Number) -> None:
    """Add the endpoint to the page that is being built; hidden components give its arguments their types."""
    with gr.Group(visible=False):
        wearer = PhotoInput(label="wearer", file_types=["image"], type="filepath")
        garments = PhotoInput(label="garments", file_types=["image"], type="filepath", file_count="multiple")
        parts = gr.Dropdown(list(SWAP_PARTS), value=["upper"], multiselect=True, label="parts")
        wearer_pose, garment_poses = PoseInput(label="wearer_pose"), PoseInput(several=True, label="garment_poses")
        result = gr.Image(label="result", type="pil", format="png")
        gr.Button().click(
            report_errors(SwapEndpoint(events).swap),
            [wearer, garments, parts, pose, seed, wearer_pose, garment_poses],
            result,
            api_name="swap",
            concurrency_id="run",
            concurrency_limit=1,
            api_description=DESCRIPTION,
        )
