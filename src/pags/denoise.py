"""A denoiser D(x; sigma), and the score that follows from it: (D(x; sigma) - x) / sigma^2.

Axes: n images (n, channels, h, w) with pixels in [0, 1]; noise levels sigma (n,) are in the same units, half of those
of a paper whose pixels are in [-1, 1]. Preconditioning, loss and distribution of the noise: Karras et al. 2022, Table 1
(EDM); the data are centred at their mean, and sigma_data is their own.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pags import randomness, train
from pags.artifacts import Artifact, Checkpoint
from pags.data import Dataset
from pags.errors import UsageError


@dataclass(frozen=True)
class Config:
    """The net, how long to train, and the log-normal noise; `labels` tells it the class of each image.

    ln sigma has mean `p_mean` and standard deviation `p_std`. The mean of Karras et al. for pixels in [-1, 1] is -1.2.
    """

    schedule: train.Schedule
    labels: bool
    width: int = 32
    hidden: int = 256
    p_mean: float = -1.2
    p_std: float = 1.2


class Preconditioning(NamedTuple):
    """c_skip, c_out, c_in, c_noise at noise levels sigma."""

    skip: Tensor
    out: Tensor
    inside: Tensor
    noise: Tensor


def preconditioning(sigma: Tensor, sigma_data: float) -> Preconditioning:
    """Table 1 of Karras et al. 2022: input and target of the net have unit variance at every noise level."""
    total = (sigma**2 + sigma_data**2).sqrt()
    return Preconditioning(sigma_data**2 / total**2, sigma * sigma_data / total, 1 / total, sigma.log() / 4)


class UNet(nn.Module):
    """A small U-net F(x; c, y) for images (n, channels, h, w): `c` (n,) is the noise condition, `y` (n,) the label.

    Label `classes` stands for no label. The middle is a residual perceptron on the coarse maps, scaled and shifted by
    an embedding of the two.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, *, width: int = 32, hidden: int = 256) -> None:
        super().__init__()
        channels, h, w = shape
        if min(h, w) < 8:
            raise ValueError(f"images of {h} x {w} pixels: this net halves them three times, they need at least 8 x 8")
        coarse = (2 * width, h // 8, w // 8)
        features = coarse[0] * coarse[1] * coarse[2]
        self.frequencies: Tensor
        self.register_buffer("frequencies", 2 * math.pi * torch.logspace(-1, 0.5, 16))
        self.noise, self.label = nn.Linear(32, hidden), nn.Embedding(classes + 1, hidden)
        widths = [channels, width, 2 * width, 2 * width]
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 4, 2, 1) for a, b in reversed(list(pairwise(widths))))
        self.into, self.out = nn.Linear(features, hidden), nn.Linear(hidden, features)
        self.conditions = nn.ModuleList(nn.Linear(hidden, 2 * hidden) for _ in range(2))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden)) for _ in range(2)
        )
        self.normalise = nn.LayerNorm(hidden, elementwise_affine=False)
        self.coarse = nn.Unflatten(1, coarse)
        nn.init.zeros_(self.up[-1].get_parameter("weight"))

    def forward(self, x: Tensor, c: Tensor, y: Tensor) -> Tensor:
        """F, in the shape of x."""
        angles = c[:, None] * self.frequencies
        e = F.silu(self.noise(torch.cat([angles.cos(), angles.sin()], 1)) + self.label(y))
        maps, sizes = [], []
        for down in self.down:
            sizes.append(x.shape[-2:])
            x = F.silu(down(x))
            maps.append(x)
        h = self.into(x.flatten(1))
        for condition, block in zip(self.conditions, self.blocks, strict=True):
            scale, shift = condition(e).chunk(2, dim=1)
            h = h + block(self.normalise(h) * (1 + scale) + shift)
        x = self.coarse(self.out(h))
        for up, there, size in zip(self.up, reversed(maps), reversed(sizes), strict=True):
            x = up(F.silu(x + there), size)  # an odd side was halved downwards: what it was before, is said here
        return x


class Denoiser(nn.Module):
    """D(x; sigma, y) = c_skip x + c_out F(c_in x; c_noise, y), for x around the mean of the data."""

    def __init__(self, net: nn.Module, centre: Tensor, sigma_data: float, classes: int) -> None:
        super().__init__()
        self.net, self.sigma_data, self.classes = net, sigma_data, classes
        self.centre: Tensor
        self.register_buffer("centre", centre)

    def forward(self, x: Tensor, sigma: Tensor, y: Tensor | None = None) -> Tensor:
        """The expected clean image given x (n, ...), the noise level of each (n,), and its label if there is one.

        ValueError for levels that are not above zero: the net has no condition for them.
        """
        if not self.training and not bool((sigma > 0).all()):  # a training draws none, and would wait for the answer
            raise ValueError(f"sigma = {float(sigma.min())}: write noise levels above zero")
        y = torch.full((len(x),), self.classes, device=x.device) if y is None else y
        shape = (-1, *[1] * (x.ndim - 1))
        c = preconditioning(sigma, self.sigma_data)
        skip, out, inside = (part.reshape(shape) for part in (c.skip, c.out, c.inside))
        x = x - self.centre
        return self.centre + skip * x + out * self.net(inside * x, c.noise, y)


def weight(sigma: Tensor, sigma_data: float) -> Tensor:
    """lambda(sigma) = 1 / c_out^2: every noise level counts the same at the beginning."""
    return (sigma**2 + sigma_data**2) / (sigma * sigma_data) ** 2


def objective(config: Config) -> train.Objective:
    """The loss lambda(sigma) |D(x + sigma noise; sigma) - x|^2, averaged over pixels, images and noise levels."""

    def loss(denoiser: Denoiser, x: Tensor, y: Tensor, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        normal = randomness.normal(x.flatten(1)[:, 0], generator)
        sigma = (config.p_mean + config.p_std * normal).exp()
        noise = randomness.normal(x, generator)
        noisy = x + sigma.reshape(-1, *[1] * (x.ndim - 1)) * noise
        error = (denoiser(noisy, sigma, y if config.labels else None) - x).flatten(1).square().mean(1)
        return {"loss": (weight(sigma, denoiser.sigma_data) * error).mean(), "error": error.mean()}

    return loss


def build(shape: dict, centre: Tensor) -> Denoiser:
    """A fresh denoiser of the `shape` that `fit` leaves in its `info`, around the mean image `centre`."""
    net = UNet(tuple(shape["size"]), shape["classes"], width=shape["width"], hidden=shape["hidden"])
    return Denoiser(net, centre, shape["sigma_data"], shape["classes"])


def fit(
    config: Config, images: Dataset, *, seed: int, device: torch.device, checkpoint: Checkpoint | None = None
) -> tuple[dict[str, Tensor], dict]:
    """Train on the images of a data set: (state dict, {"history", and what `load` needs})."""
    centre = images.x.mean(0)
    spread = float((images.x - centre).square().mean().sqrt())
    if spread == 0:
        raise UsageError(
            f"data {images.name!r}, n = {len(images.x)}: the images are all alike, give the denoiser others"
        )
    shape = {
        "size": list(images.x.shape[1:]),
        "classes": images.classes,
        "width": config.width,
        "hidden": config.hidden,
        "sigma_data": spread,
    }
    with train.seeded(seed):
        denoiser = build(shape, centre).to(device)
    history = train.fit(
        denoiser,
        objective(config),
        (images.x, images.y),
        config.schedule,
        seed=seed,
        label="denoiser" + ", with labels" * config.labels,
        checkpoint=checkpoint,
        half=True,
    )
    return denoiser.state_dict(), {"history": history, **shape}


def load(artifact: Artifact, device: torch.device = torch.device("cpu")) -> Denoiser:
    """The trained denoiser in evaluation mode, its parameters frozen."""
    denoiser = build(artifact.info, artifact.tensors["centre"])
    denoiser.load_state_dict(artifact.tensors)
    return denoiser.to(device).eval().requires_grad_(False)


def score(denoiser: Denoiser, x: Tensor, sigma: float, y: Tensor | None = None) -> Tensor:
    """The learned grad log p_sigma(x), or with labels y grad log p_sigma(x | y), in the shape of x."""
    return (denoiser(x, torch.full((len(x),), sigma, device=x.device), y) - x) / sigma**2
