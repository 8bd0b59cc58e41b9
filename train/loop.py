"""The loop that all recipes share: stages, steps, averaging, measuring, state. What a step does, a recipe says."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from restore.checkpoint import CheckpointInfo, save_checkpoint
from restore.errors import RestoreError, Terminated
from restore.files import remove_stale_parts, write_atomically
from restore.networks import Model
from restore.sources import PhotoSource
from restore.stopping import stop_gently
from train import distributed
from train.config import CONFIG_NAME, TrainConfig
from train.data import Batch, CropDataset, batches
from train.encoders import encoder_parts, hold_norms
from train.framing import Framing
from train.hints import simulated_hints
from train.inputs import network_input
from train.learner import Learner
from train.schedule import Length, learning_rate, plan
from train.state import Ema, RunState, Saved, load_state, save_state
from train.steps import Chunk, Step
from train.validate import Scores, Validation
from train.watch import Watch

if TYPE_CHECKING:
    from train.cache import PictureCache

LICENCE = "As the training data's terms allow; see the record of the training data."
_PEAK_BEFORE_COLLAPSE, _COLLAPSED = 20.0, 2.0  # colourfulness in % of the originals'
_WORSE_THAN_GREY = 1.6  # ab error as a multiple of all-grey's


@dataclass(frozen=True)
class Run:
    """What a recipe hands to the loop.

    Args:
        grown: parts of the generator that the checkpoint it starts from does not have.
    """

    config: TrainConfig
    model: Model
    device: torch.device
    training: PhotoSource
    held_out: PhotoSource
    discriminator: nn.Module | None = None
    cache: PictureCache | None = None
    resume: bool = False
    quiet: bool = False
    grown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Learning:
    """Who learns in a stage, and how."""

    learners: dict[str, Learner]
    step: Step


@dataclass(frozen=True)
class Stage:
    """A part of a run.

    Args:
        share: of the run's length; 0 for a stage of `--discriminator-steps`.
        begin: makes the optimisers, when the stage begins.
        measured: whether the generator learns, so that measuring it makes sense.
    """

    name: str
    share: float
    begin: Callable[[], Learning]
    measured: bool = True


class DivergedError(RestoreError):
    """A loss is no longer a number, or the generator gives no colour any more."""

    exit_code = 9


def train(run: Run, stages: list[Stage]) -> None:
    """Train through the stages until each one's bound, an interrupt, or divergence.

    Ctrl-C and SIGTERM save the state and the weights, and are raised again.
    """
    config = run.config
    lengths = plan(config, [(stage.name, stage.share) for stage in stages], len(run.training))
    ema = Ema(run.model, config.ema)
    networks: dict[str, nn.Module] = {"generator": run.model, "ema": ema.model}
    if run.discriminator is not None:
        networks["discriminator"] = run.discriminator
    saved = load_state(config.folder, networks) if run.resume else Saved(RunState(), {})
    first = distributed.rank() == 0
    if first:
        remove_stale_parts(config.folder)
        write_atomically(config.folder / CONFIG_NAME, lambda stream: stream.write(config.to_json().encode()))
    silent = run.quiet or not first
    with Watch(config.folder, saved.run.step, silent, active=first, board=config.tensorboard) as watch:
        watch.say(
            f"{len(run.training)} training and {len(run.held_out)} held-out pictures; "
            f"{sum(p.numel() for p in run.model.parameters()) / 1e6:.1f} M parameters; {run.device}, {config.precision}"
            f"{f', {distributed.processes()} processes' if distributed.processes() > 1 else ''}; run {config.folder}"
        )
        if run.grown and not run.resume:
            watch.say(f"new in the network, with first weights: {', '.join(run.grown)}; all else from {config.init}")
        if run.cache is not None:
            watch.say(f"cache {run.cache.folder}: {run.cache.pictures} pictures, {run.cache.bytes / 1e9:.1f} GB")
        session = _Session(run, ema, networks, saved.run, watch)
        for number in range(saved.run.stage, len(stages)):
            session.run_stage(stages[number], lengths[number], number, len(stages), saved.learners)
            saved.learners = {}
        session.finish()


class _Session:
    """A run under way."""

    def __init__(self, run: Run, ema: Ema, networks: dict[str, nn.Module], state: RunState, watch: Watch) -> None:
        self.run, self.config, self.ema, self.networks, self.state, self.watch = (
            run, run.config, ema, networks, state, watch,
        )  # fmt: skip
        self.validation = Validation(run.held_out, run.config, run.device)
        self.learners: dict[str, Learner] = {}
        self.measured_at = -1
        self.sums: dict[str, Tensor] = {}
        self.said: set[str] = set()
        self.waiting: list[str] = []  # unreadable pictures that other processes have not heard of

    def run_stage(self, stage: Stage, length: Length, number: int, stages: int, saved: dict[str, Any]) -> None:
        """Train one stage from where the state stands, and leave the state at the beginning of the next."""
        learning = stage.begin()
        self.learners = learning.learners
        for name, learner in self.learners.items():
            if saved:
                learner.load(saved[name])
        if stages > 1:
            self.watch.say(f"stage {number + 1} of {stages}: {stage.name}")
        whole_step = False
        try:
            # A signal waits for the step in hand, so that what is saved is a whole step; a second one does not wait.
            with stop_gently() as stopping:
                stopped = self._steps(stage, learning.step, length, stopping)
                whole_step = True
        except (KeyboardInterrupt, Terminated):
            if not whole_step:
                raise
            self._save_stopped()
            raise
        if stopped:  # by a signal that reached another process of a distributed run
            self._save_stopped()
            raise Terminated
        self._save()  # before measuring, which may take minutes and be interrupted
        if stage.measured:
            self._measure()
        if number + 1 < stages:
            self.state.stage, self.state.stage_step, self.state.stage_seconds = number + 1, 0, 0.0
            self.state.stage_over = False
            self.learners = {}
        self._save()

    def finish(self) -> None:
        """The last word."""
        state, config = self.state, self.config
        if state.broken:
            self.watch.say(f"{len(state.broken)} pictures could not be read; {self.watch.metrics_path} names them")
        self.watch.say(
            f"done: {state.step} steps, {state.seconds / 60:.1f} minutes; best checkpoint "
            f"{config.folder / 'best.safetensors'} of step {state.best_step}"
        )

    def _steps(self, stage: Stage, step: Step, length: Length, stopping: Callable[[], bool]) -> bool:
        """Steps until the stage is over; returns whether a signal ended it."""
        config, state = self.config, self.state
        data = self._batches(state.step)
        began, began_at = time.monotonic(), state.step
        seconds, stage_seconds = state.seconds, state.stage_seconds
        paused = 0.0  # seconds spent on measuring, which no bound counts
        self.sums = {name: torch.tensor(value) for name, value in state.sums.items()}
        self._train_mode()
        while True:
            # One process's clock and signals decide for all.
            done, stop = distributed.largest(length.done(state.stage_step, state.stage_seconds), float(stopping()))
            if stop or done >= 1 or state.stage_over:
                return bool(stop)
            share = learning_rate(config.schedule, done, config.warmup)
            for learner in self.learners.values():
                learner.set_rate(share)
            batch = next(data)
            losses = step(self._chunks(batch))
            state.step += 1
            state.stage_step += 1
            if stage.measured:
                self.ema.update(self.run.model, state.step)
            elapsed = time.monotonic() - began - paused
            state.seconds, state.stage_seconds = seconds + elapsed, stage_seconds + elapsed
            self._note_broken(batch.broken)
            for note in batch.notes:
                if note not in self.said:  # each worker finds out by itself
                    self.said.add(note)
                    self.watch.say(note)
            self._sum(losses)
            if state.step % config.record_every == 0 or length.done(state.stage_step, state.stage_seconds) >= 1:
                speed = (state.step - began_at) * config.batch / max(elapsed, 1e-9)
                self._record(stage, losses, length, speed)
            self._end_epoch()
            if state.step % config.save_every == 0:
                self._save()
            if not stage.measured:
                continue
            pause = time.monotonic()
            if state.step % config.val_every == 0:
                self._measure()
                self._train_mode()
                if config.patience and state.step - state.best_step >= config.patience * config.val_every:
                    self.watch.say(
                        f"stage {stage.name} ends at step {state.step}: {config.patience} measurements without a "
                        f"better one than at step {state.best_step}"
                    )
                    state.stage_over = True
            elif config.sample_every and state.step % config.sample_every == 0 and distributed.rank() == 0:
                self.validation.sample(self.ema.model, self._sheet())
            paused += time.monotonic() - pause

    def _train_mode(self) -> None:
        networks = [network for network in (self.run.model, self.run.discriminator) if network is not None]
        for network in networks:
            network.train()
        if self.config.freeze_norms != "none":
            hold_norms(networks if self.config.freeze_norms == "all" else encoder_parts(self.run.model))

    def _chunks(self, batch: Batch) -> list[Chunk]:
        """Network inputs of this process's part of a batch, in as many parts as memory asks for."""
        config, step = self.config, self.state.step
        # Dropout, the same after --resume, and another one in each process.
        torch.manual_seed(config.seed * 1_000_003 + step + distributed.rank() * 1_000_000_007)
        scaled_l, ab = network_input(batch.rgb.to(self.run.device, non_blocking=True), config, batch.numbers)
        seen = [scaled_l]
        if self.run.model.takes_hints:
            seen.append(simulated_hints(ab, config.hints, config.seed, batch.numbers))
        parts = zip(*(tensor.chunk(config.accumulate) for tensor in (*seen, ab)), strict=True)
        return [Chunk(part[:-1], part[-1]) for part in parts]

    def _sum(self, losses: dict[str, Tensor]) -> None:
        for name, value in losses.items():
            if name.startswith("loss"):
                self.sums[name] = self.sums.get(name, torch.zeros(())).to(value.device) + value.detach().float()
        self.state.summed += 1

    def _record(self, stage: Stage, losses: dict[str, Tensor], length: Length, speed: float) -> None:
        """A line of losses, rates and speed, and the progress; here losses that are no numbers are met."""
        config, state = self.config, self.state
        values = distributed.means(losses)
        for name, value in values.items():
            if not math.isfinite(value) and not (name.startswith("norm") and config.precision == "fp16"):
                raise DivergedError(
                    f"{name} is {value} at step {state.step}",
                    f"Lower --learning-rate; {config.folder} keeps the last good state and the best checkpoint",
                )
        rates = {"lr" if name == "generator" else f"lr_{name}": one.rate for name, one in self.learners.items()}
        self.watch.record(state.step, stage=stage.name, **values, **rates, images_per_second=speed)
        done = min(1.0, length.done(state.stage_step, state.stage_seconds))  # minutes are passed within a step
        shown = {name: value for name, value in values.items() if name in ("loss", "loss_G", "loss_D")}
        left = state.stage_seconds * (1 - done) / max(done, 1e-9)
        self.watch.advance(stage.name, state.stage_step, done, shown, speed, left)

    def _end_epoch(self) -> None:
        """A line with the mean losses of an epoch, at the step that ends it."""
        config, state, count = self.config, self.state, len(self.run.training)
        epoch = state.step * config.batch // count
        if epoch == (state.step - 1) * config.batch // count:
            return
        means = distributed.means({name: total / state.summed for name, total in self.sums.items()})
        self.watch.record(state.step, epoch=epoch, **{f"mean_{name}": value for name, value in means.items()})
        self.sums, state.summed = {}, 0

    def _note_broken(self, names: list[str]) -> None:
        """Name each unreadable picture once, however many epochs meet it."""
        state = self.state
        self.waiting += names
        if distributed.processes() > 1 and state.step % self.config.record_every:
            return  # shared now and then, not every step
        waiting, self.waiting = self.waiting, []
        for name in [name for part in distributed.gathered(waiting) for name in part]:
            if name not in state.broken:
                state.broken[name] = state.step
                self.watch.record(state.step, broken=name)
                self.watch.say(f"{name} can't be read and is passed over")

    def _batches(self, first_step: int) -> Iterator[Batch]:
        config = self.config
        workers = min(os.cpu_count() or 1, 8) if config.workers is None else config.workers
        dataset = CropDataset(self.run.training, Framing.of(config), config.seed, self.run.cache)
        place = (distributed.rank(), distributed.processes())
        return batches(dataset, config.batch, first_step, workers, self.run.device.type == "cuda", *place)

    def _save_stopped(self) -> None:
        self._save()
        self.watch.say(
            f"stopped at step {self.state.step}; `restore train --resume --output {self.config.folder}` goes on"
        )

    def _save(self) -> None:
        for name, network in self.networks.items():
            if not all(torch.isfinite(parameter).all() for parameter in network.parameters()):
                raise DivergedError(
                    f"the weights of the {name} are no longer numbers at step {self.state.step}",
                    f"Lower --learning-rate; {self.config.folder} keeps the last good state and the best checkpoint",
                )
        # Sums are of this process alone until an epoch ends; what a resumed run begins with is the mean of all.
        self.state.sums = distributed.means(self.sums)
        if distributed.rank() == 0:
            learners = {name: learner.state() for name, learner in self.learners.items()}
            save_state(self.config.folder, self.state, self.networks, learners)
            save_checkpoint(self.config.folder / "last.safetensors", self.ema.model, self._info())
        distributed.wait()

    def _sheet(self) -> Path:
        return self.config.folder / "samples" / f"{self.state.step:07d}.png"

    def _measure(self) -> None:
        """Measure the averaged generator on held-out pictures; keep it where it is the best so far."""
        state = self.state
        if self.measured_at == state.step:
            return
        self.measured_at = state.step
        scores = self.validation.measure(self.ema.model, self._sheet())
        self.watch.record(state.step, validation=scores.record)
        self.watch.say(f"step {state.step}: {scores.text}")
        self._check_collapse(scores)
        state.peak_colorfulness = max(state.peak_colorfulness, scores.record["colorfulness_percent"])
        if scores.rank > state.best:
            state.best, state.best_step = scores.rank, state.step
            if distributed.rank() == 0:
                save_checkpoint(self.config.folder / "best.safetensors", self.ema.model, self._info(scores.record))

    def _check_collapse(self, scores: Scores) -> None:
        """A generator that had learned to colour and gives none any more, or the same to all, does not come back."""
        colour, state = scores.record["colorfulness_percent"], self.state
        said = ""
        if colour < _COLLAPSED and state.peak_colorfulness > _PEAK_BEFORE_COLLAPSE:
            said = f"colourfulness fell from {state.peak_colorfulness:.0f} to {colour:.0f} % of the originals'"
        elif scores.record["ab_rmse"] > _WORSE_THAN_GREY * scores.record["ab_rmse_grey"] and state.best > 0:
            said = f"the ab error is {scores.record['ab_rmse']:.1f}, far above all-grey's"
        if said:
            raise DivergedError(
                f"the generator collapsed by step {state.step}: {said}",
                f"{self.config.folder} keeps the best checkpoint, of step {state.best_step}; lower --learning-rate or "
                "--gan-weight, or go on from it with --init",
            )

    def _info(self, scores: dict[str, float] | None = None) -> CheckpointInfo:
        config, state = self.config, self.state
        record = {
            "recipe": config.recipe,
            "preset": config.preset,
            "pictures": len(self.run.training),
            "steps": state.step,
            "minutes": round(state.seconds / 60, 1),
            "batch": config.batch,
            "size": config.size,
            "seed": config.seed,
            # Without its folders: checkpoints are given to others, whom this machine's paths do not concern.
            "init": config.init and "/".join(Path(config.init).parts[-2:]),
            "validation": scores,
        }
        return CheckpointInfo(name=config.folder.name, licence=LICENCE, training=record)
