"""How the answers of a streaming event travel to the browser."""

from types import SimpleNamespace

from pose_editor.serving.gradio_workarounds import WholeUpdates

SKIP = {"__type__": "update"}
EVENT = SimpleNamespace(outputs=["viewer", "picker"])


def test_an_update_is_sent_whole_and_a_growing_value_as_differences() -> None:
    chosen = {"__type__": "update", "value": "@1"}
    steps = [{"edit": 1, "frames": ["a", "b"]}, {"edit": 1, "frames": ["a", "b", "c"]}]
    answers = [[SKIP, SKIP], [SKIP, chosen], [steps[0], SKIP], [steps[1], SKIP]]
    blocks = WholeUpdates()
    sent = [blocks.handle_streaming_diffs(EVENT, list(answer), session_hash="s", run="r", final=False) for answer in answers]
    assert sent[0] == [SKIP, SKIP]
    assert sent[1] == [[], [["replace", [], chosen]]], "where nothing changed, nothing is said"
    assert sent[2] == [[["replace", [], steps[0]]], [["replace", [], SKIP]]], "what was chosen stays an object that nobody changes"
    assert sent[3] == [[["add", ["frames", 2], "c"]], []]
    assert blocks.handle_streaming_diffs(EVENT, [None, None], session_hash="s", run="r", final=True) == answers[3]
    assert not blocks.pending_diff_streams


def test_an_answer_on_its_own_is_left_as_it_is() -> None:
    assert WholeUpdates().handle_streaming_diffs(EVENT, [SKIP, "a"], session_hash=None, run=None, final=True) == [SKIP, "a"]
