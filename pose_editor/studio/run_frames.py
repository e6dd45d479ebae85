"""The steps of a run as the page shows and saves them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from PIL import Image

from nted_step.image import to_pil
from nted_step.output import label
from nted_step.pose import Pose
from nted_step.sampler import StepOutput
from pose_editor.studio import export
from pose_editor.studio.presentation import frame

SEND_SECONDS = 0.1  # between two values of a run: drawing each step in the browser would take the cores from the sampler


class RunFrames:
    """Collects the steps of a run for the viewer and for files.

    Args:
        edit: the edit of the pose that the run is for.
        steps: number of the last step.
        crop, settings: see :class:`pose_editor.studio.export.Run`; ``run`` is one that grows with the steps.
    """

    def __init__(self, edit: int, steps: int, pose: Pose, crop: tuple[int, int, int, int], settings: Mapping[str, Any]) -> None:
        self.edit, self.steps = edit, steps
        self.frames: list[str] = []
        self.images: list[Image.Image] = []
        self.labels: list[str] = []
        self.run = export.Run(self.images, self.labels, pose, crop, settings)
        self._sent = 0.0

    def add(self, output: StepOutput) -> None:
        self.frames.append(frame(output))
        self.images.append(to_pil(output.image))
        self.labels.append(label(output))

    def is_due(self) -> bool:
        """Whether to send the steps so far now: step 1 (with the noise of step 0) at once, the others in small groups."""
        step, now = len(self.frames) - 1, time.monotonic()
        if step < 1 or (step < self.steps and now - self._sent <= SEND_SECONDS):
            return False
        self._sent = now
        return True

    def value(self) -> dict[str, Any]:
        """The viewer's value."""
        return {"edit": self.edit, "kind": "steps", "frames": list(self.frames)}
