"""Chapter 02: the generator, its label function, the data set, and the test of the instrument."""

from dataclasses import dataclass

from pags import autoencoder, generate, vae
from pags.presets.columns import sizes, vary
from pags.presets.shared import MANIFOLD
from pags.train import Schedule


@dataclass(frozen=True)
class Generation:
    """The instrument is an autoencoder, whose tangent spaces are held against the exact ones of strokes."""

    manifold: generate.Config = MANIFOLD
    # The two estimators side by side, on these images and on strokes: as long as the generator, but at `standard`
    estimators: vae.Config = vary(
        MANIFOLD.vae, schedule={"epochs": sizes(4, 3, 25, 400)}, anneal=sizes(400, 2000, 1250, 10_000)
    )
    evaluate: int = sizes(1000, 10_000, 10_000, 10_000)  # test images
    upsampled: int = 256  # pixels along a side
    reconstructive: autoencoder.Config = autoencoder.Config(
        latents=10,
        schedule=Schedule(epochs=sizes(2, 4, 20, 200), batch=64, lr=sizes(3e-3, 1e-3, 1e-3, 1e-4)),
        width=sizes(16, 32, 32, 32),
    )
    # Training images and latent dimensions of the instrument, the default standing first; each has so many steps. At
    # `quick` these are as many as `reconstructive` has, whose artifact it then shares.
    instrument_n: tuple[int, ...] = sizes(
        (8000, 500),
        (20_000, 500, 5000),
        (60_000, 500, 2000, 10_000),
        (60_000, 500, 1000, 2000, 5000, 10_000, 20_000),
    )
    instrument_k: tuple[int, ...] = sizes((10, 5, 20), (10, 5, 20), (10, 5, 15, 20), (10, 5, 8, 15, 20, 30))
    instrument_steps: int = sizes(250, 1000, 5000, 20_000)
    instrument_evaluate: int = sizes(200, 1000, 2000, 2000)  # test images

    @property
    def data(self) -> str:
        """The data set that the generator learns, and that the chapter's claims are judged on."""
        return self.manifold.data
