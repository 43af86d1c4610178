"""Four ways to train a robust net, each with one number for its strength; at strength 0 all are plain cross-entropy.

Axes: n examples, c classes. Strengths are effective ones, per image: the released code of Srinivas et al. 2023 hides
factors in its own, `RELEASED` has them. Source: Srinivas et al. 2023, Appendix B.1.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pags import attack, classify, difference, randomness, train
from pags.artifacts import Checkpoint
from pags.data import Dataset

SIGMA = 0.1  # the smoothness penalty's noise, per pixel


def gradient_norm(strength: float) -> train.Objective:
    """Cross-entropy + strength * mean over images of ||grad_x cross-entropy||^2.

    By double backpropagation, on a GPU by the difference of `difference.gradient_norm`.
    """

    def objective(net: nn.Module, x: Tensor, y: Tensor, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        if train.accelerated(x.device):
            return difference.gradient_norm(strength)(net, x, y, generator=generator, step=step)
        x = x.detach().requires_grad_()
        logits = net(x)
        losses = F.cross_entropy(logits, y, reduction="none")
        (grad,) = torch.autograd.grad(losses.sum(), x, create_graph=True)
        penalty = grad.flatten(1).square().sum(1).mean()
        return _terms(losses.mean() + strength * penalty, logits, y)

    return objective


def smoothness(strength: float, sigma: float = SIGMA) -> train.Objective:
    """Cross-entropy + strength * mean over images of ||f(x + noise) - f(x)||^2, f the logits; one draw per step."""

    def objective(net: nn.Module, x: Tensor, y: Tensor, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        logits, moved = net(torch.cat([x, noisy(x, sigma, generator)])).chunk(2)
        penalty = (moved - logits).square().sum(1).mean()
        return _terms(F.cross_entropy(logits, y) + strength * penalty, logits, y)

    return objective


def noise(strength: float) -> train.Objective:
    """Cross-entropy at x + strength * standard normal noise, one draw per step: A's randomized smoothing."""

    def objective(net: nn.Module, x: Tensor, y: Tensor, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        return train.standard(net, noisy(x, strength, generator), y, generator=generator, step=step)

    return objective


def pgd(strength: float, steps: int = 10) -> train.Objective:
    """Cross-entropy at images that `attack.pgd_l2` has moved by at most `strength`, an L2 length per image."""
    return train.adversarial(partial(attack.pgd_l2, steps=steps), (strength,))


def pgd_as_released(strength: float, steps: int = 10) -> train.Objective:
    """A's released PGD training: one budget for the whole batch, and the inner steps' losses are minimised, too.

    `strength` is per image here as well; the batch of b images gets strength * sqrt(b). The released loop clears the
    parameters' gradients before the attack and not after it, so that an update is the sum of steps + 1 gradients.
    """

    def objective(net: nn.Module, x: Tensor, y: Tensor, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        eps = strength * len(x) ** 0.5
        start = randomness.uniform(x, generator)
        delta, losses = 0.5 * eps * attack.unit_batch(start), []
        for _ in range(steps):
            delta = delta.detach().requires_grad_()
            losses.append(F.cross_entropy(net(x + delta), y))
            (grad,) = torch.autograd.grad(losses[-1], delta, retain_graph=True)
            delta = attack.project_batch(delta.detach() + 2 * eps / steps * attack.unit_batch(grad), eps)
        logits = net(x + delta)
        return _terms(F.cross_entropy(logits, y) + torch.stack(losses).sum(), logits, y)

    return objective


def noisy(x: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """x plus Gaussian noise."""
    return x + sigma * randomness.normal(x, generator)


def _terms(loss: Tensor, logits: Tensor, y: Tensor) -> dict[str, Tensor]:
    return {"loss": loss, "error": (logits.argmax(1) != y).float().mean()}


OBJECTIVES: dict[str, Callable[..., train.Objective]] = {
    "gradient norm": gradient_norm,
    "smoothness": smoothness,
    "noise": noise,
    "PGD": pgd,
    "PGD as released": pgd_as_released,
}
ATTACKS = (pgd, pgd_as_released)  # these take a number of steps, too
# An effective strength is this factor times the number that A's released code is given, at its batch of 128: 1e5 on
# the gradient of the *mean* loss, squared and divided by the batch; and one budget for the batch.
RELEASED = {"gradient norm": 1e5 / 128**2, "smoothness": 1.0, "noise": 1.0, "PGD": 128**-0.5}


@dataclass(frozen=True)
class Training:
    """A net and its schedule, an objective of `OBJECTIVES` with its strength.

    Above `slow` (if not 0) the learning rate falls in proportion to the strength, as A's does.
    """

    classifier: classify.Config
    objective: str
    strength: float
    slow: float = 0.0


def objective(config: Training) -> train.Objective:
    """The objective of `config`; at strength 0 plain cross-entropy."""
    if config.strength == 0:
        return train.standard
    make = OBJECTIVES[config.objective]
    return make(config.strength, steps=config.classifier.pgd_steps) if make in ATTACKS else make(config.strength)


def fit(
    config: Training, images: Dataset, *, seed: int, device: torch.device, checkpoint: Checkpoint | None = None
) -> tuple[dict[str, Tensor], dict]:
    """Train on a data set, as `classify.fit` does and for `classify.load`."""
    classifier = config.classifier
    if 0 < config.slow < config.strength:
        slower = replace(classifier.schedule, lr=classifier.schedule.lr * config.slow / config.strength)
        classifier = replace(classifier, schedule=slower)
    return classify.fit_by(
        objective(config),
        classifier,
        images,
        seed=seed,
        device=device,
        checkpoint=checkpoint,
        label=f"{classifier.net}, {config.objective} {config.strength:g}",
    )
