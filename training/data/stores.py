"""The training and validation pairs of a stage: rendered figures, or a prepared data set."""

from __future__ import annotations

from pathlib import Path

import torch

from nted_step.config import NTEDStepConfig
from training.data.figure_store import FigureStore, figure_store
from training.data.figure_stream import FigureStream
from training.data.pairs import PairStore, PeopleStore
from training.deepfashion.loader import PairLoader
from training.deepfashion.store import PreparedError, PreparedStore
from training.distributed import Ranks
from training.settings import Settings

VALIDATION_SEED = 8_000_000  # people never trained on, and not the test people either


def training_store(settings: Settings, config: NTEDStepConfig, ranks: Ranks, device: torch.device) -> PairStore:
    """The pairs that a stage with this model trains on. Raises PreparedError."""
    if settings.data:
        store = PreparedStore(settings.data, config.size, "train", settings.augment)
        return PairLoader(store, (settings.seed, ranks.rank), settings.workers)
    figures = settings.figures
    if figures.live:  # every rank renders people of its own
        people = figures.people // ranks.count
        size = _render_size(settings, config)
        folder = Path(settings.data_dir) / f"live_{size[0]}x{size[1]}_{figures.poses}"
        return FigureStream(folder, config.size, people, figures.poses, figures.seed + people * ranks.rank, size, settings.workers, device)
    return _figures(settings, config, figures.people, figures.poses, figures.seed)


def validation_store(settings: Settings, config: NTEDStepConfig, people: int) -> PeopleStore:
    """Pairs that no run trains on: other figures, or the first pairs of the test part (of the training part if there is no test part)."""
    if not settings.data:
        return _figures(settings, config, people, 2, VALIDATION_SEED)
    try:
        return PreparedStore(settings.data, config.size, "test", augment=False, limit=people)
    except PreparedError as error:
        print(f"validation uses training pairs: {error}", flush=True)
        return PreparedStore(settings.data, config.size, "train", augment=False, limit=people)


def _figures(settings: Settings, config: NTEDStepConfig, people: int, poses: int, seed: int) -> FigureStore:
    return figure_store(Path(settings.data_dir), config.size, people, poses, seed, _render_size(settings, config))


def _render_size(settings: Settings, config: NTEDStepConfig) -> tuple[int, int]:
    height = max(settings.figures.supersize, config.size[0])
    return height, height * config.size[1] // config.size[0]
