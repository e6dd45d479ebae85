"""Looking at a result, saving it, and finding it again."""

from __future__ import annotations

import json
import zipfile

from tests.e2e.test_editor import joints
from tests.e2e.test_page import LEFT_WRIST, drag, edit, picture, scrub, settle, wait_done


def test_wipe_lens_pose_and_keys(open_page) -> None:
    page = open_page()
    settle(page)
    page.locator(".sv-stage").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.locator(".sv-root").get_attribute("data-step") == "18"
    page.click('[data-see="wipe"]')
    box = page.locator(".sv-stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + 100)
    assert 20 <= int(page.locator(".sv-wipe").input_value()) <= 30
    assert page.locator(".sv-source").get_attribute("src") == page.locator(".pe-photo").first.get_attribute("href")
    page.click('[data-see="lens"]')
    assert page.locator('[data-see="wipe"]').get_attribute("aria-pressed") == "false"
    assert page.evaluate("getComputedStyle(document.querySelector('.sv-image')).imageRendering") == "pixelated"
    page.click('[data-see="pose"]')
    assert page.locator(".sv-pose line").count() == 17


def test_seed_save_and_zip(open_page) -> None:
    page = open_page()
    settle(page)
    scrub(page, 0)
    first = picture(page)
    page.fill(".rb-seed input", "5")
    page.keyboard.press("Enter")
    page.wait_for_function("+document.querySelector('.sv-root').dataset.edit > 0 && document.querySelector('.sv-root').dataset.state === 'done'")
    assert picture(page) != first, "another seed is other noise"
    with page.expect_download() as download:
        page.select_option(".rb-save", "zip")
    with zipfile.ZipFile(download.value.path()) as archive:
        run = json.loads(archive.read("run.json"))
        assert run["seed"] == 5 and len(archive.namelist()) >= 26
    with page.expect_download() as download:
        page.select_option(".rb-save", "gif")
    assert download.value.suggested_filename == "steps.gif"


def test_stop(open_page) -> None:
    page = open_page()
    settle(page)
    drag(page, LEFT_WRIST, 10, -40, moves=2)
    page.wait_for_selector('.sv-play[aria-label="Stop"]')
    page.click(".sv-play")
    page.wait_for_selector('.sv-root[data-state="stopped"]')
    drag(page, LEFT_WRIST, 10, -10, moves=2)
    wait_done(page, after=edit(page) - 1)


def test_reload_and_link_bring_it_back(open_page) -> None:
    page = open_page()
    settle(page)
    page.click(".pp-item >> nth=2")
    wait_done(page, after=0)
    before = edit(page)
    drag(page, LEFT_WRIST, 20, -30)
    wait_done(page, after=before)
    scrub(page, 9)
    posed = joints(page)
    page.reload()
    at_nine = "() => document.querySelector('.sv-root')?.dataset.step === '9' && document.querySelector('.sv-root').dataset.state === 'done'"
    page.wait_for_function(at_nine, timeout=60_000)
    assert joints(page) == posed
    assert page.locator(".pp-item >> nth=2").get_attribute("aria-checked") == "true"

    page.select_option(".rb-save", "link")
    page.wait_for_function("location.hash.includes('pose=')")
    link = page.evaluate("location.hash")
    other = open_page(link=link)
    other.wait_for_function(at_nine, timeout=60_000)
    assert all(abs(a - b) <= 0.051 for one, two in zip(joints(other), posed, strict=True) for a, b in zip(one, two, strict=True))


def test_trace_shows_where_a_pixel_comes_from(open_page) -> None:
    page = open_page()
    settle(page)
    page.click('[data-see="trace"]')
    box = page.locator(".sv-stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.4)
    page.wait_for_selector(".pe-overlay[href^='data:image/webp']", timeout=30_000, state="attached")
    page.check(".sv-show")
    assert page.locator(".sv-labels").get_attribute("src").startswith("data:image/webp") and page.locator(".sv-labels").is_visible()
    page.keyboard.press("Escape")
    page.click('[data-see="trace"]')
    assert page.locator(".pe-overlay").get_attribute("href") is None


def test_an_own_photo_filled_or_whole(open_page, tmp_path) -> None:
    from PIL import Image

    page = open_page()
    settle(page)
    Image.effect_noise((700, 500), 80).convert("RGB").save(tmp_path / "wide.png")
    page.set_input_files("#people input[type=file]", tmp_path / "wide.png")
    wait_done(page, after=0)
    filled = page.locator(".pe-photo").first.get_attribute("href")
    before = edit(page)
    page.click("#fit >> text=Whole")
    wait_done(page, after=before)
    assert page.locator(".pe-photo").first.get_attribute("href") != filled


def test_mixing_goes_on_from_where_it_differs(open_page) -> None:
    page = open_page()
    settle(page)
    page.click(".mx-root summary")
    page.click('.mx-people [aria-label="Brown coat"]')
    cells = page.locator(".mx-line button")

    def paint(first: int, last: int) -> None:
        before = edit(page)
        a, b = cells.nth(first).bounding_box(), cells.nth(last).bounding_box()
        page.mouse.move(a["x"] + 5, a["y"] + 10)
        page.mouse.down()
        page.mouse.move(b["x"] + 5, b["y"] + 10, steps=6)
        page.mouse.up()
        wait_done(page, after=before)

    paint(14, 19)
    assert cells.nth(19).get_attribute("aria-label") == "Step 20: Brown coat"
    assert cells.nth(13).get_attribute("aria-label") == "Step 14: This person"
    scrub(page, 12)
    early = picture(page)
    scrub(page, 20)
    page.click(".mx-people .mx-self")
    paint(17, 19)
    scrub(page, 12)
    assert picture(page) == early, "steps before the change are taken over"
