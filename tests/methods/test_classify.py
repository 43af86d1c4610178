"""The classifiers: what a configuration means, and that a seed fixes the net."""

import json

import pytest
import torch

from pags import attack, classify, data, nets, train
from pags.artifacts import Artifact
from pags.errors import UsageError

CPU = torch.device("cpu")
SCHEDULE = train.Schedule(epochs=2, batch=16, lr=1e-3)
CONFIG = classify.Config(schedule=SCHEDULE)


@pytest.fixture(scope="module")
def images():
    """Strokes of 12 x 12 pixels, so that trainings take no time."""
    return data.load("strokes", "train", n=48, size=12)


def fit(config, images, seed=0):
    return classify.fit(config, images, seed=seed, device=CPU)


def equal(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


# The seed


@pytest.mark.parametrize(
    "config",
    [CONFIG, classify.Config(schedule=SCHEDULE, budgets=(0.5, 1.0), pgd_steps=2)],
    ids=["standard", "robust"],
)
def test_the_same_seed_gives_the_same_net(images, config):
    (first, history), (again, same), (other, _) = (fit(config, images, seed=s) for s in (0, 0, 1))
    assert equal(first, again)
    assert history == same
    assert not torch.equal(first["0.weight"], other["0.weight"])


def test_different_configurations_give_different_nets(images):
    configs = [
        CONFIG,
        classify.Config(schedule=SCHEDULE, dropout=False),
        classify.Config(schedule=SCHEDULE, shuffle_labels=True),
        classify.Config(schedule=SCHEDULE, budgets=(4.0,), pgd_steps=2),
        classify.Config(schedule=SCHEDULE, budgets=(4.0,), pgd_steps=2, per_batch=True),
    ]
    weights = [fit(config, images)[0]["0.weight"] for config in configs]
    assert not any(torch.equal(weights[i], weights[j]) for i in range(5) for j in range(i))


def test_training_learns(images):
    _, info = fit(classify.Config(schedule=train.Schedule(epochs=15, batch=16, lr=2e-3)), images)
    assert info["history"][-1]["error"] < 0.5 * info["history"][0]["error"]


# The configuration


@pytest.mark.parametrize(
    ("per_batch", "name", "other"), [(False, "pgd_l2", "pgd_l2_batch"), (True, "pgd_l2_batch", "pgd_l2")]
)
def test_budgets_choose_the_attack(monkeypatch, images, per_batch, name, other):
    calls = []

    def spy(net, x, y, eps, *, generator, steps):
        calls.append((eps, steps))
        return x

    monkeypatch.setattr(attack, name, spy)
    monkeypatch.setattr(attack, other, None)
    fit(classify.Config(schedule=SCHEDULE, budgets=(0.25, 2.0), pgd_steps=7, per_batch=per_batch), images)
    assert len(calls) == 6
    assert set(calls) == {(0.25, 7), (2.0, 7)}


def test_without_budgets_nobody_attacks():
    assert classify.objective(CONFIG) is train.standard


def test_shuffled_labels_are_those_of_other_images(monkeypatch, images):
    seen = {}

    def spy(net, objective, parts, *args, seed, **options):
        seen[seed] = parts
        return []

    monkeypatch.setattr(train, "fit", spy)
    for seed in (0, 1):
        fit(classify.Config(schedule=SCHEDULE, shuffle_labels=True), images, seed=seed)
    for x, y in seen.values():
        assert torch.equal(x, images.x)
        assert torch.equal(y.bincount(), images.y.bincount())
        assert (y == images.y).float().mean() < 0.4
    assert not torch.equal(seen[0][1], seen[1][1])
    fit(CONFIG, images, seed=2)
    assert torch.equal(seen[2][1], images.y)


def test_a_loaded_net_is_frozen_and_predicts_as_before(images):
    tensors, info = fit(CONFIG, images)
    net = classify.load(Artifact(tensors, json.loads(json.dumps(info)), ""))  # it needs nothing else
    assert not net.training
    assert not any(p.requires_grad for p in net.parameters())
    again = nets.lenet(12)
    again.load_state_dict(tensors)
    assert torch.allclose(train.predict(net, images.x), train.predict(again.eval(), images.x), atol=1e-5)


# The nets


def test_lenet_is_that_of_the_example():
    net = nets.lenet()
    assert sum(p.numel() for p in net.parameters()) == 320 + 18_496 + 1_605_760 + 1290
    assert [m.p for m in net.modules() if isinstance(m, torch.nn.Dropout)] == [0.25, 0.5]
    assert not any(isinstance(m, torch.nn.Dropout) for m in nets.lenet(dropout=False).modules())


@pytest.mark.parametrize("name", classify.NETS)
@pytest.mark.parametrize(("size", "classes", "channels"), [(32, 10, 1), (48, 3, 3), ((56, 28), 2, 1)])
def test_nets_take_images_of_any_size_and_give_logits(name, size, classes, channels):
    net = classify.NETS[name](size, classes, dropout=False, channels=channels).eval()
    h, w = (size, size) if isinstance(size, int) else size
    assert net(torch.rand(2, channels, h, w)).shape == (2, classes)


def test_the_small_resnet_is_resnet18_behind_its_stem():
    small, large = nets.small_resnet(), nets.resnet()
    stem = sum(p.numel() for p in large.conv1.parameters()) - sum(p.numel() for p in small[0].parameters())
    assert sum(p.numel() for p in large.parameters()) - sum(p.numel() for p in small.parameters()) == stem
    size = [m.stride[0] for m in small.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3)]
    assert [stride for stride in size if stride > 1] == [2, 2, 2]


def test_simplenet_scales_its_channels():
    wide, narrow = nets.simplenet(7), nets.simplenet(7, width=0.125)
    assert narrow.eval()(torch.rand(2, 1, 32, 32)).shape == (2, 7)
    widths = [[m.out_channels for m in net.modules() if isinstance(m, torch.nn.Conv2d)] for net in (wide, narrow)]
    assert widths[0] == [64, 128, 128, 128, 128, 128, 256, 256, 256, 512, 2048, 256, 256]
    assert widths[1] == [w // 8 for w in widths[0]]


def test_one_class_is_refused():
    images = data.dataset("sevens", "train", torch.rand(8, 1, 12, 12), torch.zeros(8).long(), 1)
    with pytest.raises(UsageError, match="data 'sevens' has one class"):
        fit(CONFIG, images)


def test_images_too_small_for_lenet_are_refused():
    assert nets.lenet(6)(torch.rand(2, 1, 6, 6)).shape == (2, 10)
    with pytest.raises(ValueError, match="5 x 6 pixels"):
        nets.lenet((5, 6))
