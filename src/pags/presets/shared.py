"""Templates that more than one chapter uses."""

from pags import classify, denoise, generate, score, vae
from pags.presets.columns import sizes
from pags.train import Schedule

# B's generator: the data set, the VAE, the labelling function, the draw.
MANIFOLD = generate.Config(
    data=sizes("strokes", "mnist", "mnist", "mnist"),
    n=sizes(8000, 60_000, 60_000, 60_000),
    vae=vae.Config(
        latents=10,
        schedule=Schedule(epochs=sizes(4, 15, 25, 400), batch=sizes(64, 64, 256, 64), lr=sizes(1e-3, 5e-4, 1e-3, 5e-4)),
        anneal=sizes(400, 5000, 1250, 10_000),
    ),
    labeller=generate.Labeller(
        width=sizes(0.0625, 0.25, 1.0, 1.0),
        n=sizes(4000, 8000, 20_000, 60_000),
        schedule=Schedule(epochs=sizes(4, 5, 5, 5), batch=64, lr=1e-3),
    ),
    draw=generate.Draw(train=sizes(3000, 20_000, 60_000, 60_000), test=sizes(1000, 2000, 10_000, 10_000)),
)

# A's net; its optimiser on CIFAR-10 runs for 200 epochs.
SGD_A = Schedule(epochs=200, batch=128, lr=0.025, drops=(150, 175), adam=False, momentum=0.9, weight_decay=5e-4)
NET_A = classify.Config(
    schedule=sizes(
        Schedule(epochs=4, batch=32, lr=2e-3),
        Schedule(epochs=6, batch=64, lr=2e-3),
        Schedule(
            epochs=7, batch=128, lr=0.025, drops=(4, 5, 6), adam=False, momentum=0.9, weight_decay=5e-4, factor=0.3
        ),
        SGD_A,
    ),
    net=sizes("narrow_mlp", "narrow_lenet", "small_resnet18", "small_resnet18"),
    dropout=False,
    pgd_steps=sizes(3, 5, 2, 10),
)

# How hard the exact score is looked for, and the denoiser that stands in for it elsewhere; it is told the label.
SIGMA = 0.25  # A's .5 for pixels in [-1, 1]
SEARCH = score.Config(
    bank=sizes(1024, 1024, 1024, 2048),
    starts=sizes((8, 3, 2), (12, 4, 2), (24, 8, 3), (48, 12, 4)),
    steps=sizes((4, 8, 30), (4, 8, 30), (4, 8, 30), (3, 8, 40)),
    classes=sizes(4, 4, 4, 6),
    draws=sizes(200, 400, 1000, 4000),
    rounds=sizes(1, 1, 1, 2),
)
DENOISER = denoise.Config(
    schedule=Schedule(
        epochs=sizes(4, 12, 40, 200),
        batch=sizes(64, 64, 256, 64),
        lr=sizes(2e-3, 2e-3, 2e-3, 1e-3),
        drops=sizes((3,), (8, 11), (28, 36), (140, 180)),
    ),
    labels=True,
    width=sizes(16, 32, 64, 64),
)

# D's optimiser: at most 500 epochs, less if the mean training loss falls below 0.001.
SGD_D = Schedule(
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


def logspace(low: float, high: float, count: int, factor: float = 1.0) -> tuple[float, ...]:
    """`count` numbers from factor * 10^low to factor * 10^high, evenly spaced in their logarithm."""
    return tuple(float(f"{factor * 10 ** (low + (high - low) * i / (count - 1)):.6g}") for i in range(count))
