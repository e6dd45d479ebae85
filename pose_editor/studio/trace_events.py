"""Tracing: where in the photo a pixel of a result comes from."""

from __future__ import annotations

from typing import Any

import gradio as gr
from PIL import Image

from nted_step.carrying import cut_out_mask
from nted_step.image import to_tensor
from nted_step.person import Appearance, Person
from nted_step.pose import Pose
from nted_step.sampler import StepOutput
from pose_editor.gradio_workarounds import event_payload
from pose_editor.studio import tracing
from pose_editor.studio.presentation import data_url
from pose_editor.studio.session import Result, Session
from pose_editor.studio.studio import Studio
from pose_editor.studio.validation import require_integer
from pose_editor.viewer import StepViewer

UNTOUCHED = 0.02  # of the range from -1 to 1: rounding to 8 bits


class TraceEvents:
    """Answers clicks on the result; :mod:`pose_editor.studio.tracing` draws the answers."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def traced(self, session: Session, event: gr.EventData) -> Any:
        """A pixel of the result was clicked: where in the photo it comes from, and the texture labels.

        The labels are computed from the step as it was shown, so for a photograph before its own background.
        """
        result = session.last or self.studio.opened
        try:
            clicked = event_payload(event)
            step, level = require_integer(clicked["step"], "step"), require_integer(clicked["level"], "level")
            before = StepOutput(step - 1, (0, 0), to_tensor(result.run.images[step - 1]), 0.0)
            if result.subject.pipeline is not self.studio.pipeline:
                return gr.skip()  # other weights are in use, and their first result is on its way
            at = (clicked["x"], clicked["y"])
            glow, labels, everywhere = self.trace(result.subject.person, result.run.pose, before, level, *at)
            place = self.studio.runner.run(self._place, result, at)
        except (KeyError, IndexError, TypeError, ValueError):
            return gr.skip()  # a click on a picture that is no longer there
        shown = glow if place is None else tracing.place_marker(place, self.studio.canvas)
        return StepViewer(
            traced={
                "glow": data_url(shown),
                "labels": data_url(labels),
                "everywhere": everywhere and place is None,
                "place": place,
                "edit": result.edit,
            }
        )

    def trace(
        self, person: Person, pose: Pose, before: StepOutput, level: int, x: float, y: float
    ) -> tuple[Image.Image, Image.Image, bool]:
        """(glow, label map, whether it comes from everywhere evenly), see :mod:`pose_editor.studio.tracing`. Raises ValueError."""
        canvas = self.studio.canvas
        height, width = canvas
        if not (0 <= x <= width and 0 <= y <= height):
            raise ValueError(f"x, y must lie on the {width}x{height} canvas, not ({x:g}, {y:g})")
        maps = [each.numpy() for each in self.studio.runner.run(self.studio.pipeline.trace, person, pose, before, level)]
        where = (*maps, (x, y), canvas)
        return tracing.glow(*where), tracing.label_map(maps[0], canvas), tracing.is_uniform(*where)

    def _place(self, result: Result, at: tuple[float, float]) -> tuple[float, float] | None:
        """(x, y) in the photo, in canvas pixels, that a pixel of a result is from; None where it is rendered or filled in."""
        if result.subject.dressed is not None:
            return None  # it may be from another photo than the one beside the result
        carried, places = result.appearance.carried(result.run.pose), result.subject.person.places(result.run.pose)
        if carried is None or places is None:
            return None
        height, width = self.studio.canvas
        column, row = min(int(at[0]), width - 1), min(int(at[1]), height - 1)
        if result.subject.in_photo and cut_out_mask(carried)[0, 0, row, column] < 0.5:
            return (column + 0.5, row + 0.5) if self._is_untouched(result.appearance, column, row) else None
        if carried.alpha[0, 0, row, column] < 0.5:
            return None
        h, w = places.place.shape[-2:]
        x, y = places.place[0, :, row * h // height, column * w // width].tolist()
        return (x + 1) / 2 * width, (y + 1) / 2 * height

    @staticmethod
    def _is_untouched(appearance: Appearance, column: int, row: int) -> bool:
        """Whether the background shows the photo's own pixel, and not what fills the person's former place."""
        background = appearance.background()
        return background is not None and bool((background - appearance.source)[0, :, row, column].abs().max() < UNTOUCHED)

    def levels(self) -> list[list[int]]:
        """(h, w) of the maps that can be traced, coarsest first."""
        config, (height, width) = self.studio.pipeline.config, self.studio.canvas
        return [[level, level * width // height] for level in config.levels if config.labels[level]]
