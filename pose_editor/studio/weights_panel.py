"""A panel to change the weights, for the person who runs the page and for nobody else."""

from __future__ import annotations

import hmac
import html
import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr

from nted_step.command_line import split_revision
from nted_step.pipeline import NTEDStepPipeline
from nted_step.weights import WeightsError
from pose_editor.serving import lent_gpu
from pose_editor.studio.presentation import describe_weights, notice
from pose_editor.studio.studio import Studio
from pose_editor.viewer import StepViewer
from pose_editor.widget import sentence

LOCAL = ("127.0.0.1", "localhost", "::1")
FORWARDED = (
    "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-server", "x-real-ip", "x-client-ip",
    "true-client-ip", "cf-connecting-ip", "fastly-client-ip", "x-original-host",
)  # fmt: skip
"""Headers by which a proxy or a tunnel tells that it passed a request on."""
SHOWN = {
    "summary": "Trained on", "limits": "Limits", "data": "Data", "people": "People", "samples": "Samples", "hours": "Hours",
    "hardware": "On", "note": "Note", "perceptual_loss": "Perceptual loss", "date": "Date", "licence": "Licence",
}  # fmt: skip
"""What the panel tells of weights, by the keys of their ``config.json``."""

ELSEWHERE = "Weights can be changed only on the computer that runs this page."

# The editor sends its pose again, so that the result on screen is of the new weights.
POSE_AGAIN = """(said) => {
  if (said.includes("error")) return;
  for (const desk of document.querySelectorAll(".desk")) desk.dispatchEvent(new Event("pose-again"));
}"""


def is_private(host: str, share: bool) -> bool:
    """Whether only people at this computer can open the page. They may make it read folders and fetch repositories."""
    return host in LOCAL and not share and not os.environ.get("SPACE_ID")


def new_token(host: str, share: bool) -> str:
    """What a panel asks for. Raises ValueError for a page that others can open, which gets no panel."""
    if not is_private(host, share):
        raise ValueError("--weights-panel is for a page that only this computer can open: without --share, on 127.0.0.1")
    return secrets.token_urlsafe(16)


def is_of_the_page(request: gr.Request, port: int) -> bool:
    """Whether a request is from the page itself, at this computer's name and the page's port, and nobody forwarded it."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin", "")
    if any(request.headers.get(name) for name in FORWARDED) or origin != f"http://{host}":
        return False
    try:
        address = urlsplit(origin)
        return address.hostname in LOCAL and (address.port or 80) == port
    except ValueError:  # a port that is none
        return False


def load(name: str, device: str, dtype: str) -> NTEDStepPipeline:
    """Weights from a folder or a Hub repository. Raises WeightsError and OSError."""
    name, revision = split_revision(name.strip())
    return lent_gpu.pipeline_class().from_pretrained(
        Path(name).expanduser() if name.startswith("~") else name, revision, device=device, dtype=dtype
    )


class WeightsChoice:
    """Changes the weights of a studio. The current ones stay until the new ones have been read and fit the page.

    Args:
        bundled: folder of the weights in the box.
        token: what a visitor has to give first.
        port: of the page.
    """

    def __init__(self, studio: Studio, bundled: str, token: str, port: int) -> None:
        self.studio = studio
        self.bundled = bundled
        self.token, self.port = token, port
        self.first = studio.pipeline

    def unlock(self, token: str, request: gr.Request) -> tuple[bool, Any, Any, str]:
        """(whether the token is right, the row that asks for it, the row of the weights, notice)."""
        if not is_of_the_page(request, self.port):
            return False, gr.skip(), gr.skip(), notice(ELSEWHERE, "error")
        if not hmac.compare_digest(str(token).strip().encode(), self.token.encode()):
            return False, gr.skip(), gr.skip(), notice("That is not the token that was printed when the page was started.", "error")
        return True, gr.update(visible=False), gr.update(visible=True), ""

    def use(self, name: str, unlocked: bool, request: gr.Request) -> tuple[Any, Any, Any]:
        """(notice, facts, description) after a change of the weights; only the notice changes when they cannot be used."""
        if not is_of_the_page(request, self.port):
            return notice(ELSEWHERE, "error"), gr.skip(), gr.skip()
        if not unlocked:
            return notice("Give the token first that was printed when the page was started.", "error"), gr.skip(), gr.skip()
        try:
            if not name.strip():
                raise WeightsError("give a folder, or a Hub repository as user/name or user/name@revision")
            old = self.studio.pipeline
            new = load(name, str(old.device), str(old.dtype).removeprefix("torch."))
            check_fits(new, old, name)
            self.studio.use_pipeline(new)
        except (ValueError, OSError) as error:
            return notice(sentence(error), "error"), gr.skip(), gr.skip()
        return notice("The new weights are in use."), *self.shown()

    def use_bundled(self, unlocked: bool, request: gr.Request) -> tuple[Any, Any, Any]:
        return self.use(self.bundled, unlocked, request)

    def shown(self) -> tuple[str, str]:
        """(facts, description) of the weights in use."""
        return weights_facts(self.studio.pipeline), html.escape(describe_weights(self.studio.pipeline))

    def on_load(self) -> tuple[Any, Any, Any]:
        """(facts, description, viewer value) for a page that is opened after a change of the weights."""
        if self.studio.pipeline is self.first:
            return gr.skip(), gr.skip(), gr.skip()
        return *self.shown(), self.studio.opened_frames


def check_fits(new: NTEDStepPipeline, old: NTEDStepPipeline, name: str) -> None:
    """The page is laid out for one canvas and one ladder of steps. Raises WeightsError for weights with others."""
    if new.ladder != old.ladder or new.config.size != old.config.size or new.config.levels != old.config.levels:
        height, width = new.config.size
        raise WeightsError(
            f"{name}: these weights make {new.config.steps} steps up to {height}x{width}, which does not fit this page; "
            f"start it with --weights {name}"
        )


def weights_facts(pipeline: NTEDStepPipeline) -> str:
    """What the weights in use were trained on, as a list."""
    known = [(title, pipeline.training[key]) for key, title in SHOWN.items() if pipeline.training.get(key) not in (None, "")]
    rows = [("In use", describe_weights(pipeline).partition(" (")[0]), *(known or [("Trained on", "unknown (config.json does not say)")])]
    return "<dl>" + "".join(f"<dt>{title}</dt><dd>{html.escape(str(value))}</dd>" for title, value in rows) + "</dl>"


def add(choice: WeightsChoice, description: gr.HTML, viewer: StepViewer, page: gr.Blocks) -> None:
    """Add the panel to the page that is being built. On a page without it no request can change the weights."""
    quiet: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private", "concurrency_id": "weights", "concurrency_limit": 1}
    with gr.Accordion("Weights", open=False, elem_id="weights"):
        unlocked = gr.State(False)
        with gr.Row(elem_id="weights-token") as locked:
            token = gr.Textbox(
                show_label=False, label="Token", placeholder="Token printed at the start", max_lines=1, type="password", container=False
            )
            unlock = gr.Button("Unlock", size="sm")
        with gr.Row(elem_id="weights-row", visible=False) as row:
            name = gr.Textbox(
                show_label=False, label="Weights", placeholder="A folder, or user/name@revision on the Hub", max_lines=1, container=False
            )
            use, back = gr.Button("Use", size="sm"), gr.Button("Bundled", size="sm")
        said, shown = gr.HTML("", elem_id="weights-said"), gr.HTML(weights_facts(choice.studio.pipeline), elem_id="weights-facts")
    outputs = [said, shown, description]
    for event in (unlock.click, token.submit):
        event(choice.unlock, token, [unlocked, locked, row, said], **quiet)
    for event, function, inputs in (
        (use.click, choice.use, [name, unlocked]),
        (name.submit, choice.use, [name, unlocked]),
        (back.click, choice.use_bundled, [unlocked]),
    ):
        event(function, inputs, outputs, **quiet).then(None, said, None, js=POSE_AGAIN, show_progress="hidden")
    page.load(choice.on_load, None, [shown, description, viewer], queue=False, show_progress="hidden", api_visibility="private")
