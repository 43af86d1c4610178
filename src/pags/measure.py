"""One job that trains a net and returns what a page needs of it: numbers per image instead of weights.

Axes: n images at which it is explained, s of them with a known score, d pixels, k tangent directions, m test images.
Hundreds of large nets then need no memory, and no disk but for those whose weights are asked for.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from pags import artifacts, attack, classify, data, outputs, regularize, robustness, similarity, train
from pags.artifacts import Checkpoint
from pags.errors import PagsError, UsageError

LIMIT = 1_000_000  # bytes that a job may return


@dataclass(frozen=True)
class Config:
    """A training, and the steps: `size` times an image's length, `draws` of them by a generator with the seed `noise`.

    With `fixed`, they are `size` long at every image. Nets with the same `noise` are moved by the same steps. With
    `keep_weights`, the weights stay in build/artifacts of the machine that trains, as what `regularize.fit` makes.
    """

    training: regularize.Training
    size: float
    draws: int
    noise: int
    fixed: bool = False
    keep_weights: bool = False


@dataclass(frozen=True)
class Probe:
    """Images x (n, ...), bases (n, d, k), scores (s, ...) at the first s; m test images; AlexNet's trunk or None.

    Scores are by noise level, the main one first.
    """

    x: Tensor
    basis: Tensor
    scores: dict[float, Tensor]
    test: data.Dataset
    trunk: dict[str, Tensor] | None
    fingerprint: str


def probe(
    x: Tensor,
    basis: Tensor,
    scores: dict[float, Tensor],
    test: data.Dataset,
    trunk: dict[str, Tensor] | None = None,
    made_by: Iterable[artifacts.Artifact] = (),
) -> Probe:
    """A `Probe` on the CPU with the fingerprint of its content; with a trunk (`data.alexnet`) for LPIPS, too.

    On a GPU `made_by`, the artifacts of the nets by which bases and scores were computed, stands for these in the
    fingerprint: computed by another kind of GPU they differ in their last digits.

    UsageError for a score of one image, which leaves none for a null, or of more than there are, and for images that
    are too small to be compared; ValueError for no score, or scores of different numbers of images.
    """
    (scored,) = {len(score) for score in scores.values()}
    if not 2 <= scored <= len(x):
        raise UsageError(f"the score is known at {scored} images, {len(x)} are explained: take from 2 to {len(x)}")
    try:
        similarity.check_size(x.shape, similarity.WINDOW if trunk is None else similarity.LEAST)
    except ValueError as error:
        remedy = "" if trunk is None else "; set lpips to false, or take larger images"
        raise UsageError(f"{error}{remedy}") from None
    on_gpu = train.accelerated(basis.device)
    x, basis, scores = x.cpu(), basis.cpu(), {sigma: score.cpu() for sigma, score in scores.items()}
    computed, keys = [basis, *scores.values()], ""
    if on_gpu and (nets := list(made_by)):
        computed = [torch.tensor([*basis.shape, scored]), *(v for net in nets for v in net.tensors.values())]
        keys = " ".join(net.fingerprint for net in nets)
    content = [x, torch.tensor([*scores]), *computed, test.x, test.y, *(trunk or {}).values()]
    return Probe(x, basis, scores, test, trunk, data.fingerprint(content) + keys)


def measures(
    basis: Tensor, trunk: dict[str, Tensor] | None = None, device: torch.device = torch.device("cpu")
) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """By name, the measures (n,) of how alike two maps (n, ...) are; 1 - LPIPS first where there is a trunk."""
    found: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "cosine in tangent space": partial(similarity.cosine, basis),
        "cosine": similarity.plain_cosine,
        "SSIM": similarity.ssim,
    }
    return found if trunk is None else {"1 − LPIPS": similarity.lpips(trunk, device)} | found


def named(measure: str, output: str, sigma: float) -> str:
    """What `measured` calls the measure of this output's gradient with the score at this noise level."""
    return f"{measure}, {output}, sigma {sigma:g}"


def change(
    net: nn.Module, x: Tensor, basis: Tensor, size: Tensor, *, draws: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`robustness.on_off_change` (n,) by steps `size` (n,) times as long as each image."""
    scale = size.reshape(-1, *[1] * (x.ndim - 1))
    pairs = [robustness.on_and_off(basis, x, size=1.0, generator=generator) for _ in range(draws)]
    found = torch.stack(robustness.change(net, x, *(scale * step for pair in pairs for step in pair)))
    return found[::2].mean(0), found[1::2].mean(0)


def measured(net: nn.Module, at: Probe, config: Config) -> dict[str, Tensor]:
    """What is known of a net, by name: (m,) for "accuracy", (2, s) for a likeness, (n,) for everything else.

    "on" and "off" are changes along and across the manifold, "rho_1" is at noise about as long as these steps, it and
    "rho_2" are nan where a net has no gradient; "confidence" is the largest probability. A likeness and its null are
    as in `outputs.likenesses`: of all outputs' gradients with the scores at all levels in the first measure (`named`),
    in the others of the predicted logit's at the first level (by the measure's name).
    """
    device = next(net.parameters()).device
    x, basis = at.x.to(device), at.basis.to(device)
    scores = {sigma: score.to(device) for sigma, score in at.scores.items()}
    noise, lengths = torch.Generator().manual_seed(config.noise), attack.l2_norm(x)
    longer = config.size / lengths if config.fixed else torch.full_like(lengths, config.size)
    on, off = change(net, x, basis, longer, draws=config.draws, generator=noise)
    E = outputs.gradient(net, x, outputs.predicted)
    logits = train.predict(net, x)
    target = logits.argmax(1)
    rho_1 = robustness.relative(
        lambda v: net(v).gather(1, target[:, None]).squeeze(1),
        x,
        E,
        basis,
        sigma=float((longer * lengths).mean()) / x[0].numel() ** 0.5,
        draws=config.draws,
        generator=noise,
    )
    found = {"on": on, "off": off, "rho_1": rho_1, "rho_2": robustness.alignment(basis, E)}
    found["confidence"] = logits.softmax(1).amax(1)
    score = next(iter(scores.values()))
    s = len(score)
    (main, compare), *others = measures(basis[:s], at.trunk, device).items()
    alike = outputs.likenesses(net, x[:s], scores, compare)
    found |= {named(main, *key): pair for key, pair in alike.items()}
    found |= {name: outputs.likeness(E[:s], score, other) for name, other in others}
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
    """Train as `regularize.fit` does: (what `measured` says of the net, {"history": per epoch, "kept": keys}).

    The keys are those of the artifacts that hold weights which are kept; what is there already is not trained again.
    Raises PagsError, before the training, where this would be more than `LIMIT` bytes.
    """
    pairs = len(measures(at.basis)) + (at.trunk is not None) - 1 + len(outputs.OUTPUTS) * len(at.scores)
    scored = len(next(iter(at.scores.values())))
    size = at.x.element_size() * (5 * len(at.x) + 2 * pairs * scored) + 4 * len(at.test.y)
    if size > LIMIT:
        raise PagsError(
            f"the measures of a net at {len(at.x)} explained and {len(at.test.y)} test images take {size:,} bytes, "
            f"a job may return {LIMIT:,}: use fewer images"
        )
    if config.keep_weights:
        trained = artifacts.cached(regularize.fit, config.training, images, seed=seed, device=device)
    else:
        weights, info = regularize.fit(config.training, images, seed=seed, device=device, checkpoint=checkpoint)
        trained = artifacts.Artifact(dict(weights), dict(info), "")
    kept = [trained.fingerprint] if config.keep_weights else []
    return measured(classify.load(trained, device), at, config), {"history": trained.info["history"], "kept": kept}
