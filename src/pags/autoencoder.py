"""The reconstructive approach: an autoencoder's bottleneck stands in for a manifold that nobody can sample from.

Axes: n examples, k latents; images are (n, c, h, w) in [0, 1] with h = w a multiple of 8.
Source: Bordt et al. 2022, 3.2.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pags import train
from pags.artifacts import Artifact, Checkpoint
from pags.data import Dataset


@dataclass(frozen=True)
class Config:
    """Latent dimension, channels of the first layer, and how long to train."""

    latents: int
    schedule: train.Schedule
    width: int = 32


class Autoencoder(nn.Module):
    """Three strided convolutions to k latents and their mirror image, pixels through a sigmoid.

    ValueError for a `size` that is no multiple of 8.
    """

    def __init__(self, channels: int, size: int, latents: int, width: int):
        super().__init__()
        if size < 8 or size % 8:
            raise ValueError(f"images of {size} x {size} pixels: the autoencoder needs a multiple of 8")
        side, (a, b, c) = size // 8, (width, 2 * width, 2 * width)
        conv, deconv = (lambda m, n: nn.Conv2d(m, n, 4, 2, 1)), (lambda m, n: nn.ConvTranspose2d(m, n, 4, 2, 1))
        self.encode = nn.Sequential(
            *[conv(channels, a), nn.ReLU(), conv(a, b), nn.ReLU(), conv(b, c), nn.ReLU()],
            *[nn.Flatten(), nn.Linear(c * side**2, latents)],
        )
        self.decode = nn.Sequential(
            *[nn.Linear(latents, c * side**2), nn.ReLU(), nn.Unflatten(1, (c, side, side))],
            *[deconv(c, b), nn.ReLU(), deconv(b, a), nn.ReLU(), deconv(a, channels), nn.Sigmoid()],
        )
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")

    def start_at(self, grey: float) -> None:
        """Let an untrained net's pictures be about this grey, in [0, 1]."""
        nn.init.constant_(self.decode[-2].get_parameter("bias"), float(torch.tensor(grey).logit(eps=0.01)))

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction, like x."""
        return self.decode(self.encode(x))


def objective(net: Autoencoder, x: Tensor, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
    """Squared error per image."""
    return {"loss": F.mse_loss(net(x), x, reduction="sum") / len(x)}


def fit(
    config: Config, images: Dataset, *, seed: int, device: torch.device, checkpoint: Checkpoint | None = None
) -> tuple[dict[str, Tensor], dict]:
    """Train on the images of a data set: (state dict, {"history", "shape": arguments of `Autoencoder`}).

    The pictures start at the mean grey value: from a grey of one half, on dark images, the first steps overshoot into
    black and every unit dies. ValueError for images that are not square.
    """
    if images.x.shape[-2] != images.x.shape[-1]:
        raise ValueError(f"images of {images.x.shape[-2]} x {images.x.shape[-1]} pixels: the autoencoder's are square")
    shape = [images.x.shape[1], images.x.shape[-1], config.latents, config.width]
    with train.seeded(seed):
        net = Autoencoder(*shape).to(device)
    net.start_at(float(images.x.mean()))
    label = f"autoencoder, {config.latents} latents, {len(images.x)} images"
    history = train.fit(net, objective, (images.x,), config.schedule, seed=seed, label=label, checkpoint=checkpoint)
    return net.state_dict(), {"history": history, "shape": shape}


def load(artifact: Artifact, device: torch.device = torch.device("cpu")) -> Autoencoder:
    """The trained autoencoder in evaluation mode, its parameters frozen."""
    net = Autoencoder(*artifact.info["shape"])
    net.load_state_dict(artifact.tensors)
    return net.to(device).eval().requires_grad_(False)


@torch.no_grad()
def reconstruct(net: Autoencoder, x: Tensor, *, batch: int = 500) -> tuple[Tensor, Tensor]:
    """Latents (n, k) and reconstructions like x: the data set of the reconstructive approach, on x's device."""
    z = torch.cat([net.encode(part) for part in x.split(batch)])
    return z, torch.cat([net.decode(part) for part in z.split(batch)])
