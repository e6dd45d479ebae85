"""How the answers of a streaming event travel to the browser."""

from __future__ import annotations

from typing import Any

import gradio as gr


class WholeUpdates(gr.Blocks):
    """Blocks whose updates of components arrive even where the browser is slower than the answers.

    From its second answer on, Gradio sends an event's answers as differences, and its page applies each to the object of the answer
    before, in place. Where that one was not drawn yet, what it alone had said is lost: a new person's photo, say, that is followed by
    "no change" and the first step. So an update is sent whole, as an object of its own. A value that grows, like the list of a run's
    pictures, goes on as differences: there the newest says everything.
    """

    def handle_streaming_diffs(
        self, block_fn: Any, data: list[Any], session_hash: str | None, run: str | None, final: bool, simple_format: bool = False
    ) -> list[Any]:
        """What is sent of an event's answer ``data``, one entry for each output: itself, or differences from the answer before."""
        known = self.pending_diff_streams.get(session_hash, {}).get(run)
        before, now = list(known or ()), list(data)
        sent = super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format)
        if final or simple_format or not before:
            return sent  # these are whole
        return [_apart(*each) for each in zip(before, now, sent, strict=True)]


def _apart(before: Any, now: Any, differences: list[Any]) -> list[Any]:
    """The differences, in one that replaces everything where one side is an update."""
    return [["replace", [], now]] if differences and (_is_update(before) or _is_update(now)) else differences


def _is_update(answer: Any) -> bool:
    return isinstance(answer, dict) and "__type__" in answer
