"""The page: choose a person, drag the joints, and watch the person take the new pose step by step, in other people's clothes if wanted.

python app.py [--weights FOLDER_OR_HUB_REPO[@REVISION] or hub] [--device auto] [--port 7860] [--verbose]
"""

from __future__ import annotations

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("GRADIO_RUN_HISTORY", "False")  # would offer to store what visitors send elsewhere

import argparse
import atexit
import html
import logging
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
from appearance_control.studio import api as garment_api
from appearance_control.studio import layout as garment_tab
from nted_step.bundled import EXAMPLES, HUB, HUB_REPOSITORY, PARSER_WEIGHTS, WEIGHTS
from nted_step.image import MAX_BYTES
from nted_step.pipeline import DEVICES, DTYPES
from pose_editor.gradio_workarounds import LAUNCH_OPTIONS, limit_files_of_an_upload, server_options
from pose_editor.serving import client_address, connections, request_log, session_states, temporary_files
from pose_editor.serving.request_limits import RequestLimits
from pose_editor.studio import api, layout, memory, weights_panel
from pose_editor.studio.events import PoseEvents
from pose_editor.studio.person_cache import kept_photos_notice
from pose_editor.studio.photo_upload import PhotoUpload
from pose_editor.studio.presentation import describe_weights
from pose_editor.studio.session import Session
from pose_editor.studio.studio import Studio
from pose_editor.studio.weights_panel import WeightsChoice
from pose_editor.tour import Tour

WAITING = 32  # runs that may wait in the queue; more are refused
SESSIONS = 256  # whose state is kept, with strangers who only look; see VisitorStore for those who gave a photo
PHOTO_SECONDS = 3600  # after which a visitor's photos are forgotten
FILES = 8  # in one upload
FOOTER = "What your photo shows is carried into the new pose; what it does not show is painted by a small network, and may be wrong."
GOODBYE_SECONDS = 1  # that open connections get when the page ends


def build(studio: Studio, panel: WeightsChoice | None = None, parser: Path = PARSER_WEIGHTS) -> gr.Blocks:
    """The page with its two tabs.

    Args:
        panel: of the weights, for the person who runs the page; None on all other pages.
        parser: folder of the garment parser's weights.
    """
    upload = PhotoUpload(PoseEvents(studio))
    deletion = (temporary_files.EVERY_SECONDS, temporary_files.KEPT_SECONDS)
    with request_log.LoggedBlocks(title="NTED Step", analytics_enabled=False, delete_cache=deletion) as page, gr.Column(elem_id="page"):
        with gr.Row(elem_id="top"):
            gr.HTML("<h1>NTED Step</h1><p>Drag a joint. Watch the person take the new pose.</p>", elem_id="head")
            Tour(elem_id="tour")
            message = gr.HTML("", elem_id="notice")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Pose", id="pose") as pose_tab:
                parts = layout.pose_tab(studio, message, PHOTO_SECONDS)
                opening = layout.wire(studio, upload, parts, pose_tab)
            with gr.Tab("Garments", id="garments") as tab:
                garment_events, garment_session, changes = garment_tab.add(studio, tabs, tab, parts, upload, parser, PHOTO_SECONDS)
        gr.HTML(f"<p>{FOOTER}</p>", elem_id="footer")
        with gr.Accordion("About the model", open=False, elem_id="model"):
            description = gr.HTML(html.escape(describe_weights(studio.pipeline)), elem_id="about")
        kept_photos = gr.HTML(kept_photos_notice(Session().cache, Session().cache), elem_id="kept")
        layout.update_kept_photos(kept_photos, [parts.session, garment_session], [*opening, *changes])
        if panel:
            weights_panel.add(panel, description, parts.viewer, page)
        garment_api.add(garment_events, *api.add(studio, upload.reader))
    return page.queue(max_size=WAITING, api_open=False)


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="NTED Step: drag a person's joints and watch the person take the new pose.")
    weights = os.environ.get("NTED_STEP_WEIGHTS") or str(WEIGHTS)  # a Space has variables, but no arguments
    told = f"'{HUB}' is {HUB_REPOSITORY}; default: NTED_STEP_WEIGHTS or the bundled weights"
    parser.add_argument("--weights", default=weights, metavar="FOLDER_OR_HUB_REPO[@REVISION]", help=told)
    parser.add_argument("--parser", default=str(PARSER_WEIGHTS), metavar="FOLDER", help="garment parser; default: the bundled one")
    parser.add_argument("--device", default="auto", help=f"{', '.join(DEVICES)} (default: auto)")
    parser.add_argument("--dtype", default="auto", help=f"auto, {', '.join(DTYPES)} (default: auto)")
    # A Space tells by these variables where it expects the page.
    host, port = os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"), os.environ.get("GRADIO_SERVER_PORT", "7860")
    parser.add_argument("--host", default=host, help="address to listen on; 0.0.0.0 for all (default: %(default)s)")
    parser.add_argument("--port", type=int, default=port, help="default: %(default)s")
    parser.add_argument("--root-path", default="", metavar="/PATH", help="where a proxy shows the page, unless at the root of its host")
    proxies = client_address.default_proxies()
    parser.add_argument(
        "--proxy", default=proxies, metavar="ADDRESSES", help="of proxies whose X-Forwarded-For is believed, separated by commas"
    )
    parser.add_argument("--share", action="store_true", help="create a temporary public link through Gradio's service")
    parser.add_argument(
        "--temp-mib", type=int, default=temporary_files.MOST_MIB, help="limit for temporary files, MiB (default: %(default)s)"
    )
    parser.add_argument(
        "--weights-panel", action="store_true", help="let whoever has the token printed at the start change the weights; on 127.0.0.1 alone"
    )
    parser.add_argument("--verbose", action="store_true", help="also log previews and other short requests")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Serve until Ctrl+C. Returns the exit code: 1, after one line of explanation, when the page cannot be served."""
    options = arguments(argv)
    request_log.configure(options.verbose)
    memory.configure()
    connections.allow_many_files()
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # sizes are checked before pictures are decoded
    if threading.current_thread() is threading.main_thread():  # stop as with Ctrl+C, so that temporary files are deleted
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
    """Check that the address is free before seconds are spent on weights. Raises OSError or ValueError."""
    if not 0 < port < 2**16:
        raise ValueError(f"--port must be from 1 to 65535, not {port}")
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise OSError(f"cannot listen on {host}:{port} ({error.strerror or error}); choose another with --port") from None


def serve(options: argparse.Namespace) -> None:
    host = options.host.strip("[]")  # as in a URL
    token = weights_panel.new_token(host, options.share or bool(options.proxy)) if options.weights_panel else ""
    check_port(host, options.port)
    client_address.trust(options.proxy)
    limit_files_of_an_upload(FILES)
    pipeline = weights_panel.load(options.weights, options.device, options.dtype)
    studio = Studio(pipeline, EXAMPLES)
    panel = WeightsChoice(studio, str(WEIGHTS), token, options.port) if token else None
    page = build(studio, panel, Path(options.parser))
    try:
        with server_options(http=connections.LimitedConnection, ws="none", server_header=False, timeout_graceful_shutdown=GOODBYE_SECONDS):
            _, local, public = page.launch(
                server_name=f"[{host}]" if ":" in host else host, server_port=options.port, share=options.share, quiet=True,
                prevent_thread_lock=True, theme=layout.THEME, css=layout.CSS + garment_tab.CSS, footer_links=["api"],
                max_file_size=MAX_BYTES, state_session_capacity=SESSIONS, ssr_mode=False, enable_monitoring=False,
                root_path=options.root_path, app_kwargs={"middleware": [Middleware(RequestLimits)]}, **LAUNCH_OPTIONS,
            )  # fmt: skip
        session_states.evict_strangers_first(page, lambda value: isinstance(value, Session) and value.kept)
        print(f"NTED Step at {public or local} with weights {describe_weights(pipeline)}", flush=True)
        if token:
            print(f"Token of the weights panel: {token}", flush=True)
        threading.Event().wait()
    finally:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what is cut off now is no error
        page.close(verbose=False)


def leave(code: int) -> None:
    """End the process without freeing the models one by one, which takes seconds, and without waiting for runs that nobody sees."""
    atexit._run_exitfuncs()  # ends the program behind a public link
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
