"""Grey, toned, hand-tinted and coloured pictures are told apart."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PIL import Image
from skimage import data

from restore.tone import Tone, find_tone, has_color
from tests.pictures import colourful, grey
from tests.tones import KINDS

PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")


@pytest.fixture(scope="module")
def found() -> dict[tuple[Tone, str], Counter[Tone]]:
    """What each kind of the test set is taken for."""
    counts: dict[tuple[Tone, str], Counter[Tone]] = {}
    for seed, name in enumerate(PHOTOS):
        picture = Image.fromarray(getattr(data, name)())
        picture.thumbnail((240, 240))
        rng = np.random.default_rng(seed)
        for tone, kinds in KINDS.items():
            for kind, make in kinds.items():
                counts.setdefault((tone, kind), Counter())[find_tone(make(picture, rng))] += 1
    return counts


@pytest.mark.parametrize(("tone", "kind"), [(tone, kind) for tone, kinds in KINDS.items() for kind in kinds])
def test_each_kind(found: dict[tuple[Tone, str], Counter[Tone]], tone: Tone, kind: str) -> None:
    counts = found[tone, kind]
    assert sum(counts.values()) == len(PHOTOS)
    # One of four may be taken for its neighbour; paint and colours are never coloured over.
    assert counts[tone] >= len(PHOTOS) - 1, counts
    assert all(has_color(other) == has_color(tone) for other in counts), counts


@pytest.mark.parametrize("name", ["camera", "coins", "moon"])
def test_grey_photographs(name: str) -> None:
    assert find_tone(Image.fromarray(getattr(data, name)()).convert("RGB")) == "neutral"


def test_few_flat_colours_and_a_small_coloured_thing() -> None:
    assert find_tone(colourful()) == "color"
    picture = Image.fromarray(grey(400, 300)).convert("RGB")
    picture.paste((190, 20, 30), (100, 100, 140, 140))
    assert find_tone(picture) == "tinted"


@pytest.mark.parametrize(
    ("size", "colour", "tone"),
    [((1, 1), (128, 128, 128), "neutral"), ((1, 1), (255, 0, 0), "color"), ((4000, 3), (120, 90, 60), "toned")],
)
def test_odd_sizes(size: tuple[int, int], colour: tuple[int, int, int], tone: str) -> None:
    assert find_tone(Image.new("RGB", size, colour)) in (tone, "color")
