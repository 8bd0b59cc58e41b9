"""Generators: sizes, parameter counts, refusals."""

from __future__ import annotations

import pytest
import torch

from restore.networks import GENERATORS, GeneratorConfig, HeadConfig, Model, ModelConfig, build_model
from restore.networks.blocks import conv_norm_act
from restore.networks.depthwise import DepthwiseConv2d
from restore.networks.heads import ClassesHead, class_weights, prior_of, quantised_ab_bins
from restore.networks.told import hint_pyramid

# What the default network can be grown by: small, and all together.
GROWN: list[dict[str, object]] = [
    {"attention": 1, "attention_width": 64},
    {"wide": [32, 64], "wide_blocks": 1},
    {"half": 32},
    {"queries": 1},
    {"attention": 2, "attention_width": 128, "wide": [64, 32], "half": 32, "queries": 2},
]


def millions(architecture: str, **arguments: object) -> float:
    model = build_model(ModelConfig(GeneratorConfig(architecture, dict(arguments)), HeadConfig("regression")))
    return sum(p.numel() for p in model.parameters()) / 1e6


def test_pix2pix_unet_has_its_published_size() -> None:
    assert millions("unet") == pytest.approx(54.41, abs=0.01)


def test_residual_unet_halves_eight_times_and_regression_thrice() -> None:
    """Shapes of the maps inside, as the published projects have them."""
    shapes: dict[str, tuple[int, ...]] = {}

    def watch(network: torch.nn.Module, names: list[str]) -> None:
        for name in names:
            network.get_submodule(name).register_forward_hook(
                lambda module, inputs, output, name=name: shapes.update({name: tuple(output.shape[1:])})
            )

    model = build_model(ModelConfig(GeneratorConfig("residual_unet"), HeadConfig("regression"))).eval()
    watch(model.generator, ["stem", *(f"stages.{i}" for i in range(7)), "bottleneck", *(f"ups.{i}" for i in range(7))])
    with torch.no_grad():
        assert model.raw(torch.zeros(1, 1, 256, 256)).shape == (1, 2, 256, 256)
    assert [shapes[f"stages.{i}"][0] for i in range(7)] == [64, 128, 256, 512, 512, 512, 512]
    assert [shapes[f"stages.{i}"][1] for i in range(7)] == [128, 64, 32, 16, 8, 4, 2]
    assert shapes["bottleneck"] == (512, 1, 1)
    assert [shapes[f"ups.{i}"][1] for i in range(7)] == [2, 4, 8, 16, 32, 64, 128]
    dropouts = [m for m in model.generator.modules() if isinstance(m, torch.nn.Dropout)]
    assert len(dropouts) == 3

    model = build_model(ModelConfig(GeneratorConfig("resnet_regression"), HeadConfig("regression"))).eval()
    watch(model.generator, ["stages.1"])
    with torch.no_grad():
        assert model.raw(torch.zeros(1, 1, 224, 224)).shape == (1, 2, 224, 224)
    assert shapes["stages.1"] == (128, 28, 28)


def test_ab_are_scaled_by_what_the_checkpoint_says() -> None:
    model = build_model(
        ModelConfig(GeneratorConfig("unet", {"filters": 8, "downs": 4}), HeadConfig("regression", ab_scale=128.0), 64)
    ).eval()
    picture = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.allclose(model(picture), model.raw(picture) * 128)


def test_efficientnet_unet_is_light() -> None:
    assert millions("efficientnet_unet") < 4.5


@pytest.mark.parametrize("architecture", GENERATORS)
@pytest.mark.parametrize("head", ["regression", "classes"])
def test_output_is_ab_at_the_stated_stride(architecture: str, head: str) -> None:
    arguments = {} if architecture == "efficientnet_unet" else {"output_stride": 2}
    if architecture in ("unet", "residual_unet"):
        arguments |= {"filters": 8, "downs": 5}
    model = build_model(ModelConfig(GeneratorConfig(architecture, arguments), HeadConfig(head), 64)).eval()
    with torch.no_grad():
        ab = model(torch.zeros(2, 1, 64, 96))
    stride = model.generator.output_stride
    assert ab.shape == (2, 2, 64 // stride, 96 // stride)
    assert ab.abs().max() <= 128


def test_every_parameter_takes_part() -> None:
    hinted = GeneratorConfig("efficientnet_unet", {"hints": True})
    grown = [GeneratorConfig("efficientnet_unet", arguments) for arguments in GROWN]
    for generator in (*map(GeneratorConfig, GENERATORS), hinted, *grown):
        architecture = generator.architecture
        model = build_model(ModelConfig(generator, HeadConfig("regression")))
        model.train()
        hints = torch.ones(2, 3, 256, 256) if model.takes_hints else None
        model.raw(torch.randn(2, 1, 256, 256), hints).square().mean().backward()
        idle = [name for name, p in model.named_parameters() if p.grad is None]
        assert not idle, (architecture, idle)


def with_and_without_hints() -> tuple[Model, Model]:
    """Two networks of the same weights, of which the first has learned to listen to hints."""
    torch.manual_seed(4)
    telling, plain = (
        build_model(ModelConfig(GeneratorConfig("efficientnet_unet", arguments), HeadConfig("classes"), 64)).eval()
        for arguments in ({"hints": True}, {})
    )
    plain.load_state_dict({name: t for name, t in telling.state_dict().items() if ".told." not in name})
    return telling, plain


def test_no_hints_change_nothing_whatever_was_learned() -> None:
    telling, plain = with_and_without_hints()
    assert (telling.takes_hints, plain.takes_hints) == (True, False)
    scaled_l, hints = torch.randn(2, 1, 64, 96), torch.zeros(2, 3, 64, 96)
    with torch.no_grad():
        hints[1, :, 5, 70] = torch.tensor([0.5, -0.2, 1.0])
        assert torch.equal(telling(scaled_l, hints=hints), plain(scaled_l)), "fresh weights are zero"
        for layer in telling.generator.told.layers:  # type: ignore[union-attr]
            torch.nn.init.normal_(layer.weight)  # type: ignore[arg-type]
        assert torch.equal(telling(scaled_l), plain(scaled_l))
        assert torch.equal(telling(scaled_l, hints=torch.zeros_like(hints)), plain(scaled_l))
        told, before = telling(scaled_l, hints=hints), plain(scaled_l)
    assert torch.equal(told[0], before[0])
    changed = (told[1] - before[1]).norm(dim=0)
    assert (changed > 0).float().mean() > 0.9, "the coarse scales carry it everywhere"


def test_a_pixel_says_its_colour_as_loud_as_many_at_every_scale() -> None:
    hints = torch.zeros(2, 3, 64, 64)
    hints[0, :, 3, 3] = torch.tensor([0.5, -0.2, 1.0])
    hints[1, :, 40:50, 33:40] = torch.tensor([0.1, 0.3, 1.0])[:, None, None]
    hints[1, :, 50:52, 33:40] = torch.tensor([0.1, 0.6, 1.0])[:, None, None]
    levels = hint_pyramid(hints, 5)
    assert [tuple(level.shape) for level in levels] == [(2, 3, side, side) for side in (32, 16, 8, 4, 2)]
    for level in levels:
        assert torch.allclose(level[0].amax((1, 2)), torch.tensor([0.5, 0.0, 1.0]), atol=1e-6)
        assert torch.allclose(level[0].sum((1, 2)), torch.tensor([0.5, -0.2, 1.0]), atol=1e-6)
        assert level[1, 2].unique().tolist() == [0, 1]
        assert not level[1, :2, level[1, 2] == 0].any()
    assert levels[4][1, :, 1, 1].tolist() == pytest.approx([0.1, 0.35, 1.0])


def test_bins_cover_the_gamut() -> None:
    bins = quantised_ab_bins()
    assert 250 <= len(bins) <= 320
    assert (bins % 10 == 0).all()
    assert [0.0, 0.0] in bins.tolist()


def test_annealed_mean_of_a_sure_pixel_is_its_bin() -> None:
    head = ClassesHead(temperature=0.38, rebalance=0.0)
    logits = torch.zeros(1, head.out_channels, 1, 1)
    logits[0, 17] = 50
    assert torch.allclose(head.decode(logits)[0, :, 0, 0], head.bins[17], atol=1e-3)


def test_rebalance_takes_the_class_weights_back() -> None:
    head = ClassesHead(temperature=1.0, rebalance=1.0)
    head.weights.copy_(torch.rand(head.out_channels) + 0.1)
    natural = torch.rand(head.out_channels).softmax(0)
    boosted = (natural * head.weights).log().reshape(1, -1, 1, 1)
    assert torch.allclose(head.decode(boosted).flatten(), natural @ head.bins, atol=1e-3)


def test_class_weights_give_their_prior_back() -> None:
    prior = torch.cat((torch.full((8,), 0.1), torch.full((200,), 0.001)))
    assert torch.allclose(prior_of(class_weights(prior)), prior, atol=1e-6)


def cost(head: ClassesHead, ab: torch.Tensor, natural: torch.Tensor, vividness: float) -> torch.Tensor:
    distance = (ab - head.bins).norm(dim=1)
    weights = class_weights(prior_of(head.weights), 0.005)
    return (natural * (distance.square() / 2 + vividness * weights * distance)).sum()


@pytest.mark.parametrize("vividness", [0.0, 5.0, 40.0])
def test_least_cost_is_cheaper_than_any_colour_around_it(vividness: float) -> None:
    torch.manual_seed(3)
    head = ClassesHead(temperature=1.0, rebalance=0.0, vividness=vividness)
    prior = torch.exp(-head.bins.norm(dim=1) / 12)  # as of photographs: mostly near grey
    head.weights.copy_(class_weights(prior))
    for _ in range(5):
        natural = (prior.log() + 3 * torch.randn(head.out_channels)).softmax(0)
        ab = head.decode((natural * head.weights).log().reshape(1, -1, 1, 1))[0, :, 0, 0]
        least = cost(head, ab, natural, vividness)
        for angle in torch.arange(0, 6.28, 0.5):
            step = 12 * torch.stack((angle.cos(), angle.sin()))
            assert least < cost(head, ab + step, natural, vividness)
    if vividness == 0:
        assert torch.allclose(ab, natural @ head.bins, atol=1e-3)


def test_vividness_moves_a_doubtful_pixel_towards_its_rare_colour() -> None:
    prior = torch.exp(-ClassesHead(1.0, 0.0).bins.norm(dim=1) / 12)
    results = []
    for vividness in (0.0, 5.0, 40.0):
        head = ClassesHead(1.0, 0.0, vividness)
        head.weights.copy_(class_weights(prior))
        natural = torch.full((head.out_channels,), 1e-9)
        natural[(head.bins == 0).all(1).nonzero()[0]] = 0.7
        natural[(head.bins == torch.tensor([60.0, 40.0])).all(1).nonzero()[0]] = 0.3
        results.append(float(head.decode((natural * head.weights).log().reshape(1, -1, 1, 1)).norm()))
    assert results[0] == pytest.approx(0.3 * 72.1, abs=0.5)
    assert results[0] < results[1] < results[2] < 72.2


def test_shadows_are_calm_and_lights_as_vivid_as_without() -> None:
    torch.manual_seed(5)
    plain, shaded = (ClassesHead(1.0, 0.0, 40.0, shadow) for shadow in (0.0, 0.4))
    for head in (plain, shaded):
        head.weights.copy_(class_weights(torch.exp(-head.bins.norm(dim=1) / 12)))
    raw = 3 * torch.randn(1, plain.out_channels, 1, 1).expand(1, -1, 1, 4)
    scaled_l = torch.tensor([0.0, 20.0, 40.0, 100.0]).reshape(1, 1, 1, 4) / 50 - 1
    decoded, as_without = shaded.decode(raw, scaled_l), plain.decode(raw, scaled_l)
    assert torch.allclose(decoded, shaded.decode(raw, (scaled_l + 1) / 2 - 1), atol=1e-4)  # underexposed
    assert torch.allclose(decoded[..., 2:], as_without[..., 2:], atol=1e-4)
    assert torch.allclose(decoded[..., 0], plain.decode(raw, vividness=0.0)[..., 0], atol=1e-4)
    assert torch.allclose(decoded[..., 1], plain.decode(raw, vividness=10.0)[..., 1], atol=1e-4)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (ModelConfig(GeneratorConfig("vgg"), HeadConfig("regression")), "unknown architecture"),
        (ModelConfig(GeneratorConfig("unet"), HeadConfig("palette")), "unknown head"),
        (ModelConfig(GeneratorConfig("unet", {"depth": 3}), HeadConfig("regression")), "arguments"),
        (ModelConfig(GeneratorConfig("resnet_unet", {"depth": 19}), HeadConfig("regression")), "depth"),
        (ModelConfig(GeneratorConfig("resnet_unet"), HeadConfig("regression"), 100), "multiple of 32"),
    ],
)
def test_a_wrong_config_says_what_is_wrong(config: ModelConfig, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build_model(config)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2), (7, 1), (6, 2)])
def test_depthwise_convolution_and_its_gradients_are_the_plain_ones(
    kernel: int, stride: int, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    conv = DepthwiseConv2d(8, kernel, stride).to(torch.float64 if dtype == torch.float64 else torch.float32)
    x = torch.randn(2, 8, 12, 10).to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        y = conv(x)
    ahead = torch.randn_like(y)
    y.backward(ahead)

    plain_x = x.detach().double().requires_grad_()
    weight = conv.weight.detach().to(dtype).double().requires_grad_()
    padded = torch.nn.functional.pad(plain_x, (conv.before, conv.after) * 2)
    plain = torch.nn.functional.conv2d(padded, weight, None, stride, groups=8)
    plain.backward(ahead.double())
    assert y.shape[2:] == (12 // stride, 10 // stride)
    assert conv.weight.grad is not None
    assert conv.weight.grad.dtype == conv.weight.dtype
    near = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
    for ours, theirs in ((y, plain), (x.grad, plain_x.grad), (conv.weight.grad, weight.grad)):
        assert ours is not None
        assert theirs is not None
        assert torch.allclose(ours.double(), theirs, atol=near * float(theirs.abs().max()), rtol=0)


def test_a_norm_that_keeps_its_statistics_is_folded_and_still_learns() -> None:
    torch.manual_seed(0)
    layers = conv_norm_act(4, 6)
    conv, norm = layers[0], layers[1]
    assert isinstance(norm, torch.nn.BatchNorm2d)
    x = torch.randn(3, 4, 8, 8)
    for _ in range(3):
        layers(x * 2 + 1)  # statistics that are not those of x
    norm.weight.data.uniform_(0.5, 2)
    norm.bias.data.normal_()
    norm.eval()

    def gradients(network: torch.nn.Module) -> list[torch.Tensor]:
        return list(torch.autograd.grad(network(x).square().sum(), list(layers.parameters())))

    ours = gradients(layers)
    theirs = gradients(torch.nn.Sequential(conv, norm, layers[2]))
    assert all(torch.allclose(one, other, rtol=1e-3, atol=1e-3) for one, other in zip(ours, theirs, strict=True))
    assert torch.allclose(layers(x), layers[2](norm(conv(x))), atol=1e-5)


@pytest.mark.parametrize("arguments", GROWN, ids=str)
def test_a_grown_network_says_at_first_what_it_said_before(arguments: dict[str, object]) -> None:
    torch.manual_seed(0)
    head = HeadConfig("classes")
    plain = build_model(ModelConfig(GeneratorConfig("efficientnet_unet"), head, 64)).eval()
    grown = build_model(ModelConfig(GeneratorConfig("efficientnet_unet", arguments), head, 64)).eval()
    grown.load_state_dict({**grown.state_dict(), **plain.state_dict()})
    scaled_l = torch.randn(2, 1, 64, 96)
    with torch.no_grad():
        ours, theirs = grown.raw(scaled_l), plain.raw(scaled_l)
    if "half" in arguments:
        theirs = torch.nn.functional.interpolate(theirs, scale_factor=2.0)
    assert torch.equal(ours, theirs)
    # Each new part learns within a few steps, the last layers first.
    new = [p for name, p in grown.named_parameters() if name not in plain.state_dict()]
    before = [p.detach().clone() for p in new]
    optimizer = torch.optim.Adam(new, 1e-3)
    for _ in range(12):
        grown.raw(scaled_l).square().mean().backward()
        optimizer.step()
    assert not any(torch.equal(p, old) for p, old in zip(new, before, strict=True))
