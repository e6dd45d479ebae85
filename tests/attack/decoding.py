"""Pictures made to burst memory, or to keep the page busy, and sizes that only the page may choose."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tests.attack import pictures
from tests.attack.report import Attack, Seen
from tests.attack.target import Peak, Target, told
from tests.running import Visitor

ODD = {
    "96 megapixels": pictures.declared(8000, 12_000), "2 gigapixels": pictures.declared(60_000, 40_000),
    "long metadata": pictures.long_metadata(), "bursting metadata": pictures.bursting_metadata(), "two sizes": pictures.two_sizes(),
    "a GIF named .png": pictures.encoded(pictures.Image.new("L", (44, 64)), "GIF"), "nothing": b"",
}  # fmt: skip
READABLE = ("long metadata", "bursting metadata")  # the picture itself is in order
MOST_MIB, MOST_SECONDS = 400, 20
AT_ONCE = 8
MOST_MIB_AT_ONCE = 1800  # two such photos at a time; all eight took 4600
CANVASES = ([4096, 4096], [1, 1], "256", None)


def odd_pictures(target: Target) -> Seen:
    pose, wrong, slowest = target.pose(), [], 0.0
    with target.stranger() as visitor, Peak(target) as peak:
        for kind, data in ODD.items():
            began = time.monotonic()
            answer = told(lambda data=data: visitor.generate(visitor.upload(data), pose, steps=1))
            slowest = max(slowest, time.monotonic() - began)
            if (answer == "accepted") != (kind in READABLE) or "went wrong" in answer:
                wrong.append(kind)
    held = not wrong and peak.mib < MOST_MIB and slowest < MOST_SECONDS
    return Seen(f"{slowest:.1f} s at most, {peak.mib} MiB more {' '.join(wrong)}".strip(), held)


def many_windows(target: Target) -> Seen:
    data = pictures.large()
    visitors = [Visitor(target.url, timeout=600, address="127.0.0.2") for _ in range(AT_ONCE)]
    try:
        for visitor in visitors:
            visitor.give(data)
        with Peak(target) as peak, ThreadPoolExecutor(AT_ONCE) as pool:
            answers = list(pool.map(lambda visitor: told(lambda: visitor.call("choose_window", None)), visitors))
    finally:
        for visitor in visitors:
            visitor.close()
    worked = answers.count("accepted")
    return Seen(f"{worked} answered, {peak.mib} MiB more", worked == AT_ONCE and peak.mib < MOST_MIB_AT_ONCE)


def own_canvases(target: Target) -> Seen:
    with target.stranger() as visitor, Peak(target) as peak:
        shown = visitor.http.get("config").json()["components"]
        editor = next(each["id"] for each in shown if "write_pose" in each["props"].get("server_fns", []))
        joints, drawn = target.pose()["joints"], 0
        for canvas in CANVASES * 5:
            data = {"kind": "png", "joints": joints, "canvas": canvas}
            body = {"data": data, "component_id": editor, "fn_name": "write_pose", "session_hash": visitor.session}
            drawn += "error" not in visitor.http.post("gradio_api/component_server", json=body).json()
    return Seen(f"{drawn} drawn, {peak.mib} MiB more", not drawn and peak.mib < MOST_MIB)


ATTACKS = [
    Attack(
        "odd pictures",
        f"{len(ODD)}: {next(iter(ODD))}, two sizes, long metadata…",
        f"refused or read, {MOST_SECONDS} s, {MOST_MIB} MiB more",
        odd_pictures,
    ),
    Attack(
        "many large photos",
        f"choose_window of 39 megapixels, {AT_ONCE} at once",
        f"all answered, {MOST_MIB_AT_ONCE} MiB more",
        many_windows,
    ),
    Attack("canvases of one's own", "write_pose at 4096x4096 and worse", "not drawn", own_canvases),
]
