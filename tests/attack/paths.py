"""Files of the server, addresses elsewhere, and what other visitors gave or got."""

from __future__ import annotations

from tests.attack import pictures
from tests.attack.report import Attack, Seen
from tests.attack.target import Target, told

META = {"meta": {"_type": "gradio.FileData"}}
PATHS = ("/etc/passwd", "../../../../etc/passwd", "/proc/self/environ", "app.py", "assets/weights/lite/config.json", ".git/config")
PREFIXES = ("", "..%2f..%2f", "/%2e%2e/", "....//")
NAMES = ("../../../../climbed.png", "..\\..\\climbed.png", "/tmp/climbed.png", "a/../../climbed.png")


def read(target: Target) -> Seen:
    leaks = []
    with target.stranger() as visitor:
        for route in ("gradio_api/file=", "static/", "assets/"):
            for address in (f"{route}{prefix}{path}" for path in PATHS for prefix in PREFIXES):
                answer = visitor.http.get(address)
                if answer.status_code < 400 and b"<!doctype html>" not in answer.content[:200].lower():
                    leaks.append(address)
        for path in PATHS:
            for file in ({"path": path, **META}, {"path": path, "url": f"file://{path}", **META}):
                if told(lambda file=file: visitor.generate(file, target.pose())) == "accepted":
                    leaks.append(path)
    return Seen(f"{len(leaks)} read {' '.join(leaks[:2])}".strip(), not leaks)


def fetch(target: Target) -> Seen:
    fetched = []
    pose = target.pose()
    with target.stranger() as visitor:
        for url in (f"{target.url}config", "http://169.254.169.254/latest/meta-data/", "ftp://127.0.0.1/x"):
            for file in ({"path": url, **META}, {"path": "x.png", "url": url, **META}):
                if told(lambda file=file: visitor.generate(file, pose)) == "accepted":
                    fetched.append(url)
    return Seen(f"{len(fetched)} fetched", not fetched)


def climb(target: Target) -> Seen:
    folder = target.temporary_folder()
    with target.stranger() as visitor:
        paths = [visitor.upload(pictures.small(), name)["path"] for name in NAMES]
    outside = [path for path in paths if not path.startswith(f"{folder}/") or ".." in path.split("/")]
    return Seen(f"{len(outside)} outside", not outside)


def list_folders(target: Target) -> Seen:
    with target.visitor() as visitor:
        path = visitor.upload(pictures.small())["path"]
    folders = [path.rsplit("/", count)[0] for count in (1, 2, 3)]
    with target.stranger() as stranger:
        listed = [folder for folder in folders if stranger.http.get(f"gradio_api/file={folder}").status_code < 400]
        same = [each for each in (path.rsplit("/", 1)[0] + "/other.png",) if stranger.http.get(f"gradio_api/file={each}").status_code < 400]
    return Seen(f"{len(listed + same)} listed or guessed", not listed + same)


ATTACKS = [
    Attack("server's files", f"{len(PATHS)} paths as addresses and as photos", "none is read", read),
    Attack("addresses elsewhere", "as a photo: itself, metadata service, FTP", "none is fetched", fetch),
    Attack("names that climb", f"uploads under {len(NAMES)} names", "all in the page's own folder", climb),
    Attack("folders of visitors", "folders above an upload, a sibling's name", "neither listed nor guessed", list_folders),
]
