"""FashionParser: what a person in a photo wears, instance by instance."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection import MaskRCNN

from appearance_control.classes import labels_of
from appearance_control.detection import detect, prepare
from appearance_control.network import ParserConfig, build_network
from nted_step.bundled import PARSER_WEIGHTS
from nted_step.classes import CLASSES, FACE
from nted_step.image import to_uint8
from nted_step.pipeline import choose_device
from nted_step.weights import CONFIG_NAME, WEIGHTS_NAME, WeightsError, check_tensors, find_weights, read_folder, write_folder

GARMENT_SCORE = 0.3  # an instance above this score counts as a garment
PERSON_AREA = 0.25  # of the largest face's area: a smaller face is a detail, not another person
FACE_SCORE = 0.5  # a face above this score counts as a person


@dataclass(frozen=True)
class Instance:
    """One garment, body part or accessory found in a photo.

    Attributes:
        label: 1..15, of the class ``name``.
        score: 0..1.
        box: (x1, y1, x2, y2) in pixels, x2 and y2 one beyond the last.
        mask: H x W bool.
    """

    label: int
    score: float
    box: tuple[float, float, float, float]
    mask: np.ndarray

    @property
    def name(self) -> str:
        return CLASSES[self.label - 1]

    @cached_property
    def rle(self) -> dict[str, Any]:
        """The mask as a COCO run-length encoding, ``counts`` as text, ready for JSON."""
        from pycocotools import mask as coco_mask  # imported here because training does not need it

        encoded = coco_mask.encode(np.asfortranarray(self.mask.astype(np.uint8)))
        return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


@dataclass(frozen=True)
class Parse:
    """Everything found in one photo of ``size`` (H, W), best score first."""

    size: tuple[int, int]
    instances: tuple[Instance, ...]

    def mask(self, parts: Iterable[str], score: float = GARMENT_SCORE) -> np.ndarray:
        """H x W bool: the union of the instances of some parts above a score; all False when there are none."""
        labels = labels_of(parts)
        union = np.zeros(self.size, bool)
        for instance in self.instances:
            if instance.label in labels and instance.score > score:
                union |= instance.mask
        return union

    def people(self) -> int:
        """How many people there seem to be, at least 1: the number of clear faces of similar size."""
        areas = [int(i.mask.sum()) for i in self.instances if i.label == FACE and i.score > FACE_SCORE]
        return max(1, sum(area >= PERSON_AREA * max(areas) for area in areas))

    def class_names(self, score: float = GARMENT_SCORE) -> list[str]:
        """Names of the classes found above a score, in the order of ``CLASSES``."""
        found = {instance.label for instance in self.instances if instance.score > score}
        return [CLASSES[label - 1] for label in sorted(found)]

    def to_coco(self, file_name: str) -> dict[str, Any]:
        """A COCO document for this photo: images, annotations with scores, categories."""
        annotations = [
            {
                "id": number,
                "image_id": 1,
                "category_id": instance.label,
                "score": round(instance.score, 6),
                "bbox": [round(v, 3) for v in (*instance.box[:2], instance.box[2] - instance.box[0], instance.box[3] - instance.box[1])],
                "area": int(instance.mask.sum()),
                "iscrowd": 0,
                "segmentation": instance.rle,
            }
            for number, instance in enumerate(self.instances, 1)
        ]
        return {
            "images": [{"id": 1, "file_name": file_name, "height": self.size[0], "width": self.size[1]}],
            "annotations": annotations,
            "categories": [{"id": label, "name": name, "supercategory": "fashion"} for label, name in enumerate(CLASSES, 1)],
        }


class FashionParser:
    """Mask R-CNN over the 15 classes.

    >>> parser = FashionParser.from_pretrained("assets/weights/parser")
    >>> parse = parser.parse(pixels)  # H x W x 3 uint8 RGB
    >>> upper = parse.mask(["upper"])
    """

    def __init__(
        self, network: MaskRCNN, config: ParserConfig, *, device: str = "cpu", origin: str = "weights in memory", sha256: str = ""
    ):
        self.config, self.origin, self.sha256 = config, origin, sha256
        self.device = choose_device(device)
        self.network = network.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)
        self._lock = threading.Lock()  # torchvision's RoI pooling keeps its scales on the module

    @classmethod
    def from_pretrained(cls, folder: str | Path = PARSER_WEIGHTS, revision: str | None = None, *, device: str = "cpu") -> FashionParser:
        """Weights from a folder or Hub repository. Raises WeightsError (one line)."""
        path = find_weights(folder, revision)
        document, state, digest = read_folder(path)
        try:
            config = ParserConfig.from_dict(document["parser"])
        except (KeyError, TypeError, AttributeError):
            raise WeightsError(
                f"{path / CONFIG_NAME}: the key 'parser' is missing or not a table; are these weights of a parser?"
            ) from None
        except ValueError as error:
            raise WeightsError(f"{path / CONFIG_NAME}: {error}") from None
        network = build_network(config)
        load_network(network, state, str(path / WEIGHTS_NAME))
        return cls(network, config, device=device, origin=str(folder), sha256=digest)

    def parse(self, photo: np.ndarray) -> Parse:
        """H x W x 3 uint8 RGB -> everything found. Raises ValueError for any other array."""
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or min(photo.shape[:2]) < 1:
            raise ValueError(f"a photo is H x W x 3 uint8, not {photo.shape} {photo.dtype}")
        prepared = prepare(photo, self.config.resize)
        prepared = replace(prepared, image=prepared.image.to(self.device, memory_format=torch.channels_last))
        with self._lock:
            found, masks = detect(self.network, prepared, self.config.proposals, self.config.margin)
        rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), masks, strict=True)
        return Parse(photo.shape[:2], tuple(Instance(label, score, tuple(box), mask) for label, score, box, mask in rows if mask.any()))

    def parse_image(self, image: Tensor) -> Parse:
        """3 x H x W in [-1, 1] -> everything found."""
        return self.parse(to_uint8(image))


def load_network(network: MaskRCNN, state: dict[str, Tensor], origin: str) -> None:
    """Load all tensors. Raises WeightsError naming the first one whose name or shape does not match."""
    check_tensors({key: tuple(value.shape) for key, value in network.state_dict().items()}, state, origin)
    network.load_state_dict(state, strict=True)


def save_parser(
    folder: str | Path, network: MaskRCNN, config: ParserConfig, training: dict[str, Any], dtype: torch.dtype = torch.float16
) -> Path:
    """Write ``config.json`` and ``model.safetensors``; :meth:`FashionParser.from_pretrained` reads them."""
    return write_folder(folder, {"format": "fashion_parser", "parser": config.to_dict()}, network.state_dict(), training, dtype)
