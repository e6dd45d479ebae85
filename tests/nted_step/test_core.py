"""Ladder, operations, generator and sampler: identities that must hold for any weights."""

import copy
import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from nted_step.benchmark.latency import benchmark, format_report
from nted_step.benchmark.reference import plain
from nted_step.config import PRESETS, NTEDStepConfig, preset
from nted_step.execution import Eager
from nted_step.generator import Generator, Textures
from nted_step.layers import GAIN, BiasedLeakyReLU, EqualConvTranspose2d
from nted_step.optimisation.folding import fold
from nted_step.optimisation.packing import PackedPhases, can_pack, pack
from nted_step.person import Person
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import PoseError
from nted_step.sampler import sample
from nted_step.schedule import degrade, ladder, seeded_noise, start_image
from nted_step.textures import Extraction


def test_published_ladder():
    sizes = ladder(preset("base"))
    assert len(sizes) == 21
    assert sizes[0] == (8, 5) and sizes[1] == (20, 14) and sizes[5] == (70, 48) and sizes[20] == (256, 176)


def test_ladder_of_a_growing_stage_is_the_final_one_clipped(tiny_config):
    stage = dataclasses.replace(preset("lite"), size=(64, 44), grows_to=(256, 176), **{
        name: {level: value for level, value in getattr(preset("lite"), name).items() if level <= 64}
        | ({64: 0} if name == "labels" else {})
        for name in ("channels", "labels", "kernels")
    })  # fmt: skip
    assert ladder(stage)[:4] == ladder(preset("lite"))[:4]
    assert set(ladder(stage)[5:]) == {(64, 44)}


def test_degrade_is_the_identity_at_the_last_level_and_loses_detail_before():
    image = torch.rand(1, 3, 64, 44)
    assert torch.equal(degrade(image, (64, 44)), image)
    errors = [(degrade(image, size) - image).abs().mean().item() for size in ((8, 5), (20, 14), (45, 31))]
    assert errors == sorted(errors, reverse=True) and errors[-1] > 0.01


def test_preset_sizes():
    counts = {name: sum(p.numel() for p in Generator(config).parameters()) / 1e6 for name, config in PRESETS.items()}
    assert counts["base"] == pytest.approx(42.35, abs=0.01)
    assert counts["fashion_512"] == pytest.approx(42.61, abs=0.01)
    assert counts["lite"] * 2 <= 12  # MB as fp16


def test_config_survives_json_and_refuses_nonsense(tiny_config):
    assert NTEDStepConfig.from_dict(tiny_config.to_dict()) == tiny_config
    with pytest.raises(ValueError, match="unknown preset 'huge'"):
        preset("huge")
    with pytest.raises(ValueError, match="unknown configuration key 'colour'"):
        NTEDStepConfig.from_dict(tiny_config.to_dict() | {"colour": 1})
    with pytest.raises(ValueError, match="height"):
        dataclasses.replace(tiny_config, size=(60, 44))


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("channels", [8, 12])
def test_textures_equal_attention_over_the_value_convolution(channels, kernel):
    """Whichever of the two orders is taken, for values and for gradients of the features and of every weight."""
    torch.manual_seed(0)
    operation, features = Extraction(channels, 5, kernel), torch.randn(2, channels, 12, 9, requires_grad=True)
    operation.value_conv.bias.data.normal_()
    assert operation.direct == (channels == 8)
    textures, attention = operation(features)
    values = operation.value_conv(features)
    expected = torch.bmm(values.flatten(2), attention.flatten(2).transpose(1, 2))
    assert torch.allclose(textures, expected, atol=1e-5)
    assert torch.allclose(attention.flatten(2).sum(-1), torch.ones(2, 5))
    inputs, pull = [features, *operation.parameters()], torch.randn_like(textures)
    for ours, theirs in zip(*(torch.autograd.grad(out, inputs, pull, retain_graph=True) for out in (textures, expected)), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4)


def test_blur_and_upsampling_equal_zero_insertion():
    from nted_step.layers import Upsample, binomial_kernel

    x = torch.randn(1, 2, 5, 4)
    inserted = torch.zeros(1, 2, 10, 8)
    inserted[:, :, ::2, ::2] = x
    kernel = binomial_kernel(4.0).expand(2, 1, 4, 4)
    assert torch.allclose(Upsample()(x), F.conv2d(F.pad(inserted, (2, 1, 2, 1)), kernel, groups=2), atol=1e-6)
    assert pytest.approx(2) == GAIN**2


def test_every_parameter_gets_a_gradient(tiny_generator, tiny_config):
    x = torch.randn(2, 3, *tiny_config.size)
    rendering, _ = tiny_generator(x, x, torch.rand(2, 20, *tiny_config.size), torch.tensor([0, 3]))
    rendering.image.square().mean().backward()
    silent = [name for name, p in tiny_generator.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A semantic filter's shift common to all positions or labels does not change a softmax; everything else must move.
    assert silent == []


def test_textures_do_not_depend_on_pose_and_batch_equals_single(tiny_generator, tiny_config):
    tiny_generator.eval()
    source, x = torch.randn(3, 3, *tiny_config.size), torch.randn(3, 3, *tiny_config.size)
    skeleton, t = torch.rand(3, 20, *tiny_config.size), torch.tensor([0, 1, 3])
    with torch.no_grad():
        both, _ = tiny_generator(source, x, skeleton, t)
        for i in range(3):
            one = slice(i, i + 1)
            textures = tiny_generator.encode_reference(source[one], t[one])
            alone = tiny_generator.render(tiny_generator.encode_pose(x[one], skeleton[one], t[one]), textures)
            assert torch.allclose(alone.image, both.image[one], atol=1e-4)


def test_sampler_yields_each_step_and_can_restart(pipeline, standing):
    person = pipeline.encode(torch.rand(3, 64, 44) * 2 - 1)
    outputs = list(pipeline.generate(person, standing, seed=3))
    assert [output.step for output in outputs] == [0, 1, 2, 3, 4]
    assert [output.size for output in outputs] == list(pipeline.ladder)
    again = list(pipeline.generate(person, standing, seed=3, start=outputs[2]))
    assert [output.step for output in again] == [2, 3, 4]
    assert torch.equal(again[-1].image, outputs[-1].image)
    assert [o.step for o in pipeline.generate(person, standing, steps=2)] == [0, 1, 2]


def test_same_seed_same_result_other_seed_other(pipeline, standing):
    photo = torch.rand(3, 64, 44) * 2 - 1
    first, second, other = (list(pipeline.generate(pipeline.encode(photo), standing, seed=seed))[-1].image for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.allclose(first, other)


@pytest.mark.parametrize("seed", [2**64, -(2**63) - 1, int("9" * 4000)])
def test_a_seed_of_more_than_64_bits_is_one_line(seed):
    with pytest.raises(ValueError, match="at most 64 bits") as error:
        seeded_noise(seed, (2, 2))
    assert len(str(error.value)) < 100
    assert seeded_noise(2**64 - 1, (2, 2)).shape == seeded_noise(-(2**63), (2, 2)).shape


def test_step_zero_is_the_degraded_source_with_noise(tiny_config):
    source = torch.rand(1, 3, *tiny_config.size)
    noise = seeded_noise(5, tiny_config.size)
    assert torch.allclose(start_image(source, noise, tiny_config), degrade(source, (8, 5)) + noise)


def test_a_person_is_encoded_once_per_step(pipeline, standing, monkeypatch):
    calls = []
    encode = pipeline.generator.encode_reference
    monkeypatch.setattr(pipeline.generator, "encode_reference", lambda source, t: calls.append(int(t)) or encode(source, t))
    person = pipeline.encode(torch.rand(3, 64, 44) * 2 - 1)
    for _ in range(3):
        list(pipeline.generate(person, standing))
    assert calls == [0, 1, 2, 3]
    assert person.nbytes > 0


def test_work_stops_when_nobody_asks(tiny_generator, tiny_config):
    asked, execution = [], Eager(tiny_generator)
    source = torch.zeros(1, 3, *tiny_config.size)

    class Watched(Person):
        def textures(self, t):
            asked.append(t)
            return super().textures(t)

    stream = sample(execution, Watched(source, execution), torch.zeros(1, 20, *tiny_config.size), source)
    next(stream), next(stream)
    stream.close()
    assert asked == [0]


@torch.no_grad()
@pytest.mark.skipif(not can_pack(torch.device("cpu"), torch.float32), reason="needs oneDNN on an x86 processor")
def test_a_transposed_convolution_is_four_phases():
    plain, x = EqualConvTranspose2d(5, 7, 3, bias=False), torch.randn(2, 5, 6, 9).to(memory_format=torch.channels_last)
    phases = PackedPhases(plain)
    for other in (x, x.flip(0)):
        assert torch.allclose(phases(other), plain(other), atol=1e-5)
    assert phases(x).is_contiguous(memory_format=torch.channels_last) and len(phases.packed) == 4


def test_folded_packed_and_plain_models_compute_the_same(tiny_generator, tiny_config):
    """Neither constants and layouts prepared for inference nor the research code's long way change an image, texture or label."""
    for name, parameter in tiny_generator.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    folded = fold(fold(copy.deepcopy(tiny_generator).requires_grad_(False))).to(memory_format=torch.channels_last)
    source, skeleton, t = torch.rand(2, 3, *tiny_config.size), torch.rand(2, 20, *tiny_config.size), torch.tensor([0, 3])
    with torch.no_grad():
        expected, textures = tiny_generator(source, source, skeleton, t)
        others = [folded, plain(tiny_generator)]
        if can_pack(torch.device("cpu"), torch.float32):
            others.append(pack(copy.deepcopy(folded)))
        for other in others:
            rendering, found = other(source, source, skeleton, t)
            assert torch.allclose(rendering.image, expected.image, atol=1e-4)
            for ours, theirs in zip(found.values + rendering.distribution, textures.values + expected.distribution, strict=True):
                assert torch.allclose(ours, theirs, atol=1e-4)
    assert not any(isinstance(module, BiasedLeakyReLU) for module in folded.modules()), "something was left to fold"


def test_folding_leaves_gradients_to_the_textures(tiny_generator, tiny_config):
    """A packed convolution steps aside where they are wanted."""
    folded = pack(fold(tiny_generator.requires_grad_(False)))
    source, t = torch.rand(1, 3, *tiny_config.size), torch.tensor([1])
    values = tuple(value.requires_grad_() for value in folded.encode_reference(source, t).values)
    features = folded.encode_pose(source, torch.rand(1, 20, *tiny_config.size), t)
    folded.render(features, Textures(values)).image.square().sum().backward()
    assert all(value.grad.abs().sum() > 0 for value in values)


def test_benchmark_compares_with_the_plain_loop(tiny_config, monkeypatch):
    monkeypatch.setattr("nted_step.benchmark.latency.preset", lambda name: tiny_config)
    report = benchmark("lite", "cpu", steps=2, repeats=1, compare_plain=True, batches=(1, 3))
    best = report[report["best"]]
    assert report["psnr_plain"] > 80 and report["psnr_bf16"] > 25
    assert report["warm_speedup"] == pytest.approx(report["plain"] / best["warm"])
    assert report["cold_speedup"] == pytest.approx(report["plain"] / best["cold"]) and report["peak_fraction"] == best["fraction"]
    assert set(report["images_per_second"]) == {1, 3} and min(report["images_per_second"].values()) > 0
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        x = torch.zeros(1, 3, *tiny_config.size)
        Generator(tiny_config)(x, x, torch.zeros(1, 20, *tiny_config.size), torch.tensor([0]))
    assert best["gflop_cold"] == pytest.approx(counted.get_total_flops() / 1e9) and best["gflop_warm"] < best["gflop_cold"]
    assert "times faster" in format_report(report) and "batch 3" in format_report(report)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_close(tiny_weights, standing, dtype):
    photo = torch.rand(3, 64, 44) * 2 - 1
    full, half = (NTEDStepPipeline.from_pretrained(tiny_weights, device="cpu", dtype=d) for d in ("float32", dtype))
    a, b = (list(p.generate(p.encode(photo), standing, steps=1))[-1].image for p in (full, half))
    assert (a - b).square().mean() < 0.01 * a.square().mean()


def test_poses_that_cannot_be_drawn_are_refused(pipeline, standing):
    person = pipeline.encode(torch.zeros(3, 64, 44))
    nothing = dataclasses.replace(standing, visible=[False] * 18)
    with pytest.raises(PoseError, match="no limb"):
        next(pipeline.generate(person, nothing))
    xy = standing.xy.copy()
    xy[4] = (500, 20)
    with pytest.raises(PoseError, match=r"'right wrist'.*outside"):
        next(pipeline.generate(person, dataclasses.replace(standing, xy=xy)))
