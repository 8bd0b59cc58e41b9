"""Discriminators, initial weights, GAN and feature losses, each against what its paper or project says."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data
from torch import nn

from restore.color import rgb_to_lab, scale_l
from restore.errors import InputError, UsageError
from restore.metrics import colorfulness
from restore.networks import GeneratorConfig, HeadConfig, ModelConfig, build_model
from train.config import TrainConfig
from train.discriminators import build_discriminator
from train.encoders import load_encoder_weights
from train.features import PackagedFeatureLoss, VggFeatureLoss, matching_loss
from train.initialise import initialise
from train.learner import Learner, new_optimizer
from train.losses import adversarial_loss, colorfulness_loss, discriminator_loss
from train.steps import Chunk, Objective, gan_step
from train.validate import rank


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


def test_gan_losses_are_their_formulas() -> None:
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    softplus = nn.functional.softplus
    halves = discriminator_loss("vanilla", real, fake)
    assert torch.allclose(torch.stack(halves), torch.stack((softplus(-real).mean(), softplus(fake).mean())))
    assert torch.allclose(adversarial_loss("vanilla", fake), softplus(-fake).mean())
    halves = discriminator_loss("lsgan", real, fake)
    assert [float(half) for half in halves] == pytest.approx([(1 + 4) / 2, (0.25 + 9) / 2])
    assert float(adversarial_loss("lsgan", fake)) == pytest.approx((0.25 + 16) / 2)
    halves = discriminator_loss("hinge", real, fake)
    assert [float(half) for half in halves] == pytest.approx([(0 + 2) / 2, (1.5 + 0) / 2])
    assert float(adversarial_loss("hinge", fake)) == pytest.approx(1.25)


def lab_of(photo: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Scaled L and ab of a photo, (1, 1, H, W) and (1, 2, H, W)."""
    lab = rgb_to_lab(torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255)
    return scale_l(lab[:, :1]), lab[:, 1:] / 110


def test_colorfulness_loss_is_the_metric_and_pulls_grey_apart() -> None:
    photo = data.coffee()[:128, :160]
    scaled_l, ab = lab_of(photo)
    assert 100 * (1 - float(colorfulness_loss(scaled_l, ab, 110.0))) == pytest.approx(colorfulness(photo), abs=0.3)
    grey = (0.01 * torch.randn_like(ab)).requires_grad_()
    loss = colorfulness_loss(scaled_l, grey, 110.0)
    loss.backward()
    assert grey.grad is not None
    assert torch.isfinite(grey.grad).all()
    assert colorfulness_loss(scaled_l, grey - 0.5 * grey.grad / grey.grad.abs().max(), 110.0) < loss


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG19-bn's features as torchvision stores them, with random weights: the real ones can't be had offline."""
    from torchvision import models

    torch.manual_seed(0)
    features = models.vgg19_bn(weights=None).features.state_dict()
    path = tmp_path_factory.mktemp("vgg") / "vgg19_bn.pth"
    torch.save({f"features.{name}": tensor for name, tensor in features.items()}, path)
    return path


def test_vgg_feature_loss_is_its_slices_weighted(vgg_file: Path) -> None:
    from torchvision import models

    loss = VggFeatureLoss(str(vgg_file)).eval()
    assert [len(part) for part in loss.slices] == [27, 13, 13]
    scaled_l, real = lab_of(data.coffee()[:64, :64])
    fake = 0.5 * real
    whole = models.vgg19_bn(weights=None).features
    whole.load_state_dict({k.removeprefix("features."): v for k, v in torch.load(vgg_file).items()})
    whole.eval()
    with torch.no_grad():
        ours, expected = float(loss(scaled_l, fake, real)), 0.0
        for weight, cut in ((20, 27), (70, 40), (10, 53)):
            pair = [whole[:cut](torch.cat((scaled_l, ab), 1)) for ab in (fake, real)]
            expected += weight * float((pair[0] - pair[1]).abs().mean())
    assert ours == pytest.approx(expected, rel=1e-4)


def test_vgg_without_a_network_names_the_other_choices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"--feature-weights FILE, --feature-loss package or .*discriminator"):
        VggFeatureLoss()
    (tmp_path / "other.pth").write_bytes(b"")
    with pytest.raises(InputError, match=r"other\.pth"):
        VggFeatureLoss(str(tmp_path / "other.pth"))


def test_packaged_feature_loss_grows_with_the_error_and_has_a_slope() -> None:
    loss = PackagedFeatureLoss(110.0).eval().requires_grad_(False)
    scaled_l, real = lab_of(data.chelsea()[:96, :96])
    values = [float(loss(scaled_l, share * real, real)) for share in (1.0, 0.7, 0.3, 0.0)]
    assert values[0] == 0
    assert values == sorted(values)
    fake = (0.2 * real).requires_grad_()
    loss(scaled_l, fake, real).backward()
    assert fake.grad is not None
    assert torch.isfinite(fake.grad).all()
    with torch.no_grad():  # a small step along the slope brings it nearer
        assert float(loss(scaled_l, fake - 1e-3 * fake.grad / fake.grad.abs().max(), real)) < float(
            loss(scaled_l, fake, real)
        )


def test_packaged_encoder_tells_photos_apart() -> None:
    """The RGB encoder is the published one: a photo is nearer to its mirror image than to another photo."""
    loss = PackagedFeatureLoss(110.0).eval()
    cat, coffee = data.chelsea()[:256, :256], data.coffee()[:256, :256]
    with torch.no_grad():
        deep = [loss.maps(*lab_of(photo))[-1].mean((2, 3)) for photo in (cat, cat[:, ::-1].copy(), coffee)]
    assert (deep[0] - deep[1]).norm() < 0.5 * (deep[0] - deep[2]).norm()


def test_matching_loss_compares_all_layers_but_the_logits() -> None:
    maps = [torch.zeros(1, 2, 4, 4), torch.ones(1, 3, 2, 2)]
    assert float(matching_loss(maps, [torch.ones(1, 2, 4, 4), torch.ones(1, 3, 2, 2)])) == pytest.approx(50)


class Small(nn.Module):
    """A generator without norms or dropout, whose gradient does not depend on how a batch is parted."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 8, 3, 1, 1), nn.Tanh(), nn.Conv2d(8, 2, 3, 1, 1), nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def gan(config: TrainConfig, seed: int = 0) -> tuple[Learner, Learner]:
    torch.manual_seed(seed)
    generator, judge = Small(), build_discriminator("patch", {"filters": 8, "downs": 2, "spectral": True}).eval()
    cpu = torch.device("cpu")
    return tuple(
        Learner(network, new_optimizer(config, [(list(network.parameters()), 1e-3)], 0.0), config, cpu)
        for network in (generator, judge)
    )  # type: ignore[return-value]


def chunks(parts: int) -> list[Chunk]:
    random = torch.Generator().manual_seed(9)
    scaled_l = torch.rand(8, 1, 64, 64, generator=random) * 2 - 1
    ab = 60 * torch.randn(8, 2, 64, 64, generator=random)
    return [Chunk((seen,), true) for seen, true in zip(scaled_l.chunk(parts), ab.chunk(parts), strict=True)]


@pytest.mark.parametrize("kind", ["vanilla", "lsgan", "hinge"])
@pytest.mark.parametrize("feature", ["none", "discriminator"])
def test_accumulated_parts_learn_what_the_whole_batch_does(kind: str, feature: str) -> None:
    config = TrainConfig(gan_loss=kind, feature_loss=feature, colorfulness_weight=0.5, clip=0.0)
    results = []
    for parts in (1, 4):
        learners = gan(config)
        for learner in learners:
            learner.set_rate(1.0)
        step = gan_step(*learners, Objective(config, None, adversarial=True), nullcontext)
        for _ in range(2):
            losses = step(chunks(parts))
        results.append((losses, [p.detach().clone() for one in learners for p in one.network.parameters()]))
    for name, value in results[0][0].items():
        assert float(results[1][0][name]) == pytest.approx(float(value), rel=2e-3), name
    # Adam divides by the gradient's own size, so rounding shows where it is near zero: compare with the step's size.
    assert all((a - b).abs().mean() < 1e-4 for a, b in zip(results[0][1], results[1][1], strict=True))


def test_a_gan_step_moves_each_network_by_its_own_loss_alone() -> None:
    config = TrainConfig(clip=0.0)
    generator, judge = gan(config)
    generator.set_rate(0.0)
    judge.set_rate(1.0)
    before = [[p.detach().clone() for p in one.network.parameters()] for one in (generator, judge)]
    step = gan_step(generator, judge, Objective(config, None, adversarial=True), nullcontext)
    losses = step(chunks(1))
    assert all(torch.equal(a, b) for a, b in zip(before[0], generator.network.parameters(), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(before[1], judge.network.parameters(), strict=True))
    assert all(p.grad is None for p in judge.network.parameters()), "the generator's loss left no gradient there"
    assert all(p.requires_grad for p in judge.network.parameters())
    assert float(losses["loss_D"]) == pytest.approx(float(losses["loss_D_real"] + losses["loss_D_fake"]) / 2)
    assert float(losses["loss_G"]) == pytest.approx(float(losses["loss_G_GAN"] + losses["loss_G_L1"]), rel=1e-5)


def test_without_the_adversary_fooling_counts_for_nothing() -> None:
    config = TrainConfig(feature_loss="discriminator", clip=0.0)
    generator, judge = gan(config)
    losses = gan_step(generator, judge, Objective(config, None, adversarial=False), nullcontext)(chunks(1))
    assert "loss_G_GAN" not in losses
    assert float(losses["loss_G_feature"]) > 0


def test_checkpoints_are_ranked_by_colour_error_and_rare_colours() -> None:
    grey = rank(0.0, 0.0, 0.0)
    brown = rank(1.0, 1.0, 30.0)
    vivid = rank(7.0, 1.0, 90.0)
    garish = rank(7.0, -4.0, 160.0)
    assert grey == pytest.approx(-7)
    assert vivid > brown > grey
    assert vivid > garish
    assert rank(5.0, 1.0, 80.0) == rank(5.0, 1.0, 105.0)
