"""Where the pairs of a stage come from: figures rendered before or meanwhile, or a prepared data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from nted_step.config import NTEDStepConfig
from training.data.figure_store import FigureStore, Pairs, figure_store
from training.data.figure_stream import LiveFigures
from training.deepfashion.loader import StreamedStore
from training.deepfashion.store import PreparedError, PreparedStore
from training.distributed import Ranks
from training.settings import Settings

VALIDATION_SEED = 8_000_000  # people never trained on, and not the test people either


class SomePairs:
    """The first pairs of a prepared part, with as much of a store's interface as validation needs."""

    poses = 2

    def __init__(self, store: PreparedStore, people: int):
        self.store, self.people = store, min(people, store.people)

    def pairs(self, person: np.ndarray, source_pose: np.ndarray, target_pose: np.ndarray) -> Pairs:
        return self.store.pairs(person, source_pose, target_pose)


def training_store(
    settings: Settings, config: NTEDStepConfig, ranks: Ranks, device: torch.device
) -> FigureStore | LiveFigures | StreamedStore:
    """The people that a stage with this model trains on. Raises PreparedError."""
    if settings.data:
        store = PreparedStore(settings.data, config.size, "train", settings.augment)
        return StreamedStore(store, (settings.seed, ranks.rank), settings.workers)
    figures = settings.figures
    if figures.live:  # every rank its own people
        people = figures.people // ranks.count
        size = _render_size(settings, config)
        folder = Path(settings.data_dir) / f"live_{size[0]}x{size[1]}_{figures.poses}"
        return LiveFigures(folder, config.size, people, figures.poses, figures.seed + people * ranks.rank, size, settings.workers, device)
    return _figures(settings, config, figures.people, figures.poses, figures.seed)


def validation_store(settings: Settings, config: NTEDStepConfig, people: int) -> FigureStore | SomePairs:
    """Pairs that no run trains on: other figures, or the first of the test part (of the training part where there is no other)."""
    if not settings.data:
        return _figures(settings, config, people, 2, VALIDATION_SEED)
    try:
        store = PreparedStore(settings.data, config.size, "test", augment=False)
    except PreparedError as error:
        print(f"validation uses training pairs: {error}", flush=True)
        store = PreparedStore(settings.data, config.size, "train", augment=False)
    return SomePairs(store, people)


def _figures(settings: Settings, config: NTEDStepConfig, people: int, poses: int, seed: int) -> FigureStore:
    return figure_store(Path(settings.data_dir), config.size, people, poses, seed, _render_size(settings, config))


def _render_size(settings: Settings, config: NTEDStepConfig) -> tuple[int, int]:
    height = max(settings.figures.supersize, config.size[0])
    return height, height * config.size[1] // config.size[0]
