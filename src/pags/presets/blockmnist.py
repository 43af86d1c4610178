"""Chapter 05: the digits, the networks and their trainings, and the grids that test what leaks and why."""

from dataclasses import dataclass

from pags import classify
from pags.presets.columns import Share, sizes, vary
from pags.presets.shared import SGD_D
from pags.train import Schedule

ADAM = Schedule(epochs=10, batch=40, lr=1e-3)


@dataclass(frozen=True)
class BlockMnist:
    """Each of three nets, and against an adversary of one budget, an L2 length: that of the main comparison."""

    data: str = sizes("strokes", "mnist", "mnist", "mnist")
    n: int = sizes(600, 5000, 12_665, 12_665)  # training images for the MLPs
    conv_n: int = sizes(100, 1200, 12_665, 12_665)  # training images for LeNet and ResNet18
    test: int = sizes(300, 2115, 2115, 2115)
    explain: int = sizes(100, 500, 1000, 2115)  # test images
    top: Share = 0.05  # share of an image's pixels that counts as highlighted
    mlp: classify.Config = classify.Config(
        schedule=sizes(
            vary(ADAM, batch=50, lr=2e-3), vary(SGD_D, epochs=40, drops=(20,)), vary(SGD_D, epochs=60), SGD_D
        ),
        net=sizes("narrow_mlp", "mlp", "mlp", "mlp"),
        dropout=False,
    )
    mlp_robust: classify.Config = vary(
        mlp,
        schedule=sizes(
            vary(ADAM, epochs=15, batch=60, lr=3e-3),
            vary(ADAM, epochs=12, batch=100),
            vary(ADAM, epochs=12, batch=256),
            SGD_D,
        ),
        budgets=(4.0,),
        pgd_steps=sizes(3, 7, 7, 20),
    )
    harder: classify.Config = vary(  # for more classes or more blocks
        mlp,
        schedule=sizes(
            vary(ADAM, batch=50, lr=2e-3),
            vary(ADAM, epochs=40, batch=100, stop=0.01),
            vary(SGD_D, epochs=40),
            SGD_D,
        ),
    )
    harder_robust: classify.Config = vary(
        mlp_robust,
        schedule=sizes(
            vary(ADAM, epochs=15, batch=60, lr=3e-3),
            vary(ADAM, epochs=10, batch=100),
            vary(ADAM, epochs=40, batch=256),
            SGD_D,
        ),
    )
    lenet: classify.Config = classify.Config(
        schedule=sizes(
            vary(ADAM, epochs=30, batch=20, stop=0.02),
            vary(ADAM, epochs=12, batch=50, stop=0.01),
            vary(ADAM, batch=100, stop=0.001),
            SGD_D,
        ),
        net=sizes("narrow_lenet", "lenet", "lenet", "lenet"),
        dropout=False,
    )
    lenet_robust: classify.Config = vary(
        lenet,
        schedule=sizes(
            vary(ADAM, epochs=30, batch=20, stop=0.02),
            vary(ADAM, epochs=6, batch=50, stop=0.01),
            vary(ADAM, batch=100, stop=0.001),
            SGD_D,
        ),
        budgets=(2.0,),
        pgd_steps=sizes(2, 3, 7, 20),
    )
    resnet: classify.Config = vary(  # the running means of its batch norm need some 50 steps, however small the loss
        lenet,
        schedule=sizes(vary(ADAM, epochs=8, batch=10), vary(ADAM, epochs=8, batch=50), vary(SGD_D, epochs=15), SGD_D),
        net=sizes("thin_resnet18", "narrow_resnet18", "small_resnet18", "small_resnet18"),
    )
    resnet_robust: classify.Config = vary(
        resnet,
        schedule=sizes(vary(ADAM, epochs=7, batch=5), vary(ADAM, epochs=8, batch=50), vary(SGD_D, epochs=10), SGD_D),
        budgets=(2.0,),
        pgd_steps=sizes(2, 3, 7, 20),
    )
    repetitions: int = sizes(3, 5, 3, 5)  # of the MLPs
    conv_repetitions: int = sizes(3, 5, 3, 5)  # of LeNet and ResNet18
    eps: tuple[float, ...] = sizes(
        (1.0, 2.0, 4.0), (0.5, 1.0, 2.0, 4.0), (0.5, 1.0, 2.0, 4.0), (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
    )
    p_top: tuple[Share, ...] = sizes(  # how probable it is that the signal stands on top
        (0.5, 0.75, 0.9, 1.0),
        (0.5, 0.625, 0.75, 0.875, 0.95, 1.0),
        (0.5, 0.625, 0.75, 0.875, 0.95, 1.0),
        (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0),
    )
    blocks: tuple[int, ...] = sizes((4,), (3, 4), (3, 4), (3, 4, 6))  # of an image, other than two
    many_n: int = sizes(1000, 10_000, 20_000, 60_000)  # training images with ten classes
    many_eps: float = sizes(1.0, 1.0, 2.0, 2.0)  # budget with more classes or more blocks
    null_data: str = sizes("strokes", "fashion_mnist", "fashion_mnist", "fashion_mnist")  # that replaces the null block
    pool: int = sizes(200, 2000, 10_000, 10_000)  # images of it
    drawn_n: int = sizes(600, 6000, 12_000, 12_000)  # strokes on which tangent spaces are measured
    longer: int = sizes(3, 4, 2, 2)  # times the epochs, for one rival
    decay: float = 3e-3  # of weights, for another
