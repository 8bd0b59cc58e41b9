"""The engine: batches, memory back-off, devices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from restore.colorizers import Engine, KeptEngines
from restore.colorizers.base import Classes, FloatArray
from restore.colorizers.devices import find_device
from restore.errors import DeviceError, UsageError
from restore.options import EngineOptions, Runtime

PYTORCH = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
# ONNX Runtime's arena, and what it passes on of the C++ library, with types of its own.
ONNX_RUNTIME = Exception("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer")
STANDARD = Exception("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc")


class Echo:
    """A model that says each picture's mean, and has memory for a few pictures only."""

    name, sha256, working_size, size_multiple = "echo", "", 64, 32
    runtime: Runtime = "torch"
    # Two colours, grey and one that is 42 away from it.
    classes: Classes | None = Classes(np.float32([[0, 0], [42, 0]]), np.float32([0.5, 2.0]))
    takes_hints = knows_eras = False
    device, dtype = "cpu", "float32"

    def __init__(self, room: int = 1000, complaint: Exception = PYTORCH) -> None:
        self.room = room
        self.complaint = complaint
        self.batches: list[int] = []

    def prepare(self, device: str, dtype: str | None, threads: int | None) -> None:
        self.batches.clear()

    def predict(
        self, luma: FloatArray, doubt: bool = False, hints: FloatArray | None = None, eras: object = None
    ) -> FloatArray:
        if len(luma) > self.room:
            raise self.complaint
        self.batches.append(len(luma))
        means = luma.mean((1, 2))[:, None, None, None]
        ab = np.broadcast_to(means, (len(luma), 2, 16, 16))
        # Where it is asked, it is surer of the left half than of the right one.
        return np.concatenate((ab, np.repeat(np.float32([[[[2.0, 40.0]]]]), 8, 3) + 0 * ab[:, :1]), 1) if doubt else ab

    def distribution(
        self, luma: FloatArray, hints: FloatArray | None = None, eras: object = None
    ) -> tuple[FloatArray, FloatArray]:
        ab = self.predict(luma)
        return ab, np.broadcast_to(np.float32([0.75, 0.25]), (len(ab), 16, 16, 2))


def pictures(count: int) -> list[npt.NDArray[np.float32]]:
    return [np.full((64, 64), i / count, np.float32) for i in range(count)]


@pytest.mark.parametrize("room", [1000, 3, 1])
@pytest.mark.parametrize("complaint", [PYTORCH, ONNX_RUNTIME, STANDARD, MemoryError()])
def test_results_are_in_order_whatever_the_memory(room: int, complaint: Exception) -> None:
    model = Echo(room, complaint)
    results = Engine(model, EngineOptions(device="cpu", batch=8)).predict(pictures(19))
    assert [round(float(ab.mean() * 19)) for ab in results] == list(range(19))
    assert max(model.batches) <= min(room, 8)


def test_back_off_lasts() -> None:
    model = Echo(room=3)
    engine = Engine(model, EngineOptions(device="cpu", batch=8))
    engine.predict(pictures(8))
    assert engine.batch == 2


def test_no_room_for_one_is_an_error_not_a_grey_picture() -> None:
    model = Echo()
    engine = Engine(model, EngineOptions(device="cpu", batch=4))
    model.room = 0
    with pytest.raises(DeviceError, match="too little memory"):
        engine.predict(pictures(4))


def test_other_faults_are_not_swallowed() -> None:
    class Broken(Echo):
        def predict(
            self, luma: FloatArray, doubt: bool = False, hints: FloatArray | None = None, eras: object = None
        ) -> FloatArray:
            if len(luma) > 1:
                raise RuntimeError("shapes do not match")
            return super().predict(luma)

    engine = Engine(Broken(), EngineOptions(device="cpu", batch=4))
    with pytest.raises(RuntimeError, match="shapes"):
        engine.predict(pictures(4))


def test_calm_lowers_saturation_where_the_model_is_unsure() -> None:
    plain, half, whole = (
        Engine(Echo(), EngineOptions(device="cpu", batch=2, calm=calm)).predict(pictures(5)) for calm in (0.0, 0.5, 1.0)
    )
    share = [guess / ab for guess, ab in zip(whole[1:], plain[1:], strict=True)]  # the first is grey
    for gain in share:
        assert gain[:, :, 0] == pytest.approx(1, abs=0.01) and gain[:, :, -1] == pytest.approx(0.36, abs=0.01)
        assert (np.diff(gain, axis=2) <= 1e-6).all() and np.abs(
            np.diff(gain, axis=2)
        ).max() < 0.5  # a step would be 0.64
    assert all((np.abs(whole[i]) <= np.abs(half[i])).all() and (half[i] <= plain[i]).all() for i in range(5))


def test_doubt_is_that_of_the_guess_whether_calmed_or_not() -> None:
    for calm in (0.0, 1.0):
        engine = Engine(Echo(), EngineOptions(device="cpu", calm=calm))
        guess, ab = engine.predict(pictures(1), doubt=True)[0], engine.predict(pictures(1))[0]
        assert guess.shape == (3, 16, 16) and np.array_equal(guess[:2], ab)
        assert np.array_equal(np.unique(guess[2]), np.float32([2, 40]))


@pytest.mark.parametrize("room", [1000, 1])
def test_distributions_come_with_the_colours_of_predict(room: int) -> None:
    for calm in (0.0, 0.5):
        engine = Engine(Echo(room), EngineOptions(device="cpu", batch=2, calm=calm))
        guesses = engine.distributions(pictures(5), doubt=True)
        assert len(guesses) == 5
        for (guess, shares), (ab, _) in zip(guesses, engine.distributions(pictures(5)), strict=True):
            assert guess.shape == (3, 16, 16) and shares.shape == (16, 16, 2)
            assert np.array_equal(guess[:2], ab)
        # The first picture is grey, as three quarters think: 0.75 of no distance and 0.25 of 42.
        assert guesses[0][0][2] == pytest.approx(10.5)
    plain = Engine(Echo(), EngineOptions(device="cpu"))
    for ab, (same, _) in zip(plain.predict(pictures(5)), plain.distributions(pictures(5)), strict=True):
        assert np.array_equal(ab, same)


def test_a_model_that_does_not_know_is_not_asked() -> None:
    class Sure(Echo):
        classes = None

    with pytest.raises(UsageError, match="--calm needs"):
        Engine(Sure(), EngineOptions(device="cpu", calm=0.1))
    with pytest.raises(UsageError, match="--confidence needs"):
        Engine(Sure(), EngineOptions(device="cpu")).check_knows_doubt("--confidence")
    with pytest.raises(UsageError, match="out of range"):
        EngineOptions(calm=1.5)


def test_sizes_the_model_can_not_take() -> None:
    class Coarse(Echo):
        size_multiple = 256

    with pytest.raises(UsageError, match="multiple of 256"):
        Engine(Coarse(), EngineOptions(device="cpu", size=288))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is there")
def test_a_missing_gpu_is_named() -> None:
    with pytest.raises(DeviceError, match="--device cpu"):
        find_device("cuda")


def test_kept_engines_are_those_used_last() -> None:
    load = KeptEngines(most=2)
    sizes = {size: EngineOptions(size=size) for size in (64, 96, 128)}
    first, second = load(sizes[64]), load(sizes[96])
    assert first is not second
    assert load(sizes[64]) is first
    assert load(sizes[64], callers=2) is not first  # and the second is the one used longest ago
    assert load(sizes[64]) is first
    assert load(sizes[96]) is not second
