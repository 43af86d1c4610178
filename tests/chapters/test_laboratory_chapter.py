"""What chapter 08 defines on its page: exercises whose checks tell right from wrong, and a forward pass."""

import itertools
import math

import pages
import pytest
import torch

from pags import nets, strokes
from pags.book import laboratory

CHAPTER = "08_laboratory"
CHECKS = ("step", "parts", "backward", "gap", "nearer", "fool")


@pytest.fixture(scope="module")
def page():
    """The functions that need no run."""
    names = {"torch": torch, "strokes": strokes, "itertools": itertools}
    return pages.defined(CHAPTER, names, functions={"forward", "same", *(f"check_{name}" for name in CHECKS)})


def outside(delta, slope, eps, length):
    return delta + length * slope / slope.norm()


def cut(delta, slope, eps, length):
    moved = outside(delta, slope, eps, length)
    return eps * moved / moved.norm()


def as_drawn(basis, noise, length):
    on = basis @ (basis.T @ noise)
    return length * on / noise.norm(), length * (noise - on) / noise.norm()


def linear(layers, x, c):
    slope = layers[-1][0][c]
    for W, _ in layers[-2::-1]:
        slope = W.T @ slope
    return slope


def downhill(u, image, J, x):
    return u + 0.01 * J.T @ (x - image)


def far(logits, u):
    return u + 4


CASES = {  # exercise: its check, what the solution defines, and answers that are nearly right
    "ex-08-step": ("check_step", "step", [outside, cut, lambda delta, slope, eps, length: delta + length * slope]),
    "ex-08-parts": (
        "check_parts",
        "parts",
        [
            as_drawn,
            lambda basis, noise, length: (length * noise / noise.norm(),) * 2,
            lambda basis, noise, length: basis,
        ],
    ),
    "ex-08-backward": (
        "check_backward",
        "gradient",
        [linear, lambda layers, x, c: 0 * x, lambda layers, x, c: x * math.nan],
    ),
    "ex-08-half": ("check_gap", "gap", [lambda v: v * 2**-10, lambda v: 2**-10, lambda v: math.nan]),
    "ex-08-nearest": (
        "check_nearer",
        "nearer",
        [downhill, lambda u, image, J, x: u, lambda u, image, J, x: u * math.nan, lambda u, image, J, x: u[:3]],
    ),
    "ex-08-fool": (
        "check_fool",
        "fool",
        [far, lambda logits, u: u, lambda logits, u: u * math.nan, lambda logits, u: 0],
    ),
}


@pytest.mark.parametrize("label", CASES)
def test_a_check_accepts_the_solution_and_nothing_near_it(page, label, capsys):
    pages.judged(page, label, *CASES[label], capsys)


def test_the_forward_pass_is_the_network_s(page):
    net, x = nets.mlp(width=16).double(), torch.rand(1, 1, 32, 32, dtype=torch.float64)
    layers = [(one.weight, one.bias) for one in laboratory.layers(net)]
    logits, outputs = page["forward"](layers, x.flatten())
    torch.testing.assert_close(logits, net(x)[0])
    assert [len(out) for out in outputs] == [16, 16, 10]
    assert all(bool((out >= 0).all()) for out in outputs[:-1])
