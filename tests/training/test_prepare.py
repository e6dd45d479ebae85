"""Preparing an in-shop folder and reading it back: real figures, real LMDB, real processes."""

import json
import os
import shutil
from itertools import count
from pathlib import Path

import lmdb
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from nted_step.carrier import Carrier
from nted_step.pose import Pose, load_pose_text, skeleton_u8
from tests.conftest import TinyCarrierConfig
from tests.parity import CROP_BOX, CROP_SCALE
from training.carrier_losses import losses, predict
from training.data.figure_store import figure_store
from training.data.pairs import concatenate
from training.deepfashion import prepare as prepare_module
from training.deepfashion import records, writer
from training.deepfashion.augmentation import Crop, random_crop
from training.deepfashion.folder import flat_name
from training.deepfashion.prepare import main, prepare
from training.deepfashion.store import PreparedError, PreparedStore, skeleton
from training.figures.dataset import write_dataset
from training.figures.render import TEST_SEED
from training.rollout import ChainRollout, WindowRollout
from training.settings import CarrierLossWeights

SIZE, LARGE = (64, 44), (128, 88)
PARITY = Path(__file__).parent.parent / "data" / "parity.npz"


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """Two people to train on and one to test on, in two poses each."""
    return write_dataset(tmp_path_factory.mktemp("figures"), [50, 51, TEST_SEED], 2, SIZE, progress=False)


@pytest.fixture
def root(figures, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(figures, tmp_path / "root")


@pytest.fixture
def output(tmp_path):
    return tmp_path / "prepared"


@pytest.fixture(autouse=True)
def closed():
    yield
    for _, folder in list(records._OPEN):
        records.close_reader(Path(folder))


def run(root, output, *sizes, **more):
    return prepare(root, sizes or [SIZE], output, workers=1, progress=False, **more)


def entries(output, size=SIZE):
    with lmdb.open(str(records.size_folder(output, size)), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return {bytes(key).decode(): bytes(value) for key, value in transaction.cursor()}


# -- round trip --------------------------------------------------------------------------------------------------------


def test_pairs_agree_with_the_files_and_with_rendered_figures(figures, output, tmp_path):
    report = run(figures, output)
    assert (report.images, report.made, report.kept, report.broken) == (6, 6, 0, {})
    assert report.pairs == {"train": {"listed": 4, "usable": 4}, "test": {"listed": 2, "usable": 2}}
    store = PreparedStore(output, SIZE)
    rows = np.arange(store.people)
    pairs = store.pairs(rows, 0 * rows, 0 * rows + 1)
    listed = [line.split(",") for line in (figures / "train_pairs.txt").read_text().split()[1:]]
    for k, (source, target) in enumerate(listed):
        for image, name in ((pairs.source[k], source), (pairs.target[k], target)):
            assert torch.equal(image, torch.from_numpy(np.array(Image.open(figures / "img" / name))).permute(2, 0, 1) / 127.5 - 1)
        pose = load_pose_text(figures / "pose" / target.replace(".png", ".txt"), SIZE)
        assert torch.equal(pairs.skeleton[k], skeleton(pose, SIZE))
    figure = figure_store(tmp_path, SIZE, 2, 2, 50, SIZE).pairs(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([1, 0, 1, 0]))
    assert torch.equal(pairs.source, figure.source) and torch.equal(pairs.mask, figure.mask)
    assert pairs.skeleton.shape == figure.skeleton.shape
    assert (pairs.skeleton - figure.skeleton).abs().mean() < 0.01  # pose files hold two decimals
    assert (pairs.source_skeleton - figure.source_skeleton).abs().mean() < 0.01
    for name in ("source_joints", "target_joints"):
        assert torch.allclose(getattr(pairs, name), getattr(figure, name), atol=2e-3), name


def test_every_size_is_an_environment_and_jpeg_is_close(figures, output):
    run(figures, output, SIZE, LARGE, encoding="jpeg")
    small, large = PreparedStore(output, SIZE, "test"), PreparedStore(output, LARGE, "test")
    assert large[0].source.shape == (1, 3, *LARGE) and large[0].skeleton.shape == (1, 20, *LARGE)
    with Image.open(figures / "img" / small.rows[0][0]) as image:
        exact = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 127.5 - 1
    assert 0 < (small[0].source[0] - exact).abs().mean() < 0.05


def test_workers_do_the_same_as_one_process(figures, output, tmp_path):
    run(figures, output)
    prepare(figures, [SIZE], tmp_path / "parallel", workers=2, progress=False)
    assert entries(tmp_path / "parallel") == entries(output)


def test_nested_folders_flat_names_and_no_masks(root, output):
    """The published layout: img_highres/WOMEN/..., listed under the flat names of the splits."""
    names = ("WOMEN/Dresses/id_00000002/01_1_front.png", "WOMEN/Dresses/id_00000002/02_4_full.png")
    flat = ("fashionWOMENDressesid0000000201_1front.jpg", "fashionWOMENDressesid0000000202_4full.jpg")
    assert [flat_name(name) for name in names] == [flat_name(name) for name in flat]
    for old, new in zip(sorted((root / "img").glob("*.png")), names, strict=False):
        (root / "img_highres" / new).parent.mkdir(parents=True, exist_ok=True)
        old.rename(root / "img_highres" / new)
        (root / "pose" / new).parent.mkdir(parents=True, exist_ok=True)
        (root / "pose" / f"{old.stem}.txt").rename((root / "pose" / new).with_suffix(".txt"))
    for path in (root / "masks.json", root / "train.lst", root / "test.lst", root / "test_pairs.txt"):
        path.unlink()
    (root / "train_pairs.txt").write_text(f"from,to\n{flat[0]},{flat[1]}\n{names[1]},{names[0]}\n")
    assert run(root, output).broken == {} and set(entries(output)) == {*names, *flat}
    store = PreparedStore(output, SIZE)
    assert torch.equal(store[0].source, store[1].target) and not torch.equal(store[0].source, store[0].target)
    assert (store[0].mask == 1).all()


def test_a_square_picture_is_the_frame_around_the_canvas(root, output):
    name = (root / "train.lst").read_text().split()[0]
    before = run(root, output) and PreparedStore(output, SIZE)
    whole = before[0].source
    before.close()
    with Image.open(root / "img" / name) as image:
        frame = Image.new("RGB", (64, 64), "white")
        frame.paste(image, (10, 0))
    frame.save(root / "img" / name)
    (root / "masks.json").unlink()
    run(root, output)
    assert torch.equal(PreparedStore(output, SIZE)[0].source, whole)


def test_masks_of_a_copy_with_another_size_and_polygons(root, output):
    """COCO's own sizes count: a mask made on a copy half as large covers the same part of the photo."""
    (name, *_), document = (root / "train.lst").read_text().split(), json.loads((root / "masks.json").read_text())
    target = next(line.split(",")[1] for line in (root / "train_pairs.txt").read_text().splitlines()[1:] if line.startswith(name))
    image = next(image for image in document["images"] if image["file_name"] == target)
    image |= {"height": 32, "width": 22, "file_name": f"img/{target}"}
    document["annotations"] = [{"image_id": image["id"], "segmentation": [[0, 0, 11, 0, 11, 32, 0, 32]]}]
    (root / "masks.json").write_text(json.dumps(document))
    assert run(root, output).broken == {}
    store = PreparedStore(output, SIZE)
    mask = store[store.rows.index((name, target))].mask[0, 0]
    assert (mask[:, :21] == 1).all() and (mask[:, 23:] == 0).all()
    store.close()
    image |= {"height": 32, "width": 32}
    (root / "masks.json").write_text(json.dumps(document))
    assert "its mask is 32x32, the image 44x64" in run(root, output).broken[target]


# -- going on, and what is broken ----------------------------------------------------------------------------------------


def test_an_interrupted_run_is_refused_and_goes_on(figures, output, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "PER_COMMIT", 2)
    convert, calls = prepare_module.convert, count()

    def interrupted(job):
        if next(calls) == 3:
            raise KeyboardInterrupt
        return convert(job)

    monkeypatch.setattr(prepare_module, "convert", interrupted)
    assert main(["--root", str(figures), "--sizes", "64x44", "--output", str(output), "--workers", "1"]) == 130
    assert len(entries(output)) == 3
    with pytest.raises(PreparedError, match="not completely"):
        PreparedStore(output, SIZE)
    report = run(figures, output)
    assert (report.kept, report.made) == (3, 3)
    run(figures, tmp_path / "at once")
    assert entries(output) == entries(tmp_path / "at once")
    assert run(figures, output).made == 0


def test_broken_files_are_reported_and_left_out_until_repaired(root, output, capsys):
    names = (root / "train.lst").read_text().split()
    image, pose = root / "img" / names[0], root / "pose" / names[2].replace(".png", ".txt")
    whole_image, whole_pose = image.read_bytes(), pose.read_text()
    run(root, output)
    image.write_bytes(whole_image[: len(whole_image) // 2])
    pose.unlink()
    assert main(["--root", str(root), "--sizes", "64x44", "--output", str(output)]) == 0
    text = capsys.readouterr().out
    report = json.loads((output / "report.json").read_text())
    assert report["broken_count"] == 2 and [entry["name"] for entry in report["broken"]] == [names[0], names[2]]
    assert "damaged or cut short" in report["broken"][0]["reason"] and "no pose file" in report["broken"][1]["reason"]
    assert names[0] in text and str(pose) in text and "4 of 6 images" in text
    assert report["pairs"] == {"train": {"listed": 4, "usable": 0}, "test": {"listed": 2, "usable": 2}}
    assert names[0] not in entries(output)  # the entry of the image as it once was is gone
    with pytest.raises(PreparedError, match="no pair has both"):
        PreparedStore(output, SIZE)
    assert len(PreparedStore(output, SIZE, "test")) == 2
    records.close_reader(records.size_folder(output, SIZE))
    image.write_bytes(whole_image)
    pose.write_text(whole_pose)
    again = run(root, output)
    assert again.broken == {} and again.made == 2 and len(PreparedStore(output, SIZE)) == 4


def test_missing_images_poses_of_wrong_length_and_names_outside(root, output):
    names = (root / "train.lst").read_text().split()
    (root / "img" / names[0]).unlink()
    (root / "pose" / names[1].replace(".png", ".txt")).write_text("1 2\n")
    with open(root / "train.lst", "a") as file:
        file.write(f"../outside.png\n.\n{'x' * 600}.png\n")
    broken = run(root, output).broken
    assert "no such image" in broken[names[0]] and "expected 18 rows" in broken[names[1]]
    assert "inside the image folder" in broken["../outside.png"] and "inside" in broken["."] and "511 bytes" in broken[f"{'x' * 600}.png"]


def test_missing_joints_stay_missing(root, output):
    name = (root / "train.lst").read_text().split()[1]
    path = root / "pose" / name.replace(".png", ".txt")
    rows = path.read_text().splitlines()
    rows[4] = "-1 -1"
    path.write_text("\n".join(rows))
    run(root, output)
    assert (PreparedStore(output, SIZE)[0].skeleton[0, 3 + 3] == 1).all()  # the limb from the right elbow to the wrist


def test_the_memory_map_grows(figures, output, monkeypatch):
    monkeypatch.setattr(writer, "START_BYTES", 16 * 4096)
    assert run(figures, output, (256, 176)).made == 6
    assert len(entries(output, (256, 176))) == 6


# -- augmentation --------------------------------------------------------------------------------------------------------


def test_drawn_pairs_come_in_both_directions(figures, output):
    run(figures, output)
    store = PreparedStore(output, SIZE)
    pairs = store.draw(np.random.default_rng(0), 6)
    for one, other in (("source", "target"), ("source_skeleton", "skeleton"), ("source_joints", "target_joints")):
        one, other = getattr(pairs, one), getattr(pairs, other)
        assert torch.equal(one[:3], other[3:]) and torch.equal(other[:3], one[3:])
    assert pairs.source.min() >= -1 and pairs.source.max() <= 1 and 0 < pairs.mask.mean() < 1
    assert torch.equal(pairs.skeleton, store.draw(np.random.default_rng(0), 6).skeleton)
    assert store.draw(np.random.default_rng(0), 5).source.shape == (5, 3, *SIZE)
    plain = PreparedStore(output, SIZE, augment=False).draw(np.random.default_rng(0), 6)
    known = torch.cat([store[row].source for row in range(4)])
    assert all((known == image).flatten(1).all(1).any() for image in plain.source)
    unchanged = sum((known == image).flatten(1).all(1).any() for image in pairs.source)
    assert unchanged < 3  # on so small a canvas a crop may enlarge by less than a pixel


def test_a_crop_moves_the_joints_as_the_original_did():
    with np.load(PARITY) as file:
        points, expected = file["target_keypoints_file"], file["target_skeleton_cropped_u8"]
    size = expected.shape[-2:]
    pose = Pose.from_text("\n".join(f"{x!r} {y!r}" for x, y in points.tolist()), size)
    assert np.array_equal(skeleton_u8(Crop(CROP_SCALE, *CROP_BOX).pose(pose, size), size), expected)


def test_a_crop_moves_picture_and_joints_alike():
    """A bright dot under a joint is still under it."""
    image, rng = torch.zeros(1, 64, 44), np.random.default_rng(1)
    image[0, 30:33, 20:23] = 1
    pose = Pose([[21.5, 31.5]] * 18, [True] * 18)
    for _ in range(20):
        crop = random_crop(rng, SIZE)
        moved, (x, y) = crop.image(image)[0], crop.pose(pose, SIZE).xy[0]
        assert moved.shape == SIZE
        centre = (
            torch.stack([(moved.sum(0) * (torch.arange(44) + 0.5)).sum(), (moved.sum(1) * (torch.arange(64) + 0.5)).sum()]) / moved.sum()
        )
        assert centre.tolist() == pytest.approx([x, y], abs=0.1)


@pytest.mark.parametrize("kind", [ChainRollout, WindowRollout])
def test_rollouts_take_it_in_place_of_figures(kind, figures, output, tiny_generator, tiny_config):
    run(figures, output)
    steps = kind(tiny_config, PreparedStore(output, SIZE), np.random.default_rng(0), 4).run(tiny_generator, torch.device("cpu"))
    assert steps and all(torch.isfinite(step.rendering.image).all() for step in steps)


def test_a_carrier_learns_from_photographs(figures, output):
    """By the pixels that it carries and the person's mask: there is no surface."""
    run(figures, output)
    pairs = PreparedStore(output, SIZE).draw(np.random.default_rng(0), 2)
    carrier = Carrier(TinyCarrierConfig())
    total, parts = losses(predict(carrier, pairs.source, pairs), pairs, CarrierLossWeights())
    total.backward()
    assert set(parts) == {"person", "photo", "seen"} and total.isfinite()
    assert [name for name, value in carrier.named_parameters() if value.grad is None] == [], "as distributed training needs"


# -- processes -----------------------------------------------------------------------------------------------------------


def test_loader_workers_open_their_own_environment(figures, output):
    run(figures, output)
    store = PreparedStore(output, SIZE)
    direct = concatenate([store[row] for row in range(4)])  # open in the parent before it forks
    loader = DataLoader(store, batch_size=2, num_workers=2, collate_fn=concatenate, multiprocessing_context="fork")
    assert torch.equal(concatenate(list(loader)).source, direct.source)
    assert torch.equal(store[1].source, direct.source[1:2])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_no_environment_goes_through_a_fork(figures, output):
    run(figures, output)
    store = PreparedStore(output, SIZE)
    before = store[0].source
    child = os.fork()
    if child == 0:
        code = 1
        torch.set_num_threads(1)  # as loaders' workers do: the parent's threads are not there to wait for
        try:
            inherited, same = len(records._OPEN), torch.equal(store[0].source, before)
            code = 0 if inherited == 0 and same and list(records._OPEN) == [(os.getpid(), str(store.folder.resolve()))] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert torch.equal(store[0].source, before)


# -- what a person can get wrong -----------------------------------------------------------------------------------------


def remove(*names):
    def damage(root):
        for name in names:
            shutil.rmtree(root / name) if (root / name).is_dir() else (root / name).unlink()

    return damage


def write(name, text):
    return lambda root: (root / name).write_text(text)


def spoil_environment(root):
    folder = root.parent / "prepared" / "64x44"
    folder.mkdir(parents=True)
    (folder / "data.mdb").write_bytes(b"x" * 9000)


@pytest.mark.parametrize(
    "damage, message",
    [
        (remove("."), "no such folder; --root"),
        (remove("img"), "neither img_highres/ nor img/"),
        (remove("pose"), "pose: no such folder"),
        (remove("train_pairs.txt", "test_pairs.txt"), "train_pairs.txt: no pairs"),
        (write("train_pairs.txt", "a.png,b.png\na.png b.png\n"), "train_pairs.txt, line 2: expected 'source,target'"),
        (write("masks.json", "{}"), "masks.json: not COCO annotations"),
        (lambda root: (root.parent / "prepared").write_text(""), "choose another --output"),
        (spoil_environment, "not a usable LMDB"),
    ],
)
def test_mistakes_are_one_line_and_status_2(root, output, capsys, damage, message):
    damage(root)
    assert main(["--root", str(root), "--sizes", "64x44", "--output", str(output)]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(lines) == 1 and message in lines[0]


@pytest.mark.parametrize("options", [["--sizes", "256"], ["--sizes", "256x1"], ["--sizes", "64x44", "--workers", "0"]])
def test_wrong_options_are_named(options, capsys, tmp_path):
    with pytest.raises(SystemExit) as stopped:
        main(["--root", str(tmp_path), "--output", str(tmp_path), *options])
    assert stopped.value.code == 2 and options[-1] in capsys.readouterr().err


def test_lost_or_broken_files_of_a_prepared_folder_are_named(figures, output):
    run(figures, output)
    folder = records.size_folder(output, SIZE)
    (folder / "train_pairs.txt").unlink()
    with pytest.raises(PreparedError, match=r"train_pairs\.txt: cannot be read"):
        PreparedStore(output, SIZE)
    (folder / "whole.json").write_text("[]")
    with pytest.raises(PreparedError, match=r"whole\.json: cannot be read"):
        PreparedStore(output, SIZE, "test")


def test_unprepared_sizes_and_parts_are_named(root, output):
    (root / "test_pairs.txt").unlink()
    run(root, output)
    with pytest.raises(PreparedError, match="256x176: this size is not prepared"):
        PreparedStore(output, (256, 176))
    with pytest.raises(PreparedError, match="no test pairs, only train"):
        PreparedStore(output, SIZE, "test")
