"""Uploads are gone within an hour, from the disk and from memory, and the page says so."""

import contextlib
import time
from pathlib import Path

import pytest

import app
from pose_editor.serving import temporary_files
from pose_editor.studio import layout
from tests.faults.conftest import photo, start_here
from tests.running import Refused, Visitor

HOUR = 3600


def test_the_settings_add_up_to_an_hour():
    assert temporary_files.KEPT_SECONDS + 2 * temporary_files.EVERY_SECONDS <= HOUR and app.PHOTO_SECONDS <= HOUR
    assert "within an hour" in layout.PRIVACY and "never logged" in layout.PRIVACY


def test_the_page_says_so_beside_the_button(visitor):
    components = visitor.http.get("config").json()
    line = next(each for each in components["components"] if each["props"].get("elem_id") == "privacy")
    button = next(each for each in components["components"] if each["props"].get("elem_id") == "upload")
    assert layout.PRIVACY in line["props"]["value"]
    column = next(each for each in walk(components["layout"]) if button["id"] in [child["id"] for child in each.get("children", [])])
    beside = [child["id"] for child in column["children"]]
    assert beside.index(line["id"]) == beside.index(button["id"]) + 1


def walk(node: dict):
    yield node
    for child in node.get("children", []):
        yield from walk(child)


def test_an_upload_and_its_results_are_gone_after_their_time(tiny_weights, standing, joints, monkeypatch):
    """The same settings, in seconds."""
    monkeypatch.setattr(temporary_files, "KEPT_SECONDS", 15)
    monkeypatch.setattr(temporary_files, "EVERY_SECONDS", 0.5)
    monkeypatch.setattr(app, "PHOTO_SECONDS", 15)
    with contextlib.closing(Visitor(start_here(tiny_weights))) as visitor:
        file = visitor.upload(photo(), "me.png")
        made = visitor.call("generate", file, joints, 0, 4)[0]
        paths = [Path(file["path"]), Path(made["path"])]
        assert all(path.exists() for path in paths)
        visitor.give(photo(), "me.png")
        assert visitor.release(standing)["kind"] == "steps"
        deadline = time.monotonic() + 90
        while any(path.exists() for path in paths) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not any(path.exists() for path in paths)
        while time.monotonic() < deadline:
            try:
                visitor.release(standing)
            except Refused as refused:
                assert "kept for an hour, and this one has expired" in str(refused)
                break
            time.sleep(0.5)
        else:
            pytest.fail("the photo is still in memory")
        assert visitor.release(standing, "striped-dress")["kind"] == "steps", "the examples stay"
