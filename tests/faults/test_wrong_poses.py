"""A pose of 17 points, NaN, strings, 1e9, a megabyte of brackets: refused, and the session goes on as it was."""

import pytest

from pose_editor import formats
from tests.faults.conftest import photo
from tests.running import Refused


def wrong(joints: list) -> list:
    row = joints[0]
    deep: list = []
    for _ in range(200):
        deep = [deep]
    return [
        joints[:17], [*joints, row], [[float("nan"), 1, True], *joints[1:]], [[float("inf"), 1, True], *joints[1:]],
        [["1", "2", True], *joints[1:]], [[1e9, 1, True], *joints[1:]], [[None, 1, True], *joints[1:]], [[1, 2, "yes"], *joints[1:]],
        [deep, *joints[1:]], [[[0] * 300_000], *joints[1:]], "x" * 1_000_000, {"a": 1}, None, 5,
    ]  # fmt: skip


def test_refused_and_the_session_is_intact(visitor, joints, standing, works):
    visitor.give(photo(1))
    before = visitor.release(standing)["frames"]
    file = visitor.upload(photo(1))
    for payload in wrong(joints["joints"]):
        with pytest.raises(Refused) as refused:
            visitor.call("render", {"joints": payload, "edit": visitor.edit + 1}, None, None, {"seed": 0})
        assert len(str(refused.value)) < 200 and "\n" not in str(refused.value)
        with pytest.raises(Refused):
            visitor.generate(file, {"joints": payload})
    assert visitor.release(standing)["frames"] == before
    works()


def test_a_megabyte_of_brackets(visitor, works):
    body = '{"data": [' + "[" * 1_000_000 + "]" * 1_000_000 + f'], "fn_index": 0, "session_hash": "{visitor.session}"}}'
    answer = visitor.http.post("gradio_api/queue/join", content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    works()


@pytest.mark.parametrize("event", ["preview", "released", "save", "save_film"])
def test_other_events_with_a_wrong_pose(visitor, event, works):
    value, settings = {"joints": [[0, 0, True]] * 17, "edit": 1}, {"seed": 0, "save": {"kind": "film-gif", "step": 1}}
    inputs = {"preview": [value, None, None, settings], "released": [value, None], "save": [value, None, None, settings]}
    inputs["save_film"] = inputs["save"]
    with pytest.raises(Refused):
        visitor.call(event, *inputs[event])
    works()


@pytest.mark.parametrize(
    "wrong", [{"seed": -1}, {"seed": 1e400}, {"seed": "1"}, {}, [], None, {"seed": 0, "save": {"kind": "exe", "step": 1}}]
)
def test_wrong_settings(visitor, standing, wrong, works):
    for event in (["render", visitor.value(standing), "striped-dress", None, wrong], ["restore", wrong, None]):
        with pytest.raises(Refused):
            visitor.call(*event)
    works()


@pytest.mark.parametrize("arguments", [(-1, 4), (0, 99), (0, -1), (None, 4), ("x", 4), (1e400, 4), (2**70, 4)])
def test_wrong_numbers_for_programs(visitor, joints, arguments, works):
    with pytest.raises(Refused):
        visitor.generate(visitor.upload(photo()), joints, *arguments)
    works()


def test_values_as_the_component_writes_them_are_taken(standing):
    assert formats.from_value(formats.to_value(standing, 3)) == standing
