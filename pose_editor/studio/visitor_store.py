"""Whose photos and results the server keeps: those of the visitors who were here last, limited in bytes, number and age."""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from dataclasses import dataclass

from pose_editor.studio import memory
from pose_editor.studio.session import Session

MOST_BYTES = 512 * 2**20  # of all visitors' photos and results: about forty photos with their results, of the bundled weights
MOST_VISITORS = 192
KEPT_SECONDS = 3600  # after a visitor's last run


@dataclass(frozen=True)
class KeptSession:
    """A session that holds something."""

    session: weakref.ref[Session]
    nbytes: int
    used: float


class VisitorStore:
    """Sessions that hold photos or results, the most recently used last. Whoever only looks is not in it and drives nobody out.

    A session that has to go is emptied, not deleted: its visitor is told to choose the photo again.
    """

    def __init__(self, most: int = MOST_BYTES, visitors: int = MOST_VISITORS, seconds: float = KEPT_SECONDS) -> None:
        self.most, self.visitors, self.seconds = most, visitors, seconds
        self._kept: OrderedDict[int, KeptSession] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """Bytes of everything that is kept."""
        return sum(each.nbytes for each in list(self._kept.values()))

    def touch(self, session: Session) -> None:
        """A visitor's session is in use, and may have grown. The least recently used are emptied when there is no room for all."""
        size = session.nbytes()
        with self._lock:
            self._kept.pop(id(session), None)
            if size:
                self._kept[id(session)] = KeptSession(weakref.ref(session), size, time.monotonic())
                session.kept = True
            gone = self._leaving(session)
        for other in gone:
            other.forget()
        if gone:
            memory.give_back()

    def _leaving(self, current: Session) -> list[Session]:
        """Take out who has to go; never ``current``."""
        for key in [key for key, each in self._kept.items() if each.session() is None]:
            del self._kept[key]
        taken, oldest, gone = self.taken, time.monotonic() - self.seconds, []
        for key, each in list(self._kept.items()):
            too_much = taken > self.most or len(self._kept) > self.visitors
            if key == id(current) or not (too_much or each.used < oldest):
                break
            taken -= self._kept.pop(key).nbytes
            if (session := each.session()) is not None:
                gone.append(session)
        return gone
