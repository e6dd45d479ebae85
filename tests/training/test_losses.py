"""The perceptual losses, on a VGG with random weights, and what takes their place."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from training import losses
from training.data.figure_store import figure_store
from training.objective import Objective, without_vgg
from training.perceptual import MEAN, VGGFeatures
from training.rollout import ChainRollout
from training.settings import LossWeights, Settings


@pytest.fixture(scope="module")
def vgg():
    torch.manual_seed(0)
    return VGGFeatures()


def test_vgg_taps_the_first_relu_of_every_block(vgg):
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    features = vgg(image)
    assert [tuple(f.shape[1:]) for f in features] == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2)]
    normal = ((image + 1) / 2 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    first = vgg.layers[0]
    assert torch.allclose(features[0], F.conv2d(normal, first.weight, first.bias, padding=1).relu(), atol=1e-5)
    assert not any(p.requires_grad for p in vgg.parameters())


def test_perceptual_loss_sums_layers_and_is_zero_for_the_target():
    real, fake = (torch.zeros(2, 1, 2, 2), torch.zeros(2, 2, 1, 1)), (torch.ones(2, 1, 2, 2), 3 * torch.ones(2, 2, 1, 1))
    assert losses.perceptual(real, fake).item() == pytest.approx(4)
    assert losses.perceptual(fake, fake) == 0 and losses.style(fake, fake) == 0


def test_gram_and_style_against_a_sum_by_hand():
    x = torch.randn(2, 3, 4, 5)
    by_hand = torch.tensor([[[(x[b, i] * x[b, j]).sum() / (3 * 20) for j in range(3)] for i in range(3)] for b in range(2)])
    assert torch.allclose(losses.gram(x), by_hand, atol=1e-6)
    moved = x.flip(3)  # the same values elsewhere: style does not care where things are
    assert losses.style((x,), (moved,)).item() == pytest.approx(0, abs=1e-6) and losses.perceptual((x,), (moved,)) > 0.1


def test_face_crop_is_centred_between_the_eyes():
    image = torch.zeros(1, 3, 64, 44)
    image[:, :, 20, 30] = 1
    crop = losses.face_crop(image, torch.tensor([[28.0, 20.0, 32.0, 20.0]]))
    peak = crop[0, 0].flatten().argmax().item()
    assert crop.shape == (1, 3, 16, 16) and (peak // 16, peak % 16) in {(8, 8), (8, 9), (9, 8), (9, 9), (7, 7), (7, 8), (8, 7)}


def test_a_hidden_face_is_a_crop_of_zeros():
    image = torch.rand(3, 3, 64, 44, requires_grad=True)
    seen, at_the_corner = [28.0, 20.0, 32.0, 20.0], [-1.0, -1.0, 3.0, -1.0]
    crop = losses.face_crop(image, torch.tensor([seen, [-1.0] * 4, at_the_corner]))
    assert crop[1].eq(0).all() and crop[0].gt(0).all() and crop[2].gt(0).all()
    assert torch.equal(crop[:1], losses.face_crop(image[:1], torch.tensor([seen])))
    crop.sum().backward()
    assert image.grad[1].eq(0).all() and image.grad[0].gt(0).any()


@pytest.fixture
def steps(tmp_path_factory, tiny_config, tiny_generator):
    store = figure_store(tmp_path_factory.getbasetemp() / "losses", (64, 44), 4, 2, 50, (64, 44))
    return ChainRollout(tiny_config, store, np.random.default_rng(0), 4).run(tiny_generator, torch.device("cpu"))


def test_figures_say_where_their_eyes_are(steps):
    pairs = steps[0].pairs
    seen = (pairs.face >= 0).all(dim=1)
    assert seen.any()
    for face, classes in zip(pairs.face[seen], pairs.target_classes[seen], strict=True):
        x, y = face.view(2, 2).mean(dim=0).round().long()
        assert classes[y - 2 : y + 3, x - 2 : x + 3].eq(15).any()


def test_perceptual_and_face_losses_reach_the_generator(steps, vgg, tiny_generator):
    weights = LossWeights(pixel=0, attention=0, perceptual=2.0, face=1.0)
    total, parts = Objective(Settings(), weights, vgg, "cpu").generator(steps, torch.nn.Identity())
    assert set(parts) == {"perceptual", "face"} and all(value > 0 for value in parts.values())
    total.backward()
    assert all(p.grad is not None for p in tiny_generator.target_image_renderer.parameters())


def test_a_batch_without_faces_has_no_face_loss(steps, vgg):
    pairs = dataclasses.replace(steps[0].pairs, face=torch.full((4, 4), -1.0))
    blind = [dataclasses.replace(steps[0], pairs=pairs)]
    _, parts = Objective(Settings(), LossWeights(face=1.0), vgg, "cpu").generator(blind, torch.nn.Identity())
    assert parts["face"] == 0 and parts["face"].requires_grad


def test_feature_matching_takes_the_place_of_vgg():
    weights = without_vgg(LossWeights(perceptual=2.0, face=1.0, features=1.0))
    assert (weights.perceptual, weights.face, weights.features) == (0, 0, 4)
    assert without_vgg(LossWeights(features=1.0)).features == 1
