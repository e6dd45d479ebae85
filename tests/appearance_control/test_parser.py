import json

import numpy as np
import pytest
import torch

from appearance_control.__main__ import main
from appearance_control.classes import PartError, classes_of, labels_of
from appearance_control.convert import rename
from appearance_control.detection import detect, prepare, propose
from appearance_control.network import MMFASHION, SMALL, ParserConfig, build_network
from appearance_control.parser import FashionParser, Instance, Parse, save_parser
from nted_step.classes import CLASSES, LABELS
from nted_step.weights import WeightsError
from tests.appearance_control.conftest import TINY_PARSER


def test_groups():
    assert len(CLASSES) == 15 and LABELS["footwear"] == 12
    assert classes_of("upper") == ("top", "dress", "outer") and classes_of("hair") == ("hair",)
    assert labels_of(["shoes", "top"]) == {12, 1}
    with pytest.raises(PartError, match="unknown part 'cape'; choose from upper, lower"):
        classes_of("cape")


def test_parse_finds_instances_inside_the_photo(tiny_parser):
    parse = tiny_parser.parse(np.random.default_rng(0).integers(0, 255, (64, 44, 3), dtype=np.uint8))
    assert parse.instances
    for instance in parse.instances:
        assert instance.mask.shape == (64, 44) and instance.mask.any() and 1 <= instance.label <= 15 and 0.05 < instance.score <= 1
    scores = [instance.score for instance in parse.instances]
    assert scores == sorted(scores, reverse=True)


def test_inference_agrees_with_torchvisions_own_heads(tiny_parser):
    """At scale 1 the rules differ from torchvision only by the '+1' of pixels; scores of the same proposals must be equal."""
    network = tiny_parser.network
    prepared = prepare(np.random.default_rng(3).integers(0, 255, (64, 44, 3), dtype=np.uint8), TINY_PARSER.resize)
    features = network.backbone(prepared.image)
    proposals = propose(network, list(features.values()), prepared.size, 20)
    theirs, _ = network.roi_heads(features, [proposals], [tuple(prepared.image.shape[-2:])])
    ours, masks = detect(network, prepared, 20)
    assert ours.scores[0] == pytest.approx(float(theirs[0]["scores"].max()), abs=1e-5)
    assert ours.labels[0] == theirs[0]["labels"][theirs[0]["scores"].argmax()] and masks.shape == (len(ours.scores), 64, 44)


@pytest.mark.parametrize(
    ("faces", "people"),
    [
        ([], 1),
        ([(0.9, 40)], 1),
        ([(0.9, 40), (0.8, 12)], 2),
        ([(0.9, 40), (0.8, 8)], 1),  # a face on a print, or far behind
        ([(0.9, 40), (0.45, 30)], 1),  # hair that might be a face
    ],
)
def test_people_are_counted_by_faces_of_similar_size_that_are_clear(faces, people):
    found = [Instance(15, score, (0.0, 0.0, 1.0, 1.0), np.arange(64 * 44).reshape(64, 44) < area) for score, area in faces]
    assert Parse((64, 44), tuple(found)).people() == people


def test_wrong_arrays_are_refused(tiny_parser):
    for wrong in (np.zeros((64, 44), np.uint8), np.zeros((64, 44, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ValueError, match="H x W x 3 uint8"):
            tiny_parser.parse(wrong)


def test_weights_round_trip(tiny_parser, tmp_path):
    folder = save_parser(tmp_path / "p", tiny_parser.network, TINY_PARSER, {"summary": "random"}, torch.float32)
    again = FashionParser.from_pretrained(folder)
    photo = np.random.default_rng(0).integers(0, 255, (64, 44, 3), dtype=np.uint8)
    assert [i.score for i in again.parse(photo).instances] == [i.score for i in tiny_parser.parse(photo).instances]
    assert again.config == TINY_PARSER and len(again.sha256) == 64


def test_half_precision_weights_fit_the_box():
    parameters = sum(p.numel() for p in build_network(SMALL).parameters())
    assert parameters * 2 <= 15e6


def test_damaged_and_foreign_weights_are_named(tiny_parser, tiny_weights, tmp_path):
    folder = save_parser(tmp_path / "p", tiny_parser.network, TINY_PARSER, {})
    with pytest.raises(WeightsError, match="'parser' is missing"):
        FashionParser.from_pretrained(tiny_weights)
    config = folder / "config.json"
    document = json.loads(config.read_text())
    document["parser"]["hidden"] = 17
    config.write_text(json.dumps(document))
    with pytest.raises(WeightsError, match="has shape"):
        FashionParser.from_pretrained(folder)
    (folder / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(WeightsError, match="damaged"):
        FashionParser.from_pretrained(folder)
    with pytest.raises(WeightsError, match="no such folder"):
        FashionParser.from_pretrained(tmp_path / "none")


@pytest.mark.parametrize("wrong", [{"backbone": "vgg"}, {"labels": 3}, {"size": 3}, {"resize": [9, 3]}, {"hidden": "many"}])
def test_wrong_configurations_are_refused(wrong):
    with pytest.raises(ValueError):
        ParserConfig.from_dict({**MMFASHION.to_dict(), **wrong})


def mmdetection_names() -> dict[str, tuple[int, ...]]:
    """Names and shapes of mmdetection 1.x's Mask R-CNN R50-FPN, written out from its layers and not through our renaming."""
    names: dict[str, tuple[int, ...]] = {}

    def norm(name, width):
        names.update({f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")})
        names[f"{name}.num_batches_tracked"] = ()

    def layer(name, *shape):
        names[f"{name}.weight"], names[f"{name}.bias"] = shape, (shape[0],)

    names["backbone.conv1.weight"] = (64, 3, 7, 7)
    norm("backbone.bn1", 64)
    before = 64
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), 1):
        for block in range(blocks):
            at = f"backbone.layer{stage}.{block}"
            names[f"{at}.conv1.weight"], names[f"{at}.conv2.weight"], names[f"{at}.conv3.weight"] = (
                (width, before, 1, 1),
                (width, width, 3, 3),
                (4 * width, width, 1, 1),
            )
            norm(f"{at}.bn1", width), norm(f"{at}.bn2", width), norm(f"{at}.bn3", 4 * width)
            if block == 0:
                names[f"{at}.downsample.0.weight"] = (4 * width, before, 1, 1)
                norm(f"{at}.downsample.1", 4 * width)
            before = 4 * width
    for level, width in enumerate((256, 512, 1024, 2048)):
        layer(f"neck.lateral_convs.{level}.conv", 256, width, 1, 1)
        layer(f"neck.fpn_convs.{level}.conv", 256, 256, 3, 3)
    layer("rpn_head.rpn_conv", 256, 256, 3, 3), layer("rpn_head.rpn_cls", 3, 256, 1, 1), layer("rpn_head.rpn_reg", 12, 256, 1, 1)
    layer("bbox_head.shared_fcs.0", 1024, 256 * 49), layer("bbox_head.shared_fcs.1", 1024, 1024)
    layer("bbox_head.fc_cls", 81, 1024), layer("bbox_head.fc_reg", 324, 1024)
    for number in range(4):
        layer(f"mask_head.convs.{number}.conv", 256, 256, 3, 3)
    layer("mask_head.upsample", 256, 256, 2, 2), layer("mask_head.conv_logits", 81, 256, 1, 1)
    return names


def test_all_360_names_map_one_to_one_with_equal_shapes():
    theirs = mmdetection_names()
    assert len(theirs) == 360
    with torch.device("meta"):
        ours = {key: tuple(value.shape) for key, value in build_network(MMFASHION).state_dict().items()}
    assert {rename(key): shape for key, shape in theirs.items()} == ours


def test_convert_reads_a_checkpoint_and_names_wrong_files(tmp_path, capsys):
    generator = torch.Generator().manual_seed(0)
    state = {
        name: torch.rand(shape, generator=generator) * 0.02 if shape else torch.tensor(1) for name, shape in mmdetection_names().items()
    }
    path = tmp_path / "epoch_15.pth"
    torch.save({"state_dict": state, "meta": {"CLASSES": ["top"]}}, path)
    assert main(["convert", str(path), "--output", str(tmp_path / "out")]) == 0
    parser = FashionParser.from_pretrained(tmp_path / "out")
    assert torch.equal(parser.network.roi_heads.box_head.fc7.weight, state["bbox_head.shared_fcs.1.weight"])

    for name, document, message in (
        (
            "missing",
            {"state_dict": {k: v for k, v in state.items() if k != "neck.fpn_convs.2.conv.bias"}},
            "'backbone.fpn.layer_blocks.2.0.bias' is missing",
        ),
        ("foreign", {"state_dict": {"head.weight": torch.ones(1)}}, "'head.weight' does not belong"),
        ("shape", {"state_dict": {**state, "rpn_head.rpn_cls.bias": torch.ones(5)}}, "has shape"),
        ("other", {"model": {}}, "holds no 'state_dict'"),
    ):
        torch.save(document, tmp_path / f"{name}.pth")
        assert main(["convert", str(tmp_path / f"{name}.pth"), "--output", str(tmp_path / name)]) == 2
        printed = capsys.readouterr().err
        assert message in printed and f"{name}.pth" in printed and printed.count("\n") == 1
        assert not (tmp_path / name).exists()
    (tmp_path / "noise.pth").write_bytes(b"not a checkpoint")
    assert main(["convert", str(tmp_path / "noise.pth"), "--output", str(tmp_path / "n")]) == 2
    assert "damaged" in capsys.readouterr().err


def test_parse_command_writes_overlay_masks_and_coco(tiny_parser, photos, tmp_path):
    weights = save_parser(tmp_path / "p", tiny_parser.network, TINY_PARSER, {}, torch.float32)
    assert main(["parse", str(photos[0]), "--output", str(tmp_path / "out"), "--parser", str(weights)]) == 0
    document = json.loads((tmp_path / "out" / "parse.json").read_text())
    assert document["images"][0]["file_name"] == "1.png" and len(document["categories"]) == 15
    assert len(list((tmp_path / "out" / "masks").glob("*.png"))) == len(document["annotations"]) > 0
    assert (tmp_path / "out" / "overlay.png").stat().st_size > 0


def test_parse_command_names_what_it_cannot_read(tmp_path, capsys):
    assert main(["parse", str(tmp_path / "none.png"), "--output", str(tmp_path / "out"), "--parser", str(tmp_path)]) == 2
    assert "config.json" in capsys.readouterr().err
