"""Mixes that name nobody on the page, and archives: what they are called, how large they get, where they unpack to."""

import base64
import io
import zipfile
from pathlib import PurePosixPath

import pytest

from pose_editor import formats
from tests.faults.conftest import photo
from tests.running import Refused

MOST_BYTES = 20 * 2**20  # of an archive unpacked


@pytest.mark.parametrize(
    "owners",
    [None, "ann", {}, [], [""] * 3, [""] * 5, ["", "", "", "nobody"], ["", "", "", 5], ["", "", "", None], ["", "", "", ["striped-dress"]],
     ["../" * 9, "", "", ""], ["__class__", "", "", ""], ["x" * 100_000, "", "", ""], [{"a": 1}, "", "", ""], [""] * 100_000],
)  # fmt: skip
def test_mixes_of_nobody_are_refused(visitor, standing, works, owners):
    for mix in ({"owners": owners}, owners):
        with pytest.raises(Refused) as refused:
            visitor.call("render", visitor.value(standing), "striped-dress", None, {"seed": 0}, mix)
        assert len(str(refused.value)) < 200
    works()


def test_the_own_photo_in_a_mix_without_one(visitor, standing, works):
    with pytest.raises(Refused, match="choose it again"):
        visitor.release(standing, "striped-dress", owners=["@own", "", "", ""])
    works()


def test_a_mix_out_of_a_link_is_checked_as_well(visitor, standing):
    joints = formats.to_value(standing)["joints"]
    for owners in (["nobody"] * 4, ["@own"] * 4, [""] * 3, ["striped-dress"] * 900):
        kept = {"person": "striped-dress", "photo": None, "joints": joints, "step": 1, "owners": owners}
        assert "cannot be read" in visitor.call("restore", {"seed": 0, "restore": kept}, None)[2]
    for person in ("nobody", "../striped-dress", "__class__"):
        kept = {"person": person, "photo": None, "joints": joints, "step": 1}
        assert "cannot be read" in visitor.call("restore", {"seed": 0, "restore": kept}, None)[2]


@pytest.mark.parametrize("name", ["../../etc/cron.d/x.png", "a\\..\\b.png", "nul\0.png", "x" * 200 + ".png", "<script>.png"])
def test_an_archive_unpacks_into_its_own_folder(visitor, standing, name):
    visitor.give(photo(7), name)
    visitor.release(standing)
    answer = visitor.call("save", visitor.value(standing), None, None, {"seed": 0, "save": {"kind": "zip", "step": 0}})[0]
    assert answer["name"] == "nted-step.zip"
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(answer["url"].partition(",")[2]))) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert len(names) == len(set(names)) == 4 + 1 + 7
        for each in archive.infolist():
            path = PurePosixPath(each.filename)
            assert len(path.parts) == 1 and ".." not in path.parts and "\\" not in each.filename and path.suffix in (".png", ".gif", ".webp", ".mp4", ".json")
        assert sum(each.file_size for each in archive.infolist()) < MOST_BYTES


@pytest.mark.parametrize("save", [{"kind": "../zip", "step": 0}, {"kind": "zip", "step": "../1"}, {"kind": "zip", "step": -1}, {"kind": ["zip"], "step": 0},
                                  {"kind": "film-gif", "step": 0, "frames": 10**9}, {"kind": "zip"}, "zip", ["zip"]])  # fmt: skip
def test_what_cannot_be_saved_is_refused(visitor, standing, works, save):
    with pytest.raises(Refused):
        visitor.call("save", visitor.value(standing), "striped-dress", None, {"seed": 0, "save": save})
    works()


@pytest.mark.parametrize("frames", [-1, 0, 1, 61, 10**9, None, "12"])
def test_films_for_programs_are_bounded(visitor, joints, works, frames):
    with pytest.raises(Refused):
        visitor.call("tween", visitor.upload(photo()), joints, joints, frames, 0, "gif")
    works()
