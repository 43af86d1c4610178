"""Closed forms of the theorems against brute force, and constructions that have what their theorems promise."""

import itertools
import math

import numpy as np
import pytest
import scipy.special
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pags import theory

few = settings(max_examples=15, deadline=None)
seeds = st.integers(0, 10_000)
widths = st.sampled_from([2, 4, 6, 8])


def problem(seed, d, k):
    """A gradient, a Hessian, a tangent basis of k dimensions in R^d and the projection off it."""
    g = torch.Generator().manual_seed(seed)
    a, H, T = theory.normal(g, d), theory.normal(g, d, d), torch.linalg.qr(theory.normal(g, d, k)).Q
    return a, H + H.mT, T, torch.eye(d, dtype=torch.float64) - T @ T.mT


# Expectations and gradients


@given(st.integers(1, 3), st.integers(1, 6), seeds)
@few
def test_a_grid_has_the_moments_of_a_gaussian(d, nodes, seed):
    u, weight = theory.gaussian_grid(d, nodes)
    assert (u.shape, weight.shape) == ((nodes**d, d), (nodes**d,))
    powers = torch.randint(0, 2 * nodes, (d,), generator=torch.Generator().manual_seed(seed))
    exact = math.prod(0 if p % 2 else math.prod(range(1, int(p), 2)) for p in powers)
    assert float(weight @ (u**powers).prod(1)) == pytest.approx(exact, abs=1e-7 * (1 + exact))


def test_an_input_gradient_leaves_the_callers_points_as_they_were():
    x = torch.tensor([[1.0, 2], [3, 4]], dtype=torch.float64)
    assert torch.equal(theory.input_gradient(lambda x: x[:, 0] ** 2 * x[:, 1], x), torch.tensor([[4, 1], [24, 9.0]]))
    assert not x.requires_grad


# A


@given(seeds, st.integers(2, 4), st.floats(0.01, 10))
@few
def test_the_robustness_of_a_quadratic_is_exact(seed, d, sigma):
    a, H, _, off = problem(seed, d, 1)
    u, weight = theory.gaussian_grid(d, 3)  # exact for polynomials of degree 5; this one has 4
    whole, part = (weight @ (v @ a + ((v @ H) * v).sum(1) / 2) ** 2 for v in (sigma * u, sigma * u @ off))
    assert float(theory.second_moment(a, H, off, sigma)) == pytest.approx(float(part), rel=1e-9)
    assert float(theory.quadratic_robustness(a, H, off, sigma)) == pytest.approx(float(part / whole), rel=1e-9)


@given(seeds, st.integers(2, 8))
@few
def test_robustness_tends_to_alignment_with_the_square_of_sigma(seed, d):
    a, H, _, off = problem(seed, d, 1)
    rho_2 = (off @ a).square().sum() / a.square().sum()
    gaps = [float((theory.quadratic_robustness(a, H, off, s) - rho_2).abs()) for s in (1e-3, 2e-3)]
    assert gaps[1] < 5 * gaps[0] + 1e-12
    assert gaps[0] < 1e-5 * (1 + float(H.square().sum() + H.trace() ** 2) / float(a.square().sum()))


@given(seeds, st.integers(1, 5), st.integers(1, 6))
@few
def test_two_bends_that_cancel_make_rho_1_exceed_one_from_three_dimensions_on(seed, k, codimension):
    d = k + codimension
    a, _, T, off = problem(seed, d, k)
    H = off - codimension / k * (T @ T.mT)
    limit = float(theory.quadratic_robustness(0 * a, H, off, 1.0))
    assert limit == pytest.approx(k * (d - k + 2) / (2 * d))
    assert (limit > 1 + 1e-9) == (k > 2)
    assert float(theory.quadratic_robustness(a, H, off, 1e6)) == pytest.approx(limit, rel=1e-6)


@given(seeds)
@few
def test_bayes_rule_does_not_see_an_independent_distractor(seed):
    g = torch.Generator().manual_seed(seed)
    A, B, mu, x = (theory.normal(g, *shape) for shape in ((2, 2), (3, 3), (2,), (6, 5)))
    S_s, S_t = (M @ M.mT + torch.eye(len(M), dtype=torch.float64) for M in (A, B))
    found = theory.log_posterior(x, F.pad(mu, (0, 3)), torch.block_diag(S_s, S_t))
    log_odds = 2 * x[:, :2] @ torch.linalg.solve(S_s, mu)
    assert torch.allclose(found, F.logsigmoid(torch.stack([-log_odds, log_odds], 1)))


@given(seeds, st.floats(0.05, 2))
@few
def test_ridge_has_no_slope_where_it_ends(seed, lam):
    g = torch.Generator().manual_seed(seed)
    X, y = theory.normal(g, 3, 8), theory.normal(g, 3)
    slope = theory.input_gradient(
        lambda w: ((w @ X.mT - y) ** 2).mean(1) + lam * w.square().sum(1), theory.ridge(X, y, lam)[None]
    )
    assert float(slope.abs().max()) < 1e-12


# B


@given(st.integers(2, 40))
@settings(max_examples=20, deadline=None)
def test_the_curve_is_half_along_half_across_in_all_dimensions(d):
    corners = theory.curve_corners(d)
    legs = corners.roll(-1, 0) - corners
    along, across = legs[:, 0].abs(), legs[:, 1:].norm(dim=1)
    assert torch.minimum(along, across).max() < 1e-12
    assert float(along.sum()) == pytest.approx(d - 1 + (d - 1) ** 0.5)
    assert float(across.sum()) == pytest.approx(float(along.sum()))
    assert torch.linalg.matrix_rank(legs) == d


@given(st.floats(0, 2 * math.pi), st.floats(0.1, 0.9), st.floats(0.1, 1))
@few
def test_the_decaying_circle_is_a_von_mises_times_a_gaussian(angle, distance, sigma):
    m = torch.tensor([[math.cos(angle), math.sin(angle), 0.0]], dtype=torch.float64)
    x = (1 - distance) * m + torch.tensor([[0.0, 0.0, distance]], dtype=torch.float64)
    expected = 2 * (angle - theory.class_centres()).cos() - 2 * distance**2 / (2 * sigma**2)
    assert torch.allclose(theory.log_decaying_circle(x, sigma)[0], expected)
    assert torch.allclose(theory.log_decaying_circle(x, math.inf), theory.log_decaying_circle(m, sigma))


@given(st.floats(0.05, 0.3), st.floats(0.6, 1.5))
@settings(max_examples=10, deadline=None)
def test_the_noisy_circle_is_its_bessel_series(sigma, r):
    n, ive, concentration = np.arange(1, 400), scipy.special.ive, 2.0
    kappa = r / sigma**2
    c = ive(n, concentration) / ive(0, concentration)
    exact = math.log((ive(0, kappa) + 2 * (c * ive(n, kappa)).sum()) / (2 * math.pi * sigma**2))
    found = theory.log_noisy_circle(torch.tensor([[r, 0.0]], dtype=torch.float64), sigma)[0, 0]
    assert float(found) == pytest.approx(exact - (r - 1) ** 2 / (2 * sigma**2), abs=1e-9)


# D


@given(q=widths, s=st.integers(1, 3), tau=st.floats(0, 0.25))
@few
def test_the_pair_has_unit_neurons_and_its_margin_at_every_spoilt_image(q, s, tau):
    eta = tau / (q // 2)
    margin, pair = theory.leaking_pair(q, s, eta)
    assert torch.allclose(pair.norm(dim=1), torch.ones(2, dtype=torch.float64))
    assert theory.outputs(pair, *theory.spoilt_images(q, s, eta)).mean(1).tolist() == pytest.approx([margin] * q)


@given(q=widths, s=st.integers(1, 2), tau=st.floats(0, 0.25), seed=seeds)
@few
def test_no_neuron_is_worth_more_than_the_margin(q, s, tau, seed):
    margin, pair = theory.leaking_pair(q, s, tau / (q // 2))
    neurons = theory.normal(torch.Generator().manual_seed(seed), 400, q * s + 2)
    near = pair.repeat(200, 1) + neurons * torch.logspace(-4, 0, 400, dtype=torch.float64)[:, None]
    neurons = F.normalize(torch.cat([neurons, near]))
    assert theory.outputs(neurons, *theory.spoilt_images(q, s, tau / (q // 2))).mean(0).max() <= margin + 1e-12


@given(m=st.integers(1, 4), eta=st.floats(0, 0.49))
@few
def test_neurons_of_one_coordinate_have_their_margin(m, eta):
    neurons, (x, y) = theory.single_neurons(m, eta), theory.noisy_images(m, eta)
    assert (neurons.shape, x.shape) == ((2 * m, m + 2), (2 * m * 3**m, m))
    assert torch.allclose(neurons.norm(dim=1), torch.ones(2 * m, dtype=torch.float64))
    least = float(theory.outputs(neurons, x, y).mean(1).min())
    assert least == pytest.approx((1 - 2 * eta) / (4 * m * math.sqrt(1 + eta**2)))


def test_outputs_of_arrays_are_those_of_tensors():
    g = torch.Generator().manual_seed(0)
    neurons, x, y = theory.normal(g, 5, 6), theory.normal(g, 7, 4), theory.normal(g, 7).sign()
    by_hand = y[:, None] * neurons[:, 0] * F.relu(x @ neurons[:, 1:-1].T + neurons[:, -1])
    assert torch.allclose(theory.outputs(neurons, x, y), by_hand)
    assert theory.outputs(neurons.numpy(), x.numpy(), y.numpy()) == pytest.approx(by_hand.numpy())


@given(n=st.integers(1, 6), seed=seeds)
@few
def test_predictive_power_is_that_of_the_best_function(n, seed):
    g = torch.Generator().manual_seed(seed)
    x, y = torch.randint(2, (n, 2), generator=g), torch.randint(3, (n,), generator=g)
    at = 2 * x[:, 0] + x[:, 1]
    best = max((torch.tensor(f)[at] == y).sum() for f in itertools.product(range(3), repeat=4))
    assert theory.predictive_power(x, y) == pytest.approx(float(best) / n)


@pytest.mark.parametrize("sigma", [0.0, -0.1, float("nan")])
def test_noise_of_no_size_is_refused(sigma):
    x = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    for call in (
        lambda: theory.quadratic_robustness(x[0], torch.eye(3).double(), torch.eye(3).double(), sigma),
        lambda: theory.log_decaying_circle(x, sigma),
        lambda: theory.log_noisy_circle(x[:, :2], sigma),
    ):
        with pytest.raises(ValueError, match=r"sigma = .*: write a number above zero"):
            call()
    assert theory.log_decaying_circle(x, float("inf")).isfinite().all()
