"""The pose editor's tools: groups, mirror, locked limbs, reach, behind, presets, files. Watched through the joints' names."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.e2e.visitor import (
    LEFT_ANKLE, LEFT_ELBOW, LEFT_HIP, LEFT_KNEE, LEFT_SHOULDER, LEFT_WRIST, NECK, RIGHT_WRIST, centre, drag, edit, joints, wait_done,
)  # fmt: skip


def length(pose, a: int, b: int) -> float:
    return math.dist(pose[a], pose[b])


@pytest.fixture
def page(open_quick):
    page = open_quick()
    page.click('[data-open="tools"]')
    page.wait_for_timeout(200)
    return page


def test_limb_and_reach_keep_lengths(page) -> None:
    before = joints(page)
    page.click('[data-mode="limb"]')
    drag(page, LEFT_ELBOW, 30, -40)
    after = joints(page)
    assert after[LEFT_ELBOW] != before[LEFT_ELBOW] and after[LEFT_WRIST] != before[LEFT_WRIST]
    for a, b in ((LEFT_SHOULDER, LEFT_ELBOW), (LEFT_ELBOW, LEFT_WRIST)):
        assert length(after, a, b) == pytest.approx(length(before, a, b), abs=0.1)
    page.click('[data-mode="reach"]')
    drag(page, LEFT_ANKLE, 20, -60)
    bent = joints(page)
    assert bent[LEFT_KNEE] != after[LEFT_KNEE] and bent[LEFT_HIP] == after[LEFT_HIP]
    for a, b in ((LEFT_HIP, LEFT_KNEE), (LEFT_KNEE, LEFT_ANKLE)):
        assert length(bent, a, b) == pytest.approx(length(before, a, b), abs=0.1)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert joints(page) == before


def test_groups_mirror_behind_and_numbers(page) -> None:
    before = joints(page)
    box = page.locator(".pe-stage").bounding_box()
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    assert page.locator(".pe-selected").count() >= 10 and page.locator(".pe-handle >> visible=true").count() == 5
    drag(page, NECK, 6, 3)
    group = joints(page)
    dx, dy = group[NECK][0] - before[NECK][0], group[NECK][1] - before[NECK][1]
    assert dx > 1 and group[LEFT_ANKLE] == before[LEFT_ANKLE]
    assert group[LEFT_SHOULDER] == pytest.approx([before[LEFT_SHOULDER][0] + dx, before[LEFT_SHOULDER][1] + dy], abs=0.02)
    page.keyboard.press("Control+z")

    page.click('[data-do="all"]')
    page.click('[data-do="smaller"]')
    small = joints(page)
    assert length(small, NECK, LEFT_HIP) == pytest.approx(length(before, NECK, LEFT_HIP) / 1.05, abs=0.1)
    page.click('[data-do="undo"]')
    page.click('[data-do="mirror"]')
    low, high = min(x for x, _ in before), max(x for x, _ in before)
    assert joints(page)[RIGHT_WRIST] == pytest.approx([low + high - before[LEFT_WRIST][0], before[LEFT_WRIST][1]], abs=0.02)
    page.click('[data-do="mirror"]')

    page.click('[data-do="back"]')
    behind = joints(page)
    assert [behind[index] for index in (0, 14, 15, 16, 17)] == [None] * 5 and behind[RIGHT_WRIST] == pytest.approx(before[LEFT_WRIST], abs=0.02)
    assert page.locator('[data-do="back"]').get_attribute("aria-pressed") == "true"
    page.click('[data-do="back"]')
    assert None not in joints(page)

    page.mouse.click(*centre(page, LEFT_WRIST))
    page.fill(".pe-x", "50")
    page.keyboard.press("Tab")
    assert joints(page)[LEFT_WRIST][0] == 50
    page.mouse.click(*centre(page, NECK))
    page.keyboard.down("Shift")
    page.mouse.click(*centre(page, LEFT_HIP))
    page.keyboard.up("Shift")
    assert page.locator(".pe-status").inner_text() == "2 joints"


def test_a_preset_and_a_hidden_joint_coming_back(page) -> None:
    page.click('[data-open="poses"]')
    page.click('[data-panel="poses"] [aria-label="star"]')
    page.wait_for_function("document.querySelector('[data-do=\"undo\"]').disabled === false")
    wait_done(page, after=0)
    star = joints(page)
    assert star[LEFT_WRIST][1] < star[NECK][1]
    page.locator(f'[data-joint="{LEFT_WRIST}"]').focus()
    page.keyboard.press("Delete")
    assert joints(page)[LEFT_WRIST] is None
    page.locator(f'[data-joint="{LEFT_ELBOW}"]').focus()
    for _ in range(12):
        page.keyboard.press("Shift+ArrowDown")
    page.locator(f'[data-joint="{LEFT_WRIST}"]').focus()
    page.keyboard.press("Enter")
    back = joints(page)
    assert length(back, LEFT_ELBOW, LEFT_WRIST) < 60, "it comes back on the arm, not where the arm was"


def test_files_in_and_out(page, tmp_path: Path) -> None:
    standing = joints(page)
    with page.expect_download() as download:
        page.select_option(".pe-save", "openpose")
    saved = json.loads(Path(download.value.path()).read_text())
    assert saved["people"][0]["pose_keypoints_2d"][:2] == pytest.approx(standing[0], abs=0.01)

    body = [number for index in range(25) for number in (40 + 3 * index, 60 + 5 * index, 0.9)]
    person = {"pose_keypoints_2d": body, "hand_left_keypoints_2d": [1.0] * 63}
    (tmp_path / "two.json").write_text(json.dumps({"people": [person, {"pose_keypoints_2d": [0.5, 0.4, 1.0] * 10 + [0.2, 0.2, 1.0] * 8}]}))
    page.set_input_files(".pe-file", tmp_path / "two.json")
    page.click('[data-panel="people"] [aria-label="person 1"]')
    page.wait_for_selector('.pe-message:has-text("Hands points were left out")')
    assert joints(page)[0] == [40, 60]

    page.click('[data-do="paste"]')
    page.fill(".pe-pastebox textarea", "nothing that is a pose")
    before = joints(page)
    page.click('[data-do="use"]')
    page.wait_for_selector(".pe-message.pe-error")
    assert joints(page) == before
    page.fill(".pe-pastebox textarea", "\n".join(f"{x + 40} {y}" for x, y in standing))
    page.click('[data-do="use"]')
    page.wait_for_selector(".pe-message", state="hidden")
    assert joints(page)[LEFT_WRIST] == pytest.approx(standing[LEFT_WRIST], abs=0.01)
    wait_done(page, after=edit(page) - 1)
