"""The orders in which other tools list a person's points, and where our 18 joints stand in each."""

from __future__ import annotations

from dataclasses import dataclass

NECK, RIGHT_SHOULDER, LEFT_SHOULDER = 1, 2, 5


@dataclass(frozen=True)
class Layout:
    """One tool's list of points.

    Attributes:
        name: what errors call it.
        count: how many points it has.
        joints: for each of our 18 joints its index in the list, or None. A missing neck is put midway between the shoulders.
        extra: (kind, first index, index after the last) of points that an 18-joint pose has no place for.
    """

    name: str
    count: int
    joints: tuple[int | None, ...]
    extra: tuple[tuple[str, int, int], ...] = ()


_FROM_COCO = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_FROM_HALPE = (0, 18, *_FROM_COCO[2:])

OPENPOSE_18 = Layout("OpenPose's 18", 18, tuple(range(18)))
OPENPOSE_24 = Layout("OpenPose's 18 and 6 of the feet", 24, tuple(range(18)), (("feet", 18, 24),))
BODY_25 = Layout("BODY_25", 25, (*range(8), *range(9, 19)), (("feet", 19, 25),))
MPI_15 = Layout("OpenPose's 15 of MPI", 15, (None, *range(1, 14), None, None, None, None))  # its 0 is the top of the head
COCO_17 = Layout("COCO", 17, _FROM_COCO)
COCO_23 = Layout("COCO and 6 of the feet", 23, _FROM_COCO, (("feet", 17, 23),))
COCO_133 = Layout("COCO whole body", 133, _FROM_COCO, (("hands", 91, 133), ("face", 23, 91), ("feet", 17, 23)))
HALPE_26 = Layout("Halpe", 26, _FROM_HALPE, (("feet", 20, 26),))
HALPE_136 = Layout("Halpe full body", 136, _FROM_HALPE, (("hands", 94, 136), ("face", 26, 94), ("feet", 20, 26)))
MEDIAPIPE_33 = Layout(
    "MediaPipe", 33, (0, None, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7), (("hands", 17, 23), ("feet", 29, 33))
)

OPENPOSE = (OPENPOSE_18, BODY_25, OPENPOSE_24, MPI_15)
"""What ``pose_keypoints_2d`` may hold."""
KEYPOINTS = (COCO_17, OPENPOSE_18, HALPE_26, COCO_133, HALPE_136, COCO_23, MEDIAPIPE_33)
"""What ``keypoints`` may hold, told apart by how many there are."""
LANDMARKS = (MEDIAPIPE_33,)
