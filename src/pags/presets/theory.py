"""Chapters 01, 01a, 01b and 01d: three papers' theory, computed and trained on problems with known answers.

What ends in `n` counts examples, `draws` random vectors, `seeds` nets alike, `width` hidden units. At `gpu` they are
as at `standard`: nothing here is large enough for a GPU.
"""

from dataclasses import dataclass

from pags.presets.columns import sizes


@dataclass(frozen=True)
class Theory:
    """Chapter 01: all theorems, each in a second."""

    draws: int = sizes(20_000, 100_000, 100_000, 100_000)
    neurons: int = sizes(4000, 20_000, 20_000, 20_000)  # drawn at random, and held against an optimum


@dataclass(frozen=True)
class RobustnessTheory:
    """Chapter 01a: robustness, and the gradients of the best classifier."""

    quadratic_draws: int = sizes(50_000, 200_000, 200_000, 200_000)
    smooth_n: int = sizes(1000, 5000, 5000, 5000)  # strokes for a smooth net
    smooth_epochs: int = 8
    smooth_explain: int = sizes(12, 50, 50, 100)  # test images at which its robustness is measured
    smooth_draws: int = sizes(100, 400, 400, 1000)  # of noise, at each of them
    learned_repeats: int = sizes(20, 50, 50, 100)  # logistic regressions for each number of examples
    suppressor_n: int = sizes(20_000, 50_000, 50_000, 50_000)
    penalty_n: int = sizes(400, 1000, 1000, 1000)  # drawn digits for nets whose gradient is penalised
    penalty_test: int = sizes(150, 500, 500, 500)
    penalty_steps: int = sizes(250, 1000, 1000, 3000)
    penalty_seeds: int = sizes(3, 5, 5, 10)
    useless_n: int = sizes(20_000, 100_000, 100_000, 100_000)  # examples for a ridge regression


@dataclass(frozen=True)
class ManifoldTheory:
    """Chapter 01b: chance, and what a net learns on a curve."""

    chance_draws: int = sizes(4000, 20_000, 20_000, 100_000)
    chance_images: int = sizes(100, 500, 500, 2000)
    neurons: int = sizes(300, 1000, 1000, 3000)  # starts of the search for the widest margin
    curve_points: int = sizes(1200, 4000, 4000, 6000)  # half of them for testing
    curve_width: int = sizes(200, 500, 500, 600)
    curve_steps: int = sizes(400, 1500, 1500, 3000)
    curve_dims: tuple[int, ...] = sizes(  # of the space around it
        (2, 3, 5, 10), (2, 3, 5, 10), (2, 3, 5, 10), (2, 3, 5, 10, 30)
    )


@dataclass(frozen=True)
class LeakageTheory:
    """Chapter 01d: what leaks into the gradient, and DiffROAR in closed form."""

    leak_neurons: tuple[int, ...] = sizes(  # that a linear programme may use
        (125, 500, 2000, 8000),
        (125, 500, 2000, 8000, 32_000),
        (125, 500, 2000, 8000, 32_000),
        (125, 500, 2000, 8000, 32_000),
    )
    leak_width: int = sizes(2000, 10_000, 10_000, 10_000)
    leak_steps: int = sizes(400, 400, 400, 4000)
    leak_seeds: int = sizes(3, 5, 5, 10)
    robust_steps: int = sizes(1000, 1000, 1000, 2000)
    robust_seeds: int = sizes(3, 3, 3, 5)
    robust_eps: tuple[float, ...] = sizes(  # Linf
        (0.05, 0.2, 0.35),
        (0.05, 0.1, 0.15, 0.2, 0.35),
        (0.05, 0.1, 0.15, 0.2, 0.35),
        (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35),
    )
    lazy_steps: int = sizes(1000, 10_000, 10_000, 30_000)  # of longer trainings, from starts of two sizes
    lazy_seeds: int = sizes(2, 3, 3, 5)
    block_n: int = sizes(150, 500, 500, 1000)  # for training, and again for testing
    block_steps: int = sizes(200, 400, 400, 1000)
    block_width: int = sizes(1000, 2000, 2000, 10_000)
    block_seeds: int = sizes(3, 5, 5, 5)
    roar_n: int = sizes(2000, 10_000, 10_000, 10_000)  # for training, and again for testing
    roar_draws: int = sizes(5, 10, 10, 20)  # of both sets
