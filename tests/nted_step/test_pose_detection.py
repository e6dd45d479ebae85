"""MoveNet against the published runtime, and what is made of its keypoints."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from nted_step.bundled import EXAMPLES, POSE_WEIGHTS
from nted_step.image import load_photo, to_tensor
from nted_step.movenet import KEYPOINTS, SIDE, MoveNet, SameConv2d
from nted_step.pose import JOINTS, load_pose_text
from nted_step.pose_detection import (
    FRONT_SCORE,
    LEAST_SCORE,
    LIMB_SCORE,
    SIDE_SCORE,
    PoseDetector,
    cut_square,
    found_in,
    load_network,
    person_square,
    visible_keypoints,
    whole_square,
)
from nted_step.weights import WeightsError

PUBLISHED = json.loads((Path(__file__).parents[1] / "data" / "movenet.json").read_text())["keypoints"]
SIZE = (256, 176)
NOSE, LEFT_EAR = KEYPOINTS.index("nose"), KEYPOINTS.index("left ear")
LEFT_SHOULDER, LEFT_WRIST = KEYPOINTS.index("left shoulder"), KEYPOINTS.index("left wrist")
RIGHT_SHOULDER = KEYPOINTS.index("right shoulder")


@pytest.fixture(scope="module")
def detector() -> PoseDetector:
    return PoseDetector.from_pretrained()


def person(score: float = 0.9) -> np.ndarray:
    """17 x 3: somebody who stands on the 256x176 canvas."""
    xy = {
        "nose": (88, 24), "eye": (4, 20), "ear": (8, 22), "shoulder": (20, 50), "elbow": (28, 80), "wrist": (32, 110),
        "hip": (12, 120), "knee": (13, 170), "ankle": (14, 230),
    }  # fmt: skip
    rows = []
    for name in KEYPOINTS:
        side, _, part = name.rpartition(" ")
        x, y = xy[part]
        rows.append([x if not side else 88 + (x if side == "left" else -x), y, score])
    return np.array(rows, np.float32)


# -- the network ----------------------------------------------------------------------------------------------------------


def test_agrees_with_the_published_runtime(detector: PoseDetector) -> None:
    """TensorFlow.js on the original files; both compute in 32 bits with the same 16-bit weights, so 1e-4 is much."""
    black = np.zeros((len(PUBLISHED), SIDE, SIDE, 3), np.uint8)
    for square, name in zip(black, PUBLISHED, strict=True):
        square[:, 40:216] = np.asarray(Image.open(EXAMPLES / name).convert("RGB"))
    with torch.inference_mode():
        ours = detector.network(torch.from_numpy(black).permute(0, 3, 1, 2).float()).numpy()
    theirs = np.array(list(PUBLISHED.values()))
    assert theirs.shape == (6, 17, 3)
    assert ours[..., [1, 0, 2]] == pytest.approx(theirs, abs=1e-4)


def test_a_batch_is_each_photo_alone(detector: PoseDetector) -> None:
    photos = torch.stack([load_photo(EXAMPLES / f"{name}.png").image for name in ("brown-coat", "green-dress")])
    together = detector.whole(photos)
    assert together.shape == (2, 17, 3)
    assert np.concatenate([detector.whole(photo[None]) for photo in photos]) == pytest.approx(together, abs=1e-3)


@pytest.mark.parametrize("side", (7, 8))
def test_same_padding_is_tensorflows(side: int) -> None:
    """An even side at stride 2 is padded after its last pixel alone, an odd one at both ends."""
    conv = SameConv2d(1, 1, 3, stride=2)
    x = torch.randn(1, 1, side, side)
    padded = F.pad(x, (0, 1, 0, 1) if side == 8 else (1, 1, 1, 1))
    assert torch.equal(conv(x), F.conv2d(padded, conv.weight, conv.bias, stride=2)) and conv(x).shape[-1] == 4


def test_decoding_by_hand() -> None:
    """The centre nearest to the middle wins, then of each joint the place nearest to its guess; the score is the heatmap's own."""
    maps = {
        "center": torch.full((1, 1, 64, 64), -9.0), "heatmap": torch.full((1, 17, 64, 64), -9.0),
        "regress": torch.zeros(1, 34, 64, 64), "offset": torch.zeros(1, 34, 64, 64),
    }  # fmt: skip
    maps["center"][0, 0, 5, 5] = maps["center"][0, 0, 30, 40] = 2.0
    maps["regress"][0, 2 * NOSE : 2 * NOSE + 2, 30, 40] = torch.tensor([-10.0, 4.0])  # y, x
    maps["heatmap"][0, NOSE, 21, 43] = 1.0
    maps["heatmap"][0, NOSE, 60, 10] = 1.5
    maps["offset"][0, 2 * NOSE : 2 * NOSE + 2, 21, 43] = torch.tensor([0.25, -0.5])
    x, y, score = MoveNet().decode(maps)[0, NOSE].tolist()
    assert (x, y) == (42.5 / 64, 21.25 / 64) and score == pytest.approx(1 / (1 + np.exp(-1)))


# -- what is made of keypoints ---------------------------------------------------------------------------------------------


def test_joints_and_thresholds() -> None:
    points = person()
    points[LEFT_WRIST, 2] = LIMB_SCORE - 0.01
    points[NOSE, 2] = FRONT_SCORE - 0.01
    found = found_in(points, (512, 352), SIZE)
    assert {JOINTS[k] for k in np.flatnonzero(~found.pose.visible)} == {"nose", "left wrist"}
    assert found.pose.xy[JOINTS.index("right ankle")] == pytest.approx([74 / 2, 230 / 2])
    assert found.pose.xy[JOINTS.index("left ankle")] == pytest.approx([102 / 2, 230 / 2])
    assert found.pose.xy[JOINTS.index("neck")] == pytest.approx([88 / 2, 50 / 2])
    assert found.score == pytest.approx(0.9) and found.scores[JOINTS.index("left wrist")] == pytest.approx(LIMB_SCORE - 0.01)


def test_ears_alone_are_the_back_of_a_head() -> None:
    points = person()
    points[:3, 2] = FRONT_SCORE - 0.01
    points[LEFT_EAR, 2] = 0.8
    assert not visible_keypoints(points, SIZE)[:5].any() and visible_keypoints(points, SIZE)[5:].all()
    points[NOSE, 2] = FRONT_SCORE
    assert visible_keypoints(points, SIZE)[[NOSE, LEFT_EAR]].all()


def test_a_person_seen_from_behind_has_no_face_whatever_it_scores() -> None:
    points = person()
    points[:5, 2] = 0.78
    assert visible_keypoints(points, SIZE)[:5].all()
    points[[LEFT_SHOULDER, RIGHT_SHOULDER]] = points[[RIGHT_SHOULDER, LEFT_SHOULDER]]
    assert not visible_keypoints(points, SIZE)[:5].any() and visible_keypoints(points, SIZE)[5:].all()
    points[[LEFT_SHOULDER, RIGHT_SHOULDER], 0] = 88  # from the side
    points[NOSE, 2], points[1:3, 2] = SIDE_SCORE, SIDE_SCORE - 0.01
    assert visible_keypoints(points, SIZE)[:3].tolist() == [True, False, False]


def test_no_neck_without_both_shoulders() -> None:
    points = person()
    points[LEFT_SHOULDER, 2] = 0.1
    found = found_in(points, SIZE, SIZE)
    assert not found.pose.visible[1] and found.scores[1] == pytest.approx(0.1)


def test_a_joint_outside_is_hidden_and_one_on_the_edge_lies_on_it() -> None:
    points = person()
    points[LEFT_WRIST, 0], points[KEYPOINTS.index("right ankle"), 1] = 190, 258
    found = found_in(points, SIZE, SIZE)
    assert not found.pose.visible[JOINTS.index("left wrist")]
    assert found.pose.xy[JOINTS.index("right ankle"), 1] == 256
    assert visible_keypoints(points[None], SIZE).shape == (1, 17)


def test_too_little_of_somebody_is_nobody() -> None:
    assert found_in(person(LEAST_SCORE - 0.01), SIZE, SIZE) is None
    points = person()
    points[8:, 2] = 0.1  # three limb joints are left
    assert found_in(points, SIZE, SIZE) is None


def test_the_second_look() -> None:
    assert whole_square(256, 176) == (-40, 0, 256)
    points = person()
    assert person_square(points, *SIZE) is None, "the person fills the photo"
    points[:, :2] += [300, 100]
    left, top, side = person_square(points, 400, 700)
    assert (left + side / 2, top + side / 2) == pytest.approx((388, 220), abs=1.5) and side == pytest.approx(2 * 1.9 * 70, abs=2)
    points[11:13, 2] = 0
    assert person_square(points, 400, 700) is None, "no hip, no torso"


def test_a_square_beyond_the_photo_is_black_there() -> None:
    photo = torch.full((1, 3, 256, 176), 0.5)
    square = cut_square(photo, whole_square(*SIZE))
    assert square.shape == (1, 3, 256, 256) and square[..., :40].max() == square[..., 216:].max() == 0
    assert square[..., 40:216].min() == square[..., 40:216].max() == 191
    assert cut_square(photo, (-300, -300, 700)).shape == (1, 3, 256, 256)


# -- photos ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ("brown-coat", "striped-jumper"))
def test_examples(detector: PoseDetector, name: str) -> None:
    true = load_pose_text(EXAMPLES / f"{name}.txt")
    found = detector.find(load_photo(EXAMPLES / f"{name}.png").image)
    both = found.pose.visible & true.visible
    away = np.linalg.norm(found.pose.xy - true.xy, axis=1)[both]
    assert both[2:14].sum() >= 11 and np.median(away) < 4 and (away < 10).mean() > 0.9
    assert found.score > 0.6


def test_a_small_person_is_looked_at_twice(detector: PoseDetector) -> None:
    true = load_pose_text(EXAMPLES / "green-dress.txt")
    room = torch.full((3, 384, 512), 0.9)
    room[:, 100:356, 280:456] = to_tensor(Image.open(EXAMPLES / "green-dress.png"))
    found = detector.find(room)
    both = found.pose.visible & true.visible
    assert np.median(np.linalg.norm(found.pose.xy - true.xy - [280, 100], axis=1)[both]) < 4


def test_nobody_in_pictures_without_people(detector: PoseDetector) -> None:
    noise = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    stripes = torch.linspace(0, 90, 176).sin().expand(3, *SIZE)
    for photo in (torch.ones(3, *SIZE), torch.zeros(3, *SIZE), noise, stripes):
        assert detector.find(photo) is None


def test_half_a_person(detector: PoseDetector) -> None:
    """What the photo cuts off stays hidden."""
    photo = load_photo(EXAMPLES / "brown-coat.png").image[:, :120]
    found = detector.find(photo)
    assert found is not None and not found.pose.visible[[9, 10, 12, 13]].any()


ROWS = {
    "alone": [("denim-jacket", 450, 0, 800)],
    "two": [("denim-jacket", 50, 0, 800), ("navy-top", 640, 0, 800)],
    "three": [("denim-jacket", 0, 200, 600), ("navy-top", 400, 200, 600), ("grey-t-shirt", 800, 200, 600)],
    "four": [(name, 300 * k, 380, 420) for k, name in enumerate(("denim-jacket", "navy-top", "grey-t-shirt", "long-hair"))],
    "near and far": [("long-hair", 50, 0, 800), ("navy-top", 800, 400, 400)],
}  # name, left, top and height of example photographs in a picture of 1200x800


def row_of_people(people: list[tuple[str, int, int, int]]) -> Image.Image:
    picture = Image.new("RGB", (1200, 800), (205, 214, 222))
    for name, left, top, height in people:
        photo = Image.open(EXAMPLES / f"{name}.jpg")
        picture.paste(photo.resize((round(photo.width * height / photo.height), height)), (left, top))
    return picture


@pytest.mark.parametrize("row", ROWS)
def test_everybody_in_a_row_is_found_once_and_where_they_are(detector: PoseDetector, row: str) -> None:
    found = detector.find_all(to_tensor(row_of_people(ROWS[row])))
    assert len(found) == len(ROWS[row])
    for person, (name, left, top, height) in zip(found, ROWS[row], strict=True):  # from left to right
        true = load_pose_text(EXAMPLES / f"{name}.txt")
        both = person.pose.visible & true.visible
        away = np.linalg.norm(person.pose.xy - true.xy * (height / SIZE[0]) - [left, top], axis=1)[both]
        assert both.sum() >= 12 and np.median(away) < 0.015 * height


def test_everybody_on_a_canvas(detector: PoseDetector) -> None:
    photo = to_tensor(row_of_people(ROWS["two"]))
    large, small = detector.find_all(photo), detector.find_all(photo, (200, 300))
    assert [np.abs(a.pose.xy / 4 - b.pose.xy)[a.pose.visible].max() < 0.01 for a, b in zip(large, small, strict=True)] == [True, True]


def test_nobody_at_all(detector: PoseDetector) -> None:
    assert detector.find_all(torch.ones(3, *SIZE)) == []


# -- weights ---------------------------------------------------------------------------------------------------------------


def test_wrong_weights_are_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "pose"
    shutil.copytree(POSE_WEIGHTS, folder)
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsError, match="SHA-256"):
        load_network(folder)
    (folder / "config.json").write_text('{"network": "another"}')
    shutil.copy(POSE_WEIGHTS / "model.safetensors", folder)
    with pytest.raises(WeightsError, match="not the weights of movenet"):
        load_network(folder)
    with pytest.raises(WeightsError, match="No such file"):
        load_network(tmp_path / "nothing")
