"""The library's face: `Colorizer().colorize(image)`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import overload

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from restore.colorizers import load_engine
from restore.era import era_of_picture
from restore.hints import Hint
from restore.merge import merge_rgb
from restore.options import EngineOptions, EraChoice, Style
from restore.stills import Still, guess, look

FloatArray = npt.NDArray[np.float32]
Luma = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Picture = Image.Image | npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
GREY_WEIGHTS = (0.299, 0.587, 0.114)


class Colorizer:
    """Colours pictures. The grey of each result is the grey of its input, value for value.

    Args:
        model: `default`, a checkpoint file, or the folder of a training run.
        device: auto, cpu, cuda, cuda:N or mps.
        batch: pictures at a time in `colorize_many`; None chooses.
        size: the network's working size in pixels; None is the model's own.
        style: `natural` (calm) or `vivid`; None is the model's own.
        era: whose palette the colours have: `period` (before about 1970) or `modern`; `auto` goes by what a PIL image
            says of itself, and takes arrays as `period`.
        saturation: factor on the guessed chroma, 0 (grey) and up.
        calm: how much less saturation where the model is unsure, 0 (off) to 1.

    Raises:
        restore.errors.RestoreError: no such model or device, or a size, an era or `calm` that the model can't take.
    """

    def __init__(
        self,
        model: str = "default",
        *,
        device: str = "auto",
        batch: int | None = None,
        size: int | None = None,
        style: Style | None = None,
        era: EraChoice = "auto",
        saturation: float = 1.0,
        calm: float = 0.0,
    ) -> None:
        options = EngineOptions(model=model, device=device, batch=batch, size=size, style=style, era=era, calm=calm)
        self._engine = load_engine(options)
        self.saturation = saturation

    @overload
    def colorize(self, image: Image.Image, hints: Sequence[Hint] = ()) -> Image.Image: ...
    @overload
    def colorize(self, image: npt.NDArray[np.uint8], hints: Sequence[Hint] = ()) -> npt.NDArray[np.uint8]: ...
    @overload
    def colorize(self, image: npt.NDArray[np.uint16], hints: Sequence[Hint] = ()) -> npt.NDArray[np.uint16]: ...
    def colorize(self, image: Picture, hints: Sequence[Hint] = ()) -> Picture:
        """Colour one picture.

        Args:
            image: a PIL image (turned upright by its EXIF; its grey is what `convert("L")` gives), or an array of 8
                or 16 bit, (H, W) grey or (H, W, 3) RGB, of which the grey is taken.
            hints: colours of places of the upright picture, which the model goes by, there and around.

        Returns:
            RGB: a PIL image for one of 8 bit, else an (H, W, 3) array of the input's depth (Pillow has no 16-bit RGB).

        Raises:
            restore.errors.UsageError: hints, and the model takes none.
        """
        if hints:
            self._engine.check_takes_hints("hints")
        luma = _luma(image)
        still = self._look(image, luma, hints)
        return self._finished(image, luma, still, guess(self._engine, [still])[0])

    def colorize_many(self, images: Iterable[Picture]) -> Iterator[Picture]:
        """Colour any number of pictures of any sizes, in order, a batch at a time."""
        pending = iter(images)
        while group := list(islice(pending, self._engine.batch)):
            lumas = [_luma(image) for image in group]
            stills = [self._look(image, luma) for image, luma in zip(group, lumas, strict=True)]
            for image, luma, still, ab in zip(group, lumas, stills, guess(self._engine, stills), strict=True):
                yield self._finished(image, luma, still, ab)

    def _look(self, image: Picture, luma: Luma, hints: Sequence[Hint] = ()) -> Still:
        era = self._engine.era_for(era_of_picture(image) if isinstance(image, Image.Image) else "period")
        return look(luma, self._engine.size, hints=hints, era=era)

    def _finished(self, image: Picture, luma: Luma, still: Still, ab: FloatArray) -> Picture:
        coloured = merge_rgb(luma, still.chroma(ab, self.saturation))
        return Image.fromarray(coloured) if isinstance(image, Image.Image) and luma.dtype == np.uint8 else coloured

    def doubt(self, image: Picture) -> npt.NDArray[np.float32]:
        """How far the colour guessed for each pixel is expected to be from the truth, by the model's own distribution.

        Args:
            image: as `colorize` takes it.

        Returns:
            (H, W) distance in Lab units of ab, of the guess before `calm` and `saturation`. About 5 where the model is
            sure, 35 where it can only guess; docs/model-card.md has the measured errors beside it.

        Raises:
            restore.errors.UsageError: the model can't say.
        """
        self._engine.check_knows_doubt("doubt()")
        luma = _luma(image)
        still = self._look(image, luma)
        return still.doubt(guess(self._engine, [still], doubt=True)[0], *luma.shape)


def _luma(image: Picture) -> Luma:
    if isinstance(image, Image.Image):
        if image.mode.startswith("I;16"):
            return np.asarray(image).astype(np.uint16)
        if image.mode.startswith(("I", "F")):
            raise TypeError(f"pictures of mode {image.mode} have no known range; give an array of uint8 or uint16")
        return np.asarray(ImageOps.exif_transpose(image).convert("L"))
    dtype = getattr(image, "dtype", type(image).__name__)
    if dtype not in (np.uint8, np.uint16):
        raise TypeError(f"pictures are PIL images, or arrays of uint8 or uint16, not {dtype}")
    if image.ndim == 2:
        return image
    if image.ndim == 3 and image.shape[2] == 3:
        return np.rint(image @ np.array(GREY_WEIGHTS)).astype(image.dtype)
    raise ValueError(f"pictures have shape (H, W) or (H, W, 3), not {image.shape}")
