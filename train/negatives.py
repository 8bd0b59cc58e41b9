"""Trains what tells negatives from positives: a small network that `restore photos` warns with.

    python -m train.negatives --data DATA --val VAL --minutes 8.5 --output restore/photos/negative.onnx

It learns from photographs and their inversions, both with random tone curves, grain and mirroring. A tenth of DATA is
kept for choosing the limit, such that so many of it give a false alarm; VAL tells how often it errs.
With `--steps` in place of minutes, a machine repeats the run exactly.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from restore.colorizers.onnx_export import forget_paths
from restore.files import write_atomically
from restore.merge import shrink_luma
from restore.progress import say
from restore.sources import PhotoSource, open_source

SIDE = 64
_CHANNELS = (1, 16, 32, 48, 64)
_BATCH, _RATE = 128, 3e-3
_FOR_LIMIT = 0.1  # of the pictures


class Detector(nn.Module):
    """(N, 1, 64, 64) luma to (N,): above 0 is a probable negative. Brightness and contrast do not count."""

    limit: Tensor

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number, (inside, outside) in enumerate(pairwise(_CHANNELS)):
            side = 3 if number else 5
            layers += [nn.Conv2d(inside, outside, side, 2, side // 2), nn.BatchNorm2d(outside), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3))
        self.last = nn.Linear(_CHANNELS[-1] * (SIDE // 16) ** 2, 1)
        self.register_buffer("limit", torch.zeros(()))

    def forward(self, luma: Tensor) -> Tensor:
        centred = luma - luma.mean((2, 3), keepdim=True)
        scaled = centred / (centred.square().mean((2, 3), keepdim=True).sqrt() + 0.02)
        return self.last(self.layers(scaled))[:, 0] - self.limit


def read(source: PhotoSource, count: int) -> Tensor:
    """(n, 1, 64, 64) luma of up to `count` pictures, spread over the source, in [0, 1]."""
    views = []
    for index in np.unique(np.linspace(0, len(source) - 1, count).astype(int)):
        with Image.open(io.BytesIO(source.read(int(index)))) as picture:
            views.append(shrink_luma(np.asarray(picture.convert("L")), SIDE))
    return torch.from_numpy(np.stack(views)).unsqueeze(1)


def vary(luma: Tensor) -> Tensor:
    """The same pictures with other tone curves, less contrast, grain, and every second one mirrored."""
    shape = (len(luma), 1, 1, 1)
    curved = luma.clamp(0, 1) ** torch.exp(torch.rand(shape) - 0.5)
    contrast = 0.4 + 0.6 * torch.rand(shape)
    grained = curved * contrast + (1 - contrast) * torch.rand(shape)
    grained = grained + torch.randn_like(luma) * 0.04 * torch.rand(shape)
    return torch.where(torch.rand(shape) < 0.5, grained, grained.flip(3))


def batches(luma: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Pictures, and whether they are negatives, without end."""
    while True:
        for chosen in torch.randperm(len(luma)).split(_BATCH // 2):
            positives = luma[chosen]
            wanted = torch.cat([torch.zeros(len(chosen)), torch.ones(len(chosen))])
            yield torch.cat([vary(positives), vary(1 - positives)]), wanted


@torch.inference_mode()
def scores(model: Detector, luma: Tensor) -> Tensor:
    return torch.cat([model(part) for part in luma.split(_BATCH)])


def train(luma: Tensor, minutes: float, steps: int | None) -> Detector:
    model = Detector().train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.02)
    begin = time.monotonic()
    for step, (views, wanted) in enumerate(batches(luma)):
        gone = step / steps if steps else (time.monotonic() - begin) / (60 * minutes)
        if gone >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = _RATE * (1 - gone) + 1e-5
        loss = nn.functional.binary_cross_entropy_with_logits(model(views), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 100 == 0:
            say(f"step {step}, {gone:.0%}, loss {loss.item():.3f}")
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--count", type=int, default=40_000)
    parser.add_argument("--minutes", type=float, default=8.5)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--false-alarms", type=float, default=0.005)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(1)
    luma = read(open_source(options.data), options.count)
    for_limit, learned = luma[torch.randperm(len(luma))].tensor_split([round(len(luma) * _FOR_LIMIT)])
    model = train(learned, options.minutes, options.steps)
    held_out = read(open_source(options.val), options.count)
    positive, negative = scores(model, held_out), scores(model, 1 - held_out)
    model.limit.copy_(scores(model, for_limit).quantile(1 - options.false_alarms))
    say(f"right without a limit: {(torch.cat([-positive, negative]) > 0).float().mean():.1%}")
    alarms, found = positive > model.limit, negative > model.limit
    say(f"{len(alarms)} pictures: false alarms {alarms.float().mean():.1%}, negatives found {found.float().mean():.1%}")
    dimension = {0: torch.export.Dim("pictures")}
    program = torch.onnx.export(
        model,
        (torch.zeros(2, 1, SIDE, SIDE),),
        input_names=["luma"],
        output_names=["score"],
        dynamic_shapes=(dimension,),
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # with dynamo
    proto = program.model_proto
    forget_paths(proto)
    write_atomically(options.output, lambda stream: stream.write(proto.SerializeToString()))


if __name__ == "__main__":
    main()
