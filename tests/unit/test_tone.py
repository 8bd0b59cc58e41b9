"""Grey, toned and coloured pictures are told apart."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps
from skimage import data

from restore.tone import find_tone
from tests.pictures import colourful, grey


@pytest.mark.parametrize("name", ["camera", "coins", "moon"])
def test_grey_and_toned(name: str) -> None:
    picture = Image.fromarray(getattr(data, name)())
    assert find_tone(picture.convert("RGB")) == "neutral"
    for black, white, middle in (("#1a0f08", "#fff3d6", "#8a6a48"), ("#001428", "#f2fbff", "#3a78a8")):
        toned = ImageOps.colorize(picture, black, white, middle)
        noise = np.random.default_rng(0).normal(0, 4, (toned.height, toned.width, 3))
        assert find_tone(Image.fromarray(np.clip(np.asarray(toned) + noise, 0, 255).astype(np.uint8))) == "toned"


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_colour(name: str) -> None:
    picture = Image.fromarray(getattr(data, name)())
    assert find_tone(picture) == "color"
    pale = Image.blend(picture.convert("L").convert("RGB"), picture, 0.6)
    assert find_tone(pale) == "color"


def test_few_flat_colours_and_a_small_coloured_thing() -> None:
    assert find_tone(colourful()) == "color"
    picture = Image.fromarray(grey(400, 300)).convert("RGB")
    picture.paste((190, 20, 30), (100, 100, 140, 140))
    assert find_tone(picture) == "color"


@pytest.mark.parametrize(("colour", "tone"), [((128, 128, 128), "neutral"), ((255, 0, 0), "color")])
def test_one_pixel(colour: tuple[int, int, int], tone: str) -> None:
    assert find_tone(Image.new("RGB", (1, 1), colour)) == tone
