"""The deep CNN without an adversary: the first stages of a ResNet-18, and convolutions back to full size."""

from __future__ import annotations

from torch import Tensor, nn

from restore.networks.blocks import conv_norm_act, resnet_names


class ResNetRegression(nn.Module):
    """First six children of ResNet-18 (to 128 channels at an eighth), then convolutions and nearest upsampling.

    Input (N, 1, H, W) with H and W multiples of 8; output (N, out_channels, H/output_stride, W/output_stride).

    Args:
        output_stride: 1, or 2 or 4 to leave out the last upsampling steps.
        tanh: end in tanh, as regression of scaled ab does.
    """

    input_multiple = 32  # 8 would do for the network; the engine's working sizes come in steps of 32

    def __init__(self, out_channels: int = 2, output_stride: int = 1, tanh: bool = True) -> None:
        super().__init__()
        if output_stride not in (1, 2, 4):
            raise ValueError(f"output_stride must be 1, 2 or 4, not {output_stride}")
        self.output_stride = output_stride
        from torchvision import models  # a second at start-up, which other networks need not spend

        resnet = models.get_model("resnet18", weights=None)
        self.stem = nn.Sequential(nn.Conv2d(1, 64, 7, 2, 3, bias=False), resnet.bn1, resnet.relu)
        self.pool = resnet.maxpool
        self.stages = nn.ModuleList([resnet.layer1, resnet.layer2])
        ups = [nn.Upsample(scale_factor=2.0) if output_stride <= stride else nn.Identity() for stride in (4, 2, 1)]
        layers: list[nn.Module] = [
            conv_norm_act(128, 128),
            ups[0],
            conv_norm_act(128, 64),
            conv_norm_act(64, 64),
            ups[1],
            conv_norm_act(64, 32),
            nn.Conv2d(32, out_channels, 3, padding=1),
            *([nn.Tanh()] if tanh else []),
            ups[2],
        ]
        self.decoder = nn.Sequential(*layers)

    def encoder_state(self) -> dict[str, Tensor]:
        """The encoder's tensors under torchvision's names, for loading weights into."""
        return resnet_names(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stem(x))
        for stage in self.stages:
            x = stage(x)
        return self.decoder(x)
