"""The pose editor's tools: groups, mirror, locked limbs, reach, behind, presets, files. Watched through the joints' names."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.e2e.visitor import (
    LEFT_ANKLE,
    LEFT_ELBOW,
    LEFT_HIP,
    LEFT_KNEE,
    LEFT_SHOULDER,
    LEFT_WRIST,
    NECK,
    RIGHT_WRIST,
    centre,
    drag,
    edit,
    joints,
    picture,
    state,
    wait_done,
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
    assert [behind[index] for index in (0, 14, 15, 16, 17)] == [None] * 5 and behind[RIGHT_WRIST] == pytest.approx(
        before[LEFT_WRIST], abs=0.02
    )
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
    page.click('[data-panel="poses"] button:text-is("star")')
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
    (tmp_path / "two.json").write_text(
        json.dumps({"people": [person, {"pose_keypoints_2d": [88, 100, 1] * 10 + [60, 60, 1] * 8}]}), encoding="utf-16"
    )
    page.set_input_files(".pe-file", tmp_path / "two.json")
    page.click('[data-panel="people"] button:has-text("person 1")')
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


def test_there_and_back_again_leaves_no_preview(page) -> None:
    before, undoable = joints(page), page.locator('[data-do="undo"]').is_enabled()
    x, y = centre(page, LEFT_WRIST)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y - 20)
    page.wait_for_selector('.sv-root[data-state="preview"]')
    page.mouse.move(x, y)
    page.mouse.up()
    wait_done(page, after=0)
    assert joints(page) == before and page.locator('[data-do="undo"]').is_enabled() is undoable, "nothing was changed"


def test_a_pose_without_a_limb_is_refused_at_the_editor(page) -> None:
    shown = picture(page)
    page.locator(f'[data-joint="{LEFT_WRIST}"]').focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.wait_for_selector('.pe-message.pe-error:has-text("no limb")')
    assert joints(page) == [None] * 18 and picture(page) == shown and state(page) == "done", "the result that was there stays"
    assert page.locator(".toast-wrap >> text=Error").count() == 0
    page.keyboard.press("Control+z")
    page.wait_for_selector(".pe-message", state="hidden")
    wait_done(page, after=0)


def test_several_joints_without_shift(page) -> None:
    """As by finger or with the keyboard alone."""
    before = joints(page)
    page.click('[data-do="several"]')
    page.mouse.click(*centre(page, LEFT_WRIST))
    page.mouse.click(*centre(page, LEFT_ELBOW))
    page.mouse.click(*centre(page, RIGHT_WRIST))
    page.mouse.click(*centre(page, RIGHT_WRIST))
    assert page.locator(".pe-status").inner_text() == "2 joints"
    page.locator(f'[data-joint="{LEFT_SHOULDER}"]').focus()
    page.keyboard.press("Space")
    assert page.locator(f'[data-joint="{LEFT_SHOULDER}"]').get_attribute("aria-pressed") == "true"
    page.keyboard.press("Shift+ArrowUp")
    moved = [index for index, (a, b) in enumerate(zip(before, joints(page), strict=True)) if a != b]
    assert moved == [LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST]
    assert joints(page)[LEFT_WRIST] == pytest.approx([before[LEFT_WRIST][0], before[LEFT_WRIST][1] - 10], abs=0.02)
    page.click('[data-do="several"]')
    page.mouse.click(*centre(page, NECK))
    assert page.locator(".pe-selected").count() == 1


def test_a_hundred_steps_back(page) -> None:
    before = joints(page)
    page.mouse.click(*centre(page, LEFT_WRIST))
    page.locator(".pe-x").evaluate(
        "field => { for (let x = 0; x < 102; x++) { field.value = x; field.dispatchEvent(new Event('change')); } }"
    )
    page.locator('[data-do="undo"]').evaluate("button => { for (let k = 0; k < 100; k++) button.click(); }")
    assert page.locator('[data-do="undo"]').is_disabled() and joints(page)[LEFT_WRIST][0] == 1, "the oldest ones are forgotten"
    page.locator('[data-do="redo"]').evaluate("button => { for (let k = 0; k < 100; k++) button.click(); }")
    assert (
        joints(page)[LEFT_WRIST] == pytest.approx([101, before[LEFT_WRIST][1]], abs=0.01) and page.locator('[data-do="redo"]').is_disabled()
    )
    wait_done(page, after=0)


def test_tab_brings_a_joint_into_a_large_view(page) -> None:
    page.locator(f'[data-joint="{NECK}"]').focus()
    for _ in range(4):
        page.click('[data-do="zoomin"]')
    page.locator(f'[data-joint="{LEFT_ANKLE}"]').focus()
    stage = page.locator(".pe-stage").bounding_box()
    x, y = centre(page, LEFT_ANKLE)
    assert stage["x"] < x < stage["x"] + stage["width"] and stage["y"] < y < stage["y"] + stage["height"]
    page.keyboard.press("0")
    assert page.locator('[data-do="fit"]').is_disabled()
