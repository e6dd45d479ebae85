"""The encoded photos that the server keeps for one visitor, so that a photo that comes back need not be encoded again."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from torch import Tensor

from nted_step.person import Person
from nted_step.pipeline import NTEDStepPipeline
from nted_step.pose import Pose

MAX_BYTES = 24 * 10**6  # of a visitor's photos in one tab, textures and places included: four people of the bundled weights in bfloat16


class PersonCache:
    """People by the pixels of their photos. When they take more than ``most`` bytes, the least recently used are dropped.

    Whoever still holds a dropped :class:`Person` can go on with it, but its textures are freed. The person in use is never dropped,
    whatever it takes. A change of the weights drops everybody.

    Args:
        most: bytes of photos, textures and places.
    """

    _lock = threading.Lock()  # of the class, because a visitor's state is copied; what it guards takes microseconds

    def __init__(self, most: int = MAX_BYTES) -> None:
        self.most = most
        self._people: OrderedDict[bytes, Person] = OrderedDict()  # the most recently used is the last
        self._pipeline: NTEDStepPipeline | None = None

    def encode(self, pipeline: NTEDStepPipeline, photo: Tensor, pose: Pose | None = None, large: Tensor | None = None) -> Person:
        """The person in a photo for these weights; arguments and errors of :meth:`NTEDStepPipeline.encode`."""
        key = _key(photo)
        with self._lock:
            self._begin(pipeline)
            person = self._people.get(key) or pipeline.encode(photo, pose, large)
            if person.pose != pose:
                person = person.posed(pose)
            self._put(key, person)
            return person

    def use(self, pipeline: NTEDStepPipeline, person: Person) -> None:
        """Mark a person of these weights as the most recently used. One that was dropped, or is new here, is added."""
        with self._lock:
            self._begin(pipeline)
            key = next((key for key, each in self._people.items() if each is person), None)
            self._put(key or _key(person.source[0].cpu()), person)

    def people(self) -> list[Person]:
        """Everybody in the cache, the least recently used first."""
        with self._lock:
            self._shrink()
            return list(self._people.values())

    def drop(self, person: Person) -> None:
        """Drop one, with the textures."""
        with self._lock:
            for key in [key for key, each in self._people.items() if each is person]:
                del self._people[key]
        person.forget()

    def clear(self) -> None:
        """Drop everybody, with their textures."""
        with self._lock:
            people = list(self._people.values())
            self._people.clear()
        for person in people:
            person.forget()

    def _begin(self, pipeline: NTEDStepPipeline) -> None:
        if self._pipeline is not pipeline:
            self._people.clear()
            self._pipeline = pipeline

    def _put(self, key: bytes, person: Person) -> None:
        self._people[key] = person
        self._people.move_to_end(key)
        self._shrink()

    def _shrink(self) -> None:
        """Drop people until the rest fits. Textures come with the steps of a run, so sizes are measured each time."""
        taken = sum(person.nbytes for person in self._people.values())
        while taken > self.most and len(self._people) > 1:
            _, person = self._people.popitem(last=False)
            taken -= person.nbytes
            person.forget()


def _key(photo: Tensor) -> bytes:
    return hashlib.blake2b(photo.contiguous().numpy().tobytes(), digest_size=16).digest()


def kept_photos_notice(*caches: PersonCache) -> str:
    """What the server keeps of a visitor's photos, all tabs together, in a few words."""
    people = {id(person): person for cache in caches for person in cache.people()}  # one may be kept in two tabs
    limit = sum(cache.most for cache in caches) / 1e6
    if not people:
        return f"Your photos in memory: none (limit {limit:.0f} MB)"
    taken = sum(person.nbytes for person in people.values()) / 1e6
    return f"Your photos in memory: {len(people)} ({taken:.1f} of {limit:.0f} MB)"
