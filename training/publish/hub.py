"""Uploading a weights folder to the Hugging Face Hub."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from nted_step.weights import CARD_NAME, CARRIER_FOLDER, CONFIG_NAME, WEIGHTS_NAME, WeightsError, read_folder

NAMES = (WEIGHTS_NAME, CONFIG_NAME, CARD_NAME)
KINDS = {
    "nted_step": "step model",
    "nted_step carrier": "carrier",
    "fashion_parser": "garment parser",
    "nted_step pose detector": "pose detector",
}
"""``format`` in ``config.json`` -> what such weights are called."""


@dataclass(frozen=True)
class Contents:
    """What a weights folder publishes.

    Attributes:
        kind: a value of KINDS. licence: of the card. files: names within the folder, the carrier's of a model that carries among them.
    """

    folder: Path
    kind: str
    licence: str
    files: tuple[str, ...]

    def text(self, repository: str) -> str:
        """Every file with its size and SHA-256, for people."""
        lines = [f"{self.folder} ({self.kind}, licence {self.licence}) to {repository}, in one commit:"]
        for name in self.files:
            data = (self.folder / name).read_bytes()
            lines.append(f"  {name:28}{len(data):>14,} bytes  {hashlib.sha256(data).hexdigest()}")
        return "\n".join(lines)


def contents(folder: Path) -> Contents:
    """Check a weights folder of any kind, with its card, and list what it publishes. Raises WeightsError."""
    document, _, _ = read_folder(folder)
    kind = KINDS.get(document.get("format", ""))
    if kind is None:
        raise WeightsError(f"{folder / CONFIG_NAME}: its 'format' is none of {', '.join(KINDS)}")
    licence = _licence(folder / CARD_NAME)
    files, model = list(NAMES), document.get("model", {})
    if isinstance(model, dict) and model.get("carries"):
        contents(folder / CARRIER_FOLDER)
        files += [f"{CARRIER_FOLDER}/{name}" for name in NAMES]
    return Contents(folder, kind, licence, tuple(files))


def _licence(card: Path) -> str:
    """The licence in a card's front matter, without which the Hub does not say how weights may be used. Raises WeightsError."""
    try:
        text = card.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise WeightsError(f"{card}: no model card that can be read; write one, or export the run again") from None
    try:
        found = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
        head = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError:
        head = None
    if not isinstance(head, dict) or not isinstance(head.get("license"), str):
        raise WeightsError(f"{card}: begins without a head that names the license; put '---', 'license: apache-2.0' and '---' before it")
    return head["license"]


def push(folder: Path, repository: str) -> str:
    """Commit a weights folder's files to the model repository ``user/name``, created if it does not exist; returns the commit's URL.

    All files, with the carrier's of a model that carries, go into one commit: ``config.json`` holds the hash of the weights, so no
    revision may have one without the other. Raises WeightsError with a one-line message; the folder is left unchanged.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    api, remedy = HfApi(), f"the weights are in {folder}"
    files = [CommitOperationAdd(name, folder / name) for name in contents(folder).files]
    try:
        api.create_repo(repository, repo_type="model", exist_ok=True)
        return api.create_commit(repository, files, commit_message="Weights", repo_type="model").commit_url
    except HFValidationError:
        raise WeightsError(f"{repository}: not a repository name of the form user/name; {remedy}") from None
    except HfHubHTTPError as error:
        if error.response.status_code in (401, 403):
            reason = "the Hub wants a token that may write there: `hf auth login`, or the variable HF_TOKEN"
        else:
            reason = f"the Hub answers {error.response.status_code}"
        raise WeightsError(f"{repository}: not pushed, {reason}; {remedy}") from None
    except OfflineModeIsEnabled:
        raise WeightsError(f"{repository}: not pushed, because HF_HUB_OFFLINE is set; {remedy}") from None
    except Exception as error:  # the client passes on what its transport raises, which differs between its versions
        raise WeightsError(f"{repository}: not pushed, the Hub cannot be reached ({_first_line(error)}); {remedy}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
