"""Watching a training: how the gradient's fraction in tangent space moves while the net learns.

Axes: n examples, d pixels, k latents. Apart from `classify`, because what is looked at is no part of what is trained.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from pags import attribution, classify, tangent, train
from pags.artifacts import Checkpoint
from pags.data import Dataset, fingerprint


@dataclass(frozen=True)
class Probe:
    """Images x (n, ...), labels y (n,) and tangent bases (n, d, k) at which a training is watched."""

    x: Tensor
    y: Tensor
    basis: Tensor
    fingerprint: str


def probe(x: Tensor, y: Tensor, basis: Tensor) -> Probe:
    """A `Probe` on the CPU with the fingerprint of its content."""
    x, y, basis = x.cpu(), y.cpu(), basis.cpu()
    return Probe(x, y, basis, fingerprint([x, y, basis]))


@dataclass(frozen=True)
class Config:
    """A training, and at about how many of its steps, evenly spaced in log, it is looked at."""

    classifier: classify.Config
    looks: int


def steps(last: int, count: int) -> set[int]:
    """About `count` steps from 0 to `last`, evenly spaced in log(1 + step), both ends among them."""
    top = torch.tensor(float(last)).log1p()
    return set(torch.linspace(0, float(top), count).expm1().round().int().tolist()) | {0, last}


def look(probe: Probe, net: nn.Module) -> dict[str, float]:
    """The gradient's fraction in tangent space at `probe` (mean, 5 and 95 % quantiles over images), and the error."""
    device = next(net.parameters()).device
    basis, x = probe.basis.to(device), probe.x.to(device)
    fraction = tangent.fraction_in(basis, attribution.in_batches(attribution.gradient, net, x))
    low, high = fraction.quantile(torch.tensor([0.05, 0.95], device=device)).tolist()
    error = 1 - float(train.correct(net, probe.x, probe.y).mean())
    return {"fraction": float(fraction.mean()), "low": low, "high": high, "error": error}


def fit(
    config: Config,
    images: Dataset,
    probe: Probe,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> tuple[dict[str, Tensor], dict]:
    """`classify.fit`, the same to the bit, with an entry of its history for every step that was looked at."""
    classifier = config.classifier
    return classify.fit_by(
        classify.objective(classifier),
        classifier,
        images,
        seed=seed,
        device=device,
        checkpoint=checkpoint,
        watch=partial(look, probe),
        watch_at=steps(classifier.schedule.epochs * classifier.schedule.steps(len(images.y)), config.looks),
    )
