"""The figure renderer: exact, repeatable, and annotated truthfully."""

import json

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from nted_step.classes import CLASSES
from training.figures import TEST_SEED, named_poses, render_people
from training.figures.dataset import image_name, parse_pose, pose_text, write_dataset
from training.figures.person import sample_person, with_garments
from training.figures.poses import base_pose, rotations
from training.figures.render import pose_of
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
    b = render_people([5], 2, (64, 44))
    assert b.image.dtype == torch.uint8 and b.image.shape == (2, 3, 64, 44)
    assert b.joints.shape == (2, 18, 2) and b.visible.dtype == torch.bool
    assert b.class_map.dtype == b.instance_map.dtype == torch.uint8 and b.class_map.max() <= len(CLASSES)
    assert torch.equal(b.class_map > 0, b.instance_map > 0)


def test_all_classes_occur(crowd):
    seen = set(torch.unique(crowd.class_map).tolist())
    assert seen == set(range(16)), [c for i, c in enumerate(CLASSES) if i + 1 not in seen]


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


def test_limb_joints_lie_on_fitting_classes():
    name = {c: i + 1 for i, c in enumerate(CLASSES)}
    b = render_people(range(40), [0], SMALL)
    feet, hands, noses = [], [], []
    for i in range(len(b.image)):

        def near(j, r=2, i=i):
            x, y = (int(v) for v in b.joints[i, j])
            return set(b.class_map[i, max(y - r, 0) : y + r + 1, max(x - r, 0) : x + r + 1].flatten().tolist())

        feet += [bool(near(j) & {name[c] for c in ("footwear", "skin", "pants", "leggings")}) for j in (10, 13) if b.visible[i, j]]
        hands += [bool(near(j) & {name[c] for c in ("skin", "top", "outer", "dress")}) for j in (4, 7) if b.visible[i, j]]
        noses += [name["face"] in near(0, 1) for _ in [0] if b.visible[i, 0]]
    assert np.mean(feet) > 0.95 and np.mean(hands) > 0.85 and np.mean(noses) > 0.97
    assert min(len(feet), len(hands), len(noses)) > 25


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
    face = CLASSES.index("face") + 1
    none = boxed = 0
    for i in range(len(crowd.image)):
        pixels = (crowd.class_map[i] == face).nonzero()
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
        r = rotations(pose_of(seed, 3)[0])
        assert np.allclose(r @ r.transpose(0, 2, 1), np.eye(3), atol=1e-4)
        assert np.allclose(np.linalg.det(r), 1, atol=1e-4)
    assert base_pose("sit").seat


def test_swap_is_exact():
    """A swapped garment equals the donor's garment, and the rest of the person stays."""
    wearer = next(s for s in range(200) if set(sample_person(s).outfit) <= {"top", "pants", "footwear"})
    donor = next(s for s in range(200, 400) if "top" in sample_person(s).outfit and "outer" not in sample_person(s).outfit)
    before = render_people([wearer], [0], SMALL)
    after = render_people([wearer], [0], SMALL, garments_from=[donor], garment_classes=("top",))
    assert torch.equal(before.joints, after.joints) and torch.equal(before.visible, after.visible)
    top = CLASSES.index("top") + 1
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
    top = CLASSES.index("top") + 1
    b = render_people([0, 2], 4, SMALL)
    for p in range(2):
        means = [
            b.image[i][:, b.class_map[i] == top].float().mean(1) for i in range(4 * p, 4 * p + 4) if (b.class_map[i] == top).sum() > 150
        ]
        for m in means[1:]:
            assert (m - means[0]).abs().max() < 45


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
    assert (tmp_path / "test_pairs.txt").read_text().splitlines() == [f"{test[0]},{test[1]}", f"{test[1]},{test[0]}"]
    data = json.loads((tmp_path / "masks.json").read_text())
    assert [c["name"] for c in data["categories"]] == list(CLASSES)
    import cv2

    for i, entry in enumerate(data["images"]):
        image = cv2.imread(str(tmp_path / "img" / entry["file_name"]))[:, :, ::-1]
        assert np.array_equal(image, truth.image[i].permute(1, 2, 0).numpy())
        classes = np.zeros(SMALL, np.uint8)
        for a in (a for a in data["annotations"] if a["image_id"] == entry["id"]):
            mask = coco_mask.decode({"size": a["segmentation"]["size"], "counts": a["segmentation"]["counts"].encode()})
            assert mask.sum() == a["area"]
            classes[mask > 0] = a["category_id"]
        assert np.array_equal(classes, truth.class_map[i].numpy())
        xy, seen = parse_pose((tmp_path / "pose" / entry["file_name"].replace(".png", ".txt")).read_text(), SMALL)
        assert np.array_equal(seen, truth.visible[i].numpy())
        assert np.abs(xy - truth.joints[i].numpy())[seen].max() < 0.02


def test_pose_text_uses_the_padded_frame():
    xy = np.full((18, 2), 10.0)
    text = pose_text(xy, np.arange(18) > 0, (256, 176)).splitlines()
    assert text[0] == "-1 -1" and text[1] == "50.00 10.00"
    assert pose_text(xy, np.ones(18, bool), (512, 352)).splitlines()[0] == "45.00 5.00"


def test_too_few_people_to_tell_the_speed(capsys):
    from training.figures.__main__ import main

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
