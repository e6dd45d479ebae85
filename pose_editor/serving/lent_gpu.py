"""Runs on ZeroGPU Spaces, which lend a GPU to a function for as long as it runs, in a process of its own. Not used elsewhere."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

try:
    import spaces  # before CUDA is started, which it takes the place of
except ImportError:
    spaces = None

from nted_step.generator import Generator
from nted_step.person import Appearance
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose
from nted_step.sampler import StepOutput
from pose_editor.gradio_workarounds import is_answering_a_visitor

LENT = spaces is not None and bool(os.environ.get("SPACES_ZERO_GPU"))
SECONDS = 30  # that a run may take, textures included
FAR = {"device": "cuda", "dtype": "bfloat16"}


def pipeline_class() -> type[NTEDStepPipeline]:
    """The kind of pipeline to load weights with."""
    return LentPipeline if LENT else NTEDStepPipeline


class LentPipeline(NTEDStepPipeline):
    """A pipeline on the CPU whose runs for visitors go to the lent GPU.

    Only :meth:`lend` uses the GPU. An appearance goes to the other process as photos and poses, which are encoded again there, and
    images come back.
    """

    def __init__(self, generator: Generator, *, device: str = "auto", dtype: str = "auto", weights: Any = None) -> None:
        # No graphs: every process that gets the GPU would have to record the steps again, which takes longer than a run.
        self.far = NTEDStepPipeline(copy.deepcopy(generator), **FAR, weights=weights, graphs=False)
        super().__init__(generator, device="cpu", dtype=dtype, weights=weights)
        self.run = spaces.GPU(duration=SECONDS)(self.far_steps)

    def far_steps(self, person: Appearance, pose: Pose, seed: int, steps: int | None, start: StepOutput | None) -> Iterator[StepOutput]:
        """The steps of a run, in the process that has the GPU."""
        for output in self.far.generate(person.on(self.far), pose, seed=seed, steps=steps, start=start):
            rendered = None if output.rendered is None else output.rendered.cpu()
            yield replace(output, image=output.image.cpu(), rendered=rendered)

    def lend(
        self, person: Appearance, pose: Pose, *, seed: int = 0, steps: int | None = None, start: StepOutput | None = None
    ) -> Iterator[StepOutput]:
        if not is_answering_a_visitor():  # the page's first result
            yield from self.generate(person, pose, seed=seed, steps=steps, start=start)
            return
        pose.require_drawable(self.config.size)
        yield from self.run(person, pose, seed, steps, start)
