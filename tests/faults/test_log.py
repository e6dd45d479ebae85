"""One line in the log for every request, and nothing in it of what a visitor sent."""

import contextlib
import logging
import re

import pytest

from pose_editor.serving import request_log
from tests.faults.conftest import encoded, photo, picture
from tests.running import Refused, Visitor

LINE = re.compile(r"(?P<id>[0-9a-f]{8}) (?P<endpoint>\w+) queued (?P<queued>\d+\.\d\d) s ran (?P<ran>\d+\.\d\d) s (?P<outcome>.+)")
SECRET = "holiday-at-the-lake"


def lines(text: str) -> list[re.Match]:
    return [found for line in text.splitlines() if (found := LINE.search(line))]


def test_a_line_for_every_request(visitor, server, joints):
    before = len(server.said())
    file = visitor.upload(photo(), f"{SECRET}.png")
    for seed in range(3):
        visitor.generate(file, joints, seed)
    with pytest.raises(Refused):
        visitor.generate(file, {"joints": []})
    with pytest.raises(Refused):
        visitor.upload(b"0" * (21 * 2**20), f"{SECRET}.png")
    with pytest.raises(Refused):
        visitor.generate({"path": f"/etc/{SECRET}", "meta": {"_type": "gradio.FileData"}}, joints)
    said = server.said()[before:]
    found = lines(said)
    assert [each["outcome"] for each in found] == ["done"] * 3 + ["refused", "refused InvalidPathError"]
    assert all(each["endpoint"] == "generate" for each in found) and len({each["id"] for each in found}) == 5
    assert all(float(each["queued"]) < 60 and float(each["ran"]) < 60 for each in found)
    assert said.count("http upload refused 413") == 1 and len(said.splitlines()) == 6


def test_waiting_in_the_queue_is_told(visitor, server, joints):
    before = len(server.said())
    events = [visitor.ask("tween", visitor.upload(photo()), joints, joints, 60, 0, "gif") for _ in range(3)]
    visitor.answers(events)
    found = lines(server.said()[before:])
    assert [each["endpoint"] for each in found] == ["tween"] * 3
    queued, ran = ([float(each[key]) for each in found] for key in ("queued", "ran"))
    assert queued == sorted(queued) and queued[2] >= ran[0] - 0.1


def test_nothing_of_a_visitor_gets_in(visitor, server, standing, joints):
    """Names of files, words of a refusal, pictures; not even when something goes wrong."""
    exif = picture().getexif()
    exif[0x010E] = SECRET
    visitor.give(encoded(picture(), "PNG", exif=exif), f"{SECRET}.png")
    visitor.give(b"torn", f"{SECRET}.png")
    visitor.release(standing)
    for payload in (SECRET, {"joints": SECRET}, {SECRET: 1}):
        with pytest.raises(Refused):
            visitor.generate(visitor.upload(photo(), f"{SECRET}.png"), payload)
    visitor.http.get(f"gradio_api/file=/{SECRET}")
    visitor.http.get(f"{SECRET}")
    visitor.http.post(f"gradio_api/{SECRET}", json={})
    said = server.said()
    assert SECRET not in said and "data:" not in said and "base64" not in said and visitor.session not in said


def test_previews_are_told_with_verbose_only(here, standing, caplog):
    with contextlib.closing(Visitor(here)) as visitor:
        drag = ("striped-dress", None, {"seed": 0})
        visitor.call("preview", visitor.value(standing), *drag)
        assert "preview" not in caplog.text
        with caplog.at_level(logging.DEBUG, logger=request_log.LOG.name):
            visitor.call("preview", visitor.value(standing), *drag)
            visitor.release(standing, "striped-dress")
        assert f"(visitor {visitor.session[:4]}, 1 answers)" in caplog.text and " preview queued " in caplog.text
        assert re.search(r"render queued .* done \(visitor \w{4}, [2-9] answers\)", caplog.text)
