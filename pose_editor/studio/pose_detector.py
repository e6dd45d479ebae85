"""The pose in a photo, found by torchvision's Keypoint R-CNN, whose weights are downloaded when they are first needed.

pose = PoseEstimator().find(photo, (256, 176))
"""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nted_step.pose import Pose, PoseError
from nted_step.pose_formats import from_coco

Detector = Callable[[list[Tensor]], list[Mapping[str, Tensor]]]

PERSON_SCORE = 0.7  # probability from which on something is a person
JOINT_SCORE = 2.0  # height of the heatmap from which on a joint was seen; unsure ones lie around 0
HEIGHT = 768  # pixels of the picture in which joints are looked for
PATIENCE = 10  # seconds to wait for a download
REACHABLE = 4  # seconds after which a server counts as unreachable
# Few proposals: one large person is wanted, and the rest would only cost time.
LIMITS = {"rpn_post_nms_top_n_test": 100, "box_detections_per_img": 5, "min_size": 528, "max_size": HEIGHT}

BY_HAND = "drag the joints onto the body and press “Joints fit”."


class EstimatorError(ValueError):
    """No pose was found; the message is one line for the person who gave the photo."""


class PoseEstimator:
    """Finds the pose of the most certain person in a photo.

    Args:
        load: makes the detector; called once, and again when it failed.
        patience: seconds that :meth:`find` waits for it. It goes on in the background.
    """

    def __init__(self, load: Callable[[], Detector] | None = None, patience: float = PATIENCE) -> None:
        self.load = load or load_detector
        self.patience = patience
        self.lock = threading.Lock()  # around `loading`
        self.turn = threading.Lock()  # one detection at a time: two at once would only slow each other down
        self.loading: Future[Detector] | None = None

    def find(self, photo: Tensor, size: tuple[int, int]) -> Pose:
        """The pose in a photo 3 x H x W in [-1, 1], on a canvas ``size`` (H, W) of the same shape. Raises EstimatorError."""
        detector = self._detector()
        with self.turn, torch.inference_mode():
            (found,) = detector([(photo.float() + 1) / 2])
        return pose_of(found, tuple(photo.shape[1:]), size)

    def _detector(self) -> Detector:
        with self.lock:
            if self.loading is None:
                self.loading = Future()
                # A daemon, so that Ctrl+C does not wait for the end of a download.
                threading.Thread(target=_fill, args=(self.loading, self.load), daemon=True).start()
            loading = self.loading
        try:
            return loading.result(self.patience)
        except Exception as error:
            if not loading.done():
                raise EstimatorError(f"The pose detector is still being downloaded; for now, {BY_HAND}") from None
            with self.lock:
                self.loading = None  # the next photo tries again
            raise EstimatorError(f"The pose detector could not be downloaded ({_reason(error)}); {BY_HAND}") from None


def pose_of(found: Mapping[str, Tensor], seen: tuple[int, int], size: tuple[int, int]) -> Pose:
    """The pose of the most certain person that was found.

    Args:
        found: ``scores`` N, ``keypoints`` N x 17 x 3 (x, y and an unused 1, in pixels), ``keypoints_scores`` N x 17.
        seen: (H, W) of the picture they are pixels of.
        size: (H, W) of the canvas to put them on.

    Raises:
        EstimatorError: when there is nobody, or no limb of anybody.
    """
    scores = found["scores"]
    if not len(scores) or scores.max() < PERSON_SCORE:
        raise EstimatorError(f"No person was found in the photo; {BY_HAND}")
    best = int(scores.argmax())
    points, certain = found["keypoints"][best, :, :2].double().cpu(), found["keypoints_scores"][best].cpu() >= JOINT_SCORE
    edge = torch.tensor([seen[1], seen[0]], dtype=points.dtype)
    inside = ((points >= -1) & (points <= edge + 1)).all(dim=1)  # a pixel beyond is where a box ended, not another place
    points = points.clamp(min=torch.zeros(2, dtype=points.dtype), max=edge)
    triples = torch.cat([points, (certain & inside)[:, None]], dim=1)
    try:
        (pose,) = from_coco(triples.flatten().tolist(), seen).people
        return pose.scaled(seen, size).require_drawable(size)
    except PoseError:
        raise EstimatorError(f"A person was found in the photo, but no limb; {BY_HAND}") from None


def load_detector() -> Detector:
    """torchvision's detector with its COCO weights, out of torch's cache or the network. Raises OSError."""
    # Imported here: it takes seconds, and most visitors bring no photo.
    from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights, keypointrcnn_resnet50_fpn

    weights = KeypointRCNN_ResNet50_FPN_Weights.DEFAULT
    if not (Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name).exists():
        _reach(weights.url)
    return keypointrcnn_resnet50_fpn(weights=weights, progress=False, **LIMITS).eval()


def _reach(url: str) -> None:
    """Check that a server answers before a long download, which itself would wait for minutes. Raises OSError."""
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() not in ("", "0", "false"):
        raise OSError("HF_HUB_OFFLINE forbids downloads")
    urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=REACHABLE).close()


def _fill(future: Future[Any], make: Callable[[], Any]) -> None:
    try:
        future.set_result(make())
    except Exception as error:
        future.set_exception(error)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code}"
    return "no network" if isinstance(error, OSError) else str(error).partition("\n")[0] or type(error).__name__
