"""The objectives against what can be computed by hand: a linear net's gradients and logits are known."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pags import attack, classify, data, regularize, train

SCHEDULE = train.Schedule(epochs=2, batch=20, lr=1e-2)
TINY = classify.Config(schedule=SCHEDULE, net="linear", dropout=False, pgd_steps=2)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 3)).double()


@pytest.fixture
def batch():
    return torch.randn(5, 1, 2, 3, generator=generator(), dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1])


def loss(objective, net, batch, seed=0):
    return float(objective(net, *batch, generator=generator(seed), step=0)["loss"].detach())


def test_the_gradient_penalty_of_a_linear_net_is_that_of_its_softmax(linear, batch):
    x, y = batch
    p = linear(x).softmax(1) - F.one_hot(y, 3)
    squared = (p @ linear[1].weight).square().sum(1).mean()
    wanted = F.cross_entropy(linear(x), y) + 0.7 * squared
    assert loss(regularize.gradient_norm(0.7), linear, batch) == pytest.approx(wanted.item(), rel=1e-12)


def test_the_released_code_s_penalty_is_ours_times_its_factor(linear):
    x = torch.randn(128, 1, 2, 3, generator=generator(), dtype=torch.float64).requires_grad_()
    y = torch.arange(128) % 3
    (grad,) = torch.autograd.grad(F.cross_entropy(linear(x), y), x)  # of the batch's mean loss
    theirs = 0.01 * 1e5 * grad.square().sum() / 128
    strength = 0.01 * regularize.RELEASED["gradient norm"]
    ours = loss(regularize.gradient_norm(strength), linear, (x, y)) - F.cross_entropy(linear(x), y).item()
    assert ours == pytest.approx(theirs.item(), rel=1e-10)


def test_the_smoothness_penalty_of_a_linear_net_is_on_average_the_weights_squared_length(linear, batch):
    x, y = batch[0].repeat(4000, 1, 1, 1), batch[1].repeat(4000)
    wanted = F.cross_entropy(linear(x), y) + 2.0 * 0.1**2 * linear[1].weight.square().sum()
    assert loss(regularize.smoothness(2.0), linear, (x, y)) == pytest.approx(wanted.item(), rel=0.01)


def test_noise_moves_the_image_by_its_strength(batch):
    moved = regularize.noisy(torch.zeros(10_000, 1, 2, 3), 0.3, generator())
    assert float(moved.std()) == pytest.approx(0.3, rel=0.01)
    assert torch.equal(regularize.noisy(batch[0], 0.0, generator()), batch[0])


def test_noise_is_the_standard_loss_at_noisy_images(linear, batch):
    x, y = batch
    wanted = F.cross_entropy(linear(regularize.noisy(x, 0.5, generator())), y)
    assert loss(regularize.noise(0.5), linear, batch) == pytest.approx(wanted.item(), rel=1e-12)


def test_pgd_against_a_two_class_linear_net_reaches_the_known_optimum(batch):
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(6, 2)).double()
    x, y = batch[0], torch.tensor([0, 1, 0, 0, 1])
    w = net[1].weight[1] - net[1].weight[0]
    margin = (net(x)[:, 1] - net(x)[:, 0]) * (2 * y - 1) - 0.4 * w.norm()
    wanted = F.softplus(-margin).mean()
    assert loss(regularize.pgd(0.4, steps=20), net, (x, y)) == pytest.approx(wanted.item(), rel=2e-3)


def test_the_released_pgd_adds_up_the_losses_of_its_steps(linear, batch):
    zero = loss(regularize.pgd_as_released(0.0, steps=3), linear, batch)
    assert zero == pytest.approx(4 * F.cross_entropy(linear(batch[0]), batch[1]).item(), rel=1e-9)
    assert loss(regularize.pgd_as_released(1.0, steps=3), linear, batch) > zero


def test_its_last_images_lie_in_the_batch_s_ball(linear, batch):
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append(x.detach())
            return linear(x)

    loss(regularize.pgd_as_released(0.5, steps=4), Spy(), batch)
    length = [(x - batch[0]).norm().item() for x in seen]
    assert max(length) <= 0.5 * 5**0.5 * (1 + 1e-9)
    assert length[0] == pytest.approx(0.25 * 5**0.5)
    assert float(attack.l2_norm(seen[-1] - batch[0]).max()) > 0.5  # one image may use more than its share


@pytest.mark.parametrize("name", regularize.OBJECTIVES)
def test_every_objective_trains_and_its_strength_matters(name):
    images = data.load("strokes", "train", n=60)
    options = {"seed": 0, "device": torch.device("cpu"), "checkpoint": None}
    states = [regularize.fit(regularize.Training(TINY, name, s), images, **options) for s in (0.0, 0.5, 0.5)]
    weights = [state["1.weight"] for state, _ in states]
    assert torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[0], weights[1])
    assert states[1][1]["history"][-1]["loss"] > 0


def test_strength_zero_is_plain_cross_entropy():
    for name in regularize.OBJECTIVES:
        assert regularize.objective(regularize.Training(TINY, name, 0.0)) is train.standard


def test_above_slow_the_learning_rate_falls_in_proportion(monkeypatch):
    seen = []
    monkeypatch.setattr(train, "fit", lambda net, objective, data, schedule, **options: seen.append(schedule.lr) or [])
    images = data.load("strokes", "train", n=20)
    for strength in (0.5, 1.0, 4.0):
        config = regularize.Training(TINY, "noise", strength, slow=1.0)
        regularize.fit(config, images, seed=0, device=torch.device("cpu"), checkpoint=None)
    assert seen == pytest.approx([1e-2, 1e-2, 2.5e-3])
