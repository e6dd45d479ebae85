"""Many large photos at once: no more of them are decoded together than memory is meant for, and none outside the queue."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nted_step import image
from pose_editor import formats, presets, server_functions
from pose_editor.editor import PoseEditor
from pose_editor.studio import decoding, layout
from tests.faults.conftest import photo

ASKED = 8


@pytest.fixture
def most_at_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many photos were being decoded together, at every start of one."""
    lock, running, seen = threading.Lock(), [0], []
    decode = image.load_photos

    def watched(*arguments):
        with lock:
            running[0] += 1
            seen.append(running[0])
        time.sleep(0.05)
        try:
            return decode(*arguments)
        finally:
            with lock:
                running[0] -= 1

    monkeypatch.setattr(image, "load_photos", watched)
    return seen


def test_two_are_decoded_while_the_others_wait(most_at_once: list[int]) -> None:
    with ThreadPoolExecutor(ASKED) as pool:
        list(pool.map(lambda seed: decoding.load_photo(photo(seed), (64, 44)), range(ASKED)))
    assert len(most_at_once) == ASKED and max(most_at_once) == decoding.AT_ONCE


def test_a_damaged_photo_gives_its_turn_back() -> None:
    for _ in range(decoding.AT_ONCE + 1):
        with pytest.raises(image.ImageError):
            decoding.load_photo(b"torn", (64, 44))
    assert decoding.load_photo(photo(), (64, 44)).image.shape == (3, 64, 44)


def test_choosing_a_window_waits_in_the_queue() -> None:
    assert layout.WINDOW.get("queue") is not False and layout.WINDOW["concurrency_limit"] <= decoding.AT_ONCE


def test_a_canvas_of_the_clients_own_is_refused() -> None:
    editor = PoseEditor(canvas=(256, 176))
    joints = formats.to_value(presets.standing((256, 176)))["joints"]
    for canvas in ([4096, 4096], [256, 177], "256", None, {}):
        for name, more in (("write_pose", {"kind": "png"}), ("read_pose", {"text": "{}"}), ("preset_pose", {"name": "wave"})):
            answer = getattr(editor, name)({"joints": joints, "canvas": canvas} | more)
            assert answer == {"error": "The canvas of this page is [256, 176], and no other."}
    assert editor.write_pose({"kind": "png", "joints": joints, "canvas": [256, 176]})["name"] == "pose.png"


def test_through_the_page(visitor, works) -> None:
    """An editor's script asks by HTTP; the page's own canvas is 64x44 here."""
    shown = visitor.http.get("config").json()["components"]
    editor = next(each["id"] for each in shown if "write_pose" in each["props"].get("server_fns", []))
    joints = formats.to_value(presets.standing((64, 44)))["joints"]

    def write(canvas: list[int]) -> dict:
        data = {"kind": "png", "joints": joints, "canvas": canvas}
        body = {"data": data, "component_id": editor, "fn_name": "write_pose", "session_hash": visitor.session}
        return visitor.http.post("gradio_api/component_server", json=body).json()

    assert "no other" in write([4096, 4096])["error"]
    assert write([64, 44])["name"] == "pose.png"
    works()


def test_functions_for_a_canvas_keep_their_names() -> None:
    names = [function.__name__ for function in server_functions.for_canvas((64, 44))]
    assert names == ["read_pose", "write_pose", "preset_pose", "transfer_pose"]
