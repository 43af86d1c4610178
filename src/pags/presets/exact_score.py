"""Chapter 07: where the score is computed, and the denoiser and the nets that are held against it."""

from dataclasses import dataclass

from pags import classify, denoise, generate, score
from pags.presets.columns import sizes
from pags.presets.shared import DENOISER, MANIFOLD, NET_A, SEARCH, SIGMA, logspace
from pags.train import Schedule


@dataclass(frozen=True)
class KnownScore:
    """The nets are trained with each objective of `regularize` at each of its strengths, effective ones per image."""

    source: str = "strokes"  # or "generated" by `manifold`
    manifold: generate.Config = MANIFOLD
    train: int = sizes(4000, 20_000, 60_000, 60_000)  # images for the denoiser
    n: int = sizes(10, 100, 200, 500)  # images at which the score is computed
    repeat: int = sizes(5, 20, 20, 100)  # of them, again with other random numbers
    sigmas: tuple[float, ...] = (SIGMA, 0.6)  # noise levels, in pixel units
    search: score.Config = SEARCH
    denoiser: denoise.Config = DENOISER  # with labels; the page also trains it without
    nets_train: int = sizes(800, 5000, 30_000, 60_000)  # images for the nets
    repetitions: int = sizes(1, 3, 3, 5)  # of the nets
    net: classify.Config = sizes(
        NET_A,
        NET_A,
        classify.Config(
            schedule=Schedule(epochs=10, batch=128, lr=1e-3, drops=(7,)), net="lenet", dropout=False, pgd_steps=10
        ),
        classify.Config(schedule=Schedule(epochs=20, batch=50, lr=1e-3, drops=(14,)), net="lenet", dropout=False),
    )
    gradient_norm: tuple[float, ...] = sizes(
        (0.1, 1.0, 10.0, 30.0, 100.0),
        (0.1, 1.0, 10.0, 100.0, 1000.0),
        (0.01, 0.1, 1.0, 10.0, 30.0, 100.0, 1000.0),
        logspace(-3, 3, 13),
    )
    smoothness: tuple[float, ...] = sizes(
        (0.1, 1.0, 10.0, 100.0, 1000.0),
        (0.1, 1.0, 10.0, 100.0, 1000.0),
        (0.01, 0.1, 1.0, 10.0, 100.0, 300.0, 1000.0),
        logspace(-3, 3, 13),
    )
    noise: tuple[float, ...] = sizes(
        (0.1, 0.3, 0.6, 1.0, 2.0),
        (0.1, 0.25, 0.6, 1.0, 2.0),
        (0.03, 0.1, 0.25, 0.6, 1.0, 2.0, 4.0),
        (0.02, 0.05, 0.1, 0.17, 0.25, 0.4, 0.6, 0.85, 1.2, 2.0),
    )
    pgd: tuple[float, ...] = sizes(
        (0.3, 1.0, 2.0, 3.0, 5.0),
        (0.3, 1.0, 2.0, 3.0, 5.0),
        (0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 8.0),
        logspace(-1.5, 1, 11),
    )

    @property
    def data(self) -> str:
        """The data set whose score is known."""
        return self.manifold.data if self.source == "generated" else self.source
