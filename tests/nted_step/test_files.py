"""Nothing is half-written."""

import json

import pytest

from nted_step.files import file_beside, folder_beside, write_file, write_json


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    write_file(path, b"2")
    assert json.loads(path.read_text()) == 2 and [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError), file_beside(path) as beside:
        assert beside.suffix == ".txt"
        beside.write_text("half")
        raise OSError("disk full")
    assert [each.name for each in tmp_path.iterdir()] == ["a.txt"] and path.read_text() == "old"


def test_a_folder_appears_when_it_is_complete(tmp_path):
    folder = tmp_path / "data" / "a"
    with pytest.raises(ValueError), folder_beside(folder) as beside:
        (beside / "half").touch()
        raise ValueError
    assert not folder.exists()
    with folder_beside(folder) as beside:
        (beside / "whole").touch()
        assert not folder.exists()
    assert [each.name for each in folder.iterdir()] == ["whole"] and [each.name for each in folder.parent.iterdir()] == ["a"]
