"""A probable negative is noted, and coloured like any other photo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from restore.photos.negative import looks_negative
from tests.conftest import Result
from tests.pictures import luma_of

POSITIVES = ("astronaut", "camera", "chelsea", "coffee", "rocket")
NEGATIVES = ("camera", "rocket")
"""Those whose inversions are found: more than half of all are not."""


def _luma(name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.fromarray(getattr(data, name)()).convert("L"))


@pytest.mark.parametrize("name", POSITIVES)
def test_positives_are_not_taken_for_negatives(name: str) -> None:
    luma = _luma(name)
    faded = (luma * 0.4 + 90).astype(np.uint8)
    assert not looks_negative(luma) and not looks_negative(faded)
    assert not looks_negative(luma.astype(np.uint16) * 257)


@pytest.mark.parametrize("name", NEGATIVES)
def test_negatives_are_found(name: str) -> None:
    luma = 255 - _luma(name)
    assert looks_negative(luma) and looks_negative(luma.astype(np.uint16) * 257)


def test_odd_pictures_do_no_harm() -> None:
    for shape in ((1, 1), (1, 5000), (64, 64)):
        assert not looks_negative(np.zeros(shape, np.uint8))


def test_run_warns_and_colours_all_the_same(tmp_path: Path, restore_photos: Callable[..., Result]) -> None:
    (tmp_path / "in").mkdir()
    negative = 255 - _luma(NEGATIVES[0])
    Image.fromarray(negative).save(tmp_path / "in" / "n.png")
    Image.fromarray(negative).save(
        tmp_path / "in" / "pages.tif", save_all=True, append_images=[Image.fromarray(255 - negative)]
    )
    Image.fromarray(255 - negative).save(tmp_path / "in" / "p.png")
    result = restore_photos(tmp_path / "in", "--verbose")
    notes = {Path(file["path"]).name: file["notes"] for file in result.report["files"]}
    assert result.code == 0 and notes["p.png"] == [] and "negative" in notes["n.png"][0]
    assert "negative" in notes["pages.tif"][0] and "(1 of 2 pages)" in notes["pages.tif"][0]
    assert "2 probably negative" in result.out and "n.png (it looks like a negative" in result.out
    assert np.array_equal(luma_of(tmp_path / "in-restored" / "n.png"), negative)
