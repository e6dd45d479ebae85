"""A real server, a real browser, and a wall around both: the page must work without asking anything of the outside."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
START_SECONDS = 120


class Server:
    """``python app.py`` as a person would start it."""

    def __init__(self, weights: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        command = [sys.executable, "-B", "app.py", "--device", "cpu", "--weights", str(weights), "--port", str(port)]
        # A shell may have told its background jobs to ignore Ctrl+C; a person's terminal does not.
        listen = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
        self.process = subprocess.Popen(
            command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=listen,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        self.first_line = self._wait()

    def _wait(self) -> str:
        """The line that says where it runs. Everything printed before it is a complaint."""
        began, said = time.monotonic(), []
        while time.monotonic() - began < START_SECONDS:
            line = self.process.stdout.readline()
            said.append(line)
            if line.startswith("NTED Step at "):
                return line
            if not line:
                break
        self.process.kill()
        raise AssertionError(f"app.py did not start:\n{''.join(said)}")

    def interrupt(self) -> tuple[int, str]:
        """Ctrl+C: exit code and what it printed."""
        self.process.send_signal(signal.SIGINT)
        try:
            output, _ = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        return self.process.returncode, output


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights in the box, or random ones of the same shape where there are none yet."""
    lite = ROOT / "assets" / "weights" / "lite"
    if (lite / "config.json").exists():
        return lite
    import torch

    from nted_step.config import preset
    from nted_step.generator import Generator
    from nted_step.weights import save_weights

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    save_weights(folder, Generator(preset("lite")), {"summary": "random"})
    return folder


@pytest.fixture(scope="session")
def server(weights: Path) -> Iterator[Server]:
    server = Server(weights)
    yield server
    if server.process.poll() is None:
        code, output = server.interrupt()
        assert code == 0 and "Traceback" not in output, output


@pytest.fixture(scope="session")
def browser() -> Iterator:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip("playwright is not installed")
    if not CHROMIUM.exists():
        message = f"no browser at {CHROMIUM}; set CHROMIUM"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, server: Server) -> Iterator:
    """``open_page(link, **context options)`` -> the loaded page. Fails the test on any outside request or script error."""
    contexts, outside, errors = [], [], []

    def guard(route) -> None:
        if route.request.url.startswith(server.url):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    def open_(link: str = "", **options):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | options))
        contexts.append(context)
        context.route("**/*", guard)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(server.url + link)
        page.wait_for_selector('.sv-root[data-state="done"]', timeout=60_000)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not outside, f"the page asked for {outside}"
    assert not errors, f"errors in the browser: {errors}"
