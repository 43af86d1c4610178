"""What chapter 03 defines on its page: measures against scipy, and exercises whose checks tell right from wrong."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pages
import pytest
import scipy.stats
import torch

from pags import PRESETS, attack, attribution, nets, presets, stats, tangent, train

FEW = 24


@pytest.fixture(scope="module")
def page():
    """The functions that the page defines, over a small net and random images."""
    g = torch.Generator().manual_seed(0)
    with train.seeded(0):
        net = nets.lenet(dropout=False).eval().requires_grad_(False)
    x = torch.rand(FEW, 1, 32, 32, generator=g)
    basis = torch.linalg.qr(torch.randn(FEW, 1024, 10, generator=g)).Q
    names = {"np": np, "torch": torch, "scipy": scipy, "copy": copy, "attack": attack, "attribution": attribution}
    names |= {"stats": stats, "tangent": tangent, "train": train, "standard": net, "x": x, "basis": basis}
    names |= {"E": {"gradient": attribution.gradient(net, x)}, "k": 10, "d": 1024}
    generator = {"generator": lambda offset: torch.Generator().manual_seed(hash(offset))}
    names |= {"run": SimpleNamespace(seed=0, device=torch.device("cpu"), **generator)}
    return pages.defined("03_tangent_fractions", names, constants=("study",))  # the counts of the user study


CASES = {  # exercise: its check, what the solution defines, and an answer that is nearly right
    "ex-03-chance": ("check_chance", ["my_chance"], [lambda k, d: (k / d) ** 0.5]),
    "ex-03-polish": ("check_polish", ["polish"], [lambda E, basis: tangent.project(basis, E)]),
    "ex-03-completeness": ("check_completeness", ["gap"], [lambda net, x, steps: torch.zeros(len(x))]),
    "ex-03-budget": ("check_budget", ["per_image", "per_batch"], [lambda eps, m: eps / m, lambda eps, m: eps * m]),
    "ex-03-study": ("check_study", ["people_needed"], [lambda share, m, rho: 30]),
}


@pytest.mark.parametrize("label", CASES)
def test_a_check_accepts_the_solution_and_nothing_near_it(page, label, capsys):
    check, defined, wrong = CASES[label]
    found = pages.answers(page, label)
    page[check](*(found[name] for name in defined))
    assert capsys.readouterr().out == "right\n"
    page[check](*wrong)
    assert capsys.readouterr().out.startswith("not yet")


def test_the_page_measures_the_fraction_as_the_library_does(page):
    v = torch.randn(FEW, 1, 32, 32)
    assert torch.allclose(page["fraction_in"](page["basis"], v), tangent.fraction_in(page["basis"], v))


def test_parts_add_up(page):
    E = page["E"]["gradient"]
    split = page["parts"](E, page["basis"])
    along, across = (split[name].flatten(1).norm(dim=1) for name in ("tangent part", "orthogonal part"))
    assert torch.allclose(along**2 + across**2, E.flatten(1).norm(dim=1) ** 2, rtol=1e-4)


def test_rank_correlation_is_spearmans(page):
    a, b = torch.randn(2, 3, 1, 8, 8)
    expected = [scipy.stats.spearmanr(p.flatten(), q.flatten()).statistic for p, q in zip(a, a + b, strict=True)]
    assert page["rank_correlation"](a, a + b).tolist() == pytest.approx(expected)
    assert page["rank_correlation"](a, a).tolist() == pytest.approx([1] * 3)


def test_partners_share_the_label_or_do_not(page):
    y = [0, 1, 0, 2, 1, 0]
    assert page["partners"](y, True) == [2, 4, 5, 3, 1, 0]  # the only 2 has nobody but itself
    assert all(y[j] != y[i] for i, j in enumerate(page["partners"](y, False)))


def test_the_study_is_analysed_as_scipy_does(page):
    share, h, sign, t = page["analyse"](600, 0, 580)
    assert (share.value, sign) == (1, pytest.approx(0.5**580))
    assert h == pytest.approx(np.pi / 2)
    assert t < 1e-300
    assert {task: sum(counts[1:]) <= counts[0] for task, counts in page["study"].items()} == dict.fromkeys(
        ["CIFAR 1", "MNIST 1", "MNIST 2"], True
    )


def test_independent_answers_have_wilsons_interval_and_one_opinion_each_counts_people(page):
    independent = page["clustered"](143, 315, 0.0)
    assert independent == pytest.approx(stats.binomial_interval(315, 458), abs=1e-4)
    one_opinion = page["clustered"](143, 315, 1.0)
    assert one_opinion == pytest.approx(page["clustered"](30 * 143 / 458, 30 * 315 / 458, 0.0, people=30), abs=1e-9)


def test_neighbouring_pixels_correlate_in_smooth_maps_only(page):
    g = torch.Generator().manual_seed(0)
    across = torch.arange(32.0)
    wave = (across[:, None] / 6).sin() * (across / 6).cos()
    board = ((across[:, None] + across) % 2) * 2 - 1
    noise = torch.randn(200, 1, 32, 32, generator=g)
    assert float(page["neighbours"](wave[None, None])) > 0.9
    assert float(page["neighbours"](board[None, None])) == pytest.approx(-31 / 32)
    assert abs(float(page["neighbours"](noise).mean())) < 0.01
    assert torch.allclose(page["neighbours"](3 * noise + 5), page["neighbours"](noise), atol=1e-4)


def test_the_margin_is_that_of_the_class_predicted_at_x(page):
    logits = page["standard"](page["x"])
    top = logits.topk(2).values
    assert torch.allclose(page["margin"](page["x"]), top[:, 0] - top[:, 1], atol=1e-5)
    elsewhere = page["margin"](1 - page["x"])
    own = logits.argmax(1)
    other = page["standard"](1 - page["x"])
    rest = other.clone()
    rest[torch.arange(FEW), own] = -torch.inf
    assert torch.allclose(elsewhere, other[torch.arange(FEW), own] - rest.amax(1), atol=1e-5)


def test_no_draw_of_the_cascade_brings_back_the_first_weights(page):
    with train.seeded(0):
        first = nets.lenet(dropout=False)
    net, layers = page["standard"], len(page["trainable"](page["standard"]))
    draws = [page["randomised"](net, layers, draw).state_dict() for draw in ("one", "two")]
    for name, weights in first.state_dict().items():
        assert not torch.equal(weights, draws[0][name])
        assert not torch.equal(draws[0][name], draws[1][name])
    part = page["randomised"](net, 1, "one").state_dict()
    changed = [name for name, weights in net.state_dict().items() if not torch.equal(weights, part[name])]
    assert changed == list(net.state_dict())[-2:]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_control_differs_from_the_robust_training_in_the_budgets_alone(preset):
    P = presets.get("03_tangent_fractions", preset)
    assert P.robust.classifier.budgets
    assert P.control == replace(P.robust, classifier=replace(P.robust.classifier, budgets=()))
    assert P.upsampled_lenet.schedule.epochs == P.upsampled_resnet.schedule.epochs
    assert P.upsampled_lenet.schedule.batch == P.upsampled_resnet.schedule.batch
    assert P.exact_vae == presets.get("02_mnist32_generation", preset).estimators
