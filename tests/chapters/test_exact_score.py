"""What chapter 07 defines on its page: one set of weights, and exercises whose checks tell right from wrong."""

import math

import numpy as np
import pages
import pytest
import torch

from pags import artifacts, classify, denoise, robustness, tangent, train
from pags.book import exact

CHAPTER = "07_exact_score"
FUNCTIONS = {"estimate", "preconditioning", "log_factor", "check_points", "check_share"}
FUNCTIONS |= {"check_odds", "check_between", "check_bent", "loaded"}


@pytest.fixture(scope="module")
def page():
    """The functions that need no run."""
    names = {"np": np, "torch": torch, "tangent": tangent, "classify": classify}
    return pages.defined(CHAPTER, names, functions=FUNCTIONS)


def nearest(x, points, sigma):
    return (points[torch.cdist(x, points).argmin(1)] - x) / sigma**2


def perplexity(log_w):
    w = log_w.softmax(0)
    return (-(w * w.clamp_min(1e-300).log()).sum()).exp() / len(w)


def own(means, y):
    return means[torch.arange(len(y)), y]


def mixed(w, means):
    return torch.einsum("nc,ncd->nd", w, means)


def weighed(log_p, means, y, logs):
    """The image of a class minus those of the others, weighted by the exponentials of some logarithms."""
    return own(means, y) - mixed(logs.scatter(1, y[:, None], -torch.inf).softmax(1), means)


def circle(n, moved=lambda t: t):
    """Points of a circle that hangs from the origin, at angles that were moved."""
    angle = moved(2 * math.pi * torch.arange(n).double() / n)
    return torch.stack([angle.sin(), angle.cos() - 1], 1)


CASES = {  # exercise: its check, what the solution defines, and answers that are nearly right
    "ex-07-points": (
        "check_points",
        "gradient",
        [nearest, lambda x, points, sigma: (points.mean(0) - x) / sigma**2, lambda x, points, sigma: x * math.nan],
    ),
    "ex-07-share": (
        "check_share",
        "share",
        [perplexity, lambda log_w: 1 / (len(log_w) * log_w.softmax(0).max()), lambda log_w: math.nan],
    ),
    "ex-07-odds": (
        "check_odds",
        "odds_gradient",
        [
            lambda log_p, means, y, sigma: weighed(log_p, means, y, torch.ones_like(log_p)) / sigma**2,
            lambda log_p, means, y, sigma: weighed(log_p, means, y, log_p) / sigma,
            lambda log_p, means, y, sigma: -weighed(log_p, means, y, log_p) / sigma**2,
            lambda log_p, means, y, sigma: weighed(log_p, means, y, 1e6 * log_p) / sigma**2,  # the best rival alone
            lambda log_p, means, y, sigma: own(means, y) / sigma**2,
            lambda log_p, means, y, sigma: (own(means, y) - means.mean(1)) / sigma**2,
            lambda log_p, means, y, sigma: (own(means, y) - mixed(log_p.softmax(1), means)) / sigma**2,
            lambda log_p, means, y, sigma: weighed(log_p, means, (y + 1) % 3, log_p) / sigma**2,
            lambda log_p, means, y, sigma: weighed(log_p, means, y, log_p)[:3] / sigma**2,
            lambda log_p, means, y, sigma: means * torch.nan,
        ],
    ),
    "ex-07-between": (
        "check_between",
        "between",
        [
            lambda F, k, d: True,
            lambda F, k, d: False,
            lambda F, k, d: (k / d) ** 0.5 < F,
            lambda F, k, d: F < 0.5**0.5,
            lambda F, k, d: k / d < F < 0.5,
            lambda F, k, d: k / d < F**2 < 1,
            lambda F, k, d: k / (d - k) < F**2 < 1 / 2,
            lambda F, k, d: 1 / 2 < F**2 < k / d,
            lambda F, k, d: 0.1 < F < 0.7,
            lambda F, k, d: not k / d < F**2 < 1 / 2,
        ],
    ),
    "ex-07-bent": (
        "check_bent",
        "bent",
        [
            lambda n: circle(n).roll(1, 0),  # another point first
            lambda n: circle(n) + 1,
            lambda n: circle(n)[:, [1, 0]],  # upright at the origin
            lambda n: 10 * circle(n),  # neighbours too far apart, and hardly bent
            lambda n: circle(n, lambda t: t + 0.3 * (1 - t.cos())),  # denser on one side
            lambda n: circle(n) * torch.tensor([1.0, 0.0]),  # flat
            lambda n: circle(n) * torch.tensor([1.0, 0.001]),  # hardly bent
            lambda n: torch.zeros(n, 2),
            lambda n: circle(n)[:500],
            lambda n: circle(n) * torch.nan,
        ],
    ),
}


@pytest.mark.parametrize("label", CASES)
def test_a_check_accepts_the_solution_and_nothing_near_it(page, label, capsys):
    pages.judged(page, label, *CASES[label], capsys)


def test_the_weights_of_a_gaussian_give_its_integral_and_its_mean(page):
    g = torch.Generator().manual_seed(0)
    u = 1.5 * torch.randn(1, 20_000, 1, generator=g, dtype=torch.float64)
    log_target = -0.5 * (u[..., 0] - 0.7).square()
    log_proposal = -0.5 * (u[..., 0] / 1.5).square() - math.log(1.5 * math.sqrt(2 * math.pi))
    log_p, mean, share = page["estimate"](log_target, log_proposal, u)
    assert log_p.item() == pytest.approx(0.5 * math.log(2 * math.pi), abs=0.03)
    assert mean.item() == pytest.approx(0.7, abs=0.03)
    assert 0.3 < share.item() < 1


def test_the_page_and_the_library_agree_on_the_preconditioning(page):
    sigma = torch.tensor([0.1, 1.0])
    assert all(map(torch.equal, page["preconditioning"](sigma, 0.5), denoise.preconditioning(sigma, 0.5)))


def test_log_odds_of_two_classes_are_the_difference_of_their_logits():
    net, y = torch.nn.Linear(3, 2), torch.tensor([0, 1])
    x = torch.zeros(2, 3)
    difference = net.weight[0] - net.weight[1]
    found = exact.log_odds_gradient(net, x, y)
    torch.testing.assert_close(found, torch.stack([difference, -difference]).detach())


def test_the_factor_is_that_of_definition_2_and_chance_is_the_number_of_directions(page):
    g = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(4000, 30, 3, generator=g, dtype=torch.float64)).Q
    v = torch.randn(4000, 30, generator=g, dtype=torch.float64)
    rho = robustness.alignment(basis, v)
    torch.testing.assert_close(page["log_factor"](basis, v).exp(), rho / (1 - rho))
    off, on = (v - tangent.project(basis, v)).square().sum(), tangent.project(basis, v).square().sum()
    assert (off / on).item() == pytest.approx(27 / 3, rel=0.05)


def test_steps_of_equal_length_have_the_factor_of_the_gradient(page):
    g = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(1, 30, 3, generator=g)).Q.expand(20_000, -1, -1)
    gradient = torch.randn(1, 30, generator=g).expand(20_000, -1)
    steps = robustness.on_and_off(basis, torch.ones(20_000, 30), size=0.1, generator=g)
    on, off = ((gradient * step).sum(1).abs() for step in steps)
    by_steps = exact.step_factor(off, on, 30, 3).mean().item()
    assert by_steps == pytest.approx(page["log_factor"](basis[:1], gradient[:1]).item(), abs=0.07)


ROWS = [[9.0, 9, 9, 9], [1, 5, 2, 6], [3, 0, 4, 1], [8, 8, 8, 8]]


def test_a_strength_is_chosen_on_the_other_half_and_never_at_an_end():
    peak, best = exact.chosen(torch.tensor(ROWS)[:, None])
    assert best == [1, 2]  # even images by the odd ones, which the second row has highest; and the reverse
    assert peak.tolist() == [[1, 0, 2, 1]]


def test_a_run_does_not_choose_for_itself():
    other = torch.tensor(ROWS)[[0, 2, 1, 3]]  # the middle rows changed places
    peak, best = exact.chosen(torch.stack([torch.tensor(ROWS), other], 1))
    assert best == [1, 2]
    assert peak.tolist() == [[3, 5, 4, 6]] * 2  # what the other run's other half has highest


def test_a_network_whose_training_diverged_counts_as_collapsed(page):
    about = {"net": "mlp", "size": [16, 16], "classes": 3, "dropout": False, "channels": 1}
    with train.seeded(0):
        weights = classify.build(about).state_dict()
    x = torch.rand(2, 1, 16, 16)
    whole = page["loaded"](artifacts.Artifact(weights, about, ""))(x)
    assert whole.any()
    lost = {name: value.clone() for name, value in weights.items()}
    next(iter(lost.values()))[0] = torch.nan
    assert not page["loaded"](artifacts.Artifact(lost, about, ""))(x).any()


def test_a_ratio_stands_on_a_logarithmic_axis_with_its_interval_where_it_has_one():
    fig = exact.ratios({"Bayes, σ = 0.25": [0.2, 0.1, 0.4], "noise 1": [2.0, None, None]}, xlabel="off over on")
    (ax,) = fig.axes
    assert ax.get_xscale() == "log"
    assert [word.get_text() for word in ax.texts] == ["0.20", "2.00"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Bayes, σ = 0.25", "noise 1"]
    (bar,) = [line for drawn in ax.containers for line in drawn.lines[2]]
    np.testing.assert_allclose(bar.get_segments()[0][:, 0], [0.1, 0.4])
