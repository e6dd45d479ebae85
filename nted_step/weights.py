"""Weights on disk: ``config.json`` and ``model.safetensors`` in a folder or a Hub repository."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from nted_step.bundled import HUB, HUB_REPOSITORY
from nted_step.carrier import Carrier, CarrierConfig
from nted_step.config import NTEDStepConfig
from nted_step.files import write_file, write_json
from nted_step.generator import Generator

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "README.md"
CARRIER_FOLDER = "carrier"  # within a folder of weights that carry
COMMIT = re.compile(r"[0-9a-f]{40}")


class WeightsError(ValueError):
    """Weights that cannot be used; the message is one line that names the file and the remedy."""


@dataclass(frozen=True)
class Weights:
    """A generator's state and what is known of it.

    Attributes:
        config: the model's shape.
        state: parameter and buffer name -> tensor, in the stored dtype.
        training: what the weights were trained on, for how long, with which result; shown to users.
        origin: folder or repository, for messages.
        sha256: of ``model.safetensors``.
        carrier: of a model that carries the photo's pixels.
    """

    config: NTEDStepConfig
    state: Mapping[str, Tensor]
    training: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""
    sha256: str = ""
    carrier: CarrierState | None = None

    def build(self) -> Generator:
        """A generator with these weights, float32, in evaluation mode, gradients off."""
        generator = Generator(self.config).eval().requires_grad_(False)
        load_strict(generator, self.state, self.origin)
        return generator


@dataclass(frozen=True)
class CarrierState:
    """A carrier's state and what is known of it; attributes as of :class:`Weights`."""

    config: CarrierConfig
    state: Mapping[str, Tensor]
    training: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""
    sha256: str = ""

    def build(self) -> Carrier:
        """A carrier with these weights, float32, in evaluation mode, gradients off."""
        carrier = Carrier(self.config).eval().requires_grad_(False)
        carrier.load_state_dict(dict(self.state), strict=True)
        return carrier


def load_carrier(folder: str | Path) -> CarrierState:
    """Read a carrier's weights folder. Raises WeightsError."""
    folder = Path(folder)
    document, state, digest = read_folder(folder)
    try:
        config = CarrierConfig.from_dict(document["carrier"])
    except (KeyError, TypeError, AttributeError):
        raise WeightsError(f"{folder / CONFIG_NAME}: the key 'carrier' is missing or no table") from None
    except ValueError as error:
        raise WeightsError(f"{folder / CONFIG_NAME}: {error}") from None
    with torch.device("meta"):
        expected = {key: tuple(value.shape) for key, value in Carrier(config).state_dict().items()}
    check_tensors(expected, state, str(folder / WEIGHTS_NAME))
    return CarrierState(config, state, document.get("training", {}), str(folder), digest)


def save_carrier(folder: str | Path, carrier: Carrier, training: Mapping[str, Any], dtype: torch.dtype = torch.float16) -> Path:
    """As :func:`save_weights`, for a carrier."""
    return write_folder(folder, {"format": "nted_step carrier", "carrier": carrier.config.to_dict()}, carrier.state_dict(), training, dtype)


def load_weights(name: str | Path, revision: str | None = None) -> Weights:
    """Read weights from a folder, or from a Hub repository (``user/repo``) at a revision.

    A repository that was fetched before is read from the Hub's cache when there is no network.
    Raises WeightsError.
    """
    folder = find_weights(name, revision)
    document, state, digest = read_folder(folder)
    try:
        config = NTEDStepConfig.from_dict(document["model"])
    except (KeyError, TypeError):
        raise WeightsError(f"{folder / CONFIG_NAME}: the key 'model' is missing or no table") from None
    except ValueError as error:
        raise WeightsError(f"{folder / CONFIG_NAME}: {error}") from None
    carrier = load_carrier(folder / CARRIER_FOLDER) if config.carries else None
    weights = Weights(config, state, document.get("training", {}), str(name), digest, carrier)
    check_state(config, state, str(folder / WEIGHTS_NAME))
    return weights


def read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """The document and the tensors of a weights folder, and the tensor file's SHA-256, whatever model they are of.

    Raises WeightsError for a file that is not there, damaged, or not of its kind.
    """
    document = _read_config(folder / CONFIG_NAME)
    path = folder / WEIGHTS_NAME
    data = _read_bytes(path)
    digest = hashlib.sha256(data).hexdigest()
    if document.get("sha256") not in (None, digest):
        raise WeightsError(f"{path}: damaged: its SHA-256 is not the one in {CONFIG_NAME}; {_remedy(path)}")
    try:
        return document, load_safetensors(data), digest
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"{path}: not a safetensors file, or cut short ({error}); {_remedy(path)}") from None


def save_weights(folder: str | Path, generator: Generator, training: Mapping[str, Any], dtype: torch.dtype = torch.float16) -> Path:
    """Write ``config.json`` and ``model.safetensors``; each is complete under another name before it takes its own."""
    document = {"format": "nted_step", "model": generator.config.to_dict()}
    return write_folder(folder, document, generator.state_dict(), training, dtype)


def write_folder(
    folder: str | Path, document: Mapping[str, Any], state: Mapping[str, Tensor], training: Mapping[str, Any], dtype: torch.dtype
) -> Path:
    """Write a weights folder of any model; :func:`read_folder` is its inverse. Floating-point tensors are stored as ``dtype``."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    stored = {
        key: value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype).contiguous() for key, value in state.items()
    }
    data = save_safetensors(stored)
    document = {
        **document,
        "dtype": str(dtype).removeprefix("torch."),
        "sha256": hashlib.sha256(data).hexdigest(),
        "training": dict(training),
    }
    write_file(folder / WEIGHTS_NAME, data)
    write_json(folder / CONFIG_NAME, document)
    return folder


def find_weights(name: str | Path, revision: str | None = None) -> Path:
    """The local folder of a folder name or Hub repository, fetched if need be; "hub" is :data:`HUB_REPOSITORY`. Raises WeightsError."""
    if Path(name).is_dir():
        return Path(name)
    if str(name) == HUB:
        name = HUB_REPOSITORY
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(name)) or str(name).startswith(("./", "../")):
        raise WeightsError(f"{name}: no such folder, and not a Hub repository of the form user/name")
    return _fetch(str(name), revision)


def _fetch(repository: str, revision: str | None) -> Path:
    # Imported here because a folder of weights needs neither the package's import time nor the network.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    where = repository + (f"@{revision}" if revision else "")
    names = [name for kept in (CONFIG_NAME, WEIGHTS_NAME, CARD_NAME) for name in (kept, f"{CARRIER_FOLDER}/{kept}")]
    if revision and COMMIT.fullmatch(revision) and (there := _fetched(repository, revision)):
        return there
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=names))
    except RepositoryNotFoundError:
        raise WeightsError(f"{where}: no such folder here, and no such repository on the Hub") from None
    except RevisionNotFoundError:
        raise WeightsError(f"{where}: the repository has no such revision") from None
    except LocalEntryNotFoundError:
        raise WeightsError(
            f"{where}: no such folder, not in the Hub's cache, and the Hub cannot be reached; connect once, or give a folder"
        ) from None
    except Exception as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(f"{where}: cannot be fetched from the Hub ({first_line})") from None


def _fetched(repository: str, commit: str) -> Path | None:
    """The folder of a commit whose files are all in the Hub's cache. A commit never changes, so nobody has to be asked about it."""
    from huggingface_hub import try_to_load_from_cache

    def kept(name: str) -> Path | None:
        found = try_to_load_from_cache(repository, name, revision=commit)
        return Path(found) if isinstance(found, str) else None

    config = kept(CONFIG_NAME)
    if config is None or kept(WEIGHTS_NAME) is None:
        return None
    model = _read_config(config).get("model")
    carries = isinstance(model, dict) and model.get("carries")
    needed = [f"{CARRIER_FOLDER}/{name}" for name in (CONFIG_NAME, WEIGHTS_NAME)] if carries else []
    return config.parent if all(kept(name) for name in needed) else None


def check_state(config: NTEDStepConfig, state: Mapping[str, Tensor], origin: str) -> None:
    """Names and shapes of a state dict against the configuration. Raises WeightsError naming the first difference."""
    with torch.device("meta"):
        expected = {key: tuple(value.shape) for key, value in Generator(config).state_dict().items()}
    check_tensors(expected, state, origin)


def check_tensors(expected: Mapping[str, tuple[int, ...]], state: Mapping[str, Tensor], origin: str) -> None:
    """A state dict against the shapes that a model needs, by name. Raises WeightsError naming the first difference."""
    for key, shape in expected.items():
        if key not in state:
            raise WeightsError(f"{origin}: the tensor {key!r} is missing")
        if tuple(state[key].shape) != shape:
            raise WeightsError(f"{origin}: {key!r} has shape {tuple(state[key].shape)}, the configuration needs {shape}")
    if unknown := sorted(set(state) - set(expected)):
        raise WeightsError(f"{origin}: {unknown[0]!r} does not belong to this model")
    for key, value in state.items():
        if not torch.isfinite(value).all():
            raise WeightsError(f"{origin}: {key!r} holds numbers that are not finite")


def load_strict(generator: Generator, state: Mapping[str, Tensor], origin: str) -> None:
    """Load every tensor, by name and shape, converted to the generator's dtype. Raises WeightsError."""
    check_state(generator.config, state, origin)
    generator.load_state_dict(dict(state), strict=True)


def _remedy(path: Path) -> str:
    """What to do about a damaged file. One in the Hub's cache is removed, or it would be taken for good from then on."""
    from huggingface_hub.constants import HF_HUB_CACHE

    kept = path.resolve()  # the cache's folders hold links to it
    if Path(HF_HUB_CACHE).resolve() not in kept.parents:
        return "fetch the file again"
    path.unlink()
    kept.unlink(missing_ok=True)
    return "it is removed from the Hub's cache; start again to fetch it anew"


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}; a weights folder holds {CONFIG_NAME} and {WEIGHTS_NAME}") from None


def _read_config(path: Path) -> dict[str, Any]:
    data = _read_bytes(path)
    try:
        document = json.loads(data)
    except ValueError:
        raise WeightsError(f"{path}: not valid JSON") from None
    if not isinstance(document, dict):
        raise WeightsError(f"{path}: not a JSON object")
    return document
