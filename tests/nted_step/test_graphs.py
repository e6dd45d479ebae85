"""What surrounds recorded steps, on any device: copying in and out, room, turns; and the ways of smoothing, which are one function."""

import threading

import pytest
import torch

from nted_step.benchmark.gpu import step_bytes
from nted_step.execution import Eager, render_step
from nted_step.generator import DownLevel, StyledConv, Textures
from nted_step.layers import FILTERS, Blur, EqualConvTranspose2d
from nted_step.optimisation import cuda_graphs
from nted_step.optimisation.blur import FusedConv, inputs_of, turn_transposed
from nted_step.optimisation.cuda_graphs import Graphs
from nted_step.optimisation.folding import fold
from nted_step.person import Person
from nted_step.sampler import sample


def rerun(call):
    """A recording on any device: repeating it computes anew and overwrites the results of the time before."""
    results = [result.clone() for result in call()]
    return (lambda: torch._foreach_copy_(results, list(call()))), results


@pytest.fixture
def folded(tiny_generator):
    for name, parameter in tiny_generator.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return fold(tiny_generator.eval().requires_grad_(False)).to(memory_format=torch.channels_last)


@pytest.fixture
def inputs(tiny_config):
    """number of people -> source, skeleton"""
    return lambda count, seed: torch.rand(count, 23, *tiny_config.size, generator=torch.Generator().manual_seed(seed)).split((3, 20), dim=1)


@torch.no_grad()
def expected(generator, source, skeleton, t):
    values = generator.encode_reference(source, torch.full((len(source),), t)).values
    return values, render_step(generator, Textures(values), source, skeleton, t).image


@torch.no_grad()
def test_every_result_is_that_of_its_own_inputs(folded, inputs):
    """In a row of mixed people, steps and batch sizes; earlier results stay as they were."""
    steps, kept = Graphs(folded, rerun), []
    for count, seed, t in [(1, 0, 0), (1, 1, 3), (2, 2, 1), (1, 0, 2), (2, 3, 0)]:
        source, skeleton = inputs(count, seed)
        values, image = expected(folded, source, skeleton, t)
        textures = steps.textures(source, t)
        kept.append(((*textures.values, steps.step(textures, source, skeleton, t)), (*values, image)))
    for ours, theirs in kept:
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, theirs, strict=True))


@torch.no_grad()
def test_a_half_is_recorded_once_for_a_batch_size_and_the_oldest_makes_room(folded, inputs, monkeypatch):
    monkeypatch.setattr(cuda_graphs, "MOST_RECORDED", 2)
    recordings = []
    steps = Graphs(folded, lambda call: recordings.append(len(recordings)) or rerun(call))
    for count, known in [(1, 1), (1, 1), (2, 2), (1, 2), (3, 3), (1, 3), (2, 4)]:
        steps.textures(inputs(count, 0)[0], 1)
        assert len(recordings) == known, "3 took the place of 2, which was used before 1"


def test_threads_take_turns(folded, inputs):
    steps, found, start = Graphs(folded, rerun), {}, threading.Barrier(3)

    def run(seed):
        source, skeleton = inputs(1, seed)
        start.wait(timeout=60)
        chain = sample(steps, Person(source, steps), skeleton, source)
        found[seed] = [output.image for output in chain]

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(3)]
    [thread.start() for thread in threads]
    [thread.join(timeout=120) for thread in threads]
    for seed, images in found.items():
        source, skeleton = inputs(1, seed)
        alone = sample(Eager(folded), Person(source, Eager(folded)), skeleton, source)
        assert all(torch.allclose(a, b.image, atol=1e-4) for a, b in zip(images, alone, strict=True))
    assert set(found) == {0, 1, 2}


def test_what_cannot_be_recorded_is_raised_and_the_next_call_works(folded, inputs):
    failing = [RuntimeError("out of memory")]

    def record(call):
        if failing:
            raise failing.pop()
        return rerun(call)

    steps, (source, skeleton) = Graphs(folded, record), inputs(1, 0)
    with torch.no_grad():
        with pytest.raises(RuntimeError, match="out of memory"):
            steps.textures(source, 0)
        assert torch.allclose(steps.textures(source, 0).values[0], expected(folded, source, skeleton, 0)[0][0], atol=1e-5)


def test_gradients_take_the_generator_itself(folded, inputs):
    """As it is on a GPU: folded and not packed."""
    steps, (source, skeleton) = Graphs(folded, rerun), inputs(1, 0)
    values = tuple(value.requires_grad_() for value in steps.textures(source, 1).values)
    steps.step(Textures(values), source, skeleton, 1).square().sum().backward()
    assert all(value.grad.abs().sum() > 0 for value in values) and not steps._recorded


def test_only_a_generator_in_evaluation_mode_is_recorded(tiny_generator):
    with pytest.raises(ValueError, match="evaluation mode"):
        Graphs(tiny_generator.train())


def test_transposed_weights_are_turned_once_and_stay_the_same(folded, inputs):
    source, skeleton = inputs(1, 0)
    before = expected(folded, source, skeleton, 1)[1]
    turn_transposed(folded)
    turned = [module.weight.transpose(0, 1) for module in folded.modules() if isinstance(module, EqualConvTranspose2d)]
    assert turned and all(weight.is_contiguous(memory_format=torch.channels_last) for weight in turned)
    assert torch.allclose(expected(folded, source, skeleton, 1)[1], before, atol=1e-5)


@pytest.mark.parametrize(("padding", "gain"), [(1, 4.0), (2, 1.0)])
@pytest.mark.parametrize("biased", [False, True])
def test_every_way_of_smoothing_is_the_same_function(padding, gain, biased):
    blur, x = Blur(padding, gain), torch.randn(2, 6, 9, 8).to(memory_format=torch.channels_last)
    blur.bias = torch.randn(6) if biased else None
    usual = blur(x)
    for way in FILTERS:
        blur.way = way
        found = blur(x)
        assert torch.allclose(found, usual, atol=1e-5) and found.is_contiguous(memory_format=torch.channels_last), way
    assert set(FILTERS) == {"depthwise", "planes"}


def test_inputs_of_modules_are_found_without_leaving_hooks(folded):
    blurs = [module for module in folded.modules() if isinstance(module, Blur)]
    found = inputs_of(folded, Blur)
    assert set(found) == set(blurs) and all(len(x) == 1 for x in found.values())
    assert not any(module._forward_pre_hooks for module in folded.modules())


@torch.no_grad()
def test_bytes_of_a_step_are_its_weights_and_what_each_person_adds(folded, inputs):
    halves = (folded.skeleton_encoder, folded.target_image_renderer)
    weights = sum(weight.nbytes for half in halves for weight in half.parameters())

    def counted(people):
        source, skeleton = inputs(people, 0)
        return step_bytes(folded, (Textures(expected(folded, source, skeleton, 0)[0]), source, skeleton, 0))

    assert counted(3) - counted(2) == counted(2) - counted(1) == counted(1) - weights > 0


@torch.no_grad()
def test_a_smoothing_and_its_convolution_are_one_convolution(folded, inputs):
    """Both as inference puts it in their place and as training does it."""
    source, skeleton = inputs(2, 0)
    before = expected(folded, source, skeleton, 1)[1]
    for blur in folded.modules():
        if isinstance(blur, Blur):
            blur.way = "fused"
    assert torch.allclose(expected(folded, source, skeleton, 1)[1], before, atol=1e-5)
    for place in folded.modules():
        if isinstance(place, (DownLevel, StyledConv)) and place.blur is not None:
            place.conv, place.blur = FusedConv(place.conv, place.blur), torch.nn.Identity() if isinstance(place, DownLevel) else None
    assert torch.allclose(expected(folded, source, skeleton, 1)[1], before, atol=1e-5)
