"""How long a chapter's trainings take on one H100, reckoned from its settings before anything runs.

A training of n images for so many epochs, each step worth so many plain ones (a forward pass, and a backward pass to
the parameters), takes what its arithmetic takes at the rate of a ResNet18, or what starting its kernels takes if that
is longer. A schedule that a small loss may end counts in full. Everything else that a chapter does is one number for
all. Expect a factor of two.
"""

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pags import PRESETS, autoencoder, classify, deep_autoencoder, denoise, generate, nets, presets, vae
from pags.book import retraining
from pags.errors import UsageError
from pags.presets.blockmnist import BlockMnist
from pags.presets.diffroar import Roar
from pags.presets.exact_score import KnownScore
from pags.presets.fractions import Fractions
from pags.presets.generation import Generation
from pags.presets.off_manifold import OffManifold
from pags.train import Schedule

PRINTED = ("gpu", "paper")  # presets whose estimate is printed before they run
RESNET = 20_000  # images of CIFAR-10 that train a plain ResNet18 in a second on one H100: half of eight on an H200
PENALISED = 5200  # the same with the gradient penalty: 10,900 where a plain one trains 43,000
PROCESSES = 2.7  # how much faster several processes on one GPU are, where starting kernels is the limit
BESIDE = 2.0  # the same where arithmetic is: eight by PGD of two steps, 18,500 images a second on one H200
IN_STEP = 8.0  # how much faster nets are that train in step, where starting kernels is the limit
START = 0.7e-3  # seconds that a step takes besides its layers
LAYER = 45e-6  # and for each layer, there and back
VAE_STEP = 5.5e-3  # and a VAE's for its objective, which is many small kernels (7 ms a step in all on one H200)
FULL = 0.5  # of the rate: nets whose passes are not in bfloat16
STACKED = 0.15  # of the rate: nets in step, where each convolution is one of many groups
REST = 110.0  # seconds of a chapter that are no trainings: processes that start, data, attributions, ranks, figures
COLOUR = (
    "cifar10",
    "svhn",
    "svhn_test_part",
    "imagenet10",
    "imagenet10_64",
    "imagenet64",
    "retinamnist",
)  # all others are grey
RECONSTRUCTED = 32  # pixels a side

Shape = tuple[int, int, int]  # channels, height, width


class Training(NamedTuple):
    """`times` trainings alike of a net for images of a shape, n of them; `passes`: what a step costs in plain ones.

    `faster` is by how much trainings side by side are faster than one after another, where kernels are what takes long.
    """

    what: str
    config: Any
    shape: Shape
    n: int
    times: int = 1
    passes: float = 1.0
    faster: float = PROCESSES

    @property
    def schedule(self) -> Schedule:
        """Of its net."""
        return self.config.schedule

    @property
    def images(self) -> float:
        """Images times passes, of all of them."""
        return self.times * self.schedule.epochs * self.n * self.passes

    @property
    def seconds(self) -> float:
        """What all of them take."""
        if self.faster == IN_STEP:  # large nets are no faster in step
            return min(self._seconds(STACKED), self._replace(faster=PROCESSES).seconds)
        return self._seconds(1.0 if isinstance(self.config, HALF) else FULL)

    def _seconds(self, share: float) -> float:
        """At this share of the rate."""
        flops, layers = cost(self.config, self.shape)
        rate = (
            share * 3 * cost(RESNET18, (3, 32, 32))[0] * RESNET * (BESIDE if self.times > 1 and self.faster > 1 else 1)
        )
        steps = self.schedule.epochs * self.schedule.steps(self.n)
        start = START + LAYER * layers + (VAE_STEP if isinstance(self.config, vae.Config) else 0)
        started = steps * start * self.passes / self.faster
        return self.times * max(started, 3 * flops * self.schedule.epochs * self.n * self.passes / rate)


HALF = (classify.Config, denoise.Config, deep_autoencoder.Config)  # in bfloat16
RESNET18 = classify.Config(Schedule(1, 1, 1.0), net="small_resnet18", dropout=False)


class Estimate(NamedTuple):
    """How many trainings, images times passes, and hours of one H100."""

    trainings: int
    images: float
    hours: float


def estimate(config: Any) -> Estimate:
    """What the trainings of a chapter with these settings cost."""
    found = list(trainings(config))
    seconds = REST + sum(one.seconds for one in found) if found else 0.0
    return Estimate(sum(one.times for one in found), sum(one.images for one in found), seconds / 3600)


def trainings(config: Any) -> list[Training]:
    """All trainings of a chapter with these settings; none where they are too small to count, or shared."""
    return list(dict.fromkeys(CHAPTERS.get(type(config), lambda _: ())(config)))


def line(chapter: str, preset: str, overrides: dict[str, Any] | None = None) -> str:
    """The estimate in a sentence."""
    found = estimate(presets.get(chapter, preset, overrides))
    return (
        f"{chapter} at {preset}: {found.trainings:,} trainings, {found.images:.2g} images x passes, about "
        f"{duration(found.hours)} of one H100"
    )


def duration(hours: float) -> str:
    """Hours in words, in minutes where they are few."""
    return f"{60 * hours:.0f} minutes" if hours < 1.95 else f"{float(f'{hours:.2g}'):,.0f} hours"


def lines(chosen: Iterable[tuple[str, str, dict[str, Any]]]) -> list[str]:
    """A sentence for every (chapter, preset, overrides) that is to be run at one of `PRINTED`, and their sum.

    UsageError where no net can be built with these settings.
    """
    some = [one for one in chosen if one[1] in PRINTED and trainings(presets.get(*one))]
    try:
        said = [line(*one) for one in some]
    except ValueError as error:
        raise UsageError(str(error)) from error
    if len(some) > 1:
        hours = sum(estimate(presets.get(*one)).hours for one in some)
        said.append(f"together about {duration(hours)}, less what is there already")
    return said


def table() -> list[tuple[str, ...]]:
    """A row for every chapter: its name and what it takes at each of `PRINTED`."""
    return [
        (chapter, *(duration(estimate(by_name[name]).hours) for name in PRESETS if name in PRINTED))
        for chapter, by_name in presets.CHAPTERS.items()
        if trainings(by_name["paper"])
    ]


# What a net costs


@functools.cache
def cost(config: Any, shape: Shape) -> tuple[float, int]:
    """Floating-point operations of a forward pass for one image, and how many layers start kernels."""
    channels, *size = shape
    with torch.device("meta"):
        x = torch.empty(2, *shape)
        more: tuple[Tensor, ...] = ()
        net: nn.Module
        match config:
            case classify.Config():
                net = classify.NETS[config.net](tuple(size), 10, dropout=config.dropout, channels=channels)
            case vae.Config():
                net = _Through(vae.VAE(config.latents))
            case deep_autoencoder.Config():
                net = deep_autoencoder.DeepAutoencoder(channels, size[0], config.latents, config.width)
            case autoencoder.Config():
                net = autoencoder.Autoencoder(channels, size[0], config.latents, config.width)
            case denoise.Config():
                net = denoise.UNet(shape, 10, width=config.width, hidden=config.hidden)
                more = torch.empty(2), torch.zeros(2, dtype=torch.long)
            case generate.Labeller():  # it sees what the VAE makes of an image
                net = nets.simplenet(width=config.width)
            case _:
                raise TypeError(f"{type(config).__name__} is the configuration of no net")
        with FlopCounterMode(display=False) as counter:
            net(x, *more)
    return counter.get_total_flops() / 2, sum(not list(module.children()) for module in net.modules())


class _Through(nn.Module):
    """A VAE from an image to its reconstruction, without a draw."""

    def __init__(self, whole: vae.VAE) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.whole.decoder(self.whole.encode(x)[0])


def passes(objective: str, steps: int) -> float:
    """What a step with an objective of `regularize.OBJECTIVES` costs in plain ones.

    A step of an attack is a forward pass and a backward pass to the image, two thirds of a plain step.
    """
    return {
        "gradient norm": RESNET / PENALISED,
        "smoothness": 2.0,
        "noise": 1.0,
        "PGD": 1 + 2 / 3 * steps,
        "PGD as released": 1 + 4 / 3 * steps,
    }[objective]


def net(
    what: str, config: classify.Config, shape: Shape, n: int, count: int = 1, faster: float = PROCESSES
) -> Training:
    """Trainings of a classifier, by its own objective."""
    attacked = passes("PGD", config.pgd_steps) if config.budgets else 1.0
    return Training(what, config, shape, n, count, attacked, faster)


def grey(size: int = 32, height: int = 1) -> Shape:
    """The shape of grey images, `height` of them one upon another."""
    return (1, height * size, size)


def of(name: str, size: int = 32) -> Shape:
    """The shape of the images of a data set."""
    return (3 if name in COLOUR else 1, size, size)


# What the chapters train, as their cells ask for it


def _manifold(config: generate.Config, count: int = 1, faster: float = 1.0) -> Iterator[Training]:
    yield Training("VAE", config.vae, grey(), config.n, count, faster=faster)
    n = min(config.labeller.n, config.n)
    yield Training("labelling function", config.labeller, grey(), n, count, faster=faster)


def _generation(P: Generation) -> Iterator[Training]:
    yield from _manifold(P.manifold)
    for config in {P.estimators, replace(P.estimators, corrected=True)} - {P.manifold.vae}:
        yield Training("VAE", config, grey(), P.manifold.n)
    yield Training("autoencoder", P.reconstructive, grey(), P.manifold.n)
    n0, k0 = P.instrument_n[0], P.instrument_k[0]
    for config in (P.estimators, replace(P.estimators, corrected=True)):
        if P.data != "strokes" or n0 != P.manifold.n:
            yield Training("VAE of strokes", config, grey(), n0)
    for n, latents in [(n, k0) for n in P.instrument_n] + [(n0, k) for k in P.instrument_k[1:]]:
        own = P.reconstructive.schedule
        own = replace(own, epochs=-(-P.instrument_steps * own.batch // n))
        encoder = replace(P.reconstructive, latents=latents, schedule=own)
        if P.data != "strokes" or (encoder, n) != (P.reconstructive, P.manifold.n):
            yield Training("autoencoder of strokes", encoder, grey(), n)


def _fractions(P: Fractions) -> Iterator[Training]:
    yield from _manifold(P.manifold)
    n, made = P.manifold.draw.train, 2 if P.data == "mnist" else 1  # generators: B's released one, too
    yield net("standard", P.standard.classifier, grey(), n, P.seeds * made)
    yield net("robust", P.robust.classifier, grey(), n)
    yield net("control", P.control.classifier, grey(), n)
    yield net("robust, budget per image", P.as_text, grey(), n)
    yield net("strokes, robust", P.robust.classifier, grey(), P.exact_train)
    yield net("strokes", P.control.classifier, grey(), P.exact_train)
    yield net("random labels", P.shuffled.classifier, grey(), min(P.shuffled_n, n))
    if P.data != "strokes" or (P.exact_vae, P.exact_n) != (P.manifold.vae, P.manifold.n):
        yield Training("strokes, VAE", P.exact_vae, grey(), P.exact_n)
    for config in (P.upsampled_lenet, P.upsampled_resnet):
        for size in (32, P.upsampled):
            yield net(f"{config.net} at {size}", config, grey(size), P.upsampled_n)
    yield from _manifold(P.replica.manifold, P.replications, PROCESSES)
    yield net("replication", P.replica.classifier, grey(), P.replica.manifold.draw.train, P.replications)
    for name in (*P.others, *P.medical):
        shape = of(name, P.large_size if name in P.large else RECONSTRUCTED)
        yield Training(f"autoencoder of {name}", P.other.autoencoder, shape, P.other_n, P.other_seeds)
        yield net(f"rebuilt {name}", P.other.classifier, shape, P.other_n, P.other_seeds)
        yield net(f"rebuilt {name}, robust", P.other.robust, shape, P.other_n, P.other_seeds)


def _off_manifold(P: OffManifold) -> Iterator[Training]:
    shape = of(P.images, P.images_size)
    if P.images == "generated":
        yield from _manifold(P.manifold)
    elif P.images != "strokes":
        yield Training("autoencoder", P.autoencoder, shape, P.n, faster=1.0)
    if P.images != "strokes":
        n = P.manifold.draw.train if P.images == "generated" else P.n
        yield Training("denoiser", P.denoiser, shape, n, faster=1.0)
    strengths = {"gradient norm": P.gradient_norm, "smoothness": P.smoothness, "noise": P.noise, "PGD": P.pgd}
    steps = P.classifier.pgd_steps
    for name, some in strengths.items():
        count = len(some) * P.repetitions
        yield Training(name, P.classifier, shape, P.n, count, passes(name, steps))
    yield Training("standard", P.classifier, shape, P.n, P.repetitions)
    released = passes("PGD as released", steps)
    yield Training("PGD as released", P.classifier, shape, P.n, len(P.released), released)
    for config in (P.distractor_net, P.distractor_robust):
        yield net("distractor", config, grey(28, 2), P.distractor_n, P.distractor_repetitions)


def _blockmnist(P: BlockMnist) -> Iterator[Training]:
    two, R, some = grey(28, 2), P.repetitions, P.conv_repetitions
    for ordinary, robust in ((P.lenet, P.lenet_robust), (P.resnet, P.resnet_robust)):
        yield net("convolutional", ordinary, two, P.conv_n, 2 * some)  # signal anywhere, or on top
        yield net("convolutional, robust", robust, two, P.conv_n, some)
    budgets = {*P.eps, P.mlp_robust.budgets[0]}
    plain = len({0.5, *P.p_top, 1.0}) - 1 + 2  # places of the signal; a blank null block, and others
    yield net("MLP", P.mlp, two, P.n, (2 + plain) * R)  # decayed, too
    yield net("MLP, robust", P.mlp_robust, two, P.n, len(budgets) * R)
    longer = replace(P.mlp, schedule=replace(P.mlp.schedule, epochs=P.longer * P.mlp.schedule.epochs, stop=None))
    yield net("MLP, longer", longer, two, P.n, R)
    control = replace(P.mlp, schedule=P.mlp_robust.schedule)
    yield net("MLP, control", control, two, P.n, R)
    yield net("drawn, control", control, two, P.drawn_n, R)
    yield net("drawn, robust", P.mlp_robust, two, P.drawn_n, R)
    for count, n in [(2, P.many_n), *((blocks, P.n) for blocks in P.blocks)]:
        yield net("harder", P.harder, grey(28, count), n, R)
        yield net("harder, robust", P.harder_robust, grey(28, count), n, R)


def _diffroar(P: Roar) -> Iterator[Training]:
    if P.manifold.data != "strokes":
        yield from _manifold(P.manifold)
    blocks = grey(28, 2), P.block_n
    seen = {
        "digits": (grey(), P.digits_n),
        "images": (of(P.images, P.images_size), P.images_n),
        "colour": (of(P.colour), P.colour_n),
        "blocks": blocks,
        "blocks, top": blocks,
    }
    others = [*P.perceptron_data[:1], *P.conv_data[:1]]
    for name in others:
        seen[name] = of(name, P.large if name in P.conv_data else 32), P.more_n
    plan = retraining.plan(P, colours=seen["colour"][0][0], others=others)
    for where, group in plan.nets.items():
        for name, config in group.items():
            yield net(f"{where}: {name}", config, *seen[where], plan.repeat[where])
    for (where, config), count in Counter((key[0], one.classifier) for key, one in plan.queue.items()).items():
        plain = not (config.budgets or config.augment or config.shuffle_labels)  # as `roar.stackable`
        yield net(f"{where}, retrained", config, *seen[where], count, IN_STEP if plain else PROCESSES)


def _exact_score(P: KnownScore) -> Iterator[Training]:
    if P.source == "generated":
        yield from _manifold(P.manifold)
    for labels in (True, False):
        yield Training("denoiser", replace(P.denoiser, labels=labels), of(P.source), P.train)
    steps = P.net.pgd_steps
    strengths = {"gradient norm": P.gradient_norm, "smoothness": P.smoothness, "noise": P.noise, "PGD": P.pgd}
    for name, some in strengths.items():
        yield Training(name, P.net, of(P.source), P.nets_train, len(some) * P.repetitions, passes(name, steps))
    yield Training("standard", P.net, of(P.source), P.nets_train, P.repetitions)


CHAPTERS: dict[type, Callable[[Any], Iterable[Training]]] = {
    Generation: _generation,
    Fractions: _fractions,
    OffManifold: _off_manifold,
    BlockMnist: _blockmnist,
    Roar: _diffroar,
    KnownScore: _exact_score,
}
