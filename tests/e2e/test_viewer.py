"""Looking at a result, saving it, and finding it again."""

from __future__ import annotations

import json
import zipfile

import pytest
from PIL import Image

from tests.e2e.visitor import LEFT_WRIST, drag, edit, joints, picture, scrub, state, step, wait_done, wait_running


def test_wipe_lens_joints_and_keys(open_quick) -> None:
    page = open_quick()
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
    assert not page.locator(".pe-canvas").is_visible(), "the joints make way"
    page.click('[data-see="lens"]')
    assert page.locator(".pe-canvas").is_visible()
    page.click('[data-see="joints"]')
    assert not page.locator(".pe-canvas").is_visible()
    page.keyboard.press("s")
    assert page.locator(".pe-canvas").is_visible()


def test_the_joints_lie_over_the_result_and_the_photo_comes_to_the_front(open_quick) -> None:
    page = open_quick()
    pose, result = (page.locator(name).bounding_box() for name in (".pe-stage", ".sv-stage"))
    assert pose == result, "one picture"
    photo, shown = page.locator(".pe-photo").first.get_attribute("href"), picture(page)
    small = page.locator(".sv-inset")
    assert small.locator(".sv-other").get_attribute("src") == photo
    assert not page.locator(".sv-source").is_visible()
    before = page.locator(".sv-stage").screenshot()
    small.click()
    assert page.locator(".sv-source").is_visible() and page.locator(".sv-source").get_attribute("src") == photo
    assert small.locator(".sv-other").get_attribute("src") == shown and page.locator(".sv-stage").screenshot() != before
    drag(page, LEFT_WRIST, 10, -30)  # also over the photo
    wait_done(page, after=0)
    assert small.locator(".sv-other").get_attribute("src") == picture(page) != shown
    small.click()
    assert not page.locator(".sv-source").is_visible()


def test_what_opens_opens_beside_the_picture(open_quick) -> None:
    page = open_quick()
    before = page.locator(".pe-stage").bounding_box()
    for name in ("poses", "tools"):
        page.click(f'[data-open="{name}"]')
        panel = page.locator(f'[data-panel="{name}"]').bounding_box()
        assert page.locator(".pe-stage").bounding_box() == before and panel["x"] >= before["x"] + before["width"]
        page.keyboard.press("Escape")
        assert not page.locator(f'[data-panel="{name}"]').is_visible()
        assert page.evaluate("document.activeElement.dataset.open") == name


def test_the_result_is_as_large_as_the_joints_over_it(open_quick) -> None:
    page = open_quick()
    stage = page.locator(".sv-stage").bounding_box()
    page.mouse.move(stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 4)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_function("document.querySelector('.pe-canvas').classList.contains('pe-zoomed')")
    photo = page.evaluate(
        """() => { const svg = document.querySelector('.pe-canvas'), to = svg.getScreenCTM();
            return [to.a * 176, to.e, to.f]; }"""
    )
    image = page.locator(".sv-image").bounding_box()
    assert [image["width"], image["x"], image["y"]] == pytest.approx(photo, abs=1.5)


def test_seed_save_and_zip(open_quick) -> None:
    page = open_quick()
    scrub(page, 0)
    first = picture(page)
    page.click(".rb-more > summary")
    page.fill(".rb-seed input", "5")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "+document.querySelector('.sv-root').dataset.edit > 0 && document.querySelector('.sv-root').dataset.state === 'done'"
    )
    assert picture(page) != first, "another seed is other noise"
    with page.expect_download() as download:
        page.select_option(".rb-save", "zip")
    with zipfile.ZipFile(download.value.path()) as archive:
        run = json.loads(archive.read("run.json"))
        assert run["seed"] == 5 and {"result.png", "strip.png", "steps.gif", "steps.webp", "steps.mp4", "pose.json"} <= set(
            archive.namelist()
        )
        assert len([name for name in archive.namelist() if name.startswith("step_")]) == 21
    with page.expect_download() as download:
        page.select_option(".rb-save", "gif")
    assert download.value.suggested_filename == "steps.gif"


def test_play_pause_and_the_strip(open_quick) -> None:
    page = open_quick()
    page.wait_for_timeout(700)
    assert page.locator(".sv-root.sv-playing").count() == 0, "who wants less motion is not shown the opening"
    page.evaluate(
        """() => { const root = document.querySelector('.sv-root'); window.played = [];
            new MutationObserver(() => window.played.push(+root.dataset.step)).observe(root, { attributeFilter: ['data-step'] }); }"""
    )
    page.click('.sv-play[aria-label="Play all steps"]')
    page.wait_for_selector(".sv-root:not(.sv-playing)")
    played = page.evaluate("window.played")
    assert sorted(set(played)) == list(range(21)) and played == sorted(played), "every step, in order"

    page.evaluate(  # a step is too short for a test's click to hit it
        """() => { const root = document.querySelector('.sv-root');
            new MutationObserver((_, watch) => { if (root.dataset.step !== '3') return;
                watch.disconnect();
                root.querySelector('.sv-play[aria-label="Pause"]').click(); }).observe(root, { attributeFilter: ['data-step'] }); }"""
    )
    page.click(".sv-play")
    page.wait_for_selector('.sv-root[data-step="3"]:not(.sv-playing)')
    page.wait_for_timeout(300)
    assert step(page) == 3
    cell = page.locator(".sv-cell >> nth=11").bounding_box()
    page.mouse.click(cell["x"] + cell["width"] / 2, cell["y"] + 5)
    assert step(page) == 11 and picture(page) == page.locator(".sv-cell >> nth=11 >> img").get_attribute("src")


def test_stop(open_page) -> None:
    page = open_page()
    page.evaluate(  # a run may be over before a test's click hits the button
        """() => { const play = document.querySelector('.sv-play');
            new MutationObserver((_, watch) => { if (play.ariaLabel !== 'Stop') return;
                watch.disconnect(); play.click(); }).observe(play, { attributeFilter: ['aria-label'] }); }"""
    )
    drag(page, LEFT_WRIST, 10, -40, moves=2)
    page.wait_for_selector('.sv-root[data-state="stopped"]')
    page.wait_for_timeout(400)  # a step that was being made may still come
    stopped = edit(page), step(page)
    page.wait_for_timeout(1000)
    assert (edit(page), step(page)) == stopped and stopped[1] < 20 and state(page) == "stopped", "no further steps are made"
    drag(page, LEFT_WRIST, 10, -10, moves=2)
    wait_done(page, after=stopped[0])


def test_a_slider_moved_in_a_run_stays(open_page) -> None:
    page = open_page()
    drag(page, LEFT_WRIST, 10, -40, moves=2)
    wait_running(page, after=0)
    page.locator(".sv-slider").fill("15")
    page.evaluate(
        """() => { const slider = document.querySelector('.sv-slider'), root = document.querySelector('.sv-root');
            window.places = [slider.value];
            new MutationObserver(() => window.places.push(slider.value))
                .observe(root, { attributeFilter: ['data-step', 'data-state'] }); }"""
    )
    page.wait_for_selector('.sv-root[data-state="done"]')
    assert step(page) == 15 and set(page.evaluate("window.places")) == {"15"}, "it does not jump back to what there is so far"


def test_a_slider_moved_before_the_first_play_stays(open_quick) -> None:
    page = open_quick(reduced_motion="no-preference")
    page.locator(".sv-slider").fill("7")
    page.wait_for_timeout(900)
    assert step(page) == 7 and page.locator(".sv-root.sv-playing").count() == 0


def test_a_film_from_the_photo_to_the_pose(open_quick) -> None:
    page = open_quick()
    page.select_option(".rb-save", "film-mp4")
    page.keyboard.press("Escape")
    page.wait_for_selector(".rb-film", state="hidden")
    page.select_option(".rb-save", "film-gif")
    page.keyboard.type("3")  # the field has the focus
    with page.expect_download() as download:
        page.keyboard.press("Enter")
        page.wait_for_selector(".rb-note >> text=of 3 poses")
    with Image.open(download.value.path()) as film:
        assert (film.format, film.n_frames, film.size) == ("GIF", 4, (352, 512)), "there and back"
        seen = []
        for number in range(4):
            film.seek(number)
            seen.append(film.convert("RGB").tobytes())
    assert seen[1] == seen[3] and len(set(seen)) == 3, "the person moves"


def test_reload_and_link_bring_it_back(open_quick) -> None:
    page = open_quick()
    page.click(".pp-item >> nth=2")
    wait_done(page, after=0)
    before = edit(page)
    drag(page, LEFT_WRIST, 20, -30)
    wait_done(page, after=before)
    scrub(page, 9)
    posed = joints(page)
    page.wait_for_timeout(800)  # until nothing is asked of the server, which the browser would complain about
    page.reload()
    at_nine = (
        "() => { const viewer = document.querySelector('.sv-root')?.dataset ?? {};"
        " return viewer.step === '9' && viewer.state === 'done' && viewer.edit !== '0'; }"
    )
    page.wait_for_function(at_nine, timeout=60_000)
    assert joints(page) == posed
    assert page.locator(".pp-item >> nth=2").get_attribute("aria-checked") == "true"

    page.select_option(".rb-save", "link")
    page.wait_for_function("location.hash.includes('pose=')")
    link = page.evaluate("location.hash")
    other = open_quick(link=link)
    other.wait_for_function(at_nine, timeout=60_000)
    assert all(abs(a - b) <= 0.051 for one, two in zip(joints(other), posed, strict=True) for a, b in zip(one, two, strict=True))


def test_trace_shows_where_a_pixel_comes_from(open_quick) -> None:
    page = open_quick()
    page.click('[data-see="trace"]')
    box = page.locator(".sv-stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.4)
    page.wait_for_selector(".sv-glow[src^='data:image/webp']", timeout=30_000)
    assert not page.locator(".sv-show").is_visible(), "maps are for researchers"
    page.click(".rb-more > summary")
    page.check(".sv-show")
    assert page.locator(".sv-labels").get_attribute("src").startswith("data:image/webp") and page.locator(".sv-labels").is_visible()
    page.keyboard.press("Escape")
    page.click('[data-see="trace"]')
    assert not page.locator(".sv-glow").is_visible()
