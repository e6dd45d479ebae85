"""Nothing is lost: one undo over poses, people, garments and seeds; a link that yields to the first change; both tabs over a reload."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.visitor import LEFT_WRIST, drag, edit, joints, wait_done, wait_drawn

ROOT = Path(__file__).parents[2]
PERSON = "[...document.querySelectorAll('{}.pp-item')].find(item => item.getAttribute('aria-checked') === 'true')?.dataset.name"


def person(page, part: str = "#people ") -> str:
    return page.evaluate(PERSON.format(part))


def wait_person(page, name: str, part: str = "#people ") -> None:
    page.wait_for_function(f"{PERSON.format(part)} === '{name}'")


def wait_posed(page, wanted: list, within: float = 0.01) -> None:
    """Until the joints are where they were."""
    for _ in range(100):
        now = joints(page)
        pairs = [(a, b) for a, b in zip(now, wanted, strict=True) if a and b]
        if [a is None for a in now] == [b is None for b in wanted] and all(a == pytest.approx(b, abs=within) for a, b in pairs):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{now} is not {wanted}")


def test_one_undo_over_poses_people_and_seeds(open_quick) -> None:
    page = open_quick()
    opened, first = joints(page), person(page)
    drag(page, LEFT_WRIST, 20, -30)
    wait_done(page, after=0)
    dragged, before = joints(page), edit(page)
    page.click(".pp-item >> nth=2")
    wait_done(page, after=before)
    second, transferred = person(page), joints(page)
    assert second != first and transferred != dragged
    before = edit(page)
    page.click(".rb-more summary")
    page.fill(".rb-seed input", "7")
    page.press(".rb-seed input", "Enter")
    wait_done(page, after=before)
    page.locator(".sv-slider").focus()  # anywhere on the page

    page.keyboard.press("Control+z")
    page.wait_for_function("document.querySelector('.rb-seed input').value === '0'")
    assert person(page) == second
    before = edit(page)
    page.keyboard.press("Control+z")
    wait_person(page, first)
    wait_posed(page, dragged)
    wait_done(page, after=before)
    page.keyboard.press("Control+z")
    wait_posed(page, opened)
    page.keyboard.press("Control+Shift+z")
    wait_posed(page, dragged)
    page.keyboard.press("Control+Shift+z")
    wait_person(page, second)
    wait_posed(page, transferred)
    page.keyboard.press("Control+Shift+z")
    page.wait_for_function("document.querySelector('.rb-seed input').value === '7'")
    assert page.locator('[data-do="redo"]').first.is_disabled()


def test_undo_goes_back_from_an_own_photo_and_to_it(open_quick, nobody) -> None:
    page = open_quick()
    first, opened = person(page), joints(page)
    page.set_input_files("#people input[type=file]", ROOT / "assets" / "examples" / "green-dress.png")
    wait_person(page, "@1")
    wait_done(page, after=0)
    drag(page, LEFT_WRIST, 15, -20)
    dragged = joints(page)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    wait_person(page, first)
    wait_posed(page, opened)
    page.keyboard.press("Control+y")
    wait_person(page, "@1")
    page.keyboard.press("Control+y")
    wait_posed(page, dragged)


def test_a_text_field_keeps_its_own_undo(open_quick) -> None:
    page = open_quick()
    drag(page, LEFT_WRIST, 20, -30)
    wait_done(page, after=0)
    moved = joints(page)
    page.click(".rb-more summary")
    page.locator(".rb-seed input").focus()
    page.keyboard.press("Control+z")
    page.wait_for_timeout(200)
    assert joints(page) == moved


def test_a_link_yields_to_the_first_change(open_quick) -> None:
    page = open_quick()
    drag(page, LEFT_WRIST, 20, -30)
    wait_done(page, after=0)
    linked = joints(page)
    page.select_option(".rb-save", "link")
    page.wait_for_function("location.hash.includes('pose=')")
    page.wait_for_timeout(800)  # until nothing is asked of the server, which the browser would complain about
    page.reload()
    wait_drawn(page)
    wait_posed(page, linked, within=0.06)  # a link has one decimal
    before = edit(page)
    drag(page, LEFT_WRIST, -25, 15)
    wait_done(page, after=before)
    assert "pose=" not in page.evaluate("location.hash")
    changed = joints(page)
    page.wait_for_timeout(800)  # until nothing is asked of the server, which the browser would complain about
    page.reload()
    wait_drawn(page)
    wait_posed(page, changed)


GARMENTS = "#garments"


def open_garments(page) -> None:
    page.click('#tabs [role="tab"]:visible >> text=Garments')
    page.wait_for_selector(f'{GARMENTS} .sv-root[data-state="done"]', timeout=60_000)


def row(page) -> dict:
    return page.evaluate(
        """(() => { const row = document.querySelector('.wa-row'); return {
            person: row.querySelector('[aria-checked="true"]').dataset.name, part: row.querySelector('select').value,
            strength: row.querySelector('[type=range]').value, mask: row.querySelector('.wa-look').dataset.mask }; })()"""
    )


def test_garments_are_undone_with_everything_else(open_quick) -> None:
    page = open_quick()
    open_garments(page)
    first, wearer, before = row(page), person(page, f"{GARMENTS} "), edit_of_garments(page)
    page.select_option(".wa-row select", "hair")
    page.wait_for_function(f"{before} < Number(document.querySelector('{GARMENTS} .sv-root').dataset.edit)")
    page.click(f"{GARMENTS} .pp-item >> nth=3")
    page.wait_for_function(f"document.querySelector('{GARMENTS} .pp-item[aria-checked=\"true\"]').dataset.name !== '{wearer}'")
    page.wait_for_selector(f'{GARMENTS} .sv-root[data-state="done"]')
    page.locator(f"{GARMENTS} .sv-slider").focus()
    page.keyboard.press("Control+z")
    wait_person(page, wearer, f"{GARMENTS} ")
    assert row(page)["part"] == "hair"
    page.keyboard.press("Control+z")
    page.wait_for_function("document.querySelector('.wa-row select').value !== 'hair'")
    assert {**row(page), "mask": ""} == {**first, "mask": ""}


def edit_of_garments(page) -> int:
    return int(page.locator(f"{GARMENTS} .sv-root").get_attribute("data-edit"))


def test_the_garments_tab_comes_back_after_a_reload(open_quick) -> None:
    page = open_quick()
    page.set_input_files("#people input[type=file]", ROOT / "assets" / "examples" / "green-dress.png")
    wait_person(page, "@1")
    wait_done(page, after=0)
    open_garments(page)
    page.click(f'{GARMENTS} .pp-item[data-name="@1"]')
    page.wait_for_selector(f'{GARMENTS} .sv-root[data-state="done"]')
    page.click(".wa-row .wa-people [data-name='brown-coat']")
    page.select_option(".wa-row select", "outer")
    page.locator(".wa-row [type=range]").fill("60")
    page.wait_for_function(
        f"""(document.querySelector('{GARMENTS} .pe-root').dataset.edit === document.querySelector('{GARMENTS} .sv-root').dataset.edit)
            && document.querySelector('{GARMENTS} .sv-root').dataset.state === 'done'
            && document.querySelector('.wa-look').dataset.mask !== 'awaited'"""
    )
    page.wait_for_timeout(1000)  # the run's last answer, which a reload would break off
    kept = row(page)

    page.wait_for_timeout(800)  # until nothing is asked of the server, which the browser would complain about
    page.reload()
    page.wait_for_selector(f'{GARMENTS} .sv-root[data-state="done"]:visible', timeout=60_000)
    wait_person(page, "@1", f"{GARMENTS} ")
    assert {**row(page), "mask": ""} == {**kept, "mask": ""}
    page.click('#tabs [role="tab"]:visible >> text=Pose')
    wait_drawn(page)
    assert person(page) == "@1"


def test_garments_start_with_the_wearer_and_wait_for_what_is_recognised(open_page, tmp_path) -> None:
    page = open_page()
    shown: list = page.evaluate(
        """(() => { const seen = window.seen = []; const look = () => {
            const desk = document.querySelector('#garments'), image = desk?.querySelector('.sv-image');
            if (desk?.offsetParent) seen.push([image?.getAttribute('src') ? 'picture' : 'empty',
                desk.querySelector('.rb-save')?.disabled, document.querySelector('#to-pose')?.disabled,
                desk.querySelector('.wa-look')?.dataset.mask, desk.querySelector('.wa-look')?.disabled,
                desk.querySelector('.sv-root')?.dataset.state, !!desk.querySelector('.sv-waiting')]);
            requestAnimationFrame(look); }; look(); return seen; })()"""
    )
    open_garments(page)
    page.wait_for_selector('.wa-look[data-mask="recognised"]')
    shown = page.evaluate("seen")
    drawn = [each for each in shown if each[5]]
    assert all(each[0] == "picture" for each in drawn)
    before = [each for each in drawn if each[5] == "preview"]
    assert any(each[6] for each in before) and not shown[-1][6], "something is under way until there is a result"
    assert before and all(each[1] and each[2] for each in before), "nothing can be saved or sent before there is a result"
    awaited = [each for each in drawn if each[3] == "awaited"]
    assert awaited and all(each[4] for each in awaited), "a mask that is still looked for cannot be painted over"
    assert page.locator("#garments .rb-save").is_enabled() and page.locator("#to-pose").is_enabled()


def test_an_own_photo_is_removed(open_quick, nobody) -> None:
    page = open_quick()
    first = person(page)
    page.set_input_files("#people input[type=file]", ROOT / "assets" / "examples" / "green-dress.png")
    wait_person(page, "@1")
    wait_done(page, after=0)
    page.wait_for_selector('#kept :text("photos in memory: 1 (")')
    before = edit(page)
    page.click("#people .pp-forget")
    wait_person(page, first)
    page.wait_for_selector('#people .pp-item[data-name="@1"]', state="detached")
    page.wait_for_selector('#kept :text("photos in memory: none")')
    wait_done(page, after=before)
    page.keyboard.press("Control+z")  # there is nothing of it to go back to
    page.wait_for_timeout(300)
    assert person(page) == first
    page.wait_for_timeout(800)  # until nothing is asked of the server, which the browser would complain about
    page.reload()
    wait_drawn(page)
    assert page.locator('.pp-item[data-name="@1"]').count() == 0
