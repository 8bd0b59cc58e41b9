"""The engine: batches of small pictures through a model, within memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import numpy as np

from restore.colorizers.base import Classes, ColorModel, FloatArray, check_era
from restore.colorizers.calm import calmed
from restore.errors import DeviceError, RestoreError, UsageError
from restore.options import EngineOptions, Era, Runtime
from restore.threads import processors

# A CPU gains nothing from larger batches but for its threads; a GPU does until it is full.
_CPU_BATCH, _GPU_BATCH = 4, 32
# What PyTorch on a GPU, PyTorch on a CPU and ONNX Runtime say, each with an exception of its own.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "failed to allocate memory", "bad_alloc", "bad allocation")


Result = TypeVar("Result")


class Engine:
    """Guesses ab for small pictures of luma.

    Args:
        model: what to ask.
        options: device, batch and working size; "auto" and None choose.
        callers: threads that will call `predict` at the same time. On a CPU they share the processors, which is faster
            than all processors on each call: nobody waits for anybody. On other devices they take turns.

    Raises:
        DeviceError: the device asked for is not there.
        UsageError: a working size that the model can't take, or calm of a model that does not know how sure it is.
    """

    def __init__(self, model: ColorModel, options: EngineOptions, callers: int = 1) -> None:
        self._model = model
        self.size = options.size or model.working_size
        if self.size % model.size_multiple:
            raise UsageError(
                f"--size {self.size} does not suit model {model.name}",
                f"Give a multiple of {model.size_multiple}, such as {model.working_size}",
            )
        self._calm = options.calm
        check_era(model.name, model.knows_eras, options.era)
        self._era = options.era
        self.era: Era = "period" if options.era == "auto" else options.era
        """Of pictures of which nothing else is known."""
        if options.calm:
            self.check_knows_doubt("--calm")
        try:
            model.prepare(options.device, options.dtype, max(1, processors() // callers) if callers > 1 else None)
        except Exception as error:
            if not _is_out_of_memory(error):
                raise
            raise DeviceError(
                f"--device {options.device} has too little memory for model {model.name}",
                "Free some, or use --device cpu",
            ) from error
        on_cpu = self.device == "cpu"
        self.batch = options.batch or ((_CPU_BATCH if callers == 1 else 1) if on_cpu else _GPU_BATCH)
        self._turn: AbstractContextManager[object] = nullcontext() if on_cpu else threading.Lock()

    @property
    def model_name(self) -> str:
        return self._model.name

    @property
    def model_sha256(self) -> str:
        return self._model.sha256

    @property
    def runtime(self) -> Runtime:
        return self._model.runtime

    @property
    def device(self) -> str:
        return self._model.device

    @property
    def dtype(self) -> str:
        return self._model.dtype

    @property
    def classes(self) -> Classes | None:
        """What the model's distribution is over; None for a model that guesses one colour."""
        return self._model.classes

    @property
    def knows_eras(self) -> bool:
        """Whether the model's colours depend on the era."""
        return self._model.knows_eras

    def era_for(self, told: Era) -> Era | None:
        """Whose palette a picture's colours have: what the options say, and where they leave it open, what the
        picture's file told. None for a model that knows no eras."""
        if not self.knows_eras:
            return None
        return told if self._era == "auto" else self._era

    def check_knows_doubt(self, option: str) -> None:
        """Raises UsageError where the model can't say how sure it is, which `option` asks of it."""
        if self.classes is None:
            raise UsageError(
                f"{option} needs a model that says how sure it is, and {self.model_name} guesses one colour only",
                f"Leave {option} out, or take a model of recipe classes, such as default",
            )

    def check_takes_hints(self, option: str) -> None:
        """Raises UsageError where the model can't be told colours, as `option` does."""
        if not self._model.takes_hints:
            raise UsageError(
                f"{option} needs a model that takes hints, and {self.model_name} takes none",
                f"Leave {option} out, or take a model that `restore train --hints` made",
            )

    def predict(
        self,
        lumas: Sequence[FloatArray],
        doubt: bool = False,
        hints: Sequence[FloatArray | None] | None = None,
        eras: Sequence[Era] | None = None,
    ) -> list[FloatArray]:
        """ab of each picture, in order. Any number of pictures; `batch` of them at a time.

        Args:
            lumas: (S, S) float32 in [0, 1] each, as `restore.merge.shrink_luma` gives them; S is `size`.
            doubt: say how sure the model is as well; see `check_knows_doubt`.
            hints: of each picture (3, S, S), as `restore.hints.draw_hints` gives them, or None; see
                `check_takes_hints`.
            eras: of each picture; None is the era of the options for all, and `period` where they leave it open.

        Returns:
            (2, h, w) float32 in Lab units each; with `doubt` (3, h, w): a, b, and how far the guess, before it was
            calmed, is expected to be from the truth.

        Raises:
            DeviceError: too little memory even for one picture.
        """
        with_doubt = doubt or self._calm > 0
        chosen = eras or [self.era] * len(lumas)
        guesses = self._in_batches(
            lumas,
            lambda views, place: list(self._model.predict(views, with_doubt, _stacked(hints, place), chosen[place])),
        )
        return [self._finished(guess, doubt) for guess in guesses]

    def distributions(
        self,
        lumas: Sequence[FloatArray],
        doubt: bool = False,
        hints: Sequence[FloatArray | None] | None = None,
        eras: Sequence[Era] | None = None,
    ) -> list[tuple[FloatArray, FloatArray]]:
        """What `predict` returns, with the shares that the `classes` are thought to have in nature: (h, w, Q) float32
        each. Asked for only where there are `classes`."""
        classes = self.classes
        assert classes is not None

        chosen = eras or [self.era] * len(lumas)

        def guess(views: FloatArray, place: slice) -> list[tuple[FloatArray, FloatArray]]:
            ab, shares = self._model.distribution(views, _stacked(hints, place), chosen[place])
            if doubt or self._calm > 0:
                ab = np.concatenate((ab, classes.doubt(ab, shares)), axis=1)
            return list(zip(ab, shares, strict=True))

        return [(self._finished(ab, doubt), shares) for ab, shares in self._in_batches(lumas, guess)]

    def _in_batches(
        self, lumas: Sequence[FloatArray], ask: Callable[[FloatArray, slice], list[Result]]
    ) -> list[Result]:
        """What the model says to each, `batch` of them at a time, or fewer where memory asks for it.

        Args:
            ask: called with a batch, and its place among all.
        """
        results: list[Result] = []
        while len(results) < len(lumas):
            place = slice(len(results), len(results) + self.batch)
            group = lumas[place]
            try:
                with self._turn:
                    guesses = ask(np.stack(group), place)
            except Exception as error:
                if not _is_out_of_memory(error):
                    raise
                if len(group) == 1:
                    raise DeviceError(
                        f"{self.device} has too little memory for one picture at working size {self.size}",
                        "Give a smaller --size, or --device cpu",
                    ) from error
                # Half of what just failed, for the rest of the run.
                self.batch = len(group) // 2
                continue
            results += guesses
        return results

    def _finished(self, guess: FloatArray, doubt: bool) -> FloatArray:
        if not self._calm:
            return guess
        ab = calmed(guess, self._calm)
        return np.concatenate((ab, guess[2:])) if doubt else ab


def _stacked(hints: Sequence[FloatArray | None] | None, place: slice) -> FloatArray | None:
    """Of a batch: (N, 3, S, S), zeros for pictures without; None where all are without."""
    group = hints[place] if hints else []
    told = [drawn for drawn in group if drawn is not None]
    return np.stack([np.zeros_like(told[0]) if drawn is None else drawn for drawn in group]) if told else None


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, RestoreError):
        return False
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(phrase in text for phrase in _OUT_OF_MEMORY)
