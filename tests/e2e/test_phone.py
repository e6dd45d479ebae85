"""The page on a phone: narrow, and by finger."""

from __future__ import annotations

import pytest

from tests.e2e.visitor import LEFT_WRIST, PHONE, RIGHT_EYE, centre, edit, joints, step, wait_done


def width(page) -> int:
    return page.evaluate("document.documentElement.scrollWidth")


def test_drag_by_finger(open_quick) -> None:
    page = open_quick(**PHONE)
    x, y = centre(page, LEFT_WRIST)
    before = joints(page)
    finger = page.context.new_cdp_session(page)
    # It lands beside the dot, not on it.
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x + 9, "y": y + 7}]})
    for k in range(1, 9):
        finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x + 9 - k * 3, "y": y + 7 - k * 5}]})
        page.wait_for_timeout(30)
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    after = joints(page)
    assert after[LEFT_WRIST][0] < before[LEFT_WRIST][0] and after[LEFT_WRIST][1] < before[LEFT_WRIST][1]
    assert [index for index in range(18) if after[index] != before[index]] == [LEFT_WRIST]
    assert page.evaluate("scrollY") == 0, "the finger moved the joint, not the page"
    wait_done(page, after=0)
    page.tap('[data-do="undo"]')
    assert joints(page) == before


def test_a_loupe_shows_what_the_finger_covers(open_quick) -> None:
    page = open_quick(**PHONE)
    x, y = centre(page, RIGHT_EYE)
    finger, loupe = page.context.new_cdp_session(page), page.locator(".pe-loupe").first
    assert not loupe.is_visible()
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for k in range(1, 5):
        finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x + k, "y": y + 2 * k}]})
        page.wait_for_timeout(30)
    page.wait_for_timeout(100)
    box, held = loupe.bounding_box(), joints(page)[RIGHT_EYE]
    left, top, width, height = map(float, loupe.get_attribute("viewBox").split())
    assert (left + width / 2, top + height / 2) == pytest.approx(held, abs=0.01), "the joint is in its middle"
    assert box["width"] / width > 2 * page.locator(".pe-stage").first.bounding_box()["width"] / 176, "and more than twice as large"
    assert not box["x"] <= x <= box["x"] + box["width"] or not box["y"] <= y <= box["y"] + box["height"], "beside the finger"
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert not loupe.is_visible()


def test_a_short_strip_shows_every_fourth_step(open_quick) -> None:
    page = open_quick(**PHONE)
    cells = page.locator(".sv-cell:visible")
    assert cells.count() == 6 and cells.first.bounding_box()["width"] > 40
    for number in range(6):
        box = cells.nth(number).bounding_box()
        page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + 10)
        page.wait_for_selector(f'.sv-root[data-step="{4 * number}"]')


def test_a_box_by_finger(open_quick) -> None:
    page = open_quick(**PHONE)
    page.tap('[data-open="tools"]')
    page.tap('[data-do="several"]')
    page.evaluate("scrollTo(0, 0)")  # the tools lie below
    box, before = page.locator(".pe-stage").bounding_box(), joints(page)
    finger = page.context.new_cdp_session(page)
    for share in (0.04, 0.5, 0.99):  # the stage's corner is round
        kind = "touchStart" if share == 0.04 else "touchMove"
        point = {"x": box["x"] + share * box["width"], "y": box["y"] + share * box["height"] / 2}
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    chosen = page.locator(".pe-selected").count()
    assert 10 <= chosen < 18 and page.evaluate("scrollY") == 0
    page.tap('[data-do="smaller"]')
    assert sum(a != b for a, b in zip(before, joints(page), strict=True)) >= chosen - 1  # one may be in the very middle
    wait_done(page, after=0)


def test_everything_has_room(open_quick) -> None:
    page = open_quick(**PHONE)
    assert width(page) <= 390, "nothing stands over at the side"
    stage = page.locator(".pe-stage").bounding_box()
    assert stage == page.locator(".sv-stage").bounding_box() and stage["width"] > 300, "one picture, nearly as wide as the phone"
    assert stage["y"] + stage["height"] < 844, "in view as a whole"
    for name in ("poses", "tools"):
        page.tap(f'[data-open="{name}"]')
        assert page.locator(f'[data-panel="{name}"]').is_visible() and width(page) <= 390
    page.tap('[data-do="paste"]')
    assert width(page) <= 390

    page.set_viewport_size({"width": 360, "height": 640})
    assert width(page) <= 360
    page.tap(".sv-cell >> nth=8")
    assert step(page) == 8 and edit(page) == 0
    page.tap('[data-see="wipe"]')
    page.tap(".sv-wipe", position={"x": 20, "y": 60})
    assert int(page.locator(".sv-wipe").input_value()) < 20
