"""Compare the model with numbers computed by the original research code.

    python -m tests.parity NPZ

NPZ holds the state dicts of a small model with random weights, its inputs, and what the original computed from them.
Every array is checked; exit status 1 when any differs by more than its tolerance.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from appearance_control.coefficients import initial_coefficients, label_means
from nted_step.config import NTEDStepConfig
from nted_step.generator import Generator, Rendering, Textures, time_embedding
from nted_step.optimisation.folding import fold
from nted_step.optimisation.packing import can_pack, pack
from nted_step.pose import Pose, face_box, skeleton_u8
from nted_step.schedule import degrade, ladder, start_image
from training import losses
from training.discriminator import Discriminator, Verdict

STEP_TOLERANCE, TOLERANCE = 5e-4, 1e-4
CROP_SCALE, CROP_BOX = (275, 189), (7, 11)  # the augmentation recorded in the file: resize to H, W; then left, top
RECORDED_STEP = 4  # t of the arrays under step5/
DEGRADED_LEVEL = 5


@dataclass(frozen=True)
class Check:
    """One compared array."""

    name: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance  # also False for NaN


class Golden:
    """The file, and our model with its weights."""

    def __init__(self, arrays: Mapping[str, np.ndarray], fast: bool):
        self.arrays = arrays
        document = json.loads(str(arrays["config_json"]))
        height = document["size"]

        def per_level(name: str, default: int) -> dict[int, int]:
            return {int(level): int(value) or default for level, value in document[name].items()}

        self.config = NTEDStepConfig(
            size=(height, height * 11 // 16),
            steps=document["steps"],
            channels=per_level("channels", 0),
            labels=per_level("num_labels", 0),
            kernels=per_level("match_kernels", 1),
            pose_channels=document["semantic_dim"],
        )
        self.generator = Generator(self.config).eval().requires_grad_(False)
        self.generator.load_state_dict(self._state("gen/"), strict=True)
        if fast:
            self.generator = fold(self.generator).to(memory_format=torch.channels_last)
            if can_pack(torch.device("cpu"), torch.float32):
                pack(self.generator)
        self.discriminator = Discriminator(self.config.size, per_level("dis_channels", 0), self.config.steps)
        self.discriminator.load_state_dict(self._state("dis/"), strict=True)
        self.discriminator.requires_grad_(False)
        self.source, self.target = self.image("source_image"), self.image("target_image")
        self.skeleton = self.tensor("target_skeleton_u8")[None].float() / 255

    def _state(self, prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): torch.from_numpy(self.arrays[key]) for key in self.arrays if key.startswith(prefix)}

    def tensor(self, name: str) -> Tensor:
        return torch.from_numpy(self.arrays[name])

    def image(self, name: str) -> Tensor:
        return self.tensor(name)[None].float() / 127.5 - 1

    def names(self, prefix: str) -> list[str]:
        return [name for name in self.arrays if name.startswith(prefix)]

    @torch.no_grad()
    def run(self, source: Tensor, x: Tensor, t: int) -> tuple[Rendering, Textures]:
        return self.generator(source, x, self.skeleton, torch.tensor([t]))

    @cached_property
    def steps(self) -> list[tuple[Rendering, Textures]]:
        """All steps of the chain, from the file's noise."""
        x, outputs = start_image(self.source, self.tensor("noise")[None], self.config), []
        for t in range(self.config.steps):
            rendering, textures = self.run(self.source, x, t)
            outputs.append((rendering, textures))
            x = rendering.image
        return outputs

    @cached_property
    def judged(self) -> Tensor:
        """The batch that the discriminator saw."""
        last = self.steps[-1][0].image.clamp(-1, 1)
        return torch.cat([self.source, self.target, last, self.tensor("degraded_target/7")[None].float()])

    @cached_property
    def verdict(self) -> Verdict:
        return self.discriminator(self.judged)


def check_ladders(golden: Golden) -> Iterator[tuple[str, object, float]]:
    for spacing in ("linear", "exponential"):
        yield f"ladder_{spacing}", np.array(ladder(replace(golden.config, ladder=spacing))), 0
    for name in golden.names("degraded_target/"):
        tolerance = 1e-3 if golden.arrays[name].dtype == np.float16 else TOLERANCE  # half precision itself rounds that much
        yield name, degrade(golden.target, ladder(golden.config)[int(name.split("/")[1])])[0], tolerance
    for name in golden.names("timestep_embedding/"):
        yield name, time_embedding(torch.tensor([int(name.split("/")[1])]), golden.config.size)[0, 0], TOLERANCE


def check_poses(golden: Golden) -> Iterator[tuple[str, object, float]]:
    size = golden.config.size
    for who in ("source", "target"):
        pose = _pose(golden.arrays[f"{who}_keypoints_file"], size)
        yield f"{who}_skeleton_u8", skeleton_u8(pose, size), 0
        yield f"{who}_face", face_box(pose), TOLERANCE
    cropped = Pose(pose.xy.astype(float) * (CROP_SCALE[1] / size[1], CROP_SCALE[0] / size[0]) - CROP_BOX, pose.visible)
    yield "target_skeleton_cropped_u8", skeleton_u8(cropped, size), 0
    yield "target_face_cropped", face_box(cropped), TOLERANCE
    yield "face_crop_target", losses.face_crop(golden.target, torch.from_numpy(face_box(pose))[None])[0], TOLERANCE


def _pose(points: np.ndarray, size: tuple[int, int]) -> Pose:
    return Pose.from_text("\n".join(f"{x!r} {y!r}" for x, y in points.tolist()), size)


def check_generator(golden: Golden) -> Iterator[tuple[str, object, float]]:
    images = [rendering.image[0] for rendering, _ in golden.steps]
    for name in golden.names("step_output/"):
        yield name, images[int(name.split("/")[1]) - 1], STEP_TOLERANCE
    stats = [[image.mean().item(), image.std().item(), image.abs().max().item()] for image in images]
    yield "step_stats", np.array(stats), STEP_TOLERANCE
    rendering, textures = golden.steps[RECORDED_STEP]
    recorded = {
        "extraction_softmax": [attention.flatten(2) for attention in textures.attention],
        "neural_textures": list(textures.values),
        "semantic_distribution": list(rendering.distribution),
    }
    for kind, tensors in recorded.items():
        for i, tensor in enumerate(tensors):
            if f"step5/{kind}/{i}_stats" in golden.arrays:
                yield f"step5/{kind}/{i}_stats", _stats(tensor), TOLERANCE
            if f"step5/{kind}/{i}" in golden.arrays:
                yield f"step5/{kind}/{i}", tensor[0], TOLERANCE
    truth = degrade(golden.target, ladder(golden.config)[DEGRADED_LEVEL])
    loss = losses.attention_reconstruction(golden.source, truth, textures.attention, rendering.distribution)
    yield "step5/attn_recon_loss", loss, TOLERANCE


def _stats(tensor: Tensor) -> np.ndarray:
    """Mean, deviation, first and last value, shape."""
    flat = tensor.flatten()
    return np.array([flat.mean(), flat.std(), flat[0], flat[-1], *tensor.shape], dtype=np.float64)


def check_discriminator(golden: Golden) -> Iterator[tuple[str, object, float]]:
    verdict = golden.verdict
    yield "dis_logit", verdict.logit, TOLERANCE
    yield "dis_step_logprob", verdict.step_logprob, TOLERANCE
    real, fake = F.softplus(-verdict.logit).mean(), F.softplus(verdict.logit).mean()
    assert torch.isclose(losses.discriminator_gan(verdict.logit, verdict.logit), real + fake)
    yield "gan_loss_real_fake_gen", torch.stack([real, fake, losses.generator_gan(verdict.logit)]), TOLERANCE
    images = golden.judged.clone().requires_grad_()
    judged = golden.discriminator(images)
    penalties = [losses.r1_penalty(judged.logit, images), losses.r1_penalty(judged.step_logprob, images)]
    # The recorded penalties are around 1e-5, so an absolute tolerance would prove nothing: compare ratios.
    ours = torch.stack(penalties).detach().numpy() / golden.arrays["r1_adv_and_step"]
    yield "r1_adv_and_step (ratio)", (ours, np.ones(2)), 1e-3


def check_swap(golden: Golden) -> Iterator[tuple[str, object, float]]:
    """Garment coefficients: both people rendered at the last step's input, with the last step's textures."""
    t = golden.config.steps - 1
    x = golden.steps[-1][0].image
    means = {}
    for who, photo in (("garment", golden.target), ("reference", golden.source)):
        rendering, _ = golden.run(photo, x, t)
        mask = torch.zeros(1, 1, *golden.config.size)
        top, bottom, left, right = golden.arrays[f"swap/{who}_mask_box"]
        mask[:, :, top:bottom, left:right] = 1
        means[who] = [label_means(logits, mask) for logits in rendering.distribution]
    for i, (garment, reference) in enumerate(zip(means["garment"], means["reference"], strict=True)):
        yield f"swap/garment_query/{i}", garment, TOLERANCE
        yield f"swap/reference_query/{i}", reference, TOLERANCE
        yield f"swap/init_coeff/{i}", initial_coefficients(garment, reference), 0


CHECKS = (check_ladders, check_poses, check_generator, check_discriminator, check_swap)


def compare(arrays: Mapping[str, np.ndarray], fast: bool = False) -> list[Check]:
    """Every array of a golden file against ours; ``fast``: by the generator as the pipeline runs it, folded and packed."""
    golden, checks = Golden(arrays, fast), []
    for part in CHECKS:
        for name, ours, tolerance in part(golden):
            ours, truth = ours if isinstance(ours, tuple) else (ours, arrays[name])
            ours, truth = (np.asarray(value, dtype=np.float64) for value in (ours, truth))
            same_shape = ours.shape == truth.shape
            checks.append(Check(name, float(np.abs(ours - truth).max()) if same_shape else float("inf"), tolerance))
    return checks


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with np.load(arguments[0], allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        print(f"error: {arguments[0]}: {getattr(error, 'strerror', None) or 'not an NPZ file'}", file=sys.stderr)
        return 2
    checks = compare(arrays)
    for check in checks:
        print(f"{'ok  ' if check.passed else 'FAIL'} {check.name:40} max error {check.error:.2e} (tolerance {check.tolerance:g})")
    failed = sum(not check.passed for check in checks)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
