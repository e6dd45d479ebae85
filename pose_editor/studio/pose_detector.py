"""Detection of the poses in a visitor's photo; the detector's weights are read when they are first needed.

pose = PoseEstimator().find(photo, (256, 176))
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from torch import Tensor

from nted_step.pose import Pose
from nted_step.pose_detection import Detection, PoseDetector
from nted_step.weights import WeightsError

BY_HAND = "drag the joints onto the body and press “Joints fit”."
NOBODY = f"No person was found in the photo; {BY_HAND}"


class Detector(Protocol):
    def find(self, photo: Tensor, size: tuple[int, int]) -> Detection | None: ...

    def find_all(self, photo: Tensor) -> list[Detection]: ...


class EstimatorError(ValueError):
    """No pose was found; the message is one line for the person who gave the photo."""


class PoseEstimator:
    """Finds the poses of the people in a photo, one photo at a time.

    Args:
        load: makes the detector; called once, and again when it failed.
    """

    def __init__(self, load: Callable[[], Detector] = PoseDetector.from_pretrained) -> None:
        self.load = load
        self.turn = threading.Lock()  # one detection at a time: two at once would only slow each other down
        self.detector: Any = None

    def find(self, photo: Tensor, size: tuple[int, int]) -> Pose:
        """The pose in a photo 3 x H x W in [-1, 1], on a canvas ``size`` (H, W) of the same shape. Raises EstimatorError."""
        with self.turn:
            found = self._loaded().find(photo, size)
        if found is None:
            raise EstimatorError(NOBODY)
        return found.pose

    def find_all(self, photo: Tensor) -> list[Pose]:
        """The poses of everybody in a photo 3 x H x W in [-1, 1], in its pixels, from left to right. Raises EstimatorError."""
        with self.turn:
            return [found.pose for found in self._loaded().find_all(photo)]

    def _loaded(self) -> Any:
        try:
            self.detector = self.detector or self.load()
        except WeightsError as error:
            raise EstimatorError(f"The pose detector's weights cannot be read ({error}); {BY_HAND}") from None
        return self.detector
