"""Remove and retrain: what a new net still learns from the part of every image that an attribution ranks high, or low.

Axes: n examples, c channels, h and w pixels. A rank is a coordinate's place in its image's order, 0 for the largest
attribution: (n, c, h, w), or (n, 1, h, w) where a pixel's channels go together; d is the number of ranks of an image.
A share k in [0, 1] of an image's coordinates is kept, the others are filled.
Sources: Hooker et al. 2019; Bordt et al. 2022, Section 4.5; Shah et al. 2021, Section 3.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor, nn

from pags import arguments, artifacts, attribution, classify, data, sweep, together, train

SMALL = 4_000_000  # parameters of nets that are trained in step

# Ranks and masks


def ranks(E: Tensor, *, generator: torch.Generator, per_pixel: bool = False) -> Tensor:
    """Each coordinate's place in the order of |E|, 0 for the largest: int16 (int32 for large images), on the CPU.

    Equal values come in a random order, drawn anew for every image, so that every mask has exactly its count.
    `per_pixel` orders by the sum over channels. Raises ValueError where E is not finite.
    """
    size = E.detach().cpu().abs()
    if not size.isfinite().all():
        raise ValueError("an attribution that is not finite has no order")
    size = size.sum(1, keepdim=True) if per_pixel else size
    flat = size.flatten(1)  # (n, d)
    kind = torch.int16 if flat.shape[1] < 2**15 else torch.int32
    found, places = torch.empty(flat.shape, dtype=kind), torch.arange(flat.shape[1], dtype=kind)
    for part, own in zip(flat.split(500), found.split(500), strict=True):  # what the processor's cache holds
        drawn = torch.rand(part.shape, generator=generator)  # for every image, so that none changes another's
        order, tied = _falling(part)
        shuffled = drawn[tied].argsort(1)
        order[tied] = shuffled.gather(1, _falling(part[tied].gather(1, shuffled))[0])
        own.scatter_(1, order, places.expand_as(order))
    return found.reshape(size.shape)


def _falling(size: Tensor) -> tuple[Tensor, Tensor]:
    """The order (n, d) of values (n, d) >= 0, largest first, equal ones as they stand; and which rows (n,) have such.

    A value of 32 bits and its place make one whole number, and numbers alone are sorted several times as fast as
    numbers that carry an index.
    """
    if size.dtype == torch.float64:
        value, order = size.sort(dim=1, descending=True, stable=True)
    else:
        number = -size.float().view(torch.int32).long() << 32  # floats from 0 on are ordered as their bits are
        number += torch.arange(size.shape[1])
        number.numpy().sort(axis=1)
        value, order = number >> 32, number & 2**32 - 1
    return order, (value[:, 1:] == value[:, :-1]).any(1)


def kept(ranks: Tensor, share: float, *, top: bool = True) -> Tensor:
    """True on the round(share d) coordinates of every image that rank first, or last: in the shape of `ranks`.

    ValueError for a share that is not in [0, 1], such as one in percent.
    """
    arguments.share("share", share)
    d = ranks[0].numel()
    count = round(share * d)
    return ranks < count if top else ranks >= d - count


def unmask(x: Tensor, keep: Tensor, fill: Tensor | float = 0.0) -> Tensor:
    """The images x (n, c, h, w) where `keep` is true, and `fill` elsewhere."""
    return torch.where(keep, x, torch.as_tensor(fill, dtype=x.dtype, device=x.device))


def ties(E: Tensor) -> Tensor:
    """Share of each image's coordinates whose |E| is not its alone, (n,): the order of those is drawn."""
    flat = E.abs().flatten(1).sort(1).values
    same = flat[:, 1:] == flat[:, :-1]
    edge = same.new_zeros(len(flat), 1)
    return (torch.cat([same, edge], 1) | torch.cat([edge, same], 1)).float().mean(1)


# Attributions of a trained net, once


@dataclass(frozen=True)
class Scheme:
    """A method of `METHODS`, with `samples` gradients where it averages, and whether a pixel's channels go together."""

    method: str
    per_pixel: bool = False
    samples: int | None = None


def _loss_gradient(net: nn.Module, x: Tensor, *, generator: torch.Generator, samples: int = 1) -> Tensor:
    return attribution.loss_gradient(copy.deepcopy(net).double(), x.double())


def _of_any_class(net: nn.Module, x: Tensor, *, generator: torch.Generator, samples: int = 1) -> Tensor:
    """The gradient of a class that is drawn without looking at the image."""
    with torch.no_grad():
        classes = net(x[:1]).shape[1]
    target = torch.randint(classes, (len(x),), generator=generator).to(x.device)
    return attribution.gradient(net, x, target)


def _weights(net: nn.Module, x: Tensor, *, generator: torch.Generator, samples: int = 1) -> Tensor:
    """The same for all images: the sizes of a linear net's weights, summed over classes. ValueError for other nets."""
    layers = [module for module in net.modules() if list(module.parameters(recurse=False))]
    if len(layers) != 1 or not isinstance(layers[0], nn.Linear):
        raise ValueError("the weights themselves explain a linear net only")
    return layers[0].weight.abs().sum(0).reshape(x.shape[1:]).expand_as(x)


METHODS: dict[str, attribution.Method] = attribution.METHODS | {
    "loss gradient": _loss_gradient,
    "gradient of a random class": _of_any_class,
    "weights": _weights,
}


def attribute(scheme: Scheme, net: nn.Module, x: Tensor, *, generator: torch.Generator) -> Tensor:
    """The scheme's attributions at x, like x."""
    averaged = {} if scheme.samples is None else {"samples": scheme.samples}
    return attribution.in_batches(METHODS[scheme.method], net, x, generator=generator, **averaged)


def rank(
    config: Scheme,
    trained: artifacts.Artifact,
    images: data.Dataset,
    held_out: data.Dataset,
    *,
    seed: int,
    device: torch.device,
    checkpoint: artifacts.Checkpoint | None = None,
) -> tuple[dict[str, Tensor], dict]:
    """The ranks of all training and test images under a scheme: ({"train", "test"}, {"ties": their mean share})."""
    net = classify.load(trained, device)
    generator = torch.Generator().manual_seed(seed)
    found, equal = {}, []
    for part in (images, held_out):
        E = attribute(config, net, part.x.to(device), generator=generator)
        found[part.split] = ranks(E, generator=generator, per_pixel=config.per_pixel)
        equal.append(ties(E).cpu())
    return found, {"ties": float(torch.cat(equal).mean())}


def order(E: dict[str, Tensor], *, generator: torch.Generator) -> artifacts.Artifact:
    """The ranks of given attributions E of the splits "train" and "test", as `rank` makes them of a net's."""
    found = {split: ranks(part, generator=generator) for split, part in E.items()}
    return artifacts.Artifact(found, {}, data.fingerprint(found.values()))


# Retraining


@dataclass(frozen=True)
class Retrain:
    """A training on what a mask leaves: the first (`top`) or last `share` of every image's coordinates.

    The others are black, or the training images' mean per channel (`mean_fill`). `mask_only` shows the net the mask
    itself and no image.
    """

    classifier: classify.Config
    share: float
    top: bool = True
    mean_fill: bool = False
    mask_only: bool = False


def retraining_seed(seed: int, repetition: int = 0) -> int:
    """The seed of a retraining: never that of an explained net, so initialisation and order of batches are others."""
    return seed + 10_007 * (repetition + 1)


def view(config: Retrain, images: data.Dataset, x: Tensor, ranks: Tensor) -> Tensor:
    """What the net of `config` is shown of the images x (n, c, h, w), which are among `images`."""
    keep = kept(ranks, config.share, top=config.top)
    if config.mask_only:
        return keep.to(x).expand_as(x)
    return unmask(x, keep, images.x.mean((0, 2, 3))[:, None, None] if config.mean_fill else 0.0)


def fit(
    config: Retrain,
    images: data.Dataset,
    held_out: data.Dataset,
    order: artifacts.Artifact,
    *,
    seed: int,
    device: torch.device,
    checkpoint: artifacts.Checkpoint | None = None,
) -> tuple[dict[str, Tensor], dict]:
    """Train on masked images, test on masked held-out ones: ({"correct": (n,) of the latter}, {"accuracy", ...}).

    The rest of the latter is the number of "epochs", and whether a small loss ended the training, "stopped".
    """
    seen = replace(images, x=view(config, images, images.x, order.tensors["train"]))
    trained = artifacts.Artifact(
        *classify.fit(config.classifier, seen, seed=seed, device=device, checkpoint=checkpoint), fingerprint=""
    )
    tensors, info = judged(classify.load(trained, device), config, images, held_out, order)
    return tensors, info | _ending(trained.info["history"][-1])


def judged(net: nn.Module, config: Retrain, images, held_out, order) -> tuple[dict[str, Tensor], dict]:
    """({"correct"}, {"accuracy"}) of a net that is trained and in evaluation mode, as `fit` returns them."""
    correct = train.correct(net, view(config, images, held_out.x, order.tensors["test"]), held_out.y)
    return {"correct": correct.bool()}, {"accuracy": float(correct.mean())}


def grid(
    jobs: Iterable[sweep.Job],
    *,
    device: torch.device | str = "cpu",
    executor: Executor | None = None,
    together: int = 64,
) -> list[artifacts.Artifact]:
    """The artifacts of jobs whose maker is `fit`, in their order.

    On a GPU up to `together` trainings that differ only in what they see, and in their seed, run as one.
    """
    jobs, device = list(jobs), torch.device(device)
    if device.type == "cuda" and not isinstance(executor, sweep.Cluster):
        for some in batches(jobs, together, device=device):
            for job, (tensors, info) in zip(some, ensemble(some, device=device), strict=True):
                artifacts.store(tensors, info, *job.recipe, seed=job.seed, device=device)
    return sweep.cached(jobs, device=device, executor=executor)


def batches(jobs: Sequence[sweep.Job], size: int, *, device: torch.device) -> Iterator[tuple[sweep.Job, ...]]:
    """The jobs that are not done yet and that `ensemble` can train, at most `size` of a kind at a time."""

    def kind(job: sweep.Job) -> str:
        images, held_out, _ = job.inputs
        return f"{job.config.classifier} {images.fingerprint} {held_out.fingerprint}"

    left = [
        job
        for job in jobs
        if stackable(job.config.classifier, job.inputs[0])
        and not artifacts.ready(*job.recipe, seed=job.seed, device=device)
    ]
    for _, some in groupby(sorted(left, key=kind), kind):
        alike = tuple(some)
        yield from (alike[i : i + size] for i in range(0, len(alike), size))


def stackable(config: classify.Config, images: data.Dataset) -> bool:
    """Whether `together.fit` trains nets of this kind: without an adversary, on images and labels as they are, small.

    A large net fills a GPU alone, and many of them would not fit its memory.
    """
    if config.budgets or config.augment or config.shuffle_labels:
        return False
    with torch.device("meta"):
        net = classify.build(classify.shape(config, images))
    return sum(parameter.numel() for parameter in net.parameters()) <= SMALL


def ensemble(jobs: Sequence[sweep.Job], *, device: torch.device) -> list[tuple[dict[str, Tensor], dict]]:
    """[fit(...) for every job], trained in step: one batched pass for all, each with its own images and its own seed.

    The jobs share their classifier and their images. Up to rounding the result is that of `fit`, dropout excepted.
    """
    images, held_out, _ = jobs[0].inputs
    configs: list[Retrain] = [job.config for job in jobs]
    orders = [job.inputs[2] for job in jobs]
    classifier = configs[0].classifier
    members = []
    for job in jobs:
        with train.seeded(job.seed):
            members.append(classify.build(classify.shape(classifier, images)).to(device))
    here = replace(images, x=images.x.to(device), y=images.y.to(device))
    ranks = [order.tensors["train"].to(device) for order in orders]
    ended = together.fit(
        members,
        lambda i, rows: view(configs[i], here, here.x[rows], ranks[i][rows]),
        here.y,
        classifier.schedule,
        seeds=[job.seed for job in jobs],
        label=f"{len(jobs)} nets",
    )
    made = [
        judged(net, config, here, held_out, order) for net, config, order in zip(members, configs, orders, strict=True)
    ]
    return [(tensors, info | _ending(last)) for (tensors, info), last in zip(made, ended, strict=True)]


def _ending(last: dict) -> dict:
    """How long a training was, by the last entry of its history."""
    return {"epochs": last["epoch"], "stopped": last.get("stopped", False)}
