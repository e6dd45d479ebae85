"""The pose in a visitor's photo: the detector in the box, and what is said when there is nobody."""

import threading

import numpy as np
import pytest
import torch

from nted_step.bundled import EXAMPLES
from nted_step.image import load_photo
from nted_step.pose import Pose, load_pose_text
from nted_step.pose_detection import Detection
from nted_step.weights import WeightsError
from pose_editor.studio.pose_detector import EstimatorError, PoseEstimator

SIZE = (256, 176)
SHOWN = "drag the joints onto the body and press “Joints fit”"


class Fixed:
    """Finds the same every time, and counts how often it is asked, and by how many at once."""

    def __init__(self, found: Detection | None) -> None:
        self.found, self.asked, self.now, self.most = found, 0, 0, 0

    def find(self, photo: torch.Tensor, size: tuple[int, int]) -> Detection | None:
        self.asked, self.now = self.asked + 1, self.now + 1
        self.most = max(self.most, self.now)
        threading.Event().wait(0.02)
        self.now -= 1
        return self.found


@pytest.fixture
def somebody() -> Detection:
    return Detection(Pose(np.full((18, 2), 20.0), np.ones(18, bool)), 0.9, np.ones(18, np.float32))


def test_the_pose_is_found_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket", lambda *_, **__: pytest.fail("asked the network"))
    pose = PoseEstimator().find(load_photo(EXAMPLES / "green-dress.png", (512, 352)).image, SIZE)
    true = load_pose_text(EXAMPLES / "green-dress.txt")
    both = pose.visible & true.visible
    assert both.sum() >= 16 and np.median(np.linalg.norm(pose.xy - true.xy, axis=1)[both]) < 4


def test_nobody_is_one_line() -> None:
    with pytest.raises(EstimatorError, match=f"^No person was found in the photo; {SHOWN}\\.$"):
        PoseEstimator(lambda: Fixed(None)).find(torch.zeros(3, *SIZE), SIZE)


def test_unreadable_weights_are_one_line_and_the_next_photo_tries_again(somebody: Detection) -> None:
    tries = []

    def load() -> Fixed:
        tries.append(1)
        if len(tries) == 1:
            raise WeightsError("pose/config.json: No such file or directory")
        return Fixed(somebody)

    estimator = PoseEstimator(load)
    with pytest.raises(EstimatorError, match=f"cannot be read \\(pose/config.json: No such file or directory\\); {SHOWN}"):
        estimator.find(torch.zeros(3, *SIZE), SIZE)
    assert estimator.find(torch.zeros(3, *SIZE), SIZE) == somebody.pose == estimator.find(torch.zeros(3, *SIZE), SIZE)
    assert len(tries) == 2, "read once"


def test_one_photo_at_a_time(somebody: Detection) -> None:
    detector = Fixed(somebody)
    estimator = PoseEstimator(lambda: detector)
    visitors = [threading.Thread(target=estimator.find, args=(torch.zeros(3, *SIZE), SIZE)) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    assert detector.asked == 4 and detector.most == 1
