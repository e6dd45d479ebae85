"""Writes one environment of a prepared data set, some entries in each transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import lmdb

from nted_step.files import write_file
from training.deepfashion.records import WHOLE_NAME, RecordError, unpack

START_BYTES = 64 * 2**20  # of the memory map, which doubles when it is full
PER_COMMIT = 64  # entries; an interruption costs no more than these


class Writer:
    """A size's environment, open for writing; a context manager that keeps what was put, whatever ends it.

    While it is open, and until :meth:`finish`, the folder is not whole and readers refuse it. Raises OSError and
    lmdb.Error where the folder cannot be written or holds something else.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.environment = lmdb.open(str(folder), map_size=START_BYTES, readahead=False)
        self.waiting: list[tuple[bytes, bytes | None]] = []
        (folder / WHOLE_NAME).unlink(missing_ok=True)

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None or not issubclass(kind, (lmdb.Error, OSError)):  # a full disk would only fail again
                self._commit()
        finally:
            self.environment.close()

    def stamp(self, name: str) -> bytes | None:
        """The stamp of an entry that is there and undamaged, else None. Reads all of it."""
        with self.environment.begin(buffers=True) as transaction:
            data = transaction.get(name.encode())
            try:
                return None if data is None else unpack(data).stamp
            except RecordError:
                return None

    def put(self, name: str, entry: bytes) -> None:
        """Write an entry, or write it anew."""
        self._add(name, entry)

    def delete(self, name: str) -> None:
        """Remove an entry if it is there; a name too long for a key never is."""
        if len(name.encode()) <= self.environment.max_key_size():
            self._add(name, None)

    def finish(self, pairs: Mapping[str, Sequence[tuple[str, str]]], left_out: Iterable[str]) -> None:
        """Write what waits, the pair lists, and last the file that says the folder is whole."""
        self._commit()
        self.environment.sync(True)
        for part, listed in pairs.items():
            write_file(self.folder / f"{part}_pairs.txt", "".join(f"{a},{b}\n" for a, b in listed).encode())
        document = {"parts": sorted(pairs), "left_out": sorted(left_out)}
        write_file(self.folder / WHOLE_NAME, (json.dumps(document) + "\n").encode())

    def _add(self, name: str, entry: bytes | None) -> None:
        self.waiting.append((name.encode(), entry))
        if len(self.waiting) >= PER_COMMIT:
            self._commit()

    def _commit(self) -> None:
        while self.waiting:
            try:
                with self.environment.begin(write=True) as transaction:
                    for key, entry in self.waiting:
                        if entry is None:
                            transaction.delete(key)
                        else:
                            transaction.put(key, entry)
                self.waiting = []
            except lmdb.MapFullError:
                self.environment.set_mapsize(2 * self.environment.info()["map_size"])
