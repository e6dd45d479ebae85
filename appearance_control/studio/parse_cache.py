"""The parser as the page uses it: read when first needed, never looking twice at one picture."""

from __future__ import annotations

import hashlib
import html
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from nted_step.image import to_uint8
from nted_step.weights import WeightsError
from pose_editor.studio.presentation import data_url

if TYPE_CHECKING:
    from appearance_control.parser import FashionParser, Parse

REMEMBERED = 32  # pictures; what is seen in one takes half a megabyte


class Sight:
    """What a :class:`appearance_control.swap.GarmentSwap` asks of a parser, with a memory of the newest pictures."""

    def __init__(self, parser: FashionParser) -> None:
        self.parser = parser
        self.origin, self.sha256 = parser.origin, parser.sha256
        self._known: OrderedDict[bytes, Parse] = OrderedDict()
        self._lock = threading.Lock()

    def parse_image(self, image: Tensor) -> Parse:
        """3 x H x W in [-1, 1] -> everything found."""
        pixels = to_uint8(image)
        key = hashlib.blake2b(pixels.tobytes(), digest_size=16).digest()
        with self._lock:
            if key not in self._known:
                self._known[key] = self.parser.parse(pixels)
            self._known.move_to_end(key)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
            return self._known[key]


class Opener:
    """Reads the parser's weights when somebody first needs them; most visitors never do."""

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        self.folder, self.device = Path(folder), device
        self._lock = threading.Lock()
        self._sight: Sight | None = None
        self._tried = False
        self.why_not = ""

    @property
    def there(self) -> bool:
        """Whether there are weights to be read, without reading them."""
        return (self.folder / "config.json").is_file()

    def __call__(self) -> Sight | None:
        """The parser, or None where its weights are missing or unusable; :attr:`why_not` then says why in one line."""
        from appearance_control.parser import FashionParser  # here: torchvision and what it brings take a second and memory

        with self._lock:
            if not self._tried:
                self._tried = True
                try:
                    self._sight = Sight(FashionParser.from_pretrained(self.folder, device=self.device))
                except (WeightsError, OSError) as error:
                    self.why_not = str(error)
            return self._sight


def shown(people: list[tuple[str, Tensor, Any]]) -> str:
    """What was found in photos as HTML: (title, 3 x H x W in [-1, 1], Parse) each -> picture under colours, and a legend of instances."""
    return f'<div class="seen">{"".join(_figure(*person) for person in people)}</div>'


def _figure(title: str, photo: Tensor, parse: Any) -> str:
    from appearance_control.output import COLOURS, overlay
    from appearance_control.parser import GARMENT_SCORE

    found = [each for each in parse.instances if each.score > GARMENT_SCORE]
    rows = "".join(
        f'<li><i style="background: rgb{COLOURS[each.label - 1]}"></i>{each.name}<span>{each.score:.2f}</span></li>'
        for each in sorted(found, key=lambda each: each.label)
    )
    picture, name = data_url(overlay(to_uint8(photo), parse, named=False)), html.escape(title)
    seen = f"<ul>{rows}</ul>" if rows else "<p>Nothing was recognised.</p>"
    return (
        f'<figure><figcaption>{name}</figcaption><img src="{picture}" alt="{name} under the colours of what was recognised">{seen}</figure>'
    )
