"""The figure renderer: exact, repeatable, and annotated truthfully."""

import json

import cv2
import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from nted_step.classes import CLASSES, FACE, LABEL_COUNT, LABELS
from nted_step.pose import BASE_SIZE, FRAME_OFFSET
from training.figures import TEST_SEED, named_poses, render_people
from training.figures.__main__ import main, seeds
from training.figures.dataset import image_name, pose_text, write_dataset
from training.figures.person import sample_person, with_garments
from training.figures.poses import base_pose, rotations
from training.figures.views import pose_of
from training.figures.workers import render_groups

SMALL = (128, 88)


@pytest.fixture(scope="module")
def crowd():
    return render_people(range(60), [1], SMALL)


def _same(a, b, rows_a, rows_b):
    for name in ("image", "joints", "visible", "class_map", "instance_map", "face_box"):
        assert torch.equal(getattr(a, name)[rows_a], getattr(b, name)[rows_b]), name


def test_repeatable_and_independent_of_the_batch():
    together = render_people([3, 8, 21], 3, SMALL)
    alone = render_people([8], [2, 0], SMALL)
    _same(together, alone, [5, 3], [0, 1])
    assert together.person_seed.tolist() == [3] * 3 + [8] * 3 + [21] * 3
    assert together.pose_index.tolist() == [0, 1, 2] * 3
    assert not torch.equal(together.image[0], together.image[1])


def test_types_and_shapes():
    figures = render_people([5], 2, (64, 44))
    assert figures.image.dtype == torch.uint8 and figures.image.shape == (2, 3, 64, 44)
    assert figures.joints.shape == (2, 18, 2) and figures.visible.dtype == torch.bool
    assert figures.class_map.dtype == figures.instance_map.dtype == torch.uint8 and figures.class_map.max() < LABEL_COUNT
    assert torch.equal(figures.class_map > 0, figures.instance_map > 0)


def test_all_classes_occur(crowd):
    seen = set(torch.unique(crowd.class_map).tolist())
    assert seen == set(range(LABEL_COUNT)), [name for name, label in LABELS.items() if label not in seen]


def test_people_fill_the_canvas_and_differ(crowd):
    covered = (crowd.class_map > 0).float().mean((1, 2))
    assert covered.min() > 0.05 and covered.max() < 0.85
    colours = crowd.image.float().mean((2, 3))
    assert colours.std(0).min() > 4


def test_visible_joints_lie_on_the_person(crowd):
    on = []
    for i in range(len(crowd.image)):
        for j in crowd.visible[i].nonzero().flatten().tolist():
            x, y = (int(v) for v in crowd.joints[i, j])
            assert 0 <= x < SMALL[1] and 0 <= y < SMALL[0]
            near = crowd.class_map[i, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
            on.append(bool((near > 0).any()))
    assert np.mean(on) > 0.99


def _classes_near(class_map: torch.Tensor, joint: torch.Tensor, reach: int) -> set[str]:
    """Names of the classes within so many pixels of a joint."""
    x, y = (int(value) for value in joint)
    labels = class_map[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].unique().tolist()
    return {CLASSES[label - 1] for label in labels if label}


def test_limb_joints_lie_on_fitting_classes():
    figures = render_people(range(40), [0], SMALL)
    fitting = {
        "feet": ((10, 13), 2, {"footwear", "skin", "pants", "leggings"}, 0.95),
        "hands": ((4, 7), 2, {"skin", "top", "outer", "dress"}, 0.85),
        "nose": ((0,), 1, {"face"}, 0.97),
    }
    for part, (joints, reach, names, least) in fitting.items():
        shown = [(i, joint) for i in range(len(figures.image)) for joint in joints if figures.visible[i, joint]]
        fits = [bool(_classes_near(figures.class_map[i], figures.joints[i, joint], reach) & names) for i, joint in shown]
        assert len(fits) > 25 and np.mean(fits) > least, part


def test_sides_and_back_views():
    poses = named_poses()
    xy, seen = poses["stand"]
    assert seen.all() and xy[2, 0] < xy[5, 0] and xy[16, 0] < xy[17, 0]  # the right is on the left of the picture
    assert (xy >= 0).all() and (xy < [176, 256]).all()
    xy, seen = poses["back"]
    assert not seen[[0, 14, 15, 16, 17]].any() and seen[1:14].all() and xy[2, 0] > xy[5, 0]
    seen = poses["side_left"][1]
    assert seen[[0, 14, 16]].all() and not seen[[15, 17]].any()
    seen = poses["side_right"][1]
    assert seen[[0, 15, 17]].all() and not seen[[14, 16]].any()


def test_face_box_only_where_a_face_is(crowd):
    none = boxed = 0
    for i in range(len(crowd.image)):
        pixels = (crowd.class_map[i] == FACE).nonzero()
        if crowd.face_box[i, 0] < 0:
            none += 1
            assert len(pixels) < 12
        else:
            boxed += 1
            low, high = pixels.amin(0), pixels.amax(0) + 1
            assert crowd.face_box[i].tolist() == [low[1], low[0], high[1], high[0]]
    assert none > 2 and boxed > 20


def test_rotations_are_rotations():
    for seed in range(20):
        turns = rotations(pose_of(seed, 3)[0])
        assert np.allclose(turns @ turns.transpose(0, 2, 1), np.eye(3), atol=1e-4)
        assert np.allclose(np.linalg.det(turns), 1, atol=1e-4)
    assert base_pose("sit").seat


def test_swap_is_exact():
    """A swapped garment equals the donor's garment, and the rest of the person stays."""
    wearer = next(s for s in range(200) if set(sample_person(s).outfit) <= {"top", "pants", "footwear"})
    donor = next(s for s in range(200, 400) if "top" in sample_person(s).outfit and "outer" not in sample_person(s).outfit)
    before = render_people([wearer], [0], SMALL)
    after = render_people([wearer], [0], SMALL, garments_from=[donor], garment_classes=("top",))
    assert torch.equal(before.joints, after.joints) and torch.equal(before.visible, after.visible)
    top = LABELS["top"]
    touched = ((before.class_map == top) | (after.class_map == top))[0]
    far = torch.nn.functional.max_pool2d(touched[None].float(), 31, 1, 15)[0] == 0  # beyond the soft shading of the cloth
    assert far.any() and torch.equal(before.image[0][:, far], after.image[0][:, far])
    assert (before.image[0][:, touched] != after.image[0][:, touched]).float().mean() > 0.3
    same = render_people([wearer], [0], SMALL, garments_from=[wearer], garment_classes=("top",))
    assert torch.equal(same.image, before.image)
    assert with_garments(sample_person(wearer), sample_person(donor), ["top"]).outfit["top"] == sample_person(donor).outfit["top"]


def test_swap_with_a_dress_and_bad_names():
    dressed = next(s for s in range(200) if "dress" in sample_person(s).outfit)
    other = next(s for s in range(200) if {"top", "pants"} <= set(sample_person(s).outfit))
    out = with_garments(sample_person(other), sample_person(dressed), ["top"]).outfit
    assert "dress" in out and not {"top", "pants", "skirt"} & set(out)
    out = with_garments(sample_person(dressed), sample_person(other), ["top"]).outfit
    assert "dress" not in out and {"top", "pants"} <= set(out)
    with pytest.raises(ValueError, match="not garment classes"):
        with_garments(sample_person(other), sample_person(dressed), ["cape"])
    with pytest.raises(ValueError, match="one seed per person"):
        render_people([1, 2], 1, SMALL, garments_from=[1])


def test_same_clothes_in_every_pose():
    """Appearance belongs to the person: the mean colour of the top hardly changes between front poses."""
    top = LABELS["top"]
    figures = render_people([0, 2], 4, SMALL)
    for first in (0, 4):
        masks = {i: figures.class_map[i] == top for i in range(first, first + 4)}
        means = [figures.image[i][:, mask].float().mean(1) for i, mask in masks.items() if mask.sum() > 150]
        for mean in means[1:]:
            assert (mean - means[0]).abs().max() < 45


def parse_pose(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Joints 18 x 2 in pixels of a SMALL canvas, and which are visible, of a pose file."""
    rows = np.array([[float(value) for value in line.split()] for line in text.splitlines()], np.float32)
    return (rows - [FRAME_OFFSET, 0]) * [SMALL[1] / BASE_SIZE[1], SMALL[0] / BASE_SIZE[0]], (rows >= 0).all(1)


def test_writer_layout_and_masks(tmp_path):
    write_dataset(tmp_path, [TEST_SEED - 1, TEST_SEED], 2, SMALL, progress=False)
    truth = render_people([TEST_SEED - 1, TEST_SEED], 2, SMALL)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "img",
        "masks.json",
        "pose",
        "test.lst",
        "test_pairs.txt",
        "train.lst",
        "train_pairs.txt",
    ]
    train, test = ((tmp_path / f"{k}.lst").read_text().split() for k in ("train", "test"))
    assert train == [image_name(TEST_SEED - 1, i) for i in range(2)] and test == [image_name(TEST_SEED, i) for i in range(2)]
    assert (tmp_path / "test_pairs.txt").read_text().splitlines() == ["from,to", f"{test[0]},{test[1]}", f"{test[1]},{test[0]}"]
    data = json.loads((tmp_path / "masks.json").read_text())
    assert [c["name"] for c in data["categories"]] == list(CLASSES)
    for i, entry in enumerate(data["images"]):
        image = cv2.imread(str(tmp_path / "img" / entry["file_name"]))[:, :, ::-1]
        assert np.array_equal(image, truth.image[i].permute(1, 2, 0).numpy())
        classes = np.zeros(SMALL, np.uint8)
        for a in (a for a in data["annotations"] if a["image_id"] == entry["id"]):
            mask = coco_mask.decode({"size": a["segmentation"]["size"], "counts": a["segmentation"]["counts"].encode()})
            assert mask.sum() == a["area"]
            classes[mask > 0] = a["category_id"]
        assert np.array_equal(classes, truth.class_map[i].numpy())
        xy, seen = parse_pose((tmp_path / "pose" / entry["file_name"].replace(".png", ".txt")).read_text())
        assert np.array_equal(seen, truth.visible[i].numpy())
        assert np.abs(xy - truth.joints[i].numpy())[seen].max() < 0.02


def test_pose_text_uses_the_padded_frame():
    xy = np.full((18, 2), 10.0)
    text = pose_text(xy, np.arange(18) > 0, (256, 176)).splitlines()
    assert text[0] == "-1 -1" and text[1] == "50.00 10.00"
    assert pose_text(xy, np.ones(18, bool), (512, 352)).splitlines()[0] == "45.00 5.00"


def test_a_set_has_people_to_train_on_and_to_test_on(tmp_path):
    main(["--output", str(tmp_path), "--people", "1", "--poses", "2", "--size", "32x22"])
    for part in ("train", "test"):
        assert len((tmp_path / f"{part}.lst").read_text().split()) == 2
        assert len((tmp_path / f"{part}_pairs.txt").read_text().split()) == 3
    assert seeds(0, 30, None)[30:] == [TEST_SEED, TEST_SEED + 1, TEST_SEED + 2] and seeds(0, 30, 0) == [*range(30)]
    assert seeds(TEST_SEED, 2, None) == [TEST_SEED, TEST_SEED + 1] == seeds(TEST_SEED, 2, 1)


@pytest.mark.parametrize("seed", ["-1", "100000000", "9" * 30])
def test_a_seed_that_no_person_has_is_one_line(seed, capsys):
    with pytest.raises(SystemExit):
        main(["--output", "nowhere", "--people", "1", "--seed", seed])
    assert "--seed" in capsys.readouterr().err.splitlines()[-1]


def test_too_few_people_to_tell_the_speed(capsys):
    with pytest.raises(SystemExit):
        main(["--benchmark", "--people", "4"])
    assert "needs more people" in capsys.readouterr().err


@pytest.mark.slow
def test_every_core_draws_what_one_would():
    together = list(render_groups([3, 4, 5], 1, SMALL, group=2))
    alone = render_people([3, 4, 5], 1, SMALL)
    for name, value in vars(alone).items():
        assert torch.equal(torch.cat([getattr(batch, name) for batch in together]), value), name


def test_several_images_in_one_pass_agree():
    """The path used on an accelerator (many images in one pass) draws the same pictures."""
    one, many = (render_people([4, 30, 41], [0, 2], SMALL, chunk=k) for k in (1, 6))
    difference = (one.image.int() - many.image.int()).abs()
    assert (difference > 2).float().mean() < 0.002
    assert (one.class_map != many.class_map).float().mean() < 0.002
    assert torch.equal(one.joints, many.joints)
