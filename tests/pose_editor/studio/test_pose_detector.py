"""The pose in a photo: numbers by hand, the plumbing with torchvision's own class, and no network."""

import threading
import time
import urllib.error

import numpy as np
import pytest
import torch

from nted_step.pose import JOINTS
from pose_editor.studio import pose_detector
from pose_editor.studio.pose_detector import EstimatorError, PoseEstimator, pose_of

SEEN, SIZE = (768, 528), (256, 176)  # the picture is three times the canvas
COCO = ["nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder", "left elbow", "right elbow",
        "left wrist", "right wrist", "left hip", "right hip", "left knee", "right knee", "left ankle", "right ankle"]  # fmt: skip


def found(*people: tuple[float, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What the detector says of people, each a probability and 17 x 3 of (x, y, joint score)."""
    points = torch.stack([rows for _, rows in people])
    keypoints = torch.cat([points[..., :2], torch.ones(len(people), 17, 1)], dim=2)
    return {"scores": torch.tensor([score for score, _ in people]), "keypoints": keypoints, "keypoints_scores": points[..., 2]}


def somebody(x: float) -> torch.Tensor:
    return torch.tensor([[x + 6 * k, 30.0 + 36 * k, 9.0] for k in range(17)])


def test_the_most_certain_person_joint_by_joint() -> None:
    rows = somebody(90)
    rows[COCO.index("left wrist"), 2] = 0.5  # not sure of it
    rows[COCO.index("right ankle"), 0] = 600.0  # beyond the picture
    pose = pose_of(found((0.8, somebody(20)), (0.95, rows), (0.3, somebody(50))), SEEN, SIZE)
    hidden = {"left wrist", "right ankle"}
    assert {JOINTS[index] for index in np.flatnonzero(~pose.visible)} == hidden
    for k, name in enumerate(COCO):
        if name not in hidden:
            assert pose.xy[JOINTS.index(name)] == pytest.approx([(90 + 6 * k) / 3, (30 + 36 * k) / 3], abs=1e-4)
    shoulders = pose.xy[[JOINTS.index("left shoulder"), JOINTS.index("right shoulder")]]
    assert pose.xy[JOINTS.index("neck")] == pytest.approx(shoulders.mean(0), abs=1e-4)


def test_nobody_and_nothing_of_somebody() -> None:
    unsure = somebody(90)
    unsure[:, 2] = 0
    empty = {key: value[:0] for key, value in found((0.9, unsure)).items()}
    for detection, says in ((empty, "No person"), (found((0.4, somebody(90))), "No person"), (found((0.9, unsure)), "no limb")):
        with pytest.raises(EstimatorError, match=says):
            pose_of(detection, SEEN, SIZE)


def test_the_plumbing_with_the_real_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights find rubbish, but in the shapes in which trained ones find people."""
    from torchvision.models.detection import keypointrcnn_resnet50_fpn

    torch.manual_seed(0)
    small = {"min_size": 88, "max_size": 128, "rpn_post_nms_top_n_test": 20, "box_detections_per_img": 5, "box_score_thresh": 0.0}
    detector = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None, **small).eval()
    monkeypatch.setattr(pose_detector, "PERSON_SCORE", 0.0)
    monkeypatch.setattr(pose_detector, "JOINT_SCORE", -1e9)
    pose = PoseEstimator(lambda: detector).find(torch.rand(3, 128, 88) * 2 - 1, SIZE)
    assert pose.visible.any()
    pose.require_drawable(SIZE)


def test_no_network_is_one_line_and_the_next_photo_tries_again() -> None:
    tries = []

    def load():
        tries.append(1)
        if len(tries) == 1:
            raise urllib.error.URLError("Temporary failure in name resolution")
        return lambda images: [found((0.9, somebody(90)))]

    finder = PoseEstimator(load)
    photo = torch.zeros(3, *SEEN)
    with pytest.raises(
        EstimatorError, match=r"could not be downloaded \(no network\); drag the joints onto the body and press “Joints fit”"
    ):
        finder.find(photo, SIZE)
    assert finder.find(photo, SIZE).visible.all()


def test_a_slow_network_does_not_hold_the_page() -> None:
    go_on = threading.Event()

    def load():
        go_on.wait(20)
        return lambda images: [found((0.9, somebody(90)))]

    finder, began = PoseEstimator(load, patience=0.1), time.monotonic()
    with pytest.raises(EstimatorError, match="still being downloaded"):
        finder.find(torch.zeros(3, *SEEN), SIZE)
    assert time.monotonic() - began < 5
    go_on.set()
    finder.patience = 10
    assert finder.find(torch.zeros(3, *SEEN), SIZE).visible.all()


def test_offline_is_respected(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(EstimatorError, match="could not be downloaded"):
        PoseEstimator().find(torch.zeros(3, *SEEN), SIZE)
