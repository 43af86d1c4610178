"""One job that trains a net and returns what a page needs of it: numbers per image instead of weights.

Axes: n images at which it is explained, s of them with a known score, d pixels, k tangent directions, m test images.
Hundreds of large nets then need neither memory nor disk.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from pags import artifacts, attack, attribution, classify, data, regularize, robustness, similarity, train
from pags.artifacts import Checkpoint
from pags.errors import PagsError, UsageError

LIMIT = 1_000_000  # bytes that a job may return
OTHERS = 3  # images whose scores make a null


@dataclass(frozen=True)
class Config:
    """A training, and the steps: `size` times an image's length, `draws` of them by a generator with the seed `noise`.

    Nets with the same `noise` are moved by the same steps.
    """

    training: regularize.Training
    size: float
    draws: int
    noise: int


@dataclass(frozen=True)
class Probe:
    """Images x (n, ...), bases (n, d, k), the score (s, ...) at the first s; m test images; AlexNet's trunk or None."""

    x: Tensor
    basis: Tensor
    score: Tensor
    test: data.Dataset
    trunk: dict[str, Tensor] | None
    fingerprint: str


def probe(x: Tensor, basis: Tensor, score: Tensor, test: data.Dataset, trunk: dict[str, Tensor] | None = None) -> Probe:
    """A `Probe` on the CPU with the fingerprint of its content; with a trunk (`data.alexnet`) for LPIPS, too.

    UsageError for a score of one image, which leaves none for a null, or of more than there are, and for images that
    are too small to be compared.
    """
    if not 2 <= len(score) <= len(x):
        raise UsageError(f"the score is known at {len(score)} images, {len(x)} are explained: take from 2 to {len(x)}")
    try:
        similarity.check_size(x.shape, similarity.WINDOW if trunk is None else similarity.LEAST)
    except ValueError as error:
        remedy = "" if trunk is None else "; set lpips to false, or take larger images"
        raise UsageError(f"{error}{remedy}") from None
    x, basis, score = (part.cpu() for part in (x, basis, score))
    content = [x, basis, score, test.x, test.y, *(trunk or {}).values()]
    return Probe(x, basis, score, test, trunk, data.fingerprint(content))


def likeness(
    basis: Tensor, trunk: dict[str, Tensor] | None = None, device: torch.device = torch.device("cpu")
) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """By name, the measures (n,) of how alike two maps (n, ...) are; 1 - LPIPS first where there is a trunk."""
    measures: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "cosine in tangent space": partial(similarity.cosine, basis),
        "SSIM": similarity.ssim,
    }
    return measures if trunk is None else {"1 − LPIPS": similarity.lpips(trunk, device)} | measures


def measured(net: nn.Module, at: Probe, config: Config) -> dict[str, Tensor]:
    """What is known of a net, by name: (m,) for "accuracy", (s,) for a likeness, (n,) for everything else.

    "on" and "off" are changes along and across the manifold, "rho_1" is at noise about as long as these steps,
    "confidence" is the largest probability. A likeness is of the predicted logit's gradient with the score; its null
    "..., other image" is the mean over the scores of the `OTHERS` images before.
    """
    device = next(net.parameters()).device
    x, basis, score = (part.to(device) for part in (at.x, at.basis, at.score))
    noise = torch.Generator().manual_seed(config.noise)
    on, off = robustness.on_off_change(net, x, basis, size=config.size, draws=config.draws, generator=noise)
    E = attribution.in_batches(attribution.gradient, net, x)
    logits = train.predict(net, x)
    target = logits.argmax(1)
    rho_1 = robustness.relative(
        lambda v: net(v).gather(1, target[:, None]).squeeze(1),
        x,
        E,
        basis,
        sigma=config.size * float(attack.l2_norm(x).mean()) / x[0].numel() ** 0.5,
        draws=config.draws,
        generator=noise,
    )
    found = {"on": on, "off": off, "rho_1": rho_1, "rho_2": robustness.alignment(basis, E)}
    found["confidence"] = logits.softmax(1).amax(1)
    s = len(score)
    for name, compare in likeness(basis[:s], at.trunk, device).items():
        others = [compare(E[:s], score.roll(i, 0)) for i in range(1, min(OTHERS, s - 1) + 1)]
        found |= {name: compare(E[:s], score), f"{name}, other image": torch.stack(others).mean(0)}
    return {name: v.cpu() for name, v in found.items()} | {"accuracy": train.correct(net, at.test.x, at.test.y)}


def fit(
    config: Config,
    images: data.Dataset,
    at: Probe,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Checkpoint | None = None,
) -> tuple[dict[str, Tensor], dict]:
    """Train as `regularize.fit` does, to the bit: (what `measured` says of the net, {"history": per epoch}).

    Raises PagsError, before the training, where this would be more than `LIMIT` bytes.
    """
    likenesses = 2 * len(likeness(at.basis)) + 2 * (at.trunk is not None)
    size = at.x.element_size() * (5 * len(at.x) + likenesses * len(at.score)) + 4 * len(at.test.y)
    if size > LIMIT:
        raise PagsError(
            f"the measures of a net at {len(at.x)} explained and {len(at.test.y)} test images take {size:,} bytes, "
            f"a job may return {LIMIT:,}: use fewer images"
        )
    weights, info = regularize.fit(config.training, images, seed=seed, device=device, checkpoint=checkpoint)
    net = classify.load(artifacts.Artifact(weights, info, ""), device)
    return measured(net, at, config), {"history": info["history"]}
