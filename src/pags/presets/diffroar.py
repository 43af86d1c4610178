"""Chapter 06: remove and retrain."""

from dataclasses import dataclass

from pags import classify, generate
from pags.presets.columns import Share, sizes, vary
from pags.presets.shared import MANIFOLD, SGD_D
from pags.train import Schedule

SHORT = Schedule(epochs=8, batch=100, lr=sizes(2e-3, 1e-3, 1e-3, 1e-3))  # of perceptrons


@dataclass(frozen=True)
class Roar:
    """What ends in `retrained` is the net trained on what a mask leaves; the others are explained."""

    # Digits with known tangent spaces (B): those of `manifold`, or drawn ones where its data are strokes
    manifold: generate.Config = MANIFOLD
    digits_n: int = sizes(1000, 4000, 5000, 60_000)
    digits_test: int = sizes(500, 2000, 10_000, 10_000)
    digits_net: classify.Config = classify.Config(
        schedule=Schedule(
            epochs=sizes(8, 6, 10, 50),
            batch=sizes(100, 64, 64, 32),
            lr=sizes(2e-3, 1e-3, 1e-3, 1e-3),
            drops=sizes((), (), (6,), (10, 20, 30, 40)),
        ),
        net=sizes("narrow_mlp", "narrow_lenet", "lenet", "lenet"),
        dropout=sizes(False, True, True, True),
    )
    digits_retrained: classify.Config = vary(
        digits_net, schedule={"epochs": sizes(5, 5, 5, 30), "drops": sizes((), (), (), (10, 20))}
    )
    removed: tuple[Share, ...] = sizes(  # shares
        (0.2, 0.4, 0.6, 0.8, 0.9),
        (0.2, 0.4, 0.6, 0.7, 0.8, 0.9),
        (0.2, 0.4, 0.6, 0.7, 0.8, 0.9),
        tuple(i / 20 for i in range(1, 20)),
    )
    mean_removed: tuple[Share, ...] = (0.2, 0.4, 0.6, 0.8)  # and the mean filled in
    digits_repetitions: int = 1
    nodes: int = sizes(20, 20, 50, 50)  # of Integrated Gradients
    # Images (D)
    images: str = sizes("strokes", "fashion_mnist", "fashion_mnist", "fashion_mnist")
    images_size: int = sizes(32, 28, 28, 28)  # pixels a side, those of the files: for svhn write 32
    images_n: int = sizes(1000, 5000, 50_000, 60_000)
    images_test: int = sizes(500, 2000, 10_000, 10_000)
    net: classify.Config = classify.Config(
        schedule=sizes(SHORT, SHORT, vary(SGD_D, epochs=5, drops=(4,), factor=0.1), SGD_D),
        net=sizes("narrow_mlp", "mlp", "mlp", "mlp"),
        dropout=False,
    )
    robust: classify.Config = vary(net, pgd_steps=sizes(4, 5, 5, 20))  # at each budget of the next two
    linear: classify.Config = vary(net, net="linear")
    l2: tuple[float, ...] = sizes((0.5, 1.0), (0.5, 1.0, 2.0), (0.5, 1.0, 2.0), (0.25, 0.5, 1.0, 2.0))
    linf: tuple[float, ...] = sizes((0.05, 0.1), (0.02, 0.05, 0.1), (0.02, 0.1), (0.02, 0.05, 0.1))
    retrained: classify.Config = vary(net, schedule={"epochs": sizes(5, 8, 5, 500)})
    shares: tuple[Share, ...] = sizes(  # that are kept
        (0.05, 0.1, 0.3, 0.6),
        (0.05, 0.1, 0.2, 0.4, 0.7),
        (0.05, 0.1, 0.2, 0.6),
        (0.05, *(i / 10 for i in range(1, 10))),
    )
    repetitions: int = sizes(3, 5, 3, 5)
    scarce: Share = 0.4  # D's claims are judged at the levels below: above, most orders keep nearly all that is needed
    share: Share = 0.1  # at which the variants are measured
    larger_shares: tuple[Share, ...] = (0.3, 0.5, 0.7)  # and, without retraining, where little is taken away
    other_retrained: classify.Config = classify.Config(
        schedule=sizes(
            Schedule(epochs=3, batch=25, lr=2e-3),
            Schedule(epochs=5, batch=50, lr=1e-3),
            Schedule(epochs=2, batch=256, lr=1e-3),
            SGD_D,
        ),
        net=sizes("narrow_lenet", "narrow_lenet", "lenet", "lenet"),
        dropout=False,
    )
    slow_retrained: classify.Config = vary(
        net,
        schedule=vary(
            SGD_D,
            epochs=sizes(10, 15, 8, SGD_D.epochs),
            batch=sizes(100, 256, 256, 256),
            lr=sizes(0.1, 0.1, 0.01, 0.01),
            drops=sizes((), (), (), SGD_D.drops),
            stop=sizes(None, None, SGD_D.stop, SGD_D.stop),
        ),
    )
    # Colour
    colour: str = sizes("strokes", "cifar10", "cifar10", "cifar10")
    colour_n: int = sizes(600, 5000, 50_000, 50_000)
    colour_test: int = sizes(500, 2000, 10_000, 10_000)
    conv: classify.Config = classify.Config(
        schedule=sizes(
            Schedule(epochs=4, batch=25, lr=1e-3),
            Schedule(epochs=8, batch=100, lr=3e-3, drops=(6,)),
            vary(SGD_D, epochs=20, drops=(12, 17), factor=0.1, stop=None),
            SGD_D,
        ),
        net=sizes("narrow_lenet", "thin_resnet18", "small_resnet18", "small_resnet18"),
        dropout=False,
        augment=sizes(False, False, True, False),
    )
    conv_robust: classify.Config = vary(
        conv,
        schedule={"epochs": sizes(4, 8, 4, 500), "drops": sizes((), (6,), (3,), SGD_D.drops)},
        budgets=sizes((0.05,), (8 / 255,), (8 / 255,), (8 / 255,)),
        linf=True,
        pgd_steps=sizes(3, 4, 3, 8),
    )
    conv_retrained: classify.Config = vary(
        conv, schedule={"epochs": sizes(4, 5, 2, 500), "drops": sizes((), (4,), (1,), SGD_D.drops)}
    )
    conv_shares: tuple[Share, ...] = sizes(
        (0.05, 0.1), (0.1, 0.2, 0.3), (0.05, 0.1, 0.2, 0.3), (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
    )
    conv_repetitions: int = sizes(1, 1, 1, 5)
    # How long the explained net was trained, in epochs, beside `conv`'s; its other settings stay, drops in proportion
    conv_lengths: tuple[int, ...] = sizes((), (), (), (10, 30, 100))
    # D's other data sets, those that lie in the data directory: a standard and a robust net of each
    perceptron_data: tuple[str, ...] = sizes((), ("svhn", "svhn_test_part"), ("svhn", "svhn_test_part"), ("svhn",))
    conv_data: tuple[str, ...] = sizes((), (), ("imagenet10", "imagenet10_64"), ("imagenet10",))
    more_n: int = sizes(1000, 5000, 20_000, 80_000)  # of each, or all that there are
    more_test: int = sizes(500, 2000, 5000, 20_000)
    large: int = sizes(64, 64, 64, 112)  # pixels a side of `conv_data`; the nets halve them early
    large_conv: classify.Config = vary(conv, net=sizes("narrow_lenet", "resnet18", "resnet18", "resnet18"))
    large_robust: classify.Config = vary(
        conv_robust,
        net=sizes("narrow_lenet", "resnet18", "resnet18", "resnet18"),
        budgets=(4 / 255,),
    )
    large_retrained: classify.Config = vary(
        conv_retrained, net=sizes("narrow_lenet", "resnet18", "resnet18", "resnet18")
    )
    # Blocks of strokes, where the truth is known
    block_n: int = sizes(1000, 3000, 10_000, 20_000)
    block_test: int = sizes(500, 1000, 5000, 5000)
    block: classify.Config = classify.Config(
        schedule=sizes(SHORT, vary(SHORT, epochs=10, batch=50), vary(SHORT, epochs=10, batch=250), SGD_D),
        net=sizes("narrow_mlp", "narrow_mlp", "mlp", "mlp"),
        dropout=False,
    )
    block_robust: classify.Config = vary(block, pgd_steps=sizes(4, 7, 7, 20))
    block_eps: tuple[float, ...] = sizes(  # L2
        (0.25, 0.5, 1.0), (0.25, 0.5, 1.0, 2.0), (0.25, 0.5, 1.0, 2.0), (0.25, 0.5, 1.0, 2.0, 4.0)
    )
    block_share: Share = 0.05
    block_repetitions: int = sizes(3, 5, 3, 5)

    @property
    def data(self) -> list[str]:
        """The data sets that the chapter's claims are judged on."""
        return list(
            dict.fromkeys([self.manifold.data, self.images, self.colour, *self.perceptron_data, *self.conv_data])
        )
