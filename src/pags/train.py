"""One short training loop. What is minimised is a function; how long and how fast is a `Schedule`.

Axes: n examples, c classes. An objective takes (net, *batch) and the keywords `generator` and `step`, and returns a
dict of scalars: "loss" is minimised, every other entry is averaged into the history.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pags import accelerate, progress
from pags.artifacts import Checkpoint
from pags.errors import UsageError
from pags.randomness import epoch_seed

Objective = Callable[..., dict[str, Tensor]]


@dataclass(frozen=True)
class Schedule:
    """Epochs, batch size and learning rate; after each epoch in `drops` the rate is multiplied by `factor`.

    With `stop` the training ends after the first epoch whose mean loss is below it; that epoch's entry in the history
    says so. None, the default, is no loss: one may be negative.
    """

    epochs: int
    batch: int
    lr: float
    drops: tuple[int, ...] = ()
    adam: bool = True
    momentum: float = 0.0
    weight_decay: float = 0.0
    factor: float = 0.1
    stop: float | None = None

    def steps(self, n: int) -> int:
        """The steps of an epoch of n examples; the last batch may be smaller, or one larger: see `batches`."""
        full, rest = divmod(n, self.batch)
        return full + (rest > 1 or rest == n == 1)

    def reached(self, history: list[dict[str, float]]) -> bool:
        """Whether the last epoch's mean loss ends the training."""
        return self.stop is not None and history[-1]["loss"] < self.stop

    def lr_at(self, epoch: int) -> float:
        """The learning rate during `epoch`, counted from 0."""
        return self.lr * self.factor ** sum(epoch >= drop for drop in self.drops)

    def optimizer(self, net: nn.Module) -> torch.optim.Optimizer:
        """Adam, or SGD if `adam` is false."""
        if self.adam:
            return torch.optim.Adam(net.parameters(), lr=self.lr, weight_decay=self.weight_decay, fused=True)
        return torch.optim.SGD(net.parameters(), lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)


@contextmanager
def seeded(seed: int, device: torch.device = torch.device("cpu")) -> Iterator[None]:
    """Torch's global generators, as initialisation and dropout use them, start from `seed` and are put back after."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        yield


def dropout_follows(generator: torch.Generator) -> AbstractContextManager[None]:
    """Around a pass on a CPU: torch's global generator starts from the next number of this one."""
    return seeded(int(torch.randint(2**31, (1,), generator=generator)))


def batches(n: int, schedule: Schedule, *, seed: int, first: int = 0) -> Iterator[tuple]:
    """(epoch, step, rows, generator) of every step from epoch `first` on; each epoch depends on (seed, epoch) alone.

    A single example that is left over joins the batch before: alone it has no batch statistics.
    """
    steps = schedule.steps(n)
    for epoch in range(first, schedule.epochs):
        generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
        parts = list(torch.randperm(n, generator=generator).split(schedule.batch))
        if len(parts) > steps:
            parts[-2:] = [torch.cat(parts[-2:])]
        for i, rows in enumerate(parts):
            yield epoch, epoch * steps + i, rows, generator


def update(
    net: nn.Module,
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    batch: tuple[Tensor, ...],
    *,
    generator: torch.Generator,
    step: int,
    half: bool = False,
) -> dict[str, Tensor]:
    """One step of the optimizer; the objective's terms, detached. Dropout, too, follows the generator.

    On a GPU nothing is read back, and the passes are in bfloat16 if `half`.
    """
    device = batch[0].device
    with accelerate.passes(device, half=half) if accelerated(device) else dropout_follows(generator):
        terms = objective(net.train(), *batch, generator=generator, step=step)
    optimizer.zero_grad()
    terms["loss"].backward()
    optimizer.step()
    return {name: value.detach() for name, value in terms.items()}


def fit(
    net: nn.Module,
    objective: Objective,
    data: tuple[Tensor, ...],
    schedule: Schedule,
    *,
    seed: int,
    label: str,
    checkpoint: Checkpoint | None = None,
    watch: Callable[[nn.Module], dict[str, float]] | None = None,
    watch_at: Collection[int] = (),
    half: bool = False,
) -> list[dict[str, float]]:
    """Train `net` in place on its own device; one dict of means per epoch, and one per watched step.

    `watch(net)` is called before the steps in `watch_at`, in evaluation mode. A run that resumes from `checkpoint` at
    an epoch's end equals one that was never stopped, on a GPU up to roundings (see `accelerate`). With `half` passes
    on a GPU are in bfloat16. The net is left in evaluation mode.
    """
    device, n = next(net.parameters()).device, len(data[0])
    if n == 0 or any(len(part) != n for part in data):
        raise ValueError(f"data of {' and '.join(str(len(part)) for part in data)} examples: give as many of each")
    if min(n, schedule.batch) == 1 and any(isinstance(module, _BatchNorm) for module in net.modules()):
        raise UsageError(f"batch = {schedule.batch}, {n} images: batch normalisation needs two images in a batch")
    fast = accelerated(device)
    data = accelerate.prepare(net, data, device) if fast else tuple(part.to(device) for part in data)
    optimizer, history, first = schedule.optimizer(net), [], 0
    if checkpoint is not None and (state := checkpoint.load()):
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        history, first = state["history"], state["epoch"]
        if schedule.reached(history):
            first = schedule.epochs
    steps = schedule.steps(n)
    totals: dict[str, Tensor] = {}
    plan = batches(n, schedule, seed=seed, first=first)
    if fast:
        plan = accelerate.batches(plan, device, seed=seed)
    with accelerate.loop(device) if fast else nullcontext():
        for epoch, step, rows, generator in progress.bar(plan, label, total=(schedule.epochs - first) * steps):
            if watch is not None and step in watch_at:
                history.append({"step": step, **watch(net.eval())})
            for group in optimizer.param_groups:
                group["lr"] = schedule.lr_at(epoch)
            batch = tuple(part[rows.to(device)] for part in data)
            for name, value in update(
                net, objective, optimizer, batch, generator=generator, step=step, half=half
            ).items():
                totals[name] = totals.get(name, 0.0) + value * len(rows) / n
            if (step + 1) % steps == 0:
                history.append({"epoch": epoch + 1, **{name: float(total) for name, total in totals.items()}})
                totals = {}
                if stopped := schedule.reached(history):
                    history[-1]["stopped"] = True
                if checkpoint is not None:
                    state = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
                    checkpoint.save({**state, "history": history, "epoch": epoch + 1})
                if stopped:
                    break
    if watch is not None and schedule.epochs * steps in watch_at:
        done = max(entry.get("epoch", 0) for entry in history) * steps  # fewer than planned, if the loss ended it
        history.append({"step": done, **watch(net.eval())})
    net.eval()
    return history


def accelerated(device: torch.device) -> bool:
    """Whether the loop of `accelerate` is taken: on a GPU."""
    return device.type == "cuda"


def standard(net: nn.Module, x: Tensor, y: Tensor, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
    """Cross-entropy, and the share of the batch that is misclassified while training."""
    logits = net(x)
    return {"loss": F.cross_entropy(logits, y), "error": (logits.argmax(1) != y).float().mean()}


def adversarial(perturb: Callable[..., Tensor], budgets: tuple[float, ...]) -> Callable[..., dict[str, Tensor]]:
    """Objective: cross-entropy at perturbed images, each batch with a budget drawn from `budgets` (Madry et al. 2018).

    `perturb(net, x, y, eps, generator=...)` is an attack such as `attack.pgd_l2`. It meets the net in training mode,
    dropout and all, as in the code released with Bordt et al. 2022.
    """

    def objective(net: nn.Module, x: Tensor, y: Tensor, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        eps = budgets[0] if len(budgets) == 1 else budgets[_drawn(len(budgets), generator)]
        return standard(net, perturb(net, x, y, eps, generator=generator), y, generator=generator, step=step)

    return objective


def _drawn(n: int, generator: torch.Generator) -> int:
    return int(torch.randint(n, (1,), generator=generator, device=generator.device))


@torch.no_grad()
def predict(net: nn.Module, x: Tensor, *, batch: int = 1000) -> Tensor:
    """Logits (n, c), on the net's device, in the mode the net is in: call `eval()` first."""
    device = next(net.parameters()).device
    return torch.cat([net(part.to(device)) for part in x.split(batch)])


def correct(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Per example (n,), 1.0 where the prediction is the label; its mean is the accuracy."""
    if y.shape != (len(x),):
        raise ValueError(f"labels of the shape {tuple(y.shape)}: write one for each of the {len(x)} images")
    return (predict(net, x).argmax(1).cpu() == y.cpu()).float()
