"""Small nets of one kind trained in step on a GPU, where one alone leaves most of it idle: one batched pass for all.

Axes: m nets, b examples in a batch, n examples. Each net has its own images, order of batches and initialisation, and
ends when its own loss says so. Up to roundings the result is that of `train.fit` with `train.standard`, but where nets
have dropout: all draw from one generator, so that only what is drawn differs.
"""

import copy
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pags import progress, train


def fit(
    nets: Sequence[nn.Module],
    view: Callable[[int, Tensor], Tensor],
    y: Tensor,
    schedule: train.Schedule,
    *,
    seeds: Sequence[int],
    label: str,
) -> list[dict[str, float]]:
    """Train m nets of one kind, which lie on y's device, in place; epoch and loss of each one's last epoch.

    A net gets the weights that it has when it ends; it stays in the batch, unused, until all have ended.
    `view(i, rows)` is what net i sees of the examples in `rows` (b,), each (b, ...); y (n,) are the labels of all.
    """
    device, n = y.device, len(y)
    stacked, buffers = torch.func.stack_module_state([net.train() for net in nets])
    parameters: dict[str, Tensor] = {name: nn.Parameter(value.detach()) for name, value in stacked.items()}
    optimizer = schedule.optimizer(nn.ParameterList(parameters.values()))
    blank = averaging(copy.deepcopy(nets[0]).to("meta"))

    def loss(own: dict[str, Tensor], kept: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(blank, (own, kept), (x,)), y)

    losses = torch.func.vmap(loss, randomness="different")
    ended: list[dict[str, float]] = [{} for _ in nets]
    total = torch.zeros(len(nets), device=device)
    steps = schedule.steps(n)
    plans = [train.batches(n, schedule, seed=seed) for seed in seeds]
    with train.seeded(seeds[0], device):
        for parts in progress.bar(zip(*plans, strict=True), label, total=schedule.epochs * steps):
            epoch, step = parts[0][:2]
            rows = [part[2].to(device) for part in parts]
            for group in optimizer.param_groups:
                group["lr"] = schedule.lr_at(epoch)
            x = torch.stack([view(i, own) for i, own in enumerate(rows)])
            each = losses(parameters, buffers, x, torch.stack([y[own] for own in rows]))
            optimizer.zero_grad()
            each.sum().backward()
            optimizer.step()
            total += each.detach() * len(rows[0]) / n
            if (step + 1) % steps == 0:
                last = epoch + 1 == schedule.epochs
                for i, mean in enumerate(total.tolist()):
                    entry = {"epoch": epoch + 1, "loss": mean}
                    stopped = schedule.reached([entry])
                    if not ended[i] and (last or stopped):
                        ended[i] = entry | ({"stopped": True} if stopped else {})
                        own = {name: value[i].detach() for name, value in {**parameters, **buffers}.items()}
                        nets[i].load_state_dict(own)
                total.zero_()
                if all(ended):
                    break
    for net in nets:
        net.eval()
    return ended


class Mean(nn.Module):
    """The mean of each feature map: (n, c, h, w) to (n, c, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        """What `nn.AdaptiveAvgPool2d(1)` returns."""
        return x.mean((2, 3), keepdim=True)


def averaging(net: nn.Module) -> nn.Module:
    """The net with `Mean` in the place of torch's pooling to one pixel, which a batched pass does net by net."""
    for parent in list(net.modules()):
        for name, module in parent.named_children():
            if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
                setattr(parent, name, Mean())
    return net
