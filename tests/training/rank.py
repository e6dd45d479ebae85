"""What torchrun starts in the tests: training.train on the tests' tiny model, or a comparison of gradients.

torchrun ... tests/training/rank.py gradients OUTPUT
torchrun ... tests/training/rank.py train [--kill SAMPLES | --nan SAMPLES] ARGUMENTS OF training.train
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch

from tests.conftest import TINY, TinyCarrierConfig
from training import carrier_trainer, train, trainer
from training.data.figure_store import figure_store
from training.discriminator import Discriminator
from training.distributed import joined
from training.objective import Objective
from training.rollout import ChainRollout, WindowRollout
from training.settings import LossWeights, Settings

torch.set_num_threads(1)
BATCH = 4
WEIGHTS = LossWeights(classes=1.0, gan=0.3, step=0.3, features=1.0, r1=1.0)


def gradients(rank: int, wrap, kind: str, data: Path) -> dict[str, torch.Tensor]:
    """One iteration's gradients of both networks, R1 included, on the data of a rank; ``wrap`` as in Ranks."""
    torch.manual_seed(0)
    generator = trainer.Generator(TINY)
    discriminator = Discriminator(TINY.size, dict.fromkeys((64, 32, 16, 8, 4), 8), TINY.steps)
    store = figure_store(data, (64, 44), 4, 2, 50, (64, 44))
    rollouts = {"chains": ChainRollout, "window": WindowRollout}
    rollout = rollouts[kind](TINY, store, np.random.default_rng(rank), BATCH)
    objective = Objective(Settings(), WEIGHTS, None, "cpu")
    wrapped_g, wrapped_d = wrap(generator), wrap(discriminator)
    steps = rollout.run(wrapped_g, torch.device("cpu"))
    objective.generator(steps, discriminator)[0].backward()
    objective.discriminator(steps, wrapped_d, regularise=True)[0].backward()
    named = [*generator.named_parameters(prefix="g"), *discriminator.named_parameters(prefix="d")]
    return {name: value.grad for name, value in named}


def main(arguments: list[str]) -> int:
    what, *rest = arguments
    if what == "gradients":
        output = Path(rest[0])
        with joined(torch.device("cpu")) as (ranks, device):
            for kind in ("chains", "window"):
                found = gradients(ranks.rank, lambda module: ranks.wrap(module, device), kind, output)
                torch.save(found, output / f"{kind}_{ranks.rank}.pt")
        return 0
    trainer.preset = lambda name: TINY
    carrier_trainer.CarrierConfig = TinyCarrierConfig
    if rest[0] in ("--kill", "--nan"):
        _misbehave(rest[0], int(rest[1]))
        rest = rest[2:]
    return train.main(rest)


def _misbehave(how: str, samples: int) -> None:
    """Rank 1 dies, or gets a loss that is not finite, at its first iteration after so many samples."""
    iterate = trainer.Trainer.iterate

    def iteration(trainer):
        values = iterate(trainer)
        if trainer.ranks.rank == 1 and trainer.progress.total_samples >= samples:
            if how == "--nan":
                return values | {"pixel": float("nan")}
            if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
                os.kill(os.getpid(), signal.SIGKILL)
        return values

    trainer.Trainer.iterate = iteration


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
