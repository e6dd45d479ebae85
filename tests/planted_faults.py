"""Faults planted one at a time into a copy of the project: does a test notice each?

    python -m tests.planted_faults [--only WORD]

Run by hand after a change of what the faults are about: a fault whose text is no longer there is told. The named tests first have to
pass without any fault. Takes a quarter of an hour on two cores. The exit code is 1 when a fault was not noticed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import gradio  # noqa: F401 (with torch what takes longest to import; before the forks)
import pytest
import torch  # noqa: F401

ROOT = Path(__file__).parents[1]
PACKAGES = ("nted_step", "pose_editor", "appearance_control", "training", "tests", "app")
SECONDS = 600  # for the tests of one fault
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Fault:
    """Attributes:
    what: went wrong.
    file: that it is planted into.
    old, new: what stands there, once, and what takes its place.
    tests: that have to notice, as arguments of pytest.
    """

    what: str
    file: str
    old: str
    new: str
    tests: str


SERVING, STUDIO, FAULTS = "pose_editor/serving", "pose_editor/studio", "tests/faults"
HALF_SENT = f"{FAULTS}/test_half_sent_requests.py"
FAULTS_PLANTED = [
    # what visitors see and send
    Fault("a notice is not escaped", f"{STUDIO}/presentation.py", "{html.escape(text)}</p>", "{text}</p>",
          "tests/pose_editor/studio/test_presentation.py"),
    Fault("a late edit runs", f"{STUDIO}/model_runner.py", "if run <= session.run:", "if run == session.run:",
          "tests/pose_editor/studio/test_model_runner.py"),
    Fault("a stop does not count", f"{STUDIO}/model_runner.py", "session.run += 1", "session.run += 0",
          "tests/pose_editor/studio/test_model_runner.py"),
    Fault("a mask is decoded before its size is checked", "appearance_control/studio/mask_images.py",
          "if image.size != size[::-1]:", "image.load()\n            if image.size != size[::-1]:",
          "tests/appearance_control/studio/test_mask_images.py"),
    Fault("a mask is read from the red channel", "appearance_control/studio/mask_images.py", 'getchannel("A")', 'getchannel("R")',
          "tests/appearance_control/studio/test_mask_images.py"),
    Fault("a mask's file is read from the red channel", "appearance_control/masks.py", 'getchannel("A")', 'getchannel("R")',
          "tests/appearance_control/test_masks.py"),
    Fault("a client draws on a canvas of its own", "pose_editor/server_functions.py", "!= list(canvas):", "== 0:",
          f"{FAULTS}/test_many_large_photos_at_once.py::test_a_canvas_of_the_clients_own_is_refused"),
    Fault("fractions pass for whole numbers", f"{STUDIO}/validation.py", "and number == int(number)", "",
          f"{FAULTS}/test_vague_errors.py::test_one_short_line"),
    Fault("a token may be a part of itself", f"{STUDIO}/weights_panel.py",
          "if not hmac.compare_digest(str(token).strip().encode(), self.token.encode()):",
          "if not self.token.startswith(str(token).strip()):",
          "tests/pose_editor/studio/test_weights_panel.py"),
    Fault("the panel believes a proxy", f"{STUDIO}/weights_panel.py", "any(request.headers.get(name) for name in FORWARDED) or ", "",
          "tests/pose_editor/studio/test_weights_panel.py"),
    # pictures
    Fault("a picture has ten times the pixels", "nted_step/image.py", "MAX_PIXELS = 40_000_000", "MAX_PIXELS = 400_000_000",
          f"{FAULTS}/test_96_megapixels.py -k 'not page'"),
    Fault("a JPEG has two sizes", "nted_step/jpeg_header.py", "if marker in _FRAMES and not frame and", "if marker in _FRAMES and",
          "tests/nted_step/test_jpeg_header.py"),
    Fault("metadata reaches Pillow", "nted_step/jpeg_header.py", "if marker not in _LEFT_OUT or _is_needed(marker, body):", "if True:",
          "tests/nted_step/test_jpeg_header.py"),
    Fault("a JPEG has any number of parts", "nted_step/jpeg_header.py", "MAX_SEGMENTS = 4096", "MAX_SEGMENTS = 4_000_000",
          "tests/nted_step/test_jpeg_header.py"),
    Fault("EXIF is read in the wrong order of bytes", "nted_step/orientation.py", 'b"MM\\0*": ">"', 'b"MM\\0*": "<"',
          "tests/nted_step/test_jpeg_header.py"),
    Fault("a picture keeps its metadata", "nted_step/image.py", 'return Image.frombytes("RGB", image.size, image.convert("RGB").tobytes())',
          'return image.convert("RGB")',
          f"{FAULTS}/test_no_metadata_leaves.py::test_decoding_leaves_it_behind"),
    Fault("eight-bit values are cut off, not rounded", "nted_step/image.py", "levels.round().astype", "levels.astype",
          "tests/nted_step/test_boundaries.py::test_pixels_survive_the_way_in_and_out"),
    Fault("any number of photos is decoded at once", f"{STUDIO}/decoding.py", "with _turn:", "if True:",
          f"{FAULTS}/test_many_large_photos_at_once.py::test_two_are_decoded_while_the_others_wait"),
    # files
    Fault("a file is rewritten in place", "nted_step/files.py", "os.replace(beside, path)", "path.write_bytes(beside.read_bytes())",
          "tests/nted_step/test_files.py tests/faults/test_disk_full.py"),
    Fault("weights are written in place", "nted_step/weights.py", "write_file(folder / WEIGHTS_NAME, data)",
          "(folder / WEIGHTS_NAME).write_bytes(data)", "tests/faults/test_disk_full.py"),
    Fault("nothing is flushed to the disk", "nted_step/files.py", "os.fsync(file.fileno())", "pass", "tests/nted_step/test_files.py"),
    Fault("damaged weights are used", "nted_step/weights.py", 'if document.get("sha256") not in (None, digest):', "if False:",
          f"{FAULTS}/test_wrong_weights.py -k damaged"),
    Fault("code in a checkpoint is run", "nted_step/convert.py", "weights_only=True", "weights_only=False",
          f"{FAULTS}/test_pickles.py::test_converters_refuse_code"),
    Fault("a checkpoint has any number of levels", "nted_step/convert.py", "if count > MOST_LEVELS:", "if False:",
          "tests/nted_step/test_boundaries.py"),
    # requests
    Fault("recordings are open", f"{SERVING}/allowed_routes.py", '_SENT = (', '_SENT = ("process_recording", ',
          f"{FAULTS}/test_closed_routes.py -k list_alone"),
    Fault("an announced length is not looked at", f"{SERVING}/request_limits.py", "if self.declared_length() > self.limit:", "if False:",
          f"{HALF_SENT} -k announced"),
    Fault("a body may stall", f"{SERVING}/request_limits.py", "min(STALLED_SECONDS, left)", "left", f"{HALF_SENT} -k 'stalls'"),
    Fault("any number of bodies at a time", f"{SERVING}/request_limits.py", "self.arriving[self.client] > MAX_BODIES_OF_ONE", "False",
          f"{HALF_SENT} -k so_many_at_a_time"),
    Fault("any number of connections", f"{SERVING}/connections.py", "self.open_by_address[address] >= most", "False",
          f"{HALF_SENT} -k so_many_connections"),
    Fault("silent connections stay", f"{SERVING}/connections.py", "self.waiting = self.loop.call_later(HEADER_SECONDS, self._give_up)",
          "pass",
          f"{HALF_SENT} -k say_nothing"),
    Fault("an IPv6 client has as many addresses as it likes", f"{SERVING}/client_address.py", "(address, 64)", "(address, 128)",
          f"{FAULTS}/test_made_up_visitors.py::test_by_address_and_by_session"),
    Fault("an address may fill the queue", f"{SERVING}/request_log.py", ">= MAX_WAITING_OF_ADDRESS:", ">= 10**6:",
          f"{FAULTS}/test_made_up_visitors.py::test_by_address_and_by_session"),
    # the disk and the visitors' state
    Fault("old files stay", f"{SERVING}/temporary_files.py", "now - changed <= age and total <= most", "total <= most",
          f"{FAULTS}/test_many_sessions.py::test_the_oldest_files_go_first"),
    Fault("a killed page's files stay", f"{SERVING}/temporary_files.py", "delete_left_behind(base)\n    with", "with",
          f"{FAULTS}/test_left_behind.py"),
    Fault("a running page's files are deleted", f"{SERVING}/temporary_files.py", "fcntl.LOCK_EX | fcntl.LOCK_NB",
          "fcntl.LOCK_UN",
          f"{FAULTS}/test_left_behind.py"),
    Fault("abandoned work goes on", f"{SERVING}/listening.py", "return now - self._heard > UNHEARD_SECONDS", "return False",
          "tests/pose_editor/serving/test_listening.py"),
    Fault("who left is logged as served", f"{SERVING}/request_log.py", '.log("left")  # the', '.log("done")  # the',
          f"{FAULTS}/test_abandoned_films.py -k closes_the_page"),
    Fault("strangers' states drive out visitors'", f"{SERVING}/session_states.py", "for session in list(self)[:-1]:", "for session in []:",
          "tests/pose_editor/studio/test_visitor_store.py"),
    # the model
    Fault("a seed does not count", "nted_step/schedule.py", ".manual_seed(seed)", ".manual_seed(0)", 
          "tests/nted_step/test_core.py -k seed"),
    Fault("steps begin from noise alone", "nted_step/schedule.py", "return degrade(source, config.min_size) + strength", "return strength",
          "tests/nted_step/test_core.py -k step_zero"),
    Fault("a checkpoint that cannot be read ends a run", "training/checkpoint.py", "for path in paths:", "for path in paths[:1]:",
          "tests/training/test_training.py -k damaged_checkpoint"),
]  # fmt: skip


def copy(folder: Path) -> None:
    """The files of the working tree that git knows or would add."""
    names = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())


def run_tests(folder: Path, tests: str) -> tuple[bool, str]:
    """(whether they pass, the first one that does not). In a fork of this process, which has the libraries already."""
    words = [word.replace("\0", " ") for word in re.sub(r"'([^']*)'", lambda found: found[1].replace(" ", "\0"), tests).split()]
    with tempfile.TemporaryFile("w+") as output:
        process = multiprocessing.get_context("fork").Process(target=_test, args=(folder, words, output.fileno()))
        process.start()
        process.join(SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
            return False, f"no end within {SECONDS} s"
        output.seek(0)
        text = output.read()
    found = FAILED.search(text)
    return process.exitcode == 0, found[1] if found else f"pytest ended with {process.exitcode}: {text[-200:]}"


def _test(folder: Path, words: list[str], output: int) -> None:
    for stream in (1, 2):
        os.dup2(output, stream)
    os.chdir(folder)
    sys.path[:] = [str(folder), *(path for path in sys.path if path not in ("", str(ROOT)))]
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]  # they are imported from the copy
    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *words])
    sys.stdout.flush()
    os._exit(code)


@cache
def without_fault(folder: Path, tests: str) -> tuple[bool, str]:
    return run_tests(folder, tests)


def noticed(folder: Path, fault: Fault) -> tuple[bool, str]:
    """(whether a test noticed, which)."""
    path = folder / fault.file
    text = path.read_text()
    if text.count(fault.old) != 1:
        return False, f"{fault.old!r} stands {text.count(fault.old)} times in {fault.file}"
    passed, failed = without_fault(folder, fault.tests)
    if not passed:
        return False, f"fails without the fault: {failed}"
    try:
        path.write_text(text.replace(fault.old, fault.new))
        passed, failed = run_tests(folder, fault.tests)
    finally:
        path.write_text(text)
    return not passed, "nothing" if passed else failed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], prog="python -m tests.planted_faults")
    parser.add_argument("--only", default="", metavar="WORD", help="faults with this in their description or file")
    options = parser.parse_args(arguments)
    missed = 0
    sys.dont_write_bytecode = True
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        copy(Path(folder))
        for fault in FAULTS_PLANTED:
            if options.only not in f"{fault.what} {fault.file}":
                continue
            found, by = noticed(Path(folder), fault)
            missed += not found
            print(f"{'noticed' if found else 'MISSED':8} {fault.what:50} {by}", flush=True)
    print(f"{missed} missed" if missed else "every fault was noticed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
