"""Clothed 3-D human figures with exact annotation: training data that anyone may redistribute."""

from training.figures.render import SEEDS, TEST_SEED, FigureBatch, render_people
from training.figures.views import named_poses

__all__ = ["SEEDS", "TEST_SEED", "FigureBatch", "named_poses", "render_people"]
