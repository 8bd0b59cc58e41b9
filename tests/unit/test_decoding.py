"""Fitted decodings: modes instead of mixtures, one colour for one ground, and numbers that come out of pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from restore.checkpoint import load_checkpoint
from restore.colorizers import load_engine
from restore.decoding import Decoding, Decodings
from restore.errors import ModelError, UsageError
from restore.networks import HeadConfig
from restore.networks.heads import ClassesHead, build_head, quantised_ab_bins
from restore.options import EngineOptions
from tests.exported import save_small, some_decodings
from train.decodings import Goal, Pixels, decodings, fit, palette

BINS = quantised_ab_bins()
PLAIN = torch.ones(1, len(BINS))


def fitted_head() -> ClassesHead:
    head = build_head(HeadConfig("classes", decodings=some_decodings()))
    assert isinstance(head, ClassesHead)
    return head


def shares_of(*colors: tuple[float, float, float], size: int = 12) -> torch.Tensor:
    """(1, size, size, Q) shares: a, b and how much of each, the same everywhere."""
    shares = torch.zeros(len(BINS))
    for a, b, share in colors:
        shares[(BINS - torch.tensor([a, b])).norm(dim=1).argmin()] += share
    return shares.expand(1, size, size, -1).clone()


def decoded(shares: torch.Tensor, luma: torch.Tensor | None = None, pull: float = 1e-3) -> torch.Tensor:
    side = shares.shape[1]
    light = torch.zeros(1, 1, side, side) if luma is None else luma
    return fitted_head().decode_fitted(shares, light, PLAIN, torch.tensor([[pull, 20.0, 1.0]]))


def test_red_or_blue_is_decided_and_not_mixed_to_purple() -> None:
    red, blue = (60.0, 40.0), (20.0, -60.0)
    ab = decoded(shares_of((*red, 0.6), (*blue, 0.4)))[0, :, 6, 6]
    assert torch.allclose(ab, torch.tensor(red), atol=3)
    ab = decoded(shares_of((*red, 0.4), (*blue, 0.6)))[0, :, 6, 6]
    assert torch.allclose(ab, torch.tensor(blue), atol=3)
    # With nothing but the pull it is the mean, which is purple.
    mean = decoded(shares_of((*red, 0.6), (*blue, 0.4)), pull=1e6)[0, :, 6, 6]
    assert torch.allclose(mean, torch.tensor([44.0, 0.0]), atol=1)


def test_a_smooth_ground_gets_one_colour_and_an_edge_keeps_two() -> None:
    red, green = (40.0, 20.0), (-40.0, 40.0)
    shares = shares_of((*red, 0.55), (*green, 0.45), size=32)
    doubtful = shares_of((*red, 0.48), (*green, 0.52), size=32)
    rng = np.random.default_rng(0)
    spots = torch.from_numpy(rng.random((1, 32, 32, 1)) < 0.2)
    ab = decoded(torch.where(spots, doubtful, shares))[0]
    assert (ab[0] > 20).all()  # no green patches on the red ground
    edge = torch.full((1, 1, 32, 32), -0.8)
    edge[..., 16:] = 0.8
    halves = torch.cat((shares_of((*red, 0.8), (*green, 0.2), size=32)[:, :, :16], doubtful[:, :, 16:]), 2)
    ab = decoded(halves, edge)[0]
    assert (ab[0, :, :14] > 20).all() and (ab[0, :, 18:] < -20).all()


def test_the_palette_of_an_era_moves_shares() -> None:
    head = fitted_head()
    raw = torch.zeros(1, len(BINS), 4, 4)
    added = torch.zeros(1, len(BINS))
    added[:, 0] = 5.0
    assert head.shares(raw, added)[0, 0, 0, 0] > 0.3 > 50 * head.shares(raw)[0, 0, 0, 0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda all_of: all_of.pop("period"), "each style of each era"),
        (lambda all_of: all_of["modern"].pop("vivid"), "each style of each era"),
        (lambda all_of: all_of["modern"]["vivid"].pop("pull"), "not as they have to be"),
        (lambda all_of: all_of["modern"]["vivid"].update(reach=0.0), "above 0"),
        (lambda all_of: all_of["modern"]["vivid"].update(gain=float("nan")), "finite"),
        (lambda all_of: all_of["modern"]["vivid"]["weights"].pop(), "each bin"),
    ],
)
def test_decodings_that_can_not_be_are_refused(change: Any, says: str) -> None:
    fields = some_decodings()
    change(fields)
    with pytest.raises(ValueError, match=says):
        Decodings(fields)


def test_a_checkpoint_keeps_its_decodings_and_a_broken_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "fitted.safetensors"
    save_small(path, "fitted")
    model, _ = load_checkpoint(path)
    assert isinstance(model.head, ClassesHead) and model.head.decodings is not None
    raw = path.read_bytes()
    broken = raw.replace(b'\\"pull\\": 0.2', b'\\"pull\\": 0.0')
    assert broken != raw
    path.write_bytes(broken)
    with pytest.raises(ModelError, match="above 0"):
        load_checkpoint(path)


def test_eras_are_refused_by_a_model_that_knows_none(tmp_path: Path) -> None:
    path = tmp_path / "plain.safetensors"
    save_small(path, "least_cost")
    with pytest.raises(UsageError, match="knows no eras"):
        load_engine(EngineOptions(str(path), era="period"))
    assert load_engine(EngineOptions(str(path))).era == "period"


def test_a_fit_brings_magenta_down_where_the_truth_is_grey() -> None:
    head = fitted_head()
    generator = torch.Generator().manual_seed(0)
    grey, magenta, brown = (
        (BINS - torch.tensor(c)).norm(dim=1).argmin() for c in ([0.0, 0.0], [40.0, -20.0], [10.0, 20.0])
    )
    truth = torch.rand(40, 60, generator=generator)
    shares = torch.full((40, 60, len(BINS)), 1e-5)
    shares[..., grey], shares[..., magenta], shares[..., brown] = 0.45, 0.3, 0.25
    ab = torch.where((truth < 0.6)[..., None], BINS[grey] + 1.0, BINS[brown])
    pixels = Pixels(shares / shares.sum(-1, keepdim=True), ab, torch.ones(40, 60, 1))
    goal = Goal(0.9, 20.0, 0.0)
    start, end = (fit(head, pixels, goal, torch.zeros(len(BINS)), steps) for steps in (1, 120))
    assert end.weights[magenta] / end.weights[brown] < 0.5 * start.weights[magenta] / start.weights[brown]
    assert end == fit(head, pixels, goal, torch.zeros(len(BINS)), 120)  # the same in every run


def test_a_palette_is_what_the_period_had_more_of() -> None:
    often, seldom = BINS[10].expand(90, 2), BINS[200].expand(10, 2)
    added = palette(BINS, torch.cat((often, seldom)), torch.cat((BINS[10].expand(10, 2), BINS[200].expand(90, 2))))
    assert added[10] == pytest.approx(np.log(9), abs=0.1) and added[200] == pytest.approx(-np.log(9), abs=0.1)
    assert added[0] == pytest.approx(0, abs=1e-6)


def test_the_command_writes_what_a_model_takes(tmp_path: Path) -> None:
    save_small(tmp_path / "small.safetensors", "annealed")
    for name, picture in (("modern", data.astronaut()), ("period", data.coffee())):
        (tmp_path / name).mkdir()
        for turn in range(3):
            Image.fromarray(np.rot90(picture, turn)).resize((96, 96)).save(tmp_path / name / f"{turn}.png")
    decodings(
        str(tmp_path / "small.safetensors"),
        tmp_path / "modern",
        tmp_path / "period",
        tmp_path / "decodings.json",
        pictures=3,
        steps=2,
    )
    fields = json.loads((tmp_path / "decodings.json").read_text())
    Decodings(fields)
    assert any(Decoding(**fields["period"]["vivid"]).palette) and not any(fields["modern"]["vivid"]["palette"])
