"""Photos without a truth: what is read, what is drawn, and what is refused."""

import shutil

import numpy as np
import pytest
from PIL import Image

from nted_step.image import load_photo, to_uint8
from nted_step.output import LABEL_HEIGHT
from training import evaluate
from training.evaluation import photos

SIZE = (64, 44)


@pytest.fixture
def folder(tmp_path, photo_file, standing):
    """Two photos, of two formats, and two target poses."""
    folder = tmp_path / "people"
    (folder / "poses").mkdir(parents=True)
    Image.open(photo_file).save(folder / "anna.webp")
    Image.open(photo_file).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(folder / "bert.JPG")
    (folder / "anna.txt").write_text(standing.to_text(SIZE))
    coco = [value for x, y in standing.xy[[0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10]].tolist() for value in (x, y, 2)]
    (folder / "bert.json").write_text(f'{{"keypoints": {coco}, "width": 44, "height": 64}}')
    (folder / "poses" / "first.txt").write_text(standing.to_text(SIZE))
    raised = standing.xy.copy()
    raised[4] = (10, 4)
    (folder / "poses" / "second.txt").write_text(type(standing)(raised, standing.visible).to_text(SIZE))
    return folder


def test_photos_and_poses_are_read_by_name(folder, standing):
    anna, bert = photos.read_photos(folder, SIZE)
    assert (anna.name, bert.name) == ("anna", "bert") and anna.image.shape == bert.image.shape == (3, *SIZE)
    assert np.allclose(anna.pose.xy, standing.xy, atol=1e-4) and np.allclose(bert.pose.xy[4], standing.xy[4], atol=1e-4)
    targets = photos.read_targets(folder / "poses", SIZE)
    assert list(targets) == ["first", "second"] and np.allclose(targets["second"].xy[4], (10, 4), atol=1e-4)


def test_sheet_has_the_photo_and_every_pose_in_a_row(folder, tiny_weights, pipeline, tmp_path, capsys):
    out = tmp_path / "out"
    assert evaluate.main(["--weights", tiny_weights, "--photos", str(folder), "--output", str(out), "--device", "cpu"]) == 0
    assert capsys.readouterr().out.strip() == str(out / "photos.png") and [path.name for path in out.iterdir()] == ["photos.png"]
    sheet = np.array(Image.open(out / "photos.png"))
    row = SIZE[0] + LABEL_HEIGHT
    assert sheet.shape == (2 * row, 3 * SIZE[1], 3)
    cells = sheet.reshape(2, row, 3, SIZE[1], 3).transpose(0, 2, 1, 3, 4)  # photo, column
    assert (cells[:, :, :LABEL_HEIGHT] < 128).any(axis=(2, 3, 4)).all()  # each has a label
    pictures = cells[:, :, LABEL_HEIGHT:].astype(int)
    for name, (photo, *_) in zip(("anna.webp", "bert.JPG"), pictures, strict=True):
        assert np.array_equal(photo, to_uint8(load_photo(folder / name, SIZE).image))
    for number, name in enumerate(("anna.webp", "bert.JPG")):
        for column, pose in enumerate(photos.read_targets(folder / "poses", SIZE).values(), 1):
            *_, last = pipeline.generate(pipeline.encode(load_photo(folder / name, SIZE).image), pose, seed=0)
            assert np.abs(pictures[number, column] - to_uint8(last.image)).max() <= 1


def shorten(path):
    path.write_text("1 2\n" * 17)


def hide(path):
    path.write_text("-1 -1\n" * 18)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "people: no such folder"),
        (lambda folder: [path.unlink() for path in folder.glob("*.*")], "people: no photos"),
        (lambda folder: (folder / "bert.json").unlink(), "bert.JPG: the pose in it is missing; write it to bert.txt or bert.json"),
        (lambda folder: (folder / "anna.webp").write_bytes(b"RIFF"), "anna.webp: not a JPEG, PNG or WebP picture"),
        (lambda folder: shorten(folder / "anna.txt"), "anna.txt: expected 18 rows"),
        (lambda folder: hide(folder / "anna.txt"), "anna.txt: the pose shows no limb"),
        (lambda folder: shutil.rmtree(folder / "poses"), "poses: no such folder"),
        (lambda folder: [path.unlink() for path in (folder / "poses").iterdir()], "poses: no target poses"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_and_status_2(folder, tiny_weights, tmp_path, capsys, damage, message):
    damage(folder)
    assert evaluate.main(["--weights", tiny_weights, "--photos", str(folder), "--output", str(tmp_path / "out"), "--device", "cpu"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and message in lines[0] and not (tmp_path / "out").exists()


def test_the_sheet_does_not_go_among_the_photos(folder, tiny_weights, capsys):
    assert evaluate.main(["--weights", tiny_weights, "--photos", str(folder), "--output", str(folder), "--device", "cpu"]) == 2
    assert "choose another --output" in capsys.readouterr().err and not (folder / "photos.png").exists()
