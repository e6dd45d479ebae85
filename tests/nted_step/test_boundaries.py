"""Files in and out: photos, poses, weights, checkpoints, and the command line. What is refused is in tests/faults, too."""

import json
import math
import re

import numpy as np
import pytest
import torch
from PIL import Image

from nted_step.__main__ import main
from nted_step.bundled import EXAMPLES
from nted_step.convert import convert
from nted_step.generator import Generator
from nted_step.image import fit_box, load_photo, to_pil, to_tensor
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose, PoseError, load_pose_text, skeleton_map
from nted_step.weights import WeightsError, load_weights, save_weights


def picture(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8))


# -- photos ----------------------------------------------------------------------------------------------------------


def test_photos_are_fitted_never_stretched():
    assert fit_box((256, 256), (256, 176)) == (40, 0, 216, 256)  # too wide: the sides go
    x0, y0, x1, y1 = fit_box((256, 100), (256, 176))  # too narrow: white sides, feet stay
    assert (y0, y1) == (0, 256) and x0 == -38 and x1 == 138
    for fit in ("auto", "crop", "pad"):
        for size in ((300, 100), (100, 300), (256, 176)):
            x0, y0, x1, y1 = fit_box(size, (256, 176), fit)
            assert math.isclose((x1 - x0) / (y1 - y0), 176 / 256)


def test_a_narrow_photo_is_padded_with_white(tmp_path):
    path = tmp_path / "narrow.png"
    Image.new("RGB", (50, 256), (200, 0, 0)).save(path)
    photo = load_photo(path)
    assert photo.image.shape == (3, 256, 176)
    assert photo.image[:, 100, 5].tolist() == [1, 1, 1]
    left, top, right, bottom = photo.content()
    cut = photo.image[:, top:bottom, left:right]
    assert cut.shape == (3, 256, 50) and (cut[1] == -1).all()


def test_pixels_survive_the_way_in_and_out():
    image = picture(176, 256)
    assert np.array_equal(np.asarray(to_pil(to_tensor(image))), np.asarray(image))
    assert to_pil(torch.full((3, 2, 2), 7.0)).getpixel((0, 0)) == (255, 255, 255)  # clamped, never wrapped


# -- poses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text,message",
    [
        ("1 2\n" * 17, "18 rows"),
        ("1 2\n" * 19, "18 rows"),
        ("1 2\n" * 17 + "nan 2\n", "finite"),
        ("1 b\n" * 18, "two numbers"),
        ("1\n" * 18, "two numbers"),
    ],
)
def test_bad_pose_files_are_named(tmp_path, text, message):
    path = tmp_path / "pose.txt"
    path.write_text(text)
    with pytest.raises(PoseError, match=message) as error:
        load_pose_text(path)
    assert "pose.txt" in str(error.value)


def test_pose_text_counts_x_on_the_padded_frame(standing):
    pose = Pose.from_text("40 0\n" + "-1 -1\n" * 16 + "128 128\n", (512, 352))
    assert pose.xy[0].tolist() == [0, 0] and pose.xy[17].tolist() == [176, 256]
    assert pose.visible.sum() == 2
    assert Pose.from_text(standing.to_text((64, 44)), (64, 44)) == standing


def test_a_missing_joint_leaves_its_limbs_blank(standing):
    visible = standing.visible.copy()
    visible[4] = False
    full, without = skeleton_map(standing, (64, 44)), skeleton_map(Pose(standing.xy, visible), (64, 44))
    assert (without[3 + 3] == 1).all() and not (full[3 + 3] == 1).all()
    assert torch.equal(full[3 + 5], without[3 + 5])


# -- weights ---------------------------------------------------------------------------------------------------------


def test_weights_survive_the_disk(tmp_path, tiny_generator):
    save_weights(tmp_path, tiny_generator, {"summary": "s"}, torch.float32)
    weights = load_weights(tmp_path)
    for key, value in weights.build().state_dict().items():
        assert torch.equal(value, tiny_generator.state_dict()[key])
    assert NTEDStepPipeline.from_pretrained(tmp_path, device="cpu").description.startswith(str(tmp_path))


# -- research checkpoints ----------------------------------------------------------------------------------------------


def test_step_checkpoint_converts_to_the_same_model(tmp_path, tiny_generator):
    torch.save({"net_G": {f"module.{k}": v for k, v in tiny_generator.state_dict().items()}}, tmp_path / "c.pt")
    weights = load_weights(convert("nted_step", tmp_path / "c.pt", tmp_path / "out"))
    assert weights.config.channels == tiny_generator.config.channels
    assert weights.config.labels == tiny_generator.config.labels
    assert all(torch.equal(v, tiny_generator.state_dict()[k]) for k, v in weights.state.items())


def test_one_step_checkpoint_keeps_its_answer_at_every_step(tmp_path, tiny_config, standing):
    """A 20-channel generator and its converted step model agree, whatever x_t and t are."""
    torch.manual_seed(0)
    from nted_step.generator import PixelConv

    original = Generator(tiny_config).eval()
    original.skeleton_encoder.first = PixelConv(20, tiny_config.channels[64])
    original.time_scale = 0.0
    torch.save({"net_G_ema": original.state_dict()}, tmp_path / "c.pt")
    converted = load_weights(convert("nted", tmp_path / "c.pt", tmp_path / "out")).build()
    source, skeleton = torch.rand(1, 3, 64, 44) * 2 - 1, skeleton_map(standing, (64, 44))[None]
    with torch.no_grad():
        features = (original.skeleton_encoder(skeleton)[-1],)
        expected = original.render(features, original.encode_reference(source, torch.tensor([0]))).image
        for t in (0, 3):
            image = converted(source, torch.randn(1, 3, 64, 44), skeleton, torch.tensor([t]))[0].image
            assert torch.allclose(image, expected, atol=1e-5)


def test_prefixes_of_wrappers_are_left_out(tmp_path, tiny_generator):
    state = {f"module._orig_mod.{key}": value for key, value in tiny_generator.state_dict().items()}
    torch.save({"net_G_ema": state}, tmp_path / "c.pt")
    assert set(load_weights(convert("nted_step", tmp_path / "c.pt", tmp_path / "out")).state) == set(tiny_generator.state_dict())


@pytest.mark.parametrize(
    "change, says",
    [
        ({"target_image_renderer.convs.1000000.conv0.conv.weight": torch.zeros(1)}, "does not belong to this model"),
        ({"target_image_renderer.convs.999.conv0.conv.weight": torch.zeros(1)}, "1000 levels; a model has 9 at most"),
        ({7: torch.zeros(1)}, "a tensor is named 7"),
        ({"skeleton_encoder.first.conv.weight": torch.zeros(2, 23, 1, 1, dtype=torch.complex64)}, "is of type complex64"),
        ({"skeleton_encoder.first.conv.weight": torch.zeros(2, 23, 1, 1).to(torch.float8_e4m3fn)}, "is of type float8_e4m3fn"),
        ({"skeleton_encoder.first.conv.weight": torch.zeros(2, 20, 1, 1)}, "reads 20 channels, so this is not nted_step; use --from nted"),
    ],
)
def test_what_no_generator_has_is_one_line(tmp_path, tiny_generator, change, says):
    torch.save({"net_G": tiny_generator.state_dict() | change}, tmp_path / "c.pt")
    with pytest.raises(WeightsError, match=re.escape(says)) as refused:
        convert("nted_step", tmp_path / "c.pt", tmp_path / "out")
    assert "c.pt" in str(refused.value) and "\n" not in str(refused.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "start, says",
    [
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    ],
)
def test_what_was_fetched_in_place_of_a_checkpoint_is_named(tmp_path, start, says):
    (tmp_path / "c.pt").write_bytes(start)
    with pytest.raises(WeightsError, match=says):
        convert("nted", tmp_path / "c.pt", tmp_path / "out")


# -- command line --------------------------------------------------------------------------------------------------------


@pytest.fixture
def pose_file(tmp_path, standing):
    path = tmp_path / "pose.txt"
    path.write_text(standing.to_text((64, 44)))
    return path


def test_generate_writes_every_step(tmp_path, tiny_weights, photo_file, pose_file):
    out = tmp_path / "out"
    arguments = ["generate", "--source", photo_file, "--pose", pose_file, "--output", out, "--weights", tiny_weights, "--seed", "7"]
    assert main([str(a) for a in arguments]) == 0
    names = {path.name for path in out.iterdir()}
    assert names == {f"step_{k:02d}.png" for k in range(5)} | {"result.png", "strip.png", "steps.gif", "run.json"}
    run = json.loads((out / "run.json").read_text())
    assert run["seed"] == 7 and len(run["seconds_per_step"]) == 4 and len(run["pose"]) == 18
    assert (out / "result.png").read_bytes() == (out / "step_04.png").read_bytes()
    assert Image.open(out / "strip.png").width == 5 * 44
    assert Image.open(out / "steps.gif").n_frames > 1


def test_generate_finds_the_pose_in_the_photo(tmp_path, tiny_weights, photo_file, pose_file, capsys):
    """Given, found, switched off, and nobody there; run.json and a line say which."""

    def run(photo, *options):
        out = tmp_path / "out"
        arguments = ["generate", "--source", photo, "--pose", pose_file, "--output", out, "--weights", tiny_weights, "--steps", "1"]
        assert main([str(each) for each in (*arguments, *options)]) == 0
        return json.loads((out / "run.json").read_text())["source_pose"], capsys.readouterr().err

    example = EXAMPLES / "green-dress.png"
    found, says = run(example)
    true = load_pose_text(EXAMPLES / "green-dress.txt", (64, 44))
    away = [np.hypot(*(xy - np.array(joint))) for joint, xy in zip(found["joints"], true.xy, strict=True) if joint]
    assert found["from"] == "detected in the photo" and 0.5 < found["score"] < 1 and len(away) >= 16 and np.median(away) < 1
    assert "source pose: detected in the photo\n" in says
    given, says = run(example, "--source-pose", EXAMPLES / "green-dress.txt")
    assert given["from"] == "green-dress.txt" and "score" not in given and "source pose:" not in says
    none, says = run(example, "--source-pose", "none")
    assert none is None and "source pose:" not in says
    nobody, says = run(photo_file)
    assert nobody is None and "source pose: nobody was found in the photo, so none of its own pixels are carried\n" in says


def test_generate_reads_openpose_json(tmp_path, tiny_weights, photo_file, standing):
    from nted_step.pose_formats import to_openpose

    path, out = tmp_path / "pose.json", tmp_path / "out"
    path.write_text(json.dumps(to_openpose(standing, (64, 44))))
    assert (
        main(
            ["generate", "--source", str(photo_file), "--pose", str(path), "--output", str(out), "--weights", tiny_weights, "--steps", "1"]
        )
        == 0
    )
    assert sorted(p.name for p in out.glob("step_*.png")) == ["step_00.png", "step_01.png"]


@pytest.mark.parametrize(
    "change,message",
    [
        ({"--source": "nothing.png"}, "nothing.png: No such file"),
        ({"--source": "{pose}"}, "not a JPEG"),
        ({"--pose": "{photo}"}, "photo.png"),
        ({"--weights": "/nowhere"}, "/nowhere"),
        ({"--device": "tpu"}, "unknown device 'tpu'"),
        ({"--steps": "99"}, "0..4"),
    ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, tiny_weights, photo_file, pose_file, capsys, change, message):
    out = tmp_path / "out"
    arguments = {"--source": str(photo_file), "--pose": str(pose_file), "--output": str(out), "--weights": tiny_weights}
    change = {key: value.format(pose=pose_file, photo=photo_file) for key, value in change.items()}
    assert main(["generate", *(part for pair in (arguments | change).items() for part in pair)]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and message in errors[0]
    assert not out.exists()


def test_info(tiny_weights, capsys):
    assert main(["info", "--weights", tiny_weights]) == 0
    assert "64x44, 4 steps" in capsys.readouterr().out
