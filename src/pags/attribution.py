"""Gradient-based attributions.

Axes: n examples, c classes; an attribution has the shape of the images x (n, ...). All methods but `loss_gradient`
explain the logit of `target`, the class of each image (n,) or one for all, by default the predicted class. Call
`net.eval()` first: every method must see the net that predicts.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pags import arguments, tangent


def predicted(net: nn.Module, x: Tensor) -> Tensor:
    """The predicted class of each example, (n,)."""
    with torch.no_grad():
        return net(x).argmax(1)


def _classes(target: Tensor | int | None, logits: Tensor) -> Tensor:
    """The class to explain of each image, (n,): `target`, or the predicted one. ValueError for what is no class."""
    return logits.argmax(1) if target is None else arguments.labels("target", target, *logits.shape).to(logits.device)


def gradient(net: nn.Module, x: Tensor, target: Tensor | int | None = None) -> Tensor:
    """Gradient of the target's logit with respect to each image, like x (Simonyan et al. 2014). Signed."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        logits = net(x)
        target = _classes(target, logits)
        return torch.autograd.grad(logits.gather(1, target[:, None]).sum(), x)[0]


def loss_gradient(net: nn.Module, x: Tensor, target: Tensor | int | None = None) -> Tensor:
    """Gradient of the cross-entropy at `target` with respect to each image, like x. Signed.

    Where the net is so sure that its probability rounds to one it is exactly zero: give it a net in double precision.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        logits = net(x)
        target = _classes(target, logits)
        return torch.autograd.grad(F.cross_entropy(logits, target, reduction="sum"), x)[0]


def guided_backprop(net: nn.Module, x: Tensor, target: Tensor | int | None = None) -> Tensor:
    """The gradient with negative parts dropped at each rectifier on the way back, like x (Springenberg et al. 2015).

    Only rectifiers that are modules (`nn.ReLU`) can be changed; ValueError for a net that has none.
    """
    rectifiers = [module for module in net.modules() if isinstance(module, nn.ReLU)]
    if not rectifiers:
        raise ValueError("guided backprop changes modules of type nn.ReLU, and this net has none")
    in_place = [module.inplace for module in rectifiers]
    hooks = [module.register_full_backward_hook(_positive) for module in rectifiers]
    try:
        for module in rectifiers:
            module.inplace = False  # autograd refuses hooks where the input is overwritten
        return gradient(net, x, target)
    finally:
        for module, hook, before in zip(rectifiers, hooks, in_place, strict=True):
            hook.remove()
            module.inplace = before


def _positive(module: nn.Module, grad_input: tuple[Tensor], grad_output: tuple[Tensor]) -> tuple[Tensor]:
    return (grad_input[0].clamp(min=0),)


def input_x_gradient(net: nn.Module, x: Tensor, target: Tensor | int | None = None) -> Tensor:
    """The image times its gradient, like x."""
    return x * gradient(net, x, target)


def integrated_gradients(
    net: nn.Module,
    x: Tensor,
    target: Tensor | int | None = None,
    *,
    baseline: Tensor | float = 0.0,
    steps: int = 50,
    times_input: bool = True,
) -> Tensor:
    """The gradient averaged from `baseline` to x, times their difference: sums to f(x) - f(baseline) per example.

    The baseline is a number, one image for all, or one for each. Gauss-Legendre nodes, as in captum. The released code
    of Bordt et al. 2022 leaves the product with the image out (`times_input=False`). Source: Sundararajan et al. 2017.
    """
    target = predicted(net, x) if target is None else target
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    baseline = _spread(baseline, x)
    path = x - baseline
    mean = torch.zeros_like(x)
    for node, weight in zip((1 + nodes) / 2, weights / 2, strict=True):
        mean += float(weight) * gradient(net, baseline + float(node) * path, target)
    return path * mean if times_input else mean


def smoothgrad(
    net: nn.Module,
    x: Tensor,
    target: Tensor | int | None = None,
    *,
    generator: torch.Generator,
    sigma: float = 0.02,
    samples: int = 25,
) -> Tensor:
    """Mean gradient over `samples` noisy copies, noise of standard deviation sigma per pixel (Smilkov et al. 2017).

    The generator gives every image a seed of its own, so that its noise is the same in batches of every size.
    """
    if samples < 1:
        raise ValueError(f"samples = {samples}: write a whole number from 1")
    target = predicted(net, x) if target is None else target
    seeds = torch.randint(2**63 - 1, (len(x),), generator=generator).tolist()
    own = [torch.Generator().manual_seed(seed) for seed in seeds]
    total = torch.zeros_like(x)
    for _ in range(samples):
        total += gradient(net, x + sigma * _normal(x, own), target)
    return total / samples


def _normal(x: Tensor, generators: Iterable[torch.Generator]) -> Tensor:
    """Standard normal numbers like x, each image's by a generator of its own, or by one for all of them in turn.

    They are drawn image by image: torch draws other numbers for several images at once, if their size is odd.
    """
    drawn = torch.empty(x.shape, dtype=x.dtype)
    for image, generator in zip(drawn, generators, strict=True):
        image.normal_(generator=generator)
    return drawn.to(x.device)


def random(x: Tensor, *, generator: torch.Generator) -> Tensor:
    """A direction drawn at random for each image, like x: knows neither model nor data."""
    return _normal(x, [generator] * len(x))


def random_tangent(basis: Tensor, x: Tensor, *, generator: torch.Generator) -> Tensor:
    """A direction drawn at random inside the span of `basis` (n, d, k), like x: aligned, and unrelated to any model."""
    coefficients = torch.randn(len(basis), basis.shape[2], 1, generator=generator, dtype=x.dtype).to(x.device)
    return (basis @ coefficients).reshape(x.shape)


class Method(Protocol):
    """An attribution of the predicted class, (n, ...) like x; `samples` gradients where it averages over some."""

    def __call__(self, net: nn.Module, x: Tensor, *, generator: torch.Generator, samples: int = ...) -> Tensor:
        """The attribution of each image."""
        ...


# The methods of Bordt et al. 2022, and a random direction. Integrated Gradients leaves the product out, as their code.
METHODS: dict[str, Method] = {
    "random": lambda net, x, *, generator, samples=1: random(x, generator=generator),
    "gradient": lambda net, x, *, generator, samples=1: gradient(net, x),
    "SmoothGrad": lambda net, x, *, generator, samples=25: smoothgrad(net, x, generator=generator, samples=samples),
    "Integrated Gradients": lambda net, x, *, generator, samples=50: integrated_gradients(
        net, x, steps=samples, times_input=False
    ),
    "Input x Gradient": lambda net, x, *, generator, samples=1: input_x_gradient(net, x),
}


def in_batches(method: Callable[..., Tensor], net: nn.Module, x: Tensor, *, batch: int = 100, **options: Any) -> Tensor:
    """The method applied to `batch` images at a time: same result, bounded memory, and faster on a CPU's cache.

    Of the options only `target` and `baseline` may be tensors, of one value for each image or one for all.
    """
    each = {}
    if (target := options.pop("target", None)) is not None:
        each["target"] = arguments.each("target", torch.as_tensor(target), len(x)).split(batch)
    if isinstance(baseline := options.get("baseline"), Tensor) and baseline.dim() > 0:
        each["baseline"] = _spread(options.pop("baseline"), x).split(batch)
    if unknown := [name for name, value in options.items() if isinstance(value, Tensor) and value.dim() > 0]:
        raise ValueError(f"options {unknown} are tensors: in batches only target and baseline may be")
    return torch.cat(
        [
            method(net, part, **options, **{name: values[i] for name, values in each.items()})
            for i, part in enumerate(x.split(batch))
        ]
    )


def _spread(baseline: Tensor | float, x: Tensor) -> Any:
    """A number for all images as it is; else the baseline of each, like x, from one for all, (...) or (1, ...)."""
    if isinstance(baseline, Tensor) and baseline.dim() > 0:
        return arguments.each("baseline", baseline, len(x), x.shape[1:])
    return baseline


def fractions(
    net: nn.Module, x: Tensor, basis: Tensor, *, generator: torch.Generator, batch: int = 100
) -> dict[str, Tensor]:
    """Fraction in tangent space, (n,), of each of `METHODS`."""
    return {
        name: tangent.fraction_in(basis, in_batches(method, net, x, batch=batch, generator=generator))
        for name, method in METHODS.items()
    }
