"""The tour, an own photo with its crop, the choice of weights, links of earlier versions, two fingers, and the README's client."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.e2e.conftest import visitors
from tests.e2e.visitor import LEFT_WRIST, PHONE, drag, edit, picture, wait_done, wait_drawn
from tests.running import Server

ROOT = Path(__file__).parents[2]
TOUR = ".to-root:not([hidden])"


def test_the_tour_comes_once_and_is_in_nobodys_way(open_quick) -> None:
    page = open_quick()
    page.wait_for_selector(f"{TOUR} >> text=Drag a joint")
    page.wait_for_selector(".pe-stage.to-target")
    stage = page.locator(".pe-stage").bounding_box()
    drag(page, LEFT_WRIST, 20, -30)
    page.wait_for_selector(f"{TOUR} >> text=The slider")  # the drag was done, and the tour went on
    page.click(".to-next")
    page.click(".to-next")
    assert page.locator(".to-next").inner_text() == "Done"
    wait_done(page, after=0)
    page.click(".to-close")
    page.wait_for_selector(".to-root", state="hidden")
    assert page.locator(".to-target").count() == 0 and page.locator(".pe-stage").bounding_box() == stage
    page.reload()
    page.wait_for_selector('.sv-root[data-state="done"]')
    page.wait_for_timeout(300)
    assert page.locator(TOUR).count() == 0


def test_a_shared_link_brings_no_tour(open_page) -> None:
    page = open_page()
    drag(page, LEFT_WRIST, 20, -30)
    wait_done(page, after=0)
    page.select_option(".rb-save", "link")
    page.wait_for_function("location.hash.includes('pose=')")
    link = page.evaluate("location.hash")
    assert "mix=" not in link

    page.reload()
    wait_drawn(page)
    wait_done(page, after=0)
    shown = picture(page)
    other = open_page(link=link)
    wait_done(other, after=0)
    assert picture(other) == shown and other.locator(TOUR).count() == 0


def test_the_mix_of_people_that_earlier_versions_kept_is_ignored(open_quick) -> None:
    page = open_quick()
    drag(page, LEFT_WRIST, 20, -30)
    wait_done(page, after=0)
    shown = picture(page)
    page.add_init_script(
        """{ const kept = JSON.parse(localStorage.getItem('nted-step')), owners = Array(20).fill('brown-coat');
            if (kept) localStorage.setItem('nted-step', JSON.stringify({ ...kept, pose: { ...kept.pose, owners } })); }"""
    )
    page.reload()
    wait_drawn(page)
    wait_done(page, after=0)
    assert picture(page) == shown and page.locator(".notice").count() == 0

    page.select_option(".rb-save", "link")
    page.wait_for_function("location.hash.includes('pose=')")
    link = page.evaluate("location.hash")
    plain, old = open_quick(link=link), open_quick(link=f"{link}&mix={','.join(['brown-coat'] * 20)}")
    for each in (plain, old):
        wait_done(each, after=0)
    assert picture(old) == picture(plain) and old.locator(".notice").count() == 0


def test_an_own_photo_is_cropped(open_quick, nobody, tmp_path: Path) -> None:
    page = open_quick()
    person = Image.open(ROOT / "assets" / "examples" / "green-dress.png").convert("RGB")
    wide = Image.new("RGB", (700, 420), (205, 214, 222))
    wide.paste(person.resize((275, 400)), (400, 10))
    wide.save(tmp_path / "wide.png")
    page.set_input_files("#people input[type=file]", tmp_path / "wide.png")
    wait_done(page, after=0)
    # Nobody is found, so a standing pose it is, and one line says why.
    page.wait_for_selector('#kept :text("photos in memory: 1 (")')
    page.wait_for_selector('.notice:has-text("No person was found"):has-text("only rendered figures")')
    tab, title = page.locator('#tabs [role="tab"]:visible').last.bounding_box(), page.locator("#head h1").bounding_box()
    assert title["x"] >= tab["x"] + tab["width"], "a long message leaves the tabs their room"
    filled, before = page.locator(".pe-photo").first.get_attribute("href"), edit(page)

    page.click("#crop")
    page.wait_for_selector(".cr-root[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector(".cr-root", state="hidden")
    page.click("#crop")  # and again
    page.wait_for_selector(".cr-root[open]")
    page.locator(".cr-window").focus()
    for key in ("Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight", "-"):
        page.keyboard.press(key)
    corner = page.locator('.cr-window [data-corner="nw"]').bounding_box()
    page.mouse.move(corner["x"] + 14, corner["y"] + 14)
    page.mouse.down()
    page.mouse.move(corner["x"] + 24, corner["y"] + 34, steps=3)
    page.mouse.up()
    page.click(".cr-done")
    wait_done(page, after=before)
    assert page.locator(".pe-photo").first.get_attribute("href") != filled
    cropped, before = page.locator(".pe-photo").first.get_attribute("href"), edit(page)
    page.click("#fit >> text=Whole")
    wait_done(page, after=before)
    assert page.locator(".pe-photo").first.get_attribute("href") not in (filled, cropped)
    page.wait_for_selector('#kept :text("photos in memory: 3 (")')  # as it was fitted at first, cropped, and whole
    page.click("#fit >> text=Auto")
    page.wait_for_function("photo => document.querySelector('.pe-photo').getAttribute('href') === photo", arg=filled)
    wait_done(page, after=before + 1)
    assert "photos in memory: 3 (" in page.locator("#kept").inner_text(), "it was known"
    page.select_option(".rb-save", "link")
    page.wait_for_selector(".rb-note >> text=your own photo stays private")

    page.click(".pp-item >> nth=0")
    wait_done(page, after=before + 2)
    for tool in ("#crop", "#find", "#fit"):
        page.wait_for_selector(tool, state="hidden")
    page.wait_for_selector(".notice", state="detached")


def test_two_fingers_zoom_and_one_scrolls(open_quick) -> None:
    page = open_quick(**PHONE)
    box = page.locator(".pe-stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    labels = "[...document.querySelectorAll('[data-joint]')].map(joint => joint.getAttribute('aria-label'))"
    before, view = page.evaluate(labels), "document.querySelector('.pe-canvas').getAttribute('viewBox').split(' ').map(Number)"
    touch = page.context.new_cdp_session(page)

    def send(kind: str, *points: tuple[float, float]) -> None:
        touch.send(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": px, "y": py, "id": k} for k, (px, py) in enumerate(points)]}
        )

    send("touchStart", (x - 20, y))
    send("touchStart", (x - 20, y), (x + 20, y))
    for k in range(1, 6):
        send("touchMove", (x - 20 - 4 * k, y), (x + 20 + 4 * k, y))
        page.wait_for_timeout(30)
    send("touchEnd")
    left, top, width, height = page.evaluate(view)
    assert (
        width == pytest.approx(176 / 2, rel=0.05)
        and left + width / 2 == pytest.approx(88, abs=3)
        and top + height / 2 == pytest.approx(128, abs=4)
    )
    assert page.evaluate(labels) == before, "the joints stay where they were"
    assert page.evaluate("visualViewport.scale") == 1, "the editor was zoomed, not the page"


def test_other_weights_and_weights_that_are_none(browser, weights: Path, tmp_path: Path) -> None:
    server = Server(weights, "--weights-panel")
    assert server.first_line
    try:
        with visitors(browser, server.url) as open_:
            _try_weights(open_(), _token(server), weights, tmp_path)
    finally:
        server.interrupt()


def _token(server: Server) -> str:
    began = time.monotonic()
    while time.monotonic() - began < 30:
        if found := re.search(r"^Token of the weights panel: (\S+)\n", server.said(), re.MULTILINE):
            return found[1]
        time.sleep(0.1)
    raise AssertionError("no token was printed")


def _try_weights(page: Any, token: str, weights: Path, tmp_path: Path) -> None:
    page.click("#weights > button")
    page.fill("#weights-token input", "guessed")
    page.click("#weights-token >> text=Unlock")
    page.wait_for_selector("#weights-said .notice.error >> text=not the token")
    assert not page.locator("#weights-row").is_visible()
    page.fill("#weights-token input", token)
    page.click("#weights-token >> text=Unlock")
    page.wait_for_selector("#weights-row")
    assert not page.locator("#weights-token").is_visible()
    field, said = page.locator("#weights-row :is(input, textarea)"), "#weights-said .notice"
    before = edit(page)
    field.fill(str(tmp_path / "none"))
    page.click("#weights-row >> text=Use")
    page.wait_for_selector(f"{said}.error >> text=no such folder")
    assert edit(page) == before

    shutil.copytree(weights, tmp_path / "mine")
    opened = page.locator(".sv-image").get_attribute("src")
    field.fill(str(tmp_path / "mine"))
    page.click("#weights-row >> text=Use")
    page.wait_for_selector(f"{said} >> text=new weights are in use", timeout=60_000)
    wait_done(page, after=before)
    assert picture(page) == opened, "the same weights give the same picture"
    page.click("#model > button")
    assert "mine" in page.locator("#about").inner_text() and "mine" in page.locator("#weights-facts").inner_text()
    page.click("#weights-row >> text=Bundled")
    page.wait_for_function("!document.querySelector('#about').innerText.includes('mine')", timeout=60_000)


def test_the_client_in_the_readme(quick_url: str) -> None:
    block = re.search(r"```python\n(from gradio_client.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    found: dict = {}
    exec(block.replace("http://127.0.0.1:7860", quick_url).replace("frames=4", "frames=2"), found)
    assert len(found["steps"]) == 21
    for key in ("picture", "film", "glow", "labels"):
        with Image.open(found[key]) as image:
            assert image.size == ((352, 512) if key == "film" else (176, 256))
