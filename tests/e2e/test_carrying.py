"""The photo's own pixels: once a visitor says which pose the photo shows, they are carried, enlarged, traced and saved."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.visitor import (
    DESKTOP,
    LEFT_WRIST,
    PHONE,
    SECONDS_30,
    drag,
    edit,
    joints,
    natural_size,
    picture,
    scrub,
    wait_done,
    wait_drawn,
)

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
MAGENTA = (230, 0, 190)  # no example wears it
CHEST = (84, 78, 106, 104)  # left, top, right, bottom on the canvas
LINE = ".sv-line:not([hidden])"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """An example in four times the canvas's pixels, with a patch on the chest."""
    image = Image.open(EXAMPLES / "green-dress.png").convert("RGB").resize((704, 1024), Image.Resampling.BICUBIC)
    image.paste(MAGENTA, tuple(4 * edge for edge in CHEST))
    image.save(tmp_path / "own.png")
    return tmp_path / "own.png"


def give(page, photo: Path) -> None:
    """The photo is there, and nobody found its pose."""
    before = edit(page)
    page.set_input_files("#people input[type=file]", photo)
    wait_done(page, after=before)
    page.wait_for_selector('.notice:has-text("No person was found"):has-text("Joints fit")')
    page.wait_for_selector("#settle.primary")


def lay(page) -> None:
    """All joints onto the body, the last one by hand."""
    before, wrist = edit(page), (128.14, 129.19)
    page.set_input_files("#source .pe-file", EXAMPLES / "green-dress.txt")
    wait_done(page, after=before)
    for dx, dy in ((24, -16), (-24, 16)):
        before = edit(page)
        drag(page, LEFT_WRIST, dx, dy)
        wait_done(page, after=before)
    assert joints(page)[LEFT_WRIST] == pytest.approx(wrist, abs=1.5)


def settle(page) -> None:
    before = edit(page)
    page.click("#settle")
    wait_done(page, after=before)
    page.wait_for_selector("#settle.secondary")  # what was to be done first is done


def shown(page) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(picture(page).partition(",")[2]))).convert("RGB")


def patch(image: Image.Image) -> int:
    """How many pixels of a canvas are the patch's."""
    pixels = np.asarray(image.resize((176, 256), Image.Resampling.BOX), int)
    return int((np.abs(pixels - MAGENTA).max(axis=2) < 40).sum())


def reload(page) -> None:
    page.wait_for_timeout(800)  # until nothing is asked of the server, which the browser would complain about
    page.reload()
    wait_drawn(page)
    wait_done(page, after=0)


WHOLE_PATCH = (CHEST[2] - CHEST[0]) * (CHEST[3] - CHEST[1])


def test_the_photo_goes_along_once_its_pose_is_said(open_quick, nobody, photo: Path) -> None:
    page = open_quick()
    give(page, photo)
    assert patch(shown(page)) < 20, "a result, but not of the photo's pixels"
    lay(page)
    assert patch(shown(page)) < 20
    settle(page)
    page.wait_for_selector('.notice:has-text("drag a joint, and the photo follows")')
    assert patch(shown(page)) > 0.7 * WHOLE_PATCH
    settled, before = joints(page), edit(page)
    assert page.locator('#source [data-do="reset"]').is_disabled(), "it is the pose that Reset returns to"
    drag(page, LEFT_WRIST, -10, -30)
    wait_done(page, after=before)
    posed = joints(page)
    assert patch(shown(page)) > 0.5 * WHOLE_PATCH

    reload(page)
    page.wait_for_selector("#settle.secondary")
    assert joints(page) == posed and patch(shown(page)) > 0.5 * WHOLE_PATCH and page.locator(".notice").count() == 0
    before = edit(page)
    page.click('#source [data-do="reset"]')
    wait_done(page, after=before)
    assert np.array(joints(page)) == pytest.approx(np.array(settled), abs=0.01)


def test_a_reload_does_not_make_a_pose_known(open_quick, nobody, photo: Path) -> None:
    page = open_quick()
    give(page, photo)
    before = edit(page)
    drag(page, LEFT_WRIST, -10, -30)
    wait_done(page, after=before)
    reload(page)
    page.wait_for_selector("#settle.primary")
    page.wait_for_selector('.notice:has-text("Drag the joints onto the body"):has-text("Joints fit")')
    assert patch(shown(page)) < 20

    page.click(".pp-item >> nth=1")  # of an example everything is known
    page.wait_for_selector("#settle", state="hidden")
    page.wait_for_selector(".notice", state="detached")


def test_the_lens_shows_more_pixels(open_quick) -> None:
    page = open_quick()
    assert natural_size(page) == [256, 176]
    page.click('[data-see="lens"]')
    box = page.locator(".sv-stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)
    page.wait_for_selector(".sv-image.sv-sharp", timeout=SECONDS_30)
    assert natural_size(page) == [1024, 704]
    first = picture(page)
    scrub(page, 12)
    assert page.locator(".sv-image.sv-sharp").count() == 0 and natural_size(page)[0] < 256, "only the last step has them"
    scrub(page, 20)
    assert picture(page) == first, "it was there already"
    page.click('[data-see="lens"]')
    assert natural_size(page) == [256, 176]

    before = edit(page)
    drag(page, LEFT_WRIST, -10, -30)
    wait_done(page, after=before)
    page.click('[data-see="lens"]')
    page.wait_for_selector(".sv-image.sv-sharp", timeout=SECONDS_30)
    assert natural_size(page) == [1024, 704] and picture(page) != first, "of the newest result"


def ends(page) -> list[list[float]]:
    """Where the line begins and ends on screen."""
    return page.evaluate(
        """() => { const line = document.querySelector('.sv-line line'), to = line.getScreenCTM();
            return [[1, 1], [2, 2]].map(([x, y]) => {
                const at = new DOMPoint(line[`x${x}`].baseVal.value, line[`y${y}`].baseVal.value).matrixTransform(to);
                return [at.x, at.y]; }); }"""
    )


def yellow(page) -> int:
    """Pixels of the line's colour on the page."""
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), int)
    return int((np.abs(pixels - (255, 214, 10)).max(axis=2) < 12).sum())


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_line_leads_to_the_place_in_the_photo(open_quick, screen: dict) -> None:
    page = open_quick(**screen)
    page.click('[data-see="trace"]')
    stage, photo = page.locator(".sv-stage").bounding_box(), page.locator(".sv-other").bounding_box()
    assert yellow(page) == 0
    x, y = stage["x"] + 0.5 * stage["width"], stage["y"] + 0.6 * stage["height"]
    page.mouse.click(x, y)
    page.wait_for_selector(LINE, timeout=SECONDS_30)
    start, end = ends(page)
    assert start == pytest.approx([x, y], abs=1.5)
    there = (end[0] - photo["x"]) / photo["width"], (end[1] - photo["y"]) / photo["height"]
    assert there == pytest.approx((0.5, 0.6), abs=0.15), "these weights carry nearly to where it was"
    assert yellow(page) > 0 and page.locator(".sv-glow").is_visible(), "it is seen"

    size = screen["viewport"]
    page.set_viewport_size({"width": size["width"] - 20, "height": size["height"] - 60})
    page.wait_for_timeout(300)
    stage, photo = page.locator(".sv-stage").bounding_box(), page.locator(".sv-other").bounding_box()
    for (x, y), (box, share) in zip(ends(page), ((stage, (0.5, 0.6)), (photo, there)), strict=True):
        assert [x, y] == pytest.approx([box["x"] + share[0] * box["width"], box["y"] + share[1] * box["height"]], abs=1.5)

    scrub(page, 5)
    assert page.locator(LINE).count() == 0 and yellow(page) == 0, "it was about another picture"
    page.mouse.click(stage["x"] + 0.5 * stage["width"], stage["y"] + 0.6 * stage["height"])
    page.wait_for_selector(LINE, timeout=SECONDS_30)
    page.click('[data-see="trace"]')
    assert page.locator(LINE).count() == 0 and not page.locator(".sv-glow").is_visible()


def test_what_is_rendered_has_no_line(open_quick, nobody, photo: Path) -> None:
    page = open_quick()
    give(page, photo)
    page.click('[data-see="trace"]')
    stage = page.locator(".sv-stage").bounding_box()
    page.mouse.click(stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2)
    page.wait_for_selector(".sv-glow", timeout=SECONDS_30)
    assert page.locator(LINE).count() == 0


def save(page, kind: str) -> Image.Image:
    with page.expect_download(timeout=SECONDS_30) as download:
        page.select_option(".rb-save", kind)
    assert download.value.suggested_filename == {"large": "result_large.png", "cutout": "cutout.png"}[kind]
    image = Image.open(download.value.path())
    image.load()
    return image


def test_saving_in_the_photos_detail(open_quick, nobody, photo: Path) -> None:
    page = open_quick()
    give(page, photo)
    page.select_option(".rb-save", "cutout")
    page.wait_for_selector(
        '.rb-note >> text="A cut-out needs to know the pose in the photo: drag the joints onto the body and press “Joints fit” first."'
    )
    assert save(page, "large").size == (704, 1024), "also of a photo of unknown pose"
    lay(page)
    settle(page)
    large, cutout = save(page, "large"), save(page, "cutout")
    assert (
        large.format == cutout.format == "PNG" and large.size == cutout.size == (704, 1024) and (large.mode, cutout.mode) == ("RGB", "RGBA")
    )
    settings = json.loads(large.text["nted-step"])
    assert settings["made_by"] == "NTED Step" and settings["person"] == "Your photo" and settings == json.loads(cutout.text["nted-step"])
    assert np.array(settings["source_pose"]["joints"])[:, :2] == pytest.approx(np.array(joints(page)), abs=0.1)
    assert patch(large) > 0.7 * WHOLE_PATCH


def test_the_weights_in_the_box_carry(open_page, photo: Path) -> None:
    page = open_page()
    before = edit(page)
    page.set_input_files("#people input[type=file]", photo)
    wait_done(page, after=before)
    page.wait_for_selector('.notice:has-text("A pose was found in your photo")', timeout=SECONDS_30)
    page.wait_for_selector("#settle.secondary")
    assert patch(shown(page)) > 0.6 * WHOLE_PATCH, "the patch, which no renderer could know"
    before = edit(page)
    drag(page, LEFT_WRIST, -10, -60)
    wait_done(page, after=before)
    assert patch(shown(page)) > 0.5 * WHOLE_PATCH
    cutout = save(page, "cutout")
    alpha = np.asarray(cutout.getchannel("A"))
    left, top, right, bottom = (4 * edge for edge in CHEST)
    assert alpha[top:bottom, left:right].mean() > 240 and alpha[:80, :80].max() < 40 and alpha[-40:, -80:].max() < 40
    assert 0.05 < (alpha > 127).mean() < 0.5, "a person, not a rectangle"
