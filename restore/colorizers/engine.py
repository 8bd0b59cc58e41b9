"""The engine: batches of small pictures through a model, on the right device, in the faster dtype, within memory."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt
import torch

from restore.colorizers.base import ColorModel
from restore.errors import DeviceError, UsageError
from restore.options import EngineOptions
from restore.threads import processors

FloatArray = npt.NDArray[np.float32]

# A CPU gains nothing from larger batches but for its threads; a GPU does until it is full.
_CPU_BATCH, _GPU_BATCH = 4, 32
_OUT_OF_MEMORY = "out of memory"
# Instructions that multiply bf16, as `torch.cpu.get_capabilities` names them.
_FAST_BF16 = ("amx_bf16", "avx512_bf16")


class Engine:
    """Guesses ab for small pictures of luma.

    Args:
        model: what to ask.
        options: device, batch and working size; "auto" and None choose.
        callers: threads that will call `predict` at the same time. On a CPU they share the processors, which is faster
            than all processors on each call: nobody waits for anybody. On other devices they take turns.

    Raises:
        DeviceError: the device asked for is not there.
        UsageError: a working size that the model can't take.
    """

    def __init__(self, model: ColorModel, options: EngineOptions, callers: int = 1) -> None:
        self._model = model
        self.size = options.size or model.working_size
        if self.size % model.size_multiple:
            raise UsageError(
                f"--size {self.size} does not suit model {model.name}",
                f"Give a multiple of {model.size_multiple}, such as {model.working_size}",
            )
        self._device = find_device(options.device)
        on_cpu = self._device.type == "cpu"
        self.batch = options.batch or ((_CPU_BATCH if callers == 1 else 1) if on_cpu else _GPU_BATCH)
        self._turn: AbstractContextManager[object] = nullcontext() if on_cpu else threading.Lock()
        if on_cpu and callers > 1:
            torch.set_num_threads(max(1, processors() // callers))
        try:
            self._dtype = getattr(torch, options.dtype) if options.dtype else self._choose_dtype()
            model.prepare(self._device, self._dtype)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            raise DeviceError(
                f"{self.device} has too little memory for model {model.name}", "Free some, or use --device cpu"
            ) from error

    @property
    def model_name(self) -> str:
        return self._model.name

    @property
    def model_sha256(self) -> str:
        return self._model.sha256

    @property
    def device(self) -> str:
        return str(self._device)

    @property
    def dtype(self) -> str:
        return str(self._dtype).removeprefix("torch.")

    def _choose_dtype(self) -> torch.dtype:
        """The faster of float32 and a 16-bit type.

        On a CPU it is told by what the chip can do: bf16 ran 20 times as fast as float32 with AMX, 1.4 times with
        AVX-512 BF16, and four times *slower* with neither. Timing both would take a second of each run, and on a busy
        machine it chose differently from run to run: the same photo came out differently.
        """
        if self._device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        if self._device.type != "cpu":
            return torch.float32
        chip = torch.cpu.get_capabilities()
        return torch.bfloat16 if any(chip.get(name) for name in _FAST_BF16) else torch.float32

    def predict(self, lumas: Sequence[FloatArray]) -> list[FloatArray]:
        """ab of each picture, in order. Any number of pictures; `batch` of them at a time.

        Args:
            lumas: (S, S) float32 in [0, 1] each, as `restore.merge.shrink_luma` gives them; S is `size`.

        Returns:
            (2, h, w) float32 in Lab units each.

        Raises:
            DeviceError: too little memory even for one picture.
        """
        results: list[FloatArray] = []
        while len(results) < len(lumas):
            group = lumas[len(results) : len(results) + self.batch]
            try:
                results += self._predict_batch(group)
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                if len(group) == 1:
                    raise DeviceError(
                        f"{self.device} has too little memory for one picture at working size {self.size}",
                        "Give a smaller --size, or --device cpu",
                    ) from error
                # Half of what just failed, for the rest of the run.
                self.batch = len(group) // 2
                if self._device.type == "cuda":
                    torch.cuda.empty_cache()
        return results

    def _predict_batch(self, lumas: Sequence[FloatArray]) -> list[FloatArray]:
        with self._turn, torch.inference_mode():
            stacked = torch.from_numpy(np.stack(lumas)).unsqueeze(1).to(self._device)
            return list(self._model.predict(stacked).cpu().numpy())


def _is_out_of_memory(error: BaseException) -> bool:
    # A CPU's allocator raises a plain RuntimeError ("can't allocate memory").
    text = str(error).lower()
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or _OUT_OF_MEMORY in text or "can't allocate memory" in text


def find_device(name: str) -> torch.device:
    """The device of a name: auto (a GPU where there is one), cpu, cuda, cuda:N or mps.

    Raises:
        DeviceError: not there.
    """
    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if has_cuda else "mps" if has_mps else "cpu")
    if name.startswith("cuda") and not has_cuda:
        raise DeviceError(f"no CUDA device is available for --device {name}", "Use --device cpu")
    if name == "mps" and not has_mps:
        raise DeviceError("no Apple GPU is available for --device mps", "Use --device cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(f"device {name!r} can't be used", "Use auto, cpu, cuda, cuda:N or mps") from error
    return device
