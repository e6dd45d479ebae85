"""Pose files as other programs write them, given to the editor in a browser."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.e2e.visitor import edit, joints, wait_done

# One person on the 176x256 canvas, and the order in which each layout lists the joints.
PERSON = {
    "nose": (88, 42), "neck": (88, 66), "r_shoulder": (70, 67), "r_elbow": (62, 96), "r_wrist": (58, 124), "l_shoulder": (106, 66),
    "l_elbow": (114, 95), "l_wrist": (121, 123), "r_hip": (77, 128), "r_knee": (76, 173), "r_ankle": (75, 216), "l_hip": (99, 127),
    "l_knee": (101, 172), "l_ankle": (103, 215), "r_eye": (84, 38), "l_eye": (92, 38), "r_ear": (79, 41), "l_ear": (97, 40),
}  # fmt: skip
OPENPOSE_18 = list(PERSON)
BODY_25 = [
    "nose",
    "neck",
    "r_shoulder",
    "r_elbow",
    "r_wrist",
    "l_shoulder",
    "l_elbow",
    "l_wrist",
    "mid_hip",
    "r_hip",
    "r_knee",
    "r_ankle",
    "l_hip",
    "l_knee",
    "l_ankle",
    "r_eye",
    "l_eye",
    "r_ear",
    "l_ear",
    "l_big_toe",
    "l_small_toe",
    "l_heel",
    "r_big_toe",
    "r_small_toe",
    "r_heel",
]
COCO_17 = [
    "nose",
    "l_eye",
    "r_eye",
    "l_ear",
    "r_ear",
    "l_shoulder",
    "r_shoulder",
    "l_elbow",
    "r_elbow",
    "l_wrist",
    "r_wrist",
    "l_hip",
    "r_hip",
    "l_knee",
    "r_knee",
    "l_ankle",
    "r_ankle",
]
OTHERS = {"mid_hip": (88, 128), "l_big_toe": (108, 222), "l_small_toe": (110, 221), "l_heel": (102, 219)}
OTHERS |= {"r_big_toe": (71, 223), "r_small_toe": (69, 222), "r_heel": (76, 220)}


def person(dx: float = 0, missing: tuple[str, ...] = ()) -> dict[str, tuple[float, float]]:
    return {name: (x + dx, y) for name, (x, y) in (PERSON | OTHERS).items() if name not in missing}


def triples(points: dict, order: list[str], sure: float, scale: tuple[float, float] = (1, 1)) -> list[float]:
    """x, y and how sure; three zeros for a joint that was not found."""
    return [n for name in order for n in ((points[name][0] / scale[0], points[name][1] / scale[1], sure) if name in points else (0, 0, 0))]


def openpose(*people: list[float]) -> str:
    """As OpenPose's --write_json writes it."""
    parts = ("face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d")
    parts += ("pose_keypoints_3d", "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d")
    empty = {part: [] for part in parts}
    return json.dumps({"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": each, **empty} for each in people]})


def coco(points: dict) -> str:
    """An entry of a COCO keypoint annotation file."""
    keypoints = triples(points, COCO_17, 2)
    entry = {
        "id": 183126,
        "image_id": 425226,
        "category_id": 1,
        "iscrowd": 0,
        "num_keypoints": 17,
        "area": 2892.3,
        "bbox": [60, 30, 80, 190],
    }
    return json.dumps({"annotations": [entry | {"keypoints": keypoints}]})


def rows(points: dict) -> str:
    """18 rows x y as with DeepFashion: x on a frame 256 wide, of which the canvas is the middle."""
    return "".join(f"{points[name][0] + 40} {points[name][1]}\n" if name in points else "-1 -1\n" for name in OPENPOSE_18)


def expect(page, points: dict, neck: tuple[float, float] | None = None) -> None:
    """Until the editor shows these joints, and only these."""
    places = points | ({"neck": neck} if neck else {})
    wanted = [places.get(name) for name in OPENPOSE_18]
    began = time.monotonic()
    while True:
        shown = joints(page)
        if all((a is None) == (b is None) and (a is None or a == pytest.approx(b, abs=0.01)) for a, b in zip(shown, wanted, strict=True)):
            return
        assert time.monotonic() - began < 5, f"{shown} instead of {wanted}"
        page.wait_for_timeout(50)


def test_every_layout(open_quick, tmp_path: Path) -> None:
    page = open_quick()

    def give(name: str, text: str) -> None:
        (tmp_path / name).write_text(text)
        page.set_input_files(".pe-file", tmp_path / name)

    plain = person(1)
    give("openpose_18.json", openpose(triples(plain, OPENPOSE_18, 0.87)))
    expect(page, plain)
    part = person(2, missing=("r_wrist", "l_ear"))
    give("body_25_normalised.json", openpose(triples(part, BODY_25, 0.91, scale=(176, 256))))
    expect(page, part)
    early = person(-3)
    give("coco.json", coco(early))
    expect(page, early, neck=(88 - 3, 66.5))  # midway between the shoulders
    half = person(4, missing=("l_knee", "l_ankle"))
    give("rows.txt", rows(half))
    expect(page, half)

    left, right = person(-20), person(20, missing=("nose",))
    give("two_people.json", openpose(triples(left, BODY_25, 0.8), triples(right, BODY_25, 0.9)))
    choice = page.locator('[data-panel="people"]')
    choice.wait_for()
    assert choice.locator("button").count() == 2
    expect(page, half)  # until one is chosen, nothing changes
    choice.locator('button:has-text("person 2")').click()
    expect(page, right)
    wait_done(page, after=edit(page) - 1)
    page.keyboard.press("Tab")
    give("hands_only.json", json.dumps({"version": 1.3, "people": []}))
    page.wait_for_selector('.pe-message.pe-error:has-text("no person found")')
    expect(page, right)
