"""The attack at a small page, which bears it, and at a plain Gradio page, which does not; and it goes nowhere else."""

import gradio as gr
import pytest

from pose_editor.gradio_workarounds import LAUNCH_OPTIONS
from tests.attack import __main__ as attack
from tests.attack import routes
from tests.attack.report import Attack, Seen, carry_out
from tests.attack.target import Target, require_loopback
from tests.running import Server, free_port


@pytest.mark.slow
def test_a_small_page_bears_it(tiny_weights, capsys):
    server = Server(tiny_weights, "--dtype", "float32")
    try:
        assert server.first_line
        code = attack.main(["--url", server.url])
        table = capsys.readouterr().out
        assert code == 0, table
        assert f"{len(attack.ATTACKS)} of {len(attack.ATTACKS)} attacks held off" in table
    finally:
        server.interrupt()


@pytest.fixture(scope="module")
def plain():
    """A page of Gradio's without anything of ours."""
    with gr.Blocks() as page:
        gr.Textbox()
    port = free_port()
    page.launch(server_port=port, prevent_thread_lock=True, quiet=True, ssr_mode=False, **LAUNCH_OPTIONS)
    yield f"http://127.0.0.1:{port}/"
    page.close(verbose=False)


@pytest.mark.parametrize("run", [routes.read, routes.headers])
def test_a_plain_page_does_not(plain, run):
    assert not run(Target(plain)).held


def test_the_code_and_the_table_tell(plain, monkeypatch, capsys):
    def broken(_: Target) -> Seen:
        raise LookupError("no such\nthing")

    tried = [
        Attack("a", "", "", lambda _: Seen("kept", True)),
        Attack("b", "", "", lambda _: Seen("read", False)),
        Attack("c", "", "", broken),
    ]
    monkeypatch.setattr(attack, "ATTACKS", tried)
    assert attack.main(["--url", plain]) == 1
    said = capsys.readouterr().out.splitlines()
    assert "held" in said[1] and "read" in said[2] and "FAILED" in said[2] and "FAILED" in said[3] and said[4] == "1 of 3 attacks held off"
    assert attack.main(["--url", plain, "--only", "a"]) == 0
    assert attack.main(["--url", plain, "--only", "nothing"]) == 2


def test_a_page_that_is_gone_afterwards_has_not_borne_it(plain, monkeypatch):
    target = Target(plain)
    target.url = f"http://127.0.0.1:{free_port()}/"
    assert not next(carry_out([Attack("a", "", "", lambda _: Seen("kept", True))], target)).seen.held


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1:7860/", "https://127.0.0.1:7860/", "http://localhost:7860/", "http://127.0.0.1.example.com:7860/", "http://127.0.0.1/",
     "http://a@192.0.2.1:80/", "ftp://127.0.0.1:7860/", "127.0.0.1:7860", "http://127.0.0.1:x/", ""],
)  # fmt: skip
def test_it_goes_nowhere_else(url, capsys):
    with pytest.raises(ValueError, match="only a page on this computer"):
        require_loopback(url)
    assert attack.main(["--url", url]) == 2
    assert capsys.readouterr().err.startswith("attack: ")
    assert require_loopback("http://127.0.0.1:7860/") == ("127.0.0.1", 7860)
