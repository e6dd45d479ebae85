"""Joints off the canvas: an error in the core; the editor keeps them on it (tests/e2e/test_editor.py drags one over the edge)."""

import pytest

from nted_step.image import load_photo
from nted_step.pose import Pose, PoseError
from pose_editor import formats, presets, server_functions
from tests.faults.conftest import photo
from tests.running import Refused


def moved(standing: Pose, x: float, y: float) -> Pose:
    xy = standing.xy.copy()
    xy[4] = x, y
    return Pose(xy, standing.visible)


@pytest.mark.parametrize("at", [(-0.5, 3), (44.5, 3), (3, -1), (3, 64.1), (1e8, 3)])
def test_an_error_in_the_core(pipeline, standing, at):
    person = pipeline.encode(load_photo(photo(), pipeline.config.size).image)
    with pytest.raises(PoseError, match=r"joint 'right wrist' at .* lies outside the 44x64 canvas"):
        next(pipeline.generate(person, moved(standing, *at)))


def test_the_edge_itself_is_on_it(pipeline, standing):
    person = pipeline.encode(load_photo(photo(), pipeline.config.size).image)
    assert next(pipeline.generate(person, moved(standing, 44, 64))).step == 0


def test_the_page_names_the_joint(visitor, standing, works):
    said = visitor.release(moved(standing, 99, 3), "striped-dress")
    assert said["kind"] == "refused" and "'right wrist'" in said["says"]
    with pytest.raises(Refused, match="'right wrist'"):
        visitor.generate(visitor.upload(photo()), {"joints": formats.to_value(moved(standing, 99, 3))["joints"]})
    works()


def test_a_pose_file_beyond_the_canvas_is_moved_onto_it():
    far = presets.standing((600, 500))
    read = server_functions.read_pose({"text": formats.to_text(far), "canvas": [256, 176]})
    formats.from_value({"joints": read["people"][0]}).require_drawable((256, 176))
    assert "moved or made smaller" in read["notes"][0]
