"""What chapter 01a defines: closed forms against brute force, exercises whose checks tell."""

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

from pags import stats, tangent, theory

few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 10_000)


@pytest.fixture(scope="module")
def page():
    """The functions that the page defines."""
    names = {"np": np, "torch": torch, "F": F, "math": math, "itertools": itertools, "scipy": scipy}
    names |= {"stats": stats, "tangent": tangent, "theory": theory}
    return pages.defined("01a_robustness_theory", names)


def first_order(g, H, off, tolerance):
    """Nearly right: the constant of sigma^2, without the denominator's share."""
    M, T = off @ H @ off, H
    q_off, q = ((A.trace() ** 2 + 2 * A.square().sum()) / 4 for A in (M, T))
    share = (off @ g).square().sum() / g.square().sum()
    return float((tolerance * g.square().sum() / (q_off - share * q).abs()).sqrt())


def shifted(angle):
    """Continuous, but too calm at pi."""
    return torch.sin(angle - math.pi / 4)


def jump(angle):
    """High around pi, but with a jump on the way."""
    return 0.01 * torch.sin(angle) + (angle.abs() > 3.0)


CASES = {  # exercise: its check, what the solution defines, and answers that are nearly right
    "ex-01-a-bend": ("check_bend", "score", [shifted, torch.cos, lambda a: a, jump, lambda a: a * math.nan]),
    "ex-01-a-small": (
        "check_small",
        "largest",
        [first_order, lambda *_: math.inf, lambda *_: math.nan, lambda *_: -1.0],
    ),
    "ex-01-a-useless": ("check_useless", "used", [lambda C, c, i: abs(float(c[i])) > 1e-9]),
    "ex-01-a-kink": (
        "check_kink",
        "at_kink",
        [lambda theta, a: 0.5, lambda theta, a: math.cos(theta) ** 2, lambda theta, a: math.nan],
    ),
    "ex-01-a-steps": (
        "check_steps",
        "steps_needed",
        [
            lambda eta, lam, share: math.log(share) / math.log(1 - 2 * eta * lam),
            lambda eta, lam, share: math.ceil(math.log(share) / math.log(1 - eta * lam)),
            lambda eta, lam, share: 10**4,
        ],
    ),
}


@pytest.mark.parametrize("label", CASES)
def test_a_check_accepts_the_solution_and_nothing_near_it(page, label, capsys):
    pages.judged(page, label, *CASES[label], capsys)


def problem(seed, d, k):
    """A gradient, a Hessian, a tangent basis of k dimensions in R^d and the projection off it."""
    g = torch.Generator().manual_seed(seed)
    a, H, T = theory.normal(g, d), theory.normal(g, d, d), torch.linalg.qr(theory.normal(g, d, k)).Q
    return a, H + H.mT, T, torch.eye(d, dtype=torch.float64) - T @ T.mT


@given(seeds, st.integers(1, 5), st.floats(0.01, 3))
@few
def test_the_distance_is_below_the_square_of_sigma_over_the_smaller_scale(seed, k, sigma):
    a, H, _, off = problem(seed, 6, k)
    if seed % 2:  # eigenvalues that cancel in the trace of H and not off the manifold
        H = off - (6 - k) / k * (torch.eye(6).double() - off)
    size, zero = a.square().sum(), 0 * a
    scales = [size / theory.second_moment(zero, H, Q, 1.0) for Q in (torch.eye(6).double(), off)]
    gap = theory.quadratic_robustness(a, H, off, sigma) - (off @ a).square().sum() / size
    assert float(gap.abs()) <= sigma**2 / float(min(scales)) + 1e-12


def test_the_largest_sigma_for_a_round_bowl_is_as_said(page):
    largest, d, k = pages.answers(page, "ex-01-a-small")["largest"], 1024, 10
    off = torch.eye(d).double()
    off[:k, :k] = 0
    tangent_only = torch.zeros(d).double()
    tangent_only[:k] = (d / k) ** 0.5
    eye = torch.eye(d).double()
    assert largest(tangent_only, eye, off, 0.02) == pytest.approx(0.0090, abs=5e-5)
    assert largest(torch.ones(d).double(), eye, off, 0.02) == math.inf


@pytest.mark.parametrize("known", [0, 1])  # whether the gradient's part is drawn or exact
def test_the_simulation_has_the_mean_of_the_formula(page, known):
    a, H, T, off = problem(0, 5, 2)
    v = theory.normal(torch.Generator().manual_seed(1), 50_000, 5)
    found = page["robustness"](lambda x: x @ a + ((x @ H) * x).sum(1) / 2, 0 * a, known * a, T, 0.5, v)
    assert float(found) == pytest.approx(float(theory.quadratic_robustness(a, H, off, 0.5)), rel=0.03)


@given(st.floats(0.1, 1.4), st.floats(0.0, 3), st.floats(0.1, 5))
@few
def test_the_kink_has_its_closed_form(page, theta, h, sigma):
    s, w = np.linspace(-9, 9, 4001), scipy.stats.norm.pdf(np.linspace(-9, 9, 4001)) * 18 / 4000
    off = abs(h - sigma * s * math.sin(theta)) - h + sigma * s * math.cos(theta)
    whole = (w * (abs(h + sigma * s) - h) ** 2).sum() + sigma**2
    assert page["kink"](theta, h, sigma) == pytest.approx(float((w * off**2).sum() / whole), abs=1e-3)
    assert page["kink"](theta, 0.0, sigma) == pytest.approx(0.5)


@given(seeds, st.integers(1, 3), st.integers(1, 4))
@few
def test_the_suppressor_is_the_derivative_of_bayes_rule(page, seed, k, m):
    g = torch.Generator().manual_seed(seed)
    S, mu = page["covariance"](k + m, g), torch.randn(k, generator=g, dtype=torch.float64)
    x = torch.randn(4, k + m, generator=g, dtype=torch.float64).requires_grad_()
    log_p = theory.log_posterior(x, torch.cat([mu, torch.zeros(m).double()]), S)
    (E,) = torch.autograd.grad((log_p[:, 1] - log_p[:, 0]).sum(), x)
    assert torch.allclose(E, page["suppressor"](mu, S).expand_as(E), atol=1e-8)


@given(st.floats(-0.95, 0.95), st.floats(0.1, 2))
@few
def test_a_suppressor_raises_the_accuracy_as_said(page, r, mu):
    S = torch.tensor([[1, r], [r, 1]], dtype=torch.float64)
    w = page["suppressor"](torch.tensor([mu], dtype=torch.float64), S)
    assert w.tolist() == pytest.approx([2 * mu / (1 - r**2), -2 * mu * r / (1 - r**2)])
    assert float(w[1] ** 2 / w.square().sum()) == pytest.approx(r**2 / (1 + r**2))
    assert float(w[0] * mu / (w @ S @ w).sqrt()) == pytest.approx(mu / math.sqrt(1 - r**2))  # accuracy: Phi of this


def test_logistic_regression_spends_on_a_distractor_what_fisher_says(page):
    g, d = torch.Generator().manual_seed(0), 6
    S, mean = page["covariance"](d, g), torch.zeros(d).double()  # nothing but distractor: p = 1/2
    w = torch.stack([page["logistic"](*page["sample"](500, mean, S, g), steps=4) for _ in range(100)])
    expected = torch.linalg.inv(S).trace() / (500 / 4)
    assert float(w.square().sum(1).mean()) == pytest.approx(float(expected), rel=0.25)


@given(seeds)
@few
def test_the_small_nets_have_the_gradient_and_the_objective_of_the_text(page, seed):
    g = torch.Generator().manual_seed(seed)
    net = [theory.normal(g, *s) for s in ((2, 3, 4, 6), (2, 3, 1, 4), (2, 3, 1, 4))]  # two weights, three repetitions
    x, y = theory.normal(g, 3, 5, 6).expand(2, 3, 5, 6).clone().requires_grad_(), theory.normal(g, 3, 5).sign()
    scores, c = page["tanh_net"](net, x)
    (E,) = torch.autograd.grad(scores.sum(), x)
    assert torch.allclose(c @ net[0], E)
    lam = torch.tensor([0.0, 0.7], dtype=torch.float64)[:, None, None]
    expected = (F.softplus(-y * scores) + lam * E.square().sum(-1)).mean(-1)
    assert torch.allclose(page["objective"](net, x, y, lam), expected)


@given(seeds, st.integers(1, 5))
@few
def test_projecting_the_first_layer_removes_the_off_part_and_nothing_else(page, seed, k):
    g = torch.Generator().manual_seed(seed)
    W, b, a = (theory.normal(g, *s) for s in ((4, 6), (1, 4), (1, 4)))
    T = torch.linalg.qr(theory.normal(g, 6, k)).Q
    x = theory.normal(g, 5, k) @ T.mT  # on the subspace
    (scores, c), (projected, c_p) = page["tanh_net"]([W, b, a], x), page["tanh_net"]([W @ T @ T.mT, b, a], x)
    assert torch.allclose(scores, projected)
    assert torch.allclose(c_p @ W @ T @ T.mT, c @ W @ T @ T.mT)


@given(seeds, st.floats(0.05, 2))
@few
def test_ridge_is_where_descent_ends_and_lies_in_the_span(page, seed, lam):
    g = torch.Generator().manual_seed(seed)
    X, y, start = (torch.randn(*s, generator=g, dtype=torch.float64) for s in ((3, 8), (3,), (8,)))
    w = theory.ridge(X, y, lam)
    basis = torch.linalg.qr(X.mT).Q
    assert float((w - basis @ (basis.mT @ w)).norm()) < 1e-9
    moved = page["descend"](X, y, lam, start, 7, eta=0.01)
    outside = start - basis @ (basis.mT @ start)
    assert torch.allclose(moved - basis @ (basis.mT @ moved), (1 - 0.02 * lam) ** 7 * outside)
    assert float((page["descend"](X, y, lam, w, 1) - w).abs().max()) < 1e-9


@given(st.floats(-0.95, 0.95), st.floats(0.05, 3))
@few
def test_a_useless_input_has_the_weight_of_the_closed_form(page, r, lam):
    expected = np.linalg.solve([[1 + lam, r], [r, 1 + lam]], [0.5, 0])
    assert page["two_inputs"](r, lam) == pytest.approx(expected)
    plain = page["two_inputs"](r, 0.0)  # the gain over the first input alone, at b = 1/2
    assert 0.5 * plain[0] - 0.25 == pytest.approx(0.25 * r**2 / (1 - r**2))
    assert abs(expected[1] / expected[0]) == pytest.approx(abs(r) / (1 + lam))
