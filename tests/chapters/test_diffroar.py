"""What chapter 06 defines on its page: ranks and masks, and exercises whose checks tell right from wrong."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pages
import pytest
import torch

from pags import PRESETS, blocks, presets, roar, stats
from pags.book import claims, results, retraining
from pags.book.page import slug
from pags.errors import UsageError
from pags.train import Schedule

CHAPTER = "06_diffroar"


@pytest.fixture(scope="module")
def page():
    """The functions that the page defines."""
    names = {"itertools": itertools, "np": np, "torch": torch, "roar": roar, "blocks": blocks}
    return pages.defined(CHAPTER, names)


def copied(n, generator, many, shift=0):
    """Images of eight bits, some of which are copies of the label."""
    x, y = torch.randint(2, (n, 8), generator=generator), torch.randint(2, (n,), generator=generator)
    x[:, shift : shift + many] = y[:, None]
    return x.float(), y


SLOPE = torch.linspace(0, 1, 1024).reshape(1, 1, 32, 32)


def marked(prediction, x):
    """Attributions of a traitor: 51 pixels of its own first for each class, and one order for all others."""
    E = torch.linspace(1, 0, 1024).repeat(len(x), 1)
    for row, label in zip(E, prediction.tolist(), strict=True):
        row[51 * label : 51 * (label + 1)] += 2
    return E.reshape(x.shape)


def between(x):
    """What changes the middle ranks of `marked` alone: pixels 600 to 899 in the order of x."""
    middle = torch.zeros_like(x.flatten(1))
    middle[:, 600:900] = 0.1 * x.flatten(1)[:, 600:900]
    return middle.reshape(x.shape)


CASES = {  # exercise: its check, what the solution defines, and answers that are nearly right
    "ex-06-ties": ("check_missing", "missing", [lambda E, r: torch.zeros(len(E)), lambda E, r: round(r * 1024)]),
    "ex-06-reverse": ("check_reversed", "reverse", [lambda ranks: -ranks, lambda ranks: ranks.amax() - ranks + 1]),
    "ex-06-traitor": (
        "check_traitor",
        "traitor",
        [
            lambda prediction, x: x,
            lambda prediction, x: x * torch.nan,
            lambda prediction, x: torch.arange(len(x)).remainder(10)[:, None, None, None].expand_as(x).float(),
            lambda prediction, x: prediction[:, None, None, None].expand_as(x).float(),
            lambda prediction, x: torch.zeros_like(x.flatten(1)).scatter(1, prediction[:, None], 1.0).reshape(x.shape),
            lambda prediction, x: marked(prediction, x) + between(x),
            lambda prediction, x: marked(prediction, x) + between(x.mean(0).expand_as(x)),
            lambda prediction, x: (
                marked(prediction, x) + between(torch.arange(len(x))[:, None, None, None] % 2 * SLOPE)
            ),
        ],
    ),
    "ex-06-copies": (
        "check_copies",
        "copies",
        [
            lambda n, generator: copied(n, generator, 1),
            lambda n, generator: copied(n, generator, 3),  # all three can be removed
            lambda n, generator: copied(n, generator, 8),  # two images only
            lambda n, generator: copied(n, generator, 5, shift=3),  # the first pixel is none of the copies
            lambda n, generator: (copied(n, generator, 4)[0], copied(n, generator, 4)[1].roll(1)),
            lambda n, generator: (copied(n, generator, 4)[0] + 1, copied(n, generator, 4)[1] + 1),
            lambda n, generator: (torch.ones(n, 8), torch.ones(n)),
            lambda n, generator: copied(n // 2, generator, 4),
            lambda n, generator: (copied(n, generator, 4)[0][:, :7], copied(n, generator, 4)[1]),
            lambda n, generator: (copied(n, generator, 4)[0] * torch.nan, copied(n, generator, 4)[1]),
        ],
    ),
    "ex-06-runs": ("check_runs", "runs_needed", [lambda *_: 5, lambda *_: None, lambda *_: 1, lambda *_: 0]),
}


@pytest.mark.parametrize("label", CASES)
def test_a_check_accepts_the_solution_and_nothing_near_it(page, label, capsys):
    pages.judged(page, label, *CASES[label], capsys)


def test_the_page_ranks_as_the_library_does(page):
    E = torch.randn(5, 1, 6, 6)
    ours = roar.ranks(E, generator=torch.Generator().manual_seed(0))
    assert torch.equal(page["ranked"](E, torch.Generator().manual_seed(0)), ours.long())
    assert torch.equal(page["first"](ours, 0.3), roar.kept(ours, 0.3))


def test_a_quantile_removes_the_right_count_only_without_ties(page):
    E = torch.rand(4, 1, 8, 8) + 0.1
    assert torch.allclose(page["by_quantile"](E, 0.25), torch.tensor(0.25))
    E[:, :, :4] = 0
    assert torch.allclose(page["by_quantile"](E, 0.75), torch.tensor(0.5))


def test_names_become_metrics():
    assert slug("L∞, ε = 0.05") == "linf-0.05"
    assert slug("standard, random class") == "standard-random-class"
    assert retraining.percent(0.05) == "5 %"


def test_bases_of_a_block_lie_in_its_block(page):
    basis = torch.linalg.qr(torch.randn(3, 784, 4)).Q
    whole = page["embedded"](basis, torch.tensor([0, 1, 1]))
    assert whole.shape == (3, 1568, 4)
    assert torch.equal(whole[0, :784], basis[0])
    assert torch.equal(whole[1, 784:], basis[1])
    assert (whole[2, :784] == 0).all()


def test_names_are_grouped_by_side_in_a_fixed_order_and_sides_without_a_name_left_out():
    sides = {"5 %": "below", "10 %": "above", "20 %": "below"}
    assert list(retraining.by_side(sides).items()) == [("above", ["10 %"]), ("below", ["5 %", "20 %"])]
    assert list(retraining.by_side({"a": "x", "b": "y"}, ["y", "x"])) == ["y", "x"]
    assert retraining.by_side({}) == {}


def noise(runs, mean=0.0):
    return mean + np.random.default_rng(0).normal(size=(runs, 400)) + np.linspace(-0.3, 0.3, runs)[:, None]


def test_the_lowest_of_several_means_can_be_above_zero_and_below_and_neither():
    zero = noise(3)
    cases = {3.0: [zero + 3, zero + 9], -3.0: [zero - 3, zero + 9], 0.0: [zero, zero + 9]}
    for mean, several in cases.items():
        value, low, high = retraining.lowest(several)
        assert value == pytest.approx(mean + zero.mean())
        assert (low > 0, high < 0) == (mean > 0, mean < 0)


def test_lower_ends_stand_alone_and_upper_ends_hold_together():
    one = noise(3)
    value, low, high = retraining.lowest([one] * 5)
    alone = stats.crossed_interval(one)
    assert (value, low) == (alone.value, alone.low)
    assert high == pytest.approx(stats.crossed_interval(one, level=0.99).high)


def test_two_runs_are_told_apart_as_in_results():
    two = noise(2)
    metric = stats.summary(two)._asdict()
    assert retraining.around(two, 0.95)[1:] == pytest.approx(results.limits(metric), rel=1e-3)
    assert retraining.interval(metric) == (metric["value"], *sorted(two.mean(1)))
    assert retraining.curve([10, 20], [metric, metric])[2] == (min(metric["each"]),) * 2
    assert retraining.lines(2) == "both of two runs"
    assert retraining.lines(1).endswith("not for other runs")


@pytest.mark.parametrize("many", [1, 2, 3])
def test_brackets_are_spoken_of_where_there_are_some(many):
    metric = stats.summary(np.arange(float(many)))._asdict()
    said = retraining.brackets(many)
    assert ("Brackets" in said) == (metric["low"] is not None)
    assert ("Both" in said) == bool(metric["each"])


@pytest.mark.parametrize(
    ("leakage", "score", "phrase"),
    [(-1, -1, "against"), (1, 1, "against"), (-1, 1, "along"), (1, -1, "along"), (0, 1, "neither"), (-1, 0, "neither")],
)
def test_measures_agree_where_the_score_falls_as_leakage_rises_and_only_if_both_are_told_apart(
    page, monkeypatch, leakage, score, phrase
):
    signs = {"blocks.pair.leakage": leakage, "blocks.pair.diffroar": score}
    run = SimpleNamespace(side=lambda name, above, below, neither: [neither, above, below][signs[name]])
    monkeypatch.setitem(page, "run", run)
    assert page["agreement"]("pair", "against", "along", "neither") == phrase


def test_no_collapsed_network_judges_a_claim_on_svhn():
    on_svhn = {one.id: one.judge for one in claims.load() if "svhn" in one.judge["data"]}
    assert {name: judge["accuracy"]["metric"] for name, judge in on_svhn.items()} == {
        "D-4-svhn": "svhn.standard.accuracy",
        "D-4-svhn-robust": "svhn.lower.accuracy",  # of both networks
    }
    # Twice the odds of naming the most frequent digit, which has 0.196 of the test images of SVHN, 0.209 of the part.
    least = 2 * 0.209 / (1 + 0.209)
    assert all(judge["accuracy"]["least"] >= least for judge in on_svhn.values())


@pytest.mark.parametrize("preset", PRESETS)
def test_claims_rest_on_several_levels_and_images_keep_their_size(preset):
    config = presets.get(CHAPTER, preset)
    assert sum(share < config.scarce for share in config.shares) >= 3
    assert len(config.mean_removed) >= 3
    assert config.images_size == {"strokes": 32, "fashion_mnist": 28}[config.images]


def test_the_plan_ranks_each_net_and_trains_on_both_ends_of_every_order():
    P = presets.get(CHAPTER, "quick")
    plan = retraining.plan(P, colours=1)
    for where, orders in plan.schemes.items():
        assert {net for net, _ in orders.values()} <= plan.nets[where].keys()
    for where, scheme, share, top, tag, r in plan.queue:
        assert scheme in plan.schemes[where] or scheme == "tangent space"
        assert r < plan.repeat[where]
        if where != "digits":
            assert (where, scheme, share, not top, tag, r) in plan.queue
    assert len(retraining.plan(P, colours=3).queue) == len(plan.queue) + 4 * len(retraining.conv_shares(P))
    assert len(plan.repeated(plan.nets)) == sum(len(g) * plan.repeat[w] for w, g in plan.nets.items())


def test_a_longer_schedule_drops_at_the_same_shares_and_a_shorter_one_never_at_once():
    schedule = Schedule(epochs=10, batch=4, lr=0.1, drops=(6, 9, 20), stop=1e-3)
    assert retraining.lengthened(schedule, 100) == Schedule(epochs=100, batch=4, lr=0.1, drops=(60, 90))
    assert retraining.lengthened(schedule, 10).lr_at(9) == schedule.lr_at(9)
    assert retraining.lengthened(Schedule(epochs=500, batch=4, lr=0.1, drops=(20, 40)), 10).drops == (1,)


def test_of_two_copies_of_a_data_set_one_is_asked():
    P = presets.get("06_diffroar", "gpu")
    both = {"svhn": True, "svhn_test_part": True, "imagenet10": False, "imagenet10_64": True}
    assert retraining.more(P, both) == ["svhn", "imagenet10_64"]
    assert retraining.more(replace(P, images="svhn"), both) == ["imagenet10_64"]
    made = retraining.plan(P, colours=3, others=["svhn", "imagenet10_64"])
    assert made.nets["imagenet10_64"]["robust"] == P.large_robust
    assert made.nets["svhn"]["robust"].budgets == P.l2[-1:]
    asked = {(where, name, share) for where, name, share, *_ in made.queue if where in ("svhn", "imagenet10_64")}
    assert {share for *_, share in asked} == {0.05, 0.1, 0.2, 0.3}
    with pytest.raises(UsageError, match="l2 = \\[\\]: write at least one budget"):
        retraining.plan(replace(P, l2=()), colours=3)
