"""What a net's input gradient is taken of, and how like the score each of these gradients is.

Axes: n images, c classes, s images with a known score. Srinivas et al. 2023 take the sum of all logits
(released code), Bordt et al. 2022 and Shah et al. 2021 the predicted logit. Call `net.eval()` first.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

Output = Callable[[Tensor], Tensor]  # logits (n, c) to a number for each image (n,)
OTHERS = 3  # images whose scores make a null


def total(logits: Tensor) -> Tensor:
    """The sum of all logits."""
    return logits.sum(1)


def predicted(logits: Tensor) -> Tensor:
    """The largest logit."""
    return logits.amax(1)


def evidence(logits: Tensor) -> Tensor:
    """The logarithm of the sum of their exponentials: log p(x) of the energy model that shares the logits."""
    return logits.logsumexp(1)


def margin(logits: Tensor) -> Tensor:
    """The largest logit minus the next."""
    first, second = logits.topk(2, dim=1).values.T
    return first - second


def log_probability(logits: Tensor) -> Tensor:
    """Of the predicted class: a shift that is common to all logits leaves it as it is."""
    return logits.log_softmax(1).amax(1)


OUTPUTS: dict[str, Output] = {
    "sum of logits": total,
    "predicted logit": predicted,
    "log-sum-exp": evidence,
    "margin": margin,
}


def gradient(net: nn.Module, x: Tensor, of: Output, *, batch: int = 250) -> Tensor:
    """The gradient of one output at the images x (n, ...), like x; parameters get none."""
    parts = []
    with torch.enable_grad():
        for part in x.split(batch):
            part = part.detach().requires_grad_()
            parts.append(torch.autograd.grad(of(net(part)).sum(), part)[0])
    return torch.cat(parts)


Compare = Callable[[Tensor, Tensor], Tensor]  # two maps (n, ...) to how alike they are, (n,)


def likeness(E: Tensor, score: Tensor, compare: Compare) -> Tensor:
    """(2, s): how like the score the maps E are, both (s, ...), and its null.

    The null is the mean over the scores of the `OTHERS` images before; a sentence may speak of the difference.
    ValueError for another number of scores than of maps, and for one, which leaves none for a null.
    """
    if not 2 <= len(score) == len(E):
        raise ValueError(f"{len(score)} scores for {len(E)} images: give as many, and two at least")
    others = [compare(E, score.roll(i, 0)) for i in range(1, min(OTHERS, len(score) - 1) + 1)]
    return torch.stack([compare(E, score), torch.stack(others).mean(0)])


def likenesses(
    net: nn.Module, x: Tensor, scores: Mapping[float, Tensor], compare: Compare
) -> dict[tuple[str, float], Tensor]:
    """By output and noise level, (2, s): the `likeness` of its gradient at x (s, ...) with the score (s, ...)."""
    found: dict[tuple[str, float], Tensor] = {}
    for name, of in OUTPUTS.items():
        E = gradient(net, x, of)
        found |= {(name, sigma): likeness(E, score, compare) for sigma, score in scores.items()}
    return found
