"""Photos without a truth: each photo of a folder rendered in the same poses, side by side on one sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from torch import Tensor
from tqdm import tqdm

from nted_step.command_line import load_pose
from nted_step.files import write_file
from nted_step.image import encode_image, load_photo, to_pil
from nted_step.output import strip
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose, PoseError

PHOTO_SUFFIXES, POSE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp"), (".txt", ".json")
LETTER = 8  # width of a label's letter, in pixels of the canvas


@dataclass(frozen=True)
class Photo:
    """A person to render in other poses.

    Attributes:
        image: 3 x H x W float32 in [-1, 1], fitted to the canvas.
        pose: the pose in the photo, in pixels of the canvas.
    """

    name: str
    image: Tensor
    pose: Pose


def read_photos(folder: Path, size: tuple[int, int]) -> list[Photo]:
    """Every ``NAME.jpg|jpeg|png|webp`` of a folder with the pose in its ``NAME.txt|json``, by name.

    Poses refer to the photo fitted to the canvas (H, W) by :func:`nted_step.image.load_photo`. Raises ValueError, one line.
    """
    paths = _files(folder, PHOTO_SUFFIXES)
    if not paths:
        raise ValueError(f"{folder}: no photos ({', '.join(PHOTO_SUFFIXES)})")
    return [Photo(path.stem, load_photo(path, size).image, _read_pose(_pose_beside(path), size)) for path in paths]


def read_targets(folder: Path, size: tuple[int, int]) -> dict[str, Pose]:
    """Name -> pose for every ``*.txt|json`` of a folder. Raises ValueError, one line."""
    paths = _files(folder, POSE_SUFFIXES)
    if not paths:
        raise ValueError(f"{folder}: no target poses ({', '.join(POSE_SUFFIXES)})")
    return {path.stem: _read_pose(path, size) for path in paths}


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes and path.is_file())


def _pose_beside(photo: Path) -> Path:
    for suffix in POSE_SUFFIXES:
        if (path := photo.with_suffix(suffix)).is_file():
            return path
    raise ValueError(f"{photo}: the pose in it is missing; write it to {photo.stem}.txt or {photo.stem}.json beside it")


def _read_pose(path: Path, size: tuple[int, int]) -> Pose:
    """A pose file; errors name it, also if the pose can be read but not drawn."""
    try:
        return load_pose(path, size)
    except PoseError as error:
        raise error if str(path) in str(error) else PoseError(f"{path}: {error}") from None


def draw_photos(pipeline: NTEDStepPipeline, photos: list[Photo], targets: dict[str, Pose]) -> Image.Image:
    """One row per photo: the photo, then the last step in every target pose from the noise of seed 0, each labelled with its name."""
    width = pipeline.config.size[1]
    rows = []
    for photo in tqdm(photos, desc="photos", unit="photo"):
        person, images = pipeline.encode(photo.image, photo.pose), [to_pil(photo.image)]
        for pose in targets.values():
            *_, last = pipeline.generate(person, pose, seed=0)
            images.append(to_pil(last.image))
        rows.append(strip(images, [name[: width // LETTER] for name in (photo.name, *targets)]))
    sheet = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)))
    for number, row in enumerate(rows):
        sheet.paste(row, (0, number * row.height))
    return sheet


def write_photos(pipeline: NTEDStepPipeline, folder: Path, output: Path) -> Path:
    """Render a folder's photos in the poses of its subfolder ``poses``, into ``photos.png`` in ``output``. Raises ValueError, one line."""
    if output.resolve() == folder.resolve():
        raise ValueError(f"{output}: the sheet would be taken for one of the photos; choose another --output")
    size = pipeline.config.size
    photos, targets = read_photos(folder, size), read_targets(folder / "poses", size)
    sheet = encode_image(draw_photos(pipeline, photos, targets))
    output.mkdir(parents=True, exist_ok=True)
    write_file(output / "photos.png", sheet)
    return output / "photos.png"
