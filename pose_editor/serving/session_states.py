"""Which visitors' states Gradio drops when there are too many: first those of strangers, who gave nothing and changed nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import gradio as gr


class SessionStates(OrderedDict[str, Any]):
    """Gradio's states by session, the most recently used last. Written for ``gradio.state_holder`` of Gradio 6.31.0.

    Args:
        states: those there are.
        is_kept: whether the value of a ``gr.State`` is worth more than a stranger's.
    """

    def __init__(self, states: OrderedDict[str, Any], is_kept: Callable[[Any], bool]) -> None:
        super().__init__(states)
        self._is_kept = is_kept

    def popitem(self, last: bool = True) -> tuple[str, Any]:
        """As everywhere, but the first one to go is the first stranger. The newest, who is just being served, stays."""
        if not last:
            for session in list(self)[:-1]:
                if not any(self._is_kept(value) for value in list(self[session].state_data.values())):
                    return session, self.pop(session)
        return super().popitem(last)


def evict_strangers_first(blocks: gr.Blocks, is_kept: Callable[[Any], bool]) -> None:
    """To be called after ``launch``, which makes the states."""
    holder = blocks.state_holder
    with holder.lock:
        holder.session_data = SessionStates(holder.session_data, is_kept)
