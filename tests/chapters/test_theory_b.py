"""What chapter 01b defines: closed forms on random cases, and exercises that tell right from wrong."""

import math
from functools import partial

import numpy as np
import pages
import pytest
import scipy
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pags import tangent, theory

NAMES = {"math": math, "np": np, "torch": torch, "F": F, "scipy": scipy, "partial": partial}
NAMES |= {"tangent": tangent, "theory": theory}


@pytest.fixture(scope="module")
def page():
    """The functions that the page defines."""
    return pages.defined("01b_manifold_theory", NAMES)


def near_third(page):
    def third(d):
        points = theory.curve_corners(d).clone()
        points[:, 0] /= 3
        return points

    return third


def constant(page):
    """The mean over all images, for each of them."""

    def smooth_chance(basis, width):
        found = pages.answers(page, "ex-01-b-smooth")["smooth_chance"](basis, width)
        return found.mean().expand(len(basis))

    return smooth_chance


def no_number_of_images(page):
    """Right, but for the rounding."""
    images_needed = pages.answers(page, "ex-01-images")["images_needed"]
    return lambda k, d, mean, power: images_needed(k, d, mean, power) - 0.25


def unscaled(page):
    """As if the blur took nothing away from white noise."""

    def smooth_chance(basis, width):
        n, d, k = basis.shape
        inside = page["blurred_noise"](basis.mT.reshape(n * k, 32, 32), width)
        return (inside.square().sum((1, 2)).view(n, k).sum(1) / d) ** 0.5

    return smooth_chance


CASES = {  # exercise: its check, what the solution defines, and answers that are nearly right
    "ex-01-third": ("check_third", "third", [near_third, lambda page: theory.curve_corners]),
    "ex-01-neuron": (
        "check_neuron",
        "best_neuron",
        [
            lambda page: lambda eps: (0.5**0.5, (2 + 2 * eps**2) ** -0.5, eps * (2 + 2 * eps**2) ** -0.5),
            lambda page: lambda eps: (math.nan, math.nan, math.nan),
        ],
    ),
    "ex-01-images": (
        "check_images",
        "images_needed",
        [
            lambda page: lambda k, d, mean, power: math.ceil(2 / (d * (mean - (k / d) ** 0.5) ** 2)),
            lambda page: (
                lambda k, d, mean, power: pages.answers(page, "ex-01-images")["images_needed"](k, d, mean, power) + 1
            ),
            lambda page: lambda k, d, mean, power: 0,
            no_number_of_images,
            lambda page: lambda k, d, mean, power: math.nan,
        ],
    ),
    "ex-01-b-smooth": (
        "check_smooth",
        "smooth_chance",
        [
            lambda page: lambda basis, width: torch.full((len(basis),), tangent.chance_level(10, 1024)),
            unscaled,
            constant,
            lambda page: lambda basis, width: pages.answers(page, "ex-01-b-smooth")["smooth_chance"](basis, width) ** 2,
        ],
    ),
    "ex-01-b-distance": (
        "check_distance",
        "distance_for",
        [
            lambda page: lambda a, sigma, share: sigma * a * (1 / share**2 - 1) ** 0.5,
            lambda page: lambda a, sigma, share: sigma**2 * a * (1 / share - 1),
            lambda page: lambda a, sigma, share: math.nan,
        ],
    ),
}


@pytest.mark.parametrize("label", CASES)
def test_a_check_accepts_the_solution_and_nothing_near_it(page, label, capsys):
    check, defined, wrong = CASES[label]
    page[check](pages.answers(page, label)[defined])
    assert capsys.readouterr().out == "right\n"
    for make in wrong:
        page[check](make(page))
        assert capsys.readouterr().out.startswith("not yet")


# Chance

GAUSS = np.polynomial.legendre.leggauss(200)
DIMENSIONS = st.integers(2, 400).flatmap(lambda d: st.tuples(st.integers(1, d - 1), st.just(d)))


@given(DIMENSIONS)
@settings(max_examples=40)
def test_the_chance_level_is_the_mean_of_the_root_of_a_beta(case):
    k, d = case
    nodes, weights = GAUSS
    angle = (nodes + 1) * np.pi / 4  # the squared fraction is sin^2 of it: no singularity is left
    log_density = (k - 1) * np.log(np.sin(angle)) + (d - k - 1) * np.log(np.cos(angle))
    density = np.exp(log_density - log_density.max()) * weights
    assert tangent.chance_level(k, d) == pytest.approx((density * np.sin(angle)).sum() / density.sum(), rel=1e-6)


@given(DIMENSIONS)
def test_the_bounds_of_the_chance_level_hold(page, case):
    k, d = case
    ratio = tangent.chance_level(k, d) ** 2 * d / k
    assert (1 - 0.5 / k) * (1 + 0.5 / d) < ratio + 1e-12
    assert ratio - 1e-12 < 1 / ((1 + 0.5 / k) * (1 - 0.5 / d)) < 1
    assert page["chance_spread"](k, d) ** 2 < (1 - k / d + 0.5 / d) / (2 * d) + 1e-12


def test_random_fractions_have_the_exact_mean_and_spread(page):
    v = page["random_fractions"](3, 20, 4000, torch.Generator().manual_seed(0))
    spread = page["chance_spread"](3, 20)
    assert float(v.mean()) == pytest.approx(tangent.chance_level(3, 20), abs=4 * spread / 4000**0.5)
    assert float(v.std()) == pytest.approx(spread, rel=0.1)


def test_a_blur_keeps_a_constant_picture_and_none_changes_nothing(page):
    noise = torch.randn(2, 16, 16, dtype=torch.float64)
    assert torch.allclose(page["blurred_noise"](noise, 0.0), noise)
    assert torch.allclose(page["blurred_noise"](torch.ones_like(noise), 2.0), torch.ones_like(noise))


# The curve and the widest margin


@given(st.integers(2, 40))
@settings(max_examples=20)
def test_the_curve_is_half_along_half_across_and_does_not_cross_itself(page, d):
    facts = page["curve_facts"](theory.curve_corners(d))
    assert facts["oblique"] < 1e-12
    assert facts["along"] == pytest.approx(d - 1 + (d - 1) ** 0.5, abs=1e-9)
    assert facts["across"] == pytest.approx(facts["along"], abs=1e-9)
    assert facts["span"] == d
    assert facts["gap"] > 0.1


@given(st.integers(2, 12))
@settings(max_examples=11)
def test_the_theorem_s_bound_holds_on_the_rounded_curve(page, d):
    eps, r, points = 0.005, 0.001, theory.curve_corners(d)
    legs = F.normalize(points.roll(-1, 0) - points)
    taken = 2 * r * float(((legs * legs.roll(1, 0)).sum(1).arccos() / 2).tan().sum())
    half, along = d - 1 + (d - 1) ** 0.5, int((legs[:, 0].abs() > 0.5).sum())
    assert 0.02 * half > 2 * eps * along + taken
    tangent_share, orthogonal = page["curve_shares"](d, eps, r)
    assert tangent_share + 1e-9 > (half - 2 * eps * along - taken) / (2 * half) > 0.49
    assert orthogonal + 1e-9 > (half - taken) / (2 * half) > 0.49


def test_crossing_legs_have_no_gap(page):
    bow = torch.tensor([[0.0, 0], [1, 1], [1, 0], [0, 1]], dtype=torch.float64)
    assert page["nearest_gap"](bow) == pytest.approx(0, abs=1e-12)
    square = torch.tensor([[0.0, 0], [2, 0], [2, 3], [0, 3]], dtype=torch.float64)
    assert page["nearest_gap"](square) == pytest.approx(2)


@given(st.integers(2, 12), st.floats(1e-4, 0.05))
@settings(max_examples=20)
def test_rounded_corners_take_what_the_proof_says(page, d, r):
    points = theory.curve_corners(d)
    v = F.normalize(points.roll(-1, 0) - points)
    theta = (v * v.roll(1, 0)).sum(1).arccos()
    expected = 2 * (d - 1 + (d - 1) ** 0.5) + float((r * theta - 2 * r * (theta / 2).tan()).sum())
    fine = page["rounded_corners"](points, r, 200)
    assert float((fine.roll(-1, 0) - fine).norm(dim=1).sum()) == pytest.approx(expected, rel=1e-5)


@given(st.floats(0.01, 1), st.lists(st.floats(-1, 1), min_size=4, max_size=4))
def test_no_neuron_beats_the_two_of_the_theorem(eps, theta):
    size = np.linalg.norm(theta)
    if size > 1e-6:
        w, a, _, b = np.array(theta) / size
        G = w / 2 * (max(a * eps + b, 0) - max(b - a * eps, 0))
        V = eps / (2 * (1 + eps**2) ** 0.5)
        assert V + 1e-12 > G


@given(st.floats(0.01, 0.19), st.integers(2, 8))
@settings(max_examples=20)
def test_the_network_of_widest_margin_has_the_stated_function_and_gradient(page, eps, d):
    x, _, arc = page["curve_points"](d, 200, torch.Generator().manual_seed(d))
    assert 0 <= arc.min() <= arc.max() <= 1
    x = x[x[:, 0].abs() > eps]
    W = page["widest_margin"](eps, d)
    assert torch.allclose(W.norm(dim=1), torch.ones(2, dtype=torch.float64))
    expected = x[:, 0].sign() * (x[:, 0].abs() + eps) / (4 * (1 + eps**2) ** 0.5)
    assert torch.allclose(page["two_layer"](W, x), expected)
    first = torch.eye(d, dtype=torch.float64)[0] / (4 * (1 + eps**2) ** 0.5)
    found = theory.input_gradient(partial(page["two_layer"], W), x)
    assert torch.allclose(found, first.expand(len(x), d))


def test_the_climb_finds_the_value_of_the_theorem(page):
    G, theta = page["climb_neurons"](0.2, 4, 30, torch.Generator().manual_seed(0), 800)
    assert torch.allclose(theta.norm(dim=1), torch.ones(30, dtype=torch.float64))
    assert float(G.max()) == pytest.approx(0.1 / 1.04**0.5, rel=1e-3)


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=10))
def test_the_log_loss_is_the_logarithm_of_the_mean_loss(page, margins):
    m = torch.tensor(margins, dtype=torch.float64)
    assert float(page["log_loss"](m)) == pytest.approx(float(F.softplus(-m).mean().log()), abs=1e-9)
    assert float(page["log_loss"](m + 1e4)) == pytest.approx(float(-m.min() - 1e4), abs=3)


def test_training_separates_the_square(page):
    x, _, _ = page["curve_points"](2, 200, torch.Generator().manual_seed(0))
    x = x[x[:, 0].abs() > 0.2]
    y = x[:, 0].sign()
    for radius in (0.0, 0.1):
        g = torch.Generator().manual_seed(1)
        W = page["fit_two_layer"](x, y, width=60, steps=500, generator=g, radius=radius)
        assert (y * page["two_layer"](W, x) > 0).all()


# The density around a circle


@given(st.floats(0.02, 0.5), st.floats(0.05, 1), st.integers(0, 1000))
@settings(max_examples=20)
def test_the_gradients_of_the_three_densities_are_those_of_the_proposition(page, distance, sigma, seed):
    x, t, away = page["ring"](20, distance, torch.Generator().manual_seed(seed))
    model = partial(theory.log_decaying_circle, sigma=sigma)
    v = page["class_slope"](model, x)
    band = page["class_slope"](partial(theory.log_decaying_circle, sigma=math.inf), x)
    ratio = page["class_slope"](page["normalised_density"](model), x)
    assert torch.allclose(v, band - distance * away / sigma**2)
    assert (band - tangent.project(t, band)).abs().max() < 1e-12
    assert (ratio - tangent.project(t, ratio)).abs().max() < 1e-9
    expected = band.norm(dim=1) / (band.norm(dim=1) ** 2 + distance**2 / sigma**4).sqrt()
    assert torch.allclose(tangent.fraction_in(t, v), expected)


@given(st.floats(0, 2 * math.pi), st.floats(0.02, 0.05))
@settings(max_examples=10)
def test_noise_on_a_circle_has_the_normal_parts_of_the_proposition(page, angle, sigma):
    x = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)
    f, kappa = partial(theory.log_noisy_circle, sigma=sigma), 2.0
    weights = kappa * (angle - theory.class_centres()).cos()
    bend = kappa**2 - weights**2 - weights  # q_i'' / q_i
    raw, ratio = ((page["class_slope"](g, x) * x).sum() for g in (f, page["normalised_density"](f)))
    assert float(raw) == pytest.approx(-0.5, abs=10 * sigma**2)
    limit = -0.5 * float(bend[0] - (weights.softmax(0) * bend).sum())
    assert float(ratio) / sigma**2 == pytest.approx(limit, abs=40 * sigma**2)
