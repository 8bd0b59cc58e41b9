"""From encoded pictures to batches of crops: decoding, cropping and flipping in worker processes.

Sample n of a run is always the same crop of the same picture, whatever came before it: its randomness comes from
(seed, n). That is what makes a resumed run equal an uninterrupted one.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from restore.errors import InputError
from restore.sources import PhotoSource
from restore.stopping import leave_signals_to_parent
from train.framing import Framing, Rgb

if TYPE_CHECKING:
    from train.cache import PictureCache

_AHEAD = 4  # batches that each worker makes before they are asked for
_TRIES = 20  # broken pictures in a row before the data is called unusable


class Batch(NamedTuple):
    """Crops (N, 3, S, S) uint8 RGB, their sample numbers, the pictures that could not be read on the way, and what else
    the user should hear of."""

    rgb: Tensor
    numbers: list[int]
    broken: list[str]
    notes: list[str]


def decode(data: bytes, least: int) -> Rgb:
    """Encoded picture to (H, W, 3) uint8 RGB, upright; a large JPEG is decoded at a fraction of its size, with the
    short side still at least `least`.

    Raises:
        ValueError: no picture, or a broken one.
    """
    try:
        with Image.open(io.BytesIO(data)) as header:
            short = min(header.size)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error
    flags = cv2.IMREAD_COLOR_RGB
    for reduction, reduced in (
        (8, cv2.IMREAD_REDUCED_COLOR_8),
        (4, cv2.IMREAD_REDUCED_COLOR_4),
        (2, cv2.IMREAD_REDUCED_COLOR_2),
    ):
        if short >= least * reduction:
            flags = reduced
            break
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ValueError(str(error)) from error
    if picture is None:
        raise ValueError("not readable as a picture")
    if flags != cv2.IMREAD_COLOR_RGB:
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return np.asarray(picture, np.uint8)


class CropDataset(Dataset[Batch]):
    """Sample number → one crop. An endless sequence of epochs, each a permutation of the source of its own.

    Args:
        cache: keeps decoded pictures, shrunk to what the framing needs.
    """

    def __init__(self, source: PhotoSource, framing: Framing, seed: int, cache: PictureCache | None = None) -> None:
        self.source = source
        self.framing = framing
        self.seed = seed
        self.cache = cache
        self._order = lru_cache(maxsize=2)(self._permutation)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_order"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._order = lru_cache(maxsize=2)(self._permutation)

    def _permutation(self, epoch: int) -> npt.NDArray[np.int64]:
        return np.random.default_rng((self.seed, 1, epoch)).permutation(len(self.source))

    def __getitem__(self, number: int) -> Batch:
        rgb = torch.empty(1, self.framing.size, self.framing.size, 3, dtype=torch.uint8)
        return self.fill(rgb, [number])

    def fill(self, rgb: Tensor, numbers: list[int]) -> Batch:
        """The samples of these numbers as a batch, put into `rgb`: (N, S, S, 3) uint8, channels last, which OpenCV and
        the network both want."""
        broken, notes = list[str](), list[str]()
        if self.cache is None:
            self._cut(rgb, numbers, self._decoded, broken)
        else:
            full = self.cache.full
            with self.cache.batch() as kept:

                def cached(index: int) -> Rgb:
                    key = f"{self.source.identity(index)}:{self.framing.least}"
                    return kept(key, lambda: self.framing.shrunk(self._decoded(index)))

                self._cut(rgb, numbers, cached, broken)
            if self.cache.full != full:
                notes.append(f"the cache {self.cache.folder} keeps no more pictures: {self.cache.full}")
        return Batch(rgb.permute(0, 3, 1, 2), numbers, broken, notes)

    def _cut(self, rgb: Tensor, numbers: list[int], picture: Callable[[int], Rgb], broken: list[str]) -> None:
        for row, number in zip(rgb.numpy(), numbers, strict=True):
            row[:] = self._crop(number, picture, broken)

    def _decoded(self, index: int) -> Rgb:
        return decode(self.source.read(index), self.framing.least)

    def _crop(self, number: int, picture: Callable[[int], Rgb], broken: list[str]) -> Rgb:
        """The crop of a sample; names of pictures that could not be read on the way are added to `broken`."""
        rng = np.random.default_rng((self.seed, 2, number))
        epoch, place = divmod(number, len(self.source))
        index = int(self._order(epoch)[place])
        for _ in range(_TRIES):
            try:
                return self.framing.cut(picture(index), rng)
            except (ValueError, OSError, InputError):
                broken.append(self.source.name(index))
                index = int(rng.integers(len(self.source)))
        raise InputError(f"{_TRIES} pictures in a row can't be read, such as {broken[-1]}", "Look at the data")


def _start_worker(_: int) -> None:
    leave_signals_to_parent()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


class _Steps(Dataset[tuple[list[str], list[str]]]):
    """Step → its batch in one of some places in memory, which are shared with worker processes and used in turn: sent
    as new tensors, batches cost more time in page faults than crops do in cutting."""

    def __init__(self, dataset: CropDataset, batch: int, share: slice, places: int) -> None:
        self.dataset, self.batch, self.share = dataset, batch, share
        size = dataset.framing.size
        self.places = torch.empty(places, len(self.numbers(0)), size, size, 3, dtype=torch.uint8).share_memory_()

    def numbers(self, step: int) -> list[int]:
        return list(range(step * self.batch, (step + 1) * self.batch))[self.share]

    def place(self, step: int) -> Tensor:
        return self.places[step % len(self.places)]

    def __getitem__(self, step: int) -> tuple[list[str], list[str]]:
        """Fills the step's place; returns what there is to tell."""
        filled = self.dataset.fill(self.place(step), self.numbers(step))
        return filled.broken, filled.notes


def _as_it_is(told: Any) -> Any:
    return told


def batches(
    dataset: CropDataset, batch: int, first_step: int, workers: int, pin: bool, rank: int = 0, processes: int = 1
) -> Iterator[Batch]:
    """Batches in order of their steps, decoded ahead by `workers` processes (0: in this one), without end.

    Args:
        batch: samples of a step over all `processes`, of which this one, `rank`, gets its part.
        pin: put them where a GPU fetches them faster.
    """
    if dataset.cache is not None:
        dataset.cache.close()
    share = slice(batch * rank // processes, batch * (rank + 1) // processes)
    ahead = _AHEAD * workers
    steps = _Steps(dataset, batch, share, ahead + 1)  # one is read here while the others are being filled
    loader = DataLoader(
        steps,
        batch_size=None,
        sampler=itertools.count(first_step),
        num_workers=workers,
        collate_fn=_as_it_is,
        worker_init_fn=_start_worker,
        prefetch_factor=_AHEAD if workers else None,
    )
    for step, (broken, notes) in enumerate(loader, first_step):
        place = steps.place(step)
        rgb = torch.empty(place.shape, dtype=torch.uint8, pin_memory=pin).copy_(place)
        yield Batch(rgb.permute(0, 3, 1, 2), steps.numbers(step), broken, notes)
