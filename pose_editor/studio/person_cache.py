"""The encoded photos that the server keeps for one visitor, so that a photo that comes back need not be encoded again."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from torch import Tensor

from nted_step.person import Person
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose

MOST_BYTES = 24 * 10**6  # of a visitor's photos in one tab, with their textures and places: four people of the bundled weights in bfloat16


class KeptPeople:
    """People by their photos' pixels. When they take more than ``most`` bytes, those least recently used are forgotten.

    Whoever still holds a forgotten :class:`Person` can go on with it, but its textures are given back. The one in use is never
    forgotten, whatever it takes. A change of the weights forgets everybody.

    Args:
        most: bytes of photos and textures.
    """

    _lock = threading.Lock()  # of the class, because a visitor's state is copied; what it guards takes microseconds

    def __init__(self, most: int = MOST_BYTES) -> None:
        self.most = most
        self._people: OrderedDict[bytes, Person] = OrderedDict()  # the newest in use is the last
        self._pipeline: NTEDStepPipeline | None = None

    def encode(self, pipeline: NTEDStepPipeline, photo: Tensor, pose: Pose | None = None, large: Tensor | None = None) -> Person:
        """The person in a photo, as these weights see it; arguments and errors of :meth:`NTEDStepPipeline.encode`."""
        key = _key(photo)
        with self._lock:
            self._begin(pipeline)
            person = self._people.get(key) or pipeline.encode(photo, pose, large)
            if person.pose != pose:
                person = person.posed(pose)
            self._newest(key, person)
            return person

    def use(self, pipeline: NTEDStepPipeline, person: Person) -> None:
        """This person, of these weights, is worked with, and is the last to be forgotten. One forgotten before, or new here, is kept."""
        with self._lock:
            self._begin(pipeline)
            key = next((key for key, each in self._people.items() if each is person), None)
            self._newest(key or _key(person.source[0].cpu()), person)

    def people(self) -> list[Person]:
        """Everybody who is kept, the least recently used first."""
        with self._lock:
            self._fit()
            return list(self._people.values())

    def _begin(self, pipeline: NTEDStepPipeline) -> None:
        if self._pipeline is not pipeline:
            self._people.clear()
            self._pipeline = pipeline

    def _newest(self, key: bytes, person: Person) -> None:
        self._people[key] = person
        self._people.move_to_end(key)
        self._fit()

    def _fit(self) -> None:
        """Forget until the rest fits. Textures come with the steps of a run, so it is looked at anew each time."""
        taken = sum(person.nbytes for person in self._people.values())
        while taken > self.most and len(self._people) > 1:
            _, person = self._people.popitem(last=False)
            taken -= person.nbytes
            person.forget()


def _key(photo: Tensor) -> bytes:
    return hashlib.blake2b(photo.contiguous().numpy().tobytes(), digest_size=16).digest()


def line(*visits: KeptPeople) -> str:
    """What is kept for a visitor, all tabs together, in a few words."""
    people = {id(person): person for kept in visits for person in kept.people()}  # one may be kept in two tabs
    most = f"{sum(kept.most for kept in visits) / 1e6:.0f} MB"
    if not people:
        return f"Kept of yours: no photo (at most {most})"
    taken = sum(person.nbytes for person in people.values()) / 1e6
    photos = "1 encoded photo" if len(people) == 1 else f"{len(people)} encoded photos"
    return f"Kept of yours: {photos}, {taken:.1f} MB of at most {most}"
