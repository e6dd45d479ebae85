"""Files of other people that training, conversion and evaluation can use: what they are, who licenses them, and who has them.

An address is given only where the project uses it itself; of the rest it is said whose it is, since the authors move their links.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from training.evaluation.networks import CLEAN_FID_URL, FID_URL, LPIPS_URL
from training.perceptual import URL as VGG_URL

NTED_PAGE = "to be had from the authors of NTED (Ren et al., CVPR 2022)"
GFLA_PAGE = "to be had from the authors of GFLA (Ren et al., CVPR 2020)"
MMFASHION_PAGE = "to be had from mmfashion's authors"
NTED_LICENCE = "CC BY-NC 4.0: no commercial use"


@dataclass(frozen=True)
class Item:
    """A file to fetch.

    Attributes:
        name: by which the command line calls it. file: its name on disk. what: one line.
        licence: in words. where: the page that links it, for an item without an address.
        url: address, if it is known; size: bytes, if known.
        sha256: of the file in hexadecimal, or its first digits; empty if not known.
        cached: whether it belongs into torch's cache, where the commands look for it.
        password: whether only the authors of the data hand it out.
    """

    name: str
    file: str
    what: str
    licence: str
    where: str = ""
    url: str = ""
    size: int | None = None
    sha256: str = ""
    cached: bool = False
    password: bool = False

    def path(self, output: Path) -> Path:
        return (Path(torch.hub.get_dir()) / "checkpoints" if self.cached else output) / self.file


def _network(name: str, url: str, what: str, licence: str) -> Item:
    """A network in torch's cache, whose file name ends in the first eight digits of its SHA-256."""
    file = url.rpartition("/")[2]
    return Item(name, file, what, licence, url=url, sha256=Path(file).stem.rpartition("-")[2], cached=True)


CATALOGUE = (
    Item("images", "img_highres.zip", "DeepFashion In-shop Clothes Retrieval, images", "research only, by agreement with its authors",
         where="ask the authors of DeepFashion (Liu et al., CVPR 2016)", password=True),
    Item("lists", "deepfashion_lists.zip", "train.lst, test.lst and the pair lists of the GFLA split", "not stated", where=GFLA_PAGE),
    Item("poses", "deepfashion_poses.zip", "pose files of the GFLA split, 18 joints for every image", "not stated", where=NTED_PAGE),
    Item("nted-256", "nted_256.pt", "one-step NTED at 256x176, for python -m nted_step convert --from nted", NTED_LICENCE, where=NTED_PAGE),
    Item("nted-512", "nted_512.pt", "one-step NTED at 512x352, for python -m nted_step convert --from nted", NTED_LICENCE, where=NTED_PAGE),
    Item("mmfashion-parser", "epoch_15.pth", "mmfashion's parser, for appearance_control convert", "Apache-2.0", where=MMFASHION_PAGE),
    _network("vgg19", VGG_URL, "VGG19, for the perceptual losses", "torchvision's, BSD-3-Clause"),
    _network("lpips", LPIPS_URL, "AlexNet, for LPIPS", "torchvision's, BSD-3-Clause"),
    _network("fid", FID_URL, "Inception-v3, for FID", "torchvision's, BSD-3-Clause"),
    _network("clean-fid", CLEAN_FID_URL, "TensorFlow's Inception-v3, for clean-FID", "torch-fidelity's, Apache-2.0"),
)  # fmt: skip


def find(name: str, catalogue: tuple[Item, ...] = CATALOGUE) -> Item:
    """The item of a name. Raises ValueError that lists the names."""
    for item in catalogue:
        if item.name == name:
            return item
    raise ValueError(f"{name}: no such item; choose from {', '.join(item.name for item in catalogue)}")
