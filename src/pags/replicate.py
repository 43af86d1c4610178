"""Makers that do more than one training: a net with its explanations, or a whole pipeline anew.

Axes: n examples, d pixels, k latents. A job returns for every method the parts of its attribution along the tangent
directions, (n, k) as `watch.cosines` gives them: the length of a row is the fraction in tangent space.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pags import artifacts, attribution, autoencoder, classify, data, generate, tangent, train, watch
from pags.artifacts import Artifact, Checkpoint


@dataclass(frozen=True)
class Generative:
    """Algorithm 1, a classifier for its data set, and how many test images are explained."""

    manifold: generate.Config
    classifier: classify.Config
    explain: int


@dataclass(frozen=True)
class Reconstructive:
    """An autoencoder, two classifiers for its reconstructions, and how many test images are explained.

    `robust` is one that meets an adversary. Of the first `shown` test images the pictures and the attributions
    themselves are kept.
    """

    autoencoder: autoencoder.Config
    classifier: classify.Config
    robust: classify.Config
    explain: int
    shown: int = 6


BLOCK = 2**28  # numbers in the tangent bases that are held at once


@dataclass(frozen=True)
class Explanation:
    """How a trained classifier is explained at a probe: `samples` gradients in a SmoothGrad and along a path."""

    samples: int


@dataclass(frozen=True)
class Place:
    """A data set that a job reads itself, by its identity and the directory where it lies."""

    fingerprint: str
    directory: Path


def upsampled(images: data.Dataset, size: int) -> data.Dataset:
    """The images at size x size pixels, by the linear map that `tangent.upsample_jacobian` applies to Jacobians."""
    name = f"{images.name}, {size} x {size}"
    return data.dataset(name, images.split, tangent.upsample(images.x, size), images.y, images.classes, images.latents)


def explain(net: nn.Module, probe: watch.Probe, *, seed: int, samples: int | None = None) -> dict[str, Tensor]:
    """Parts along the tangent directions, (n, k), of each of `attribution.METHODS` with its own number of samples."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: watch.cosines(probe, net, method, generator=generator, samples=samples)
        for name, method in attribution.METHODS.items()
    }


def asked(
    config: Explanation,
    net: Artifact,
    probe: watch.Probe,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> tuple[dict[str, Tensor], dict]:
    """Explain a classifier that is trained already: (parts per method, {"accuracy": at the probe})."""
    model = classify.load(net, device)
    accuracy = float(train.correct(model, probe.x, probe.y).mean())
    return explain(model, probe, seed=seed, samples=config.samples), {"accuracy": accuracy}


def explained(
    config: classify.Config,
    images: data.Dataset,
    probe: watch.Probe,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> tuple[dict[str, Tensor], dict]:
    """Train a classifier and explain it at the probe: (parts per method, {"accuracy": there, "loss": the last})."""
    trained = artifacts.cached(classify.fit, config, images, seed=seed, device=device)
    net = classify.load(trained, device)
    accuracy = float(train.correct(net, probe.x, probe.y).mean())
    return explain(net, probe, seed=seed), {"accuracy": accuracy, "loss": trained.info["history"][-1]["loss"]}


def generative(
    config: Generative, place: Place, *, seed: int, device: torch.device, checkpoint: Checkpoint | None = None
) -> tuple[dict[str, Tensor], dict]:
    """The whole pipeline of Bordt et al. 2022 from one seed: VAE, labels, draw, classifier, explanations.

    The info holds the accuracy, and how many latents of that VAE are active.
    """
    made = generate.build(config.manifold, seed=seed, device=device, data_dir=place.directory)
    test = made.test.first(config.explain)
    basis = tangent.tangent_basis(made.vae.decode, data.latents(test).to(device))
    probe = watch.probe(test.x, test.y, basis)
    parts, info = explained(config.classifier, made.train, probe, seed=seed, device=device, checkpoint=checkpoint)
    return parts, info | {"active": made.active}


def reconstructive(
    config: Reconstructive,
    images: data.Dataset,
    held_out: data.Dataset,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> tuple[dict[str, Tensor], dict]:
    """A data set replaced by an autoencoder's reconstructions, classifiers for them, parts at held-out ones.

    Beside those of all methods, "robust" holds the parts of the robust net's gradient; "picture" and "map <method>"
    hold the first few images and their attributions. The info holds the accuracies, the numbers k and d that chance
    depends on, and the share of the held-out images' variance that reconstructions lack. Large images are explained in
    blocks, so that their bases fit the memory.
    """
    options: dict[str, Any] = {"seed": seed, "device": device}
    model = autoencoder.load(artifacts.cached(autoencoder.fit, config.autoencoder, images, **options), device)
    rebuilt = {}
    for part in (images, held_out.first(config.explain)):
        z, x = autoencoder.reconstruct(model, part.x.to(device))
        rebuilt[part.split] = data.dataset(f"reconstructed {part.name}", part.split, x.cpu(), part.y, part.classes, z)
    test, z = rebuilt["test"], data.latents(rebuilt["test"])
    real, k, d = held_out.x[: config.explain], config.autoencoder.latents, test.x[0].numel()
    missed = float((test.x - real).square().sum() / (real - images.x.mean(0)).square().sum())
    trained = artifacts.cached(classify.fit, config.classifier, rebuilt["train"], **options)
    against = artifacts.cached(classify.fit, config.robust, rebuilt["train"], **options)
    net, robust = classify.load(trained, device), classify.load(against, device)
    blocks: dict[str, list[Tensor]] = {}
    for rows in torch.arange(len(z)).split(max(1, BLOCK // (k * d))):
        probe = watch.probe(test.x[rows], test.y[rows], tangent.tangent_basis(model.decode, z[rows], chunk=16))
        found = explain(net, probe, seed=seed + int(rows[0]))
        found["robust"] = watch.cosines(probe, robust, attribution.METHODS["gradient"], generator=torch.Generator())
        for name, parts in found.items():
            blocks.setdefault(name, []).append(parts)
    tensors = {name: torch.cat(parts) for name, parts in blocks.items()}
    few = test.x[: config.shown].to(device)
    for name, method in attribution.METHODS.items():
        tensors[f"map {name}"] = method(net, few, generator=torch.Generator().manual_seed(seed)).cpu()
    right = {
        word: float(train.correct(one, test.x, test.y).mean())
        for word, one in (("accuracy", net), ("robust accuracy", robust))
    }
    return tensors | {"picture": few.cpu()}, right | {"k": k, "d": d, "missed": missed}
