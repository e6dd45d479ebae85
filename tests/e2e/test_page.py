"""What a visitor does: look, drag, watch, scrub, choose, upload, and sometimes get it wrong."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from PIL import Image

from nted_step.config import preset
from nted_step.schedule import ladder
from tests.e2e.conftest import free_port
from tests.e2e.visitor import (
    LEFT_WRIST,
    RIGHT_ANKLE,
    SECONDS_30,
    centre,
    drag,
    edit,
    joints,
    natural_size,
    picture,
    scrub,
    state,
    step,
    tab_to,
    wait_done,
    wait_running,
)  # fmt: skip

ROOT = Path(__file__).parents[2]


def test_drag_a_joint_watch_the_steps_move_the_slider(open_page) -> None:
    page = open_page(reduced_motion="no-preference")
    page.wait_for_selector(".sv-root.sv-playing")  # once, by itself
    page.wait_for_selector(".sv-root:not(.sv-playing)")
    assert step(page) == 20
    opened = picture(page)
    assert opened.startswith("data:image/webp"), "the page opens with a result, before any click"

    drag(page, LEFT_WRIST, 60, -120)
    wait_done(page, after=0)
    posed = picture(page)
    assert posed != opened

    seen = []
    scrub(page, 0)
    for number, size in enumerate(ladder(preset("lite"))):
        assert page.locator(".sv-label").inner_text() == f"step {number} · {size[0]}x{size[1]}"
        assert natural_size(page) == list(size)
        seen.append(picture(page))
        page.keyboard.press("ArrowRight")
    assert len(set(seen)) == 21 and seen[20] == posed


def test_a_preview_follows_the_drag(open_page) -> None:
    page = open_page()
    x, y = centre(page, RIGHT_ANKLE)
    page.mouse.move(x, y)
    page.mouse.down()
    pictures = set()
    for k in range(200):
        page.mouse.move(x - k % 40, y - k % 40 / 2)
        page.wait_for_timeout(50)
        if state(page) == "preview":
            pictures.add(picture(page))
        if len(pictures) == 3:
            break
    page.mouse.up()
    assert len(pictures) == 3, "the result follows while the joint is still held"
    wait_done(page, after=0)


def test_the_newest_edit_wins(open_page) -> None:
    """Edits faster than the sampler: what stands at the end belongs to the last one, as if it had been the only one."""
    page = open_page()
    drag(page, LEFT_WRIST, 0, -30)
    wait_running(page, after=0)
    first = edit(page)
    x, y = centre(page, LEFT_WRIST)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 10, y - 20, steps=4)
    page.wait_for_function(
        "first => { const v = document.querySelector('.sv-root').dataset; return v.state === 'preview' && +v.edit > first; }", arg=first
    )
    assert state(page) == "preview", "the drag goes before the run that was going, and stays there"
    page.mouse.up()
    for dy in (50, -60):
        drag(page, LEFT_WRIST, 0, dy, moves=3)
    last = joints(page)
    wait_done(page, after=first)
    page.wait_for_timeout(500)
    wait_done(page, after=first)
    newest, final = edit(page), picture(page)
    page.click('[data-do="undo"]')
    wait_done(page, after=newest)
    assert picture(page) != final and joints(page) != last
    page.click('[data-do="redo"]')
    wait_done(page, after=newest + 1)
    assert picture(page) == final and joints(page) == last


def test_keyboard_alone(open_quick) -> None:
    page = open_quick()
    tab_to(page, ".pp-item")
    page.keyboard.press("ArrowDown")
    wait_done(page, after=0)
    assert page.locator(".pp-item >> nth=1").get_attribute("aria-checked") == "true"

    tab_to(page, "[data-joint]")
    for key in ("ArrowDown", "ArrowRight", "ArrowDown", "ArrowDown"):  # neck, left shoulder, left elbow, left wrist
        page.keyboard.press(key)
    joint = page.locator(f'[data-joint="{LEFT_WRIST}"]')
    assert joint.locator(".pe-ring").evaluate("ring => getComputedStyle(ring).opacity") == "1", "the joint in focus is marked"
    name, x, y = re.fullmatch(r"(.+), x (\d+), y (\d+)", joint.get_attribute("aria-label")).groups()
    assert name == "left wrist"
    before = edit(page)
    page.keyboard.press("Enter")
    assert joint.get_attribute("aria-label") == f"left wrist, x {x}, y {y}, held"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    assert joint.get_attribute("aria-label") == f"left wrist, x {int(x) + 1}, y {int(y) - 10}, held"
    page.keyboard.press("Enter")
    wait_done(page, after=before)
    page.keyboard.press("Delete")
    assert joint.get_attribute("aria-label") == "left wrist, hidden"
    page.keyboard.press("Enter")
    assert joint.get_attribute("aria-label") == f"left wrist, x {int(x) + 1}, y {int(y) - 10}"
    page.keyboard.press("Control+z")
    assert joint.get_attribute("aria-label") == "left wrist, hidden"
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert joint.get_attribute("aria-label") == f"left wrist, x {x}, y {y}"
    page.keyboard.press("Control+Shift+z")
    assert joint.get_attribute("aria-label") == f"left wrist, x {int(x) + 1}, y {int(y) - 10}"
    before = edit(page)
    tab_to(page, '[data-do="undo"]')
    page.keyboard.press("Enter")
    assert joint.get_attribute("aria-label") == f"left wrist, x {x}, y {y}"
    wait_done(page, after=before)
    tab_to(page, ".sv-slider")
    page.keyboard.press("ArrowLeft")
    assert step(page) == 19


def test_reset_and_another_person(open_quick) -> None:
    page = open_quick()
    opened = joints(page)
    page.click('[data-do="reset"]')
    wait_done(page, after=0)
    at_rest = joints(page)
    assert at_rest != opened and page.locator('[data-do="reset"]').is_disabled()
    drag(page, LEFT_WRIST, 40, -40)
    page.click('[data-do="reset"]')
    assert joints(page) == at_rest, "the pose of the photo"

    before = edit(page)
    photo = page.locator(".pe-photo").first.get_attribute("href")
    page.click(".pp-item >> nth=3")
    page.wait_for_function("photo => document.querySelector('.pe-photo').getAttribute('href') !== photo", arg=photo)
    wait_done(page, after=before)
    assert page.locator(".pp-item >> nth=3").get_attribute("aria-checked") == "true"
    assert page.locator('[data-do="reset"]').is_disabled(), "a person opens in the pose of the photo"


def test_an_arrow_key_held_down_on_the_people(open_quick) -> None:
    page = open_quick()
    page.locator(".pp-item >> nth=0").focus()
    for _ in range(4 * page.locator(".pp-item").count() + 1):  # around, and one further
        page.keyboard.press("ArrowDown")
    last = page.locator(".pp-item >> nth=1")
    assert last.get_attribute("aria-checked") == "true"
    page.wait_for_function(
        """() => document.querySelector('.pe-photo').getAttribute('href')
            === document.querySelectorAll('.pp-item img')[1].getAttribute('src')"""
    )
    wait_done(page, after=0)
    assert last.get_attribute("aria-checked") == "true", "no earlier answer came late"


def test_answers_that_come_all_at_once(open_quick) -> None:
    """A film keeps the connection open, and all answers to a choice are there before the browser knows what they answer."""
    page = open_quick()
    page.select_option(".rb-save", "film-gif")
    page.keyboard.type("60")
    page.keyboard.press("Enter")
    page.wait_for_selector(".rb-note >> text=of 60 poses")

    def late(route) -> None:
        answer = route.fetch()
        time.sleep(2)
        route.fulfill(response=answer)

    page.route("**/queue/join*", late)
    chosen = page.locator(".pp-item >> nth=3")
    chosen.click()
    wait_done(page, after=0)
    page.wait_for_function(
        "photo => document.querySelector('.pe-photo').getAttribute('href') === photo", arg=chosen.locator("img").get_attribute("src")
    )
    assert page.locator(".pe-root").get_attribute("data-edit") == "1"
    assert page.locator('[data-do="reset"]').is_enabled(), "the pose that the one before had goes along"


def test_own_photo_and_photos_that_cannot_be_used(open_quick, tmp_path: Path) -> None:
    page = open_quick()
    before = picture(page), edit(page)
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0" + b"torn" * 40)
    Image.new("1", (12000, 8000)).save(tmp_path / "huge.png")
    Image.new("RGB", (300, 400)).save(tmp_path / "tiff.png", format="TIFF")
    (tmp_path / "heavy.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(21 * 2**20))
    for name, says in (
        ("heavy.jpg", "21 MiB is more than the 20 MiB allowed"),
        ("torn.jpg", "damaged"),
        ("huge.png", "megapixels"),
        ("tiff.png", "not a JPEG, PNG or WebP"),
    ):
        page.set_input_files("#people input[type=file]", tmp_path / name)
        page.wait_for_selector(f'.notice.error:has-text("{name}"):has-text("{says}")', timeout=SECONDS_30)
        assert (picture(page), edit(page)) == before, "the result that was there stays"

    Image.effect_noise((500, 700), 80).convert("RGB").save(tmp_path / "own.png")
    page.set_input_files("#people input[type=file]", tmp_path / "own.png")
    wait_done(page, after=before[1])
    assert page.locator(".notice.error").count() == 0
    assert page.locator('.pp-item[aria-checked="true"]').get_attribute("title") == "Your photo"


def test_a_wrong_pose_is_refused_and_the_page_goes_on(open_quick) -> None:
    page = open_quick()
    # What a broken script or a curious person would send instead of 18 joints.
    page.route(
        "**/queue/join*", lambda route: route.continue_(post_data=re.sub(r'"joints":\[\[.*?\],', '"joints":[', route.request.post_data))
    )
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


def test_steps_film_and_trace_for_programs(quick_url: str) -> None:
    from gradio_client import Client, handle_file

    from nted_step.pose import load_pose_text
    from pose_editor import formats

    example = ROOT / "assets" / "examples" / "striped-dress.png"
    pose = formats.to_value(load_pose_text(example.with_suffix(".txt")))
    client, photo = Client(quick_url, verbose=False), handle_file(str(example))
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {"/generate", "/steps", "/tween", "/trace", "/swap"} and all(each["description"] for each in named.values())
    steps = client.predict(photo=photo, pose=pose, seed=0, steps=3, api_name="/steps")
    assert [each["caption"].split(":")[0] for each in steps] == ["start", "1", "2", "3"]
    film = client.predict(photo=photo, first_pose=pose, pose=pose, frames=2, seed=0, kind="gif", api_name="/tween")
    with Image.open(film) as image:
        assert image.format == "GIF" and image.size == (352, 512)
    glow, labels = client.predict(photo=photo, pose=pose, x=80, y=90, step=2, level=0, seed=0, api_name="/trace")
    for path, mode in ((glow, "RGBA"), (labels, "RGB")):
        with Image.open(path) as image:
            assert image.size == (176, 256) and image.mode == mode
    with pytest.raises(Exception, match="must lie on the 176x256 canvas"):
        client.predict(photo=photo, pose=pose, x=-5, y=90, step=2, level=0, seed=0, api_name="/trace")


def test_the_line_it_prints(server) -> None:
    assert re.fullmatch(rf"NTED Step at {re.escape(server.url)} with weights \S+ \(.*\) on cpu, \w+\n", server.first_line)


def test_wrong_options_are_one_line(tmp_path: Path, server, capsys) -> None:
    import subprocess
    import sys

    import app

    taken = server.url.rstrip("/").rpartition(":")[2]
    done = subprocess.run([sys.executable, "-B", "app.py", "--port", taken], cwd=ROOT, capture_output=True, text=True, timeout=120)
    said = [(done.returncode, done.stdout, done.stderr)]
    for options in (["--weights", str(tmp_path / "none")], ["--device", "tpu"]):
        said.append((app.main([*options, "--port", str(free_port())]), *capsys.readouterr()))
    for code, out, err in said:
        assert code == 1 and not out and err.startswith("app.py: ") and err.count("\n") == 1, err
