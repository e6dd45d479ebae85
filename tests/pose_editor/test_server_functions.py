"""What the editor asks of Python: pose files and presets, and one line for everything wrong."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from nted_step.pose import JOINTS
from pose_editor import formats, presets, server_functions

CANVAS = [256, 176]
JOINT_ROWS = formats.to_value(presets.standing((256, 176)))["joints"]


@pytest.mark.parametrize("kind", ["openpose", "coco", "text"])
def test_a_saved_pose_opens_as_it_was(kind: str) -> None:
    saved = server_functions.write_pose({"kind": kind, "joints": JOINT_ROWS, "canvas": CANVAS})
    text = base64.b64decode(saved["url"].partition(",")[2]).decode()
    read = server_functions.read_pose({"text": text, "canvas": CANVAS})
    assert read["notes"] == [] and len(read["people"]) == 1
    others = [index for index in range(18) if kind != "coco" or index != 1]  # COCO has no neck
    np.testing.assert_allclose(np.array(read["people"][0], float)[others], np.array(JOINT_ROWS, float)[others], atol=1e-4)


def test_the_skeleton_picture() -> None:
    saved = server_functions.write_pose({"kind": "png", "joints": JOINT_ROWS, "canvas": CANVAS})
    with Image.open(io.BytesIO(base64.b64decode(saved["url"].partition(",")[2]))) as image:
        assert image.size == (176, 256) and image.getbbox()


def test_several_people_and_notes() -> None:
    person = {"pose_keypoints_2d": [number for x, y, _ in JOINT_ROWS for number in (x, y, 1)], "hand_left_keypoints_2d": [1] * 63}
    read = server_functions.read_pose({"text": json.dumps({"people": [person, person]}), "canvas": CANVAS})
    assert len(read["people"]) == 2 and "hands" in read["notes"][0]


def test_a_pose_beyond_the_canvas_is_fitted_and_says_so() -> None:
    far = {"people": [{"pose_keypoints_2d": [number for x, y, _ in JOINT_ROWS for number in (x * 4, y * 4, 1)]}]}
    read = server_functions.read_pose({"text": json.dumps(far), "canvas": CANVAS})
    xy = np.array(read["people"][0])[:, :2]
    assert xy.min() >= 0 and xy[:, 0].max() <= 176 and xy[:, 1].max() <= 256
    assert "made smaller" in read["notes"][0]


def test_a_person_that_cannot_be_drawn_is_left_out() -> None:
    good = [number for x, y, _ in JOINT_ROWS for number in (x, y, 1)]
    people = [{"pose_keypoints_2d": None}, {"pose_keypoints_2d": good}, {"pose_keypoints_2d": [*good[:3], *[0] * 51]}]
    read = server_functions.read_pose({"text": json.dumps({"people": people}), "canvas": CANVAS})
    assert len(read["people"]) == 1 and read["notes"][0] == "person 1: left out: it has no body points"
    assert read["notes"][1].startswith("person 3: left out: the pose shows no limb")


@pytest.mark.parametrize("request_", [None, {}, {"text": 5, "canvas": CANVAS}, {"text": "{", "canvas": CANVAS},
                                      {"text": "1 2", "canvas": CANVAS}, {"text": "{}", "canvas": [1e9, 2]},
                                      {"text": "{}", "canvas": 5}])  # fmt: skip
def test_nonsense_is_one_line(request_: object) -> None:
    for ask in (server_functions.read_pose, server_functions.write_pose, server_functions.preset_pose):
        answer = ask(request_)
        assert set(answer) == {"error"} and len(answer["error"]) < 200 and "\n" not in answer["error"]


def test_at_least_sixteen_presets_and_each_is_different() -> None:
    seen = {json.dumps(thumbnail["joints"]) for thumbnail in server_functions.thumbnails()}
    assert len(seen) == len(presets.PRESETS) >= 16


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_preset_stands_on_the_ground_and_hides_what_is_not_seen(name: str) -> None:
    before = presets.standing((256, 176))
    after = presets.posed(name, before, (256, 176)).require_drawable((256, 176))
    assert after.xy[presets.FEET, 1].max() == pytest.approx(before.xy[presets.FEET, 1].max(), abs=14)
    seen = after.xy[after.visible, 0]
    assert seen.min() >= 0.04 * 176 - 1e-3 and seen.max() <= 0.96 * 176 + 1e-3, "with room for hands and feet at the sides"
    assert {JOINTS[index] for index in np.flatnonzero(~after.visible)} == set(presets.HIDDEN.get(name, ()))
