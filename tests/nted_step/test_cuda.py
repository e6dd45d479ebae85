"""On a CUDA device, with the bundled weights: recorded steps compute what the generator computes, for whoever asks, in whatever order."""

import copy
import threading
from pathlib import Path

import pytest
import torch

from nted_step.benchmark.latency import benchmark, format_report
from nted_step.config import preset
from nted_step.execution import render_step
from nted_step.generator import Generator, Textures
from nted_step.hardware import device_name
from nted_step.image import load_photo
from nted_step.layers import FILTERS, Blur
from nted_step.optimisation.cuda_graphs import Graphs
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import load_pose_text, skeleton_map

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

ASSETS = Path(__file__).parents[2] / "assets"
PEOPLE = ("brown-coat", "green-dress")
POSES = ("navy-skirt", "striped-jumper")
NEAR = 45.0  # dB, for an image range of 2: bf16 arithmetic in another order
ROUNDED = 42.0  # dB from float32 after 20 steps, which carry on what each of them rounds


def decibels(a, b):
    return -10 * torch.log10((a.float() - b.float()).square().mean().clamp_min(1e-12) / 4).item()


@pytest.fixture(scope="module", autouse=True)
def exact_float32():
    """float32 convolutions may otherwise be computed with 10 bits of mantissa."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture(scope="module")
def pipeline():
    return NTEDStepPipeline.from_pretrained(ASSETS / "weights" / "lite", device="cuda")


@pytest.fixture(scope="module")
def people(pipeline):
    return [pipeline.encode(load_photo(ASSETS / "examples" / f"{name}.png", pipeline.config.size).image) for name in PEOPLE]


@pytest.fixture(scope="module")
def poses(pipeline):
    return [load_pose_text(ASSETS / "examples" / f"{name}.txt", pipeline.config.size) for name in POSES]


def images(pipeline, person, pose, **options):
    return [output.image for output in pipeline.generate(person, pose, **options)]


def drawn(pipeline, pose):
    return skeleton_map(pose, pipeline.config.size)[None].to(pipeline.device, pipeline.dtype, memory_format=torch.channels_last)


def test_it_is_the_graphs_that_are_tested(pipeline):
    assert isinstance(pipeline.execution, Graphs) and pipeline.dtype == torch.bfloat16 and "cuda" not in device_name(pipeline.device)


@torch.no_grad()
def test_recorded_steps_equal_the_generator(pipeline, people, poses):
    """Two people, poses and seeds, a step of one after the same step of the others."""
    asked = [(person, pose, seed) for person in people for pose in poses for seed in (0, 1)]
    chains = [
        [output.image for output in outputs]
        for outputs in zip(*zip(*(pipeline.generate(person, pose, seed=seed) for person, pose, seed in asked), strict=True), strict=True)
    ]
    for (person, pose, _), chain in zip(asked, chains, strict=True):
        for t in (0, 1, 9, 19):
            alone = render_step(pipeline.generator, person.extraction(t), chain[t][None], pipeline.condition(person, pose, t), t).image[0]
            assert chain[t + 1].dtype == torch.float32 and decibels(chain[t + 1], alone) > NEAR
    assert all(decibels(chain[-1], chains[0][-1]) < 35 for chain in chains[2:]), "other poses and people are other images"


@torch.no_grad()
def test_textures_equal_the_generator_s(pipeline, people):
    for person in people:
        for t in (0, 19):
            for ours, theirs in zip(person.textures(t).values, person.extraction(t).values, strict=True):
                assert (ours.float() - theirs.float()).norm() < 0.02 * theirs.float().norm()


def test_the_same_request_gives_the_same_images_after_others(pipeline, people, poses):
    first = images(pipeline, people[0], poses[0])
    images(pipeline, people[1], poses[1], seed=5)
    again = images(pipeline, people[0], poses[0])
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_stopped_request_leaves_the_next_one_right(pipeline, people, poses):
    expected = images(pipeline, people[1], poses[1])
    stream = pipeline.generate(people[0], poses[0])
    [next(stream) for _ in range(4)]
    stream.close()
    assert all(torch.equal(a, b) for a, b in zip(images(pipeline, people[1], poses[1]), expected, strict=True))


def test_going_on_from_a_step(pipeline, people, poses):
    outputs = list(pipeline.generate(people[0], poses[1], seed=2))
    again = list(pipeline.generate(people[0], poses[1], seed=2, start=outputs[12]))
    assert torch.equal(again[-1].image, outputs[-1].image)


@torch.no_grad()
def test_a_batch_equals_single_people(pipeline, people, poses):
    sources = torch.cat([person.source for person in people]).to(pipeline.dtype)
    skeletons = torch.cat([drawn(pipeline, pose) for pose in poses])
    textures = pipeline.execution.textures(sources, 3)
    together = pipeline.execution.step(textures, sources.float(), skeletons, 3)
    for i, person in enumerate(people):
        one = slice(i, i + 1)
        alone = pipeline.execution.step(person.textures(3), sources[one].float(), skeletons[one], 3)
        assert decibels(together[one], alone) > NEAR


def test_bf16_is_near_float32_after_all_steps(pipeline, people, poses):
    exact = NTEDStepPipeline.from_pretrained(ASSETS / "weights" / "lite", device="cuda", dtype="float32")
    for person, pose in zip(people, poses, strict=True):
        last = images(exact, exact.encode(person.source[0]), pose)[-1]
        assert decibels(images(pipeline, person, pose)[-1], last) >= ROUNDED


def test_bf16_of_the_published_size_is_near_float32():
    """That is what is asked for."""
    assert benchmark("base", "cuda", steps=1, repeats=1)["psnr_bf16"] >= NEAR


def test_float32_equals_the_processor(people, poses):
    here, there = (NTEDStepPipeline.from_pretrained(ASSETS / "weights" / "lite", device=name, dtype="float32") for name in ("cpu", "cuda"))
    photo = people[0].source[0]
    a, b = (images(p, p.encode(photo), poses[0], steps=3)[-1].cpu() for p in (here, there))
    assert decibels(a, b) > 70


def test_gradients_reach_the_textures(pipeline, people, poses):
    """The recorded steps know none, so the generator is called as it is."""
    generator, skeleton, t = pipeline.generator, drawn(pipeline, poses[0]), 19
    source, times, grads = people[0].source, torch.tensor([t], device=pipeline.device), []
    for render in (
        lambda values: pipeline.execution.step(Textures(values), source, skeleton, t),
        lambda values: generator.render(generator.encode_pose(source.to(pipeline.dtype), skeleton, times), Textures(values)).image,
    ):
        values = tuple(value.clone().requires_grad_() for value in people[0].textures(t).values)
        render(values).float().square().mean().backward()
        grads.append([value.grad for value in values])
    for ours, theirs in zip(*grads, strict=True):
        assert theirs.abs().sum() > 0 and (ours - theirs).float().norm() < 0.05 * theirs.float().norm()


@pytest.mark.parametrize(("padding", "gain"), [(1, 4.0), (2, 1.0)])
@torch.no_grad()
def test_every_way_of_smoothing_is_the_same_function(padding, gain):
    x = torch.randn(2, 32, 33, 24, device="cuda").to(memory_format=torch.channels_last)
    blur = Blur(padding, gain)
    blur.bias = torch.nn.Parameter(torch.randn(32))
    blur, half = blur.cuda(), copy.deepcopy(blur).to("cuda", torch.bfloat16)
    expected = blur(x)
    for way in FILTERS:
        blur.way = half.way = way
        assert torch.allclose(blur(x), expected, atol=1e-4)
        assert decibels(half(x.bfloat16()), expected) > 40


def test_benchmark_reports_what_a_gpu_adds(monkeypatch):
    small = preset("lite")
    report = benchmark("lite", "cuda", steps=2, repeats=2, batches=(2,), compare_plain=True)
    gpu = report["gpu"]
    assert set(gpu["new_pose_ms"]) == {"queued", "streamed", "eager"} and min(gpu["new_pose_ms"].values()) > 0
    assert 0 < gpu["floor"]["share"] < 1 and report["peak_reserved"] >= report["peak_memory"] > 0
    assert len(gpu["blurs"]) == 3 * (len(small.levels) - 1), "two encoders and the renderer"
    assert "queued" in format_report(report)


def test_threads_have_their_own_results_while_steps_are_recorded(people, poses):
    """Of a new pipeline, in a second thread; the first goes on with a recorded one."""
    old, new = (NTEDStepPipeline.from_pretrained(ASSETS / "weights" / "lite", device="cuda") for _ in range(2))
    expected = [images(old, person, pose)[-1] for person, pose in zip(people, poses, strict=True)]
    found, start = {}, threading.Barrier(4)

    def run(name, pipeline, i):
        person = pipeline.encode(people[i].source[0])
        start.wait(timeout=60)
        found[name, i] = [images(pipeline, person, poses[i])[-1] for _ in range(3)]

    threads = [threading.Thread(target=run, args=(name, p, i)) for name, p in (("old", old), ("new", new)) for i in (0, 1)]
    [thread.start() for thread in threads]
    [thread.join(timeout=120) for thread in threads]
    assert set(found) == {("old", 0), ("old", 1), ("new", 0), ("new", 1)}
    for (_, i), several in found.items():
        assert all(decibels(image, expected[i]) > NEAR for image in several)
        assert decibels(several[0], expected[1 - i]) < 35


def test_a_generator_in_training_is_not_recorded():
    with pytest.raises(ValueError, match="evaluation mode"):
        Graphs(Generator(preset("lite")).train())
