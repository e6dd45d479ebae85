"""What axe-core finds, in both themes, on a desktop and on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.test_garments import open_tab
from tests.e2e.test_garments import wait_done as wait_dressed
from tests.e2e.visitor import DESKTOP, PHONE

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
GRAVE = ("serious", "critical")


def violations(page) -> list[str]:
    """One line for every element with a serious or critical fault."""
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    assert len(found["passes"]) > 15, "it did look"
    grave = [rule for rule in found["violations"] if rule["impact"] in GRAVE]
    return [f"{rule['id']}: {node['target']} {node['failureSummary']}" for rule in grave for node in rule["nodes"]]


def brightness(page, part: str, what: str) -> float:
    """0 (black) to 255 (white)."""
    colour = page.evaluate("([part, what]) => getComputedStyle(document.querySelector(part))[what]", [part, what])
    return sum(float(number) for number in colour.partition("(")[2].rstrip(")").split(",")[:3]) / 3


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_everybody_can_read_and_reach_it(open_quick, tmp_path: Path, theme: str, screen: dict) -> None:
    page = open_quick(color_scheme=theme, **screen)
    for part in ("body", ".pe-bar button", ".sv-play", ".rb-save"):
        assert (brightness(page, part, "backgroundColor") > 200) is (theme == "light"), part
        assert (brightness(page, part, "color") > 128) is (theme == "dark"), part

    page.add_script_tag(path=AXE)
    page.click('[data-open="poses"]')
    page.click('[data-see="wipe"]')
    found = violations(page)

    page.click('[data-open="tools"]')
    page.click('[data-do="paste"]')
    page.click('[data-do="all"]')
    page.click(".rb-more > summary")
    page.click('[data-see="trace"]')
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0torn")
    page.set_input_files("#people input[type=file]", tmp_path / "torn.jpg")
    page.wait_for_selector(".notice.error")
    found += violations(page)
    assert not found, "\n".join(sorted(set(found)))


@pytest.mark.parametrize(("theme", "screen"), [("light", DESKTOP), ("dark", PHONE)], ids=["light-desktop", "dark-phone"])
def test_the_garments_too(open_quick, theme: str, screen: dict) -> None:
    page = open_quick(color_scheme=theme, **screen)
    open_tab(page)
    wait_dressed(page)
    page.click(".wa-add")
    page.add_script_tag(path=AXE)
    found = violations(page)
    page.locator(".wa-look").first.click()
    page.wait_for_selector(".wa-dialog[open]")
    found += violations(page)
    assert not found, "\n".join(sorted(set(found)))
