"""The bar below the result: seed, saving, and the state that is restored after a reload or from a link."""

from __future__ import annotations

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
MAX_PHOTO = 4_000_000  # characters of a photo that the browser remembered


class RunBar(Widget):
    """Seed, saving and sharing. The value is ``{"seed": n}``, with ``"save": {"kind", "step", "frames"}`` or ``"restore": {"person",
    "photo", "fit", "photo_pose", "joints", "seed", "step"}``.

    Events: ``save`` when a file is wanted, ``film`` when it is a film, which takes long, ``restore`` when the browser
    remembered a state or a link was opened. A new seed makes the pose editor send its pose again.

    Args:
        keeps: whether the browser remembers the state of the page, which can then be shared by link and made into a film.
    """

    def __init__(self, value: dict[str, Any] | None = None, keeps: bool = True, **arguments: Any) -> None:
        super().__init__("run_bar", ("run_bar.js",), value=value or {"seed": 0}, keeps=keeps, **arguments)

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
    person, photo = kept.get("person"), kept.get("photo")
    if not (person is None or isinstance(person, str)) or not (photo is None or (isinstance(photo, str) and len(photo) <= MAX_PHOTO)):
        raise ValueError("this link or saved state cannot be read")
    joints = formats.check_value({"joints": kept.get("joints")})["joints"]
    pose = kept.get("photo_pose")
    photo_pose = None if pose is None else formats.check_value({"joints": pose})["joints"]
    step = _whole(kept.get("step"), "step", MAX_STEPS)
    return {"person": person, "photo": photo, "fit": _fit(kept.get("fit")), "photo_pose": photo_pose, "joints": joints, "step": step}


def _fit(fit: Any) -> Fit:
    """How the remembered photo is fitted; earlier versions kept it as it was fitted, and did not say."""
    if fit is None or isinstance(fit, str):
        return check_fit(fit or "auto")
    if not isinstance(fit, list) or len(fit) != 3 or not all(is_number(number) for number in fit):
        raise ValueError("a window is three numbers: left, top and share")
    return check_fit((float(fit[0]), float(fit[1]), float(fit[2])))


def _whole(number: Any, name: str, most: int) -> int:
    if (not is_number(number) and number != most) or number != int(number) or not 0 <= number <= most:
        raise ValueError(f"{name} must be a whole number from 0 to {most}")
    return int(number)
