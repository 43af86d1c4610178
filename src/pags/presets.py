"""Every number of every chapter, in three sizes, with the papers' own value beside it.

quick: embedded strokes, two cores, minutes. standard: real data at reduced budgets, hours on two cores or less on a
GPU. paper: the papers' settings as far as their texts and released code give them; a GPU.
"""

import dataclasses
import difflib
import typing
from dataclasses import dataclass, replace
from typing import Any

from pags import PRESETS, autoencoder, classify, denoise, generate, replicate, score, vae
from pags.errors import UsageError
from pags.train import Schedule

# What an override may say, beyond its type: some settings are names, few counts may be zero, none is astronomic.
CHOICES = {"net": tuple(classify.NETS)}
MAY_BE_ZERO = {"drops", "repetition", "watch"}
LARGEST = 10**12


@dataclass(frozen=True)
class Theory:
    """Chapter 01: random draws of a simulation, and random neurons or networks held against an optimum."""

    draws: int
    neurons: int


@dataclass(frozen=True)
class RobustnessTheory:
    """Chapter 01a: sizes of its simulations and trainings; what each is for is said where it is used."""

    quadratic_draws: int
    smooth_n: int
    smooth_epochs: int
    smooth_explain: int
    smooth_draws: int
    learned_repeats: int
    suppressor_n: int
    penalty_n: int
    penalty_test: int
    penalty_steps: int
    penalty_seeds: int
    useless_n: int


@dataclass(frozen=True)
class ManifoldTheory:
    """Chapter 01b: sizes of its simulations and trainings."""

    chance_draws: int
    chance_images: int
    neurons: int
    curve_points: int
    curve_width: int
    curve_steps: int
    curve_dims: tuple[int, ...]


@dataclass(frozen=True)
class LeakageTheory:
    """Chapter 01d: sizes of its simulations and trainings."""

    leak_neurons: tuple[int, ...]
    leak_width: int
    leak_steps: int
    leak_seeds: int
    robust_steps: int
    robust_seeds: int
    robust_eps: tuple[float, ...]
    lazy_steps: int
    lazy_seeds: int
    block_n: int
    block_steps: int
    block_width: int
    block_seeds: int
    roar_n: int
    roar_draws: int


@dataclass(frozen=True)
class Generation:
    """Chapter 02: the generator, its label function, the data set, and the test of the instrument.

    `instrument_n` and `instrument_k` are sample sizes and latent dimensions at which an autoencoder's tangent spaces
    are held against the exact ones, each after `instrument_steps` steps; the default n and k stand first.
    """

    manifold: generate.Config
    evaluate: int
    upsampled: int
    reconstructive: autoencoder.Config
    instrument_n: tuple[int, ...]
    instrument_k: tuple[int, ...]
    instrument_steps: int
    instrument_evaluate: int

    @property
    def data(self) -> str:
        """The data set that the generator learns, and that the chapter's claims are judged on."""
        return self.manifold.data


@dataclass(frozen=True)
class Fractions:
    """Chapter 03: the classifiers, how many test images are explained, and how often the pipeline is repeated.

    `probe` images watch the trainings, `initial` untrained nets give the curves' start. Strokes with their exact
    tangent space: `exact_n` images for the VAE, the first `exact_train` of them for the classifiers.
    """

    manifold: generate.Config
    explain: int
    classifier: classify.Config
    robust: classify.Config
    robust_as_text: classify.Config
    shuffled: classify.Config
    probe: int
    initial: int
    upsampled: int
    upsampled_n: int
    upsampled_explain: int
    upsampled_classifier: classify.Config
    exact_n: int
    exact_train: int
    cascade: int
    replications: int
    replica: replicate.Generative
    others: tuple[str, ...]
    other_n: int
    other: replicate.Reconstructive

    @property
    def data(self) -> str:
        """The data set that the generator learns, and that the chapter's claims are judged on."""
        return self.manifold.data


@dataclass(frozen=True)
class OffManifold:
    """Chapter 04: `images` are "strokes", "generated" from chapter 02's decoder, or a data set with an autoencoder.

    `classifier` is trained with each of four objectives at each of its strengths, effective ones per image, `slow`
    being that from which on the learning rate falls, and `repetitions` times; also without any. Measured at `explain`
    test images: steps of `size` times an image's length, `draws` of noise, likeness (`lpips` or not) with the score of
    images blurred by `blur`, of which `bank` are used. `released` are budgets for A's released PGD loop. With a
    distractor: other nets, `budgets` of the robust one per image, noise levels `noises`.
    """

    images: str
    manifold: generate.Config
    autoencoder: autoencoder.Config
    n: int
    test: int
    explain: int
    classifier: classify.Config
    gradient_norm: tuple[float, ...]
    gradient_norm_slow: float
    smoothness: tuple[float, ...]
    smoothness_slow: float
    noise: tuple[float, ...]
    pgd: tuple[float, ...]
    pgd_slow: float
    released: tuple[float, ...]
    repetitions: int
    size: float
    draws: int
    lpips: bool
    blur: float
    bank: int
    distractor: str
    distractor_n: int
    distractor_test: int
    distractor_net: classify.Config
    distractor_robust: classify.Config
    distractor_repetitions: int
    noises: tuple[float, ...]

    @property
    def data(self) -> list[str]:
        """The data sets that the chapter's claims are judged on."""
        return list(dict.fromkeys([self.manifold.data if self.images == "generated" else self.images, self.distractor]))


@dataclass(frozen=True)
class BlockMnist:
    """Chapter 05: the digits, the networks and their trainings, and the grids that test what leaks and why.

    `n`, `conv_n` and `many_n` are training images: for the MLPs, for LeNet and ResNet18, and with ten classes. The
    robust trainings have the budget of the main comparison; `eps` and `many_eps` are those of the sweep over budgets
    and of ten classes. The MLPs are trained `repetitions` times. `null_data` replaces the null block, `pool` images of
    it; `drawn_n` are the strokes on which tangent spaces are measured. `top` of an image's pixels count as highlighted.
    `longer` times the epochs, and weight `decay`, are for two of the rivals.
    """

    data: str
    n: int
    conv_n: int
    test: int
    explain: int
    top: float
    mlp: classify.Config
    mlp_robust: classify.Config
    lenet: classify.Config
    lenet_robust: classify.Config
    resnet: classify.Config
    resnet_robust: classify.Config
    repetitions: int
    eps: tuple[float, ...]
    p_top: tuple[float, ...]
    blocks: tuple[int, ...]
    many_n: int
    many_eps: float
    null_data: str
    pool: int
    drawn_n: int
    longer: int
    decay: float


@dataclass(frozen=True)
class Roar:
    """Chapter 06: remove and retrain.

    *Digits* with known tangent spaces (B): those of `manifold`, or drawn ones where its data are strokes; `removed` are
    shares taken away, `mean_removed` those for which the mean is filled in too. *Images* (D): networks of `net`, and of
    `robust` at the budgets `l2` and `linf`; `shares` are kept, and the variants are measured at `share`. *Colour*: a
    convolutional net. *Blocks* of strokes, where the truth is known: budgets `block_eps`. What ends in `retrained` is
    the net trained on what a mask leaves; the others are explained.
    """

    manifold: generate.Config
    digits_n: int
    digits_test: int
    digits_net: classify.Config
    digits_retrained: classify.Config
    removed: tuple[float, ...]
    mean_removed: tuple[float, ...]
    digits_repetitions: int
    nodes: int
    images: str
    images_n: int
    images_test: int
    net: classify.Config
    robust: classify.Config
    linear: classify.Config
    l2: tuple[float, ...]
    linf: tuple[float, ...]
    retrained: classify.Config
    shares: tuple[float, ...]
    repetitions: int
    share: float
    other_retrained: classify.Config
    slow_retrained: classify.Config
    colour: str
    colour_n: int
    colour_test: int
    conv: classify.Config
    conv_robust: classify.Config
    conv_retrained: classify.Config
    conv_shares: tuple[float, ...]
    conv_repetitions: int
    block_n: int
    block_test: int
    block: classify.Config
    block_robust: classify.Config
    block_eps: tuple[float, ...]
    block_share: float
    block_repetitions: int

    @property
    def data(self) -> list[str]:
        """The data sets that the chapter's claims are judged on."""
        return list(dict.fromkeys([self.manifold.data, self.images, self.colour]))


@dataclass(frozen=True)
class KnownScore:
    """Chapter 07: where it is computed, and the denoiser and the nets that are held against it.

    The score of `n` images is computed at noise levels `sigmas`, in pixel units; `search` says how hard. `repeat` of
    them are computed again with other random numbers. The denoiser is trained on `train` images, with and without
    labels; the nets are trained on `nets_train` images with each objective of `regularize` at each of its strengths.
    """

    source: str
    manifold: generate.Config
    train: int
    n: int
    repeat: int
    sigmas: tuple[float, ...]
    search: score.Config
    denoiser: denoise.Config
    nets_train: int
    net: classify.Config
    gradient_norm: tuple[float, ...]
    smoothness: tuple[float, ...]
    noise: tuple[float, ...]
    pgd: tuple[float, ...]

    @property
    def data(self) -> str:
        """The data set whose score is known."""
        return self.manifold.data if self.source == "generated" else self.source


_QUICK = generate.Config(
    data="strokes",
    n=8000,
    vae=vae.Config(latents=10, schedule=Schedule(epochs=16, batch=64, lr=1e-3), anneal=500),
    labeller=generate.Labeller(width=0.125, n=8000, schedule=Schedule(epochs=3, batch=64, lr=1e-3)),
    draw=generate.Draw(train=5000, test=1000),
)
_STANDARD = generate.Config(
    data="mnist",
    n=60_000,
    vae=vae.Config(latents=10, schedule=Schedule(epochs=50, batch=64, lr=5e-4)),
    labeller=generate.Labeller(width=0.25, n=60_000, schedule=Schedule(epochs=5, batch=64, lr=1e-3)),
    draw=generate.Draw(train=15_000, test=2000),
)
_PAPER = generate.Config(
    data="mnist",
    n=60_000,
    vae=vae.Config(latents=10, schedule=Schedule(epochs=400, batch=64, lr=5e-4)),
    labeller=generate.Labeller(width=1.0, n=60_000, schedule=Schedule(epochs=5, batch=64, lr=1e-3)),
    draw=generate.Draw(train=60_000, test=10_000),
)

_ROBUST = classify.Config(
    schedule=Schedule(epochs=15, batch=100, lr=0.1, drops=(4,), adam=False),
    budgets=(1.0, 4.0, 8.0),
    pgd_steps=100,
    per_batch=True,
    watch=60,
)


def _robust(epochs: int, pgd_steps: int, watch: int) -> classify.Config:
    drops = (round(epochs * 4 / 15),)
    return replace(
        _ROBUST, schedule=replace(_ROBUST.schedule, epochs=epochs, drops=drops), pgd_steps=pgd_steps, watch=watch
    )


_GENERATION = {
    "quick": Generation(
        manifold=_QUICK,
        evaluate=1000,
        upsampled=256,
        reconstructive=autoencoder.Config(latents=10, schedule=Schedule(epochs=3, batch=64, lr=3e-3), width=16),
        instrument_n=(8000, 500, 2000),
        instrument_k=(10, 5, 20),
        instrument_steps=375,  # as many as `reconstructive`, whose artifact it then shares
        instrument_evaluate=200,
    ),
    "standard": Generation(
        manifold=_STANDARD,
        evaluate=10_000,
        upsampled=256,
        reconstructive=autoencoder.Config(latents=10, schedule=Schedule(epochs=4, batch=64, lr=1e-3)),
        instrument_n=(20_000, 500, 2000, 5000, 60_000),
        instrument_k=(10, 5, 8, 15, 20),
        instrument_steps=2000,
        instrument_evaluate=1000,
    ),
    "paper": Generation(
        manifold=_PAPER,
        evaluate=10_000,
        upsampled=256,
        reconstructive=autoencoder.Config(latents=10, schedule=Schedule(epochs=200, batch=64, lr=1e-4)),
        instrument_n=(60_000, 500, 1000, 2000, 5000, 10_000, 20_000),
        instrument_k=(10, 5, 8, 15, 20, 30),
        instrument_steps=20_000,
        instrument_evaluate=2000,
    ),
}

# Adam at `quick`: its hundred steps are too few for plain SGD.
_QUICK_ROBUST = replace(_ROBUST, schedule=Schedule(epochs=2, batch=100, lr=1e-3), pgd_steps=3, watch=12)

_FRACTIONS = {
    "quick": Fractions(
        manifold=_QUICK,
        explain=120,
        classifier=classify.Config(schedule=Schedule(epochs=4, batch=64, lr=1e-3), watch=14),
        robust=_QUICK_ROBUST,
        robust_as_text=replace(_QUICK_ROBUST, per_batch=False, watch=0),
        shuffled=classify.Config(
            schedule=Schedule(epochs=4, batch=64, lr=1e-3), dropout=False, shuffle_labels=True, watch=14
        ),
        probe=100,
        initial=10,
        upsampled=64,
        upsampled_n=1500,
        upsampled_explain=50,
        upsampled_classifier=classify.Config(schedule=Schedule(epochs=2, batch=64, lr=1e-3)),
        exact_n=8000,
        exact_train=2500,
        cascade=30,
        replications=3,
        replica=replicate.Generative(
            manifold=replace(
                _QUICK,
                n=4000,
                vae=replace(_QUICK.vae, schedule=Schedule(epochs=8, batch=64, lr=1e-3)),
                labeller=replace(_QUICK.labeller, n=2000),
                draw=generate.Draw(train=1500, test=60),
            ),
            classifier=classify.Config(schedule=Schedule(epochs=4, batch=64, lr=1e-3)),
            explain=60,
        ),
        others=("strokes",),
        other_n=2000,
        other=replicate.Reconstructive(
            autoencoder=autoencoder.Config(latents=40, schedule=Schedule(epochs=8, batch=64, lr=1e-3)),
            classifier=classify.Config(schedule=Schedule(epochs=3, batch=64, lr=1e-3)),
            explain=60,
        ),
    ),
    "standard": Fractions(
        manifold=_STANDARD,
        explain=1000,
        classifier=classify.Config(schedule=Schedule(epochs=12, batch=64, lr=1e-3, drops=(8,)), watch=40),
        robust=_robust(epochs=4, pgd_steps=7, watch=30),
        robust_as_text=replace(_robust(epochs=4, pgd_steps=7, watch=0), per_batch=False),
        shuffled=classify.Config(
            schedule=Schedule(epochs=12, batch=64, lr=1e-3), dropout=False, shuffle_labels=True, watch=40
        ),
        probe=250,
        initial=10,
        upsampled=128,
        upsampled_n=2000,
        upsampled_explain=100,
        upsampled_classifier=classify.Config(schedule=Schedule(epochs=2, batch=32, lr=1e-3), net="resnet18"),
        exact_n=20_000,
        exact_train=10_000,
        cascade=200,
        replications=3,
        replica=replicate.Generative(
            manifold=replace(
                _STANDARD,
                n=20_000,
                vae=replace(_STANDARD.vae, schedule=Schedule(epochs=10, batch=64, lr=1e-3), anneal=2000),
                labeller=generate.Labeller(width=0.25, n=10_000, schedule=Schedule(epochs=4, batch=64, lr=1e-3)),
                draw=generate.Draw(train=5000, test=300),
            ),
            classifier=classify.Config(schedule=Schedule(epochs=8, batch=64, lr=1e-3, drops=(6,))),
            explain=300,
        ),
        others=("fashion_mnist", "cifar10"),
        other_n=10_000,
        other=replicate.Reconstructive(
            autoencoder=autoencoder.Config(latents=144, schedule=Schedule(epochs=10, batch=64, lr=1e-3)),
            classifier=classify.Config(schedule=Schedule(epochs=8, batch=64, lr=1e-3, drops=(6,))),
            explain=500,
        ),
    ),
    "paper": Fractions(
        manifold=_PAPER,
        explain=10_000,
        classifier=classify.Config(schedule=Schedule(epochs=50, batch=32, lr=1e-3, drops=(10, 20, 30, 40)), watch=120),
        robust=_ROBUST,
        robust_as_text=replace(_ROBUST, per_batch=False, watch=0),
        shuffled=classify.Config(
            schedule=Schedule(epochs=3000, batch=32, lr=1e-4, drops=(1000, 2000)),
            dropout=False,
            shuffle_labels=True,
            watch=120,
        ),
        probe=500,
        initial=20,
        upsampled=256,
        upsampled_n=60_000,
        upsampled_explain=1000,
        upsampled_classifier=classify.Config(
            schedule=Schedule(epochs=50, batch=8, lr=1e-2, drops=(10, 20, 30, 40)), net="resnet18"
        ),
        exact_n=60_000,
        exact_train=60_000,
        cascade=1000,
        replications=10,
        replica=replicate.Generative(
            manifold=_PAPER,
            classifier=classify.Config(schedule=Schedule(epochs=50, batch=32, lr=1e-3, drops=(10, 20, 30, 40))),
            explain=10_000,
        ),
        others=("emnist", "cifar10", "fashion_mnist"),
        other_n=50_000,
        other=replicate.Reconstructive(
            autoencoder=autoencoder.Config(latents=144, schedule=Schedule(epochs=200, batch=64, lr=1e-4)),
            classifier=classify.Config(schedule=Schedule(epochs=50, batch=64, lr=1e-3, drops=(10, 20, 30, 40))),
            explain=10_000,
        ),
    ),
}

_THEORY = {
    "quick": Theory(draws=20_000, neurons=4000),
    "standard": Theory(draws=100_000, neurons=20_000),
    "paper": Theory(draws=100_000, neurons=20_000),
}

_ROBUSTNESS_THEORY = {
    "quick": RobustnessTheory(
        quadratic_draws=50_000,
        smooth_n=1000,
        smooth_epochs=8,
        smooth_explain=12,
        smooth_draws=100,
        learned_repeats=20,
        suppressor_n=20_000,
        penalty_n=400,
        penalty_test=150,
        penalty_steps=250,
        penalty_seeds=5,
        useless_n=20_000,
    ),
    "standard": RobustnessTheory(
        quadratic_draws=200_000,
        smooth_n=5000,
        smooth_epochs=8,
        smooth_explain=50,
        smooth_draws=400,
        learned_repeats=50,
        suppressor_n=50_000,
        penalty_n=1000,
        penalty_test=500,
        penalty_steps=1000,
        penalty_seeds=5,
        useless_n=100_000,
    ),
    "paper": RobustnessTheory(
        quadratic_draws=200_000,
        smooth_n=5000,
        smooth_epochs=8,
        smooth_explain=100,
        smooth_draws=1000,
        learned_repeats=100,
        suppressor_n=50_000,
        penalty_n=1000,
        penalty_test=500,
        penalty_steps=3000,
        penalty_seeds=10,
        useless_n=100_000,
    ),
}

_MANIFOLD_THEORY = {
    "quick": ManifoldTheory(
        chance_draws=4000,
        chance_images=100,
        neurons=300,
        curve_points=1200,
        curve_width=200,
        curve_steps=600,
        curve_dims=(2, 3, 5, 10),
    ),
    "standard": ManifoldTheory(
        chance_draws=20_000,
        chance_images=500,
        neurons=1000,
        curve_points=4000,
        curve_width=500,
        curve_steps=1500,
        curve_dims=(2, 3, 5, 10),
    ),
    "paper": ManifoldTheory(
        chance_draws=100_000,
        chance_images=2000,
        neurons=3000,
        curve_points=6000,
        curve_width=600,
        curve_steps=3000,
        curve_dims=(2, 3, 5, 10, 30),
    ),
}

_LEAKAGE_THEORY = {
    "quick": LeakageTheory(
        leak_neurons=(125, 500, 2000, 8000),
        leak_width=2000,
        leak_steps=400,
        leak_seeds=5,
        robust_steps=1000,
        robust_seeds=3,
        robust_eps=(0.05, 0.1, 0.2, 0.35),
        lazy_steps=1000,
        lazy_seeds=2,
        block_n=150,
        block_steps=200,
        block_width=1000,
        block_seeds=3,
        roar_n=2000,
        roar_draws=5,
    ),
    "standard": LeakageTheory(
        leak_neurons=(125, 500, 2000, 8000, 32_000),
        leak_width=10_000,
        leak_steps=400,
        leak_seeds=5,
        robust_steps=1000,
        robust_seeds=3,
        robust_eps=(0.05, 0.1, 0.15, 0.2, 0.35),
        lazy_steps=10_000,
        lazy_seeds=3,
        block_n=500,
        block_steps=400,
        block_width=2000,
        block_seeds=5,
        roar_n=10_000,
        roar_draws=10,
    ),
    "paper": LeakageTheory(
        leak_neurons=(125, 500, 2000, 8000, 32_000),
        leak_width=10_000,
        leak_steps=4000,
        leak_seeds=10,
        robust_steps=2000,
        robust_seeds=5,
        robust_eps=(0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35),
        lazy_steps=30_000,
        lazy_seeds=5,
        block_n=1000,
        block_steps=1000,
        block_width=10_000,
        block_seeds=5,
        roar_n=10_000,
        roar_draws=20,
    ),
}

_ADAM = Schedule(epochs=10, batch=40, lr=1e-3)
_MLP = classify.Config(schedule=_ADAM, net="mlp", dropout=False)
_LENET = classify.Config(schedule=replace(_ADAM, epochs=4, batch=20), net="lenet", dropout=False)
_RESNET = replace(_LENET, net="narrow_resnet18")
# D's optimiser: at most 500 epochs, less if the mean training loss falls below 0.001.
_SGD = Schedule(
    epochs=500,
    batch=256,
    lr=0.1,
    drops=tuple(range(20, 500, 20)),
    adam=False,
    momentum=0.9,
    weight_decay=5e-4,
    factor=0.75,
    stop=1e-3,
)


def _against(config: classify.Config, eps: float, steps: int, **schedule: Any) -> classify.Config:
    return replace(config, schedule=replace(config.schedule, **schedule), budgets=(eps,), pgd_steps=steps)


_BLOCKS = {
    "quick": BlockMnist(
        data="strokes",
        n=600,
        conv_n=300,
        test=300,
        explain=100,
        top=0.05,
        mlp=_MLP,
        mlp_robust=_against(_MLP, 4.0, 4),
        lenet=_LENET,
        lenet_robust=_against(_LENET, 2.0, 2),
        resnet=_RESNET,
        resnet_robust=_against(_RESNET, 2.0, 2),
        repetitions=3,
        eps=(0.5, 1.0, 2.0, 4.0),
        p_top=(0.5, 0.75, 0.9, 1.0),
        blocks=(4,),
        many_n=1200,
        many_eps=1.0,
        null_data="strokes",
        pool=200,
        drawn_n=600,
        longer=3,
        decay=3e-3,
    ),
    "standard": BlockMnist(
        data="mnist",
        n=6000,
        conv_n=4000,
        test=2115,
        explain=500,
        top=0.05,
        mlp=replace(_MLP, schedule=replace(_SGD, epochs=40, drops=(20,))),
        mlp_robust=_against(_MLP, 4.0, 7, epochs=12, batch=100),
        lenet=replace(_LENET, schedule=replace(_ADAM, epochs=4, batch=50)),
        lenet_robust=_against(_LENET, 2.0, 5, epochs=4, batch=50),
        resnet=replace(_RESNET, schedule=replace(_ADAM, epochs=4, batch=50)),
        resnet_robust=_against(_RESNET, 2.0, 5, epochs=4, batch=50),
        repetitions=5,
        eps=(0.5, 1.0, 2.0, 4.0),
        p_top=(0.5, 0.625, 0.75, 0.875, 0.95, 1.0),
        blocks=(3, 4),
        many_n=10_000,
        many_eps=1.0,
        null_data="fashion_mnist",
        pool=2000,
        drawn_n=6000,
        longer=4,
        decay=3e-3,
    ),
    "paper": BlockMnist(
        data="mnist",
        n=12_665,
        conv_n=12_665,
        test=2115,
        explain=2115,
        top=0.05,
        mlp=replace(_MLP, schedule=_SGD),
        mlp_robust=_against(replace(_MLP, schedule=_SGD), 4.0, 20),
        lenet=replace(_LENET, schedule=_SGD),
        lenet_robust=_against(replace(_LENET, schedule=_SGD), 2.0, 20),
        resnet=replace(_RESNET, net="small_resnet18", schedule=_SGD),
        resnet_robust=_against(replace(_RESNET, net="small_resnet18", schedule=_SGD), 2.0, 20),
        repetitions=5,
        eps=(0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0),
        p_top=(0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0),
        blocks=(3, 4, 6),
        many_n=60_000,
        many_eps=2.0,
        null_data="fashion_mnist",
        pool=10_000,
        drawn_n=12_000,
        longer=2,
        decay=3e-3,
    ),
}

_SMALL = classify.Config(schedule=Schedule(epochs=5, batch=50, lr=1e-3), net="narrow_mlp", dropout=False)
_SMALL_CONV = classify.Config(schedule=Schedule(epochs=4, batch=25, lr=1e-3), net="narrow_lenet", dropout=False)
_PERCEPTRON = classify.Config(schedule=Schedule(epochs=8, batch=100, lr=1e-3), net="mlp", dropout=False)
_CONVOLUTIONAL = classify.Config(
    schedule=Schedule(epochs=8, batch=100, lr=3e-3, drops=(6,)), net="narrow_resnet18", dropout=False
)
_LENET_B = classify.Config(schedule=Schedule(epochs=30, batch=32, lr=1e-3, drops=(10, 20)))


def _trained(config: classify.Config, **schedule: Any) -> classify.Config:
    return replace(config, schedule=replace(config.schedule, **schedule))


_ROAR = {
    "quick": Roar(
        manifold=_QUICK,
        digits_n=1000,
        digits_test=500,
        digits_net=_trained(_SMALL, epochs=8),
        digits_retrained=_SMALL,
        removed=(0.2, 0.4, 0.6, 0.8, 0.9),
        mean_removed=(0.4, 0.8),
        digits_repetitions=1,
        nodes=20,
        images="strokes",
        images_n=1000,
        images_test=500,
        net=_trained(_SMALL, epochs=8),
        robust=replace(_trained(_SMALL, epochs=8), pgd_steps=4),
        linear=replace(_trained(_SMALL, epochs=8), net="linear"),
        l2=(0.5, 1.0),
        linf=(0.05, 0.1),
        retrained=_SMALL,
        shares=(0.05, 0.1, 0.3, 0.6),
        repetitions=3,
        share=0.1,
        other_retrained=_SMALL_CONV,
        slow_retrained=replace(_SMALL, schedule=Schedule(epochs=10, batch=100, lr=0.1, adam=False, momentum=0.9)),
        colour="strokes",
        colour_n=600,
        colour_test=500,
        conv=_SMALL_CONV,
        conv_robust=replace(_SMALL_CONV, budgets=(0.05,), linf=True, pgd_steps=3),
        conv_retrained=_SMALL_CONV,
        conv_shares=(0.05, 0.1),
        conv_repetitions=1,
        block_n=1000,
        block_test=500,
        block=_trained(_SMALL, epochs=8),
        block_robust=replace(_trained(_SMALL, epochs=8), pgd_steps=4),
        block_eps=(0.25, 0.5, 1.0),
        block_share=0.05,
        block_repetitions=3,
    ),
    "standard": Roar(
        manifold=_STANDARD,
        digits_n=4000,
        digits_test=2000,
        digits_net=classify.Config(schedule=Schedule(epochs=5, batch=64, lr=1e-3)),
        digits_retrained=classify.Config(schedule=Schedule(epochs=3, batch=64, lr=1e-3)),
        removed=(0.2, 0.4, 0.6, 0.7, 0.8, 0.9),
        mean_removed=(0.6,),
        digits_repetitions=1,
        nodes=20,
        images="fashion_mnist",
        images_n=6000,
        images_test=2000,
        net=_PERCEPTRON,
        robust=replace(_PERCEPTRON, pgd_steps=5),
        linear=replace(_PERCEPTRON, net="linear"),
        l2=(0.5, 1.0, 2.0),
        linf=(0.02, 0.05, 0.1),
        retrained=_PERCEPTRON,
        shares=(0.05, 0.1, 0.2, 0.4, 0.7),
        repetitions=3,
        share=0.1,
        other_retrained=replace(_SMALL_CONV, schedule=Schedule(epochs=5, batch=50, lr=1e-3)),
        slow_retrained=replace(
            _PERCEPTRON, schedule=Schedule(epochs=15, batch=256, lr=0.1, adam=False, momentum=0.9, weight_decay=5e-4)
        ),
        colour="cifar10",
        colour_n=5000,
        colour_test=2000,
        conv=_CONVOLUTIONAL,
        conv_robust=replace(_CONVOLUTIONAL, budgets=(8 / 255,), linf=True, pgd_steps=4),
        conv_retrained=replace(_CONVOLUTIONAL, schedule=Schedule(epochs=5, batch=100, lr=3e-3, drops=(4,))),
        conv_shares=(0.1, 0.2, 0.3),
        conv_repetitions=2,
        block_n=3000,
        block_test=1000,
        block=_trained(_SMALL, epochs=10),
        block_robust=replace(_trained(_SMALL, epochs=10), pgd_steps=7),
        block_eps=(0.25, 0.5, 1.0, 2.0),
        block_share=0.05,
        block_repetitions=3,
    ),
    "paper": Roar(
        manifold=_PAPER,
        digits_n=60_000,
        digits_test=10_000,
        digits_net=_trained(_LENET_B, epochs=50, drops=(10, 20, 30, 40)),
        digits_retrained=_LENET_B,
        removed=tuple(i / 20 for i in range(1, 20)),
        mean_removed=(0.2, 0.4, 0.6, 0.8),
        digits_repetitions=1,
        nodes=50,
        images="fashion_mnist",
        images_n=60_000,
        images_test=10_000,
        net=replace(_MLP, schedule=_SGD),
        robust=replace(_MLP, schedule=_SGD, pgd_steps=20),
        linear=replace(_MLP, schedule=_SGD, net="linear"),
        l2=(0.25, 0.5, 1.0, 2.0),
        linf=(0.02, 0.05, 0.1),
        retrained=replace(_MLP, schedule=_SGD),
        shares=(0.05, *(i / 10 for i in range(1, 10))),
        repetitions=5,
        share=0.1,
        other_retrained=replace(_LENET, schedule=_SGD),
        slow_retrained=replace(_MLP, schedule=replace(_SGD, lr=0.01)),
        colour="cifar10",
        colour_n=50_000,
        colour_test=10_000,
        conv=replace(_RESNET, net="small_resnet18", schedule=_SGD),
        conv_robust=replace(_RESNET, net="small_resnet18", schedule=_SGD, budgets=(8 / 255,), linf=True, pgd_steps=8),
        conv_retrained=replace(_RESNET, net="small_resnet18", schedule=_SGD),
        conv_shares=(0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9),
        conv_repetitions=5,
        block_n=20_000,
        block_test=5000,
        block=replace(_MLP, schedule=_SGD),
        block_robust=replace(_MLP, schedule=_SGD, pgd_steps=20),
        block_eps=(0.25, 0.5, 1.0, 2.0, 4.0),
        block_share=0.05,
        block_repetitions=5,
    ),
}

_NET_04 = classify.Config(
    schedule=Schedule(epochs=4, batch=32, lr=2e-3), net="narrow_lenet", dropout=False, pgd_steps=3
)
_NET_04_STANDARD = _trained(replace(_NET_04, pgd_steps=5), epochs=6, batch=64)
# A's schedules: 200 epochs on CIFAR-10; nine epochs on digits with a distractor.
_NET_04_PAPER = classify.Config(
    schedule=Schedule(epochs=200, batch=128, lr=0.025, drops=(150, 175), adam=False, momentum=0.9, weight_decay=5e-4),
    net="small_resnet18",
    dropout=False,
    pgd_steps=10,
)
_NINE = Schedule(epochs=9, batch=128, lr=0.1, drops=(3, 6), adam=False)


def _logspace(low: float, high: float, count: int, factor: float = 1.0) -> tuple[float, ...]:
    """`count` numbers from factor * 10^low to factor * 10^high, evenly spaced in their logarithm."""
    return tuple(float(f"{factor * 10 ** (low + (high - low) * i / (count - 1)):.6g}") for i in range(count))


_OFF_MANIFOLD = {
    "quick": OffManifold(
        images="strokes",
        manifold=_QUICK,
        autoencoder=autoencoder.Config(latents=40, schedule=Schedule(epochs=8, batch=64, lr=1e-3)),
        n=800,
        test=500,
        explain=100,
        classifier=_NET_04,
        gradient_norm=(0.1, 1.0, 10.0, 30.0, 100.0),
        gradient_norm_slow=0.0,
        smoothness=(0.1, 1.0, 10.0, 100.0, 1000.0),
        smoothness_slow=0.0,
        noise=(0.1, 0.3, 0.6, 1.0, 2.0),
        pgd=(0.3, 1.0, 2.0, 3.0, 5.0),
        pgd_slow=0.0,
        released=(1.0,),
        repetitions=3,
        size=0.1,
        draws=4,
        lpips=False,
        blur=0.25,
        bank=8000,
        distractor="strokes",
        distractor_n=500,
        distractor_test=300,
        distractor_net=_NET_04,
        distractor_robust=replace(_NET_04, budgets=(0.5, 1.0, 2.0)),
        distractor_repetitions=3,
        noises=(0.03, 0.1, 0.3, 1.0, 3.0),
    ),
    "standard": OffManifold(
        images="generated",
        manifold=_STANDARD,
        autoencoder=autoencoder.Config(latents=128, schedule=Schedule(epochs=10, batch=100, lr=1e-3)),
        n=5000,
        test=2000,
        explain=300,
        classifier=_NET_04_STANDARD,
        gradient_norm=(0.01, 0.1, 1.0, 10.0, 30.0, 100.0, 1000.0),
        gradient_norm_slow=0.0,
        smoothness=(0.01, 0.1, 1.0, 10.0, 100.0, 300.0, 1000.0),
        smoothness_slow=0.0,
        noise=(0.03, 0.1, 0.3, 0.6, 1.0, 2.0, 4.0),
        pgd=(0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 8.0),
        pgd_slow=0.0,
        released=(0.3, 1.0, 3.0),
        repetitions=3,
        size=0.1,
        draws=8,
        lpips=True,
        blur=0.25,
        bank=15_000,
        distractor="mnist",
        distractor_n=5000,
        distractor_test=2000,
        distractor_net=_NET_04_STANDARD,
        distractor_robust=replace(_NET_04_STANDARD, budgets=(0.5, 1.0, 2.0)),
        distractor_repetitions=3,
        noises=_logspace(-2, 1, 10),
    ),
    "paper": OffManifold(
        images="cifar10",
        manifold=_PAPER,
        autoencoder=autoencoder.Config(latents=128, schedule=Schedule(epochs=100, batch=100, lr=1e-4), width=128),
        n=50_000,
        test=10_000,
        explain=2000,
        classifier=_NET_04_PAPER,
        gradient_norm=_logspace(-5, 2, 30, 1e5 / 128**2),
        gradient_norm_slow=0.01 * 1e5 / 128**2,
        smoothness=_logspace(-4, 4, 30),
        smoothness_slow=10.0,
        noise=_logspace(-3, 2, 30),
        pgd=_logspace(-5, 4, 30, 128**-0.5),
        pgd_slow=100 * 128**-0.5,
        released=_logspace(-5, 4, 30, 128**-0.5),
        repetitions=10,
        size=0.1,
        draws=8,
        lpips=True,
        blur=0.25,
        bank=50_000,
        distractor="mnist",
        distractor_n=60_000,
        distractor_test=10_000,
        distractor_net=replace(_NET_04_PAPER, schedule=_NINE),
        distractor_robust=replace(
            _NET_04_PAPER, schedule=_NINE, budgets=tuple(float(f"{eps * 128**-0.5:.6g}") for eps in (1, 4, 8))
        ),
        distractor_repetitions=5,
        noises=_logspace(-2, 1, 30),
    ),
}

_SCORE = {
    "quick": KnownScore(
        source="strokes",
        manifold=_QUICK,
        train=8000,
        n=10,
        repeat=5,
        sigmas=(0.25, 0.6),
        search=score.Config(bank=1024, starts=(8, 3, 2), steps=(4, 8, 30), draws=200, rounds=1),
        denoiser=denoise.Config(Schedule(epochs=5, batch=64, lr=2e-3, drops=(4,)), labels=True, width=16),
        nets_train=800,
        net=_NET_04,
        gradient_norm=(0.1, 1.0, 10.0, 30.0, 100.0),
        smoothness=(0.1, 1.0, 10.0, 100.0, 1000.0),
        noise=(0.1, 0.3, 0.6, 1.0, 2.0),
        pgd=(0.3, 1.0, 2.0, 3.0, 5.0),
    ),
    "standard": KnownScore(
        source="strokes",
        manifold=_STANDARD,
        train=20_000,
        n=24,
        repeat=8,
        sigmas=(0.25, 0.6),
        search=score.Config(bank=1024, starts=(12, 4, 2), steps=(4, 8, 30), draws=400, rounds=1),
        denoiser=denoise.Config(Schedule(epochs=12, batch=64, lr=2e-3, drops=(8, 11)), labels=True),
        nets_train=5000,
        net=_NET_04_STANDARD,
        gradient_norm=(0.01, 0.1, 1.0, 10.0, 30.0, 100.0, 1000.0),
        smoothness=(0.01, 0.1, 1.0, 10.0, 100.0, 300.0, 1000.0),
        noise=(0.03, 0.1, 0.25, 0.6, 1.0, 2.0, 4.0),
        pgd=(0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 8.0),
    ),
    "paper": KnownScore(
        source="strokes",
        manifold=_PAPER,
        train=60_000,
        n=500,
        repeat=100,
        sigmas=(0.25, 0.6),
        search=score.Config(starts=(48, 12, 4), draws=4000, classes=6),
        denoiser=denoise.Config(Schedule(epochs=200, batch=64, lr=1e-3, drops=(140, 180)), labels=True, width=64),
        nets_train=60_000,
        net=classify.Config(Schedule(epochs=20, batch=50, lr=1e-3, drops=(14,)), net="lenet", dropout=False),
        gradient_norm=_logspace(-3, 3, 13),
        smoothness=_logspace(-3, 3, 13),
        noise=(0.02, 0.05, 0.1, 0.17, 0.25, 0.4, 0.6, 0.85, 1.2, 2.0),
        pgd=_logspace(-1.5, 1, 11),
    ),
}

CHAPTERS = {
    "01_theory_checks": _THEORY,
    "01a_robustness_theory": _ROBUSTNESS_THEORY,
    "01b_manifold_theory": _MANIFOLD_THEORY,
    "01d_leakage_theory": _LEAKAGE_THEORY,
    "02_mnist32_generation": _GENERATION,
    "03_tangent_fractions": _FRACTIONS,
    "04_off_manifold_robustness": _OFF_MANIFOLD,
    "05_blockmnist": _BLOCKS,
    "06_diffroar": _ROAR,
    "07_exact_score": _SCORE,
}


def get(chapter: str, name: str, overrides: dict[str, Any] | None = None) -> Any:
    """The preset of a chapter, with `overrides` by dotted name ("manifold.vae.beta": 4). Raises UsageError."""
    if chapter not in CHAPTERS:
        raise UsageError(f"unknown chapter {chapter!r}: write one of {', '.join(CHAPTERS)}")
    if name not in PRESETS:
        raise UsageError(f"unknown preset {name!r}: write one of {', '.join(PRESETS)}")
    if overrides is not None and not isinstance(overrides, dict):
        raise UsageError(f"overrides {overrides!r}: write a dict from field to value")
    config = CHAPTERS[chapter][name]
    for field, value in (overrides or {}).items():
        config = _replaced(config, str(field), str(field).split("."), value)
    return config


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """The fields of a nested dataclass by dotted name."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        name = prefix + field.name
        values |= flat(value, f"{name}.") if dataclasses.is_dataclass(value) else {name: value}
    return values


def table(chapter: str) -> list[dict[str, Any]]:
    """One row per field of a chapter: its dotted name, and its value in each preset."""
    columns = {name: flat(config) for name, config in CHAPTERS[chapter].items()}
    return [{"field": field} | {name: columns[name][field] for name in PRESETS} for field in columns["quick"]]


def _replaced(config: Any, whole: str, path: list[str], value: Any) -> Any:
    """`config` with the field at the dotted path set to `value`, checked; `whole` is what the user wrote."""
    hints = typing.get_type_hints(type(config))
    head, *rest = path
    if head not in hints or (rest and not dataclasses.is_dataclass(hints[head])):
        there = flat(config, whole.removesuffix(".".join(path)))
        near = [name for name in there if name.endswith(f".{whole}")]
        near = near or difflib.get_close_matches(whole, there, n=8, cutoff=0.5) or there
        some = near if len(near) <= 20 else ["those in the table of settings near the end of the chapter"]
        raise UsageError(f"unknown setting {whole!r}: write one of {', '.join(some)}")
    if rest:
        return replace(config, **{head: _replaced(getattr(config, head), whole, rest, value)})
    return replace(config, **{head: _checked(hints[head], whole, value)})


def _checked(kind: Any, name: str, value: Any) -> Any:
    """`value` as a `kind` (int, float, bool, str, a tuple of one of them, or one of them or None), or a UsageError."""
    if type(None) in typing.get_args(kind):
        (kind,) = set(typing.get_args(kind)) - {type(None)}
        if value is None:
            return None
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise UsageError(f"{name} = {value!r}: write a list of {_word(kind)}")
        return tuple(_checked(typing.get_args(kind)[0], name, item) for item in value)
    if dataclasses.is_dataclass(kind):
        fields = ", ".join(f"{name}.{field.name}" for field in dataclasses.fields(kind))
        raise UsageError(f"{name} is a group of settings: write one of {fields}")
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise UsageError(f"{name} = {value!r}: write {_word(kind)}")
    field = name.rpartition(".")[2]
    if field in CHOICES and value not in CHOICES[field]:
        raise UsageError(f"{name} = {value!r}: write one of {', '.join(CHOICES[field])}")
    least = 1 if kind is int and field not in MAY_BE_ZERO else 0
    if kind in (int, float) and not least <= value <= LARGEST:
        raise UsageError(f"{name} = {value!r}: write {_word(kind)} from {least} to {LARGEST}")
    return kind(value)


def _word(kind: Any) -> str:
    if typing.get_origin(kind) is tuple:
        return {int: "whole numbers", float: "numbers", str: "names"}[typing.get_args(kind)[0]]
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}[kind]
