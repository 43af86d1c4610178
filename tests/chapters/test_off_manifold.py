"""What chapter 04 defines on its page: steps, regimes, peaks, and exercises whose checks tell right from wrong."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pages import answers, defined
from torch import nn

from pags import PRESETS, data, outputs, presets, regularize, robustness, score, tangent
from pags.book import plot, regimes, results
from pags.errors import UsageError

CHAPTER = "04_off_manifold_robustness"


@pytest.fixture(scope="module")
def page():
    """The functions of the page."""
    names = {"np": np, "torch": torch, "nn": nn, "outputs": outputs, "regularize": regularize, "tangent": tangent}
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


def moments(across, along_y, across_y):
    return torch.tensor([[1.0, 0.0], [0.0, across]]), torch.tensor([along_y, across_y])


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
    "ex-04-peak": (
        "check_peak",
        "peak",
        [
            lambda v: v.mean(1).max(),
            lambda v: v[0].mean(),
            lambda v: 0.0,
            lambda v: v.mean(1).max() * (v.mean(1).max() > 0.75),
            lambda v: v.mean(1).max() - 1.485 / 40**0.5 * (v.mean(1).max() < 1),
        ],
    ),
    "ex-04-crossing": (
        "check_crossing",
        "crossing",
        [
            lambda: moments(0.01, 0.5, 0.001),  # no crossing, less across from the start
            lambda: moments(0.01, 0.01, 0.05),  # more across at both ends
            lambda: moments(1.0, 0.5, 0.6),  # no manifold
            lambda: moments(0.01, 0.5, 0.2),  # a label that varies by more than one
            lambda: moments(1e-4, 0.0, 1e-3),  # nothing along the manifold
            lambda: (torch.tensor([[0.01, 0.0], [0.0, 1e-4]]), torch.tensor([0.05, 1e-3])),  # all is penalised away
            lambda: (torch.tensor([[1.0, 0.2], [0.0, 0.01]]), torch.tensor([0.5, 0.02])),  # not symmetric
            lambda: (torch.tensor([[1.0, 0.2], [0.2, 0.01]]), torch.tensor([0.5, 0.02])),  # not positive
            lambda: (torch.eye(3), torch.ones(3)),
            lambda: moments(0.01, torch.nan, 0.02),
        ],
    ),
    "ex-04-kernel": (
        "check_kernel",
        "kernel",
        [
            lambda x, bank, sigma: (bank[torch.cdist(x, bank).argmin(1)] - x, torch.ones(len(x))),
            lambda x, bank, sigma: (x / sigma**2, (-torch.cdist(x, bank)).softmax(1).amax(1)),
        ],
    ),
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


def test_borders_lie_where_lines_between_points_cross():
    t = np.arange(5.0)
    off, on = np.array([1.0, 1.0, 0.6, 0.2, 0.0]), np.full(5, 0.4)
    accuracy, likeness = np.array([0.9, 1.0, 1.0, 0.8, 0.5]), np.array([0, 1, 3, 2, 1])
    assert regimes.places(t, on, off, accuracy, likeness) == pytest.approx([2.5, 2.5, 2.25, 2.0])
    nowhere = regimes.places(t, np.full(5, 0.4), np.full(5, 0.5), np.ones(5), likeness)
    assert np.isnan(nowhere[:3]).all()


def test_who_starts_below_the_crossing_is_bayes_aligned_from_the_start_and_has_nothing_halved():
    t, low = np.arange(4.0), np.full(4, 0.01)
    crossing, kept, halving, _ = regimes.places(t, np.full(4, 0.02), low, np.array([1, 1, 0.8, 0.2]), low)
    assert crossing == 0
    assert kept == pytest.approx(1.5)
    assert np.isnan(halving)


@pytest.mark.parametrize(
    ("on", "off", "accuracy", "lives"),
    [(0.3, 0.2, 0.9, True), (0.3, 0.2, 0.12, False), (0, 0, 0.9, False), (0.01, 0.0, 0.9, True)],
)
def test_a_network_at_chance_or_without_any_change_has_collapsed(on, off, accuracy, lives):
    assert regimes.alive(on, off, accuracy, 10) == lives


def test_a_peak_is_judged_on_a_run_and_on_images_that_did_not_choose_it(page):
    likeness = np.zeros((4, 3, 4))  # strengths, runs, images
    likeness[1, 0], likeness[2, 1:], likeness[3] = 9, 1, 5  # run 0 has a peak that no other run sees
    peak, chosen = page["peak_apart"](likeness, np.array([True, True, True, False]))
    assert chosen.tolist() == [[2] * 4, [1] * 4, [1] * 4]  # it counts where the other two are judged, not for itself
    assert (peak == 0).all()
    likeness[:3], likeness[1, :, ::2], likeness[2, :, 1::2] = 0, 9, 1  # every second image has a peak of its own
    peak, chosen = page["peak_apart"](likeness, np.array([True, True, True, False]))
    assert chosen.tolist() == [[2, 1, 2, 1]] * 3
    assert (peak == 0).all()


def test_flat_noisy_curves_have_no_peak_on_average(page):
    """Nor do those whose noise is the images' alone, the same in all runs."""
    rng, there = np.random.default_rng(0), np.ones(9, bool)
    for runs in (3, 1):
        drawn = [np.repeat(rng.normal(size=(9, runs, 20)), 3 // runs, axis=1) for _ in range(300)]
        rises = [(page["peak_apart"](v, there)[0] - v[0]).mean() for v in drawn]
        assert abs(np.mean(rises)) < 4 * np.std(rises) / 300**0.5
        assert np.mean([v.mean((1, 2)).max() for v in drawn]) > 0.1


def test_the_error_of_a_fall_contains_that_of_its_start():
    rng = np.random.default_rng(0)
    start, end = 1 + 0.1 * rng.normal(size=(200, 3, 40)), 0.5 + 0.02 * rng.normal(size=(200, 3, 40))
    falls = [regimes.fallen_by(*pair) for pair in zip(start, end, strict=True)]
    shares = [1 - b.mean() / a.mean() for a, b in zip(start, end, strict=True)]
    assert np.allclose([v.mean() for v in falls], shares)
    errors = [v.std(ddof=1) / v.size**0.5 for v in falls]
    assert np.std(shares) == pytest.approx(np.mean(errors), rel=0.2)


def test_between_strength_0_and_the_smallest_no_place_has_a_number():
    found = [regimes.words(t, [0.01, 0.1, 1.0]) for t in (-3.0, -2.5, -2.0, -0.5)]
    assert found == ["0", "below 0.01", "0.0100", "0.316"]


def test_a_place_that_most_resamples_lack_is_nowhere():
    drawn = np.array([-1.0, -1.0, np.nan, np.nan])
    some, three = [0.01, 0.1, 1.0], np.array([-1.0, -1.0, np.nan])
    assert regimes.placed(-1.0, drawn, three, some) == "0.100 [0.100, 0.100]"
    assert regimes.placed(-1.0, np.append(drawn, np.nan), three, some) == "nowhere"
    assert regimes.placed(np.nan, drawn, three, some) == "nowhere"
    assert regimes.placed(-0.5, drawn, np.array([-1.0, 0.0]), some) == "0.100 and 1.00 (n = 2 runs)"
    assert regimes.placed(-0.5, drawn, three[1:], some) == "nowhere"


def test_figure_table_and_scatter_keep_accuracy_up_to_the_same_border():
    """The border lies between two strengths: the one before it keeps the accuracy, the one after it does not."""
    t, low = np.arange(4.0), np.full(4, 0.01)
    kept = regimes.places(t, low, low / 2, np.array([1, 0.95, 0.85, 0.2]), low)[1]
    assert kept == pytest.approx(1.5)
    assert regimes.keeps(t, kept).tolist() == [True, True, False, False]
    assert regimes.keeps(t, np.nan).all()
    late = regimes.places(t, low, low / 2, np.array([0.8, 1, 1, 1]), low)[1]
    assert regimes.keeps(t, late).all()  # a weak start is not a loss


def test_a_regime_opens_only_before_accuracy_is_lost():
    assert regimes.opens(np.array([1.0, 2.0, 0.0, 0.0]), 1.0, 9)
    assert not regimes.opens(np.array([1.0, 2.0, 0.0, 0.0]), 3.0, 9)
    assert regimes.opens(np.array([1.0, np.nan, 0.0, 0.0]), 3.0, 9)
    assert not regimes.opens(np.array([1.0, np.nan, 0.0, 0.0]), np.nan, 9)


@pytest.mark.parametrize(("on", "grey"), [(0.4, True), (1.1, False)])
def test_nothing_is_grey_for_who_starts_below_the_crossing_and_the_caption_says_what_is(on, grey):
    """There a regime without a beginning would colour everything."""
    fig, axes = plot.canvas(1, 2)
    t, off, accuracy = np.arange(4.0), np.array([1.0, 0.8, 0.2, 0.1]), np.array([1, 1, 1, 0.2])
    curves = dict(zip(regimes.TITLES, (np.full(4, on), off, accuracy, off), strict=True))
    looks = dict(zip(curves, plot.looks([*curves]), strict=True))
    right = regimes.draw(axes, t, curves, regimes.places(t, *curves.values()), looks=looks, least=0.05)
    assert bool(axes[1].patches) == grey
    there = [(t, regimes.places(t, *curves.values()))]
    assert ("Grey:" in regimes.marks(there)) == grey
    assert ("dotted:" in regimes.marks(there)) != grey
    assert "Solid upright line" in regimes.marks(there)
    assert axes[0].get_yscale() == "log"
    assert axes[0].get_ylim()[0] == pytest.approx(0.05)
    regimes.share([axes[1], right])
    assert axes[1].get_ylim() == right.get_ylim()
    plot.close(fig)


@pytest.mark.parametrize(
    ("preset", "words"),
    [("quick", "judges none of them"), ("standard", "those about MNIST alone"), ("paper", "can judge them all")],
)
def test_the_page_says_which_claims_its_data_can_judge(preset, words):
    run = results.Run(CHAPTER, preset, 0, SimpleNamespace(type="cpu"), None, presets.get(CHAPTER, preset), {})
    assert words in regimes.judged(run)
    assert "8 are about CIFAR-10" in regimes.judged(run)


def test_a_caption_names_no_mark_that_is_not_drawn():
    nowhere = np.full(4, np.nan)
    assert regimes.marks([(np.arange(4.0), nowhere)]) == ""
    assert regimes.marks([(np.arange(4.0), np.array([np.nan, 2, np.nan, 1]))]).startswith(
        "Dotted line: the end of kept"
    )


def test_a_ratio_of_noises_is_of_means_over_runs_and_images():
    moved = np.ones((2, 3, 2, 4))
    moved[:, 1, 0], moved[:, 2, 1] = 10, 100
    assert regimes.log_ratio(moved) == pytest.approx([0, 1, -2])
    assert regimes.log_ratio(moved, np.random.default_rng(0)) == pytest.approx([0, 1, -2])


def test_a_rank_correlation_is_certain_where_all_nets_agree_and_needs_three():
    on, run_of = np.outer(np.arange(1.0, 10), np.ones(5)), np.arange(9) % 3
    value, drawn, each = regimes.spearman_resampled(on, np.ones((9, 5)), on[:, :4], run_of, 0, runs=3)
    assert value == pytest.approx(1)
    assert [*drawn, *each] == pytest.approx([1] * (len(drawn) + 3))
    value, drawn, each = regimes.spearman_resampled(on[:2], on[:2], on[:2], run_of[:2], 0, runs=3)
    assert drawn == []
    assert np.isnan([value, *each]).all()


def test_two_runs_are_both_noted_and_make_no_interval():
    run = results.Run(CHAPTER, "quick", 7, SimpleNamespace(type="cpu"), None, presets.get(CHAPTER, "quick"), {})
    found = regimes.note(run, "place", 1.0, [0.0, 1.0, 2.0], [0.5, 1.5], n=3, unit="log10 strength")
    assert [*found["each"]] == [0.5, 1.5]
    assert found["low"] is None
    found = regimes.note(run, "place", 1.0, [0.0, 1.0, 2.0], [0.5, 1.5, 1.0], n=3, unit="log10 strength")
    assert found["low"] == pytest.approx(0.05)
    assert not found.get("each")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("repetitions", 1, "write at least 2"),
        ("distractor_repetitions", 1, "write at least 2"),
        ("pgd", (0.5,), "write at least two strengths above zero that rise"),
        ("noise", (0.5, 0.1), "write at least two strengths above zero that rise"),
        ("scored", 1000, "scored = 1000: write from 2 to 100 images"),
        ("explain", 100_000, "explain = 100000: write from 1 to 500 images"),
        ("released", (), "write at least 1 budget"),
        ("distractor_test", 2, "write at least 3 images"),
    ],
)
def test_settings_that_cannot_make_the_page_are_refused_before_anything_is_trained(field, value, words):
    P = presets.get(CHAPTER, "quick")
    regimes.check(P)
    with pytest.raises(UsageError, match=words):
        regimes.check(replace(P, **{field: value}))


@pytest.mark.parametrize(("classes", "least"), [(2, 0.75), (3, 2 / 3), (4, 0.5), (10, 0.2)])
def test_a_net_of_few_classes_has_not_collapsed_where_it_is_nearly_always_right(classes, least):
    assert regimes.least_accuracy(classes) == pytest.approx(least)
    assert regimes.alive(0.1, 0.1, 0.95, classes)


def test_stored_images_make_a_score_of_the_nearest_one_alone(page):
    """What the exercise asks to measure, on strokes: one image has all the weight."""
    images, seen = data.load("strokes", "train", n=200), data.load("strokes", "test", n=10)
    kernel = answers(page, "ex-04-kernel")["kernel"]
    score, number = kernel(seen.x.flatten(1), images.x.flatten(1), 0.25)
    assert number.mean() < 1.01
    nearest = images.x.flatten(1)[torch.cdist(seen.x.flatten(1), images.x.flatten(1)).argmin(1)]
    way = nearest - seen.x.flatten(1)
    assert torch.cosine_similarity(score, way).mean() > 0.999


def test_gradients_of_logits_add_up(page):
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    x = torch.randn(5, 1, 3, 3, generator=generator(), dtype=torch.float64)
    of = {name: page["gradient"](net, x, name) for name in ("predicted logit", "log-sum-exp", "log probability")}
    assert torch.allclose(of["predicted logit"] - of["log-sum-exp"], of["log probability"])
    whole = torch.func.vmap(torch.func.jacrev(lambda one: net(one[None]).sum()))(x)
    assert torch.allclose(page["gradient"](net, x, "sum of logits"), whole)


def test_a_s_own_curves_have_the_three_regimes_and_their_crossing():
    """The numbers that were read off, judged by both rules: what the page's text says of them."""
    assert regimes.THEIRS.keys() < regularize.RELEASED.keys()
    for name, (strength, *columns) in regimes.THEIRS.items():
        crossing, kept, halving, peak = regimes.places(np.log10(strength), *columns)
        assert crossing < kept
        assert halving < kept
        assert abs(crossing - halving) < 0.1
        assert peak < kept
        assert peak > crossing or name == "PGD"


def test_in_a_s_own_curves_robustness_and_likeness_correlate_while_accuracy_is_kept_and_not_over_all():
    def correlation(curves):
        _, on, off, _, likeness = np.concatenate(curves, axis=1)
        return regimes.spearman(on, off, likeness)

    kept = []
    for strength, *columns in regimes.THEIRS.values():
        t = np.log10(strength)
        kept.append(np.array([strength, *columns])[:, regimes.keeps(t, regimes.places(t, *columns)[1])])
    assert abs(correlation([*regimes.THEIRS.values()])) < 0.2
    assert correlation(kept) > 0.9


def test_both_chapters_ask_for_the_same_exact_score_at_quick():
    ours, theirs = (presets.get(name, "quick") for name in (CHAPTER, "07_exact_score"))
    assert score.Study(ours.scored, ours.sigma, search=ours.search) == score.Study(
        theirs.n, theirs.sigmas[0], search=theirs.search
    )
    assert ours.test == 500  # as many test images as that chapter loads


def test_both_chapters_train_the_same_denoiser_but_for_its_epochs_at_gpu():
    for name in PRESETS:
        ours, theirs = (presets.get(chapter, name).denoiser for chapter in (CHAPTER, "07_exact_score"))
        assert replace(ours, schedule=theirs.schedule) == theirs
        assert (ours == theirs) == (name != "gpu")


@pytest.mark.parametrize(
    ("metric", "places", "said"),
    [
        ({"value": 0.25, "low": 0.125, "high": 0.5}, 3, "0.750 [0.500, 0.875]"),
        ({"value": 0.25, "low": None, "high": None}, 2, "0.75"),
        ({"value": 0.25, "low": None, "high": None, "each": [0.0, 0.5]}, 2, "1.00 and 0.50 (n = 2 runs)"),
    ],
)
def test_a_value_that_is_turned_keeps_its_interval_in_order(metric, places, said):
    assert regimes.turned(metric, lambda v: 1 - v, places) == said
