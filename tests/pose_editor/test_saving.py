"""Files of a run, and the settings they carry."""

import io
import json
import zipfile

import pytest
from PIL import Image

from pose_editor import presets, runbar, saving

SETTINGS = {"seed": 7, "person": "a < b & c"}
IMAGES = [Image.effect_noise((176, 256), 60).convert("RGB") for _ in range(3)]
RUN = saving.Run(IMAGES, ["start", "1", "2"], presets.standing((256, 176)), (10, 0, 166, 256), SETTINGS)


def boxes(data: bytes) -> set[bytes]:
    """The names of the boxes that an MP4 is made of, which must fill it to its last byte."""
    found, at = set(), 0
    while at < len(data):
        found.add(data[at + 4 : at + 8])
        at += int.from_bytes(data[at : at + 4], "big")
    assert at == len(data)
    return found


@pytest.mark.parametrize("kind", saving.FILES)
def test_every_kind_opens_again(kind: str) -> None:
    name, mime, data = saving.save(RUN, kind, 1)
    if kind == "mp4":
        assert data[4:8] == b"ftyp" and boxes(data) >= {b"mdat", b"moov", b"uuid"} and b'"seed": 7' in data and b"a &lt; b &amp; c" in data
        return
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert Image.MIME[image.format] == mime and not image.getexif()
        assert image.size == {"result": (156, 256), "strip": (528, 274)}.get(kind, (176, 256))
        if mime == "image/png":
            assert json.loads(image.text[saving.KEY]).items() >= SETTINGS.items()
        else:
            assert image.n_frames == 3 and b'"seed": 7' in data
    assert name == {"step": "step_01.png", "gif": "steps.gif", "webp": "steps.webp"}.get(kind, f"{kind}.png")


def test_everything_in_one() -> None:
    _, _, data = saving.save(RUN, "zip", 0)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {"step_00.png", "step_02.png", "result.png", "strip.png", "steps.gif", "steps.webp", "steps.mp4", "pose.json", "run.json"} <= set(archive.namelist())
        assert json.loads(archive.read("run.json")) == SETTINGS


@pytest.mark.parametrize("value", [None, [], {}, {"seed": -1}, {"seed": 1.5}, {"seed": True}, {"seed": "1"}, {"seed": float("nan")}, {"seed": 2**32},
                                   {"seed": 0, "save": {"kind": "exe", "step": 1}}, {"seed": 0, "save": {"kind": "gif", "step": None}},
                                   {"seed": 0, "save": {"kind": "film-gif", "step": 1, "frames": 61}},
                                   {"seed": 0, "restore": {"person": 5}}, {"seed": 0, "restore": {"person": "x", "joints": [], "step": 1}}])  # fmt: skip
def test_wrong_settings_are_refused(value: object) -> None:
    with pytest.raises(ValueError):
        runbar.check(value)


@pytest.mark.parametrize("owners", [[], ["", "bob"], [1], "ann", [""] * 5000])
def test_the_mix_of_people_that_earlier_versions_kept_is_ignored(owners: object) -> None:
    kept = {"person": "ann", "photo": None, "joints": [[1, 2, True]] * 18, "step": 3}
    plain = runbar.check({"seed": 0, "restore": kept})
    assert runbar.check({"seed": 0, "restore": kept | {"owners": owners}}) == plain and plain["restore"].keys() == kept.keys()


def test_the_largest_seed_is_a_seed() -> None:
    assert runbar.check({"seed": 2**32 - 1}) == {"seed": 2**32 - 1}
