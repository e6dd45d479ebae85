"""The component on its own: what goes to the page and what comes back."""

import gradio as gr
import numpy as np
import pytest

from nted_step.pose import Pose, PoseError
from pose_editor import PoseEditor, formats, presets
from pose_editor.picker import PhotoPicker


def test_value_out_and_in() -> None:
    pose = presets.standing((256, 176))
    editor = PoseEditor(pose)
    assert editor.value == formats.to_value(pose)
    assert formats.from_value(editor.preprocess(editor.postprocess(pose))) == pose
    assert editor.postprocess(None) is None
    assert formats.from_value(editor.preprocess(editor.example_payload())) == pose


def test_a_wrong_payload_is_one_line_for_the_page() -> None:
    with pytest.raises(gr.Error, match="exactly 18 joints; 3 were given"):
        PoseEditor().preprocess({"joints": [[1, 2, True]] * 3})
    with pytest.raises(PoseError):
        PoseEditor({"joints": []})


def test_it_is_an_ordinary_component() -> None:
    """In a page of its own, with its two events and its place in the API schema."""
    with gr.Blocks() as page:
        editor = PoseEditor(canvas=(512, 352), photo="data:,")
        text = gr.Textbox()
        editor.drag(lambda value: str(value), editor, text, trigger_mode="always_last")
        editor.release(lambda value: str(value), editor, text, api_name="pose")
    config = next(each for each in page.config["components"] if each["props"].get("elem_id") == editor.elem_id and each["type"] == "html")
    assert config["props"]["props"]["canvas"] == [512, 352]
    schema = page.get_api_info()["named_endpoints"]["/pose"]["parameters"][0]["type"]
    assert schema["properties"]["joints"]["minItems"] == 18


def test_a_preset_on_half_a_person() -> None:
    """A photo that ends at the knees: hidden joints go out as hidden, wherever they are."""
    seen = np.arange(18) % 3 > 0
    value = PoseEditor(Pose(np.zeros((18, 2)), seen)).value
    assert [row[2] for row in value["joints"]] == seen.tolist()


def test_picker_takes_only_what_it_offers() -> None:
    picker = PhotoPicker([{"name": "ann", "title": "Ann", "picture": "data:,"}], "ann")
    assert picker.preprocess("ann") == "ann" and picker.preprocess(None) is None
    for wrong in ("../ann", ["ann"], 1):
        with pytest.raises(gr.Error, match="No such example"):
            picker.preprocess(wrong)
