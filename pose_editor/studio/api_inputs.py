"""Inputs of the endpoints for programs, whose examples work as they stand: the API page writes its snippets from them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from nted_step.bundled import EXAMPLES
from nted_step.pose import BASE_SIZE, Pose, load_pose_text
from pose_editor import formats
from pose_editor.gradio_workarounds import ComponentMeta

PERSON = "striped-dress"  # of assets/examples


class PhotoInput(gr.File, metaclass=ComponentMeta):
    """Photos. The example is a file of this repository, which a snippet finds when it is run there."""

    is_template = True  # the browser shows it as the base class

    def example_payload(self) -> Any:
        photo = {"path": f"assets/examples/{PERSON}.png", "meta": {"_type": "gradio.FileData"}}
        return photo if self.file_count == "single" else [photo]

    def example_value(self) -> Any:
        path = f"assets/examples/{PERSON}.png"
        return path if self.file_count == "single" else [path]


class PoseInput(gr.JSON, metaclass=ComponentMeta):
    """The pose in a photo, or a list with one for each of several photos, as the pose editor's value; or null."""

    is_template = True

    def __init__(self, several: bool = False, **arguments: Any) -> None:
        self.several = several
        super().__init__(None, **arguments)

    def example_payload(self) -> Any:
        pose = {"joints": formats.to_value(example_pose())["joints"]}
        return [pose] if self.several else pose

    def example_value(self) -> Any:
        return self.example_payload()


def example_pose() -> Pose:
    """The pose in the example."""
    return load_pose_text(EXAMPLES / f"{PERSON}.txt", BASE_SIZE)
