"""The pose of one body on another."""

import numpy as np
import pytest

from nted_step.pose import JOINTS, Pose
from pose_editor import presets, server_functions
from pose_editor.formats import to_value
from pose_editor.pose_transfer import transferred

SIZE = (256, 176)
BODY = presets.standing(SIZE)
NECK, ELBOW, WRIST, KNEE, ANKLE = (JOINTS.index(name) for name in ("neck", "right elbow", "right wrist", "right knee", "right ankle"))
FACE = [JOINTS.index(name) for name in ("nose", "right eye", "left eye", "right ear", "left ear")]


def length(pose: Pose, joint: int) -> float:
    return float(np.hypot(*(pose.xy[joint] - pose.xy[presets.PARENTS[joint]])))


def direction(pose: Pose, joint: int) -> np.ndarray:
    bone = pose.xy[joint] - pose.xy[presets.PARENTS[joint]]
    return bone / np.hypot(*bone)


def slim(pose: Pose) -> Pose:
    """Somebody with short arms, who stands elsewhere."""
    xy = pose.xy.copy()
    for elbow, wrist, shoulder in ((3, 4, 2), (6, 7, 5)):
        upper, lower = 0.7 * (xy[elbow] - xy[shoulder]), 0.7 * (xy[wrist] - xy[elbow])
        xy[elbow] = xy[shoulder] + upper
        xy[wrist] = xy[elbow] + lower
    return Pose(xy * 0.8 + (30, 40), pose.visible)


@pytest.mark.parametrize("name", ["wave", "star", "dance", "kick"])
def test_limbs_turn_and_keep_their_lengths(name: str) -> None:
    body, found = slim(BODY), presets.apply(presets.PRESETS[name], presets.standing((800, 800)), (800, 800))
    taken = transferred(found, body, SIZE)
    for joint in (ELBOW, WRIST, KNEE, ANKLE):
        assert direction(taken, joint) == pytest.approx(direction(found, joint), abs=0.01)
        assert length(taken, joint) == pytest.approx(length(body, joint), rel=0.03)
    assert taken.xy[[10, 13], 1].max() == pytest.approx(body.xy[[10, 13], 1].max(), abs=0.1), "on the same ground"


def test_foreshortened_limbs_are_so_on_the_other_body() -> None:
    found = presets.apply(presets.PRESETS["sit"], BODY, SIZE)  # thighs towards the camera
    taken = transferred(found, slim(BODY), SIZE)
    assert length(taken, KNEE) == pytest.approx(0.42 * length(slim(BODY), KNEE), rel=0.1)


def test_what_is_not_seen_there_stays_as_it_is_but_a_hidden_face_is_hidden() -> None:
    behind = presets.posed("back", BODY, SIZE)
    assert not transferred(behind, BODY, SIZE).visible[FACE].any()
    half = Pose(presets.posed("arms up", BODY, SIZE).xy, ~np.isin(np.arange(18), [9, 10, 12, 13]))
    taken = transferred(half, BODY, SIZE)
    assert taken.visible.all() and direction(taken, KNEE) == pytest.approx(direction(BODY, KNEE), abs=0.01)
    assert direction(taken, WRIST)[1] < -0.9


def test_the_editor_asks_for_it() -> None:
    request = {"found": to_value(presets.posed("star", BODY, SIZE))["joints"], "joints": to_value(BODY)["joints"], "canvas": list(SIZE)}
    assert len(server_functions.transfer_pose(request)["joints"]) == 18
    assert "error" in server_functions.transfer_pose(request | {"found": None})
