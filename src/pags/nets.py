"""The classifiers: linear, an MLP, LeNet as in pytorch/examples, SimpleNet-V1, and ResNet18 for large and small images.

Axes: n examples, c classes. Images are (n, channels, h, w); a `size` is (h, w), or one number for both. All nets return
logits (n, c) and start in training mode.
"""

from itertools import pairwise

from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.resnet import BasicBlock

Size = int | tuple[int, int]


def _sides(size: Size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def mlp(
    size: Size = 32, classes: int = 10, *, dropout: bool = False, channels: int = 1, width: int = 512
) -> nn.Sequential:
    """Two hidden layers of `width` rectified units; no dropout to switch."""
    h, w = _sides(size)
    return nn.Sequential(
        *[nn.Flatten(), nn.Linear(channels * h * w, width), nn.ReLU()],
        *[nn.Linear(width, width), nn.ReLU(), nn.Linear(width, classes)],
    )


def linear(size: Size = 32, classes: int = 10, *, dropout: bool = False, channels: int = 1) -> nn.Sequential:
    """Logistic regression; no dropout to switch."""
    h, w = _sides(size)
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * h * w, classes))


def lenet(
    size: Size = 32, classes: int = 10, *, dropout: bool = True, channels: int = 1, width: int = 32
) -> nn.Sequential:
    """Two 3 x 3 convolutions and two linear layers, with ("dropout" true) the example's dropout of 25 and 50 %.

    `width` is that of the first convolution, half that of the second. ValueError for a side below 6 pixels.
    """
    keep = nn.Dropout if dropout else lambda p: nn.Identity()
    h, w = _sides(size)
    if min(h, w) < 6:
        raise ValueError(f"images of {h} x {w} pixels: LeNet needs at least 6 x 6")
    features = 2 * width * (h // 2 - 2) * (w // 2 - 2)
    convolutions = nn.Conv2d(channels, width, 3), nn.Conv2d(width, 2 * width, 3)
    return nn.Sequential(
        *[convolutions[0], nn.ReLU(), convolutions[1], nn.ReLU(), nn.MaxPool2d(2), keep(0.25)],
        *[nn.Flatten(), nn.Linear(features, 128), nn.ReLU(), keep(0.5), nn.Linear(128, classes)],
    )


def resnet(size: Size = 224, classes: int = 10, *, dropout: bool = False, channels: int = 1) -> nn.Module:
    """torchvision's ResNet18 from scratch, its 7 x 7 stem made for `channels`; any size, no dropout to switch."""
    net = resnet18(num_classes=classes)
    net.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    return net


def small_resnet(
    size: Size = 32, classes: int = 10, *, dropout: bool = False, channels: int = 1, width: int = 64
) -> nn.Sequential:
    """ResNet18 with the stem for small images, 3 x 3 and without pooling; `width` is that of its first stage."""

    def stage(a: int, b: int, stride: int) -> list[nn.Module]:
        same = a == b and stride == 1
        short = None if same else nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))
        return [BasicBlock(a, b, stride, short), BasicBlock(b, b)]

    stem = [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    widths = [width, width, 2 * width, 4 * width, 8 * width]
    stages = [layer for i, (a, b) in enumerate(pairwise(widths)) for layer in stage(a, b, 1 + (i > 0))]
    return nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, classes))


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
