"""Nothing is half-written."""

import json
import os

import pytest

from nted_step.files import file_beside, folder_beside, write_file, write_json


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    write_file(path, b"2")
    assert json.loads(path.read_text()) == 2 and [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_who_reads_the_old_file_goes_on_reading_it(tmp_path):
    path = tmp_path / "a.txt"
    write_file(path, b"old" * 100_000)
    with open(path, "rb", buffering=0) as old:
        write_file(path, b"new")
        assert old.read() == b"old" * 100_000 and path.read_bytes() == b"new"


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """So that after a loss of power there is the old file or the new one, and not an empty one."""
    path, done, flush, rename = tmp_path / "a.txt", [], os.fsync, os.replace

    def fsync(descriptor):
        done.append(("flushed", os.fstat(descriptor).st_size))
        flush(descriptor)

    def replace(old, new):
        done.append(("renamed", new.name))
        rename(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_file(path, b"data")
    assert done == [("flushed", 4), ("renamed", "a.txt")]


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
