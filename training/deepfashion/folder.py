"""Layout of a DeepFashion in-shop folder: images (nested or flat), poses, lists, pairs, and optional masks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pycocotools import mask as coco_mask

from training.deepfashion.annotations import annotation_files, read_annotations
from training.deepfashion.pair_lists import IMAGE_FOLDERS, LayoutError, PairList, inside_images, lines, pair_file, read_pair_list

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Layout:
    """An in-shop folder.

    Attributes:
        images, poses: folders.
        names: every image named in a list or a pair, once, in order.
        lists: part -> its pair list.
        annotated: flat name -> 18 rows of a pose file, from GFLA's annotation csv; used where there is no pose file.
        masks: name -> run-length masks (COCO) of the person's body and garments; empty without ``masks.json``.
    """

    images: Path
    poses: Path
    names: tuple[str, ...]
    lists: dict[str, PairList]
    annotated: dict[str, str] = field(default_factory=dict)
    masks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def pairs(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """Part -> (source, target) names, in the file's order."""
        return {part: listed.pairs for part, listed in self.lists.items()}

    def annotation(self, name: str) -> str:
        """The rows of a pose file for an image that an annotation csv names; empty if none does."""
        return self.annotated.get(flat_name(name), "")

    def image_file(self, name: str) -> Path | None:
        """The file of an image: at this path, or the nested file whose flat name in the published splits this is; else None."""
        path = self.images / name
        return path if path.is_file() else self._by_flat_name.get(flat_name(name))

    def pose_file(self, name: str, image: Path) -> Path:
        """The pose file of an image, which may be missing: named after the listed name, else after the image's own path."""
        listed = (self.poses / name).with_suffix(".txt")
        found = (self.poses / image.relative_to(self.images)).with_suffix(".txt")
        return found if not listed.is_file() and found.is_file() else listed

    @cached_property
    def _by_flat_name(self) -> dict[str, Path]:
        found: dict[str, Path | None] = {}
        for path in self.images.rglob("*"):
            if path.suffix.lower() in SUFFIXES:
                flat = flat_name(path.relative_to(self.images).as_posix())
                found[flat] = None if flat in found else path  # two files with one flat name: none is better than the wrong one
        return {flat: path for flat, path in found.items() if path}


def flat_name(name: str) -> str:
    """A name without its folders' separators and underscores, for comparison with the names in the published splits.

    ``WOMEN/Dresses/id_00000002/02_1_front.jpg`` and ``fashionWOMENDressesid0000000202_1front.jpg`` are the same image.
    """
    return re.sub("[/_]", "", str(PurePosixPath(name).with_suffix("")).removeprefix("fashion"))


def read_layout(root: str | Path, order: str | None = None) -> Layout:
    """Read lists, pairs and masks of a folder; ``order`` of the pair lists that do not tell theirs. Raises LayoutError."""
    root = Path(root)
    if not root.is_dir():
        raise LayoutError(f"{root}: no such folder; --root is the folder that holds img/ or img_highres/, pose/ and the lists")
    images = _image_folder(root)
    if images is None:
        within = next((folder for folder in sorted(root.iterdir()) if folder.is_dir() and _image_folder(folder)), None)
        remedy = f"give --root '{within}'" if within else "unpack the images into one of them"
        raise LayoutError(f"{root}: has neither img_highres/ nor img/; {remedy}")
    csvs = annotation_files(root)
    if not csvs and not (root / "pose").is_dir():
        raise LayoutError(f"{root / 'pose'}: no such folder; put the pose files there, one NAME.txt of 18 rows for each image")
    files = {part: path for part in SPLITS if (path := pair_file(root, part))}
    beside = f"{csvs[0].name} beside it, whose project lists from,to" if csvs else None
    lists = {part: read_pair_list(path, order, beside) for part, path in files.items()}
    if not any(listed.pairs for listed in lists.values()):
        raise LayoutError(f"{root / 'train_pairs.txt'}: no pairs; write the header from,to and one 'source,target' on each line")
    listed = [inside_images(line) for part in SPLITS if (root / f"{part}.lst").exists() for _, line in lines(root / f"{part}.lst")]
    paired = (name for each in lists.values() for pair in each.pairs for name in pair)
    annotated = {flat_name(name): text for path in csvs for name, text in read_annotations(path).items()}
    return Layout(images, root / "pose", _unique(listed, paired), lists, annotated, _read_masks(root / "masks.json"))


def _image_folder(root: Path) -> Path | None:
    return next((root / name for name in IMAGE_FOLDERS if (root / name).is_dir()), None)


def name_problem(name: str, max_bytes: int) -> str | None:
    """Why a listed name cannot be a key or a file in the image folder; None if it can."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.name:
        return "a name must lie inside the image folder"
    return f"a name of more than {max_bytes} bytes" if len(name.encode()) > max_bytes else None


def _unique(*groups: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))


def _read_masks(path: Path) -> dict[str, list[dict[str, Any]]]:
    """COCO run-length masks by image name, of the size that the document gives the image; empty if the file does not exist."""
    if not path.exists():
        return {}
    masks: dict[str, list[dict[str, Any]]] = {}
    try:
        document = json.loads(path.read_bytes())
        images = {image["id"]: image for image in document["images"]}
        for entry in document["annotations"]:
            image = images[entry["image_id"]]
            masks.setdefault(inside_images(image["file_name"]), []).append(_run_lengths(entry["segmentation"], image))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LayoutError(
            f"{path}: not COCO annotations ({type(error).__name__}: {error}); write it again, or remove it to do without masks"
        ) from None
    return masks


def _run_lengths(segmentation: Any, image: dict[str, Any]) -> dict[str, Any]:
    """A segmentation as {"size": [h, w], "counts": text or bytes}: COCO also has polygons and uncompressed counts."""
    if isinstance(segmentation, dict) and not isinstance(segmentation["counts"], list):
        return dict(segmentation)
    height, width = int(image["height"]), int(image["width"])
    encoded = coco_mask.frPyObjects(segmentation, height, width)
    return dict(coco_mask.merge(encoded) if isinstance(encoded, list) else encoded)
