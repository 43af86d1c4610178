"""The laboratory: small networks and the pen's paths as data for laboratory.js, which computes everything in the page.

Axes: k latents, d pixels. A network is a perceptron of rectified units, in half precision: `half` gives the network
that the page shows, so that what a chapter measures is what a reader sees.
"""

import base64
import copy
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pags import attack, strokes, tangent
from pags.book import figures, plot
from pags.errors import PagsError, UsageError

LIMIT = 1_500_000  # bytes of all weights in half precision
BUDGET = (0.5, 5.0, 0.5)  # least, largest and step of the slider for the attack's budget
WITHOUT = (
    "Where scripts run, here is a laboratory in place of the picture: move the ten latents of a digit or draw one, and "
    "see image, logits, gradient and tangent space change. Nothing is loaded for it."
)


def half(net: nn.Module) -> nn.Module:
    """A copy of the net whose parameters are rounded to half precision, in evaluation mode and frozen.

    PagsError for a parameter that half precision cannot hold.
    """
    rounded = copy.deepcopy(net).half()
    if not all(bool(parameter.isfinite().all()) for parameter in rounded.parameters()):
        raise PagsError(
            f"a parameter of the network is beyond {torch.finfo(torch.half).max:g}: half precision ends there"
        )
    return rounded.float().eval().requires_grad_(False)


def layers(net: nn.Module) -> list[nn.Linear]:
    """The linear layers of a perceptron such as `nets.mlp`; UsageError for any other network."""
    inner = list(net.children())
    linear, between = inner[1::2], inner[2::2]
    kinds = [nn.Flatten, *[nn.Linear, nn.ReLU] * (len(inner) // 2)][: len(inner)]
    fits = len(inner) % 2 == 0 and all(type(one) is kind for one, kind in zip(inner, kinds, strict=True))
    if not fits or not between:
        raise UsageError(
            f"the laboratory computes perceptrons of rectified units, not {type(net).__name__} of "
            f"{', '.join(type(one).__name__ for one in inner) or 'nothing'}: write a net like nets.mlp"
        )
    return [one for one in linear if isinstance(one, nn.Linear)]


def exported(net: nn.Module) -> dict[str, Any]:
    """{"widths", "weights"}: units of each layer; weights (out, in) and bias of each in half precision, as base64."""
    inside = layers(net)
    parts = [np.asarray(part.detach().cpu().half()).ravel() for one in inside for part in (one.weight, one.bias)]
    content = np.concatenate(parts).astype("<f2").tobytes()
    widths = [inside[0].in_features, *(one.out_features for one in inside)]
    return {"widths": widths, "weights": base64.b64encode(content).decode()}


def data(nets: Mapping[str, tuple[nn.Module, str]], *, start: int, eps: float, steps: int) -> dict[str, Any]:
    """What laboratory.js is given, as plain JSON: networks by name with a sentence about each, paths, colours, chance.

    Attacks have the budget `eps`, in pixel units, in `steps` steps of 2.5 eps / steps. `start` is the first digit.
    PagsError where all weights take more than `LIMIT` bytes, UsageError for nets that are no perceptrons of one size.
    """
    made = [{"name": name, "about": about, **exported(net)} for name, (net, about) in nets.items()]
    count = sum(a * b + b for one in made for a, b in pairwise(one["widths"]))
    if 2 * count > LIMIT:
        raise PagsError(
            f"the weights take {2 * count:,} bytes in half precision, a page holds {LIMIT:,}: use smaller nets"
        )
    d, k = made[0]["widths"][0], len(strokes.LATENTS)
    size = round(d**0.5)
    if size**2 != d or {one["widths"][0] for one in made} != {d}:
        raise UsageError(
            f"networks of {', '.join(str(one['widths'][0]) for one in made)} pixels: one square size for all"
        )
    paths = [strokes.pen_path(digit) for digit in range(len(strokes.TEMPLATES))]
    return {
        "nets": made,
        "size": size,
        "latents": strokes.LATENTS,
        "spread": strokes.SPREAD,
        "paths": [
            dict(zip("xy", points.T.numpy().round(6).tolist(), strict=True)) | {"starts": starts.int().tolist()}
            for points, starts in paths
        ],
        "chance": [0.0, *(round(tangent.chance_level(rank, d), 6) for rank in range(1, k + 1))],
        "colours": [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in plot.BLUE_RED],
        "start": start,
        "eps": eps,
        "budget": BUDGET,
        "steps": steps,
    }


def least_budget(net: nn.Module, x: Tensor, y: Tensor, *, steps: int) -> float | None:
    """The least budget of the page's slider at which its attack on one image (1, ...) ends at another class than y.

    None where the largest does not do. The attack is the page's: in double precision and without a random start.
    """
    net, x = copy.deepcopy(net).double(), x.double()
    low, high, by = BUDGET
    for eps in (low + by * i for i in range(round((high - low) / by) + 1)):
        delta = torch.zeros_like(x)
        for _ in range(steps):
            moved = (x + delta).requires_grad_()
            (slope,) = torch.autograd.grad(F.cross_entropy(net(moved), y), moved)
            delta = attack.project_l2(delta + 2.5 * eps / steps * attack.unit_l2(slope), eps)
        if bool((net(x + delta).argmax(1) != y).all()):
            return eps
    return None


def show(content: Mapping[str, Any], fig: Any, *, alt: str, caption: str, label: str | None = None) -> None:
    """Put the laboratory with this `data` on the page; where scripts do not run it is the figure, with a sentence."""
    live = {"script": "laboratory", "data": dict(content), "without": WITHOUT}
    figures.display({"svg": plot.svg(fig), "alt": alt, "caption": caption, "label": label, "live": live})
