"""The generative approach: a data set drawn from a decoder, whose manifold is therefore known.

Axes: n examples, k latents, c classes; images are (n, 1, 32, 32) in [0, 1].
Source: Bordt et al. 2022, Algorithm 1.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pags import artifacts, data, nets, train, vae
from pags.artifacts import Artifact, Checkpoint
from pags.errors import PagsError, UsageError

SEEN = 2000  # images at which active latents are counted


@dataclass(frozen=True)
class Labeller:
    """The labelling function: SimpleNet-V1, its channels times `width`, trained on the first n reconstructions."""

    width: float
    n: int
    schedule: train.Schedule


@dataclass(frozen=True)
class Draw:
    """How many examples to draw, and whether to keep each only with probability p_softmax^2."""

    train: int
    test: int
    reject: bool = True


@dataclass(frozen=True)
class Config:
    """Algorithm 1 from the data set on: the VAE, the labelling function, the draw."""

    data: str
    n: int
    vae: vae.Config
    labeller: Labeller
    draw: Draw


class Generator(NamedTuple):
    """A data set with known manifold: test images lie exactly on the image of `vae.decode`, at `test.latents`.

    `active` of its latents carry something about the image, the others have collapsed.
    """

    vae: vae.VAE
    labeller: nn.Module
    train: data.Dataset
    test: data.Dataset
    artifacts: tuple[Artifact, ...]
    source: data.Dataset
    active: int

    @property
    def parts(self) -> tuple[data.Dataset | Artifact, ...]:
        """What was read and made for it."""
        return self.source, *self.artifacts


def fit_labeller(
    config: Labeller,
    images: data.Dataset,
    manifold: Artifact,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> tuple[dict[str, Tensor], dict]:
    """Train SimpleNet on reconstructions, a fresh latent sample in every epoch: (state dict, {"history", ...})."""
    model = vae.load(manifold, device)
    with train.seeded(seed):
        net = nets.simplenet(images.classes, width=config.width).to(device)

    def objective(net: nn.Module, x: Tensor, y: Tensor, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        z = vae.sample(*model.encode(x), generator)
        return train.standard(net, model.decode(z), y, generator=generator, step=step)

    history = train.fit(
        net,
        objective,
        (images.x[: config.n], images.y[: config.n]),
        config.schedule,
        seed=seed,
        label="labelling function",
        checkpoint=checkpoint,
    )
    return net.state_dict(), {"history": history, "classes": images.classes, "width": config.width}


def load_labeller(artifact: Artifact, device: torch.device = torch.device("cpu")) -> nn.Module:
    """The labelling function in evaluation mode, its parameters frozen."""
    net = nets.simplenet(artifact.info["classes"], width=artifact.info["width"])
    net.load_state_dict(artifact.tensors)
    return net.to(device).eval().requires_grad_(False)


@torch.no_grad()
def label(net: nn.Module, x: Tensor, *, batch: int = 500) -> tuple[Tensor, Tensor]:
    """The most probable class (n,) of each image and its softmax probability (n,)."""
    p = torch.cat([net(part).softmax(1) for part in x.split(batch)])
    probability, y = p.max(1)
    return y, probability


@torch.no_grad()
def propose(model: vae.VAE, net: nn.Module, n: int, *, generator: torch.Generator) -> dict[str, Tensor]:
    """n draws from the prior: latents z, labels y, their probability p, and whether rejection sampling keeps each."""
    device = next(model.parameters()).device
    z = torch.randn(n, model.latents, generator=generator).to(device)
    y, p = label(net, model.decode(z))
    keep = torch.rand(n, generator=generator).to(device) < p**2
    return {"z": z, "y": y, "p": p, "keep": keep}


def draw(
    config: Draw,
    manifold: Artifact,
    labels: Artifact,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> tuple[dict[str, Tensor], dict]:
    """Rejection-sample the data set: latents and labels of both splits, and {"accepted": share of proposals kept}."""
    model, net = vae.load(manifold, device), load_labeller(labels, device)
    generator = torch.Generator().manual_seed(seed)
    wanted, proposed = config.train + config.test, 0
    kept: list[dict[str, Tensor]] = []
    while sum(len(part["y"]) for part in kept) < wanted:
        if proposed > 50 * wanted:
            raise PagsError(
                f"{proposed} proposals gave fewer than {wanted} examples, the labelling function is unsure: "
                "train the VAE or the labelling function for longer"
            )
        batch = propose(model, net, 2000, generator=generator)
        keep = batch["keep"] if config.reject else torch.ones_like(batch["keep"])
        kept.append({name: batch[name][keep] for name in ("z", "y")})
        proposed += 2000
    z, y = (torch.cat([part[name] for part in kept]) for name in ("z", "y"))
    accepted = len(y) / proposed
    parts = {"train": slice(config.test, wanted), "test": slice(0, config.test)}
    tensors = {
        f"{name}_{split}": part[rows].cpu() for split, rows in parts.items() for name, part in (("z", z), ("y", y))
    }
    return tensors, {"accepted": accepted, "classes": labels.info["classes"]}


@torch.no_grad()
def dataset(drawn: Artifact, model: vae.VAE, name: str, split: str) -> data.Dataset:
    """The `split` of a drawn data set as images x = decode(z), with z as its latents, on the CPU."""
    z = drawn.tensors[f"z_{split}"]
    device = next(model.parameters()).device
    x = torch.cat([model.decode(part.to(device)).cpu() for part in z.split(1000)])
    return data.dataset(f"generated from {name}", split, x, drawn.tensors[f"y_{split}"], drawn.info["classes"], z)


def build(
    config: Config,
    *,
    seed: int,
    device: torch.device = torch.device("cpu"),
    data_dir: Path | str | None = None,
    manifold: Artifact | None = None,
) -> Generator:
    """Algorithm 1 as a whole; every step is made once and then read from the cache.

    With a VAE as `manifold`, from step 2 on: none is trained, and `config.vae` says nothing.
    """
    source = data.load(config.data, "train", data_dir=data_dir, n=config.n)
    if source.x.shape[1] != 1:
        raise UsageError(f"data {config.data!r} has colours: the generative approach draws grey images, as of mnist")
    if manifold is None:
        manifold = artifacts.cached(vae.fit, config.vae, source, seed=seed, device=device)
    labels = artifacts.cached(fit_labeller, config.labeller, source, manifold, seed=seed, device=device)
    drawn = artifacts.cached(draw, config.draw, manifold, labels, seed=seed, device=device)
    model, net = vae.load(manifold, device), load_labeller(labels, device)
    training, test = (dataset(drawn, model, config.data, split) for split in ("train", "test"))
    made, active = (manifold, labels, drawn), vae.active(model, source.x[:SEEN])
    return Generator(model, net, training, test, artifacts=made, source=source, active=active)
