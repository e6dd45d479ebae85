"""What a visitor's hands and eyes do on the page, for the tests and the benchmark."""

from __future__ import annotations

SECONDS_30 = 30_000
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}

NECK, RIGHT_WRIST, LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST, RIGHT_ANKLE = 1, 4, 5, 6, 7, 10
LEFT_HIP, LEFT_KNEE, LEFT_ANKLE, RIGHT_EYE = 11, 12, 13, 14


def wait_drawn(page) -> None:
    """Until every part of the page is there and a result is shown."""
    for part in ('[data-joint="17"]', '.sv-root[data-state="done"]', ".rb-save", ".cr-root"):
        page.wait_for_selector(part, timeout=60_000, state="attached")


# --- the pose -----------------------------------------------------------------------------------------------------


def centre(page, joint: int) -> tuple[float, float]:
    box = page.locator(f'[data-joint="{joint}"] .pe-dot').bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, joint: int, dx: float, dy: float, *, moves: int = 4) -> None:
    x, y = centre(page, joint)
    page.mouse.move(x, y)
    page.mouse.down()
    for k in range(1, moves + 1):
        page.mouse.move(x + dx * k / moves, y + dy * k / moves)
        page.wait_for_timeout(30)
    page.mouse.up()


def joints(page) -> list[tuple[float, float] | None]:
    """Where the editor draws every joint; None for a hidden one."""
    return page.evaluate(
        """[...document.querySelectorAll('[data-joint]')].map(joint => {
            const dot = joint.querySelector('.pe-dot');
            return joint.classList.contains('pe-hidden') ? null : [+dot.getAttribute('cx'), +dot.getAttribute('cy')]; })"""
    )


def tab_to(page, selector: str, most: int = 80) -> None:
    """Press Tab until that part of the page has the focus, as somebody without a mouse does."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab does not reach {selector}")


# --- photos -------------------------------------------------------------------------------------------------------


def carry_file(page, path, x: float, y: float, *kinds: str) -> None:
    """Drag a file from the desktop over a place of the page, as the browser is told of it by the operating system.

    ``kinds`` are out of "dragEnter", "dragOver", "drop" and "dragCancel", all but the last by default.
    """
    mouse = page.context.new_cdp_session(page)
    for kind in kinds or ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        mouse.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})
    mouse.detach()


def paste_picture(page, png: bytes) -> None:
    """Copy a picture, and press Ctrl+V."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async bytes => navigator.clipboard.write(
            [new ClipboardItem({ 'image/png': new Blob([new Uint8Array(bytes)], { type: 'image/png' }) })])""",
        list(png),
    )
    page.keyboard.press("Control+v")


# --- the result ---------------------------------------------------------------------------------------------------


def edit(page) -> int:
    """The edit that the result on screen belongs to; it grows with every change of the pose."""
    return int(page.locator(".sv-root").get_attribute("data-edit"))


def state(page) -> str:
    return page.locator(".sv-root").get_attribute("data-state")


def step(page) -> int:
    return int(page.locator(".sv-root").get_attribute("data-step"))


def wait_running(page, after: int) -> None:
    """Until the first steps of an edit newer than ``after`` are there, and the others not yet."""
    page.wait_for_function(
        "after => { const v = document.querySelector('.sv-root').dataset; return v.state === 'running' && +v.edit > after; }",
        arg=after, timeout=SECONDS_30,
    )  # fmt: skip


def wait_done(page, after: int) -> None:
    """Until all 20 steps of the editor's newest edit are there, which must be newer than ``after``."""
    page.wait_for_function(
        """after => { const v = document.querySelector('.sv-root').dataset, newest = +document.querySelector('.pe-root').dataset.edit;
            return v.state === 'done' && +v.edit > after && +v.edit >= newest && v.step === '20'; }""",
        arg=after, timeout=SECONDS_30,
    )  # fmt: skip


def picture(page) -> str:
    return page.locator(".sv-image").get_attribute("src")


def natural_size(page) -> list[int]:
    page.wait_for_function("document.querySelector('.sv-image').complete")
    return page.evaluate("(image => [image.naturalHeight, image.naturalWidth])(document.querySelector('.sv-image'))")


def scrub(page, to: int) -> None:
    slider = page.locator(".sv-slider")
    slider.focus()
    slider.press("Home")
    for _ in range(to):
        slider.press("ArrowRight")
