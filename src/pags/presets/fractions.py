"""Chapter 03: the classifiers, how many test images are explained, and how often the pipeline is repeated."""

from dataclasses import dataclass

from pags import autoencoder, classify, generate, replicate
from pags.presets.columns import sizes, vary
from pags.presets.shared import MANIFOLD
from pags.train import Schedule

DROPS = (10, 20, 30, 40)  # of B's trainings of 50 epochs
NET = sizes("narrow_lenet", "lenet", "lenet")


@dataclass(frozen=True)
class Fractions:
    """Test images are explained; at the first `probe` of them the trainings are watched."""

    manifold: generate.Config = MANIFOLD
    explain: int = sizes(120, 1000, 10_000)
    classifier: classify.Config = classify.Config(
        schedule=Schedule(epochs=sizes(4, 12, 50), batch=sizes(64, 64, 32), lr=1e-3, drops=sizes((), (8,), DROPS)),
        net=NET,
    )
    robust: classify.Config = classify.Config(
        schedule=Schedule(  # Adam at `quick`: its hundred steps are too few for plain SGD
            epochs=sizes(2, 4, 15),
            batch=100,
            lr=sizes(1e-3, 0.1, 0.1),
            drops=sizes((), (1,), (4,)),
            adam=sizes(True, False, False),
        ),
        net=NET,
        budgets=(1.0, 4.0, 8.0),
        pgd_steps=sizes(3, 7, 100),
        per_batch=True,  # as in the released code
    )
    robust_as_text: classify.Config = vary(robust, per_batch=False)
    shuffled: classify.Config = classify.Config(
        schedule=Schedule(
            epochs=sizes(2, 12, 3000),
            batch=sizes(64, 64, 32),
            lr=sizes(1e-3, 1e-3, 1e-4),
            drops=sizes((), (), (1000, 2000)),
        ),
        net="lenet",  # at `quick`, too: a narrow one has learned nothing yet when this one's gradient has aligned
        dropout=False,
        shuffle_labels=True,
    )
    looks: int = sizes(14, 40, 120)  # about so many in a training, its ends among them
    robust_looks: int = sizes(12, 30, 60)
    probe: int = sizes(100, 250, 500)
    initial: int = sizes(10, 10, 20)  # untrained nets, for the start of the curves
    # Images enlarged to so many pixels along a side
    upsampled: int = sizes(64, 128, 256)
    upsampled_n: int = sizes(1000, 2000, 60_000)
    upsampled_explain: int = sizes(50, 100, 1000)
    upsampled_classifier: classify.Config = classify.Config(
        schedule=Schedule(
            epochs=sizes(3, 2, 50), batch=sizes(64, 32, 8), lr=sizes(1e-3, 1e-3, 1e-2), drops=sizes((), (), DROPS)
        ),
        net=sizes("narrow_lenet", "resnet18", "resnet18"),
    )
    # Strokes with their exact tangent space
    exact_n: int = sizes(8000, 20_000, 60_000)  # for the VAE
    exact_train: int = sizes(2500, 10_000, 60_000)  # of them, for the classifiers
    cascade: int = sizes(30, 200, 1000)  # test images explained while a net's layers are randomised
    # The whole pipeline again
    replications: int = sizes(3, 3, 10)
    replica: replicate.Generative = replicate.Generative(
        manifold=vary(
            MANIFOLD,
            n=sizes(1500, 20_000, 60_000),
            vae={
                "schedule": {
                    "epochs": sizes(8, 10, 400),
                    "batch": sizes(32, 64, 64),
                    "lr": sizes(2e-3, 1e-3, 5e-4),
                },
                "anneal": sizes(500, 2000, 10_000),
            },
            labeller={
                "width": sizes(0.0625, 0.25, 1.0),
                "n": sizes(1500, 10_000, 60_000),
                "schedule": {"epochs": sizes(3, 4, 5), "batch": sizes(32, 64, 64)},
            },
            draw={"train": sizes(800, 5000, 60_000), "test": sizes(60, 300, 10_000)},
        ),
        classifier=classify.Config(
            schedule=Schedule(epochs=sizes(6, 8, 50), batch=sizes(32, 64, 32), lr=1e-3, drops=sizes((), (6,), DROPS)),
            net=NET,
        ),
        explain=sizes(60, 300, 10_000),
    )
    # Other data sets, reconstructed by an autoencoder
    others: tuple[str, ...] = sizes(("strokes",), ("fashion_mnist", "cifar10"), ("emnist", "cifar10", "fashion_mnist"))
    other_n: int = sizes(1000, 10_000, 50_000)
    other: replicate.Reconstructive = replicate.Reconstructive(
        autoencoder=autoencoder.Config(
            latents=sizes(40, 144, 144),
            schedule=Schedule(epochs=sizes(8, 10, 200), batch=sizes(32, 64, 64), lr=sizes(1e-3, 1e-3, 1e-4)),
        ),
        classifier=classify.Config(
            schedule=Schedule(epochs=sizes(6, 8, 50), batch=sizes(32, 64, 64), lr=1e-3, drops=sizes((), (6,), DROPS)),
            net=NET,
        ),
        explain=sizes(60, 500, 10_000),
    )

    @property
    def data(self) -> str:
        """The data set that the generator learns, and that the chapter's claims are judged on."""
        return self.manifold.data
