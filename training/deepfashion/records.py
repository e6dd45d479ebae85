"""An entry of a prepared data set: an encoded picture, its mask and its pose as bytes, with a checksum.

Entries are stored in LMDB environments, which are opened here, once per process, and never used across a fork.
"""

from __future__ import annotations

import os
import struct
import threading
import zlib
from dataclasses import dataclass
from pathlib import Path

import lmdb
import numpy as np

from nted_step.pose import Pose

MAGIC = b"NTP1"
HEADER = struct.Struct("<4sI16sII")  # magic, CRC-32 of everything after it, stamp, size of the picture, size of the mask
POSE_BYTES = 18 * 2 * 4 + 18
CHECKED_FROM = 8  # the checksum covers everything after itself
MAX_KEY = 511  # bytes, LMDB's limit
COMPLETE_NAME = "whole.json"  # written last into an environment's folder: without it the folder is incomplete


class RecordError(ValueError):
    """An entry that cannot be used; the message is one line that says why."""


@dataclass(frozen=True)
class Record:
    """One image at one size.

    Attributes:
        stamp: 16 bytes that change with the original files.
        pose: in pixels of the canvas.
        picture: PNG or JPEG, 8-bit RGB at the size of the canvas.
        mask: PNG, 8-bit grey at the same size, 255 on the person; empty if there is none.
    """

    stamp: bytes
    pose: Pose
    picture: bytes
    mask: bytes = b""

    def pack(self) -> bytes:
        """The entry as bytes; the inverse of :func:`unpack`."""
        pose = self.pose.xy.astype("<f4").tobytes() + self.pose.visible.astype(np.uint8).tobytes()
        body = pose + self.picture + self.mask
        unchecked = HEADER.pack(MAGIC, 0, self.stamp, len(self.picture), len(self.mask))[CHECKED_FROM:] + body
        return MAGIC + struct.pack("<I", zlib.crc32(unchecked)) + unchecked


def unpack(data: bytes | memoryview) -> Record:
    """Read what :meth:`Record.pack` wrote. Raises RecordError if any byte differs from what was written."""
    if len(data) < HEADER.size + POSE_BYTES or bytes(data[:4]) != MAGIC:
        raise RecordError("not an entry of a prepared data set")
    _, checksum, stamp, picture, mask = HEADER.unpack_from(data)
    start = HEADER.size + POSE_BYTES
    if len(data) != start + picture + mask or zlib.crc32(data[CHECKED_FROM:]) != checksum:
        raise RecordError("damaged, its checksum does not match")
    xy = np.frombuffer(data, "<f4", 36, HEADER.size).reshape(18, 2)
    visible = np.frombuffer(data, np.uint8, 18, start - 18).astype(bool)
    return Record(stamp, Pose(xy, visible), bytes(data[start : start + picture]), bytes(data[start + picture :]))


def size_folder(output: str | Path, size: tuple[int, int]) -> Path:
    """Folder of the environment for a canvas (H, W) in a prepared data set."""
    return Path(output) / f"{size[0]}x{size[1]}"


# By process id and folder. An LMDB environment may be open only once in a process and must not be used across a fork, and
# py-lmdb counts the parent's as open in the child too. So all are closed before a fork, and each process opens its own at its
# next read. The lock prevents a fork during another thread's read.
_OPEN: dict[tuple[int, str], lmdb.Environment] = {}
_LOCK = threading.RLock()


def read_entry(folder: Path, key: str) -> bytes | None:
    """The bytes under a key of a folder's environment, or None. Opens it at this process's first read. Raises lmdb.Error."""
    with _LOCK, _reader(folder).begin() as transaction:
        return transaction.get(key.encode())


def close_reader(folder: Path) -> None:
    """Close this process's environment of a folder, if it is open; the next read opens it again."""
    with _LOCK:
        environment = _OPEN.pop(_own(folder), None)
        if environment is not None:
            environment.close()


def _reader(folder: Path) -> lmdb.Environment:
    own = _own(folder)
    if own not in _OPEN:
        # Without locks: nothing writes while a run reads, so the processes need no table of readers.
        _OPEN[own] = lmdb.open(own[1], readonly=True, lock=False, readahead=False, create=False)
    return _OPEN[own]


def _own(folder: Path) -> tuple[int, str]:
    return os.getpid(), str(Path(folder).resolve())


def _close_before_fork() -> None:
    _LOCK.acquire()
    while _OPEN:
        _OPEN.popitem()[1].close()


if hasattr(os, "register_at_fork"):  # not on systems without fork
    os.register_at_fork(before=_close_before_fork, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)
