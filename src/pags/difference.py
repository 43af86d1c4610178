"""The gradient penalty of `regularize` by a difference along the gradient: no double backward pass.

Axes: n images. With L the sum of the losses and g its gradient at the images x, held fixed, the parameter gradient of
||g||^2 is twice the derivative at t = 0 of that of L(x + t g), and up to O(t^2) that of (L(x + t g) - L(x - t g)) / t.
So it takes a pass to the images and two plain ones. That is so where L is smooth: rectified units and maxima must not
switch between the two sides, or what their switching adds, divided by t, hides all else. So each is held in the state
that it has at x, as a double backward pass holds it. For a GPU, where double backward passes through batch norm are
slow.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pags.attack import l2_norm

REACH = 0.5  # the L2 length, in pixel units, by which an image is moved at most
RISE = 0.1  # by so much its loss may rise on the way, to first order: nets whose gradients are long curve early


def gradient_norm(strength: float, *, reach: float = REACH, rise: float = RISE) -> Callable[..., dict[str, Tensor]]:
    """The objective `regularize.gradient_norm(strength)`: the same value, its parameter gradient by a difference.

    The plain loss, too, gets its parameter gradient from both sides, as their mean. Dropout is the same in all passes;
    running statistics are those of the images. Passes are not in bfloat16 under autocast either (convolutions are in
    TF32 inside of `accelerate.loop`): a difference of two losses in bfloat16 is as large as its rounding where
    gradients are long, and such a training diverges. Measured in float32 against double precision: within 1 % for
    perceptrons and LeNet, within 20 % for a narrow ResNet18 before its training.
    """

    def objective(net: nn.Module, x: Tensor, y: Tensor, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        seed = (generator.initial_seed() + step) % 2**63  # the host knows both: no step waits for the device
        x = x.detach().requires_grad_()
        torch.manual_seed(seed)
        with torch.autocast(x.device.type, enabled=False), held(net) as hold:
            logits = net(x)
            losses = F.cross_entropy(logits, y, reduction="none")
            (grad,) = torch.autograd.grad(losses.sum(), x)
            penalty = grad.flatten(1).square().sum(1).mean()
            longest = l2_norm(grad).amax().clamp_min(torch.finfo(grad.dtype).tiny)
            t = (rise / longest).clamp(max=reach) / longest
            sides = []
            for sign in (1, -1):
                hold()
                torch.manual_seed(seed)
                sides.append(F.cross_entropy(net(x.detach() + sign * t * grad), y))
        plus, minus = sides
        surrogate = (plus + minus) / 2 + strength * (plus - minus) / t
        value = (losses.mean() + strength * penalty).detach()
        return {"loss": value + surrogate - surrogate.detach(), "error": (logits.argmax(1) != y).float().mean()}

    return objective


@contextmanager
def held(net: nn.Module) -> Iterator[Callable[[], None]]:
    """The first pass inside notes the state of every unit; after a call of what is given, the next pass holds it.

    A held rectified unit (`nn.ReLU`) is open or shut as it was, a held maximum (`nn.MaxPool2d`) takes the pixel that it
    took, and running statistics of batch norm stay as they are. Other modules that switch are not held.
    """
    states: list[Tensor] = []
    waiting: list[Tensor] | None = None

    def relu(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        if waiting is None:
            states.append(output > 0)
            return output
        return inputs[0] * waiting.pop(0)

    def maximum(module: nn.MaxPool2d, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        if waiting is None:
            options = module.stride, module.padding, module.dilation
            states.append(F.max_pool2d(inputs[0], module.kernel_size, *options, return_indices=True)[1])
            return output
        at = waiting.pop(0)
        return inputs[0].flatten(2).gather(2, at.flatten(2)).reshape(at.shape)

    def hold() -> None:
        nonlocal waiting
        waiting = list(states)
        for norm in norms:
            norm.momentum = 0.0

    norms = {module: module.momentum for module in net.modules() if isinstance(module, _BatchNorm)}
    units = {module: module.inplace for module in net.modules() if isinstance(module, nn.ReLU)}
    hooks = [module.register_forward_hook(relu) for module in units]
    hooks += [module.register_forward_hook(maximum) for module in net.modules() if isinstance(module, nn.MaxPool2d)]
    try:
        for module in units:
            module.inplace = False  # or a hook would not see what came in
        yield hold
    finally:
        for hook in hooks:
            hook.remove()
        for unit, inplace in units.items():
            unit.inplace = inplace
        for norm, momentum in norms.items():
            norm.momentum = momentum
