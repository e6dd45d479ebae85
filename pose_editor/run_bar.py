"""The bar below the result: seed, saving, and the state that is restored after a reload or from a link."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nted_step.image import Fit, check_fit
from nted_step.pose_formats import is_number
from pose_editor import formats
from pose_editor.interpolation import MAX_FRAMES
from pose_editor.widget import Widget

MAX_SEED = 2**32 - 1
KINDS = ("result", "large", "cutout", "step", "strip", "gif", "webp", "mp4", "zip", "film-gif", "film-mp4")
MAX_STEPS = 1000
FILM_POSES = 12  # unless another number is asked for
MAX_PHOTOS, MAX_PHOTO = 8, 4_000_000  # that the browser remembered, and characters of all of them


class RunBar(Widget):
    """Seed, saving and sharing. The value is ``{"seed": n}``, with ``"save": {"kind", "step", "frames"}`` or ``"restore": {"person",
    "photos": [{"name", "photo", "fit", "pose"}, ...], "joints"}``.

    Events: ``save`` when a file is wanted, ``film`` when it is a film, which takes long, ``restore`` when the browser
    remembered a state or a link was opened. A new seed makes the pose editor send its pose again.

    Args:
        keeps: under which name the browser remembers the state of this part of the page; "pose" is the part that a visit begins with and
            that links are about. Nothing is remembered without one.
        saves: the kinds of files that are offered, of ``KINDS`` and "link".
    """

    def __init__(self, value: dict[str, Any] | None = None, keeps: str = "", saves: Sequence[str] = KINDS, **arguments: Any) -> None:
        super().__init__("run_bar", ("run_bar.js",), value=value or {"seed": 0}, keeps=keeps, saves=list(saves), **arguments)

    def preprocess(self, payload: Any) -> dict[str, Any]:
        """The value, checked. Anything else is refused with one line."""
        return self.checked(check, payload)

    def api_info(self) -> dict[str, Any]:
        return {"type": "object", "properties": {"seed": {"type": "integer", "minimum": 0, "maximum": MAX_SEED}}}

    def example_payload(self) -> dict[str, Any]:
        return {"seed": 0}


class Download(Widget):
    """Invisible. A value ``{"name", "url", "n"}`` becomes a download, ``{"said": line}`` a line at the bar."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__("download", ("download.js",), **arguments)


def check(value: Any) -> dict[str, Any]:
    """The bar's value, if it is one. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("the settings are not an object")
    found: dict[str, Any] = {"seed": _whole(value.get("seed"), "seed", MAX_SEED)}
    if value.get("save") is not None:
        save = value["save"]
        if not isinstance(save, dict) or save.get("kind") not in KINDS:
            raise ValueError(f"what is saved must be one of {', '.join(KINDS)}")
        frames = _whole(save.get("frames", FILM_POSES), "frames", MAX_FRAMES)
        found["save"] = {"kind": save["kind"], "step": _whole(save.get("step"), "step", MAX_STEPS), "frames": frames}
    if value.get("restore") is not None:
        found["restore"] = _check_restore(value["restore"])
    return found


def _check_restore(kept: Any) -> dict[str, Any]:
    if not isinstance(kept, dict):
        raise ValueError("this link or saved state cannot be read")
    person, photos = kept.get("person"), kept.get("photos", [])
    if not isinstance(person, str) or not isinstance(photos, list) or len(photos) > MAX_PHOTOS:
        raise ValueError("this link or saved state cannot be read")
    checked = [_check_photo(photo) for photo in photos]
    if sum(len(photo["photo"]) for photo in checked) > MAX_PHOTO:
        raise ValueError("the photos of this saved state are too large")
    return {"person": person, "photos": checked, "joints": formats.check_value({"joints": kept.get("joints")})["joints"]}


def _check_photo(kept: Any) -> dict[str, Any]:
    if not isinstance(kept, dict) or not isinstance(kept.get("name"), str) or not isinstance(kept.get("photo"), str):
        raise ValueError("this saved state cannot be read")
    pose = kept.get("pose")
    joints = None if pose is None else formats.check_value({"joints": pose})["joints"]
    return {"name": kept["name"], "photo": kept["photo"], "fit": _fit(kept.get("fit")), "pose": joints}


def _fit(fit: Any) -> Fit:
    if isinstance(fit, str):
        return check_fit(fit)
    if not isinstance(fit, list) or len(fit) != 3 or not all(is_number(number) for number in fit):
        raise ValueError("a window is three numbers: left, top and share")
    return check_fit((float(fit[0]), float(fit[1]), float(fit[2])))


def _whole(number: Any, name: str, most: int) -> int:
    if (not is_number(number) and number != most) or number != int(number) or not 0 <= number <= most:
        raise ValueError(f"{name} must be a whole number from 0 to {most}")
    return int(number)
