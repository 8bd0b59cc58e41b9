"""Our own networks as a `ColorModel`, by PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from restore.checkpoint import load_checkpoint
from restore.color import lightness_from_luma, scale_l
from restore.colorizers.base import Classes, FloatArray, choose_vividness
from restore.colorizers.devices import find_device
from restore.decoding import Decodings
from restore.errors import UsageError
from restore.model_files import sha256
from restore.networks import ClassesHead, Model
from restore.networks.told import scaled_hints
from restore.options import DEFAULT_STYLE, Era, Runtime, Style

# Instructions that multiply bf16, as `torch.cpu.get_capabilities` names them.
_FAST_BF16 = ("amx_bf16", "avx512_bf16")


def fold_batch_norms(module: nn.Module) -> None:
    """Fold each BatchNorm into the convolution before it, wherever the two are neighbours in a Sequential."""
    for child in module.children():
        fold_batch_norms(child)
    if isinstance(module, nn.Sequential):
        for i in range(len(module) - 1):
            conv, norm = module[i], module[i + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[i] = fuse_conv_bn_eval(conv, norm)
                module[i + 1] = nn.Identity()


class FixedNoise(nn.Module):
    """Dropout that stays on when colouring, as the noise of a GAN's generator: the same for each picture and each run,
    whatever it is batched with."""

    def __init__(self, rate: float, seed: int) -> None:
        super().__init__()
        self.rate, self.seed = rate, seed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        drawn = torch.rand(x.shape[1:], generator=torch.Generator().manual_seed(self.seed))
        return x * ((drawn >= self.rate) / (1 - self.rate)).to(x)


def _leave_dropout_on(network: nn.Module) -> int:
    """Returns how many layers it has."""
    found = 0
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout):
                setattr(module, name, FixedNoise(child.p, found))
                found += 1
    return found


class NetworkColorModel:
    """A checkpoint of `restore train`, ready to colour."""

    runtime: Runtime = "torch"

    def __init__(self, model: Model, name: str, digest: str = "", style: Style = DEFAULT_STYLE) -> None:
        self.name = name
        self.sha256 = digest
        self.working_size = model.config.working_size
        self.classes = _classes(model)
        self.takes_hints = model.takes_hints
        self._decodings: Decodings | None = getattr(model.head, "decodings", None)
        self._style = style
        self.knows_eras = self._decodings is not None
        self.size_multiple = int(model.generator.input_multiple)  # type: ignore[arg-type]
        self._reference = copy.deepcopy(model).eval().requires_grad_(False)
        fold_batch_norms(self._reference.generator)
        self._model: Model = self._reference
        self._device, self._dtype = torch.device("cpu"), torch.float32

    @classmethod
    def from_file(cls, path: Path, style: Style | None = None, dropout: bool = False) -> NetworkColorModel:
        """Load a checkpoint.

        Args:
            style: how vivid; None is the checkpoint's own.
            dropout: leave it on.

        Raises:
            ModelError: missing or damaged.
            UsageError: a style, but the model guesses one colour instead of a distribution; dropout, but it has none.
        """
        model, info = load_checkpoint(path)
        head = model.head
        own = head.vividness if isinstance(head, ClassesHead) else None
        vividness = choose_vividness(info.name, own, isinstance(head, ClassesHead), style)
        if isinstance(head, ClassesHead):
            head.vividness = vividness
        if dropout and not _leave_dropout_on(model.generator):
            raise UsageError(f"--dropout: {path} has none", "Leave it out; generators of GANs have it")
        return cls(model, info.name, sha256(path), style or DEFAULT_STYLE)

    @property
    def device(self) -> str:
        return str(self._device)

    @property
    def dtype(self) -> str:
        return str(self._dtype).removeprefix("torch.")

    def prepare(self, device: str, dtype: str | None = None, threads: int | None = None) -> None:
        self._device = find_device(device)
        if threads and self._device.type == "cpu":
            torch.set_num_threads(threads)
        self._dtype = getattr(torch, dtype) if dtype else _choose_dtype(self._device)
        self._model = copy.deepcopy(self._reference)
        # Converted weights rather than autocast: no casts at run time. The head stays in float32.
        generator = self._model.generator.to(device=self._device, dtype=self._dtype)
        generator.to(memory_format=torch.channels_last)
        self._model.head.to(self._device)

    def predict(
        self,
        luma: FloatArray,
        doubt: bool = False,
        hints: FloatArray | None = None,
        eras: Sequence[Era] | None = None,
    ) -> FloatArray:
        with _computing():
            return self._model(self._input(luma), doubt, self._told(hints), self._tables(luma, eras)).cpu().numpy()

    def distribution(
        self, luma: FloatArray, hints: FloatArray | None = None, eras: Sequence[Era] | None = None
    ) -> tuple[FloatArray, FloatArray]:
        with _computing():
            ab, shares = self._model.distribution(self._input(luma), self._told(hints), self._tables(luma, eras))
            return ab.cpu().numpy(), shares.cpu().numpy()

    def _input(self, luma: FloatArray) -> torch.Tensor:
        lightness = lightness_from_luma(torch.from_numpy(luma).unsqueeze(1).to(self._device))
        return scale_l(lightness).to(self._dtype).contiguous(memory_format=torch.channels_last)

    def _told(self, hints: FloatArray | None) -> torch.Tensor | None:
        return None if hints is None else scaled_hints(torch.from_numpy(hints).to(self._device))

    def _tables(self, luma: FloatArray, eras: Sequence[Era] | None) -> tuple[torch.Tensor, torch.Tensor] | None:
        if self._decodings is None:
            return None
        vectors, numbers = self._decodings.tables(self._style, eras or ["period"] * len(luma))
        return torch.from_numpy(vectors).to(self._device), torch.from_numpy(numbers).to(self._device)


@contextmanager
def _computing() -> Iterator[None]:
    try:
        with torch.inference_mode():
            yield
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        raise


def _classes(model: Model) -> Classes | None:
    head = model.head
    if not isinstance(head, ClassesHead):
        return None
    return Classes(head.bins.cpu().numpy().copy(), head.weights.cpu().numpy().copy())


def _choose_dtype(device: torch.device) -> torch.dtype:
    """The faster of float32 and a 16-bit type.

    On a CPU it is told by what the chip can do: bf16 ran 20 times as fast as float32 with AMX, 1.4 times with AVX-512
    BF16, and four times *slower* with neither. Timing both would take a second of each run, and on a busy machine it
    chose differently from run to run: the same photo came out differently.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type != "cpu":
        return torch.float32
    chip = torch.cpu.get_capabilities()
    return torch.bfloat16 if any(chip.get(name) for name in _FAST_BF16) else torch.float32
