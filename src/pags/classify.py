"""Training the classifiers whose gradients the book explains.

Axes: n examples. A budget is an L2 length per image, in pixel units, unless `per_batch` or `linf` is set.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from pags import attack, attribution, nets, tangent, train

NETS = {
    "linear": nets.linear,
    "mlp": nets.mlp,
    "narrow_mlp": partial(nets.mlp, width=128),
    "lenet": nets.lenet,
    "narrow_lenet": partial(nets.lenet, width=8),
    "resnet18": nets.resnet,
    "small_resnet18": nets.small_resnet,
    "narrow_resnet18": partial(nets.small_resnet, width=16),
}


@dataclass(frozen=True)
class Config:
    """A net and its training; with `budgets`, against an L2 adversary of `pgd_steps` steps, or an Linf one (`linf`).

    `watch` asks for the gradient's fraction in tangent space at about so many steps of training, spaced evenly in log;
    `shuffle_labels` gives every training image the label of another.
    """

    schedule: train.Schedule
    net: str = "lenet"
    dropout: bool = True
    budgets: tuple[float, ...] = ()
    pgd_steps: int = 100
    per_batch: bool = False
    linf: bool = False
    shuffle_labels: bool = False
    watch: int = 0


@dataclass(frozen=True)
class Probe:
    """Images x (n, ...), labels y (n,) and tangent bases (n, d, k) at which a training is watched."""

    x: Tensor
    y: Tensor
    basis: Tensor
    fingerprint: str


def watched(steps: int, count: int) -> set[int]:
    """About `count` steps from 0 to `steps`, evenly spaced in log(1 + step), both ends among them."""
    if count == 0:
        return set()
    top = torch.tensor(float(steps)).log1p()
    return set(torch.linspace(0, float(top), count).expm1().round().int().tolist()) | {0, steps}


def look(probe: Probe, net: nn.Module) -> dict[str, float]:
    """The gradient's fraction in tangent space at `probe` (mean, 5 and 95 % quantiles over images), and the error."""
    device = next(net.parameters()).device
    basis, x = probe.basis.to(device), probe.x.to(device)
    fraction = tangent.fraction_in(basis, attribution.in_batches(attribution.gradient, net, x))
    low, high = fraction.quantile(torch.tensor([0.05, 0.95], device=device)).tolist()
    error = 1 - float(train.correct(net, probe.x, probe.y).mean())
    return {"fraction": float(fraction.mean()), "low": low, "high": high, "error": error}


def make_net(config: Config, images) -> nn.Module:
    """The net of `config` for these images, with fresh parameters."""
    channels, h, w = images.x.shape[1:]
    return NETS[config.net]((h, w), images.classes, dropout=config.dropout, channels=channels)


def objective(config: Config) -> train.Objective:
    """Cross-entropy, at perturbed images if `config` has budgets."""
    if not config.budgets:
        return train.standard
    perturb = attack.pgd_linf if config.linf else attack.pgd_l2_batch if config.per_batch else attack.pgd_l2
    return train.adversarial(partial(perturb, steps=config.pgd_steps), config.budgets)


def fit(
    config: Config, images, probe: Probe | None = None, *, seed: int, device: torch.device, checkpoint
) -> tuple[dict[str, Tensor], dict]:
    """Train on a data set: (state dict, {"history": per epoch, and per watched step, ...})."""
    with train.seeded(seed):
        net = make_net(config, images).to(device)
    y = images.y
    if config.shuffle_labels:
        y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))]
    steps = config.schedule.epochs * -(-len(y) // config.schedule.batch)
    history = train.fit(
        net,
        objective(config),
        (images.x, y),
        config.schedule,
        seed=seed,
        label=config.net + ", robust" * bool(config.budgets) + ", random labels" * config.shuffle_labels,
        checkpoint=checkpoint,
        watch=partial(look, probe) if probe else None,
        watch_at=watched(steps, config.watch) if probe else (),
    )
    return net.state_dict(), {"history": history}


def load(artifact, config: Config, images, device: torch.device = torch.device("cpu")) -> nn.Module:
    """The trained net in evaluation mode, its parameters frozen."""
    net = make_net(config, images)
    net.load_state_dict(artifact.tensors)
    return net.to(device).eval().requires_grad_(False)
