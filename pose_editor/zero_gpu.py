"""ZeroGPU Spaces: a GPU is lent to a function for as long as it runs, in a process of its own. Elsewhere nothing of this happens."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

try:
    import spaces  # before CUDA is started, which it takes the place of
except ImportError:
    spaces = None

from gradio.context import LocalContext
from torch import Tensor

from nted_step.generator import Generator
from nted_step.pipeline import NTEDStepPipeline, Person
from nted_step.pose import Pose
from nted_step.sampler import StepOutput
from pose_editor.mixer import Mixture

LENT = spaces is not None and bool(os.environ.get("SPACES_ZERO_GPU"))
SECONDS = 30  # that a run may take, textures included
FAR = {"device": "cuda", "dtype": "bfloat16"}


def pipeline_class() -> type[NTEDStepPipeline]:
    """What loads the weights here."""
    return LentPipeline if LENT else NTEDStepPipeline


class LentPipeline(NTEDStepPipeline):
    """A pipeline on the CPU whose runs, when a visitor asks for them, go to the GPU that is lent.

    What crosses to the other process is plain data: photos, pose, numbers, and images back.
    """

    def __init__(self, generator: Generator, *, device: str = "auto", dtype: str = "auto", weights: Any = None) -> None:
        # Every process that gets the GPU would have to record the steps anew, which takes longer than a run.
        self.far = NTEDStepPipeline(copy.deepcopy(generator), **FAR, weights=weights, graphs=False)
        super().__init__(generator, device="cpu", dtype=dtype, weights=weights)
        self.run = spaces.GPU(duration=SECONDS)(self.far_steps)

    def far_steps(
        self, sources: Sequence[Tensor], owners: Sequence[int], pose: Pose, seed: int, steps: int | None, start: StepOutput | None
    ) -> Iterator[StepOutput]:
        """The steps of a run, in the process that has the GPU. ``owners`` says which of the photos each step asks."""
        people = [self.far.encode(source) for source in sources]
        person = Mixture(people[0], [people[k] for k in owners]) if owners else people[0]
        for output in self.far.generate(person, pose, seed=seed, steps=steps, start=start):
            yield replace(output, image=output.image.cpu())

    def generate(
        self, person: Person | Mixture, pose: Pose, *, seed: int = 0, steps: int | None = None, start: StepOutput | None = None
    ) -> Iterator[StepOutput]:
        if LocalContext.request.get(None) is None:  # nobody to lend for: the page's first result
            yield from super().generate(person, pose, seed=seed, steps=steps, start=start)
            return
        pose.require_drawable(self.config.size)
        # The first photo is where the noisy start comes from; a mix names an owner for every step.
        photos, owners = [person.source[0].cpu()], []
        for owner in getattr(person, "owners", ()):
            source = owner.source[0].cpu()
            known = next((k for k, photo in enumerate(photos) if photo is source or photo.equal(source)), len(photos))
            photos += [source] if known == len(photos) else []
            owners.append(known)
        yield from self.run(photos, owners, pose, seed, steps, start)
