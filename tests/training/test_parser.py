"""Training of the parser on figures, at a tiny size."""

import dataclasses

import numpy as np
import pytest
import torch

from appearance_control.parser import FashionParser, Instance, Parse
from tests.appearance_control.conftest import TINY_PARSER
from training.figures import render_people
from training.parser import ParserTrainer, losses, main, train, trainer_batch
from training.parser_data import instances_of, make_batch, parser_store, soften
from training.parser_evaluate import evaluate

SIZE = (64, 44)
CONFIG = dataclasses.replace(TINY_PARSER, widths=(16, 16, 16, 16), pyramid=16, hidden=32)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return parser_store(tmp_path_factory.mktemp("data"), people=4, poses=2, seed=0, size=SIZE)


def test_store_holds_what_was_rendered(store):
    assert len(store) == 8
    batch = render_people([0, 1, 2, 3], 2, SIZE)
    assert np.array_equal(store.instances, batch.instance_map.numpy()) and np.array_equal(store.image, batch.image.numpy())


def test_targets_are_exact():
    classes, instances = torch.zeros(2, 10, 12, dtype=torch.uint8)
    instances[2:6, 3:9], classes[2:6, 3:9] = 4, 7
    instances[9, 0] = 5  # a single pixel is not asked for
    target = instances_of(classes, instances)
    assert target["boxes"].tolist() == [[3, 2, 9, 6]] and target["labels"].tolist() == [7]
    assert target["masks"].sum() == 24 and target["masks"].shape == (1, 10, 12)
    empty = instances_of(classes, torch.zeros_like(instances))
    assert empty["boxes"].shape == (0, 4) and empty["masks"].shape == (0, 10, 12)


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
    first = np.mean([sum(trainer.step(trainer_batch(trainer, store, 4)).values()) for _ in range(5)])
    for _ in range(50):
        trainer.step(trainer_batch(trainer, store, 4))
    last = np.mean([sum(trainer.step(trainer_batch(trainer, store, 4)).values()) for _ in range(5)])
    assert last < 0.7 * first
    weights = trainer.save(tmp_path, "8 figures")
    assert FashionParser.from_pretrained(weights).config == CONFIG

    again = ParserTrainer(CONFIG, minutes=5, lr=3e-3, precision="float32")
    again.restore(torch.load(next(tmp_path.glob("checkpoint_*.pt")), weights_only=True))
    assert again.iteration == trainer.iteration == 60 and again.elapsed == trainer.elapsed
    assert all(torch.equal(a, b) for a, b in zip(again.network.state_dict().values(), trainer.network.state_dict().values(), strict=True))
    other = ParserTrainer(TINY_PARSER, minutes=5, lr=3e-3)
    with pytest.raises(ValueError, match="another shape"):
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
        values.append(sum(losses(trainer.network, batch, precision).values()).item())
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
    report = evaluate(perfect(4, 9_000_000), 4, 9_000_000, SIZE)
    assert report["box"]["ap"] == pytest.approx(1) and report["mask"]["ap"] == pytest.approx(1)
    present = {name for name, count in report["instances"].items() if count}
    assert present and {name for name, ap in report["mask"]["per_class"].items() if ap is not None} == present
    nothing = evaluate(lambda _: Parse(SIZE, ()), 4, 9_000_000, SIZE)
    assert nothing["box"]["ap"] == 0 and nothing["mask"]["ap"] == 0


def test_test_people_cannot_be_trained_on(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--output", str(tmp_path), "--people-seed", "8999999", "--people", "2"])
    assert "kept for tests" in capsys.readouterr().err
