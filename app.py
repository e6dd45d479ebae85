"""The page: choose a person, drag the joints, watch the person take the new pose step by step, in other people's clothes if wanted.

    python app.py [--weights FOLDER_OR_HUB_REPO[@REVISION]] [--device auto] [--port 7860] [--verbose]
"""

from __future__ import annotations

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRADIO_RUN_HISTORY", "False")  # offers to keep what visitors send elsewhere

import argparse
import html
import signal
import socket
import sys
import threading
import warnings
from pathlib import Path

import gradio as gr
from PIL import Image
from starlette.middleware import Middleware

import pose_editor.zero_gpu  # noqa: F401 (before anything that may start CUDA)
from appearance_control.tab import endpoint as swapping
from appearance_control.tab import layout as garment_tab
from nted_step.image import MAX_BYTES
from nted_step.pipeline import DEVICES, DTYPES
from pose_editor import PoseEditor, endpoints, journal, tempfiles, weights_choice
from pose_editor.browser import about
from pose_editor.cropper import Cropper
from pose_editor.gate import Gate
from pose_editor.kept import line as told_kept
from pose_editor.own_photo import FITS, OwnPhoto
from pose_editor.people import Session
from pose_editor.picker import PhotoPicker
from pose_editor.runbar import Download, RunBar
from pose_editor.studio import Studio
from pose_editor.tour import Tour
from pose_editor.viewer import StepViewer
from pose_editor.wiring import Parts, tell_kept, wire

ROOT = Path(__file__).parent
WEIGHTS = ROOT / "assets" / "weights" / "lite"
PARSER = ROOT / "assets" / "weights" / "parser"
EXAMPLES = ROOT / "assets" / "examples"

WAITING = 32  # runs that may wait in the queue; more are refused
SESSIONS = 64  # visitors whose photo is kept in memory
PHOTO_SECONDS = 3600  # after which a visitor's photo is forgotten
PRIVACY = "Uploads: deleted within an hour, never logged."


# --- layout and wiring --------------------------------------------------------------------------------------------

FONT = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
THEME = gr.themes.Base(primary_hue="indigo", neutral_hue="zinc", font=FONT, font_mono=MONO, radius_size="lg").set(
    body_background_fill="#fbfbfa", body_background_fill_dark="#131316", background_fill_secondary_dark="#1d1d21",
    block_background_fill_dark="#1d1d21", border_color_primary_dark="#313138",
    body_text_color_subdued="#62626b", body_text_color_subdued_dark="#a6a6b0",
)  # fmt: skip

CSS = (ROOT / "pose_editor" / "page.css").read_text(encoding="utf-8") + garment_tab.CSS


def build(studio: Studio, private: bool = False, parser: Path = PARSER) -> gr.Blocks:
    """The page: its two tabs. ``private``: whoever sees it may choose weights on this computer; ``parser``: its folder."""
    own = OwnPhoto(studio)
    kept = (tempfiles.EVERY_SECONDS, tempfiles.KEPT_SECONDS)
    with journal.Page(title="NTED Step", analytics_enabled=False, delete_cache=kept) as page, gr.Column(elem_id="page"):
        with gr.Row(elem_id="top"):
            gr.HTML("<h1>NTED Step</h1><p>Drag a joint. Watch the person take the new pose.</p>", elem_id="head")
            Tour(elem_id="tour")
            message = gr.HTML("", elem_id="notice")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Pose", id="pose"):
                parts = pose_tab(studio, message)
                opening = wire(studio, own, parts)
            with gr.Tab("Garments", id="garments") as tab:
                desk, visit, dressing = garment_tab.add(studio, tabs, tab, parts, own, parser, PHOTO_SECONDS)
        line = gr.HTML(html.escape(about(studio.pipeline)), elem_id="about")
        kept = gr.HTML(told_kept(Session().kept, Session().kept), elem_id="kept")
        tell_kept(kept, [parts.session, visit], [*opening, *dressing])
        if private:
            weights_choice.add(studio, str(WEIGHTS), line, parts.viewer, page)
        pose, seed = endpoints.add(studio)
        swapping.add(desk, pose, seed)
    # Long runs one after another; previews, which are short, and looking for a pose, which can take long, do not wait behind them.
    return page.queue(max_size=WAITING, api_open=False)


def pose_tab(studio: Studio, message: gr.HTML) -> Parts:
    """The layout of the first tab."""
    name, subject = studio.opened_name, studio.examples[studio.opened_name]
    choices = [{"name": key, "title": each.title, "picture": each.picture} for key, each in studio.examples.items()]
    with gr.Column(elem_classes="desk"):
        session = gr.State(Session(), time_to_live=PHOTO_SECONDS)
        with gr.Row(elem_classes="d-studio"):
            with gr.Column(elem_id="people", elem_classes="photos"):
                picker = PhotoPicker(choices, name, MAX_BYTES, elem_id="picker")
                photo = gr.UploadButton("Your photo", file_types=["image"], elem_id="upload")
                gr.HTML(f"<p>{PRIVACY}</p>", elem_id="privacy")
            with gr.Column(elem_classes=["part", "d-source"], elem_id="source"):
                gr.HTML("<b>Photo and pose</b> <span>· drag the dots</span>", elem_classes="part-title")
                with gr.Row(elem_id="own"):  # takes the place of the title
                    fit = gr.Radio(list(FITS), value="Auto", label="How the photo fits", show_label=False, visible=False, elem_id="fit")
                    crop = gr.Button("Crop…", visible=False, elem_id="crop")
                    find = gr.Button("Detect pose", visible=False, elem_id="find")
                    settle = gr.Button("Joints fit", visible=False, elem_id="settle")
                rest = subject.pose
                editor = PoseEditor(studio.opened_pose, photo=subject.picture, rest=rest, canvas=studio.canvas, elem_classes="d-editor")
            with gr.Column(elem_classes=["part", "d-result"]):
                gr.HTML("<b>Result</b> <span>· from coarse to fine in 20 steps</span>", elem_classes="part-title")
                sizes = [list(size) for size in studio.pipeline.ladder]
                viewer = StepViewer(sizes, studio.opened_frames, subject.picture, studio.levels(), elem_classes="d-viewer")
                bar = RunBar(elem_classes="d-run")
                download = Download(elem_classes="d-download")
        cropper = Cropper(canvas=studio.canvas, elem_id="cropper")
    return Parts(session, picker, photo, fit, crop, find, settle, cropper, editor, viewer, message, bar, download)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="NTED Step: drag a person's joints and watch the person take the new pose.")
    parser.add_argument("--weights", default=str(WEIGHTS), metavar="FOLDER_OR_HUB_REPO[@REVISION]", help="default: the weights in the box")
    parser.add_argument("--parser", default=str(PARSER), metavar="FOLDER", help="of the garments' parser; default: the one in the box")
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} (default: auto)")
    parser.add_argument("--dtype", default="auto", help=f"auto, {', '.join(DTYPES)} (default: auto)")
    # A Space says by these variables where it expects the page.
    host, port = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), os.environ.get("GRADIO_SERVER_PORT", "7860")
    parser.add_argument("--host", default=host, help="address to listen on; 0.0.0.0 for all (default: %(default)s)")
    parser.add_argument("--port", type=int, default=port, help="default: %(default)s")
    parser.add_argument("--share", action="store_true", help="make a temporary public link through Gradio's service")
    parser.add_argument("--temp-mib", type=int, default=tempfiles.MOST_MIB, help="temporary files kept at most, MiB (default: %(default)s)")
    parser.add_argument("--verbose", action="store_true", help="log previews and small questions of the page, too")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Serve until Ctrl+C. Exit code 1 and one line when it cannot."""
    options = arguments(argv)
    journal.begin(options.verbose)
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # no picture is decoded before its size is checked
    if threading.current_thread() is threading.main_thread():  # what ends a service ends it as Ctrl+C does, temporary files included
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfiles.own_folder(options.temp_mib * 2**20):
            serve(options)
    except KeyboardInterrupt:
        print("\nStopped.")
    except (ValueError, OSError) as error:  # weights, device, dtype, port
        print(f"app.py: {error}", file=sys.stderr)
        return 1
    return 0


def check_port(host: str, port: int) -> None:
    """Before seconds are spent on weights: is the address free? Raises OSError."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise OSError(f"cannot listen on {host}:{port} ({error.strerror or error}); choose another with --port") from None


def serve(options: argparse.Namespace) -> None:
    check_port(options.host, options.port)
    pipeline = weights_choice.load(options.weights, options.device, options.dtype)
    private = weights_choice.private(options.host, options.share)
    page = build(Studio(pipeline, EXAMPLES), private, Path(options.parser))
    try:
        _, local, public = page.launch(
            server_name=options.host, server_port=options.port, share=options.share, quiet=True, prevent_thread_lock=True,
            theme=THEME, css=CSS, footer_links=["api"], max_file_size=MAX_BYTES, state_session_capacity=SESSIONS, ssr_mode=False,
            enable_monitoring=False, app_kwargs={"middleware": [Middleware(Gate)]},
            _frontend=False,  # else gradio ends the program when its first answer takes three seconds, as on busy cores
        )  # fmt: skip
        print(f"NTED Step at {public or local} with weights {about(pipeline)}", flush=True)
        threading.Event().wait()
    finally:
        page.close(verbose=False)


if __name__ == "__main__":
    sys.exit(main())
