"""The parser as the page uses it: loaded when first needed, and never run twice on one picture."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from nted_step.image import to_uint8
from nted_step.weights import WeightsError

if TYPE_CHECKING:
    from appearance_control.parser import FashionParser, Parse

MAX_PICTURES = 32  # each takes half a megabyte


class ParseCache:
    """A parser that remembers the newest pictures; safe to share between threads."""

    def __init__(self, parser: FashionParser) -> None:
        self.parser = parser
        self._parses: OrderedDict[bytes, Parse] = OrderedDict()
        self._lock = threading.Lock()

    def parse_image(self, image: Tensor) -> Parse:
        """3 x H x W in [-1, 1] -> everything found."""
        pixels = to_uint8(image)
        key = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
        with self._lock:
            if key not in self._parses:
                self._parses[key] = self.parser.parse(pixels)
            self._parses.move_to_end(key)
            while len(self._parses) > MAX_PICTURES:
                self._parses.popitem(last=False)
            return self._parses[key]


class ParserLoader:
    """Loads the parser's weights when they are first needed, which for most visitors is never.

    Attributes:
        error: why the weights cannot be used, in one line, once :meth:`load` has returned None.
    """

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        self.folder, self.device = Path(folder), device
        self.error = ""
        self._lock = threading.Lock()
        self._cache: ParseCache | None = None
        self._tried = False

    @property
    def available(self) -> bool:
        """Whether there are weights, without loading them."""
        return (self.folder / "config.json").is_file()

    def load(self) -> ParseCache | None:
        """The parser, or None if its weights are missing or unusable."""
        from appearance_control.parser import FashionParser  # imported here: torchvision takes a second and memory

        with self._lock:
            if not self._tried:
                self._tried = True
                try:
                    self._cache = ParseCache(FashionParser.from_pretrained(self.folder, device=self.device))
                except (WeightsError, OSError) as error:
                    self.error = str(error)
            return self._cache
