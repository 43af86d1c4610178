"""The estimate of GPU-hours: it counts what chapters train, and every chapter at gpu is a matter of minutes."""

import json

import pytest
import torch
from torch import nn

from pags import PRESETS, classify, paths, presets, regularize, vae
from pags.book import estimate
from pags.errors import UsageError
from pags.train import Schedule

TRAINING = [chapter for chapter, by_name in presets.CHAPTERS.items() if estimate.trainings(by_name["paper"])]
LIMIT = 9 / 60  # hours that a sitting may take at gpu,
SITTINGS = {"04_off_manifold_robustness": 3}  # and how many a chapter may; all others one
# A run's artifacts that are no trainings of their own, and trainings within an artifact or shared by two data sets.
OTHERS = {
    "02_mnist32_generation": 1,  # the draw
    "03_tangent_fractions": 1 + 3 + 1 + 3 - 3 * 3 - 2,  # draw, answers, one asked twice; in replicas and rebuilt images
    "04_off_manifold_robustness": 1 + 22,  # the exact score; the weights of the first run
    "05_blockmnist": 0,
    "06_diffroar": 62 - 7,  # orders; strokes are digits and images
    "07_exact_score": 4,  # exact scores
}


def overrides(config, prefix=""):
    """A config in a results file, by dotted names."""
    found = {}
    for name, value in config.items():
        found |= overrides(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return {name: value for name, value in found.items() if not name.endswith("p_mean")}  # below zero


@pytest.mark.parametrize("chapter", TRAINING)
def test_it_counts_the_trainings_that_a_published_run_has_made(chapter):
    path = paths.PUBLISHED / "quick" / f"{chapter}.json"
    result = json.loads(path.read_text())
    try:
        config = presets.get(chapter, "quick", overrides(result["parameters"]["config"]))
    except UsageError as error:
        pytest.skip(f"the published run had other settings: {error}")
    assert estimate.estimate(config).trainings == len(result["artifacts"]) - OTHERS[chapter]


@pytest.mark.parametrize("chapter", TRAINING)
def test_a_chapter_at_gpu_takes_minutes_and_less_than_at_paper(chapter):
    hours = {name: estimate.estimate(presets.get(chapter, name)).hours for name in estimate.PRINTED}
    assert 0 < hours["gpu"] <= SITTINGS.get(chapter, 1) * LIMIT
    assert hours["gpu"] < hours["paper"]


def test_all_chapters_at_gpu_take_less_than_the_two_hours_of_the_workflow():
    assert sum(estimate.estimate(by_name["gpu"]).hours for by_name in presets.CHAPTERS.values()) < 1.5


TINY = {
    "02_mnist32_generation": {
        "manifold.n": 200,
        "manifold.vae.schedule.epochs": 1,
        "estimators.schedule.epochs": 1,
        "reconstructive.schedule.epochs": 1,
        "instrument_n": [200, 100],
        "instrument_k": [10, 5],
        "instrument_steps": 2,
    },
    "03_tangent_fractions": {
        "manifold.n": 200,
        "manifold.draw.train": 100,
        "standard.classifier.schedule.epochs": 1,
        "robust.classifier.schedule.epochs": 1,
        "robust.classifier.pgd_steps": 1,
        "replications": 1,
    },
    "04_off_manifold_robustness": {"n": 64, "test": 32, "classifier.net": "narrow_lenet", "pgd": [0.5]},
    "05_blockmnist": {"n": 64, "conv_n": 64, "repetitions": 1, "resnet.net": "thin_resnet18"},
    "06_diffroar": {"images_n": 64, "colour_n": 64, "conv.net": "thin_resnet18", "shares": [0.1]},
    "07_exact_score": {"train": 64, "nets_train": 64, "noise": [0.5]},
}


@pytest.mark.parametrize("chapter", TRAINING)
def test_overrides_that_make_a_chapter_tiny_resolve_and_cost_less(chapter):
    whole, tiny = (estimate.estimate(presets.get(chapter, "gpu", some)) for some in ({}, TINY[chapter]))
    assert tiny.images < whole.images
    assert tiny.hours < whole.hours


RESNET18 = classify.Config(Schedule(10, 128, 0.1), net="small_resnet18", dropout=False)


def test_a_resnet18_takes_what_was_measured():
    plain = estimate.net("", RESNET18, (3, 32, 32), 50_000)
    assert plain.seconds == pytest.approx(25, rel=0.01)
    penalised = plain._replace(passes=estimate.passes("gradient norm", 10))
    assert penalised.images / penalised.seconds == pytest.approx(20_000, rel=0.01)
    assert penalised.schedule.epochs * 50_000 / penalised.seconds == pytest.approx(5200, rel=0.01)


def test_large_nets_side_by_side_and_vaes_take_what_was_measured():
    eight = estimate.net("", RESNET18, (3, 32, 32), 50_000, 8)
    assert eight.images / eight.seconds == pytest.approx(40_000, rel=0.01)
    steps = 60_000 // 64
    one = estimate.Training("", vae.Config(10, Schedule(1, 64, 5e-4)), (1, 32, 32), 64 * steps, faster=1.0)
    assert one.seconds / steps == pytest.approx(7e-3, rel=0.1)


def test_small_nets_gain_most_in_step_and_large_ones_side_by_side():
    small = classify.Config(Schedule(10, 128, 0.1), net="mlp", dropout=False)
    for config, gain in ((small, estimate.IN_STEP), (RESNET18, estimate.BESIDE)):
        alone, in_step = (estimate.net("", config, (1, 32, 32), 1280, 8, faster) for faster in (1.0, estimate.IN_STEP))
        assert alone.seconds / in_step.seconds == pytest.approx(gain)


def test_a_forward_pass_is_counted_by_hand():
    flops, layers = estimate.cost(classify.Config(Schedule(1, 1, 1.0), net="mlp"), (1, 28, 28))
    assert flops == 2 * (784 * 512 + 512 * 512 + 512 * 10)
    assert layers == 6
    assert estimate.cost(vae.Config(10, Schedule(1, 1, 1.0)), (1, 32, 32))[0] > 1e6
    with pytest.raises(TypeError, match="Schedule is the configuration of no net"):
        estimate.cost(Schedule(1, 1, 1.0), (1, 28, 28))


@pytest.mark.parametrize("name", regularize.OBJECTIVES)
def test_an_objective_costs_no_less_than_its_forward_passes(name):
    class Counting(nn.Flatten):
        seen = 0

        def forward(self, x):
            self.seen += len(x)
            return super().forward(x)

    make, steps = regularize.OBJECTIVES[name], 4
    net = nn.Sequential(Counting(), nn.Linear(16, 3))
    objective = make(0.1, steps=steps) if make in regularize.ATTACKS else make(0.1)
    x, y = torch.rand(5, 1, 4, 4), torch.arange(5) % 3
    objective(net, x, y, generator=torch.Generator().manual_seed(0), step=0)
    forward = net[0].seen / 5
    assert forward == {"smoothness": 2, "PGD": 1 + steps, "PGD as released": 1 + steps}.get(name, 1)
    # A forward pass is a third of a plain step; with it comes a backward pass to the image at least.
    assert estimate.passes(name, steps) >= 1 + 2 / 3 * (forward - 1)


def test_it_is_said_for_presets_that_take_long_and_chapters_that_train():
    chosen = [(chapter, name, {}) for chapter in TRAINING[:2] for name in PRESETS]
    said = estimate.lines([*chosen, ("01_theory_checks", "paper", {})])
    assert [" ".join(line.split()[:3]).rstrip(":") for line in said[:-1]] == [
        f"{chapter} at {name}" for chapter in TRAINING[:2] for name in estimate.PRINTED
    ]
    assert said[-1].startswith("together about ")
    assert estimate.lines(chosen[:2]) == []
    (one,) = estimate.lines([(TRAINING[0], "gpu", TINY[TRAINING[0]])])
    assert one.endswith("about 2 minutes of one H100")


def test_settings_of_which_no_net_can_be_built_are_refused():
    with pytest.raises(UsageError, match="images of 28 x 28 pixels: this autoencoder needs a multiple of 16"):
        estimate.lines([("04_off_manifold_robustness", "gpu", {"images": "lungs", "images_size": 28})])


def test_how_to_run_shows_the_estimates():
    text = (paths.BOOK / "how_to_run.md").read_text()
    assert [line for row in estimate.table() if (line := f"| `{row[0]}` | {' | '.join(row[1:])} |") not in text] == []
