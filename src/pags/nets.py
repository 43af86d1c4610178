"""The classifiers: LeNet as in pytorch/examples, SimpleNet-V1, and torchvision's ResNet18 for one channel.

Axes: n examples, c classes. Images are (n, channels, h, w). All nets return logits (n, c) and start in training mode.
"""

from itertools import pairwise

from torch import Tensor, nn
from torchvision.models import resnet18


def lenet(size: int = 32, classes: int = 10, *, dropout: bool = True, channels: int = 1) -> nn.Sequential:
    """Two 3 x 3 convolutions and two linear layers, with ("dropout" true) the example's dropout of 25 and 50 %."""
    keep = nn.Dropout if dropout else lambda p: nn.Identity()
    features = 64 * (size // 2 - 2) ** 2
    return nn.Sequential(
        *[nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), keep(0.25)],
        *[nn.Flatten(), nn.Linear(features, 128), nn.ReLU(), keep(0.5), nn.Linear(128, classes)],
    )


def resnet(size: int = 224, classes: int = 10, *, dropout: bool = False, channels: int = 1) -> nn.Module:
    """torchvision's ResNet18 from scratch, its 7 x 7 stem made for `channels`; any size, no dropout to switch."""
    net = resnet18(num_classes=classes)
    net.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    return net


class GlobalMaxPool(nn.Module):
    """The maximum of each feature map: (n, c, h, w) to (n, c)."""

    def forward(self, x: Tensor) -> Tensor:
        """The largest entry of each map."""
        return x.amax(dim=(2, 3))


def simplenet(classes: int = 10, *, width: float = 1.0, channels: int = 1) -> nn.Sequential:
    """SimpleNet-V1 (Hasanpour et al. 2016), labelling function of Bordt et al. 2022; `width` scales its channels."""

    def scaled(c: int) -> int:
        return max(8, round(width * c))

    def blocks(kernel: int, *widths: int) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for a, b in pairwise(widths):
            a = a if a == channels else scaled(a)
            conv = nn.Conv2d(a, scaled(b), kernel, padding=kernel // 2)
            nn.init.xavier_uniform_(conv.weight, gain=nn.init.calculate_gain("relu"))
            layers += [conv, nn.BatchNorm2d(scaled(b), momentum=0.05), nn.ReLU()]
        return layers

    def pool() -> list[nn.Module]:
        return [nn.MaxPool2d(2), nn.Dropout2d(0.1)]

    return nn.Sequential(
        *[*blocks(3, channels, 64, 128, 128, 128), *pool(), *blocks(3, 128, 128, 128, 256), *pool()],
        *[*blocks(3, 256, 256, 256), *pool(), *blocks(3, 256, 512), *pool()],
        *[*blocks(1, 512, 2048, 256), *pool(), *blocks(3, 256, 256)],
        *[GlobalMaxPool(), nn.Dropout(0.1), nn.Linear(scaled(256), classes)],
    )
