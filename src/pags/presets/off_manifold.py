"""Chapter 04: nets trained with each of four objectives, what is measured of them, and a distractor."""

from dataclasses import dataclass

from pags import classify, denoise, generate, score
from pags.autoencoder import Config as Autoencoder
from pags.deep_autoencoder import Config as DeepAutoencoder
from pags.presets.columns import sizes, vary
from pags.presets.shared import DENOISER, MANIFOLD, NET_A, SEARCH, SIGMA, logspace
from pags.train import Schedule

PER_IMAGE = 128**-0.5  # times a budget of A's code, which is the length of a change of 128 images together
PER_IMAGE_BUDGETS = tuple(float(f"{eps * PER_IMAGE:.6g}") for eps in (1, 4, 8))


@dataclass(frozen=True)
class OffManifold:
    """`classifier` is trained with each objective at each of its strengths, effective ones per image, and without any.

    From the strength in the field that ends in `_slow` on, the learning rate falls. At the smaller presets it lies
    where accuracy begins to fall at the full rate: with fewer steps than the paper's a lower one would leave nets
    untrained, which are not robust but empty. Where it lies beyond the ladder, as of PGD at `gpu`, no rate falls.
    """

    images: str = sizes(  # "generated" by `manifold`; the tangent spaces of others are those of `autoencoder`
        "strokes", "generated", "cifar10", "cifar10"
    )
    images_size: int = 32  # pixels a side, of images that are not generated
    manifold: generate.Config = MANIFOLD
    autoencoder: Autoencoder = sizes(
        Autoencoder(latents=40, schedule=Schedule(epochs=8, batch=64, lr=1e-3)),
        Autoencoder(latents=128, schedule=Schedule(epochs=10, batch=100, lr=1e-3)),
        DeepAutoencoder(latents=128, schedule=Schedule(epochs=9, batch=250, lr=1e-3)),
        DeepAutoencoder(latents=128, schedule=Schedule(epochs=100, batch=100, lr=1e-4)),
    )
    n: int = sizes(800, 4000, 50_000, 50_000)  # training images
    test: int = sizes(500, 2000, 10_000, 10_000)
    explain: int = sizes(100, 300, 1000, 2000)  # of the test images; changes are measured at them
    scored: int = sizes(10, 300, 300, 2000)  # of these; likeness with the score is measured at them
    sigma: float = SIGMA  # noise level of the score, in pixel units
    sigmas: tuple[float, ...] = sizes((), (), (0.125, 0.5), (0.125, 0.5))  # and others
    search: score.Config = SEARCH  # of the exact score, on strokes
    denoiser: denoise.Config = sizes(  # gives the score of all other images; of so many half as many epochs are enough
        DENOISER, DENOISER, vary(DENOISER, schedule={"epochs": 20, "drops": (14, 18)}), DENOISER
    )
    classifier: classify.Config = vary(NET_A, augment=sizes(False, False, True, True))
    gradient_norm: tuple[float, ...] = sizes(
        (0.1, 1.0, 10.0, 30.0, 100.0),
        (0.01, 0.1, 1.0, 10.0, 30.0, 100.0, 1000.0),
        (0.003, 0.03, 0.1, 0.3, 1.0, 6.0),
        logspace(-5, 2, 30, 1e5 / 128**2),
    )
    gradient_norm_slow: float = sizes(30.0, 10.0, 0.3, 0.01 * 1e5 / 128**2)
    smoothness: tuple[float, ...] = sizes(
        (0.1, 1.0, 10.0, 100.0, 300.0),
        (0.01, 0.1, 1.0, 10.0, 100.0, 300.0, 1000.0),
        (0.01, 0.1, 1.0, 3.0, 10.0, 30.0),
        logspace(-4, 4, 30),
    )
    smoothness_slow: float = sizes(100.0, 30.0, 3.0, 10.0)
    noise: tuple[float, ...] = sizes(
        (0.1, 0.3, 1.0, 2.0, 3.0),
        (0.03, 0.1, 0.3, 0.6, 1.0, 2.0, 4.0),
        (0.01, 0.05, 0.1, 0.2, 0.4, 1.0),
        logspace(-3, 2, 30),
    )
    pgd: tuple[float, ...] = sizes(
        (0.3, 1.0, 2.0, 3.0, 4.0),
        (0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 8.0),
        (0.02, 0.08, 0.16, 0.35, 0.8, 2.5),
        logspace(-5, 4, 30, PER_IMAGE),
    )
    pgd_slow: float = sizes(3.0, 2.0, 100 * PER_IMAGE, 100 * PER_IMAGE)
    released: tuple[float, ...] = sizes(
        (1.0,), (0.3, 1.0, 3.0), (0.16,), logspace(-5, 4, 30, PER_IMAGE)
    )  # for A's released PGD loop
    repetitions: int = sizes(3, 5, 2, 10)
    size: float = sizes(0.1, 0.1, 2.64, 2.64)  # of a step: a share of the image's length, or
    fixed: bool = sizes(False, False, True, True)  # a length, the same for all images, as in A's code
    draws: int = sizes(4, 8, 8, 8)  # of noise, per image
    lpips: bool = sizes(False, True, True, True)  # whether likeness is measured by LPIPS too
    # Digits beside a distractor
    distractor: str = sizes("strokes", "mnist", "mnist", "mnist")
    distractor_n: int = sizes(500, 5000, 10_000, 60_000)
    distractor_test: int = sizes(300, 2000, 2000, 10_000)
    distractor_net: classify.Config = vary(
        NET_A,
        schedule=sizes(
            Schedule(epochs=4, batch=32, lr=2e-3),
            Schedule(epochs=6, batch=64, lr=2e-3),
            Schedule(epochs=2, batch=128, lr=0.1, drops=(1,), adam=False),
            Schedule(epochs=9, batch=128, lr=0.1, drops=(3, 6), adam=False),
        ),
    )
    distractor_robust: classify.Config = vary(
        distractor_net,
        budgets=sizes((0.5, 1.0, 2.0), (0.5, 1.0, 2.0), PER_IMAGE_BUDGETS, PER_IMAGE_BUDGETS),
    )
    distractor_repetitions: int = sizes(3, 5, 2, 5)
    noises: tuple[float, ...] = sizes(  # levels
        (0.03, 0.1, 0.3, 1.0, 3.0), logspace(-2, 1, 10), logspace(-2, 1, 10), logspace(-2, 1, 30)
    )

    @property
    def data(self) -> list[str]:
        """The data sets that the chapter's claims are judged on."""
        return list(dict.fromkeys([self.manifold.data if self.images == "generated" else self.images, self.distractor]))
