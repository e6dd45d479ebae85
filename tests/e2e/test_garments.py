"""The garment tab: choose, paint, watch, save, and go on in the pose tab."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.conftest import LITE
from tests.e2e.visitor import PHONE, SECONDS_30

ROOT = Path(__file__).parents[2]
PARSER = LITE.parent / "parser"
needs_parser = pytest.mark.skipif(not (PARSER / "config.json").exists(), reason="no parser weights in the box")
VIEWER, LONG = "#garments .sv-root", 90_000


def open_tab(page, name: str = "Garments") -> None:
    page.click(f'#tabs [role="tab"]:has-text("{name}")')


def edit(page) -> int:
    return int(page.locator(VIEWER).get_attribute("data-edit"))


def picture(page) -> str:
    return page.locator("#garments .sv-image").get_attribute("src")


def wait_done(page, after: int = -1) -> None:
    """Until all steps of the newest edit are there, which must be newer than ``after``, and what was found with them."""
    page.wait_for_function(
        """after => { const v = document.querySelector('#garments .sv-root').dataset;
            const newest = +document.querySelector('#garments .pe-root').dataset.edit;
            return v.state === 'done' && +v.edit > after && +v.edit >= newest; }""",
        arg=after, timeout=LONG,
    )  # fmt: skip


def wait_photo(page, where: str, url: str) -> None:
    """Until the pose editor of that part of the page shows a photo."""
    page.wait_for_function(
        "([where, url]) => document.querySelector(`${where} .pe-photo`).getAttribute('href') === url", arg=[where, url], timeout=SECONDS_30
    )


def stroke(page, *shares: tuple[float, float]) -> None:
    """One stroke of the mouse over the painter's stage, through points in shares of it."""
    box = page.locator(".wa-stage").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in shares]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=5)
    page.mouse.up()


def coloured(page) -> int:
    """Pixels of the mask in the painter."""
    return page.evaluate(
        """() => { const c = document.querySelector('.wa-canvas');
            return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 === 3 && v > 127).length; }"""
    )


def paint_a_top(page) -> None:
    """The upper body of a standing person, painted by hand, with one stroke too much that is taken back."""
    page.locator(".wa-clear").click()
    assert coloured(page) == 0
    page.locator(".wa-size").fill("30")
    for y in (0.28, 0.36, 0.44):
        stroke(page, (0.38, y), (0.62, y))
    painted = coloured(page)
    assert painted > 2000
    stroke(page, (0.1, 0.9), (0.9, 0.9))
    assert coloured(page) > painted
    page.click(".wa-undo")
    assert coloured(page) == painted
    page.click('[data-brush="erase"]')
    stroke(page, (0.38, 0.28), (0.45, 0.28))
    assert 0 < coloured(page) < painted
    page.click(".wa-done")


@needs_parser
def test_a_top_from_one_example_onto_another(open_page) -> None:
    page = open_page()
    open_tab(page)
    wait_done(page)
    page.wait_for_selector('.wa-look[data-mask="recognised"]', timeout=LONG)
    page.wait_for_selector("#garments .sv-source[src]", state="attached")
    own = page.locator("#garments .sv-source").get_attribute("src")
    assert picture(page) != own, "the swap is not the wearer as they were"
    page.click("#recognised > button")
    page.wait_for_selector('.seen figure:has-text("Brown coat") li:has-text("outer")')
    assert page.locator(".seen figure").count() == 2

    before, swapped = edit(page), picture(page)
    page.select_option("#wa-part-0", "lower")
    wait_done(page, after=before)
    page.wait_for_function(
        "swapped => document.querySelector('#garments .sv-image').getAttribute('src') !== swapped", arg=swapped, timeout=LONG
    )


@needs_parser
def test_paint_save_and_pose_on(open_quick) -> None:
    page = open_quick()
    open_tab(page)
    wait_done(page)
    page.wait_for_selector('.wa-look[data-mask="recognised"]', timeout=LONG)
    before = edit(page)
    page.click(".wa-look")
    page.wait_for_selector(".wa-dialog[open]")
    assert coloured(page) > 1000, "what was recognised can be painted on"
    paint_a_top(page)
    wait_done(page, after=before)
    assert page.locator(".wa-look").get_attribute("data-mask") == "painted"

    page.wait_for_function("document.querySelector('#garments .sv-source').src.startsWith('data:')", timeout=LONG)
    for kind, name, frames in (("result", "result.png", 1), ("gif", "steps.gif", 21), ("strip", "strip.png", 1)):
        with page.expect_download() as download:
            page.select_option("#garments .rb-save", kind)
        assert download.value.suggested_filename == name
        with Image.open(download.value.path()) as image:
            assert getattr(image, "n_frames", 1) == frames and not image.getexif()

    worn = picture(page)
    page.click("#to-pose")
    page.wait_for_selector('#tabs [role="tab"][aria-selected="true"]:has-text("Pose")')
    page.wait_for_selector('.notice:has-text("from the garments tab")', timeout=SECONDS_30)
    page.wait_for_selector('#people .pp-item[aria-checked="true"][title="Dressed"]', timeout=SECONDS_30)
    wait_photo(page, "#source", worn)
    open_tab(page)
    before = edit(page)
    page.click("#from-pose")
    wait_done(page, after=before)
    wait_photo(page, "#garments", worn)
    page.wait_for_selector('#wearers [data-name="@1"][aria-checked="true"]')


@needs_parser
def test_swap_for_programs(server) -> None:
    """The client in the README."""
    block = next(block for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S) if "/swap" in block)
    found: dict = {}
    exec(block.replace("http://127.0.0.1:7860", server.url).replace("frames=4", "frames=2"), found)
    with Image.open(found["dressed"]) as dressed, Image.open(found["picture"]) as plain:
        assert dressed.size == plain.size == (176, 256) and dressed.tobytes() != plain.tobytes() and not dressed.getexif()
    swap = {"pose": found["pose"], "seed": 0, "api_name": "/swap"}
    with pytest.raises(Exception, match="a part for each of them, not 1 and 2"):
        found["client"].predict(found["photo"], garments=[found["garment"]], parts=["dress", "upper"], **swap)


def test_without_a_parser_masks_are_painted(open_bare, tmp_path: Path) -> None:
    page = open_bare()
    open_tab(page)
    wait_done(page)
    page.wait_for_selector('#garment-says :text("no parser weights here")')
    assert page.locator("#recognised").count() == 0
    before = edit(page)
    page.click(".wa-look")
    page.wait_for_selector(".wa-dialog[open]")
    page.click(".wa-done")
    page.wait_for_selector('#garment-says .error:has-text("is empty")', timeout=LONG)
    wait_done(page, after=before)

    before, plain = edit(page), picture(page)
    page.click(".wa-look")
    paint_a_top(page)
    wait_done(page, after=before)
    page.wait_for_selector("#garment-says .notice", state="detached", timeout=LONG)
    page.wait_for_function("document.querySelector('#garments .sv-source').src.startsWith('data:')", timeout=LONG)
    strong = picture(page)
    assert strong != plain
    before = edit(page)
    page.locator("#wa-strength-0").fill("0")
    wait_done(page, after=before)
    assert picture(page) == plain, "nothing of a garment is the wearer"

    Image.effect_noise((500, 700), 80).convert("RGB").save(tmp_path / "own.png")
    (tmp_path / "torn.png").write_bytes(b"torn")
    page.set_input_files("#wearers input[type=file]", tmp_path / "torn.png")
    page.wait_for_selector('#garment-says .error:has-text("torn.png")', timeout=SECONDS_30)
    before = edit(page)
    page.set_input_files("#garment-photo input[type=file]", tmp_path / "own.png")
    page.wait_for_selector('.wa-people [data-name="@1"][aria-checked="true"]', timeout=SECONDS_30)
    wait_done(page, after=before)
    page.wait_for_selector('#garment-says :text("no parser weights here")', timeout=LONG)


def test_garments_on_a_phone(open_bare) -> None:
    page = open_bare(**PHONE)
    page.tap('#tabs [role="tab"]:has-text("Garments")')
    wait_done(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.tap(".wa-add")
    page.tap(".wa-add")
    assert page.locator(".wa-row").count() == 3 and page.locator(".wa-add").is_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.tap('[aria-label="Remove garment 3"]')
    page.locator(".wa-look").first.tap()
    page.wait_for_selector(".wa-dialog[open]")
    dialog = page.locator(".wa-dialog").bounding_box()
    assert dialog["x"] >= 0 and dialog["x"] + dialog["width"] <= 390 and dialog["y"] + dialog["height"] <= 844
    box = page.locator(".wa-stage").bounding_box()
    finger, scrolled = page.context.new_cdp_session(page), page.evaluate("scrollY")
    for k in range(8):
        point = {"x": box["x"] + box["width"] * (0.4 + 0.02 * k), "y": box["y"] + box["height"] * 0.35}
        finger.send("Input.dispatchTouchEvent", {"type": "touchMove" if k else "touchStart", "touchPoints": [point]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert coloured(page) > 200 and page.evaluate("scrollY") == scrolled
    page.wait_for_timeout(400)  # a tap right behind a stroke ends the stroke's momentum, and nothing else
    before = edit(page)
    page.tap(".wa-done")
    wait_done(page, after=before)


def test_painting_by_keyboard(open_bare) -> None:
    page = open_bare()
    open_tab(page)
    wait_done(page)
    page.locator(".wa-look").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".wa-dialog[open]")
    page.keyboard.press("Shift+ArrowUp")
    assert coloured(page) == 0, "the brush is up"
    page.keyboard.press(" ")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press(" ")
    painted = coloured(page)
    assert painted > 300
    page.keyboard.press("Control+z")
    assert coloured(page) == 0
    page.keyboard.press("Escape")
    page.wait_for_selector(".wa-dialog", state="hidden")
    assert page.evaluate("document.activeElement.matches('.wa-look')")
