"""Links to nobody on the page and links of earlier versions; archives: what they are called, how large they get, where they unpack to."""

import base64
import io
import zipfile
from pathlib import PurePosixPath

import pytest

from pose_editor import formats
from tests.faults.conftest import photo
from tests.running import Refused

MOST_BYTES = 20 * 2**20  # of an archive unpacked


def test_a_link_to_nobody_is_refused(visitor, standing):
    joints = formats.to_value(standing)["joints"]
    for person in ("nobody", "../striped-dress", "__class__"):
        kept = {"person": person, "photos": [], "joints": joints}
        assert "cannot be read" in visitor.call("restore", {"seed": 0, "restore": kept}, None)[2]


@pytest.mark.parametrize(
    "owners", [["", "striped-dress", "", ""], ["@own"] * 4, ["nobody"] * 4, [""] * 3, ["x" * 100_000], "ann", {"a": 1}, None]
)
def test_a_mix_of_people_in_an_old_link_is_ignored(visitor, standing, owners):
    """Links and browsers of earlier versions name a person for each step."""
    kept = {"person": "striped-dress", "photos": [], "joints": formats.to_value(standing)["joints"]}
    plain = visitor.call("restore", {"seed": 3, "restore": kept}, None)
    old = visitor.call("restore", {"seed": 3, "restore": kept | {"owners": owners}}, None)
    assert old[3]["frames"] == plain[3]["frames"] and len(old[3]["frames"]) == 5


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
            assert (
                len(path.parts) == 1
                and ".." not in path.parts
                and "\\" not in each.filename
                and path.suffix in (".png", ".gif", ".webp", ".mp4", ".json")
            )
        assert sum(each.file_size for each in archive.infolist()) < MOST_BYTES


@pytest.mark.parametrize("save", [{"kind": "../zip", "step": 0}, {"kind": "zip", "step": "../1"}, {"kind": "zip", "step": -1},
                                  {"kind": ["zip"], "step": 0},
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
