"""Devices: which there are, and what a CPU is good at. PyTorch is asked only where there may be a GPU."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from restore.errors import DeviceError

if TYPE_CHECKING:
    import torch

# Drivers of NVIDIA, of NVIDIA in WSL, of AMD; on Windows the driver's library.
_DRIVER_FILES = ("/dev/nvidiactl", "/proc/driver/nvidia", "/dev/dxg", "/dev/kfd")
_WINDOWS_DRIVER = "System32/nvcuda.dll"
_CPU_FACTS = Path("/proc/cpuinfo")


def computes_on_cpu(name: str) -> bool:
    """Whether a device of `EngineOptions` is a CPU, without importing PyTorch where no GPU can be."""
    if name == "auto":
        return not _may_have_gpu() or find_device(name).type == "cpu"
    return name == "cpu"


def _may_have_gpu() -> bool:
    """Whether a GPU can be here, as far as drivers tell."""
    if sys.platform == "darwin":
        return True
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    if sys.platform == "win32":
        return (Path(os.environ.get("SYSTEMROOT", "C:/Windows")) / _WINDOWS_DRIVER).exists()
    return any(Path(name).exists() for name in _DRIVER_FILES)


def has_amx() -> bool:
    """Whether the CPU has matrix units for bf16, with which PyTorch is several times as fast as anything in float32."""
    try:
        return "amx_bf16" in _CPU_FACTS.read_text(encoding="ascii", errors="ignore").split()
    except OSError:
        return False


def find_device(name: str) -> torch.device:
    """The device of a name: auto (a GPU where there is one), cpu, cuda, cuda:N or mps.

    Raises:
        DeviceError: not there.
    """
    import torch

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
