"""Chapter 03: the classifiers, how many test images are explained, and how often the pipeline is repeated."""

from dataclasses import dataclass

from pags import autoencoder, classify, generate, replicate, vae, watch
from pags.attribution import METHODS
from pags.presets.columns import sizes, vary
from pags.presets.generation import Generation
from pags.presets.shared import MANIFOLD
from pags.train import Schedule

DROPS = (10, 20, 30, 40)  # of B's trainings of 50 epochs
ALL = tuple(METHODS)

# The net that meets an adversary, and its training. At `quick` and `standard` it is as long as that of a net of
# that width with Adam; the settings of `paper` are those of the released code.
ROBUST = classify.Config(
    schedule=Schedule(
        epochs=sizes(3, 5, 5, 15),
        batch=sizes(64, 64, 100, 100),
        lr=sizes(1e-3, 1e-3, 0.1, 0.1),
        drops=sizes((), (), (3,), (4,)),
        adam=sizes(True, True, False, False),
    ),
    net=sizes("narrow_lenet", "narrow_lenet", "lenet", "lenet"),
    # per image as with B's batches of 100
    budgets=sizes((0.8, 3.2, 6.4), (0.8, 3.2, 6.4), (1.0, 4.0, 8.0), (1.0, 4.0, 8.0)),
    pgd_steps=sizes(3, 3, 20, 100),
    per_batch=True,  # as in the released code
)


@dataclass(frozen=True)
class Fractions:
    """Test images are explained; at the first `probe` of them the trainings are watched."""

    manifold: generate.Config = MANIFOLD
    explain: int = sizes(120, 500, 2000, 10_000)
    explanation: replicate.Explanation = replicate.Explanation(samples=sizes(20, 25, 50, 50))
    # The standard net: `seeds` times, on this generator and on the released decoder where the data are MNIST
    seeds: int = sizes(3, 5, 3, 3)
    standard: watch.Config = watch.Config(
        classify.Config(
            schedule=Schedule(
                epochs=sizes(4, 5, 20, 50),
                batch=sizes(64, 64, 128, 32),
                lr=1e-3,
                drops=sizes((), (), (10, 15), DROPS),
            ),
            net=sizes("narrow_lenet", "lenet", "lenet", "lenet"),
        ),
        looks=sizes(10, 18, 40, 60),  # about so many in a training, its ends among them
        methods=ALL,
        samples=sizes(8, 10, 25, 25),
    )
    probe: int = sizes(60, 100, 200, 500)
    initial: int = sizes(10, 10, 20, 20)  # untrained nets, for the start of the curves
    # An adversary, and the same training without one
    robust: watch.Config = watch.Config(ROBUST, looks=sizes(14, 30, 40, 60))
    control: watch.Config = vary(robust, classifier={"budgets": ()})
    as_text: classify.Config = vary(ROBUST, per_batch=False, schedule={"epochs": sizes(1, 1, 5, 15)})
    # Labels dealt at random to the first `shuffled_n` images, until they are learned by heart
    shuffled_n: int = sizes(150, 500, 2000, 60_000)
    shuffled: watch.Config = watch.Config(
        classify.Config(
            schedule=Schedule(
                epochs=sizes(45, 80, 200, 3000),
                batch=sizes(50, 50, 50, 32),
                lr=sizes(1e-3, 1e-3, 1e-3, 1e-4),
                drops=sizes((), (), (150,), (1000, 2000)),
            ),
            net="lenet",  # at `quick`, too: a narrow one learns little by heart
            dropout=False,
            shuffle_labels=True,
        ),
        looks=sizes(14, 30, 60, 120),
    )
    # Images enlarged to so many pixels along a side; two nets at both sizes, all with the same data and steps
    upsampled: int = sizes(48, 64, 256, 256)
    upsampled_n: int = sizes(250, 1500, 5000, 60_000)
    upsampled_explain: int = sizes(20, 100, 100, 1000)
    upsampled_lenet: classify.Config = classify.Config(
        schedule=Schedule(
            epochs=sizes(6, 4, 10, 50), batch=sizes(32, 32, 32, 8), lr=1e-3, drops=sizes((), (), (6,), DROPS)
        ),
        net=sizes("narrow_lenet", "lenet", "lenet", "lenet"),
    )
    upsampled_resnet: classify.Config = vary(
        upsampled_lenet,
        net=sizes("thin_resnet18", "resnet18", "resnet18", "resnet18"),
        schedule={"lr": sizes(1e-3, 1e-3, 1e-2, 1e-2)},
    )
    # Strokes with their exact tangent space
    exact_n: int = sizes(8000, 20_000, 60_000, 60_000)  # for the VAE
    exact_vae: vae.Config = Generation.estimators  # chapter 02 trains the same
    exact_train: int = sizes(2500, 10_000, 20_000, 60_000)  # of them, for the classifiers
    cascade: int = sizes(30, 100, 100, 1000)  # test images explained while a net's layers are randomised
    cascade_draws: int = sizes(3, 5, 5, 10)  # of the random weights
    # The whole pipeline again
    replications: int = sizes(3, 5, 5, 10)
    replica: replicate.Generative = replicate.Generative(
        manifold=vary(
            MANIFOLD,
            n=sizes(1500, 10_000, 60_000, 60_000),
            vae={
                "schedule": {
                    "epochs": sizes(6, 8, 15, 400),
                    "batch": sizes(32, 64, 256, 64),
                    "lr": sizes(2e-3, 1e-3, 1e-3, 5e-4),
                },
                "anneal": sizes(500, 2000, 1250, 10_000),
            },
            labeller={
                "width": sizes(0.0625, 0.125, 1.0, 1.0),
                "n": sizes(1000, 4000, 20_000, 60_000),
                "schedule": {"epochs": sizes(5, 5, 5, 5), "batch": sizes(32, 64, 64, 64)},
            },
            draw={"train": sizes(500, 10_000, 20_000, 60_000), "test": sizes(60, 300, 1000, 10_000)},
        ),
        classifier=classify.Config(
            schedule=Schedule(
                epochs=sizes(6, 8, 10, 50), batch=sizes(32, 64, 64, 32), lr=1e-3, drops=sizes((), (), (6,), DROPS)
            ),
            net=sizes("narrow_lenet", "narrow_lenet", "lenet", "lenet"),
        ),
        explain=sizes(60, 300, 1000, 10_000),
    )
    # Other data sets, reconstructed by an autoencoder; the medical ones are shown if they lie in the data directory
    others: tuple[str, ...] = sizes(
        ("strokes",),
        ("fashion_mnist", "cifar10"),
        ("emnist", "cifar10"),
        ("emnist", "cifar10", "fashion_mnist"),
    )
    medical: tuple[str, ...] = sizes(
        (), ("pneumonia", "retinamnist"), ("pneumonia", "retinamnist"), ("pneumonia", "retinamnist")
    )
    other_n: int = sizes(1000, 5000, 20_000, 50_000)
    other_seeds: int = sizes(1, 3, 3, 3)
    large: tuple[str, ...] = sizes((), (), ("emnist", "pneumonia"), ("emnist", "pneumonia"))  # those resized to
    large_size: int = 128  # pixels a side; all others to 32
    other: replicate.Reconstructive = replicate.Reconstructive(
        autoencoder=autoencoder.Config(
            latents=sizes(40, 144, 144, 144),
            schedule=Schedule(
                epochs=sizes(8, 12, 15, 200), batch=sizes(32, 64, 64, 64), lr=sizes(1e-3, 1e-3, 1e-3, 1e-4)
            ),
        ),
        classifier=classify.Config(
            schedule=Schedule(
                epochs=sizes(6, 8, 10, 50), batch=sizes(32, 64, 64, 64), lr=1e-3, drops=sizes((), (6,), (6,), DROPS)
            ),
            net=sizes("narrow_lenet", "narrow_lenet", "lenet", "lenet"),
        ),
        robust=vary(  # at `gpu` images are larger and the steps few: at the full rate LeNet's units die
            ROBUST,
            budgets=(1.0,),
            per_batch=False,
            pgd_steps=sizes(3, 3, 3, 20),
            schedule={"lr": sizes(1e-3, 1e-3, 0.01, 0.1)},
        ),
        explain=sizes(60, 200, 1000, 10_000),
    )

    @property
    def data(self) -> str:
        """The data set that the generator learns, and that the chapter's claims are judged on."""
        return self.manifold.data
