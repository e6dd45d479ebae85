"""Training of the carrier, the network that locates in the photo each point of the posed person."""

from __future__ import annotations

import copy
import dataclasses
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nted_step.carrier import GRID_HEIGHT, Carrier, CarrierConfig, carry
from nted_step.config import preset
from nted_step.weights import load_carrier
from training.carrier_losses import jitter_joints, jitter_sources, losses, mask_loss, place_error, predict
from training.data.pairs import Pairs
from training.data.stores import training_store, validation_store
from training.distributed import Ranks, without_averaging
from training.growing import stage_config
from training.progress import Iteration
from training.run import Run
from training.settings import Settings
from training.validation import masked_psnr, save_rows

CANVAS = stage_config(preset("base"), GRID_HEIGHT)  # a carrier works at its own grid, whatever the model's canvas
SHOWN = 12  # people on a sheet


class CarrierTrainer(Run):
    """Owns a carrier and its optimizer; :meth:`run` trains to the end of the last stage. A sample is one pair."""

    networks = ("carrier", "ema", "optimizer")

    def __init__(self, settings: Settings, run: Path, device: torch.device, ranks: Ranks | None = None):
        super().__init__(settings, run, device, ranks)
        if any(stage.height != GRID_HEIGHT for stage in settings.stages):
            raise ValueError(f"a carrier is trained at height {GRID_HEIGHT}")
        if settings.only_mask and (not settings.init or self.ranks.count > 1):
            raise ValueError("only_mask trains the mask decoder of a trained carrier (init), on one process")
        self.noise = torch.Generator().manual_seed(int(self.rng.integers(2**62)))
        self._resume()

    def _begin(self) -> None:
        carrier = load_carrier(self.settings.init).build() if self.settings.init else Carrier(CarrierConfig())
        self._enter_stage(carrier)

    def _enter_stage(self, carrier: Carrier, ema: Carrier | None = None) -> None:
        self.carrier = carrier.to(self.device, memory_format=torch.channels_last).train().requires_grad_(True)
        self.ranks.same(self.carrier)
        self.ema = (ema or copy.deepcopy(carrier)).to(self.device).eval().requires_grad_(False)
        self.wrapped = self.ranks.wrap(self.carrier, self.device)
        betas = (self.stage.beta1 or 0.9, self.settings.beta2)
        trained = self.carrier.mask_decoder if self.settings.only_mask else self.carrier
        self.optimizer = torch.optim.AdamW(trained.parameters(), self.stage.lr, betas=betas, weight_decay=1e-4, fused=True)
        if self.store is None:
            with self.ranks.one_after_the_first():
                self.store = training_store(self.settings, CANVAS, self.ranks, self.device)
                self.validation = validation_store(self.settings, CANVAS, self.settings.validation_people) if self.ranks.first else None
        if self.ranks.first:
            print(f"stage {self.progress.stage}: carrier, effective batch {self.effective_batch}", flush=True)

    def _load(self, state: dict[str, Any]) -> None:
        self._enter_stage(Carrier(CarrierConfig.from_dict(state["carrier_config"])))
        for name in self.networks:
            getattr(self, name).load_state_dict(state[name])

    def _next_stage(self) -> None:
        self._count_stage()
        self._enter_stage(self.carrier, self.ema)

    def iterate(self) -> dict[str, float]:
        """One iteration: accumulate gradients over the parts of the batch, then update the carrier and its moving average."""
        began, waited = time.monotonic(), 0.0
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        self.optimizer.zero_grad(set_to_none=True)
        values: list[dict[str, Tensor]] = []
        for part in range(self.stage.accumulate):
            reading = time.monotonic()
            pairs = self.store.draw(self.rng, self.stage.batch).channels_last(self.device)
            waited += time.monotonic() - reading
            with without_averaging(self.wrapped, part + 1 < self.stage.accumulate):
                total, parts = self._losses(pairs)
                (total / self.stage.accumulate).backward()
            values.append({name: value.detach() for name, value in parts.items()})
        nn.utils.clip_grad_norm_(self.carrier.parameters(), 1.0)
        self.optimizer.step()
        count = self.effective_batch
        self._update_average(count)
        means = {name: torch.stack([parts[name] for parts in values]).mean().item() for name in values[0]}
        self._report(
            Iteration(means, time.monotonic() - began, waited, count), count, CANVAS.size, {"carrier": self.optimizer.param_groups[0]["lr"]}
        )
        return means

    def _losses(self, pairs: Pairs) -> tuple[Tensor, dict[str, Tensor]]:
        joints = {name: jitter_joints(getattr(pairs, name), self.noise) for name in ("source_joints", "target_joints")}
        with torch.autocast(self.device.type, torch.bfloat16, self.settings.precision == "bfloat16"):
            if self.settings.only_mask:
                return self._mask_loss(dataclasses.replace(pairs, **joints))
            places = predict(self.wrapped, jitter_sources(pairs, self.noise), dataclasses.replace(pairs, **joints))
        return losses(places, pairs, self.settings.carrying)

    def _mask_loss(self, pairs: Pairs) -> tuple[Tensor, dict[str, Tensor]]:
        """Of the decoder alone: the encoder's features are inputs here."""
        with torch.no_grad():
            photo = self.carrier.read(jitter_sources(pairs, self.noise), pairs.source_skeleton, pairs.source_joints)
        loss = mask_loss(self.carrier.mask_decoder(photo.features), pairs)
        return loss, {"mask": loss}

    @torch.no_grad()
    def _validate(self) -> None:
        if self.ranks.first:
            pairs = self.validation.first_pairs().channels_last(self.device)
            places = predict(self.ema, pairs.source, pairs)
            total, _ = losses(places, pairs, self.settings.carrying)
            grid = tuple(places.place.shape[-2:])
            person, carried = places.person.sigmoid(), carry(pairs.source, places.place, grid)
            numbers = {"loss": total.item(), "psnr": masked_psnr(carried, pairs.target, pairs.mask).mean().item()}
            numbers["copied"] = masked_psnr(pairs.source, pairs.target, pairs.mask).mean().item()
            if pairs.place is not None:
                error = place_error(places.place, pairs)
                numbers |= {"place_error": error.mean().item(), "place_error_median": error.median().item()}
            path = self.run_dir / "sheets" / f"{self.progress.total_samples:010d}.png"
            alpha = places.seen.sigmoid() * person
            mask = places.photo_mask.sigmoid()
            columns = [
                pairs.source,
                mask.expand(-1, 3, -1, -1) * 2 - 1,
                pairs.skeleton[:, :3] * 2 - 1,
                carried * person,
                carried * alpha,
                pairs.target,
            ]
            save_rows(path, [F.interpolate(column[:SHOWN], size=grid) for column in columns], scale=2)
            if self.progress.total_samples == 0:
                self.progress.first_loss = numbers["loss"]
            self.progress.last_validation = numbers | {"samples": self.progress.total_samples}
            self.reporter.validated(numbers, path, self.progress.total_samples, self.progress.first_loss)
        self.ranks.wait()

    def _state(self, own: list[dict[str, Any]]) -> dict[str, Any]:
        return super()._state(own) | {"carrier_config": self.carrier.config.to_dict()}

    def _rollout_state(self) -> dict[str, Tensor]:
        return {"noise": self.noise.get_state()} | self.store.state()

    def _load_rollout(self, state: dict[str, Tensor]) -> None:
        if "noise" in state:
            self.noise.set_state(state["noise"])
        self.store.load_state(state)

    def _average_of(self) -> tuple[nn.Module, nn.Module]:
        return self.ema, self.carrier
