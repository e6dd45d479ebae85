"""What the parser recognised in people's photos, as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from nted_step.image import to_uint8
from pose_editor.studio.presentation import data_url

if TYPE_CHECKING:
    from appearance_control.parser import Parse


@dataclass(frozen=True)
class ParsedPhoto:
    """A person's title, photo 3 x H x W in [-1, 1], and what was found in it."""

    title: str
    photo: Tensor
    parse: Parse


def recognised_html(photos: Iterable[ParsedPhoto]) -> str:
    """Each photo tinted by class, with a legend of its instances."""
    return f'<div class="seen">{"".join(_figure(photo) for photo in photos)}</div>'


def _figure(parsed: ParsedPhoto) -> str:
    from appearance_control.output import COLOURS, overlay  # imported here: torchvision takes a second and memory
    from appearance_control.parser import GARMENT_SCORE

    found = [instance for instance in parsed.parse.instances if instance.score > GARMENT_SCORE]
    rows = "".join(
        f'<li><i style="background: rgb{COLOURS[instance.label - 1]}"></i>{instance.name}<span>{instance.score:.2f}</span></li>'
        for instance in sorted(found, key=lambda instance: instance.label)
    )
    picture, title = data_url(overlay(to_uint8(parsed.photo), parsed.parse, named=False)), html.escape(parsed.title)
    legend = f"<ul>{rows}</ul>" if rows else "<p>Nothing was recognised.</p>"
    alt = f"{title} under the colours of what was recognised"
    return f'<figure><figcaption>{title}</figcaption><img src="{picture}" alt="{alt}">{legend}</figure>'
