"""At every usual size of a screen no text is cut off, nothing stands over at the side, and an own photo can be given without scrolling."""

from __future__ import annotations

import pytest

from tests.e2e.visitor import wait_drawn

SIZES = [(360, 740), (390, 844), (768, 1024), (910, 700), (1024, 768), (1280, 800), (1366, 650), (1920, 1080)]

# Every line of text that is on screen and reaches beyond the window, or beyond what an element around it shows.
CUT_OFF = """() => {
    const cut = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text = texts.nextNode(); text; text = texts.nextNode()) {
        const parent = text.parentElement, style = getComputedStyle(parent);
        if (!text.data.trim() || !parent.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
        if (parent.closest('script, style, option, textarea, [aria-hidden=true]') || style.position === 'fixed') continue;
        const range = document.createRange();
        range.selectNodeContents(text);
        for (const line of range.getClientRects()) {
            if (line.width < 2 || line.height < 2) continue;
            let left = 0, right = document.documentElement.clientWidth;
            for (let node = parent; node && node !== document.body; node = node.parentElement) {
                if (getComputedStyle(node).overflowX === 'visible') continue;
                const box = node.getBoundingClientRect();
                if (box.width < 2) { left = -Infinity; right = Infinity; break; } // only for those who listen
                left = Math.max(left, box.left); right = Math.min(right, box.right);
            }
            if (line.left < left - 1.5 || line.right > right + 1.5) cut.push(text.data.trim().slice(0, 60));
        }
    }
    return [...new Set(cut)];
}"""


def check(page, size: tuple[int, int], where: str) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0], where
    assert page.evaluate(CUT_OFF) == [], where


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_no_text_is_cut_off(open_quick, size: tuple[int, int]) -> None:
    page = open_quick(viewport={"width": size[0], "height": size[1]})
    check(page, size, "Pose")
    upload = page.locator("#upload").bounding_box()
    assert upload["y"] + upload["height"] <= size[1], "an own photo is given without scrolling"
    for name in ("poses", "tools"):
        page.click(f'[data-open="{name}"]')
        check(page, size, name)
        page.click(f'[data-open="{name}"]')
    page.click(".rb-more summary")
    page.click(".pp-item >> nth=1")  # a longer name
    wait_drawn(page)
    check(page, size, "researchers")
    page.click('#tabs [role="tab"]:visible >> text=Garments')
    page.wait_for_selector('#garments .sv-root[data-state="done"]', timeout=60_000)
    page.wait_for_selector('.wa-look:not([data-mask="awaited"])')
    check(page, size, "Garments")
    for control in ("#wearer-photo", "#from-pose"):
        box = page.locator(control).bounding_box()
        assert box["y"] + box["height"] <= size[1] and box["x"] + box["width"] <= size[0], control
