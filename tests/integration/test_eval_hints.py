"""`restore eval photos --hints`: what is told, and how far results are from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import color, data

from restore.hint_metrics import HintMeter, random_hints
from restore.metrics import grey_of
from tests.command import restore_here
from tests.exported import save_small, small_told_known


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two photos, a model that takes hints and one that takes none."""
    folder = tmp_path_factory.mktemp("told")
    (folder / "photos").mkdir()
    for name in ("chelsea", "coffee"):
        Image.fromarray(getattr(data, name)()).save(folder / "photos" / f"{name}.png")
    with small_told_known():
        save_small(folder / "told.safetensors", "least_cost", hints=True)
        save_small(folder / "plain.safetensors", "least_cost")
        yield folder


def test_hints_are_the_originals_own_colors_at_places_of_the_seed() -> None:
    photo = data.coffee()
    hints = random_hints(photo, 100, 192, (3, 0))
    assert np.array_equal(hints, random_hints(photo, 100, 192, (3, 0)))
    assert not np.array_equal(hints[2], random_hints(photo, 100, 192, (3, 1))[2])
    small = np.asarray(Image.fromarray(photo).resize((192, 192), Image.Resampling.BOX))
    told = hints[2] > 0
    apart = np.linalg.norm(color.rgb2lab(small)[told][:, 1:] - hints[:2, told].T, axis=1)
    assert np.median(apart) < 2.5
    rows, columns = np.nonzero(told)
    assert 400 < len(rows) < 1400
    assert abs(rows.mean() - 96) < 20 and abs(columns.mean() - 96) < 20 and rows.std() > 45


def test_the_error_is_small_of_the_original_and_its_chroma_of_a_grey_picture() -> None:
    photo = data.coffee()
    hints = random_hints(photo, 30, 96, (0, 0))
    original, grey = HintMeter(), HintMeter()
    original.add(hints, photo)
    grey.add(hints, np.repeat(grey_of(photo)[..., None], 3, axis=2))
    assert original.pixels == grey.pixels == int(hints[2].sum())
    assert original.mean_error < 3 < original.mean_chroma
    assert grey.mean_error == pytest.approx(grey.mean_chroma, abs=0.05)


def test_the_command_prints_and_reports_it(folder: Path, tmp_path: Path) -> None:
    reports = []
    for name, hints in (("first", 10), ("again", 10), ("more", 100), ("none", 0)):
        report = tmp_path / f"{name}.json"
        done = restore_here(
            "eval", "photos", "--data", folder / "photos", "--model", folder / "told.safetensors", "--device", "cpu",
            "--hints", hints, "--report", report,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (f"error at {hints} hints" in done.stdout) == (hints > 0)
        reports.append(json.loads(report.read_text()))
    first, again, more, none = reports
    assert first["hints"] == again["hints"] and first["scores"] == again["scores"]
    assert first["options"]["hints"] == 10
    assert more["hints"]["pixels"] > 4 * first["hints"]["pixels"] > 0
    assert 0 < first["hints"]["error_of_grey"] < 60 and first["hints"]["error"] > 0
    assert "hints" not in none and none["scores"]["model"] != first["scores"]["model"]
    assert none["scores"]["grey"] == first["scores"]["grey"]


@pytest.mark.parametrize(
    ("model", "hints", "says"),
    [
        ("plain", "3", "--hints needs a model that takes hints, and small-least_cost takes none"),
        ("told", "-1", "--hints -1 is out of range"),
    ],
)
def test_what_can_not_be_is_said(model: str, hints: str, says: str, folder: Path) -> None:
    path = folder / f"{model}.safetensors"
    done = restore_here("eval", "photos", "--data", folder / "photos", "--model", path, "--hints", hints)
    assert done.returncode == 2
    assert says in done.stderr
