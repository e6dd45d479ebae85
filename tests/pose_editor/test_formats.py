"""Pose files and the editor's value: what is written reads back to the last bit, and nothing wrong gets in."""

import json
import math

import numpy as np
import pytest

from nted_step.pose import JOINTS, Pose, PoseError
from pose_editor import formats, presets

SIZE = (256, 176)


def poses() -> list[Pose]:
    """Awkward coordinates: thirds, the corners, hidden joints in every place."""
    rng = np.random.default_rng(0)
    full = Pose(rng.uniform((0, 0), (176, 256), (18, 2)), np.ones(18, bool))
    corners = Pose(np.tile([[0.0, 0.0], [176.0, 256.0], [1 / 3, 0.1]], (6, 1)), np.ones(18, bool))
    some = [Pose(full.xy, rng.random(18) < 0.6) for _ in range(20)]
    return [full, corners, *(pose for pose in some if pose.visible.any()), presets.standing(SIZE)]


@pytest.mark.parametrize("pose", poses())
def test_value_and_files_read_back_exactly(pose: Pose) -> None:
    assert formats.from_value(json.loads(json.dumps(formats.to_value(pose, 7)))) == pose
    assert formats.from_openpose(json.dumps(formats.to_openpose(pose))).people == (pose,)
    text = formats.to_text(pose)
    read = formats.from_text(text).people[0]
    assert formats.to_text(read) == text
    np.testing.assert_allclose(read.xy, pose.xy, atol=1e-4)


@pytest.mark.parametrize("pose", poses())
def test_coco_reads_back_exactly_but_for_the_neck(pose: Pose) -> None:
    numbers = formats.to_coco(pose)
    if not any(numbers):
        with pytest.raises(PoseError, match="every joint is missing"):  # nothing but the neck was visible
            formats.from_coco(numbers)
        return
    read = formats.from_coco(json.dumps(numbers)).people[0]
    others = np.arange(18) != 1
    assert np.array_equal(read.xy[others], pose.xy[others]) and np.array_equal(read.visible[others], pose.visible[others])
    assert read.visible[1] == (pose.visible[2] and pose.visible[5])
    assert formats.to_coco(read) == numbers


def test_openpose_of_other_tools() -> None:
    body = [float(n) for i in range(25) for n in (10 + i, 20 + 2 * i, 0.9)]
    read = formats.from_openpose({"people": [{"pose_keypoints_2d": body, "hand_left_keypoints_2d": [1, 2, 3], "face_keypoints_2d": None}]})
    assert read.people[0].xy[8].tolist() == [19, 38]  # BODY_25 has the middle of the hips at 8; our 8 is its 9
    assert read.people[0].xy[17].tolist() == [28, 56]
    assert [note.split()[0] for note in read.notes] == ["hands", "feet"]

    missing = [0.5, 0.5, 1] * 15 + [None, None, None] + [-1, -1, 1] + [0.2, 0.2, 0]
    pose = formats.from_openpose([{"people": [{"pose_keypoints_2d": missing}]}]).people[0]
    assert pose.visible.sum() == 15 and pose.xy[0].tolist() == [88, 128]  # normalised, so half the canvas

    wide = formats.to_openpose(presets.standing((512, 512)), (512, 512))
    fitted = formats.from_openpose(wide, SIZE).people[0]
    fitted.require_drawable(SIZE)
    shoulders = np.linalg.norm(fitted.xy[2] - fitted.xy[5]) / np.linalg.norm(fitted.xy[1] - fitted.xy[0])
    assert shoulders == pytest.approx((0.184**2) ** 0.5 / 0.1, rel=1e-4)  # not stretched


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "a pose is"),
        ([[0, 0, True]] * 18, "a pose is"),
        ({"joints": [[0, 0, True]] * 17}, "exactly 18 joints; 17 were given"),
        ({"joints": "x" * 1_000_000}, "exactly 18 joints"),
        ({"joints": [[0, 0]] * 18}, "'nose' must be [x, y, visible]"),
        ({"joints": [[0, "1", True]] * 18}, "x and y must be finite numbers"),
        ({"joints": [[0, math.nan, True]] * 18}, "x and y must be finite numbers"),
        ({"joints": [[0, math.inf, True]] * 18}, "x and y must be finite numbers"),
        ({"joints": [[1e9, 0, True]] * 18}, "x and y must be finite numbers"),
        ({"joints": [[10**400, 0, True]] * 18}, "x and y must be finite numbers"),
        ({"joints": [[True, 0, True]] * 18}, "x and y must be finite numbers"),
        ({"joints": [[0, 0, "yes"]] * 18}, "visible must be true or false"),
        ({"joints": [[0, 0, [1]]] * 18}, "visible must be true or false"),
        ({"joints": [[0, 0, True]] * 18, "edit": 1.5}, "whole number"),
        ({"joints": [[0, 0, True]] * 18, "edit": -1}, "whole number"),
        ({"joints": [[0, 0, True]] * 18, "photo": "/etc/passwd"}, "a pose is"),
    ],
)
def test_wrong_values_are_refused_in_one_line(value: object, says: str) -> None:
    with pytest.raises(PoseError) as error:
        formats.from_value(value)
    assert says in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 200


@pytest.mark.parametrize(
    "document",
    ["{", "[" * 100_000, "null", "[]", '{"people": []}', '{"people": [{}]}', '{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}',
     json.dumps({"people": [{"pose_keypoints_2d": [0] * 54}]}), json.dumps({"people": [{"pose_keypoints_2d": ["a"] * 54}]}),
     " " * 2_000_000],
)  # fmt: skip
def test_wrong_openpose_files_are_refused_in_one_line(document: str) -> None:
    with pytest.raises(PoseError) as error:
        formats.from_openpose(document)
    assert "\n" not in str(error.value) and len(str(error.value)) < 200


def test_a_dot_is_no_pose() -> None:
    document = json.dumps({"people": [{"pose_keypoints_2d": [1] * 54}], "canvas_width": 0, "canvas_height": 1})
    with pytest.raises(PoseError, match="no more than a dot"):
        formats.read(document)


@pytest.mark.parametrize("name", presets.PRESETS)
def test_presets_turn_limbs_and_keep_their_lengths(name: str) -> None:
    before = presets.standing(SIZE)
    after = presets.apply(presets.PRESETS[name], before, SIZE).require_drawable(SIZE)
    assert name == "stand" or after != before
    scales = []
    for name_of_joint, (_, factor) in presets.PRESETS[name].items():
        joint = JOINTS.index(name_of_joint)
        old, new = (np.linalg.norm(pose.xy[joint] - pose.xy[presets.PARENTS[joint]]) for pose in (before, after))
        scales.append(new / (old * factor))
    assert max(scales) == pytest.approx(min(scales), rel=1e-4) and 0.8 < max(scales) < 1.0001  # one scale, where it had to fit


def test_a_preset_leaves_missing_joints_missing() -> None:
    seen = np.ones(18, bool)
    seen[[2, 4]] = False
    pose = Pose(presets.standing(SIZE).xy, seen)
    after = presets.apply(presets.PRESETS["wave"], pose, SIZE)
    assert np.array_equal(after.visible, seen) and np.allclose(after.xy[3], pose.xy[3], atol=1e-4)
