"""Training throughput at 256×256 against the loop that the published projects use, a recipe at a time.

    python benchmarks/training.py [--recipe regression|pix2pix|nogan] [--steps 2] [--batch 16] [--seconds 5]

Theirs: PIL resize, `skimage.color.rgb2lab` per image in two workers, fp32, contiguous tensors. Ours: the data path and
the step of `restore train`. The same pictures, networks, losses and optimisers on both sides (`nogan`: the GAN stage,
with the discriminator's features in place of VGG's, which can't be had offline). The bar is a ratio of 4 with AMX or on
a GPU; elsewhere, where convolutions take nearly all, 10 for the data path alone and 1.1 for the whole.

The data path is measured as it is, and with `--cache` from the second epoch on; beside its images per second stands the
processor time of an image, which other work on the machine changes less. Beside the whole step: which share of the time
it waits for data, and the ratio to the published run (2 M iterations at batch 4 in 80 hours on a P100, 28 images/s).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
from common import machine, write_colour_photos
from PIL import Image
from skimage.color import rgb2lab
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from restore.colorizers.devices import find_device
from restore.networks import GeneratorConfig, HeadConfig, Model, ModelConfig, build_model
from restore.sources import open_source
from train import steps
from train.cache import PictureCache
from train.config import TrainConfig
from train.data import CropDataset, batches
from train.discriminators import build_discriminator
from train.features import matching_loss
from train.framing import Framing
from train.initialise import initialise
from train.inputs import network_input
from train.loop import Run
from train.losses import pixel_loss
from train.precision import fastest_precision
from train.presets import resolve
from train.recipes.common import autocast_of, discriminator_learner, generator_learner

SIZE, PUBLISHED = 256, 28.0
NETWORKS = {"regression": "unet", "pix2pix": "unet", "nogan": "residual_unet"}


class PlainDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """One picture at a time, all in Python, as the published notebooks do it."""

    def __init__(self, paths: list[Path], repeats: int) -> None:
        self.paths = paths * repeats

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        picture = Image.open(self.paths[index]).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        if np.random.rand() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        lab = rgb2lab(np.array(picture)).astype("float32")
        tensor = torch.from_numpy(lab).permute(2, 0, 1)
        return tensor[:1] / 50.0 - 1.0, tensor[1:] / 110.0


def plain_batches(folder: Path, batch: int, workers: int) -> Iterator[Any]:
    return iter(DataLoader(PlainDataset(sorted(folder.iterdir()), 1000), batch, shuffle=True, num_workers=workers))


def networks(recipe: str) -> tuple[Model, nn.Module]:
    torch.manual_seed(0)
    model = build_model(ModelConfig(GeneratorConfig(NETWORKS[recipe]), HeadConfig("regression"), SIZE)).train()
    judge = build_discriminator("patch", {}).train()
    initialise(model, "normal")
    initialise(judge, "normal")
    return model, judge


class Flow(NamedTuple):
    """Images per second, and milliseconds that one took of all processors together."""

    rate: float
    milliseconds: float


def flow(draw: Callable[[], Any], batch: int, seconds: float) -> Flow:
    """Draw batches for so long, after as many as workers prefetch."""
    for _ in range(4 * (os.cpu_count() or 1) + 10):
        draw()
    return timed(draw, batch, lambda count, elapsed: elapsed >= seconds)


def steps_flow(step: Callable[[], Any], batch: int, steps: int) -> Flow:
    """So many training steps, after one of warm-up."""
    step()
    return timed(step, batch, lambda count, elapsed: count >= steps)


def timed(call: Callable[[], Any], batch: int, enough: Callable[[int, float], bool]) -> Flow:
    start, busy, count = time.perf_counter(), processor_seconds(), 0
    while not enough(count, time.perf_counter() - start):
        call()
        count += 1
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    images = count * batch
    return Flow(images / (time.perf_counter() - start), 1000 * (processor_seconds() - busy) / images)


def processor_seconds() -> float:
    """Of this process and its workers."""
    this = psutil.Process()
    return sum(times.user + times.system for times in (one.cpu_times() for one in (this, *this.children())))


def plain_step(recipe: str, data: Iterator[Any], device: torch.device) -> Callable[[], None]:
    model, judge = (network.to(device) for network in networks(recipe))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optimizer_d = torch.optim.Adam(judge.parameters(), lr=2e-4, betas=(0.5, 0.999))
    bce = nn.BCEWithLogitsLoss()

    def regression() -> None:
        scaled_l, ab = (tensor.to(device) for tensor in next(data))
        loss = F.l1_loss(model.raw(scaled_l), ab)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    def gan() -> None:
        scaled_l, ab = (tensor.to(device) for tensor in next(data))
        fake = model.raw(scaled_l)
        judge.requires_grad_(True)
        optimizer_d.zero_grad()
        on_fake = judge(torch.cat((scaled_l, fake.detach()), 1))[-1]
        on_real = judge(torch.cat((scaled_l, ab), 1))[-1]
        loss_d = (bce(on_fake, torch.zeros_like(on_fake)) + bce(on_real, torch.ones_like(on_real))) / 2
        loss_d.backward()
        optimizer_d.step()
        judge.requires_grad_(False)
        optimizer.zero_grad()
        maps = judge(torch.cat((scaled_l, fake), 1))
        loss = bce(maps[-1], torch.ones_like(maps[-1])) + 100 * F.l1_loss(fake, ab)
        if recipe == "nogan":
            with torch.no_grad():
                real = judge(torch.cat((scaled_l, ab), 1))
            loss = loss + matching_loss(maps[:-1], real[:-1])
        loss.backward()
        optimizer.step()
        loss_d.item()
        loss.item()

    return regression if recipe == "regression" else gan


class OurStep:
    """The step of `restore train`, and how long it waited for data."""

    def __init__(self, config: TrainConfig, folder: Path, device: torch.device, workers: int) -> None:
        source = open_source(folder)
        model, judge = networks(config.recipe)
        model = model.to(device).to(memory_format=torch.channels_last)
        precision = fastest_precision(model, config.batch, SIZE, device)
        config = TrainConfig(**{**vars(config), "precision": precision})
        judge = judge.to(device).to(memory_format=torch.channels_last)
        run = Run(config, model.train(), device, source, source, judge)
        learners = [generator_learner(run)]
        if config.recipe == "regression":

            def loss(output: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
                return pixel_loss("l1", output, ab / config.ab_scale)

            self.learn = steps.plain_step(learners[0], loss, autocast_of(run))
        else:
            learners.append(discriminator_learner(run))
            self.learn = steps.gan_step(*learners, steps.Objective(config, None, adversarial=True), autocast_of(run))
        for learner in learners:
            learner.set_rate(1.0)
        self.config, self.device = config, device
        self.data = batches(CropDataset(source, Framing.of(config), 0), config.batch, 0, workers, device.type == "cuda")
        self.waited: float | None = None  # seconds; the first batch, for which workers start, does not count

    def __call__(self) -> None:
        start = time.perf_counter()
        batch = next(self.data)
        self.waited = 0.0 if self.waited is None else self.waited + time.perf_counter() - start
        scaled_l, ab = network_input(batch.rgb.to(self.device, non_blocking=True), self.config, batch.numbers)
        self.learn([steps.Chunk((scaled_l,), ab)])


def our_data(
    folder: Path, device: torch.device, batch: int, workers: int, degrade: float = 0.0, cache: Path | None = None
) -> Callable[[], Any]:
    """Draws batches up to tensors that the network takes; a cache is filled before."""
    config = TrainConfig(size=SIZE, batch=batch, degrade=degrade)
    dataset = CropDataset(open_source(folder), Framing(SIZE), 0, PictureCache(cache) if cache else None)
    if cache:
        for _ in batches(dataset, len(dataset.source), 0, 0, False):
            break
    data = batches(dataset, batch, 0, workers, False)

    def draw() -> None:
        got = next(data)
        network_input(got.rgb.to(device), config, got.numbers)

    return draw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", choices=list(NETWORKS), default="pix2pix")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0, help="How long each data path is measured.")
    arguments = parser.parse_args()
    device = find_device("auto")
    recipe, count, batch = arguments.recipe, arguments.steps, arguments.batch
    workers = min(os.cpu_count() or 1, 16) if device.type == "cuda" else 2
    given = {"recipe": recipe, "generator": NETWORKS[recipe], "encoder_weights": "none", "size": SIZE, "batch": batch}
    if recipe == "nogan":
        given |= {"feature_loss": "discriminator", "ab_scale": 110.0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photos"
        write_colour_photos(folder, 128)
        plain = flow(plain_iterator(folder, batch, workers), batch, arguments.seconds)
        cache = Path(name) / "cache"
        flows = {
            "restore": our_data(folder, device, batch, workers),
            "restore, degraded": our_data(folder, device, batch, workers, 0.5),
            "restore, cache": our_data(folder, device, batch, workers, 0.0, cache),
            "restore, cache, degraded": our_data(folder, device, batch, workers, 0.5, cache),
        }
        print(f"{recipe}, {NETWORKS[recipe]}, {SIZE}×{SIZE}, batch {batch}, {workers} workers, {device}; {machine()}")
        print("data path; degraded: with film-like degradation, which the plain loop has not")
        print(f"  {'plain':26} {plain.rate:7.1f} images/s  {plain.milliseconds:6.2f} ms of a processor")
        for kind, draw in flows.items():
            ours_data = flow(draw, batch, arguments.seconds)
            print(
                f"  {kind:26} {ours_data.rate:7.1f} images/s  {ours_data.milliseconds:6.2f} ms   "
                f"{ours_data.rate / plain.rate:.1f} times, by processor time "
                f"{plain.milliseconds / ours_data.milliseconds:.1f}",
                flush=True,
            )
        step = OurStep(resolve(given), folder, device, workers)
        ours = steps_flow(step, batch, count)
        waiting = (step.waited or 0.0) * ours.rate / (count * batch)
        theirs = steps_flow(plain_step(recipe, plain_batches(folder, batch, workers), device), batch, count)
    print(
        f"whole step\n  {'plain':26} {theirs.rate:7.2f} images/s  {theirs.milliseconds:6.0f} ms of a processor\n"
        f"  {'restore':26} {ours.rate:7.2f} images/s  {ours.milliseconds:6.0f} ms   "
        f"{ours.rate / theirs.rate:.2f} times, by processor time {theirs.milliseconds / ours.milliseconds:.2f}\n"
        f"  {step.config.precision}; waiting for data {waiting:.1%}; {ours.rate / PUBLISHED:.2f} of the P100's run"
    )


def plain_iterator(folder: Path, batch: int, workers: int) -> Callable[[], Any]:
    data = plain_batches(folder, batch, workers)
    return lambda: next(data)


if __name__ == "__main__":
    main()
