"""The base of the page's components that are drawn by our own scripts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from pose_editor.gradio_workarounds import HTMLComponent

STATIC = Path(__file__).parent / "static"

# Components that belong together are found under one `.desk`, and talk by events on it.
HOME = 'const home = element.closest(".desk") ?? document;'


class Widget(HTMLComponent):
    """A component whose template, style and scripts are the files NAME.html, NAME.css and ``scripts``, in that order, of ``static``/NAME.

    ``styles`` are files of ``static``/shared, which several components have. The scripts run as one. In ``home`` they find the part of
    the page that they share with other components.
    """

    static = STATIC

    def __init__(self, name: str, scripts: tuple[str, ...], styles: tuple[str, ...] = (), **arguments: Any) -> None:
        self._folder = self.static / name
        shared = [(STATIC / "shared" / style).read_text(encoding="utf-8") for style in styles]
        super().__init__(
            html_template=self._read(f"{name}.html"),
            css_template="\n".join([*shared, self._read(f"{name}.css")]),
            js_on_load="\n".join([HOME, *(self._read(script) for script in scripts)]),
            apply_default_css=False,
            **arguments,
        )

    def _read(self, name: str) -> str:
        return (self._folder / name).read_text(encoding="utf-8")

    @staticmethod
    def checked(check: Callable[[Any], Any], payload: Any) -> Any:
        """``check(payload)``, with a ValueError turned into the one line that the page shows."""
        try:
            return check(payload)
        except ValueError as error:
            raise gr.Error(sentence(error), print_exception=False) from None


def sentence(error: Exception) -> str:
    """An error's one line as a sentence."""
    text = str(error)
    start = text if {".", "/"} & {*text.split()[0]} else text[:1].upper() + text[1:]  # a file name keeps its letters
    return start + ("" if text.endswith((".", "!", "?")) else ".")
