"""What chapter 01 defines about paper A: closed forms against brute force, exercises whose checks tell."""

import ast
import itertools
import math
import re

import jupytext
import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pags import chapters, stats, tangent

CHAPTER = "01_theory_checks"
few = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 10_000)


@pytest.fixture(scope="module")
def page():
    """The functions that the page defines."""
    names = {"np": np, "torch": torch, "F": F, "math": math, "itertools": itertools, "scipy": scipy}
    names |= {"stats": stats, "tangent": tangent}
    for cell in jupytext.read(chapters.source(CHAPTER)).cells:
        if cell.cell_type == "code":
            kept = [node for node in ast.parse(cell.source).body if isinstance(node, ast.FunctionDef)]
            exec(compile(ast.Module(kept, []), CHAPTER, "exec"), names)
    return names


def answers(page, label):
    """The names that an exercise's solution defines."""
    text = chapters.source(CHAPTER).read_text(encoding="utf-8")
    (block,) = re.findall(rf"\{{solution\}} {label}\n.*?```python\n(.*?)```", text, re.DOTALL)
    names = dict(page)
    exec(block, names)
    return names


def first_order(g, H, off, tolerance):
    """Nearly right: the constant of sigma^2, without the denominator's share."""
    M, T = off @ H @ off, H
    q_off, q = ((A.trace() ** 2 + 2 * A.square().sum()) / 4 for A in (M, T))
    share = (off @ g).square().sum() / g.square().sum()
    return float((tolerance * g.square().sum() / (q_off - share * q).abs()).sqrt())


CASES = {  # exercise: its check, what the solution defines, and answers that are nearly right
    "ex-01-a-bend": ("check_bend", "score", [lambda angle: torch.sin(angle - math.pi / 4), torch.cos]),
    "ex-01-a-small": ("check_small", "largest", [first_order, lambda *_: math.inf]),
    "ex-01-a-useless": ("check_useless", "used", [lambda C, c, i: abs(float(c[i])) > 1e-9]),
}


@pytest.mark.parametrize("label", CASES)
def test_a_check_accepts_the_solution_and_nothing_near_it(page, label, capsys):
    check, name, wrong = CASES[label]
    page[check](answers(page, label)[name])
    assert capsys.readouterr().out == "right\n"
    for answer in wrong:
        page[check](answer)
        assert capsys.readouterr().out.startswith("not yet")


def problem(seed, d, k):
    """A gradient, a Hessian and the projection off a k-dimensional tangent space of R^d."""
    g = torch.Generator().manual_seed(seed)
    a, H, T = (torch.randn(*shape, generator=g, dtype=torch.float64) for shape in ((d,), (d, d), (d, k)))
    T = torch.linalg.qr(T).Q
    return a, H + H.mT, torch.eye(d, dtype=torch.float64) - T @ T.mT


@given(seeds, st.integers(2, 4), st.floats(0.01, 10))
@few
def test_the_second_moment_of_a_quadratic_is_exact(page, seed, d, sigma):
    a, H, off = problem(seed, d, 1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)  # exact for polynomials of degree 9; this one has 4
    u = sigma * torch.tensor(list(itertools.product(nodes, repeat=d)))
    w = torch.tensor([math.prod(p) for p in itertools.product(weights / weights.sum(), repeat=d)])
    v = u @ off
    expected = (w * (v @ a + ((v @ H) * v).sum(1) / 2) ** 2).sum()
    assert float(page["second_moment"](a, H, off, sigma)) == pytest.approx(float(expected), rel=1e-9)


@given(seeds, st.integers(2, 8))
@few
def test_robustness_tends_to_alignment_with_the_square_of_sigma(page, seed, d):
    a, H, off = problem(seed, d, 1)
    rho_2 = (off @ a).square().sum() / a.square().sum()
    gaps = [float((page["exact_robustness"](a, H, off, s) - rho_2).abs()) for s in (1e-3, 2e-3)]
    assert gaps[1] < 5 * gaps[0] + 1e-12
    assert gaps[0] < 1e-5 * (1 + float(H.square().sum() + H.trace() ** 2) / float(a.square().sum()))


def test_the_control_variate_does_not_change_the_mean(page):
    a, H, off = problem(0, 5, 2)
    v = torch.randn(20_000, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64) @ off
    f = lambda x: x @ a + ((x @ H) * x).sum(1) / 2  # noqa: E731
    slope = off @ a
    found = 0.25 * slope.square().sum() + page["mean_square"](f, torch.zeros(5).double(), slope, v, 0.5)
    assert float(found) == pytest.approx(float(page["second_moment"](a, H, off, 0.5)), rel=0.05)


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
    log_p = page["bayes"](x, torch.cat([mu, torch.zeros(m).double()]), S)
    (E,) = torch.autograd.grad((log_p[:, 1] - log_p[:, 0]).sum(), x)
    assert torch.allclose(E, page["suppressor"](mu, S).expand_as(E), atol=1e-8)


def test_the_slope_of_the_small_net_is_its_gradient(page):
    g = torch.Generator().manual_seed(0)
    net = [torch.randn(*s, generator=g, dtype=torch.float64) for s in ((4, 6), (4,), (4,))]
    x = torch.randn(5, 6, generator=g, dtype=torch.float64).requires_grad_()
    (E,) = torch.autograd.grad(page["score"](net, x).sum(), x)
    assert torch.allclose(page["slope"](net, x), E)


@given(seeds, st.floats(0.05, 2))
@few
def test_ridge_is_where_descent_ends_and_lies_in_the_span(page, seed, lam):
    g = torch.Generator().manual_seed(seed)
    X, y, start = (torch.randn(*s, generator=g, dtype=torch.float64) for s in ((3, 8), (3,), (8,)))
    w = page["ridge"](X, y, lam)
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
