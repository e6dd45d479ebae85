"""Own photos, however they come: chosen, dropped on the page, pasted."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.test_garments import open_tab
from tests.e2e.visitor import SECONDS_30, carry_file, edit, paste_picture, wait_done

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "assets" / "examples"
HINT = ".pp-drop:not([hidden])"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """An example in other colours, which is not on the page."""
    red, green, blue = Image.open(EXAMPLES / "green-dress.png").convert("RGB").split()
    Image.merge("RGB", (blue, red, green)).save(tmp_path / "own.png")
    return tmp_path / "own.png"


def shown(page, desk: str = "#source") -> str:
    return page.locator(f"{desk} .pe-photo").first.get_attribute("href")


def wait_shown(page, before: str, desk: str = "#source") -> str:
    page.wait_for_function(
        "([desk, before]) => document.querySelector(`${desk} .pe-photo`).getAttribute('href') !== before",
        arg=[desk, before],
        timeout=SECONDS_30,
    )
    return shown(page, desk)


def test_dropped_and_pasted_as_if_chosen(open_quick, photo: Path) -> None:
    page = open_quick()
    before, example = edit(page), shown(page)
    page.set_input_files("#people input[type=file]", photo)
    chosen = wait_shown(page, example)
    wait_done(page, after=before)
    for give in (lambda: carry_file(page, photo, 640, 700), lambda: paste_picture(page, photo.read_bytes())):
        page.click(".pp-item >> nth=0")
        page.wait_for_function("photo => document.querySelector('.pe-photo').getAttribute('href') === photo", arg=example)
        give()
        assert wait_shown(page, example) == chosen
    page.wait_for_selector(HINT, state="detached")


def test_a_hint_while_a_file_is_over_the_page(open_quick, photo: Path) -> None:
    page = open_quick()
    assert page.locator(HINT).count() == 0
    carry_file(page, photo, 640, 400, "dragEnter", "dragOver")
    page.wait_for_selector(f'{HINT} >> text="Drop the photo anywhere, and pose the person in it."')
    assert page.locator(HINT).count() == 1, "of the open tab alone"
    page.wait_for_selector(HINT, state="detached", timeout=3000)  # the file went away without a word


def test_what_is_no_photo_is_named_or_read_as_a_pose(open_quick, tmp_path: Path) -> None:
    page = open_quick()
    (tmp_path / "IMG_1.HEIC").write_bytes((ROOT / "tests" / "data" / "photos" / "IMG_0001.HEIC").read_bytes())
    carry_file(page, tmp_path / "IMG_1.HEIC", 640, 400)
    page.wait_for_selector('.notice.error:has-text("IMG_1.HEIC"):has-text("HEIC photo"):has-text("Most Compatible")', timeout=SECONDS_30)
    before = edit(page)
    carry_file(page, EXAMPLES / "navy-skirt.txt", 640, 400)
    wait_done(page, after=before)


def test_in_the_garments_tab_they_come_to_the_wearer_or_to_a_garment(open_quick, photo: Path) -> None:
    page = open_quick()
    pose_photo = shown(page)
    open_tab(page)
    before = shown(page, "#garments")
    row = page.locator(".wa-row").first
    row.scroll_into_view_if_needed()
    box = row.bounding_box()
    carry_file(page, photo, box["x"] + 20, box["y"] + 20)
    page.wait_for_selector('.wa-row [role=radio][aria-checked="true"][title="Your photo"]', timeout=SECONDS_30)
    assert shown(page, "#garments") == before, "the wearer stays"

    other = io.BytesIO()
    Image.open(photo).rotate(2).save(other, "PNG")
    paste_picture(page, other.getvalue())
    wait_shown(page, before, "#garments")
    assert page.locator('#wearers .pp-item[title="Your photo"]').count() == 2
    assert shown(page) == pose_photo, "the other tab is not open"


@pytest.mark.parametrize("button", ["#people", "#wearers", "#garment-photo"])
def test_pickers_name_the_kinds_that_are_read(open_quick, button: str) -> None:
    """A phone that is asked for these converts its own kinds itself; it does not when asked for any picture."""
    page = open_quick()
    if button != "#people":
        open_tab(page)
    with page.expect_file_chooser() as chooser:
        page.click({"#people": "#upload", "#wearers": "#wearer-photo", "#garment-photo": ".wa-photo-button >> nth=0"}[button])
    assert chooser.value.element.get_attribute("accept") == "image/jpeg,image/png,image/webp"
    assert page.locator("#advice").text_content().strip() == "Best: one person, whole body, plain background."
