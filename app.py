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

import pose_editor.serving.lent_gpu  # noqa: F401 (before anything that may start CUDA)
from appearance_control.studio import api as swapping
from appearance_control.studio import layout as garment_tab
from nted_step.bundled import EXAMPLES, PARSER_WEIGHTS, WEIGHTS
from nted_step.image import MAX_BYTES
from nted_step.pipeline import DEVICES, DTYPES
from pose_editor.serving import request_log, temporary_files
from pose_editor.serving.request_limits import Gate
from pose_editor.studio import api, layout, weights_panel
from pose_editor.studio.events import Studio
from pose_editor.studio.person_cache import line as told_kept
from pose_editor.studio.photo_upload import OwnPhoto
from pose_editor.studio.presentation import about
from pose_editor.studio.session import Session
from pose_editor.tour import Tour

WAITING = 32  # runs that may wait in the queue; more are refused
SESSIONS = 64  # visitors whose photo is kept in memory
PHOTO_SECONDS = 3600  # after which a visitor's photo is forgotten


CSS = layout.CSS + garment_tab.CSS


def build(studio: Studio, private: bool = False, parser: Path = PARSER_WEIGHTS) -> gr.Blocks:
    """The page: its two tabs. ``private``: whoever sees it may choose weights on this computer; ``parser``: its folder."""
    own = OwnPhoto(studio)
    kept = (temporary_files.EVERY_SECONDS, temporary_files.KEPT_SECONDS)
    with request_log.Page(title="NTED Step", analytics_enabled=False, delete_cache=kept) as page, gr.Column(elem_id="page"):
        with gr.Row(elem_id="top"):
            gr.HTML("<h1>NTED Step</h1><p>Drag a joint. Watch the person take the new pose.</p>", elem_id="head")
            Tour(elem_id="tour")
            message = gr.HTML("", elem_id="notice")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Pose", id="pose"):
                parts = layout.pose_tab(studio, message, PHOTO_SECONDS)
                opening = layout.wire(studio, own, parts)
            with gr.Tab("Garments", id="garments") as tab:
                desk, visit, dressing = garment_tab.add(studio, tabs, tab, parts, own, parser, PHOTO_SECONDS)
        line = gr.HTML(html.escape(about(studio.pipeline)), elem_id="about")
        kept = gr.HTML(told_kept(Session().kept, Session().kept), elem_id="kept")
        layout.tell_kept(kept, [parts.session, visit], [*opening, *dressing])
        if private:
            weights_panel.add(studio, str(WEIGHTS), line, parts.viewer, page)
        pose, seed = api.add(studio)
        swapping.add(desk, pose, seed)
    # Long runs one after another; previews, which are short, and looking for a pose, which can take long, do not wait behind them.
    return page.queue(max_size=WAITING, api_open=False)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="NTED Step: drag a person's joints and watch the person take the new pose.")
    parser.add_argument("--weights", default=str(WEIGHTS), metavar="FOLDER_OR_HUB_REPO[@REVISION]", help="default: the weights in the box")
    parser.add_argument(
        "--parser", default=str(PARSER_WEIGHTS), metavar="FOLDER", help="of the garments' parser; default: the one in the box"
    )
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} (default: auto)")
    parser.add_argument("--dtype", default="auto", help=f"auto, {', '.join(DTYPES)} (default: auto)")
    # A Space says by these variables where it expects the page.
    host, port = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), os.environ.get("GRADIO_SERVER_PORT", "7860")
    parser.add_argument("--host", default=host, help="address to listen on; 0.0.0.0 for all (default: %(default)s)")
    parser.add_argument("--port", type=int, default=port, help="default: %(default)s")
    parser.add_argument("--share", action="store_true", help="make a temporary public link through Gradio's service")
    parser.add_argument(
        "--temp-mib", type=int, default=temporary_files.MOST_MIB, help="temporary files kept at most, MiB (default: %(default)s)"
    )
    parser.add_argument("--verbose", action="store_true", help="log previews and small questions of the page, too")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Serve until Ctrl+C. Exit code 1 and one line when it cannot."""
    options = arguments(argv)
    request_log.begin(options.verbose)
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # no picture is decoded before its size is checked
    if threading.current_thread() is threading.main_thread():  # what ends a service ends it as Ctrl+C does, temporary files included
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with temporary_files.own_folder(options.temp_mib * 2**20):
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
    pipeline = weights_panel.load(options.weights, options.device, options.dtype)
    private = weights_panel.private(options.host, options.share)
    page = build(Studio(pipeline, EXAMPLES), private, Path(options.parser))
    try:
        _, local, public = page.launch(
            server_name=options.host, server_port=options.port, share=options.share, quiet=True, prevent_thread_lock=True,
            theme=layout.THEME, css=CSS, footer_links=["api"], max_file_size=MAX_BYTES, state_session_capacity=SESSIONS, ssr_mode=False,
            enable_monitoring=False, app_kwargs={"middleware": [Middleware(Gate)]},
            _frontend=False,  # else gradio ends the program when its first answer takes three seconds, as on busy cores
        )  # fmt: skip
        print(f"NTED Step at {public or local} with weights {about(pipeline)}", flush=True)
        threading.Event().wait()
    finally:
        page.close(verbose=False)


if __name__ == "__main__":
    sys.exit(main())
