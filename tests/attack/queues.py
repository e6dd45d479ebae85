"""Runs that nobody waits for, under made-up names, until nobody else finds room."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from pose_editor.serving.request_log import MAX_WAITING_OF_ADDRESS
from tests.attack import pictures
from tests.attack.report import Attack, Seen
from tests.attack.target import Target
from tests.running import Visitor

JOINS = 500
FILMS = 33
POSES = 60
OTHERS_SECONDS = 60  # for a picture meanwhile, on busy cores
GIVEN_UP_SECONDS = 150  # until a film of somebody else is done; those films would take most of an hour


def joined(visitor: Visitor, count: int, frames: int, poses: dict[str, Any], file: dict[str, Any]) -> list[int]:
    """The answers to so many films, each of a visitor who does not exist."""
    event = visitor.events["tween"]
    data: list[Any] = [file, poses, poses, frames, 0, "gif"]
    body = {"fn_index": event["id"], "data": [*data, *[None] * (len(event["inputs"]) - len(data))]}
    kind = {"content-type": "application/json"}
    return [
        visitor.http.post("gradio_api/queue/join", content=json.dumps(body | {"session_hash": uuid.uuid4().hex}), headers=kind).status_code
        for _ in range(count)
    ]


def made_up_visitors(target: Target) -> Seen:
    pose = target.pose()
    with target.stranger() as stranger, target.visitor() as visitor:
        answers = joined(stranger, JOINS, 2, pose, stranger.upload(pictures.small(3)))
        began = time.monotonic()
        made = visitor.generate(visitor.upload(pictures.small(4)), pose, steps=1)
        seconds = time.monotonic() - began
    refused = answers.count(503)
    held = bool(made) and seconds < OTHERS_SECONDS and refused > 0 and set(answers) <= {200, 503}
    return Seen(f"{refused} refused, another's picture in {seconds:.1f} s", held)


def abandoned_films(target: Target) -> Seen:
    pose = target.pose("star")
    with target.stranger() as stranger, target.visitor(timeout=GIVEN_UP_SECONDS + 60) as visitor:
        answers = joined(stranger, FILMS, POSES, pose, stranger.upload(pictures.small(5)))
        taken = answers.count(200)
        began = time.monotonic()
        visitor.call("tween", visitor.upload(pictures.small(6)), pose, pose, 2, 0, "gif")
        seconds = time.monotonic() - began
    held = 0 < taken <= MAX_WAITING_OF_ADDRESS + 2 and seconds < GIVEN_UP_SECONDS
    return Seen(f"{taken} taken, another's film in {seconds:.0f} s", held)


# In this order: when the film of somebody else is done, so are those before it, and the queue is free for the next attack.
ATTACKS = [
    Attack("abandoned films", f"{FILMS} of {POSES} poses, nobody listens", f"others' film in {GIVEN_UP_SECONDS} s", abandoned_films),
    Attack("made-up visitors", f"{JOINS} runs from one address", f"others wait {OTHERS_SECONDS} s at most", made_up_visitors),
]
