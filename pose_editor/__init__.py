"""A pose editor for the browser: 18 joints over a photo, dragged by mouse, touch, pen or keyboard.

    from pose_editor import PoseEditor

:mod:`pose_editor.formats` and :mod:`pose_editor.presets` work without gradio.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pose_editor.editor import PoseEditor

__all__ = ["PoseEditor"]


def __getattr__(name: str):
    """Import the component on first use, so that formats and presets do not pull in gradio."""
    if name == "PoseEditor":
        from pose_editor.editor import PoseEditor

        return PoseEditor
    raise AttributeError(f"module 'pose_editor' has no attribute {name!r}")
