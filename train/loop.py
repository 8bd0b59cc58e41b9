"""The loop that the one-network recipes share: steps, schedule, averaging, validation, state."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from restore.checkpoint import CheckpointInfo, save_checkpoint
from restore.errors import RestoreError, Terminated
from restore.files import write_atomically
from restore.networks import Model
from restore.sources import PhotoSource
from restore.stopping import stop_gently
from train.config import CONFIG_NAME, TrainConfig
from train.data import Batch, CropDataset, batches
from train.encoders import encoder_parameters
from train.inputs import network_input
from train.precision import apply_precision, autocast, fastest_precision
from train.state import Ema, RunState, load_state, save_state
from train.validate import Validation
from train.watch import Watch

_RECORD_EVERY = 20
LICENCE = "As the training data's terms allow; see the record of the training data."

Loss = Callable[[Model, Tensor, Tensor], Tensor]
"""(model, scaled L (N, 1, S, S), ab (N, 2, S, S) in Lab units) → scalar."""


@dataclass(frozen=True)
class Run:
    """What a recipe hands to the loop."""

    config: TrainConfig
    model: Model
    loss: Loss
    device: torch.device
    training: PhotoSource
    held_out: PhotoSource
    resume: bool = False
    quiet: bool = False


class DivergedError(RestoreError):
    """The loss is no longer a number."""

    exit_code = 9


def train(run: Run) -> None:
    """Train until the run's bound, an interrupt, or a loss that is not finite.

    Ctrl-C and SIGTERM save the state and the weights, and are raised again.
    """
    model = run.model.to(run.device).to(memory_format=torch.channels_last)
    optimizer = _optimizer(run.config, model)
    ema = Ema(model, run.config.ema)
    state = load_state(run.config.folder, model, ema, optimizer) if run.resume else RunState()
    config = run.config if run.resume else _resolve_precision(run, model)
    run = replace(run, config=config)
    write_atomically(config.folder / CONFIG_NAME, lambda stream: stream.write(config.to_json().encode()))
    apply_precision(model, config.precision)
    with Watch(config.folder, state.step, run.quiet) as watch:
        watch.say(
            f"{len(run.training)} training and {len(run.held_out)} held-out pictures; "
            f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters; {run.device}, {config.precision}; "
            f"run {config.folder}"
        )
        validation = Validation(run.held_out, config, run.device)
        whole_step = False
        try:
            # A signal waits for the step in hand, so that what is saved is a whole step; a second one does not wait.
            with stop_gently() as stopping:
                _steps(run, model, ema, optimizer, state, watch, validation, stopping)
                whole_step = True
        except (KeyboardInterrupt, Terminated):
            if not whole_step:
                raise
            _save(run, state, model, ema, optimizer)
            watch.say(f"stopped at step {state.step}; `restore train --resume --output {config.folder}` goes on")
            raise
        _save(run, state, model, ema, optimizer)
        _validate(run, state, ema, watch, validation)
        if state.broken:
            watch.say(f"{len(state.broken)} pictures could not be read; {watch.metrics_path} names them")
        watch.say(
            f"done: {state.step} steps, {state.seconds / 60:.1f} minutes; "
            f"best checkpoint {config.folder / 'best.safetensors'}"
        )


def _steps(
    run: Run,
    model: Model,
    ema: Ema,
    optimizer: torch.optim.Optimizer,
    state: RunState,
    watch: Watch,
    validation: Validation,
    stopping: Callable[[], bool],
) -> None:
    config = run.config
    total = config.total_steps(len(run.training))
    data = _batches(run, state.step)
    began, began_at = time.monotonic() - state.seconds, state.step
    validated = 0.0  # seconds spent on validation, which no bound counts
    started = time.monotonic()
    model.train()
    while (done := _done(config, state, total)) < 1 and not stopping():
        batch = next(data)
        _note_broken(batch.broken, state, watch)
        rate = _learning_rate(done, config.warmup)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        loss, norm = _step(run, model, optimizer, batch, state.step)
        state.step += 1
        ema.update(model, state.step)
        state.seconds = time.monotonic() - began - validated
        if state.step % _RECORD_EVERY == 0 or (total and state.step >= total):
            value = float(loss)
            if not math.isfinite(value):
                raise DivergedError(
                    f"the loss is {value} at step {state.step}",
                    f"Lower --learning-rate; {config.folder} keeps the last good state",
                )
            images = (state.step - began_at) * config.batch / max(time.monotonic() - started - validated, 1e-9)
            left = state.seconds * (1 - done) / max(done, 1e-9)
            watch.record(
                state.step, loss=value, lr=optimizer.param_groups[-1]["lr"], norm=float(norm), images_per_second=images
            )
            watch.advance(state.step, done, value, images, left)
        if state.step % config.save_every == 0:
            _save(run, state, model, ema, optimizer)
        if state.step % config.val_every == 0:
            pause = time.monotonic()
            _validate(run, state, ema, watch, validation)
            model.train()
            validated += time.monotonic() - pause


def _note_broken(names: list[str], state: RunState, watch: Watch) -> None:
    """Name each unreadable picture once, however many epochs meet it."""
    for name in names:
        if name not in state.broken:
            state.broken[name] = state.step
            watch.record(state.step, broken=name)
            watch.say(f"{name} can't be read and is passed over")


def _step(run: Run, model: Model, optimizer: torch.optim.Optimizer, batch: Batch, step: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(run.config.seed * 1_000_003 + step)  # dropout, the same after --resume
    scaled_l, ab = network_input(batch.rgb.to(run.device, non_blocking=True), run.config, step)
    with autocast(run.config.precision, run.device):
        loss = run.loss(model, scaled_l, ab)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), run.config.clip)
    optimizer.step()
    return loss.detach(), norm


def _batches(run: Run, first_step: int) -> Iterator[Batch]:
    config = run.config
    workers = min(os.cpu_count() or 1, 8) if config.workers is None else config.workers
    dataset = CropDataset(run.training, config.size, config.crop, config.seed)
    return batches(dataset, config.batch, first_step, workers, run.device.type == "cuda")


def _resolve_precision(run: Run, model: Model) -> TrainConfig:
    if run.config.precision != "auto":
        return run.config
    model.train()
    rgb = torch.randint(0, 256, (run.config.batch, 3, run.config.size, run.config.size), dtype=torch.uint8)
    scaled_l, ab = network_input(rgb.to(run.device), run.config, 0)
    return replace(run.config, precision=fastest_precision(model, lambda: run.loss(model, scaled_l, ab), run.device))


def _optimizer(config: TrainConfig, model: Model) -> torch.optim.Optimizer:
    """AdamW; a pretrained encoder learns more slowly, and neither norms nor biases decay."""
    pretrained = config.encoder_weights != "none" or config.init is not None
    encoder = {id(p) for p in encoder_parameters(model)} if pretrained else set()
    groups = []
    for in_encoder, peak in ((True, config.encoder_learning_rate), (False, config.learning_rate)):
        members = [p for p in model.parameters() if (id(p) in encoder) == in_encoder]
        for decays in (True, False):
            chosen = [p for p in members if (p.ndim > 1) == decays]
            if chosen:
                groups.append({"params": chosen, "peak": peak, "weight_decay": config.weight_decay if decays else 0.0})
    return torch.optim.AdamW(groups, lr=config.learning_rate, foreach=True)


def _learning_rate(done: float, warmup: float) -> float:
    """Linear warm-up, then a cosine to a hundredth; a share of the peak."""
    if done < warmup:
        return max(done / warmup, 0.01)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup + 1e-9)))


def _done(config: TrainConfig, state: RunState, total: int | None) -> float:
    """The share of the run that is over, by whichever bound is nearer."""
    by_steps = state.step / total if total else 0.0
    by_time = state.seconds / (config.minutes * 60) if config.minutes else 0.0
    return max(by_steps, by_time)


def _save(run: Run, state: RunState, model: Model, ema: Ema, optimizer: torch.optim.Optimizer) -> None:
    if not all(torch.isfinite(parameter).all() for parameter in model.parameters()):
        raise DivergedError(
            f"the weights are no longer numbers at step {state.step}",
            f"Lower --learning-rate; {run.config.folder} keeps the last good state",
        )
    save_state(run.config.folder, state, model, ema, optimizer)
    save_checkpoint(run.config.folder / "last.safetensors", ema.model, _info(run, state))


def _validate(run: Run, state: RunState, ema: Ema, watch: Watch, validation: Validation) -> None:
    scores = validation.measure(ema.model, run.config.folder / "samples" / f"{state.step:07d}.png")
    watch.record(state.step, validation=scores.record)
    watch.say(f"step {state.step}: {scores.text}")
    if scores.rank > state.best:
        state.best = scores.rank
        save_checkpoint(run.config.folder / "best.safetensors", ema.model, _info(run, state, scores.record))


def _info(run: Run, state: RunState, scores: dict[str, float] | None = None) -> CheckpointInfo:
    config = run.config
    record = {
        "recipe": config.recipe,
        "pictures": len(run.training),
        "steps": state.step,
        "minutes": round(state.seconds / 60, 1),
        "batch": config.batch,
        "size": config.size,
        "seed": config.seed,
        "init": config.init,
        "validation": scores,
    }
    return CheckpointInfo(name=config.folder.name, licence=LICENCE, training=record)
