"""What chapter 01 defines about paper D: closed forms against brute force, and exercises with their checks."""

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
from scipy.optimize import brentq, linprog

from pags import chapters

CHAPTER = "01_theory_checks"
WIDTHS = st.sampled_from([2, 4, 6, 8])
few = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def page():
    """The functions that the page defines."""
    names = {"np": np, "torch": torch, "F": F, "math": math, "itertools": itertools, "linprog": linprog}
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
    "ex-01-often": ("check_often", "first_step", [lambda p, j: p, lambda p, j: [28 * v for v in p]]),
}


@pytest.mark.parametrize("label", CASES)
def test_a_check_accepts_the_solution_and_nothing_near_it(page, label, capsys):
    check, defined, wrong = CASES[label]
    page[check](answers(page, label)[defined])
    assert capsys.readouterr().out == "right\n"
    for answer in wrong:
        page[check](answer)
        assert capsys.readouterr().out.startswith("not yet")


@few
@given(t=st.floats(-3, 3), b=st.floats(-3, 3))
def test_a_neurons_odd_part_has_the_closed_form(t, b):
    h = max(0, b + t) - max(0, b - t)
    assert h == pytest.approx(math.copysign(max(0, min(2 * abs(t), b + abs(t))), t), abs=1e-12)


@few
@given(q=WIDTHS, s=st.integers(1, 3), tau=st.floats(0, 0.25), seed=st.integers(0, 2**31))
def test_the_pair_has_the_stated_margin_and_leaks(page, q, s, tau, seed):
    m, eta = q // 2, tau / (q // 2)
    x, y, _ = page["blocks"](50, q, s, eta, torch.Generator().manual_seed(seed))
    x = x.flatten(1).double().numpy()
    pair = page["best_pair"](q, s, eta)
    assert np.linalg.norm(pair, axis=1) == pytest.approx([1, 1])
    assert page["outputs"](pair, x, y.double().numpy()).mean(1).min() >= page["margin_of_pair"](q, eta) - 1e-6
    worst = np.zeros((m, q, s))
    worst[..., :m, 0] = np.eye(m) - eta
    reached = page["outputs"](pair, worst.reshape(m, -1), np.ones(m)).mean(1)
    assert reached == pytest.approx(page["margin_of_pair"](q, eta))


@few
@given(q=WIDTHS, tau=st.floats(0, 0.25), seed=st.integers(0, 2**31))
def test_no_neuron_is_worth_more_than_the_margin(page, q, tau, seed):
    m = q // 2
    v = np.zeros((m, q))
    v[:, :m] = np.eye(m) - tau / m
    rng = np.random.default_rng(seed)
    neurons = rng.standard_normal((400, q + 2))
    pair = page["best_pair"](q, 1, tau / m)
    near = np.repeat(pair, 200, axis=0) + neurons * 10 ** rng.uniform(-4, 0, (400, 1))
    neurons = np.concatenate([neurons, near])
    neurons /= np.linalg.norm(neurons, axis=1, keepdims=True)
    p = page["outputs"](neurons, np.r_[v, -v], np.repeat([1.0, -1.0], m)).mean(0)
    assert p.max() <= page["margin_of_pair"](q, tau / m) + 1e-12


@pytest.mark.parametrize("q", [2, 4, 6])
def test_the_linear_programme_chooses_the_pair(page, q):
    x, y, _ = (v.double().numpy() for v in page["distinct"](q))
    crowd = page["random_neurons"](200, q, torch.Generator().manual_seed(0))
    assert np.linalg.norm(crowd, axis=1) == pytest.approx(np.ones(400))
    margin, mixture, p = page["max_margin"](page["outputs"](np.r_[page["best_pair"](q), crowd], x, y))
    assert margin == pytest.approx(page["margin_of_pair"](q), abs=1e-9)
    assert mixture[:2] == pytest.approx([0.5, 0.5], abs=1e-6)
    assert (p.min() >= -1e-9, p.sum()) == (True, pytest.approx(1))


@few
@given(m=st.integers(1, 4), eta=st.floats(0, 0.49))
def test_neurons_of_one_coordinate_have_their_margin(page, m, eta):
    x, y, _ = page["noisy_images"](m, eta)
    c = 1 / math.sqrt(2 * (1 + eta**2))
    neurons = [[sign / math.sqrt(2), *(sign * c * row), -c * eta] for sign in (1, -1) for row in np.eye(m)]
    assert page["outputs"](np.array(neurons), x, y).mean(1).min() == pytest.approx(page["single_margin"](m, eta))


def test_the_two_margins_cross_once_below_one_over_m(page):
    root = brentq(lambda eta: page["single_margin"](5, eta) - page["margin_of_pair"](10, eta), 0.01, 0.199)
    assert 0.05 < root < 0.2


@few
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
    x, y, _ = page["distinct"](6)
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
@given(q=st.sampled_from([2, 4]), level=st.integers(1, 4), order=st.sampled_from(["oracle", "leak", "leak, lazy"]))
def test_diffroar_is_its_closed_form_by_enumeration(page, q, level, order):
    """Every image, every order that the rule may give: the best classifier, counted."""
    level, m = min(level, q), q // 2
    seen = {}
    for j, sign in itertools.product(range(m), (1, -1)):
        others = [i for i in range(m) if i != j]
        for perm in itertools.permutations(range(q)):
            rel, ok = [i for i in perm if i < m], True
            if order == "oracle":
                ok = perm[0] == j
            elif order == "leak":
                ok = set(perm[:m]) == set(range(m))
            else:
                ok = set(perm[: m - 1]) == set(others) and rel[-1] == j and perm[m - 1] == j
            for name, part in (("top", perm[:level]), ("bottom", perm[-level:])):
                if ok:
                    key = (name, j if j in part else None, sign if j in part else None)
                    seen.setdefault(key, {1: 0, -1: 0})[sign] += 1
    total = sum(sum(v.values()) for key, v in seen.items() if key[0] == "top")
    power = {
        name: sum(max(v.values()) for key, v in seen.items() if key[0] == name) / total for name in ("top", "bottom")
    }
    assert page["closed_form"](order, q, level) == pytest.approx(power["top"] - power["bottom"])


@few
@given(level=st.integers(1, 10))
def test_oracle_and_anti_oracle_are_opposite_and_random_is_zero(page, level):
    assert page["closed_form"]("oracle", 10, level) == -page["closed_form"]("anti-oracle", 10, level)
    assert page["closed_form"]("random", 10, level) == 0


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


def test_the_shape_scores_one_half_and_shows_nothing(page):
    y = torch.randint(2, (400,), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    order = page["shaped"](y)
    assert not ((order[:, :1] == 0) | (order[:, -1:] == 0)).any()
    assert page["retrained"](page["keep"](torch.ones(400, 8), order, 1), y, 200) == 1
    assert page["retrained"](page["keep"](torch.ones(400, 8), order, 1, last=True), y, 200) < 0.65
