"""Makers that do more than one training: a net with its explanations, or a whole pipeline anew.

Axes: n examples, d pixels, k latents. A job returns the fraction in tangent space of every method, (n,), on the CPU.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pags import artifacts, attribution, autoencoder, classify, data, generate, tangent, train, watch
from pags.artifacts import Checkpoint


@dataclass(frozen=True)
class Generative:
    """Algorithm 1, a classifier for its data set, and how many test images are explained."""

    manifold: generate.Config
    classifier: classify.Config
    explain: int


@dataclass(frozen=True)
class Reconstructive:
    """An autoencoder, a classifier for its reconstructions, and how many test images are explained."""

    autoencoder: autoencoder.Config
    classifier: classify.Config
    explain: int


@dataclass(frozen=True)
class Place:
    """A data set that a job reads itself, by its identity and the directory where it lies."""

    fingerprint: str
    directory: Path


def upsampled(images: data.Dataset, size: int) -> data.Dataset:
    """The images at size x size pixels, by the linear map that `tangent.upsample_jacobian` applies to Jacobians."""
    name = f"{images.name}, {size} x {size}"
    return data.dataset(name, images.split, tangent.upsample(images.x, size), images.y, images.classes, images.latents)


def explained(
    config: classify.Config,
    images: data.Dataset,
    probe: watch.Probe,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> tuple[dict[str, Tensor], dict]:
    """Train a classifier and explain it at the probe: (fractions per method, {"accuracy": at the probe})."""
    trained = artifacts.cached(classify.fit, config, images, seed=seed, device=device)
    net = classify.load(trained, device)
    x, basis = probe.x.to(device), probe.basis.to(device)
    fractions = attribution.fractions(net, x, basis, generator=torch.Generator().manual_seed(seed))
    accuracy = float(train.correct(net, probe.x, probe.y).mean())
    return {name: values.cpu() for name, values in fractions.items()}, {"accuracy": accuracy}


def generative(
    config: Generative, place: Place, *, seed: int, device: torch.device, checkpoint: Checkpoint | None = None
) -> tuple[dict[str, Tensor], dict]:
    """The whole pipeline of Bordt et al. 2022 from one seed: VAE, labels, draw, classifier, fractions."""
    made = generate.build(config.manifold, seed=seed, device=device, data_dir=place.directory)
    test = made.test.first(config.explain)
    basis = tangent.tangent_basis(made.vae.decode, data.latents(test).to(device))
    probe = watch.probe(test.x, test.y, basis)
    return explained(config.classifier, made.train, probe, seed=seed, device=device, checkpoint=checkpoint)


def reconstructive(
    config: Reconstructive,
    images: data.Dataset,
    held_out: data.Dataset,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> tuple[dict[str, Tensor], dict]:
    """A data set replaced by an autoencoder's reconstructions, a classifier for them, fractions at held-out ones.

    The info holds the accuracy, and the numbers k and d that chance depends on.
    """
    trained = artifacts.cached(autoencoder.fit, config.autoencoder, images, seed=seed, device=device)
    net = autoencoder.load(trained, device)
    parts = {}
    for part in (images, held_out.first(config.explain)):
        z, x = autoencoder.reconstruct(net, part.x.to(device))
        parts[part.split] = data.dataset(f"reconstructed {part.name}", part.split, x.cpu(), part.y, part.classes, z)
    test = parts["test"]
    basis = tangent.tangent_basis(net.decode, data.latents(test))
    probe = watch.probe(test.x, test.y, basis)
    fractions, info = explained(
        config.classifier, parts["train"], probe, seed=seed, device=device, checkpoint=checkpoint
    )
    return fractions, info | {"k": config.autoencoder.latents, "d": test.x[0].numel()}
