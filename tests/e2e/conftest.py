"""A real server, a real browser, and a wall around both: the page must work without asking anything of the outside."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from nted_step.config import preset
from nted_step.pose_detection import PoseDetector
from tests.conftest import save_noise
from tests.e2e.visitor import DESKTOP, wait_drawn
from tests.running import ROOT, START_SECONDS, Server, free_port

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
# The proxy does not exist, so that nothing but this computer can be reached.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--proxy-server=http://127.0.0.1:9"]
LITE = ROOT / "assets" / "weights" / "lite"
QUICK = dataclasses.replace(preset("lite"), channels={16: 24, 32: 24, 64: 16, 128: 8, 256: 8}, labels={16: 4, 32: 6, 64: 6, 128: 0, 256: 0})


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights in the box, or random ones of the same shape where there are none yet."""
    if (LITE / "config.json").exists():
        return LITE
    return save_noise(tmp_path_factory.mktemp("weights"), preset("lite"))


@pytest.fixture(scope="session")
def starting(weights: Path) -> Iterator[Server]:
    """One server for all tests, not yet waited for. It ends as a person ends it, and must have had nothing to complain about."""
    server = Server(weights)
    yield server
    assert server.first_line
    code, output = server.interrupt()
    assert code == 0 and output.strip() == "Stopped.", output


@pytest.fixture(scope="session")
def server(starting: Server) -> Server:
    assert starting.first_line
    return starting


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random model of the same canvas and steps as the weights in the box; see :func:`save_noise`."""
    return save_noise(tmp_path_factory.mktemp("noise"), QUICK)


@pytest.fixture(scope="session")
def quick_url(starting: Server, noise: Path) -> str:
    """The same program in this process around random weights, for tests of the page itself. The other server starts meanwhile."""
    import app

    os.environ["HF_HUB_OFFLINE"] = "1"  # as for the other server
    port = free_port()
    options = ["--device", "cpu", "--weights", str(noise), "--port", str(port)]
    threading.Thread(target=app.main, args=(options,), daemon=True).start()
    began = time.monotonic()
    while time.monotonic() - began < START_SECONDS:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10):
            return f"http://127.0.0.1:{port}/"
        time.sleep(0.1)
    raise AssertionError("the page did not start in this process")


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page in this process finds nobody, so that a visitor has to say which pose a photo shows."""
    monkeypatch.setattr(PoseDetector, "find", lambda *_: None)
    monkeypatch.setattr(PoseDetector, "find_all", lambda *_: [])


@pytest.fixture(scope="session")
def bare_url(noise: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Random weights and no parser, in a process of its own: gradio has one folder for temporary files in a process."""
    server = Server(noise, "--parser", str(tmp_path_factory.mktemp("none") / "parser"))
    assert server.first_line
    yield server.url
    server.interrupt()


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


@contextlib.contextmanager
def visitors(browser, url: str) -> Iterator:
    """``open(link, **context options)`` -> the loaded page. Fails on any outside request or script error.

    The opening animation is left out as for everybody who wants less motion; ``reduced_motion="no-preference"`` plays it.
    """
    contexts, outside, errors = [], [], []

    def look(request) -> None:
        if not request.url.startswith((url, "data:", f"blob:{url}")):
            outside.append(request.url)

    def open_(link: str = "", **options):
        context = browser.new_context(**(DESKTOP | {"reduced_motion": "reduce"} | options))
        contexts.append(context)
        context.on("request", look)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(url + link)
        wait_drawn(page)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not outside, f"the page asked for {outside}"
    assert not errors, f"errors in the browser: {errors}"


@pytest.fixture
def open_page(browser, server: Server) -> Iterator:
    """A page of the program as it is started, with the weights in the box; see :func:`visitors`."""
    with visitors(browser, server.url) as open_:
        yield open_


@pytest.fixture
def open_quick(browser, quick_url: str) -> Iterator:
    """A page whose results are noise, but there at once: where the page is tested and not the model; see :func:`visitors`."""
    with visitors(browser, quick_url) as open_:
        yield open_


@pytest.fixture
def open_bare(browser, bare_url: str) -> Iterator:
    """As ``open_quick``, of a program without a parser."""
    with visitors(browser, bare_url) as open_:
        yield open_
