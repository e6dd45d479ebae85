"""What a visitor does: look, drag, watch, scrub, choose, upload, and sometimes get it wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from nted_step.config import preset
from nted_step.schedule import ladder

ROOT = Path(__file__).parents[2]
RESULT = ".sv-image"
LEFT_WRIST, RIGHT_ANKLE = 7, 10
SECONDS_30 = 30_000


def centre(page, joint: int) -> tuple[float, float]:
    box = page.locator(f'[data-joint="{joint}"] .pe-dot').bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, joint: int, dx: float, dy: float, *, moves: int = 8) -> None:
    x, y = centre(page, joint)
    page.mouse.move(x, y)
    page.mouse.down()
    for k in range(1, moves + 1):
        page.mouse.move(x + dx * k / moves, y + dy * k / moves)
        page.wait_for_timeout(30)
    page.mouse.up()


def edit(page) -> int:
    return int(page.locator(".sv-root").get_attribute("data-edit"))


def wait_done(page, after: int) -> None:
    """Until all 20 steps of an edit newer than ``after`` are there."""
    page.wait_for_function(
        "after => { const v = document.querySelector('.sv-root').dataset; return v.state === 'done' && +v.edit > after && v.step === '20'; }",
        arg=after, timeout=SECONDS_30,
    )  # fmt: skip


def settle(page) -> None:
    """Until the opening has played by itself."""
    page.wait_for_timeout(700)
    page.wait_for_selector(".sv-root:not(.sv-playing)", timeout=SECONDS_30)


def picture(page) -> str:
    return page.locator(RESULT).get_attribute("src")


def natural_size(page) -> list[int]:
    page.wait_for_function("document.querySelector('.sv-image').complete")
    return page.evaluate("(image => [image.naturalHeight, image.naturalWidth])(document.querySelector('.sv-image'))")


def scrub(page, step: int) -> None:
    slider = page.locator(".sv-slider")
    slider.focus()
    slider.press("Home")
    for _ in range(step):
        slider.press("ArrowRight")


def test_drag_a_joint_watch_the_steps_move_the_slider(open_page, tmp_path: Path) -> None:
    page = open_page()
    settle(page)
    page.screenshot(path=tmp_path / "opened.png")
    opened = picture(page)
    assert opened.startswith("data:image/webp"), "the page opens with a result, before any click"

    drag(page, LEFT_WRIST, 60, -120)
    wait_done(page, after=0)
    posed = picture(page)
    assert posed != opened
    page.screenshot(path=tmp_path / "posed.png")

    seen = []
    for step, size in enumerate(ladder(preset("lite"))):
        scrub(page, step)
        assert page.locator(".sv-label").inner_text() == f"step {step} · {size[0]}x{size[1]}"
        assert natural_size(page) == list(size)
        seen.append(picture(page))
    assert len(set(seen)) == 21 and seen[20] == posed
    print(f"screenshots in {tmp_path}")


def test_a_preview_follows_the_drag(open_page) -> None:
    page = open_page()
    settle(page)
    x, y = centre(page, RIGHT_ANKLE)
    page.mouse.move(x, y)
    page.mouse.down()
    pictures = set()
    for k in range(40):
        page.mouse.move(x - k, y - k / 2)
        page.wait_for_timeout(50)
        if page.locator(".sv-root").get_attribute("data-state") == "preview":
            pictures.add(picture(page))
    page.mouse.up()
    assert len(pictures) >= 3, "the result follows while the joint is still held"
    wait_done(page, after=0)


def test_the_newest_edit_wins(open_page) -> None:
    """Edits faster than the sampler: what stands at the end belongs to the last one, as if it had been the only one."""
    page = open_page()
    settle(page)
    for dy in (-30, -40, 50, -60):
        drag(page, LEFT_WRIST, 0, dy, moves=3)
    wait_done(page, after=0)
    page.wait_for_timeout(500)
    wait_done(page, after=0)
    last = edit(page)
    final = picture(page)
    page.click('[data-do="undo"]')
    wait_done(page, after=last)
    assert picture(page) != final
    page.click('[data-do="redo"]')
    wait_done(page, after=last + 1)
    assert picture(page) == final


def test_keyboard_alone(open_page) -> None:
    page = open_page()
    settle(page)
    joint = page.locator(f'[data-joint="{LEFT_WRIST}"]')
    joint.focus()
    name, x, y = re.fullmatch(r"(.+), x (\d+), y (\d+)", joint.get_attribute("aria-label")).groups()
    assert name == "left wrist"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    assert joint.get_attribute("aria-label") == f"left wrist, x {int(x) + 1}, y {int(y) - 10}"
    wait_done(page, after=0)
    before = edit(page)
    page.keyboard.press("Delete")
    assert joint.get_attribute("aria-label") == "left wrist, hidden"
    wait_done(page, after=before)
    page.keyboard.press("Enter")
    page.keyboard.press("Control+z")
    assert joint.get_attribute("aria-label") == "left wrist, hidden"
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert joint.get_attribute("aria-label") == f"left wrist, x {x}, y {y}"
    page.keyboard.press("Control+Shift+z")
    assert joint.get_attribute("aria-label") == f"left wrist, x {int(x) + 1}, y {int(y) - 10}"


def test_reset_returns_to_the_pose_of_the_photo(open_page) -> None:
    page = open_page()
    settle(page)
    labels = "[...document.querySelectorAll('[data-joint]')].map(joint => joint.getAttribute('aria-label'))"
    opened = page.evaluate(labels)
    page.click('[data-do="reset"]')
    wait_done(page, after=0)
    at_rest = page.evaluate(labels)
    assert at_rest != opened and page.locator('[data-do="reset"]').is_disabled()
    drag(page, LEFT_WRIST, 40, -40)
    page.click('[data-do="reset"]')
    assert page.evaluate(labels) == at_rest


def test_touch_on_a_phone(open_page) -> None:
    page = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, device_scale_factor=2)
    settle(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing stands over at the side"
    assert page.locator(".pe-stage").bounding_box()["y"] + page.locator(".pe-stage").bounding_box()["height"] < 844
    x, y = centre(page, LEFT_WRIST)
    before = page.locator(f'[data-joint="{LEFT_WRIST}"]').get_attribute("aria-label")
    touch = page.context.new_cdp_session(page)
    # A finger lands beside the dot, not on it.
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x + 9, "y": y + 7}]})
    for k in range(1, 9):
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x + 9 - k * 3, "y": y + 7 - k * 5}]})
        page.wait_for_timeout(30)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert page.locator(f'[data-joint="{LEFT_WRIST}"]').get_attribute("aria-label") != before
    assert page.evaluate("scrollY") == 0, "the finger moved the joint, not the page"
    wait_done(page, after=0)


def test_choose_another_person(open_page) -> None:
    page = open_page()
    settle(page)
    photo = page.locator(".pe-photo").first.get_attribute("href")
    page.click(".pp-item >> nth=3")
    wait_done(page, after=0)
    assert page.locator(".pe-photo").first.get_attribute("href") != photo
    assert page.locator(".pp-item >> nth=3").get_attribute("aria-checked") == "true"
    assert page.locator('[data-do="reset"]').is_disabled(), "a person opens in the pose of the photo"


def test_own_photo_and_photos_that_cannot_be_used(open_page, tmp_path: Path) -> None:
    page = open_page()
    settle(page)
    before = picture(page), edit(page)
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0" + b"torn" * 40)
    Image.new("RGB", (12000, 8000)).save(tmp_path / "huge.png")
    Image.new("RGB", (300, 400)).save(tmp_path / "tiff.png", format="TIFF")
    for name, says in (("torn.jpg", "damaged"), ("huge.png", "megapixels"), ("tiff.png", "not a JPEG, PNG or WebP")):
        page.set_input_files("#people input[type=file]", tmp_path / name)
        page.wait_for_selector(f'.notice.error:has-text("{name}"):has-text("{says}")', timeout=SECONDS_30)
        assert (picture(page), edit(page)) == before, "the result that was there stays"

    Image.effect_noise((500, 700), 80).convert("RGB").save(tmp_path / "own.png")
    page.set_input_files("#people input[type=file]", tmp_path / "own.png")
    wait_done(page, after=before[1])
    assert page.locator(".notice.error").count() == 0
    assert page.locator('.pp-item[aria-checked="true"]').count() == 0


def test_a_wrong_pose_is_refused_and_the_page_goes_on(open_page) -> None:
    page = open_page()
    settle(page)
    # What a broken script or a curious person would send instead of 18 joints.
    page.route("**/queue/join*", lambda route: route.continue_(post_data=re.sub(r'"joints":\[\[.*?\],', '"joints":[', route.request.post_data)))
    drag(page, LEFT_WRIST, 30, -30)
    page.wait_for_selector(".toast-wrap >> text=/exactly 18 joints; 17 were given/", timeout=SECONDS_30)
    assert page.locator(".sv-root").get_attribute("data-edit") == "0"
    page.unroute("**/queue/join*")
    drag(page, LEFT_WRIST, 10, -10)
    wait_done(page, after=0)


def test_the_endpoint_for_programs(server) -> None:
    from gradio_client import Client, handle_file

    from nted_step.pose import load_pose_text
    from pose_editor import formats

    example = ROOT / "assets" / "examples" / "striped-dress.png"
    pose = formats.to_value(load_pose_text(example.with_suffix(".txt")))
    client = Client(server.url, verbose=False)
    ask = {"photo": handle_file(str(example)), "pose": pose, "seed": 0, "api_name": "/generate"}
    first, again = (client.predict(steps=2, **ask) for _ in range(2))
    with Image.open(first) as a, Image.open(again) as b:
        assert a.size == (176, 256) and a.tobytes() == b.tobytes()
        assert not a.getexif()
    with pytest.raises(Exception, match="exactly 18 joints"):
        client.predict(steps=2, **(ask | {"pose": {"joints": pose["joints"][:17]}}))
    with pytest.raises(Exception, match="Steps must be"):
        client.predict(steps=21, **ask)


def test_steps_film_and_trace_for_programs(server) -> None:
    from gradio_client import Client, handle_file

    from nted_step.pose import load_pose_text
    from pose_editor import formats

    example = ROOT / "assets" / "examples" / "striped-dress.png"
    pose = formats.to_value(load_pose_text(example.with_suffix(".txt")))
    client, photo = Client(server.url, verbose=False), handle_file(str(example))
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {"/generate", "/steps", "/tween", "/trace"} and all(each["description"] for each in named.values())
    steps = client.predict(photo=photo, pose=pose, seed=0, steps=3, api_name="/steps")
    assert [each["caption"].split(":")[0] for each in steps] == ["start", "1", "2", "3"]
    film = client.predict(photo=photo, first_pose=pose, pose=pose, frames=2, seed=0, kind="gif", api_name="/tween")
    with Image.open(film) as image:
        assert image.format == "GIF" and image.size == (176, 256)
    glow, labels = client.predict(photo=photo, pose=pose, x=80, y=90, step=2, level=0, seed=0, api_name="/trace")
    for path, mode in ((glow, "RGBA"), (labels, "RGB")):
        with Image.open(path) as image:
            assert image.size == (176, 256) and image.mode == mode
    with pytest.raises(Exception, match="must lie on the 176x256 canvas"):
        client.predict(photo=photo, pose=pose, x=-5, y=90, step=2, level=0, seed=0, api_name="/trace")


def test_the_line_it_prints(server) -> None:
    assert re.fullmatch(rf"NTED Step at {re.escape(server.url)} with weights \S+ \(.*\) on cpu, \w+\n", server.first_line)


def test_ctrl_c_ends_it(weights: Path) -> None:
    from tests.e2e.conftest import Server

    code, output = Server(weights).interrupt()
    assert code == 0 and output.strip() == "Stopped."


def test_wrong_options_are_one_line(tmp_path: Path, server) -> None:
    import subprocess
    import sys

    taken = server.url.rstrip("/").rpartition(":")[2]
    for options in (["--weights", str(tmp_path / "none")], ["--device", "tpu"], ["--port", taken]):
        done = subprocess.run([sys.executable, "-B", "app.py", *options], cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1 and done.stderr.startswith("app.py: ") and done.stderr.count("\n") == 1, done.stderr
