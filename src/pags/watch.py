"""Watching a training: how an attribution's fraction in tangent space moves while the net learns.

Axes: n examples, d pixels, k latents. Apart from `classify`, because what is looked at is no part of what is trained.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from pags import attack, attribution, classify, train
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
    """A training, at about how many of its steps, evenly spaced in log, it is looked at, and which attributions.

    `methods` are names of `attribution.METHODS`; those that average over gradients do so over `samples` at a look.
    """

    classifier: classify.Config
    looks: int
    methods: tuple[str, ...] = ("gradient",)
    samples: int = 20


def steps(last: int, count: int) -> set[int]:
    """About `count` steps from 0 to `last`, evenly spaced in log(1 + step), both ends among them."""
    top = torch.tensor(float(last)).log1p()
    return set(torch.linspace(0, float(top), count).expm1().round().int().tolist()) | {0, last}


def cosines(
    probe: Probe, net: nn.Module, method: attribution.Method, *, generator: torch.Generator, samples: int | None = None
) -> Tensor:
    """The attribution's part along every tangent direction as a share of its length, (n, k) on the CPU, signed.

    The length of a row is the fraction in tangent space, that of its first r entries the fraction along the r strongest
    directions. Rows are nan where the attribution is zero.
    """
    device = next(net.parameters()).device
    options = {} if samples is None else {"samples": samples}
    v = attribution.in_batches(method, net, probe.x.to(device), generator=generator, **options)
    v = attack.balanced(v).flatten(1)
    return ((probe.basis.to(device).mT @ v[..., None]).squeeze(-1) / v.norm(dim=1, keepdim=True)).cpu()


def look(probe: Probe, config: Config, net: nn.Module) -> dict[str, float]:
    """At `probe`: the error, and of every method's fraction in tangent space mean, standard error and quantiles.

    The keys are "error" and "<method>", "<method> se", "<method> q05" and "<method> q95", the last two over images.
    "<method> none" is the share of images at which it is zero and has no fraction; the means leave these out.
    """
    found = {"error": 1 - float(train.correct(net, probe.x, probe.y).mean())}
    for name in config.methods:
        rng = torch.Generator().manual_seed(0)  # the same noise at every look
        rows = cosines(probe, net, attribution.METHODS[name], generator=rng, samples=config.samples).norm(dim=1)
        there = rows[rows.isfinite()]
        low, high = there.quantile(torch.tensor([0.05, 0.95])).tolist() if len(there) else (torch.nan, torch.nan)
        error = float(there.std()) / len(there) ** 0.5 if len(there) > 1 else torch.nan
        found |= {name: float(there.mean()), f"{name} se": error}
        found |= {f"{name} q05": low, f"{name} q95": high, f"{name} none": 1 - len(there) / len(rows)}
    return found


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
        watch=partial(look, probe, config),
        watch_at=steps(classifier.schedule.epochs * classifier.schedule.steps(len(images.y)), config.looks),
    )
