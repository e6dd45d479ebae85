"""Values that programs get wrong: one line says so, and no trace of the program."""

from __future__ import annotations

from tests.attack import pictures
from tests.attack.report import Attack, Seen
from tests.attack.target import Target, told

VAGUE = ("went wrong", "Traceback", "could not read", "accepted", "Error:")
MARKUP = "<img src=x onerror=alert(1)>"
HOSTS = (b"[", b"[::1", b"a b", b"x:99999999", b"user@x", b"x/y", b"\xe9", b"", b"x\r\nHost: y")


def wrong_values(target: Target) -> Seen:
    pose, answers = target.pose(), []
    nowhere = {"joints": [[float("nan")] * 3] * 18}
    with target.stranger() as visitor:
        file = visitor.upload(pictures.small())
        for event, data in (
            ("swap", (None, None, None, pose, 0)), ("swap", (file, None, None, pose, 0)), ("swap", (None, [file], ["upper"], pose, 0)),
            ("trace", (file, pose, "here", 10, 4, 0, 0)), ("trace", (file, pose, 10, [1], 4, 0, 0)),
            ("generate", (file, pose, 0, 2.5)), ("generate", (file, pose, 0.5, 4)), ("generate", (file, nowhere, 0, 4)),
            ("tween", (file, pose, pose, 10**9, 0, "gif")), ("tween", (file, pose, pose, 2, 0, "exe")),
        ):  # fmt: skip
            answers.append(told(lambda event=event, data=data: visitor.call(event, *data)))
    vague = [answer for answer in answers if "\n" in answer or len(answer) > 250 or any(word in answer for word in VAGUE)]
    return Seen(f"{len(vague)} vague {vague[:1] or ''}".strip(), not vague)


def markup(target: Target) -> Seen:
    kept = {"person": MARKUP, "photos": [], "joints": target.pose()["joints"]}
    with target.stranger() as visitor:
        answers = [str(visitor.give(b"torn", f"{MARKUP}.png")), str(visitor.call("restore", {"seed": 0, "restore": kept}, None))]
    written = sum("<img" in answer for answer in answers)
    told_of = sum("notice" in answer for answer in answers)
    return Seen(f"{told_of} notices, {written} with markup", told_of == 2 and not written)


def strange_hosts(target: Target) -> Seen:
    statuses = set()
    for host in HOSTS:
        with target.connect() as connection:
            connection.sendall(b"GET /config HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
            statuses.add(connection.recv(1000)[:12].decode())
    return Seen(", ".join(sorted(statuses)), statuses == {"HTTP/1.1 400"})


ATTACKS = [
    Attack("wrong values", "swap of None, trace of text, fractions, NaN", "one line that says what it was", wrong_values),
    Attack("markup", "a file name and a link with a script in it", "escaped or left out", markup),
    Attack("strange hosts", f"{len(HOSTS)} Host headers", "400", strange_hosts),
]
