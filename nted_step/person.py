"""The appearance of a run: an encoded photo, and the protocol that anything in its place implements."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from nted_step.background import hands_and_shoes, remove_person
from nted_step.carrier import Carrier, PhotoFeatures, Places
from nted_step.carrying import Carried, carry_person
from nted_step.execution import Execution, extraction
from nted_step.generator import Textures
from nted_step.image import to_uint8
from nted_step.pose import Pose, joint_tensor, skeleton_map

POSES_KEPT = 4  # whose places a person keeps: the one that is worked on, and those of a run or two beside it


class Encoder(Protocol):
    """Encodes photos; a pipeline is one."""

    def encode(self, photo: Tensor, pose: Pose | None = None, large: Tensor | None = None) -> Person: ...


@dataclass(frozen=True)
class Photograph:
    """A :class:`Person` on its way to another process: what ``encode`` takes."""

    photo: Tensor
    pose: Pose | None
    large: Tensor | None

    def on(self, encoder: Encoder) -> Person:
        return encoder.encode(self.photo, self.pose, self.large)


class Appearance(Protocol):
    """The appearance that a run renders: a :class:`Person`, or one dressed in other people's garments.

    Attributes:
        source: 1 x 3 x H x W float32 in [-1, 1], where the noisy start comes from.
    """

    source: Tensor

    def textures(self, t: int) -> Textures:
        """The texture values of step t (0..steps-1)."""

    def carried(self, pose: Pose, size: tuple[int, int] | None = None) -> Carried | None:
        """The photos' pixels in a pose, on the canvas or on one of another ``size`` (H, W); None where nothing can be carried."""

    def background(self, size: tuple[int, int] | None = None) -> Tensor | None:
        """The photo without the person, 1 x 3 x H x W in [-1, 1], on the canvas or another ``size`` (H, W); None where the pose
        in the photo is not known."""

    def on(self, encoder: Encoder) -> Appearance:
        """The same for another pipeline, which may be on another device."""


class PlaceFinder:
    """A carrier on a device, for one photo at a time."""

    def __init__(self, carrier: Carrier, size: tuple[int, int], device: torch.device, dtype: torch.dtype):
        """``size``: of the canvas that poses and photos are on. ``dtype``: of the network's inner arithmetic; places are float32."""
        self.carrier = carrier.to(device, dtype).to(memory_format=torch.channels_last)
        self.size, self.device = size, device

    @torch.no_grad()
    def read(self, photo: Tensor, pose: Pose) -> PhotoFeatures:
        """Photo 1 x 3 x H x W in [-1, 1] and the pose in it."""
        return self.carrier.read(photo.to(self.device), *self._drawn(pose))

    @torch.no_grad()
    def find(self, photo: PhotoFeatures, target: Pose) -> Places:
        """Where in a photo that was read each place of a pose is."""
        return self.carrier.find(photo, *self._drawn(target))

    def _drawn(self, pose: Pose) -> tuple[Tensor, Tensor]:
        """Skeleton map and joints."""
        return skeleton_map(pose, self.size)[None].to(self.device), joint_tensor(pose, self.size)[None].to(self.device)


class Person:
    """An encoded photo. The textures of every step and the places in every pose are computed when first needed, then cached.

    The textures of step t depend on the photo and t alone, so one Person serves every pose. Safe to share between threads.

    Attributes:
        source: 1 x 3 x H x W float32 in [-1, 1] on the pipeline's device.
        pose: the pose in the photo, or None where nobody said.
        large: 3 x h x w uint8, the same window of the photo with more pixels, on the CPU; None where there are no more.
    """

    def __init__(
        self,
        source: Tensor,
        execution: Execution,
        pose: Pose | None = None,
        carrier: PlaceFinder | None = None,
        large: Tensor | None = None,
    ):
        """``carrier``: of a model that carries; None for one that does not."""
        self.source, self.pose, self.large = source, pose, large
        self._execution, self._carrier = execution, carrier
        self._known: dict[int, Textures] = {}
        self._read: PhotoFeatures | None = None
        self._places: OrderedDict[Pose, Places] = OrderedDict()
        self._background: Tensor | None = None
        self._lock = threading.Lock()

    def textures(self, t: int) -> Textures:
        """The texture values of step t (0..steps-1), without the extraction maps, which would take most of the memory."""
        with self._lock:
            if t not in self._known:
                self._known[t] = self._execution.textures(self._input(), t)
            return self._known[t]

    @torch.no_grad()
    def extraction(self, t: int) -> Textures:
        """Texture values and extraction maps of step t, computed anew at every call."""
        return extraction(self._execution.generator, self._input(), t)

    def places(self, pose: Pose) -> Places | None:
        """Where in the photo each place of a pose is; None for a model that does not carry, or where the photo's pose is not known."""
        if self._carrier is None or self.pose is None:
            return None
        with self._lock:
            if pose not in self._places:
                if self._read is None:
                    self._read = self._carrier.read(self.source, self.pose)
                self._places[pose] = self._carrier.find(self._read, pose)
                while len(self._places) > POSES_KEPT:
                    self._places.popitem(last=False)
            self._places.move_to_end(pose)
            return self._places[pose]

    def carried(self, pose: Pose, size: tuple[int, int] | None = None) -> Carried | None:
        places = self.places(pose)
        if places is None:
            return None
        if size is None or tuple(size) == tuple(self.source.shape[-2:]):
            return carry_person(places, self.source)
        photo = self.source if self.large is None else self.large[None].to(self.source.device).float() / 127.5 - 1
        return carry_person(places, photo, size)

    def background(self, size: tuple[int, int] | None = None) -> Tensor | None:
        if self._carrier is None or self.pose is None:
            return None
        canvas = (self.source.shape[-2], self.source.shape[-1])
        with self._lock:
            if self._read is None:
                self._read = self._carrier.read(self.source, self.pose)
            if size is not None and size != canvas:
                return self._without_person(self._read, size)
            if self._background is None:
                self._background = self._without_person(self._read, canvas)
            return self._background

    def _without_person(self, read: PhotoFeatures, size: tuple[int, int]) -> Tensor:
        height, width = self.source.shape[-2:]
        ends = hands_and_shoes(self.pose, (height, width)) if self.pose else None
        filled = remove_person(to_uint8(self._photo(size)[0]), read.mask[0, 0].sigmoid().cpu().numpy(), ends)
        return torch.from_numpy(filled).permute(2, 0, 1)[None].to(self.source.device).float() / 127.5 - 1

    def _photo(self, size: tuple[int, int]) -> Tensor:
        """1 x 3 x H x W in [-1, 1], from as many pixels as there are."""
        known = self.source if self.large is None or size == tuple(self.source.shape[-2:]) else self.large[None].float() / 127.5 - 1
        return F.interpolate(known.float(), size=size, mode="bilinear", antialias=True, align_corners=False).clamp(-1, 1)

    def on(self, encoder: Encoder) -> Person:
        return Photograph(self.source[0].cpu(), self.pose, self.large).on(encoder)

    def __reduce__(self) -> tuple[type, tuple[Tensor, Pose | None, Tensor | None]]:
        """Pickles the photo alone, which the other process encodes again."""
        return Photograph, (self.source[0].cpu(), self.pose, self.large)

    def posed(self, pose: Pose | None) -> Person:
        """The same photo with another pose assigned to it; cached textures are shared."""
        other = Person(self.source, self._execution, pose, self._carrier, self.large)
        other._known, other._lock = self._known, self._lock
        return other

    def forget(self) -> None:
        """Drop everything cached. It is computed again when it is needed again."""
        with self._lock:
            self._known.clear()
            self._places.clear()
            self._read = self._background = None

    @property
    def nbytes(self) -> int:
        """Bytes held by the photo, and the textures and places known so far."""
        known, places, read = list(self._known.values()), list(self._places.values()), self._read  # a run beside this one may add
        tensors = [self.source, *(value for textures in known for value in textures.values)]
        tensors += [each for each in (self.large, self._background) if each is not None]
        tensors += [value for one in places for value in vars(one).values()]
        tensors += [] if read is None else read.tensors()
        return sum(tensor.numel() * tensor.element_size() for tensor in {id(each): each for each in tensors}.values())

    def _input(self) -> Tensor:
        return self.source.to(self._execution.generator.dtype, memory_format=torch.channels_last)
