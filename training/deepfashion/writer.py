"""Writing of one LMDB environment of a prepared data set, several entries per transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import lmdb

from nted_step.files import write_file
from training.deepfashion.records import COMPLETE_NAME, RecordError, unpack

START_BYTES = 64 * 2**20  # of the memory map, which doubles when it is full
PER_COMMIT = 64  # entries per transaction, and the most that an interruption loses


class Writer:
    """The environment of one size, open for writing; a context manager that saves what was put, even if an exception ends it.

    From its opening until :meth:`finish` the folder is marked as incomplete, and readers refuse it. Raises OSError or lmdb.Error if the
    folder cannot be written or holds something else.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.environment = lmdb.open(str(folder), map_size=START_BYTES, readahead=False)
        self.pending: list[tuple[bytes, bytes | None]] = []
        (folder / COMPLETE_NAME).unlink(missing_ok=True)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None or not issubclass(kind, (lmdb.Error, OSError)):  # a full disk would only fail again
                self._commit()
        finally:
            self.environment.close()

    def stamp(self, name: str) -> bytes | None:
        """The stamp of an entry, or None if it is missing or damaged. Reads the whole entry."""
        with self.environment.begin(buffers=True) as transaction:
            data = transaction.get(name.encode())
            try:
                return None if data is None else unpack(data).stamp
            except RecordError:
                return None

    def put(self, name: str, entry: bytes) -> None:
        """Write an entry, replacing an older one."""
        self._add(name, entry)

    def delete(self, name: str) -> None:
        """Remove an entry if it exists; a name that is too long for a key never does."""
        if len(name.encode()) <= self.environment.max_key_size():
            self._add(name, None)

    def finish(self, pairs: Mapping[str, Sequence[tuple[str, str]]], left_out: Iterable[str]) -> None:
        """Write the pending entries, then the pair lists, and last the file that marks the folder as complete."""
        self._commit()
        self.environment.sync(True)
        for part, listed in pairs.items():
            write_file(self.folder / f"{part}_pairs.txt", "".join(f"{a},{b}\n" for a, b in listed).encode())
        document = {"parts": sorted(pairs), "left_out": sorted(left_out)}
        write_file(self.folder / COMPLETE_NAME, (json.dumps(document) + "\n").encode())

    def _add(self, name: str, entry: bytes | None) -> None:
        self.pending.append((name.encode(), entry))
        if len(self.pending) >= PER_COMMIT:
            self._commit()

    def _commit(self) -> None:
        while self.pending:
            try:
                with self.environment.begin(write=True) as transaction:
                    for key, entry in self.pending:
                        if entry is None:
                            transaction.delete(key)
                        else:
                            transaction.put(key, entry)
                self.pending = []
            except lmdb.MapFullError:
                self.environment.set_mapsize(2 * self.environment.info()["map_size"])
