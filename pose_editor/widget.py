"""The base of the page's components that are drawn by our own script."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

STATIC = Path(__file__).parent / "static"

# Parts of the page that belong together find each other under one `.desk`, and talk by events on it.
HOME = 'const home = element.closest(".desk") ?? document;'


class Widget(gr.HTML):
    """A gr.HTML whose template, style and scripts are the files NAME.html, NAME.css and ``scripts``, in that order, of ``static``/NAME.

    The scripts find in ``home`` the part of the page that they share with other components.
    """

    static = STATIC

    def __init__(self, name: str, scripts: tuple[str, ...], **arguments: Any) -> None:
        self._folder = self.static / name
        super().__init__(
            html_template=self._read(f"{name}.html"),
            css_template=self._read(f"{name}.css"),
            js_on_load="\n".join([HOME, *(self._read(script) for script in scripts)]),
            apply_default_css=False,
            **arguments,
        )

    def get_config(self) -> dict[str, Any]:
        """What the page is told, without the constructor's own arguments: gr.HTML takes them for events, which hang on the whole page,
        and Gradio would copy that at every visit. Their values are among the props."""
        return {name: value for name, value in super().get_config().items() if not isinstance(value, functools.partial)}

    def _read(self, name: str) -> str:
        return (self._folder / name).read_text(encoding="utf-8")

    @staticmethod
    def checked(check: Callable[[Any], Any], payload: Any) -> Any:
        """``check(payload)``, with a refusal turned into the one line the page shows."""
        try:
            return check(payload)
        except ValueError as error:
            raise gr.Error(sentence(error), print_exception=False) from None


def sentence(error: Exception) -> str:
    """An error's one line as the page shows it."""
    text = str(error)
    start = text if {".", "/"} & {*text.split()[0]} else text[:1].upper() + text[1:]  # a file's name keeps its letters
    return start + ("" if text.endswith((".", "!", "?")) else ".")
