"""Ranks, masks and retraining: exact counts under ties, and a batch of nets that equals its members."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pags import artifacts, classify, data, nets, roar, sweep, train
from pags.train import Schedule


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@st.composite
def attributions(draw):
    """Few distinct values, so that ties are everywhere: (n, c, h, w)."""
    shape = [draw(st.integers(1, 4)) for _ in range(4)]
    levels = draw(st.integers(1, 4))
    return torch.randint(levels, shape, generator=seeded(draw(st.integers(0, 99)))).float() - 1


# Ranks and masks


@given(attributions(), st.booleans())
def test_ranks_are_a_permutation_that_follows_the_size(E, per_pixel):
    found = roar.ranks(E, generator=seeded(), per_pixel=per_pixel)
    size = (E.abs().sum(1, keepdim=True) if per_pixel else E.abs()).flatten(1)
    assert found.shape == (len(E), 1 if per_pixel else E.shape[1], *E.shape[2:])
    order = found.flatten(1).argsort(1)
    assert (found.flatten(1).sort(1).values == torch.arange(size.shape[1])).all()
    assert (size.gather(1, order).diff(dim=1) <= 0).all()


@given(attributions(), st.floats(0, 1))
def test_masks_have_their_exact_count_and_share_nothing_up_to_one_half(E, share):
    found, d = roar.ranks(E, generator=seeded()), E[0].numel()
    top, bottom = (roar.kept(found, share, top=top).flatten(1) for top in (True, False))
    assert set(top.sum(1).tolist()) == set(bottom.sum(1).tolist()) == {round(share * d)}
    assert (top & bottom).any() == (round(share * d) > d / 2)


@given(attributions())
def test_masks_are_nested_and_the_whole_image_stays_whole(E):
    found = roar.ranks(E, generator=seeded())
    masks = [roar.kept(found, k / 10) for k in range(11)]
    assert all((a <= b).all() for a, b in pairwise(masks))
    assert not masks[0].any()
    assert torch.equal(roar.unmask(E, masks[-1], 7.0), E)
    assert (roar.unmask(E, masks[0], 7.0) == 7).all()


def test_ties_are_drawn_evenly_and_anew_for_every_image():
    E = torch.zeros(4000, 1, 2, 2)
    first = roar.ranks(E, generator=seeded()).flatten(1).argmin(1).bincount(minlength=4) / 4000
    assert (first - 0.25).abs().max() < 0.03  # standard deviation .007
    assert torch.equal(roar.ranks(E, generator=seeded()), roar.ranks(E, generator=seeded()))
    assert not torch.equal(roar.ranks(E, generator=seeded()), roar.ranks(E, generator=seeded(1)))


@given(attributions(), st.booleans())
def test_ranks_are_those_of_a_stable_sort_after_a_shuffle(E, double):
    E = E.double() if double else E
    size, drawn = E.abs().flatten(1), torch.rand(E.shape, generator=seeded()).flatten(1)
    shuffled = drawn.argsort(1)
    order = shuffled.gather(1, size.gather(1, shuffled).argsort(dim=1, descending=True, stable=True))
    assert torch.equal(roar.ranks(E, generator=seeded()).flatten(1).long(), order.argsort(1))


@given(attributions())
def test_ties_are_counted(E):
    expected = [sum(row.count(v) > 1 for v in row) / len(row) for row in E.abs().flatten(1).tolist()]
    assert roar.ties(E).tolist() == pytest.approx(expected)


def test_what_has_no_order_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        roar.ranks(torch.tensor([[[[1.0, float("nan")]]]]), generator=seeded())


# Retraining, on small images of which the upper half shows the class

CONFIG = classify.Config(schedule=Schedule(epochs=2, batch=20, lr=1e-2), net="narrow_mlp", dropout=False)


def small(split, n):
    y = torch.arange(n) % 2
    x = torch.rand(n, 1, 4, 4, generator=seeded(len(split))) * 0.2
    x[:, :, :2] += y[:, None, None, None] * 0.6
    return data.dataset("halves", split, x, y, 2)


@pytest.fixture(scope="module")
def halves():
    """(train, test, order): the order ranks the upper half first."""
    sets = {"train": small("train", 60), "test": small("test", 40)}
    E = torch.linspace(1, 0, 16).reshape(1, 1, 4, 4)
    order = {name: roar.ranks(E.expand(len(part.x), 1, 4, 4), generator=seeded()) for name, part in sets.items()}
    return *sets.values(), artifacts.Artifact(order, {}, "an order")


def job(halves, share=0.5, *, repetition=0, classifier=CONFIG, **fields):
    retrain = roar.Retrain(classifier, share, **fields)
    return sweep.Job(roar.fit, retrain, *halves, seed=roar.retraining_seed(3, repetition))


def one_by_one(jobs):
    return [job.make(job.config, *job.inputs, seed=job.seed, device=torch.device("cpu")) for job in jobs]


def test_what_carries_the_class_is_learnt_and_the_rest_is_not(halves):
    (top, top_info), (bottom, bottom_info) = one_by_one([job(halves), job(halves, top=False)])
    assert top_info["accuracy"] == top["correct"].float().mean() == 1
    assert bottom_info["accuracy"] < 0.8
    assert bottom["correct"].shape == (40,)
    assert (top_info["epochs"], top_info["stopped"]) == (2, False)


def test_a_training_that_a_small_loss_ended_says_so(halves):
    easy = replace(CONFIG, schedule=replace(CONFIG.schedule, stop=10.0))
    ((_, info),) = one_by_one([job(halves, classifier=easy)])
    assert (info["epochs"], info["stopped"]) == (1, True)


def test_what_is_shown(halves):
    images, _, order = halves
    ranks = order.tensors["train"]

    def view(**fields):
        return roar.view(roar.Retrain(CONFIG, 0.5, **fields), images, images.x, ranks)

    assert torch.equal(view()[:, :, :2], images.x[:, :, :2])
    assert (view()[:, :, 2:] == 0).all()
    assert torch.allclose(view(mean_fill=True)[:, :, 2:], images.x.mean())
    assert torch.equal(view(mask_only=True, top=False), (ranks >= 8).float())


def test_nets_in_step_equal_nets_one_by_one(halves):
    lenet = classify.Config(
        schedule=Schedule(epochs=2, batch=16, lr=0.05, adam=False, momentum=0.9, weight_decay=1e-3, drops=(1,)),
        net="narrow_mlp",
        dropout=False,
    )
    stopping = replace(CONFIG, schedule=replace(CONFIG.schedule, epochs=8, stop=0.6))
    normalised = replace(CONFIG, net="thin_resnet18", schedule=replace(CONFIG.schedule, epochs=2, lr=1e-3))
    ends = set()
    for config in (CONFIG, lenet, stopping, normalised):
        jobs = [
            job(halves, share, top=top, repetition=r, mean_fill=top, classifier=config)
            for share in (0.2, 0.6)
            for top in (True, False)
            for r in (0, 1)
        ]
        alone, together = one_by_one(jobs), roar.ensemble(jobs, device=torch.device("cpu"))
        for (a, info), (b, other) in zip(alone, together, strict=True):
            assert (a["correct"] != b["correct"]).float().mean() <= 0.05  # rounding may turn a doubtful one
            assert info.keys() == other.keys()
            assert (info["epochs"], info["stopped"]) == (other["epochs"], other["stopped"])
            ends.add((config is stopping, info["epochs"]))
    assert len({epochs for own, epochs in ends if own}) > 1  # each ends when its own loss says so


def test_parameters_in_step_equal_those_one_by_one(halves, monkeypatch):
    seen = []
    monkeypatch.setattr(roar, "judged", lambda net, *_: seen.append(dict(net.named_parameters())) or ({}, {}))
    jobs = [job(halves, top=top, repetition=3) for top in (True, False)]
    one_by_one(jobs)
    roar.ensemble(jobs, device=torch.device("cpu"))
    for alone, together in zip(seen[:2], seen[2:], strict=True):
        for name, value in alone.items():
            assert torch.allclose(value, together[name], atol=1e-5)
    assert not torch.allclose(seen[0]["1.weight"], seen[1]["1.weight"], atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"net": "lenet", "dropout": False}, True),
        ({"net": "lenet", "dropout": True}, True),
        ({"net": "narrow_resnet18"}, True),
        ({"net": "resnet18"}, False),
        ({"budgets": (1.0,)}, False),
        ({"augment": True}, False),
        ({"shuffle_labels": True}, False),
    ],
)
def test_only_plain_trainings_are_made_in_step(changes, expected):
    config = classify.Config(**({"schedule": CONFIG.schedule, "net": "mlp", "dropout": False} | changes))
    images = data.dataset("grey", "train", torch.rand(4, 1, 12, 12), torch.arange(4) % 2, 2)
    assert roar.stackable(config, images) == expected


def test_on_a_gpu_the_grid_is_made_in_few_batches_and_then_read(halves, tmp_path, monkeypatch):
    jobs = [job(halves, repetition=r) for r in range(5)]
    sizes, cuda = [], torch.device("cuda")

    def ensemble(some, *, device):
        sizes.append(len(some))
        return one_by_one(some)

    monkeypatch.setattr(artifacts.paths, "ARTIFACTS", tmp_path)
    monkeypatch.setattr(roar, "ensemble", ensemble)
    monkeypatch.setattr(sweep, "Processes", None)
    made = roar.grid(jobs, device=cuda, together=2)
    assert sizes == [2, 2, 1]
    assert [one.info["accuracy"] for one in made] == [info["accuracy"] for _, info in one_by_one(jobs)]
    assert [one.fingerprint for one in roar.grid(jobs, device=cuda)] == [one.fingerprint for one in made]
    assert sizes == [2, 2, 1]


# Ranks of a trained net


@pytest.mark.parametrize("method", ["random", "gradient", "loss gradient", "Input x Gradient", "SmoothGrad"])
def test_a_scheme_ranks_training_and_test_images(halves, method):
    images, held_out, _ = halves
    made = artifacts.Artifact(*classify.fit(CONFIG, images, seed=0, device=torch.device("cpu")), "")
    scheme = roar.Scheme(method, samples=3)
    found, info = roar.rank(scheme, made, images, held_out, seed=0, device=torch.device("cpu"))
    assert {name: len(part) for name, part in found.items()} == {"train": 60, "test": 40}
    assert (found["test"].flatten(1).sort(1).values == torch.arange(16)).all()
    assert 0 <= info["ties"] <= 1


def test_integrated_gradients_leave_the_image_out_and_weights_are_the_same_for_all():
    with train.seeded(0):
        net = nets.linear(4, 3)
    x = torch.rand(5, 1, 4, 4, generator=seeded())
    mean = roar.attribute(roar.Scheme("Integrated Gradients", samples=4), net, x, generator=seeded())
    gradient = roar.attribute(roar.Scheme("gradient"), net, x, generator=seeded())
    assert torch.allclose(mean, gradient, atol=1e-6)
    weights = roar.attribute(roar.Scheme("weights"), net, x, generator=seeded())
    assert torch.equal(weights, net[1].weight.abs().sum(0).reshape(1, 1, 4, 4).expand(5, -1, -1, -1))
    with pytest.raises(ValueError, match="a linear net only"):
        roar.attribute(roar.Scheme("weights"), nets.mlp(4, 3, width=16), x, generator=seeded())


def test_the_gradient_of_the_loss_is_never_rounded_to_zero():
    with train.seeded(0):
        net = nets.mlp(4, 3, width=16)
    with torch.no_grad():
        net[-1].bias[1] = 200.0  # float32 knows no probability between 1 - 6e-8 and 1
    E = roar.attribute(roar.Scheme("loss gradient"), net, torch.rand(5, 1, 4, 4), generator=seeded())
    assert E.dtype == torch.float64
    assert (E.abs().flatten(1).sum(1) > 0).all()


@pytest.mark.parametrize("share", [20, 1.01, -0.1, float("nan")])
def test_a_share_in_percent_is_refused(share):
    with pytest.raises(ValueError, match=r"share = .*: write a number from 0 to 1"):
        roar.kept(torch.arange(4)[None], share)
