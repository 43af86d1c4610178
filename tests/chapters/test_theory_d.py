"""What chapter 01d defines: closed forms against brute force, and exercises with their checks."""

import itertools
import math

import numpy as np
import pages
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, linprog

from pags import theory

WIDTHS = st.sampled_from([2, 4, 6, 8])
few = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def page():
    """The functions that the page defines."""
    names = {"np": np, "torch": torch, "F": F, "math": math, "itertools": itertools, "linprog": linprog}
    return pages.defined("01d_leakage_theory", names | {"theory": theory, "brentq": brentq})


def unequal(s):
    """Nearly right: every neuron weighs all blocks alike."""
    v = np.ones(len(s) + 1) / np.sqrt(2 * (len(s) + 1))
    return v[:-1], v[-1]


def one_over_s(s):
    """Right only where the squares of 1 / s sum to one or more."""
    v = np.r_[1 / s, 1.0]
    v = v / np.linalg.norm(v) / np.sqrt(2)
    return v[:-1], v[-1]


def rolled(y, d):
    """The top pixel names the class, but so does the bottom one."""
    return (torch.arange(d) + y[:, None]) % d


CASES = {  # exercise: its check, what the solution defines, and answers that are nearly right
    "ex-01-strengths": ("check_strengths", "best", [unequal, one_over_s]),
    "ex-01-nothing": ("check_blind", "blind", [rolled, lambda y, d: torch.arange(d).expand(len(y), d)]),
    "ex-01-d-overtaken": (
        "check_overtaken",
        "overtaken",
        [lambda m: 1 / m, lambda m: 0.25 / m, lambda m: (1 - 0.5 / m**0.5) / m, lambda m: math.nan],
    ),
    "ex-01-d-score": (
        "check_leak_score",
        "leak_score",
        [lambda total, level: level / total, lambda total, level: 0.5, lambda total, level: math.nan],
    ),
    "ex-01-often": ("check_often", "first_step", [lambda p, j: p, lambda p, j: [28 * v for v in p]]),
}


@pytest.mark.parametrize("label", CASES)
def test_a_check_accepts_the_solution_and_nothing_near_it(page, label, capsys):
    pages.judged(page, label, *CASES[label], capsys)


@few
@given(t=st.floats(-3, 3), b=st.floats(-3, 3))
def test_a_neurons_odd_part_has_the_closed_form(t, b):
    h = max(0, b + t) - max(0, b - t)
    assert h == pytest.approx(math.copysign(max(0, min(2 * abs(t), b + abs(t))), t), abs=1e-12)


@few
@given(total=WIDTHS, s=st.integers(1, 3), tau=st.floats(0, 0.25), seed=st.integers(0, 2**31))
def test_the_pair_has_the_stated_margin_and_leaks(page, total, s, tau, seed):
    m, eta = total // 2, tau / (total // 2)
    x, y, _ = page["blocks"](50, total, s, eta, torch.Generator().manual_seed(seed))
    margin, pair = theory.leaking_pair(total, s, eta)
    assert theory.outputs(pair, x.flatten(1).double(), y.double()).mean(1).min() >= margin - 1e-6
    net = [v[None] for v in (pair[:, 1:-1], pair[:, -1], pair[:, :1])]
    at = 1.001 * x.flatten(1).double()[None]  # off the kink, also without noise
    norms = page["leak_slope"](net, at).unflatten(-1, (total, s)).norm(dim=-1)[0]
    slope = 1 / (4 * math.sqrt(m + (1 - tau) ** 2))
    assert norms[:, :m].numpy() / 2 == pytest.approx(np.full((50, m), slope), abs=1e-9)
    assert norms[:, m:].abs().max() == 0


@few
@given(n=st.integers(1, 5), many=st.integers(1, 5), seed=st.integers(0, 2**31))
def test_the_linear_programme_finds_the_best_mixture(page, n, many, seed):
    """The value of a matrix game: no mixture of columns does better, and the rows' player can hold it there."""
    values = np.random.default_rng(seed).standard_normal((n, many))
    assert page["max_margin"](values) == pytest.approx(-page["max_margin"](-values.T), abs=1e-8)
    assert page["max_margin"](values) >= values.min(0).max() - 1e-9


@few
@given(many=st.integers(1, 4), d=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_both_signs_are_neurons_of_length_one(page, many, d, seed):
    v = np.random.default_rng(seed).standard_normal((many, d + 1))
    neurons = page["both_signs"](v)
    assert np.linalg.norm(neurons, axis=1) == pytest.approx(np.ones(2 * many))
    assert neurons[:, 0].tolist() == pytest.approx([0.5**0.5, -(0.5**0.5)] * many)
    assert neurons[::2, 1:] == pytest.approx(neurons[1::2, 1:])


@few
@given(m=st.integers(3, 8))
def test_the_leaking_network_is_overtaken_between_the_bound_and_one_over_m(page, m):
    ahead = [
        theory.leaking_pair(2 * m, eta=eta)[0] > page["single_margin"](m, eta) for eta in np.linspace(0, 0.99 / m, 99)
    ]
    assert (ahead[0], ahead[24], ahead[-1]) == (True, True, False)
    assert np.count_nonzero(np.diff(ahead)) == 1


@few
@given(b=st.floats(-1, 1))
def test_a_lazy_neurons_mean_is_a_polynomial(page, b):
    """E[h(r, b) r] given b, for r uniform on [-1, 1], by the midpoint rule."""
    r = (np.arange(20_000) + 0.5) / 10_000 - 1
    h = np.maximum(b + r, 0) - np.maximum(b - r, 0)
    assert (h * r).mean() == pytest.approx(1 / 3 + b / 2 - b**3 / 6, abs=1e-6)


def test_a_signal_has_the_colour_of_its_image_in_every_panel(page):
    """Figure 5 shows images beside gradients with one map of colours, in which red is positive."""
    images, labels = theory.spoilt_images(6)
    pair = theory.leaking_pair(6)[1]
    net = [v[None] for v in (pair[:, 1:-1], pair[:, -1], pair[:, :1])]
    shown = page["towards_label"](page["leak_slope"](net, 1.001 * images[None])[0], labels)
    assert (shown.sign() * images > 0).any(1).all()
    assert (shown.sign() * images >= 0).all()


def test_the_lazy_proportion_is_25_to_28(page):
    """Both entries as integrals over b, by the midpoint rule in r and b."""
    r, b = (np.arange(1000) + 0.5) / 500 - 1, ((np.arange(1000) + 0.5) / 500 - 1)[:, None]
    hr = (np.maximum(b + r, 0) - np.maximum(b - r, 0)) * r
    other = (hr.mean(1, keepdims=True) * (1 + b) / 2).mean()
    assert (hr * (b + r > 0)).mean() / other == pytest.approx(25 / 28, abs=1e-3)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_gradients_and_steps_by_hand_are_autograds(page, seed):
    g = torch.Generator().manual_seed(seed)
    net = [v.double().requires_grad_() for v in page["initial"](2, 30, 4, g)]
    x = torch.randn(2, 6, 4, generator=g, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([1.0, -1, 1, 1, -1, -1], dtype=torch.float64)
    f, _ = page["forward"](net, x)
    assert torch.allclose(page["leak_slope"](net, x), torch.autograd.grad(f.sum(), x, retain_graph=True)[0])
    losses = F.softplus(-y * f).mean(1).sum()  # one loss per network
    expected = [v - 0.3 * grad for v, grad in zip(net, torch.autograd.grad(losses, net), strict=True)]
    for got, wanted in zip(page["leak_descend"](net, x, y, 0.3), expected, strict=True):
        assert torch.allclose(got, wanted)


def test_the_attack_stays_in_the_box_and_lowers_the_margin(page):
    x, y = (v.float() for v in theory.spoilt_images(6))
    net = page["initial"](3, 50, 6, torch.Generator().manual_seed(0))
    x = x.expand(3, -1, -1)
    moved = page["perturb"](net, x, y, 0.1)
    assert (moved - x).abs().max() <= 0.1 + 1e-6
    assert ((page["forward"](net, moved)[0] - page["forward"](net, x)[0]) * y).mean() < 0


def test_shares_sort_a_known_gradient(page):
    g = torch.tensor([[[4.0, -2, 0, 1], [1, 2, 0, 0]]])
    found = {name: v.item() for name, v in page["shares"](g, torch.tensor([0, 0])).items()}
    assert found == pytest.approx({"signal": 0.75, "other": 0.75, "noise": 0.0625, "first": 0.5})


@few
@given(total=st.sampled_from([2, 4]), level=st.integers(1, 4), data=st.data())
def test_diffroar_is_its_closed_form_by_enumeration(page, total, level, data):
    """Every image and every order with the signal at one of the places: the best classifier, counted."""
    level, m = min(level, total), total // 2
    places = data.draw(st.lists(st.integers(1, total), min_size=1, max_size=3))
    seen = {}
    for j, sign, place in itertools.product(range(m), (1, -1), places):
        for others in itertools.permutations([i for i in range(total) if i != j]):
            order = (*others[: place - 1], j, *others[place - 1 :])
            for name, part in (("top", order[:level]), ("bottom", order[-level:])):
                key = (name, j, sign) if j in part else (name,)
                seen.setdefault(key, {1: 0, -1: 0})[sign] += 1
    counted = sum(sum(v.values()) for key, v in seen.items() if key[0] == "top")
    power = {
        name: sum(max(v.values()) for key, v in seen.items() if key[0] == name) / counted for name in ("top", "bottom")
    }
    assert page["closed_form"](places, total, level) == pytest.approx(power["top"] - power["bottom"])


@few
@given(m=st.integers(1, 6), level=st.integers(1, 12))
def test_one_order_for_all_scores_zero_on_average(page, m, level):
    """The closed form over all places alike is the random order's; one place and its mirror image are opposite."""
    level = min(level, 2 * m)
    scores = [page["closed_form"]([place], 2 * m, level) for place in range(1, 2 * m + 1)]
    assert page["closed_form"](range(1, 2 * m + 1), 2 * m, level) == pytest.approx(0)
    assert scores == pytest.approx([-v for v in reversed(scores)])


def test_orders_are_permutations_with_fair_ties(page):
    score = torch.tensor([[0.0, 1, 1, 0]]).expand(4000, 4)
    order = page["order_by"](score, torch.Generator().manual_seed(0))
    assert torch.equal(order.sort(1).values, torch.arange(4).expand(4000, 4))
    assert set(order[:, :2].flatten().tolist()) == {1, 2}
    assert scipy.stats.binomtest(int((order[:, 0] == 1).sum()), 4000).pvalue > 1e-4


def test_masks_keep_the_first_or_the_last(page):
    x, order = torch.tensor([[5.0, 6, 7]]), torch.tensor([[2, 0, 1]])
    assert page["keep"](x, order, 1).tolist() == [[0, 0, 7]]
    assert page["keep"](x, order, 2, last=True).tolist() == [[5, 6, 0]]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_the_shape_scores_one_half_and_shows_nothing(page, seed):
    y = torch.cat([torch.randperm(200, generator=torch.Generator().manual_seed(seed)) % 2 * 2.0 - 1] * 2)
    order, ones = page["shaped"](y), torch.ones(400, 8)
    assert not ((order[:, :1] == 0) | (order[:, -1:] == 0)).any()
    assert page["retrained"](page["keep"](ones, order, 1), y) == 1
    assert page["retrained"](page["keep"](ones, order, 1, last=True), y) == 0.5
