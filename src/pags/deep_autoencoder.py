"""A's autoencoder for colour images: four strided convolutions with batch normalisation, three transposed ones back.

Axes: n examples, k latents; images are (n, c, h, w) in [0, 1] with h = w a multiple of 16. Srinivas et al. 2023 take
the convolutional autoencoder that the library pythae has for CIFAR-10, with 128 latents: channels 128, 256, 512, 1024
down, and from a quarter of the size 1024, 512, 256 up.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from pags import autoencoder, train
from pags.artifacts import Artifact, Checkpoint
from pags.data import Dataset


@dataclass(frozen=True)
class Config(autoencoder.Config):
    """Latent dimension, channels of the first layer, which double at each of the next, and how long to train."""

    width: int = 128


class DeepAutoencoder(nn.Module):
    """Four halvings to k latents; back from a quarter of the size by two doublings, pixels through a sigmoid.

    ValueError for a `size` that is no multiple of 16.
    """

    def __init__(self, channels: int, size: int, latents: int, width: int) -> None:
        super().__init__()
        if size < 16 or size % 16:
            raise ValueError(f"images of {size} x {size} pixels: this autoencoder needs a multiple of 16")
        widths, coarse, fine = [width * 2**i for i in range(4)], size // 16, size // 4
        deepest = widths[-1]
        down = [self._layer(nn.Conv2d(a, b, 4, 2, 1), b) for a, b in pairwise([channels, *widths])]
        self.encode = nn.Sequential(*down, nn.Flatten(), nn.Linear(deepest * coarse**2, latents))
        first = [nn.Linear(latents, deepest * fine**2), nn.Unflatten(1, (deepest, fine, fine))]
        up = [
            self._layer(nn.ConvTranspose2d(deepest, widths[2], 4, 2, 1), widths[2]),
            self._layer(nn.ConvTranspose2d(widths[2], widths[1], 4, 2, 1, output_padding=1), widths[1]),
        ]
        last = nn.ConvTranspose2d(widths[1], channels, 4, 1, 2)  # the pixel too many goes here
        self.decode = nn.Sequential(*first, *up, last, nn.Sigmoid())

    @staticmethod
    def _layer(convolution: nn.Module, channels: int) -> nn.Sequential:
        return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction, like x."""
        return self.decode(self.encode(x))


def fit(
    config: Config, images: Dataset, *, seed: int, device: torch.device, checkpoint: Checkpoint | None = None
) -> tuple[dict[str, Tensor], dict]:
    """Train on squared error: (state dict, {"history", "shape": arguments of `DeepAutoencoder`}).

    ValueError for images that are not square.
    """
    channels, h, w = images.x.shape[1:]
    if h != w:
        raise ValueError(f"images of {h} x {w} pixels: the autoencoder's are square")
    shape = [channels, h, config.latents, config.width]
    with train.seeded(seed):
        net = DeepAutoencoder(*shape).to(device)
    history = train.fit(
        net,
        autoencoder.objective,
        (images.x,),
        config.schedule,
        seed=seed,
        label=f"deep autoencoder, {config.latents} latents, {len(images.x)} images",
        checkpoint=checkpoint,
        half=True,
    )
    return net.state_dict(), {"history": history, "shape": shape}


def load(artifact: Artifact, device: torch.device = torch.device("cpu")) -> DeepAutoencoder:
    """The trained autoencoder in evaluation mode, its parameters frozen."""
    net = DeepAutoencoder(*artifact.info["shape"])
    net.load_state_dict(artifact.tensors)
    return net.to(device).eval().requires_grad_(False)
