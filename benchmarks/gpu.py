"""The training loop on one GPU: against a bare loop, the gradient penalty in two ways, nets in step.

Axes: n images. All contestants of a line take turns in this run; beside a ratio stands what is wanted of it.
"""

import os
import sys
from functools import partial

import torch
import torch.nn.functional as F
from timing import medians, options

from pags import accelerate, classify, difference, nets, together, train

BATCH = 128
STRENGTH = 0.1  # of the penalty


def images(n, channels, size, device):
    """Noise in the shape of images, and labels, on the device."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(n, channels, size, size, generator=generator)
    return x.to(device), (torch.arange(n) % 10).to(device)


def bare(net, x, y, schedule):
    """The shortest loop that trains: nothing is counted, kept, seeded or shown."""
    net = net.to(memory_format=torch.channels_last).train()
    x = x.contiguous(memory_format=torch.channels_last)
    optimizer = schedule.optimizer(net)
    with accelerate.loop(x.device):  # the same kernels
        for _ in range(schedule.epochs):
            for rows in torch.randperm(len(x), device=x.device).split(schedule.batch):
                with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=x.is_cuda):
                    loss = F.cross_entropy(net(x[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def double_backward(net, x, y, *, generator, step):
    """The gradient penalty as `regularize.gradient_norm` has it on a CPU; on a GPU it takes a difference itself."""
    x = x.detach().requires_grad_()
    losses = F.cross_entropy(net(x), y, reduction="none")
    (grad,) = torch.autograd.grad(losses.sum(), x, create_graph=True)
    return {"loss": losses.mean() + STRENGTH * grad.flatten(1).square().sum(1).mean()}


def fit(net, objective, x, y, schedule):
    """The loop of the book."""
    train.fit(net, objective, (x, y), schedule, seed=0, label="", half=True)


def finished(call, device):
    """The call, and the wait for the device."""

    def whole():
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return whole


def speeds(contestants, n, repeats, device):
    """Images a second of each of `contestants`, which train with n."""
    seconds = medians({name: finished(call, device) for name, call in contestants.items()}, repeats=repeats)
    return {name: n / took for name, took in seconds.items()}


def line(what, value, wanted):
    """A ratio or a speed beside what is wanted of it."""
    print(f"{what}: {value:,.2f}, wanted {wanted:,g}{'' if value >= wanted else ': missed'}")


def loops(x, y, schedule, width, repeats):
    """`train.fit` against a bare loop, and the gradient penalty by double backward against a difference."""
    device, n = x.device, len(x) * schedule.epochs

    def net():
        return nets.small_resnet(x.shape[-1], 10, channels=3, width=width).to(device)

    found = speeds(
        {
            "bare loop": lambda: bare(net(), x, y, schedule),
            "train.fit": lambda: fit(net(), train.standard, x, y, schedule),
            "penalty, double backward": lambda: fit(net(), double_backward, x, y, schedule),
            "penalty, difference": lambda: fit(net(), difference.gradient_norm(STRENGTH), x, y, schedule),
        },
        n,
        repeats,
        device,
    )
    for name, speed in found.items():
        print(f"{name}: {speed:,.0f} images a second")
    line("train.fit over the bare loop", found["train.fit"] / found["bare loop"], 0.85)
    line("penalty by a difference, images a second", found["penalty, difference"], 6000)
    gain = found["penalty, difference"] / found["penalty, double backward"]
    line("penalty by a difference over double backward", gain, 6000 / 3700)
    print(f"parameter gradient of the penalty by a difference: {error(net(), x[:BATCH], y[:BATCH]):.1%} off")


def error(net, x, y):
    """How far apart the parameter gradients of both ways to penalise are, relative to double backward's, in float32."""
    found = []
    for way in (double_backward, difference.gradient_norm(STRENGTH)):
        loss = way(net.train(), x, y, generator=torch.Generator(x.device), step=0)["loss"]
        plain = F.cross_entropy(net(x), y)
        parts = torch.autograd.grad(loss - plain, list(net.parameters()))
        found.append(torch.cat([part.flatten() for part in parts]))
    exact, other = found
    return float((other - exact).norm() / exact.norm())


def in_step(kind, config, x, y, count, repeats):
    """Nets of one kind in step against one after another."""
    about = {"net": config.net, "size": x.shape[-2:], "classes": 10, "dropout": config.dropout, "channels": x.shape[1]}

    def fresh():
        return [classify.build(about).to(x.device) for _ in range(count)]

    def alone():
        for net in fresh():
            fit(net, train.standard, x, y, config.schedule)

    def all_at_once():
        together.fit(fresh(), lambda _, rows: x[rows], y, config.schedule, seeds=range(count), label="")

    found = speeds({"alone": alone, "in step": all_at_once}, count * len(x) * config.schedule.epochs, repeats, x.device)
    line(f"{count} nets in step over one after another, {kind}", found["in step"] / found["alone"], 20)


def main() -> None:
    """All comparisons, on the GPU or, tiny, on the CPU."""
    chosen = options(__doc__.splitlines()[0], images=25_600, tiny=True)
    if not (chosen.tiny or torch.cuda.is_available()):
        sys.exit("torch finds no GPU here: add --tiny to see that all of it runs")
    device = torch.device("cpu" if chosen.tiny else "cuda")
    print("CPU, tiny: no measurement" if chosen.tiny else torch.cuda.get_device_name())
    n, size, width, repeats = (64, 16, 8, 1) if chosen.tiny else (chosen.images, 32, 64, chosen.repeats)
    batch = 32 if chosen.tiny else BATCH
    sgd = partial(train.Schedule, epochs=1, batch=batch, lr=0.05, adam=False, momentum=0.9, weight_decay=5e-4)
    loops(*images(n, 3, size, device), sgd(), width, repeats)

    n, count, repeats = (64, 2, 1) if chosen.tiny else (5000, 64, max(1, repeats // 2))
    x, y = images(n, 1, size, device)
    short = train.Schedule(epochs=2, batch=batch, lr=1e-3)
    kinds: dict[str, classify.Config] = {
        "perceptrons": classify.Config(short, net="mlp", dropout=False),
        "perceptrons that a small loss may end": classify.Config(
            train.Schedule(epochs=2, batch=batch, lr=1e-3, stop=1e-6), net="mlp", dropout=False
        ),
        "LeNets with dropout": classify.Config(short, net="narrow_lenet", dropout=True),
        "thin ResNet18s with batch norm": classify.Config(short, net="thin_resnet18", dropout=False),
    }
    for kind, config in kinds.items():
        in_step(kind, config, x, y, count, repeats)


if __name__ == "__main__":
    os.environ.setdefault("PAGS_PROGRESS", os.devnull)
    main()
