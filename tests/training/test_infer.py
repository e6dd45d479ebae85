"""One image for every pair of a list: naming, going on, processes, and scoring what was made."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nted_step.image import to_uint8
from nted_step.weights import load_weights
from tests.conftest import TINY, save_noise
from training import infer
from training.deepfashion import records
from training.deepfashion.prepare import prepare
from training.deepfashion.store import PreparedStore
from training.evaluate import main as evaluate
from training.evaluation.image_folder import ImageFolder, file_name, plain
from training.evaluation.sampling import Sampler
from training.figures.dataset import write_dataset
from training.figures.render import TEST_SEED

SIZE = (64, 44)


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """One person to train on and two to test on, in two poses each: four test pairs."""
    return write_dataset(tmp_path_factory.mktemp("figures"), [50, TEST_SEED, TEST_SEED + 1], 2, SIZE, progress=False)


@pytest.fixture(scope="module")
def data(figures, tmp_path_factory):
    output = tmp_path_factory.mktemp("prepared")
    prepare(figures, [SIZE], output, workers=1, progress=False)
    return output


@pytest.fixture(autouse=True)
def closed():
    yield
    for _, folder in list(records._OPEN):
        records.close_reader(Path(folder))


@pytest.fixture
def run(data, tiny_weights, tmp_path):
    def call(*options, output="images", weights=tiny_weights):
        return infer.main(
            ["--weights", str(weights), "--data", str(data), "--output", str(tmp_path / output), "--devices", "cpu", *options]
        )

    return call


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def rows(data):
    return PreparedStore(data, SIZE, "test", augment=False).rows


def test_a_file_for_every_pair_with_the_last_step(run, data, tiny_weights, tmp_path):
    assert run() == 0
    listed = rows(data)
    assert names(tmp_path / "images") == sorted(file_name(row) for row in listed) and len(listed) == 4
    store = PreparedStore(data, SIZE, "test", augment=False)
    sampler = Sampler(load_weights(tiny_weights), torch.device("cpu"))
    for number, row in enumerate(listed):
        steps, _ = sampler.sample(store[number])
        with Image.open(tmp_path / "images" / file_name(row)) as image:
            assert np.array_equal(np.array(image), to_uint8(steps[-1][0]))
    assert file_name(("WOMEN/a_1.jpg", "b.jpg"), "_vis", ".jpg") == "WOMEN_a_1_2_b_vis.jpg"


def test_it_goes_on_where_it_stopped_and_leaves_no_parts(run, data, tmp_path, monkeypatch, capsys):
    folder, write = tmp_path / "images", infer.write_file

    def interrupted(path, content):
        if path.parent == folder and len(names(folder)) == 2:
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(infer, "write_file", interrupted)
    assert run() == 130 and "run the same command again" in capsys.readouterr().err
    kept = {name: (folder / name).stat().st_mtime_ns for name in names(folder)}
    assert len(kept) == 2
    monkeypatch.setattr(infer, "write_file", write)
    assert run() == 0 and len(names(folder)) == 4 and not list(folder.glob(".*"))
    assert {name: (folder / name).stat().st_mtime_ns for name in kept} == kept
    monkeypatch.setattr(infer, "render", lambda *_: pytest.fail("everything is there"))
    assert run() == 0


def test_batches_shards_and_machines_make_the_same_images(run, tmp_path):
    assert run() == 0 and run("--batch", "3", output="batched") == 0
    for shard in ("1/2", "2/2"):
        assert run("--shard", shard, output="sharded") == 0
        assert len(names(tmp_path / "sharded")) == (2 if shard == "1/2" else 4)
    for name in names(tmp_path / "images"):
        whole, batched, sharded = (
            np.array(Image.open(tmp_path / folder / name)).astype(int) for folder in ("images", "batched", "sharded")
        )
        assert np.array_equal(whole, sharded) and np.abs(whole - batched).max() <= 1  # other sums of floats, then rounding


def test_weights_that_carry_and_films(run, tmp_path):
    weights = save_noise(tmp_path / "carrying", dataclasses.replace(TINY, carries=True))
    assert run("--film", "1", "4", "--step", "2", "--ending", "_vis", "--format", "jpg", "--limit", "1", weights=weights) == 0
    (name,) = names(tmp_path / "images")
    assert name.endswith("_vis.jpg")
    with Image.open(tmp_path / "images" / "film" / name.replace(".jpg", ".png")) as film, Image.open(tmp_path / "images" / name) as image:
        assert film.width == 4 * 44 and film.height > 64 and image.size == (44, 64)


def test_another_list_of_the_same_images(run, data, tmp_path, capsys):
    listed = rows(data)
    path = tmp_path / "one.txt"
    path.write_text(f"img/{listed[0][0]},img/{listed[0][1]}\n")
    assert run("--pairs", str(path)) == 0 and names(tmp_path / "images") == [file_name(listed[0][::-1])]
    assert "target-first" in capsys.readouterr().err
    path.write_text("from,to\nnobody.jpg,nowhere.jpg\n")
    assert run("--pairs", str(path)) == 2 and "nobody.jpg is not in" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, message",
    [
        (["--film", "9"], "steps are 0 to 4"),
        (["--step", "-1"], "steps are 0 to 4"),
        (["--ending", "/../x"], "--ending"),
        (["--devices", "cpu", "cpu", "--processes", "2"], "--processes is for one device"),
        (["--devices", "gpu"], "unknown device"),
    ],
)
def test_mistakes_are_one_line(run, capsys, options, message):
    assert run(*options) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(errors) == 1 and message in errors[0]


@pytest.mark.slow
def test_processes_share_the_pairs(run, tmp_path, capsys):
    assert run() == 0 and run("--processes", "2", output="shared") == 0
    for name in names(tmp_path / "images"):
        one, other = (np.array(Image.open(tmp_path / folder / name)).astype(int) for folder in ("images", "shared"))
        assert np.abs(one - other).max() <= 1  # other numbers of threads
    assert run("--processes", "2", "--film", "99", output="failed") == 1
    assert "steps are 0 to 4" in capsys.readouterr().err


def test_made_images_score_as_the_weights_that_made_them(run, data, tiny_weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert run("--ending", "_vis") == 0
    common = ["--data", str(data), "--device", "cpu"]
    assert evaluate(["--weights", tiny_weights, *common, "--steps", "last", "--output", str(tmp_path / "weights")]) == 0
    assert evaluate(["--images", str(tmp_path / "images"), *common, "--output", str(tmp_path / "scores")]) == 0
    one, other = (json.loads((tmp_path / folder / "metrics.json").read_text()) for folder in ("weights", "scores"))
    row = one["steps"]["step 4"]
    assert other["steps"]["the images"] == row and other["copying the source"] == one["copying the source"]
    assert other["sha256 of the pixels"]["target"] == one["sha256 of the pixels"]["target"]
    assert "the images are" in capsys.readouterr().out
    with Image.open(tmp_path / "scores" / "sheet.png") as sheet:
        sheet.verify()


def test_images_of_others_are_found_by_their_names(tmp_path):
    row = ("WOMEN/Dresses/id_00000002/02_1_front.jpg", "WOMEN/Dresses/id_00000002/02_2_side.jpg")
    for name in (
        "fashionWOMENDressesid0000000202_1front_2_fashionWOMENDressesid0000000202_2side_vis.jpg",
        "fashionWOMENDressesid0000000202_1front_to_fashionWOMENDressesid0000000202_2side.png",
        file_name(row, "_vis", ".png"),
    ):
        folder = tmp_path / plain(name)
        folder.mkdir()
        Image.new("RGB", (44, 64), "red").save(folder / name)
        assert ImageFolder(folder, [row]).image(0, SIZE).shape == (3, *SIZE)
    with pytest.raises(ValueError, match=r"no image of the pair .*02_2_side\.jpg,WOMEN"):
        ImageFolder(folder, [row[::-1]])
    with pytest.raises(ValueError, match=r"is 64x44, the pairs are 32x22; no image is resized"):
        ImageFolder(folder, [row]).image(0, (32, 22))
    shutil.copy(folder / file_name(row, "_vis", ".png"), folder / file_name(row, "", ".png"))
    with pytest.raises(ValueError, match="are both of one pair"):
        ImageFolder(folder, [row])


def test_images_need_their_data_set_and_one_size(data, tmp_path, capsys):
    assert evaluate(["--images", str(tmp_path)]) == 2 and "--images needs --data" in capsys.readouterr().err
    assert evaluate(["--images", str(tmp_path), "--data", str(data)]) == 2 and "no images" in capsys.readouterr().err


@pytest.mark.parametrize("seed", ["-1", "100000000", "9" * 40])
def test_people_without_such_a_seed_are_one_line(tiny_weights, seed, capsys):
    assert evaluate(["--weights", tiny_weights, "--figures", "1", "--seed", seed]) == 2
    assert capsys.readouterr().err.startswith(f"error: --seed {seed}: people have seeds")


def test_float16_on_a_cpu_is_warned_of_and_masks_are_named_where_there_are_some(tiny_weights, figures, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    root, output = shutil.copytree(figures, tmp_path / "root"), tmp_path / "prepared"
    prepare(root, [SIZE], output, workers=1, progress=False)
    arguments = ["--weights", tiny_weights, "--data", str(output), "--limit", "1", "--steps", "last", "--device", "cpu"]
    assert evaluate([*arguments, "--dtype", "bfloat16", "--output", str(tmp_path / "masked")]) == 0
    said = capsys.readouterr()
    assert "masked PSNR" in said.out and "over person pixels" in said.out and "float16 is for GPUs" not in said.err
    (root / "masks.json").unlink()
    records.close_reader(records.size_folder(output, SIZE))
    prepare(root, [SIZE], output, workers=1, progress=False)
    assert evaluate([*arguments, "--dtype", "float16", "--output", str(tmp_path / "plain")]) == 0
    said = capsys.readouterr()
    assert "masked PSNR is not available: the data has no person masks" in said.out and "over all pixels" in said.out
    assert "float16 is for GPUs" in said.err
    report = json.loads((tmp_path / "plain" / "metrics.json").read_text())
    assert report["steps"]["step 4"]["masked_psnr"] == "not available" and report["steps"]["step 4"]["psnr"] > 0
