"""NTED Step: controllable person image synthesis in 20 coarse-to-fine steps.

from nted_step import NTEDStepPipeline, load_photo, load_pose_text, to_pil
"""

from nted_step.config import PRESETS, NTEDStepConfig, preset
from nted_step.image import FittedPhoto, ImageError, load_photo, to_pil
from nted_step.person import Person
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import JOINTS, LIMB_COLOURS, LIMBS, Pose, PoseError, load_pose_text, skeleton_map
from nted_step.sampler import StepOutput
from nted_step.weights import WeightsError, load_weights

__version__ = "1.0.0"

__all__ = [
    "JOINTS", "LIMBS", "LIMB_COLOURS", "PRESETS", "FittedPhoto", "ImageError", "NTEDStepConfig", "NTEDStepPipeline",
    "Person", "Pose", "PoseError", "StepOutput", "WeightsError", "load_photo", "load_pose_text", "load_weights", "preset",
    "skeleton_map", "to_pil",
]  # fmt: skip
