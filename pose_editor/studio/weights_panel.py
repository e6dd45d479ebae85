"""A panel to change the weights, for the person who runs the page and for nobody else."""

from __future__ import annotations

import html
import os
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
SHOWN = {
    "summary": "Trained on", "limits": "Limits", "data": "Data", "people": "People", "samples": "Samples", "hours": "Hours",
    "hardware": "On", "note": "Note", "perceptual_loss": "Perceptual loss", "date": "Date", "licence": "Licence",
}  # fmt: skip
"""What the panel tells of weights, by the keys of their ``config.json``."""

# The editor sends its pose again, so that the result on screen is of the new weights.
POSE_AGAIN = """(said) => {
  if (said.includes("error")) return;
  for (const desk of document.querySelectorAll(".desk")) desk.dispatchEvent(new Event("pose-again"));
}"""


def is_private(host: str, share: bool) -> bool:
    """Whether only people at this computer can open the page. They may make it read folders and fetch repositories."""
    return host in LOCAL and not share and not os.environ.get("SPACE_ID")


def is_local_request(request: gr.Request) -> bool:
    """Whether a request names this computer as its host, comes from this page, and was not forwarded by another server."""
    headers = request.headers
    forwarded = any(headers.get(name) for name in ("x-forwarded-for", "x-forwarded-host", "forwarded"))
    host, origin = f"//{headers.get('host', '')}", headers.get("origin") or "//localhost"
    return not forwarded and urlsplit(host).hostname in LOCAL and urlsplit(origin).hostname in LOCAL


def load(name: str, device: str, dtype: str) -> NTEDStepPipeline:
    """Weights from a folder or a Hub repository. Raises WeightsError and OSError."""
    name, revision = split_revision(name.strip())
    return lent_gpu.pipeline_class().from_pretrained(
        Path(name).expanduser() if name.startswith("~") else name, revision, device=device, dtype=dtype
    )


class WeightsChoice:
    """Changes the weights of a studio. The current ones stay until the new ones have been read and fit the page."""

    def __init__(self, studio: Studio, bundled: str) -> None:
        self.studio = studio
        self.bundled = bundled
        self.first = studio.pipeline

    def use(self, name: str, request: gr.Request) -> tuple[Any, Any, Any]:
        """(notice, facts, description) after a change of the weights; only the notice changes when they cannot be used."""
        if not is_local_request(request):
            return notice("Weights can be changed only on the computer that runs this page.", "error"), gr.skip(), gr.skip()
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

    def use_bundled(self, request: gr.Request) -> tuple[Any, Any, Any]:
        return self.use(self.bundled, request)

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


def add(studio: Studio, bundled: str, description: gr.HTML, viewer: StepViewer, page: gr.Blocks) -> None:
    """Add the panel to the page that is being built. On a page without it no request can change the weights."""
    choice = WeightsChoice(studio, bundled)
    quiet: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private", "concurrency_id": "weights", "concurrency_limit": 1}
    with gr.Accordion("Weights", open=False, elem_id="weights"):
        with gr.Row(elem_id="weights-row"):
            name = gr.Textbox(
                show_label=False, label="Weights", placeholder="A folder, or user/name@revision on the Hub", max_lines=1, container=False
            )
            use, back = gr.Button("Use", size="sm"), gr.Button("Bundled", size="sm")
        said, shown = gr.HTML("", elem_id="weights-said"), gr.HTML(weights_facts(studio.pipeline), elem_id="weights-facts")
    outputs = [said, shown, description]
    for event, function, inputs in (
        (use.click, choice.use, [name]),
        (name.submit, choice.use, [name]),
        (back.click, choice.use_bundled, None),
    ):
        event(function, inputs, outputs, **quiet).then(None, said, None, js=POSE_AGAIN, show_progress="hidden")
    page.load(choice.on_load, None, [shown, description, viewer], queue=False, show_progress="hidden", api_visibility="private")
