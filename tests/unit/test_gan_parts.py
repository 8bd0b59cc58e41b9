"""Discriminators, initial weights, GAN and feature losses, each against what its paper or project says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from restore.errors import InputError, UsageError
from restore.networks import GeneratorConfig, HeadConfig, ModelConfig, build_model
from train.discriminators import build_discriminator
from train.encoders import load_encoder_weights
from train.initialise import initialise


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def receptive_field(discriminator: nn.Module, size: int) -> int:
    """Rows of the input that one logit in the middle depends on."""
    x = torch.randn(1, 3, size, size, requires_grad=True)
    logits = discriminator.eval()(x)[-1]
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    assert x.grad is not None
    return int((x.grad[0].abs().sum((0, 2)) > 0).sum())


def test_patch_discriminator_is_the_published_one() -> None:
    discriminator = build_discriminator("patch", {})
    assert discriminator(torch.zeros(2, 3, 256, 256))[-1].shape == (2, 1, 30, 30)
    convs = [module for module in discriminator.modules() if isinstance(module, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.stride[0]) for c in convs] == [
        (3, 64, 2),
        (64, 128, 2),
        (128, 256, 2),
        (256, 512, 1),
        (512, 1, 1),
    ]
    assert convs[-1].bias is not None
    norms = [module.num_features for module in discriminator.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms == [128, 256, 512]
    # (3·64 + 64·128 + 128·256 + 256·512 + 512·1)·16 weights, biases of the first and last, scale and shift of the norms
    assert count(discriminator) == (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512) * 16 + 64 + 1 + 2 * (
        128 + 256 + 512
    )


@pytest.mark.parametrize(("downs", "patch"), [(1, 16), (2, 34), (3, 70), (4, 142)])
def test_depth_decides_the_patch(downs: int, patch: int) -> None:
    torch.manual_seed(0)
    assert receptive_field(build_discriminator("patch", {"downs": downs, "filters": 8}), 256) == patch


def test_pixel_discriminator_sees_one_pixel() -> None:
    discriminator = build_discriminator("pixel", {})
    assert discriminator(torch.zeros(1, 3, 64, 64))[-1].shape == (1, 1, 64, 64)
    assert receptive_field(discriminator, 16) == 1


def test_spectral_norm_bounds_every_convolution() -> None:
    torch.manual_seed(0)
    discriminator = build_discriminator("patch", {"spectral": True, "filters": 16})
    assert not [module for module in discriminator.modules() if isinstance(module, nn.BatchNorm2d)]
    discriminator.train()
    with torch.no_grad():
        for module in discriminator.modules():
            if isinstance(module, nn.Conv2d):
                module.parametrizations.weight.original.mul_(50)  # type: ignore[union-attr]
        for _ in range(30):  # the power iteration converges
            discriminator(torch.randn(1, 3, 64, 64))
    for module in discriminator.modules():
        if isinstance(module, nn.Conv2d):
            assert torch.linalg.matrix_norm(module.weight.detach().flatten(1), 2) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [("cell", {}, "patch, pixel"), ("patch", {"depth": 3}, "depth"), ("patch", {"downs": 0}, "downs")],
)
def test_a_wrong_discriminator_says_what_is_wrong(name: str, arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build_discriminator(name, arguments)


@pytest.mark.parametrize(("method", "spread"), [("normal", 0.02), ("xavier", 0.02 * (2 / (2048 + 1024)) ** 0.5)])
def test_initial_weights(method: str, spread: float) -> None:
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(128, 64, 4), nn.BatchNorm2d(64))
    initialise(layers, method)
    assert float(layers[0].weight.detach().std()) == pytest.approx(spread, rel=0.02)
    assert not layers[0].bias.any()
    assert float(layers[1].weight.detach().mean()) == pytest.approx(1, abs=0.02)
    assert not layers[1].bias.any()


def test_kaiming_keeps_the_variance_of_a_relu() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(128, 64, 4)
    initialise(conv, "kaiming")
    assert float(conv.weight.detach().std()) == pytest.approx((2 / (128 * 16)) ** 0.5, rel=0.02)


def resnet_model(depth: int = 18) -> ModelConfig:
    return ModelConfig(GeneratorConfig("resnet_unet", {"depth": depth}), HeadConfig("regression"), 64)


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_resnet_takes_torchvisions_weights_from_a_file(depth: int, tmp_path: Path) -> None:
    """On grey, our encoder's first stage says what torchvision's network says on the same grey in RGB."""
    from torchvision import models

    torch.manual_seed(depth)
    published = models.get_model(f"resnet{depth}", weights=None).eval()
    path = tmp_path / "resnet.pth"
    torch.save(published.state_dict(), path)
    model = build_model(resnet_model(depth)).eval()
    assert load_encoder_weights(model, str(path))
    grey = torch.randn(1, 1, 64, 64)
    generator = model.generator
    with torch.no_grad():
        ours = generator.stages[0](generator.pool(generator.stem(grey)))  # type: ignore[index, operator]
        rgb = grey.expand(1, 3, 64, 64)
        theirs = published.layer1(published.maxpool(published.relu(published.bn1(published.conv1(rgb)))))
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_weights_that_cannot_be_had_say_where_to_put_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there: no network
    with pytest.raises(InputError, match=r"can't be downloaded.*resnet18-\w+\.pth.*--encoder-weights FILE"):
        load_encoder_weights(build_model(resnet_model()), "imagenet")


@pytest.mark.parametrize(
    ("generator", "choice"), [("unet", "imagenet"), ("resnet_unet", "package"), ("efficientnet_unet", "imagenet")]
)
def test_weights_that_do_not_exist_name_those_that_do(generator: str, choice: str) -> None:
    model = build_model(ModelConfig(GeneratorConfig(generator), HeadConfig("regression"), 256))
    with pytest.raises(UsageError, match="Give "):
        load_encoder_weights(model, choice)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, path)
    with pytest.raises(InputError, match=r"conv1\.weight is missing"):
        load_encoder_weights(build_model(resnet_model()), str(path))
    torch.save([1, 2], path)
    with pytest.raises(InputError, match="no table of tensors"):
        load_encoder_weights(build_model(resnet_model()), str(path))
