"""Weights set up to render pairs in batches, with what they carry from the photo."""

from __future__ import annotations

import torch
from torch import Tensor

from nted_step.carrier import Places
from nted_step.carrying import carry_person
from nted_step.optimisation import optimise
from nted_step.weights import Weights
from training.carrier_losses import predict
from training.data.pairs import Pairs
from training.validation import chain

# Pairs sampled at a time. On a CPU it is one: with two, some tensors are so large (32 MB and more) that the allocator requests them
# from the system and returns them each time, and the fresh pages took much of the time.
CPU_BATCH, GPU_BATCH = 1, 8


class Sampler:
    """Renders pairs by all steps, from the noise of seed 0.

    Attributes:
        config: of the weights. batch: how many pairs to sample at a time on this device.
    """

    def __init__(self, weights: Weights, device: torch.device, dtype: torch.dtype = torch.float32):
        self.config, self.device = weights.config, device
        self.batch = CPU_BATCH if device.type == "cpu" else GPU_BATCH
        self.execution = optimise(weights.build(), device, dtype)
        self.carrier = weights.carrier.build().to(device, memory_format=torch.channels_last) if weights.carrier else None

    @torch.no_grad()
    def sample(self, pairs: Pairs) -> tuple[list[Tensor], Places | None]:
        """(steps 0..steps, each B x 3 x H x W on the CPU; the carrier's places, of weights that carry)."""
        if self.carrier is None:
            return chain(self.execution, pairs, self.device, len(pairs)), None
        source = pairs.source.to(self.device)
        places = predict(self.carrier, source, pairs.map(lambda value: value.to(self.device)))
        return chain(self.execution, pairs, self.device, len(pairs), carried=carry_person(places, source)), places
