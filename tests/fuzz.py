"""What strangers send, made up without end: broken pictures, masks, poses, settings and weights against the code that reads them.

    python -m tests.fuzz [--minutes 10] [--target NAME] [--save]

Each target takes bytes and may answer only with its own kind of error, in one short line, or with a value that keeps its promise. What
breaks that is shrunk, shown, and with ``--save`` kept in ``tests/data/fuzz/TARGET/``, where tests/test_fuzz.py reads it ever after.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image

from appearance_control.masks import MaskError, check_mask
from nted_step import pose_formats
from nted_step.config import NTEDStepConfig
from nted_step.generator import Generator
from nted_step.image import MAX_PIXELS, ImageError, decode, load_photo
from nted_step.pose import Pose, PoseError, skeleton_map
from nted_step.schedule import ladder
from nted_step.weights import WeightsError, load_weights, save_weights
from pose_editor import cropper, formats, presets, run_bar, server_functions

CORPUS = Path(__file__).parent / "data" / "fuzz"
SIZE = (64, 44)
LONGEST_LINE = 400
ROUND = 200  # examples of a target before the next has its turn


# --- targets: bytes in; ValueError of the right kind, or nothing ---------------------------------------------------------


def refused(error: Exception) -> None:
    """A refusal is one line that a person can read."""
    text = str(error)
    assert text and "\n" not in text and len(text) <= LONGEST_LINE, f"not one line: {text[:1000]!r}"


def image(data: bytes) -> None:
    try:
        photo = load_photo(data, SIZE)
    except ImageError as error:
        return refused(error)
    assert photo.image.shape == (3, *SIZE) and photo.image.abs().max() <= 1 and math.prod(photo.photo_size) <= MAX_PIXELS


def mask(data: bytes) -> None:
    try:
        found = check_mask(np.array(decode(data).convert("L")), SIZE)
    except (ImageError, MaskError) as error:
        return refused(error)
    assert found.dtype == bool and found.shape == SIZE and 0 < found.mean() < 1


def pose_text(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    try:
        people = pose_formats.from_text(text).people
    except PoseError as error:
        return refused(error)
    poses_are_sound(people)


def pose_json(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for read in (pose_formats.from_json, pose_formats.from_openpose, pose_formats.from_coco):
        try:
            people = read(text).people
        except PoseError as error:
            refused(error)
        else:
            poses_are_sound(people)


def poses_are_sound(people: tuple[Pose, ...]) -> None:
    assert people
    for pose in people:
        assert np.isfinite(pose.xy[pose.visible]).all()
        assert formats.from_value(json.loads(json.dumps(formats.to_value(pose)))) == pose
        try:
            pose.require_drawable((256, 176))
        except PoseError as error:
            refused(error)
        else:
            drawn = skeleton_map(pose, (256, 176))
            assert drawn.min() >= 0 and drawn.max() <= 1


def editor_value(data: bytes) -> None:
    value = as_json(data)
    try:
        pose = formats.from_value(value)
    except PoseError as error:
        return refused(error)
    assert formats.from_value(formats.to_value(pose, value.get("edit", 0))) == pose


def page_settings(data: bytes) -> None:
    try:
        found = run_bar.check(as_json(data))
    except ValueError as error:
        return refused(error)
    assert run_bar.check(found) == found and 0 <= found["seed"] <= run_bar.MAX_SEED


def crop_window(data: bytes) -> None:
    try:
        left, top, share = cropper._window(as_json(data))
    except ValueError as error:
        return refused(error)
    assert 0 < share <= 1 + 1e-6 and left >= 0 and top >= 0


def editor_request(data: bytes) -> None:
    request = as_json(data)
    for ask in (server_functions.read_pose, server_functions.write_pose, server_functions.preset_pose):
        answer = ask(request)
        assert isinstance(answer, dict)
        json.dumps(answer, allow_nan=False)
        if "error" in answer:
            refused(ValueError(answer["error"]))


def weights_config(data: bytes) -> None:
    value = as_json(data)
    if not isinstance(value, dict):
        return
    try:
        config = NTEDStepConfig.from_dict(value)
    except ValueError as error:
        return refused(error)
    sizes = ladder(config)
    assert len(sizes) == config.steps + 1 and all(1 <= h <= config.size[0] and 1 <= w <= config.size[1] for h, w in sizes)
    assert NTEDStepConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with torch.device("meta"):
        Generator(config)


def weights_folder(data: bytes) -> None:
    """``config.json`` and the tensors in one: the bytes before the first zero byte, and those behind it."""
    config, _, tensors = data.partition(b"\0")
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "config.json").write_bytes(config)
        (Path(name) / "model.safetensors").write_bytes(tensors)
        try:
            load_weights(name)
        except WeightsError as error:
            refused(error)


def as_json(data: bytes) -> Any:
    """The document that these bytes are, or None; what JSON cannot be never reaches a handler."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (
        image,
        mask,
        pose_text,
        pose_json,
        editor_value,
        page_settings,
        crop_window,
        editor_request,
        weights_config,
        weights_folder,
    )
}

# --- what is made up ------------------------------------------------------------------------------------------------------

numbers = st.one_of(
    st.integers(-3, 300),
    st.floats(),
    st.integers(),
    st.sampled_from([0, 1, -1, 1e9, 1e308, -1e308, 2**31, 2**53, 2**63, 10**400, math.nan, math.inf, True, None]),
)
KEYS = [
    "joints",
    "edit",
    "people",
    "pose_keypoints_2d",
    "keypoints",
    "annotations",
    "canvas_width",
    "canvas_height",
    "seed",
    "save",
    "kind",
    "step",
    "frames",
    "restore",
    "person",
    "photo",
    "window",
    "text",
    "canvas",
    "name",
    "size",
    "steps",
    "min_size",
    "ladder",
    "channels",
    "labels",
    "kernels",
    "grows_to",
    "time_scale",
    "pose_channels",
    "hand_left_keypoints_2d",
    "face_keypoints_2d",
    "16",
    "32",
    "64",
]
words = st.one_of(
    st.sampled_from(
        ["", "ann", "openpose", "coco", "text", "png", "zip", "gif", "film-gif", "wave", "linear", "exponential", "nan", "1e9"]
    ),
    st.text(max_size=30),
)
documents = st.recursive(
    st.one_of(numbers, words),
    lambda inner: st.one_of(
        st.lists(inner, max_size=6), st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=4)), inner, max_size=6)
    ),
    max_leaves=25,
)


def nearly(example: Any) -> st.SearchStrategy[Any]:
    """A document like the example, with some of its parts replaced by whatever there may be."""
    changed = st.one_of(st.just(example), documents) if not isinstance(example, (dict, list)) else st.nothing()
    if isinstance(example, dict):
        whole = st.fixed_dictionaries({key: nearly(value) for key, value in example.items()})
        changed = st.one_of(
            whole, whole.flatmap(lambda made: st.dictionaries(st.sampled_from(KEYS), documents, max_size=1).map(lambda more: made | more))
        )
    elif isinstance(example, list) and example:
        parts = st.tuples(*(st.just(each) for each in example)).map(list)
        place = st.integers(0, len(example) - 1)
        changed = st.one_of(
            parts,
            st.tuples(place, st.sampled_from(range(len(example))).flatmap(lambda k: nearly(example[k]))).map(
                lambda change: _with(example, *change)
            ),
            place.map(lambda cut: example[:cut]),
            documents.map(lambda more: [*example, more]),
        )
    return changed


def _with(example: list[Any], place: int, value: Any) -> list[Any]:
    return [value if k == place else each for k, each in enumerate(example)]


def as_bytes(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return strategy.map(lambda document: json.dumps(document).encode("utf-8", "surrogatepass"))


def mutated(seeds: list[bytes]) -> st.SearchStrategy[bytes]:
    """Seeds with bytes changed, cut out, doubled, cut off, joined."""

    def change(data: bytes, edits: list[tuple[str, float, float, bytes]]) -> bytes:
        for how, where, length, new in edits:
            at = int(where * len(data))
            end = at + int(length * length * (len(data) - at))
            middle = {"put": new, "cut": b"", "double": data[at:end] * 2, "zero": bytes(end - at), "end": None, "swap": data[at:end][::-1]}[
                how
            ]
            data = data[:at] if middle is None else data[:at] + middle + (data[at + len(new) :] if how == "put" else data[end:])
        return data[:200_000]

    share = st.floats(0, 1, exclude_max=True)
    edit = st.tuples(
        st.sampled_from(["put", "put", "cut", "double", "zero", "end", "swap"]), share, share, st.binary(min_size=1, max_size=8)
    )
    return st.builds(change, st.sampled_from(seeds), st.lists(edit, max_size=6))


def encoded(kind: str, mode: str = "RGB", size: tuple[int, int] = (44, 64), **options: Any) -> bytes:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)).convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def seeds(target: str) -> list[bytes]:
    """What a target takes when nothing is wrong, and what once broke it."""
    kept = [path.read_bytes() for path in sorted((CORPUS / target).glob("*"))]
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "x"
    pictures = [
        encoded("PNG"),
        encoded("PNG", "P"),
        encoded("PNG", "RGBA"),
        encoded("PNG", "1"),
        encoded("PNG", "LA"),
        encoded("JPEG"),
        encoded("JPEG", "CMYK"),
        encoded("JPEG", "L", exif=exif),
        encoded("JPEG", progressive=True),
        encoded("WEBP"),
        encoded("WEBP", "RGBA", lossless=True),
        encoded("PNG", exif=exif),
        encoded("PNG", "L"),
        encoded("GIF"),
        encoded("TIFF"),
        encoded("BMP"),
    ]
    pose = presets.standing((256, 176))
    texts = [pose.to_text().encode(), b"-1 -1\n" * 18, b"1e3 nan\n" * 18]
    made = {
        "image": pictures,
        "mask": pictures,
        "pose_text": texts,
        "pose_json": [json.dumps(each).encode() for each in examples("pose_json")],
    }
    if target == "weights_folder":
        with tempfile.TemporaryDirectory() as name:
            torch.manual_seed(0)
            config = NTEDStepConfig(size=(16, 11), steps=2, min_size=(2, 1), channels={16: 8}, labels={16: 2}, kernels={16: 1})
            save_weights(name, Generator(config), {})
            return [
                *kept,
                (Path(name) / "config.json").read_bytes().replace(b'"sha256"', b'"no"')
                + b"\0"
                + (Path(name) / "model.safetensors").read_bytes(),
            ]
    return kept + made.get(target, [])


def examples(target: str) -> list[Any]:
    """Documents that a target takes."""
    pose = presets.standing((256, 176))
    joints = formats.to_value(pose)["joints"]
    lite = NTEDStepConfig(size=(32, 22), steps=3, channels={16: 8, 32: 8}, labels={16: 2, 32: 0}, kernels={16: 1, 32: 1}).to_dict()
    openpose = formats.to_openpose(pose)
    coco = {"keypoints": formats.to_coco(pose), "category_id": 1}
    own = {"name": "@1", "photo": "data:image/webp;base64,AAAA", "fit": "auto", "pose": joints}
    kept = {"person": "ann", "photos": [own], "joints": joints}
    return {
        "pose_json": [openpose, coco, [coco], {"annotations": [coco]}, [openpose]],
        "editor_value": [formats.to_value(pose, 5)],
        "page_settings": [{"seed": 3}, {"seed": 3, "save": {"kind": "gif", "step": 3, "frames": 5}}, {"seed": 3, "restore": kept}],
        "crop_window": [{"window": [0.1, 0.1, 0.5], "n": 4}],
        "editor_request": [
            {"text": json.dumps(openpose), "canvas": [256, 176]},
            {"kind": "coco", "joints": joints, "canvas": [256, 176]},
            {"name": "wave", "joints": joints, "canvas": [256, 176]},
            {"text": pose.to_text(), "canvas": [64, 44]},
        ],
        "weights_config": [lite],
    }.get(target, [])


@cache
def inputs(target: str) -> st.SearchStrategy[bytes]:
    """Everything that is made up for a target."""
    options = [mutated(seeds(target))] if seeds(target) else []
    options += [as_bytes(nearly(example)) for example in examples(target)]
    if target not in ("image", "mask", "weights_folder"):
        options.append(as_bytes(documents))
    if target == "editor_request":
        texts = st.one_of(mutated(seeds("pose_json")), mutated(seeds("pose_text"))).map(lambda data: data.decode("utf-8", "replace"))
        options.append(as_bytes(st.fixed_dictionaries({"text": texts, "canvas": st.just([256, 176])})))
    return st.one_of(*options, st.binary(max_size=64))


# --- the command ----------------------------------------------------------------------------------------------------------


class Found(Exception):
    """A target was broken by ``data``."""

    def __init__(self, data: bytes) -> None:
        self.data = data


def attack(target: str, examples: int = ROUND) -> tuple[int, Found | None]:
    """Try a target with so many inputs: (how many there were, the smallest that broke it)."""
    tried = 0

    @settings(
        max_examples=examples,
        derandomize=False,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        report_multiple_bugs=False,
        print_blob=False,
    )
    @given(inputs(target))
    def once(data: bytes) -> None:
        nonlocal tried
        tried += 1
        try:
            TARGETS[target](data)
        except Exception as error:
            raise Found(data) from error

    try:
        once()
    except Found as found:
        return tried, found
    return tried, None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="only this one; may be repeated")
    parser.add_argument("--save", action="store_true", help="keep what was found in tests/data/fuzz")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    until, tried, broken = time.monotonic() + 60 * options.minutes, dict.fromkeys(options.target or TARGETS, 0), set()
    while time.monotonic() < until and len(broken) < len(tried):
        for target in tried:
            if target in broken or time.monotonic() > until:
                continue
            count, found = attack(target)
            tried[target] += count
            if found:
                broken.add(target)
                report(target, found, options.save)
    for target, count in tried.items():
        print(f"{target}: {count:,} inputs, {'BROKEN' if target in broken else 'held'}")
    return 1 if broken else 0


def report(target: str, found: Found, save: bool) -> None:
    print(f"--- {target} is broken by {found.data[:300]!r}", file=sys.stderr)
    cause = found.__cause__
    print("".join(traceback.format_exception(cause)[-6:])[-3000:], file=sys.stderr, flush=True)
    if save:
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha256(found.data).hexdigest()[:12]).write_bytes(found.data)


if __name__ == "__main__":
    sys.exit(main())
