"""Training of the parser on figures, at a tiny size."""

import dataclasses
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from appearance_control.detection import RPN_WEIGHTS, decode, to_original
from appearance_control.parser import FashionParser, Instance, Parse
from tests.appearance_control.conftest import TINY_PARSER
from training.figures import TEST_SEED, render_people
from training.parser.data import MOST_INSTANCES, instances_of, make_batch, parser_store, soften
from training.parser.evaluate import evaluate
from training.parser.figure_stream import FigureFolder
from training.parser.losses import encode, losses, overlap, sample, sample_boxes, without_overlaps
from training.parser.train import ParserTrainer, main, train, trainer_batch

SIZE = (64, 44)
CONFIG = dataclasses.replace(TINY_PARSER, widths=(16, 16, 16, 16), pyramid=16, hidden=32, pixels=8, margin=0.1)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return parser_store(tmp_path_factory.mktemp("data"), people=4, poses=2, seed=0, size=SIZE)


def test_store_holds_what_was_rendered(store):
    assert len(store) == 8
    batch = render_people([0, 1, 2, 3], 2, SIZE)
    assert np.array_equal(store.instances, batch.instance_map.numpy()) and np.array_equal(store.image, batch.image.numpy())


def test_targets_are_exact():
    classes, instances = torch.zeros(2, 2, 10, 12, dtype=torch.uint8)
    instances[0, 2:6, 3:9], classes[0, 2:6, 3:9] = 4, 7
    instances[0, 9, 0], classes[0, 9, 0] = 5, 3  # a single pixel is not asked for
    boxes, labels = instances_of(classes, instances)
    assert boxes.shape == (2, MOST_INSTANCES, 4) and boxes[0, 3].tolist() == [3, 2, 9, 6]
    assert labels[0].nonzero()[:, 0].tolist() == [3] and labels[0, 3] == 7
    assert (boxes.abs().sum(2) > 0).sum() == 1 and (labels[1] == 0).all()


def test_targets_of_figures_are_those_found_one_by_one():
    figures = render_people(range(4), 2, SIZE)
    boxes, labels = instances_of(figures.class_map, figures.instance_map, least=1)
    for k, (classes, instances) in enumerate(zip(figures.class_map, figures.instance_map, strict=True)):
        numbers = [n for n in instances.unique().tolist() if n]
        assert labels[k].nonzero()[:, 0].tolist() == [n - 1 for n in numbers]
        for n in numbers:
            rows, columns = torch.where(instances == n)
            assert boxes[k, n - 1].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert set(classes[instances == n].tolist()) == {int(labels[k, n - 1])}


def test_boxes_come_back_from_the_networks_size(store):
    batch = store.draw(np.random.default_rng(0), 4, (66, 96))
    boxes, labels = instances_of(batch.classes, batch.instances)
    shown = labels > 0
    assert shown.any() and torch.allclose(to_original(batch.boxes, batch.scale)[shown], boxes[shown], atol=1e-4)
    assert (batch.boxes[~shown] == 0).all() and batch.masks().sum() == (batch.instances > 0).sum()


def test_batch_is_prepared_as_at_inference():
    from appearance_control.detection import prepare

    photo = np.random.default_rng(0).integers(0, 255, (64, 44, 3), dtype=np.uint8)
    images = torch.from_numpy(photo.transpose(2, 0, 1).astype(np.float32))[None]
    batch = make_batch(images, torch.zeros(1, 2, 64, 44, dtype=torch.uint8), (88, 128))
    there = prepare(photo, (88, 128))
    assert batch.size == there.size and batch.images.shape == there.image.shape
    assert (batch.images - there.image).abs().max() < 0.02  # rounding of the resized photo to 8 bits: half a level is 0.009


def test_softening_removes_detail_and_keeps_the_colours():
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 64, 44)).astype(np.float32))
    results = [soften(image, np.random.default_rng(seed)) for seed in range(20)]
    changed = [result for result in results if not torch.equal(result, image)]
    assert 2 <= len(changed) <= 15
    for result in changed:
        assert result.shape == image.shape and result.std() < 0.8 * image.std()
        assert result.mean() == pytest.approx(float(image.mean()), abs=5)


def test_training_learns_stops_and_goes_on(store, tmp_path):
    trainer = ParserTrainer(CONFIG, minutes=5, lr=3e-3, precision="float32")
    first = np.mean([float(sum(trainer.step(trainer_batch(trainer, store, 4)).values())) for _ in range(5)])
    for _ in range(50):
        trainer.step(trainer_batch(trainer, store, 4))
    last = np.mean([float(sum(trainer.step(trainer_batch(trainer, store, 4)).values())) for _ in range(5)])
    assert last < 0.7 * first
    weights = trainer.save(tmp_path, "8 figures")
    assert FashionParser.from_pretrained(weights).config == CONFIG

    again = ParserTrainer(CONFIG, minutes=5, lr=3e-3, precision="float32")
    again.restore(torch.load(next(tmp_path.glob("checkpoint_*.pt")), weights_only=True))
    assert again.iteration == trainer.iteration == 60 and again.elapsed == trainer.elapsed
    assert all(torch.equal(a, b) for a, b in zip(again.network.state_dict().values(), trainer.network.state_dict().values(), strict=True))
    other = ParserTrainer(TINY_PARSER, minutes=5, lr=3e-3)
    with pytest.raises(ValueError, match="another parser configuration"):
        other.restore(trainer.state())


def test_time_ends_the_run_and_weights_are_there(store, tmp_path):
    trainer = ParserTrainer(CONFIG, minutes=1e-4, lr=1e-3)
    train(trainer, store, tmp_path, batch=2, save_minutes=5, figures="figures")
    assert trainer.finished and trainer.iteration >= 1 and (tmp_path / "weights" / "model.safetensors").is_file()
    assert trainer.rate() < 0.1 * trainer.lr


def test_bfloat16_losses_are_near_those_of_float32(store):
    trainer = ParserTrainer(CONFIG, minutes=1, lr=1e-3)
    batch = trainer_batch(trainer, store, 4)
    trainer.network.eval()
    trainer.network.rpn.train(), trainer.network.roi_heads.train()
    values = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        values.append(sum(losses(trainer.network, CONFIG, batch, precision).values()).item())
    assert values[1] == pytest.approx(values[0], rel=0.1)


def test_a_gradient_that_is_not_finite_changes_no_weight(store):
    trainer = ParserTrainer(CONFIG, minutes=1, lr=1e-3, precision="float32")
    batch = trainer_batch(trainer, store, 2)
    before = [p.clone() for p in trainer.network.parameters()]
    trainer.step(dataclasses.replace(batch, images=batch.images * float("nan")))
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.network.parameters(), strict=True))


def perfect(figures, seed):
    """A parser that knows the truth of the figures it is shown, in order."""
    answers = iter(render_people(range(seed, seed + figures), 1, SIZE).instance_map.numpy())
    classes = iter(render_people(range(seed, seed + figures), 1, SIZE).class_map.numpy())

    def parse(_):
        numbers, labels, found = next(answers), next(classes), []
        for number in np.unique(numbers[numbers > 0]):
            mask = numbers == number
            rows, columns = np.where(mask.any(1))[0], np.where(mask.any(0))[0]
            box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
            found.append(Instance(int(labels[mask][0]), 0.9, box, mask))
        return Parse(SIZE, tuple(found))

    return parse


def test_evaluation_gives_one_to_the_truth_and_nothing_to_nothing():
    report = evaluate(perfect(4, TEST_SEED), 4, TEST_SEED, SIZE)
    assert report["box"]["ap"] == pytest.approx(1) and report["mask"]["ap"] == pytest.approx(1)
    present = {name for name, count in report["instances"].items() if count}
    assert present and {name for name, ap in report["mask"]["per_class"].items() if ap is not None} == present
    nothing = evaluate(lambda _: Parse(SIZE, ()), 4, TEST_SEED, SIZE)
    assert nothing["box"]["ap"] == 0 and nothing["mask"]["ap"] == 0


def test_test_people_cannot_be_trained_on(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--output", str(tmp_path), "--people-seed", "8999999", "--people", "2"])
    assert "reserved for tests" in capsys.readouterr().err


def test_a_batch_of_one_and_without_any_instance_can_be_learnt_from(store):
    trainer = ParserTrainer(CONFIG, minutes=1, lr=1e-3, precision="float32")
    empty = make_batch(torch.rand(1, 3, *SIZE) * 255, torch.zeros(1, 2, *SIZE, dtype=torch.uint8), CONFIG.resize)
    found = trainer.step(empty)
    assert all(torch.isfinite(value) for value in found.values()) and trainer.iteration == 1
    assert found["loss_mask"] == 0 and found["loss_box_reg"] == 0 and found["loss_rpn_box_reg"] == 0 and found["loss_objectness"] > 0


def test_encoding_is_what_decoding_undoes():
    rng = np.random.default_rng(0)
    corner, side = torch.from_numpy(rng.uniform(5, 40, (2, 20, 2))), torch.from_numpy(rng.uniform(4, 20, (2, 20, 2)))
    boxes, anchors = torch.cat([corner, corner + side], dim=-1)
    for weights in (RPN_WEIGHTS, (10.0, 10.0, 5.0, 5.0)):
        assert torch.allclose(decode(encode(boxes, anchors, weights), anchors, weights, (80, 80)), boxes)


def test_overlaps_are_dropped_as_torchvision_does():
    from torchvision.ops import box_iou, nms

    rng = np.random.default_rng(0)
    corner, side = rng.uniform(0, 30, (3, 60, 2)), rng.uniform(10, 30, (3, 60, 2))
    boxes = torch.from_numpy(np.concatenate([corner, corner + side], axis=-1).astype(np.float32))
    stays = without_overlaps(boxes)
    assert torch.allclose(overlap(boxes, boxes)[1], box_iou(boxes[1], boxes[1]), atol=1e-6)
    for mine, box in zip(stays, boxes, strict=True):
        theirs = nms(box, torch.arange(60, 0, -1).float(), 0.7)
        assert len(theirs) < 60 and mine.nonzero()[:, 0].tolist() == sorted(theirs.tolist())


def test_places_are_taken_of_each_kind_and_no_more_than_there_are():
    positive = torch.zeros(2, 50, dtype=torch.bool)
    positive[0, [3, 7]] = positive[1, 10:40] = True
    negative = ~positive & (torch.arange(50) >= 5)
    taken = sample(positive, negative, (4, 8))
    assert sorted(taken.index[0][taken.positive[0]].tolist()) == [3, 7] and taken.positive.sum(1).tolist() == [2, 4]
    assert taken.valid.sum(1).tolist() == [10, 12]
    assert positive.gather(1, taken.index)[taken.positive].all() and negative.gather(1, taken.index)[taken.valid & ~taken.positive].all()
    assert all(len(set(row[valid].tolist())) == valid.sum() for row, valid in zip(taken.index, taken.valid, strict=True))


def test_true_boxes_are_proposals_too_and_carry_their_label(store):
    batch = store.draw(np.random.default_rng(0), 2, CONFIG.resize)
    far = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(2, 30, 4)
    taken = sample_boxes(far, torch.ones(2, 30, dtype=torch.bool), batch)
    boxes, labels, owners = taken.boxes, taken.labels, taken.owners
    assert taken.positive.sum(1).tolist() == (batch.labels > 0).sum(1).tolist()
    for k in range(2):
        mine = taken.positive[k]
        assert torch.equal(boxes[k][mine], batch.boxes[k][owners[k][mine]]) and torch.equal(
            labels[k][mine], batch.labels[k][owners[k][mine]]
        )
        assert (labels[k][taken.valid[k] & ~mine] == 0).all() and (labels[k][~taken.valid[k]] == -1).all()


def write_figures(folder, first):
    figures = render_people(range(first, first + 4), 2, SIZE)
    arrays = {"image": figures.image, "classes": figures.class_map, "instances": figures.instance_map, "joints": figures.joints}
    part = folder / f".{first:08d}.part.npz"
    np.savez(part, **{name: values.numpy().reshape(4, 2, *values.shape[1:]) for name, values in arrays.items()})
    part.rename(folder / f"{first:08d}.npz")
    return figures


def test_figures_that_appear_while_training_runs_are_taken(tmp_path):
    store = FigureFolder(tmp_path, 12, SIZE)
    assert len(store) == 0
    threading.Timer(0.2, write_figures, (tmp_path, 0)).start()
    store.wait(8)
    first = store.draw(np.random.default_rng(0), 8, CONFIG.resize)
    truth = render_people(range(4), 2, SIZE)
    assert torch.equal(store.image[:8], truth.image) and torch.equal(store.maps[:8, 1], truth.instance_map)
    assert first.images.shape[0] == 8 and (first.labels > 0).any()
    write_figures(tmp_path, 4)
    store.wait()  # there is room for four of the eight
    assert len(store) == 12 and store.error is None and torch.equal(store.maps[8:, 0], render_people([4, 5], 2, SIZE).class_map)
    store.close()


def blank_figures(people, value=0):
    """Black images of people in one pose, with one value in all maps."""
    maps = np.full((people, 1, *SIZE), value, np.uint8)
    return {"image": np.zeros((people, 1, 3, *SIZE), np.uint8), "classes": maps, "instances": maps}


@pytest.mark.parametrize(
    ("name", "arrays", "message"),
    [
        ("00000000.npz", {"image": np.zeros((1, 2, 3, 8, 8), np.uint8)}, "cannot be read as figures"),
        ("00000000.npz", dict.fromkeys(("image", "classes", "instances"), np.zeros((1, 2, 3, 8, 8), np.uint8)), "64 x 44"),
        ("08999999.npz", blank_figures(2), "reserved for tests"),
        ("00000000.npz", blank_figures(1, 99), "99 instances"),
    ],
)
def test_files_that_cannot_be_trained_on_end_the_wait(tmp_path, name, arrays, message):
    np.savez(tmp_path / name, **arrays)
    store = FigureFolder(tmp_path, 300, SIZE)
    with pytest.raises(ValueError, match=message):
        store.wait()
    store.close()


def test_a_file_that_cannot_be_used_is_left_out_once_there_are_figures(tmp_path, capsys):
    write_figures(tmp_path, 0)
    (tmp_path / "00000004.npz").write_bytes(b"no archive")
    write_figures(tmp_path, 8)
    store = FigureFolder(tmp_path, 16, SIZE)
    limit = time.monotonic() + 20
    while len(store) < 16 and time.monotonic() < limit:
        time.sleep(0.05)
    store.close()
    assert len(store) == 16 and "skipped" in capsys.readouterr().err
    assert store.draw(np.random.default_rng(0), 16, CONFIG.resize).images.shape[0] == 16


def test_training_from_a_folder_saves_when_it_is_stopped(tmp_path):
    """The whole command, on 8 figures of full size, without what only evaluation needs."""
    figures = render_people(range(2), 2)
    folder = tmp_path / "figures"
    folder.mkdir()
    arrays = {"image": figures.image, "classes": figures.class_map, "instances": figures.instance_map}
    np.savez(folder / "00000000.npz", **{name: values.numpy().reshape(2, 2, *values.shape[1:]) for name, values in arrays.items()})
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('mmcv', 'pycocotools', 'gradio')))\n"  # importing them fails
        "from training.parser.train import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "--output", str(tmp_path / "run"), "--figures", str(folder), "--people", "2", "--poses", "2"]
    process = subprocess.Popen([*command, "--batch", "2", "--minutes", "60", "--save-minutes", "0.02", "--device", "cpu"])
    weights = tmp_path / "run" / "weights" / "config.json"
    limit = time.monotonic() + 120
    while not weights.is_file() and time.monotonic() < limit and process.poll() is None:
        time.sleep(0.2)
    process.terminate()
    assert process.wait(60) == 143
    trained = FashionParser.from_pretrained(weights.parent)
    assert trained.config.pixels and "images of 4 rendered figures" in weights.read_text() and "CPU" in weights.read_text()
