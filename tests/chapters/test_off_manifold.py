"""What chapter 04 defines on its page: steps, regimes, a score, and exercises whose checks tell right from wrong."""

import numpy as np
import pytest
import torch
from pages import answers, defined
from torch import nn

from pags import regularize, robustness, tangent

CHAPTER = "04_off_manifold_robustness"


@pytest.fixture(scope="module")
def page():
    """The functions of the page."""
    names = {"np": np, "torch": torch, "nn": nn, "regularize": regularize, "tangent": tangent}
    space = defined(CHAPTER, names)
    shifted = """
class Shifted(nn.Module):
    def __init__(self, net, v):
        super().__init__()
        self.net, self.v = net, v

    def forward(self, x):
        return self.net(x) + (x * self.v).flatten(1).sum(1, keepdim=True)
"""
    exec(shifted, space)
    return space


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


CASES = {  # exercise: its check, what the solution defines, and answers that are nearly right
    "ex-04-ratio": ("check_ratio", "ratio", [lambda f, k, d: f / (1 - f**2) ** 0.5, lambda f, k, d: 1.0]),
    "ex-04-units": ("check_units", "effective", [lambda lam, eps, b: (1e5 * lam / b, eps / b), lambda *_: (1, 1)]),
    "ex-04-shift": ("check_shift", "shift", [lambda net, x, v: net]),
    "ex-04-penalty": (
        "check_penalty",
        "penalty",
        [
            lambda W, x, y: W.square().sum().expand(len(x)),
            lambda W, x, y: ((x @ W.mT).softmax(1) @ W).square().sum(1),
        ],
    ),
    "ex-04-equal": ("check_equal", "equal", [lambda lam, sigma: lam * sigma, lambda lam, sigma: lam]),
    "ex-04-peak": ("check_peak", "peak", [lambda v: v.mean(1).max(), lambda v: v[0].mean(), lambda v: 0.0]),
}


@pytest.mark.parametrize("label", CASES)
def test_a_check_accepts_the_solution_and_nothing_near_it(page, label, capsys):
    check, name, wrong = CASES[label]
    page[check](answers(page, label)[name])
    assert capsys.readouterr().out == "right\n"
    for other in wrong:
        page[check](other)
        assert capsys.readouterr().out.startswith("not yet")


def test_the_page_steps_and_penalises_as_the_library_does(page):
    basis = torch.linalg.qr(torch.randn(4, 64, 3, generator=generator())).Q
    x = torch.randn(4, 1, 8, 8, generator=generator(1))
    ours = robustness.on_and_off(basis, x, size=0.1, generator=generator(2))
    for part, other in zip(page["on_and_off"](basis, x, 0.1, generator(2)), ours, strict=True):
        assert torch.allclose(part, other, atol=1e-6)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    assert torch.equal(page["change"](net, x, ours[0]), *robustness.change(net, x, ours[0]))
    y = torch.tensor([0, 1, 2, 0])
    wanted = regularize.gradient_norm(0.5)(net, x, y, generator=generator(), step=0)["loss"]
    assert torch.allclose(page["gradient_norm"](net, x, y, 0.5), wanted)


def test_borders_lie_where_lines_between_points_cross(page):
    t = np.arange(5.0)
    off, on = np.array([1.0, 1.0, 0.6, 0.2, 0.0]), np.full(5, 0.4)
    accuracy, likeness = np.array([0.9, 1.0, 1.0, 0.8, 0.5]), np.array([0, 1, 3, 2, 1])
    assert page["places"](t, on, off, accuracy, likeness) == pytest.approx([2.25, 2.5, 2.5, 2.0])
    nowhere = page["places"](t, np.full(5, 2.0), off, np.ones(5), likeness)
    assert np.isnan(nowhere[1:3]).all()


def test_the_blurred_score_is_the_gradient_of_the_log_density(page):
    bank = torch.randn(20, 1, 2, 2, generator=generator(), dtype=torch.float64)
    x = torch.randn(3, 1, 2, 2, generator=generator(1), dtype=torch.float64).requires_grad_()
    log_density = torch.logsumexp(-(torch.cdist(x.flatten(1), bank.flatten(1)) ** 2) / (2 * 0.7**2), 1)
    (wanted,) = torch.autograd.grad(log_density.sum(), x)
    assert torch.allclose(page["blurred_score"](x.detach(), bank, 0.7), wanted)


def test_gradients_of_logits_add_up(page):
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    x = torch.randn(5, 1, 3, 3, generator=generator(), dtype=torch.float64)
    of = {name: page["gradient"](net, x, name) for name in ("predicted logit", "logsumexp", "log probability")}
    assert torch.allclose(of["predicted logit"] - of["logsumexp"], of["log probability"])
    whole = torch.func.vmap(torch.func.jacrev(lambda one: net(one[None]).sum()))(x)
    assert torch.allclose(page["gradient"](net, x, "sum of logits"), whole)


def test_a_s_own_curves_have_the_three_regimes_and_their_crossing(page):
    """The numbers that were read off, judged by the page's rule: what its text says of them."""
    texts = defined(CHAPTER, page, constants=("READ_OFF",), functions=())["READ_OFF"]
    assert texts.keys() < regularize.RELEASED.keys()
    for name, text in texts.items():
        strength, *columns = np.array(text.split(), dtype=float).reshape(-1, 5).T
        weak, excessive, crossing, peak = page["places"](np.log10(strength), *columns)
        assert weak < excessive
        assert abs(crossing - weak) < 0.1
        assert peak < excessive
        assert peak > weak or name == "PGD"
