"""Training settings: frozen dataclasses read from YAML; an unknown key is an error."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml


class SettingsError(ValueError):
    """A configuration file that cannot be used; the message is one line."""


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """Factor of each loss; 0 disables it."""

    pixel: float = 10.0  # smooth L1 between output and degraded target
    attention: float = 15.0  # attention reconstruction
    classes: float = 0.0  # attention reconstruction of class maps, if the data has them
    gan: float = 0.0  # adversarial, generator and discriminator
    step: float = 0.0  # step prediction, generator and discriminator
    features: float = 0.0  # discriminator feature matching
    el0: float = 0.0  # EL0 distance: features of EfficientNet-Lite0, whose weights come as a package
    perceptual: float = 0.0  # VGG19 features (L1) plus style (Gram x 500); feature matching if its weights are missing
    face: float = 0.0  # the same on a crop around the eyes, if the data has their positions
    r1: float = 10.0  # gamma of R1 on the adversarial logit and on the step head

    @property
    def needs_vgg(self) -> bool:
        return bool(self.perceptual or self.face)


@dataclasses.dataclass(frozen=True)
class CarrierLossWeights:
    """Factor of each loss of a carrier; see :mod:`training.carrier_losses`."""

    place: float = 1.0  # smooth L1 of the place in the photo, if the surface is known
    person: float = 2.0  # cross-entropy of the person in the target pose
    seen: float = 1.0  # and of whether the photo shows the place
    classes: float = 1.0  # and of the 16 classes
    mask: float = 1.0  # and of the person in the photo
    photo: float = 3.0  # L1 between the carried photo and the truth


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the run with its own canvas and losses; the generator grows from one stage to the next where needed."""

    height: int = 256  # canvas height in pixels, 16 times a power of two
    samples: int = 100_000  # training samples (one sample is one step of one pair)
    minutes: float = 0.0  # of training, over all sessions, after which the stage ends even if samples are left; 0: no limit
    batch: int = 16  # pairs a process (GPU) handles at a time
    accumulate: int = 1  # batches whose gradients are accumulated for one update; effective batch = batch x accumulate x processes
    rollout: str = "chains"  # chains | window (three steps, every step trained equally often) | published (three steps, t in 0..steps-3)
    symmetric: bool = False  # window, published: the batch's second half is its first in the other direction
    pool: int = 1  # number of chains, as a multiple of the batch; each iteration visits a batch of them
    stride: int = 1  # a visited chain advances by 1..stride steps
    lr: float = 2e-3  # Adam learning rate of G at the start of the stage
    lr_end: float = 5e-4  # and at its end (cosine between)
    warmup: int = 2000  # samples over which the rate rises to lr, because Adam's first updates are large whatever the gradient
    lr_d: float = 1e-3  # Adam learning rate of D
    beta1: float = 0.0  # Adam's first moment decay, G and D: 0 as published for GANs, 0.9 without a discriminator
    weights: LossWeights = LossWeights()


@dataclasses.dataclass(frozen=True)
class Figures:
    """The rendered people."""

    people: int = 3000  # number of people, seeds ``seed`` and up (below 9,000,000)
    poses: int = 4  # poses per person
    seed: int = 0  # first person seed
    supersize: int = 128  # least height at which figures are rendered before they are averaged down to the canvas
    live: bool = False  # rendered during training, by ``workers`` processes, and kept on the training device


@dataclasses.dataclass(frozen=True)
class Settings:
    """Everything a training run depends on."""

    preset: str = "lite"  # model preset of nted_step.config, or carrier
    carrier: str = ""  # folder of a trained carrier; without one the model is trained and exported to carry nothing
    carrying: CarrierLossWeights = CarrierLossWeights()  # of a carrier's own training
    only_mask: bool = False  # train a carrier's mask decoder alone, starting from init, on one process; the rest stays as it is
    init: str = ""  # weights folder to start from, of the preset's shape or with fewer channels; random weights if empty
    drop_finer: bool = False  # discard what init has learned at levels above the first stage's canvas; otherwise that is an error
    seed: int = 0  # of initial weights, noise and data order
    steps: int = 0  # coarse-to-fine steps of the model; 0: the preset's
    data: str = ""  # folder written by python -m training prepare; rendered figures if empty
    workers: int = 2  # processes that read prepared data or render live figures, per training process; 0: the training process itself
    augment: bool = True  # prepared data: random enlarge-and-crop (1..1.1), pairs in both directions
    data_dir: str = "runs/data"  # where rendered figures are kept
    figures: Figures = Figures()
    stages: tuple[Stage, ...] = ()
    d_channels: int = 16  # discriminator channels at the canvas; doubled per level
    d_channels_max: int = 128  # and its upper bound
    precision: str = "float32"  # of both networks' arithmetic: float32, or bfloat16 by autocast (weights and R1 stay float32)
    person: float = 3.0  # how much more a person's pixels count in the pixel loss than the background's
    face: float = 0.0  # and how much more the face's pixels count in addition, if there are class maps
    beta2: float = 0.99  # Adam's second moment decay, G
    beta2_d: float = 0.0  # and D; 0: as G
    compile: bool = False  # compile G's forward and backward (never D: R1 is a second derivative)
    graphs: bool = False  # record G's forward and backward as CUDA graphs: one process, chains, no accumulation
    time_ramp: int = 0  # samples over which a warm start's time embedding rises to its full share (init of a one-step model)
    extraction_lr: float = 10.0  # factor on the learning rate of the extraction filters (see Trainer._parameter_groups)
    r1_every: int = 16  # optimizer steps of D between two R1 penalties
    r1_images: int = 0  # real images of a batch that a penalty uses; 0: all
    ema_samples: int = 6000  # half-life of the exponential moving average, in samples
    save_minutes: float = 5.0  # minutes between checkpoints
    sheet_minutes: float = 10.0  # minutes between validations, each with a sheet
    validation_people: int = 24  # pairs of a validation, all of people that no run trains on
    log_every: int = 20  # iterations between two progress lines
    tensorboard: bool = False  # write scalars and sheets for TensorBoard into the run's folder
    wandb: str = ""  # project of Weights & Biases to report to as well, if wandb is installed


def load_settings(path: str | Path, overrides: Sequence[str] = (), options: Sequence[str] = ()) -> Settings:
    """Read a YAML file; ``options`` name lists of overrides under its key ``options``, which come before the others.

    ``overrides`` are ``key=value`` with dots between the keys of tables and lists (``stages.0.samples=1000``); a star stands for every
    item of a list (``stages.*.weights.gan=0``).

    Raises SettingsError naming the file and key.
    """
    try:
        document = yaml.safe_load(Path(path).read_text()) or {}
        named = document.pop("options", {}) if isinstance(document, dict) else {}
        for override in [*_named(named, options, str(path)), *overrides]:
            _override(document, override)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from None
    return from_document(document, str(path))


def _named(named: Any, options: Sequence[str], where: str) -> list[str]:
    """The overrides of the chosen options, one after the other."""
    if not isinstance(named, dict) or not all(
        isinstance(lines, list) and all(isinstance(line, str) for line in lines) for lines in named.values()
    ):
        raise SettingsError(f"{where}: options: expected a list of KEY=VALUE under each name")
    if unknown := next((name for name in options if name not in named), None):
        raise SettingsError(f"{where}: has no option {unknown!r}; it has {', '.join(named) or 'none'}")
    return [line for name in options for line in named[name]]


def to_document(settings: Settings) -> dict[str, Any]:
    """Tables, lists and plain values; :func:`from_document` is its inverse."""
    return json.loads(json.dumps(dataclasses.asdict(settings)))


def from_document(document: Any, where: str) -> Settings:
    """Raises SettingsError naming ``where`` and the key."""
    return _build(Settings, document, where)


def _override(document: Any, override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator:
        raise SettingsError(f"--set {override}: expected key=value")
    try:
        _place(document, key.split("."), yaml.safe_load(text))
    except (ValueError, IndexError, TypeError, AttributeError):
        raise SettingsError(f"--set {override}: there is no {key!r}") from None


def _place(document: Any, key: Sequence[str], value: Any) -> None:
    part, *rest = key
    if part == "*":
        for i in range(len(document)):
            _place(document, [str(i), *rest], value)
    elif rest:
        _place(document[int(part)] if isinstance(document, list) else document.setdefault(part, {}), rest, value)
    else:
        document[int(part) if isinstance(document, list) else part] = value


def _build(kind: type, values: Any, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise SettingsError(f"{where}: expected a table of settings, found {type(values).__name__}")
    hints = typing.get_type_hints(kind)
    if unknown := sorted(set(values) - set(hints)):
        raise SettingsError(f"{where}: unknown setting {unknown[0]!r}")
    return kind(**{name: _convert(hints[name], value, f"{where}: {name}") for name, value in values.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise SettingsError(f"{where}: expected a list")
        return tuple(_convert(typing.get_args(hint)[0], item, f"{where}.{i}") for i, item in enumerate(value))
    if hint is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 2e-3 as a string
        except ValueError:
            pass
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise SettingsError(f"{where}: expected {hint.__name__}, found {value!r}")
    return value
