"""Chapter 08: the networks that a page can hold, and what is measured of them."""

from dataclasses import dataclass

from pags import classify
from pags.presets.columns import sizes
from pags.train import Schedule


@dataclass(frozen=True)
class Laboratory:
    """Four perceptrons on strokes, whose tangent spaces are known; all are shown and measured in half precision."""

    train: int = sizes(4000, 20_000, 20_000, 60_000)  # images
    test: int = sizes(1000, 2000, 2000, 10_000)
    explain: int = sizes(200, 500, 500, 2000)  # of the test images; gradients, attacks and changes are measured at them
    net: classify.Config = classify.Config(
        schedule=Schedule(epochs=sizes(8, 10, 10, 20), batch=64, lr=1e-3), net="narrow_mlp", dropout=False, pgd_steps=5
    )
    robust: float = 2.0  # budget of the training against PGD, an L2 length in pixel units
    penalty: float = 100.0  # weight of the gradient's norm for the net that is regularised too much
    eps: float = 2.0  # budget of the attack that all are judged by
    steps: int = 10
    size: float = 0.1  # of a step along or across the manifold, times an image's length
    draws: int = 4  # of noise, per image

    @property
    def data(self) -> str:
        """The data set whose tangent spaces are known."""
        return "strokes"
