"""Pictures of known tone, made of colour photographs: grey, toned, hand-tinted and in colour, of several kinds each."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from skimage.color import lab2rgb, rgb2lab
from skimage.segmentation import felzenszwalb

from restore.tone import Tone

Float = npt.NDArray[np.float64]
Make = Callable[[Image.Image, np.random.Generator], Image.Image]

# Black, middle and white of toned papers.
_TONINGS = {
    "sepia": ("#1a0f08", "#8a6a48", "#fff3d6"),
    "light sepia": ("#120e0b", "#85796d", "#fbf6ec"),
    "cyanotype": ("#001428", "#3a78a8", "#f2fbff"),
    "selenium": ("#1c1420", "#7d7480", "#f6f4f4"),
    "yellowed": ("#2a2418", "#8d8064", "#ecdcb0"),
}
_PAINTS = (
    (18, 12),
    (28, 18),
    (-4, -22),
    (-20, 18),
    (4, 30),
    (14, -10),
)  # cheeks, red, blue, green, gold, violet (a, b)


def _array(picture: Image.Image) -> Float:
    return np.asarray(picture, np.float64)


def _image(values: npt.NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(values, 0, 255)).astype(np.uint8))


def jpeg(picture: Image.Image, quality: int = 70) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


def plain(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return picture.convert("L").convert("RGB")


def noisy(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A grey scan in colour mode: a slight cast, noise in each channel, JPEG."""
    values = _array(plain(picture, rng)) * rng.uniform(0.99, 1.01, 3) + rng.normal(
        0, 4, (picture.height, picture.width, 3)
    )
    return jpeg(_image(values))


def faded(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return jpeg(_image(_array(plain(picture, rng)) * 0.4 + 90))


def toning(name: str) -> Make:
    def make(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        black, middle, white = _TONINGS[name]
        toned = _array(ImageOps.colorize(picture.convert("L"), black, white, middle))
        return jpeg(_image(toned + rng.normal(0, 3, toned.shape)), 80)

    return make


def uneven(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Sepia that has faded towards an edge."""
    toned, grey = _array(toning("sepia")(picture, rng)), _array(plain(picture, rng))
    side = np.linspace(0.35, 1.0, picture.width)[None, :, None] * np.linspace(0.8, 1.0, picture.height)[:, None, None]
    return jpeg(_image(grey + (toned - grey) * (side if rng.random() < 0.5 else side[:, ::-1])), 80)


def painted(base: Make, strength: float) -> Make:
    """Colour laid on a few things of a print, in one hue each, with soft edges; what lies below shows through."""

    def make(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
        print_ = base(picture, rng)
        lab = rgb2lab(np.asarray(print_))
        small = picture.convert("RGB")
        parts = felzenszwalb(np.asarray(small), scale=300, sigma=1.0, min_size=small.width * small.height // 120)
        names, counts = np.unique(parts, return_counts=True)
        share = counts / parts.size
        choice = rng.permutation(names[(share > 0.01) & (share < 0.25)])
        covered = 0.0
        paints = rng.permutation(len(_PAINTS))
        for number, name in enumerate(choice[: rng.integers(2, 5)]):
            if covered > 0.3:
                break
            mask = (parts == name).astype(np.float64)
            covered += float(mask.mean())
            soft = cv2.GaussianBlur(mask, (0, 0), max(1.0, picture.width / 120))
            colour = np.array(_PAINTS[paints[number % len(_PAINTS)]]) * strength
            # Paint hardly shows on black, and less on white paper than on grey.
            room = np.clip(lab[..., 0] / 40, 0.2, 1) * np.clip((108 - lab[..., 0]) / 40, 0.3, 1)
            lab[..., 1:] += soft[..., None] * room[..., None] * colour
        return jpeg(_image(lab2rgb(lab) * 255), 85)

    return make


def original(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return picture


def paler(factor: float) -> Make:
    return lambda picture, rng: Image.blend(plain(picture, rng), picture, factor)


def faded_colour(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A colour print that has faded: little contrast, little colour, a yellowish red cast."""
    return jpeg(_image(_array(paler(0.6)(picture, rng)) * 0.7 + np.array([70, 55, 45])), 80)


KINDS: Mapping[Tone, Mapping[str, Make]] = {
    "neutral": {"grey": plain, "noisy scan": noisy, "faded": faded},
    "toned": {**{name: toning(name) for name in _TONINGS}, "uneven sepia": uneven},
    "tinted": {
        "painted grey": painted(plain, 1.0),
        "painted grey, lightly": painted(plain, 0.6),
        "painted sepia": painted(toning("light sepia"), 1.0),
        "painted noisy scan": painted(noisy, 0.8),
    },
    "color": {"original": original, "half the colour": paler(0.5), "faded colour": faded_colour},
}
