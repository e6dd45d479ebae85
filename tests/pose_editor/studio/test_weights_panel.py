"""Weights are chosen by whoever runs the page, and the old ones stay when the new ones cannot be used."""

from types import SimpleNamespace

import gradio as gr
import pytest
import torch
from starlette.datastructures import Headers

from nted_step.config import NTEDStepConfig, preset
from nted_step.generator import Generator
from nted_step.weights import save_weights
from pose_editor import presets
from pose_editor.studio import weights_panel
from pose_editor.studio.weights_panel import WeightsChoice, is_private


def request(**headers: str):
    return SimpleNamespace(headers=Headers({name.replace("_", "-"): value for name, value in headers.items()}))


TOKEN = "printed-at-the-start"
HERE = request(host="127.0.0.1:7860", origin="http://127.0.0.1:7860")


class Desk:
    """As much of a studio as the choice needs."""

    def __init__(self, pipeline) -> None:
        self.pipeline = pipeline
        self.opened_frames = {"kind": "steps"}

    def use_pipeline(self, pipeline) -> None:
        self.pipeline = pipeline


@pytest.fixture
def choice(pipeline, tiny_weights) -> WeightsChoice:
    return WeightsChoice(Desk(pipeline), tiny_weights, TOKEN, 7860)


def test_only_who_sits_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert is_private("127.0.0.1", False) and is_private("localhost", False)
    assert not is_private("0.0.0.0", False) and not is_private("192.168.1.5", False) and not is_private("127.0.0.1", True)
    monkeypatch.setenv("SPACE_ID", "user/space")
    assert not is_private("127.0.0.1", False)


def test_a_public_page_has_nothing_to_ask() -> None:
    """No panel, no event: `build` leaves both out, and there is no other way in."""
    import app

    class NoStudio(app.Studio):
        def use_pipeline(self, pipeline) -> None:
            self.pipeline = pipeline
            self.examples = {"ann": SimpleNamespace(title="Ann", picture="data:,", pose=presets.standing(self.canvas))}
            self.opened_name, self.opened_pose, self.opened_frames = "ann", self.examples["ann"].pose, None

    pipeline = SimpleNamespace(
        config=preset("lite"),
        ladder=((8, 5),),
        training={"summary": "nothing"},
        description="somewhere (nothing) on cpu",
        device=torch.device("cpu"),
    )
    for there in (False, True):
        studio = NoStudio(pipeline, app.EXAMPLES)
        page = app.build(studio, WeightsChoice(studio, "", TOKEN, 7860) if there else None)
        functions = {each.fn.__qualname__ for each in page.fns.values() if each.fn}
        assert any("WeightsChoice" in name for name in functions) == there
        assert ("weights" in str(page.config["components"])) or not there


@pytest.mark.parametrize(
    "who",
    [request(host="demo.example:7860"), request(), request(host="127.0.0.1:7860"), request(origin="http://127.0.0.1:7860"),
     request(host="demo.example:7860", origin="http://demo.example:7860"),
     request(host="localhost:7860", origin="https://elsewhere.example"), request(host="localhost:7860", origin="http://localhost:8000"),
     request(host="localhost:8000", origin="http://localhost:8000"), request(host="localhost", origin="http://localhost"),
     request(host="localhost:x", origin="http://localhost:x"), request(host="localhost:7860", origin="null"),
     request(host="localhost:7860@demo.example", origin="http://localhost:7860@demo.example"),
     *(request(host="127.0.0.1:7860", origin="http://127.0.0.1:7860", **{name: "1.2.3.4"})
       for name in ("x_forwarded_for", "x_real_ip", "via", "cf_connecting_ip", "forwarded"))],
)  # fmt: skip
def test_a_request_from_elsewhere_is_refused_before_anything_is_read(choice, who, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_panel, "load", lambda *_: pytest.fail("it was read"))
    said, *rest = choice.use("/etc", True, who)
    assert "error" in said and rest == [gr.skip(), gr.skip()]
    assert choice.unlock(TOKEN, who)[0] is False


@pytest.mark.parametrize("token", ["", None, "printed", TOKEN + "x", "ü", 5])
def test_without_the_token_nothing_is_read(choice, token, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_panel, "load", lambda *_: pytest.fail("it was read"))
    unlocked, *_, said = choice.unlock(token, HERE)
    assert unlocked is False and "not the token" in said
    assert "Give the token first" in choice.use("/etc", unlocked, HERE)[0]


def test_the_token_is_asked_for_once(choice) -> None:
    unlocked, locked, row, said = choice.unlock(f" {TOKEN}\n", HERE)
    assert unlocked is True and locked["visible"] is False and row["visible"] is True and said == ""


@pytest.mark.parametrize(("host", "share"), [("0.0.0.0", False), ("192.168.1.5", False), ("127.0.0.1", True)])
def test_no_panel_for_others(host: str, share: bool) -> None:
    with pytest.raises(ValueError, match="only this computer can open"):
        weights_panel.new_token(host, share)


def test_every_start_has_a_token_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert len({weights_panel.new_token("127.0.0.1", False) for _ in range(10)}) == 10


def test_other_weights_are_taken(choice, tiny_config, tmp_path) -> None:
    torch.manual_seed(1)
    save_weights(tmp_path, Generator(tiny_config), {"summary": "<b>others</b>", "limits": "little"})
    before = choice.studio.pipeline
    assert choice.on_load() == (gr.skip(),) * 3
    said, facts, about = choice.use(str(tmp_path), True, HERE)
    assert "new weights are in use" in said and choice.studio.pipeline is not before
    assert "&lt;b&gt;others" in facts and "little" in facts and "&lt;b&gt;others" in about
    assert choice.on_load()[2] == {"kind": "steps"}
    assert "random" in choice.use_bundled(True, HERE)[1]


def test_what_cannot_be_used_is_one_line_and_the_old_ones_stay(choice, tiny_config, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    other = NTEDStepConfig.from_dict(tiny_config.to_dict() | {"steps": 3})
    save_weights(tmp_path / "other", Generator(other), {})
    (tmp_path / "empty").mkdir()
    before = choice.studio.pipeline
    for name, says in ((" ", "Give a folder"), (str(tmp_path / "none"), "no such folder"), (str(tmp_path / "empty"), "No such file"),
                       ("nobody/nothing@v1", "nobody/nothing@v1"), (str(tmp_path / "other"), "start it with --weights")):  # fmt: skip
        said, *rest = choice.use(name, True, HERE)
        assert "error" in said and says in said and "\n" not in said and rest == [gr.skip(), gr.skip()]
    assert choice.studio.pipeline is before
