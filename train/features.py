"""Feature losses: how far apart a pretrained network finds the coloured picture and the original.

Without foreign weights there is a third way: the features of the run's own discriminator, see `matching_loss`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restore.errors import InputError
from restore.networks.efficientnet_unet import EfficientNetLite
from restore.networks.published import copy_in_order, packaged_lite, read_tensors
from train.config import TrainConfig
from train.discriminators import picture
from train.encoders import torchvision_weights
from train.losses import at_size, to_rgb

_VGG_CUTS = (27, 40)  # slices [:27], [27:40], [40:] of VGG19-bn's features
_VGG_WEIGHTS = (20.0, 70.0, 10.0)
_LITE_VARIANT = 0
_LITE_WEIGHTS = (5.0, 5.0, 5.0, 5.0, 5.0)  # of the maps at strides 2 to 32


class VggFeatureLoss(nn.Module):
    """L1 between VGG19-bn's features (Simonyan & Zisserman 2014, arXiv:1409.1556) of (L, ab fake) and (L, ab real).

    As published for NoGAN training: the three channels go in as they are, and the features of three slices count
    20, 70 and 10.

    Args:
        weights: a file of torchvision's `vgg19_bn` weights; None downloads them.

    Raises:
        InputError: they can't be had, with the other choices named.
    """

    def __init__(self, weights: str | None = None) -> None:
        super().__init__()
        from torchvision import models

        instead = "--feature-weights FILE, --feature-loss package or --feature-loss discriminator (both work offline)"
        tensors = torchvision_weights("vgg19_bn", instead) if weights is None else read_tensors(Path(weights))
        features = models.vgg19_bn(weights=None).features
        named = {name.removeprefix("features."): t for name, t in tensors.items() if name.startswith("features.")}
        try:
            features.load_state_dict(named)
        except RuntimeError as error:
            raise InputError(f"{weights or 'what was downloaded'} is no file of vgg19_bn's weights") from error
        for module in features.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False  # a slice's last map is an input of the next, and is compared as well
        first, second = _VGG_CUTS
        self.slices = nn.ModuleList([features[:first], features[first:second], features[second:]])

    def maps(self, scaled_l: Tensor, scaled_ab: Tensor) -> list[Tensor]:
        x = picture(scaled_l, scaled_ab)
        result = []
        for part in self.slices:
            x = part(x)
            result.append(x)
        return result

    def forward(self, scaled_l: Tensor, fake: Tensor, real: Tensor) -> Tensor:
        return _weighted_l1(self.maps, _VGG_WEIGHTS, scaled_l, fake, real)


class PackagedFeatureLoss(nn.Module):
    """The same over the features of EfficientNet-Lite0, whose ImageNet weights install as a package.

    It sees sRGB pictures, as it was trained to. Its maps end in no activation and differ in size from layer to layer,
    so each one's error counts as a share of the original's mean magnitude.

    Args:
        ab_scale: ab of which the generator says 1.

    Raises:
        MissingDependencyError: the package is not installed.
    """

    def __init__(self, ab_scale: float) -> None:
        super().__init__()
        self.ab_scale = ab_scale
        self.encoder = EfficientNetLite(_LITE_VARIANT, in_channels=3)
        path = packaged_lite(_LITE_VARIANT, "--feature-loss package", "give another --feature-loss")
        copy_in_order(list(self.encoder.state_dict(keep_vars=True).values()), read_tensors(path).values(), str(path))

    def maps(self, scaled_l: Tensor, scaled_ab: Tensor) -> list[Tensor]:
        return list(self.encoder((to_rgb(scaled_l, scaled_ab, self.ab_scale) * 255 - 127) / 128))

    def forward(self, scaled_l: Tensor, fake: Tensor, real: Tensor) -> Tensor:
        return _weighted_l1(self.maps, _LITE_WEIGHTS, scaled_l, fake, real, relative=True)


def build_feature_loss(config: TrainConfig, device: torch.device) -> nn.Module | None:
    """The frozen network that `feature_loss` names; None where it is the discriminator or nothing.

    Called with scaled L (N, 1, H, W), and scaled ab of fake and real (N, 2, h, w).
    """
    if config.feature_loss == "vgg":
        loss: nn.Module = VggFeatureLoss(config.feature_weights)
    elif config.feature_loss == "package":
        loss = PackagedFeatureLoss(config.ab_scale)
    else:
        return None
    return loss.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)


def matching_loss(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Discriminator feature matching (Wang et al. 2017, arXiv:1711.11585): L1 between the maps of its layers, the mean
    over layers times 100, so that its weight means about what the other feature losses' does.

    Args:
        fake, real: maps of each layer, without the logits.
    """
    return 100 * torch.stack([F.l1_loss(f.float(), r.detach().float()) for f, r in zip(fake, real, strict=True)]).mean()


def _weighted_l1(
    maps: Callable[[Tensor, Tensor], list[Tensor]],
    weights: Sequence[float],
    scaled_l: Tensor,
    fake: Tensor,
    real: Tensor,
    relative: bool = False,
) -> Tensor:
    with torch.no_grad():
        wanted = maps(scaled_l, at_size(real, *fake.shape[-2:]))
    losses = []
    for weight, ours, theirs in zip(weights, maps(scaled_l, fake), wanted, strict=True):
        loss = F.l1_loss(ours.float(), theirs.float())
        losses.append(weight * (loss / theirs.float().abs().mean() if relative else loss))
    return torch.stack(losses).sum()
