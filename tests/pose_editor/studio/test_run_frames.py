"""When the steps of a run are sent to the page."""

import torch

from nted_step.pose import Pose
from nted_step.sampler import StepOutput
from pose_editor import presets
from pose_editor.studio.run_frames import RunFrames


def test_the_first_step_goes_out_at_once_and_the_last_in_any_case() -> None:
    pose: Pose = presets.standing((64, 44))
    run = RunFrames(7, 4, pose, (0, 0, 44, 64), {"seed": 0})
    sent = []
    for step in range(5):
        run.add(StepOutput(step, (8 * (step + 1), 5 * (step + 1)), torch.zeros(3, 64, 44), 0.0))
        if run.is_due():
            sent.append(len(run.value()["frames"]))
    assert sent == [2, 5], "noise and step 1, then what there was no time to send in between"
    value = run.value()
    assert value["edit"] == 7 and value["kind"] == "steps"
    assert len(run.run.images) == len(run.run.labels) == 5 and run.run.pose is pose
