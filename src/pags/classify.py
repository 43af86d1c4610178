"""Training the classifiers whose gradients the book explains.

Axes: n examples. A budget is an L2 length per image, in pixel units, unless `per_batch` or `linf` is set.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pags import attack, augment, nets, train
from pags.artifacts import Artifact, Checkpoint
from pags.data import Dataset
from pags.errors import UsageError

NETS: dict[str, Callable[..., nn.Module]] = {
    "linear": nets.linear,
    "mlp": nets.mlp,
    "narrow_mlp": partial(nets.mlp, width=128),
    "lenet": nets.lenet,
    "narrow_lenet": partial(nets.lenet, width=8),
    "resnet18": nets.resnet,
    "small_resnet18": nets.small_resnet,
    "narrow_resnet18": partial(nets.small_resnet, width=16),
    "thin_resnet18": partial(nets.small_resnet, width=8),
}


@dataclass(frozen=True)
class Config:
    """A net and its training; with `budgets`, against an L2 adversary of `pgd_steps` steps, or an Linf one (`linf`).

    A budget holds per image, with `per_batch` (L2 only) for a whole batch. `shuffle_labels` permutes the labels;
    `augment` shifts and mirrors the images anew in every batch.
    """

    schedule: train.Schedule
    net: str = "lenet"
    dropout: bool = True
    budgets: tuple[float, ...] = ()
    pgd_steps: int = 100
    per_batch: bool = False
    linf: bool = False
    shuffle_labels: bool = False
    augment: bool = False


def shape(config: Config, images: Dataset) -> dict[str, Any]:
    """The net of `config` for these images as plain JSON: what `build` needs, kept in a trained net's `info`.

    UsageError for images of one class.
    """
    if images.classes < 2:
        raise UsageError(f"data {images.name!r} has one class: a classifier needs at least two")
    channels, h, w = images.x.shape[1:]
    return {
        "net": config.net,
        "size": [h, w],
        "classes": images.classes,
        "dropout": config.dropout,
        "channels": channels,
    }


def build(shape: dict[str, Any]) -> nn.Module:
    """The net that `shape` describes, with fresh parameters; convolutions run channels last."""
    size = tuple(shape["size"])
    net = NETS[shape["net"]](size, shape["classes"], dropout=shape["dropout"], channels=shape["channels"])
    return net.to(memory_format=torch.channels_last)


def objective(config: Config) -> train.Objective:
    """Cross-entropy, at perturbed images if `config` has budgets."""
    if not config.budgets:
        return train.standard
    perturb = attack.pgd_linf if config.linf else attack.pgd_l2_batch if config.per_batch else attack.pgd_l2
    return train.adversarial(partial(perturb, steps=config.pgd_steps), config.budgets)


def fit(
    config: Config, images: Dataset, *, seed: int, device: torch.device, checkpoint: Checkpoint | None = None
) -> tuple[dict[str, Tensor], dict]:
    """Train on a data set: (state dict, {"history": per epoch, and what `load` needs})."""
    return fit_by(objective(config), config, images, seed=seed, device=device, checkpoint=checkpoint)


def fit_by(
    objective: train.Objective,
    config: Config,
    images: Dataset,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
    label: str = "",
    watch: Callable[[nn.Module], dict[str, float]] | None = None,
    watch_at: Collection[int] = (),
) -> tuple[dict[str, Tensor], dict]:
    """Train the net of `config` by any objective, as `fit` does by its own; `watch` as in `train.fit`."""
    about = shape(config, images)
    with train.seeded(seed):
        net = build(about).to(device)
    y = images.y
    if config.shuffle_labels:
        y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))]
    label = label or config.net + ", robust" * bool(config.budgets) + ", random labels" * config.shuffle_labels
    history = train.fit(
        net,
        augment.augmented(objective) if config.augment else objective,
        (images.x, y),
        config.schedule,
        seed=seed,
        label=label,
        checkpoint=checkpoint,
        watch=watch,
        watch_at=watch_at,
        half=True,
    )
    return net.state_dict(), {"history": history, **about}


def load(artifact: Artifact, device: torch.device = torch.device("cpu")) -> nn.Module:
    """The trained net in evaluation mode, its parameters frozen."""
    net = build(artifact.info)
    net.load_state_dict(artifact.tensors)
    return net.to(device).eval().requires_grad_(False)
