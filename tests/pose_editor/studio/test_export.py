"""Files of a run, and the settings they carry."""

import io
import json
import zipfile

import av
import numpy as np
import pytest
import torch
from PIL import Image

from pose_editor import presets, run_bar
from pose_editor.studio import export

SETTINGS = {"seed": 7, "person": "a < b & c"}
IMAGES = [Image.effect_noise((176, 256), 60).convert("RGB") for _ in range(3)]
RUN = export.Run(IMAGES, ["start", "1", "2"], presets.standing((256, 176)), (10, 0, 166, 256), SETTINGS)


@pytest.mark.parametrize("kind", export.FILES)
def test_every_kind_opens_again(kind: str) -> None:
    name, mime, data = export.save(RUN, kind, 1)
    if kind == "mp4":
        with av.open(io.BytesIO(data)) as film:
            (stream,), count = film.streams, len(list(film.decode(video=0)))
            assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p", "what browsers play"
            assert count == 3 + export.REST_FRAMES and (stream.width, stream.height) == (176, 256)
            assert json.loads(film.metadata["comment"]).items() >= SETTINGS.items()
        return
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert Image.MIME[image.format] == mime and not image.getexif()
        assert image.size == {"result": (156, 256), "strip": (528, 274)}.get(kind, (176, 256))
        if mime == "image/png":
            assert json.loads(image.text[export.KEY]).items() >= SETTINGS.items()
        else:
            assert image.n_frames == 3 and b'"seed": 7' in data
    assert name == {"step": "step_01.png", "gif": "steps.gif", "webp": "steps.webp"}.get(kind, f"{kind}.png")


def test_everything_in_one() -> None:
    _, _, data = export.save(RUN, "zip", 0)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {
            "step_00.png",
            "step_02.png",
            "result.png",
            "strip.png",
            "steps.gif",
            "steps.webp",
            "steps.mp4",
            "pose.json",
            "run.json",
        } <= set(archive.namelist())
        assert json.loads(archive.read("run.json")) == SETTINGS


@pytest.mark.parametrize("kind", export.LARGE)
def test_more_pixels_than_the_canvas(kind: str) -> None:
    large = Image.effect_noise((704, 1024), 60).convert("RGB")
    mask = torch.zeros(1024, 704)
    mask[200:800, 200:500] = 1
    name, mime, data = export.large(RUN, kind, large, mask)
    with Image.open(io.BytesIO(data)) as image:
        assert name == export.LARGE[kind] and Image.MIME[image.format] == mime and json.loads(image.text[export.KEY]) == SETTINGS
        assert image.size == (624, 1024), "without the padding, as the small one"
        assert image.convert("RGB").tobytes() == large.crop((40, 0, 664, 1024)).tobytes()
        if kind == "cutout":
            assert np.array_equal(np.asarray(image.getchannel("A")) > 0, mask[:, 40:664].numpy() > 0)


def test_a_cut_out_needs_a_mask_and_a_large_result_does_not() -> None:
    large = Image.new("RGB", (704, 1024))
    assert export.large(RUN, "large", large, None)[0] == "result_large.png"
    with pytest.raises(ValueError, match=r"know the pose in the photo.*Joints fit"):
        export.large(RUN, "cutout", large, None)


@pytest.mark.parametrize("value", [None, [], {}, {"seed": -1}, {"seed": 1.5}, {"seed": True}, {"seed": "1"}, {"seed": float("nan")},
                                   {"seed": 2**32},
                                   {"seed": 0, "save": {"kind": "exe", "step": 1}}, {"seed": 0, "save": {"kind": "gif", "step": None}},
                                   {"seed": 0, "save": {"kind": "film-gif", "step": 1, "frames": 61}},
                                   {"seed": 0, "restore": {"person": 5}},
                                   {"seed": 0, "restore": {"person": "x", "joints": [], "step": 1}}])  # fmt: skip
def test_wrong_settings_are_refused(value: object) -> None:
    with pytest.raises(ValueError):
        run_bar.check(value)


@pytest.mark.parametrize("owners", [[], ["", "bob"], [1], "ann", [""] * 5000])
def test_the_mix_of_people_that_earlier_versions_kept_is_ignored(owners: object) -> None:
    kept = {"person": "ann", "photos": [], "joints": [[1, 2, True]] * 18}
    plain = run_bar.check({"seed": 0, "restore": kept})
    assert run_bar.check({"seed": 0, "restore": kept | {"owners": owners}}) == plain and plain["restore"].keys() == kept.keys()


def test_the_photos_pose_is_kept_or_is_not_known() -> None:
    def checked(pose: object, count: int = 1) -> list:
        photos = [{"name": "@1", "photo": "data:,", "fit": "auto", "pose": pose}] * count
        kept = {"person": "@1", "photos": photos, "joints": [[1, 2, True]] * 18}
        return [photo["pose"] for photo in run_bar.check({"seed": 0, "restore": kept})["restore"]["photos"]]

    joints = [[k, 2 * k, k % 2] for k in range(18)]
    assert checked(None) == [None] and checked(joints, 2) == [joints] * 2
    with pytest.raises(ValueError, match="cannot be read"):
        checked(None, run_bar.MAX_PHOTOS + 1)
    for wrong in ([], joints[1:], [[1, 2]] * 18, [[float("nan"), 2, 1]] * 18, "standing", {"joints": joints}, 5):
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            checked(wrong)


def test_the_largest_seed_is_a_seed() -> None:
    assert run_bar.check({"seed": 2**32 - 1}) == {"seed": 2**32 - 1}
