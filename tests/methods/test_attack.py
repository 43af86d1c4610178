"""Projected gradient descent: inside the ball, better than noise, exact where the answer is known."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pags import attack

EPS = 0.5


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def net():
    """A small curved classifier of 8 x 8 images in 3 classes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 30), nn.ReLU(), nn.Linear(30, 3)).double()
    with torch.no_grad():
        layers[1].weight.mul_(4)
    return layers


@pytest.fixture
def images(net):
    """Images and the classes that the net gives them."""
    x = torch.rand(20, 1, 8, 8, generator=generator(), dtype=torch.float64)
    return x, net(x).argmax(1)


def length(v):
    return v.flatten(1).norm(dim=1)


def loss(net, x, y):
    return F.cross_entropy(net(x), y, reduction="none").detach()


def rise(net, x, y, delta):
    return float((loss(net, x + delta, y) - loss(net, x, y)).mean())


# The ball


def test_l2_stays_in_the_ball_of_each_image_and_reaches_its_edge(net, images):
    far = length(attack.pgd_l2(net, *images, EPS, generator=generator(), steps=20) - images[0])
    assert far.max() <= EPS * (1 + 1e-12)
    assert far.min() > 0.9 * EPS


def test_linf_stays_in_the_ball_and_reaches_its_sides(net, images):
    delta = attack.pgd_linf(net, *images, EPS, generator=generator(), steps=20) - images[0]
    assert delta.abs().max() <= EPS * (1 + 1e-12)
    assert (delta.abs() > 0.99 * EPS).double().mean() > 0.6


def test_the_released_variant_bounds_the_length_of_the_whole_batch(net, images):
    delta = attack.pgd_l2_batch(net, *images, EPS, generator=generator(), steps=20) - images[0]
    assert 0.9 * EPS < float(delta.norm()) <= EPS * (1 + 1e-12)
    assert length(delta).max() < 0.9 * EPS  # so each image has less
    assert length(delta).max() > 1.1 * length(delta).min()  # and they share it unequally


@pytest.mark.parametrize("steps", [1, 3, 50])
@pytest.mark.parametrize("method", [attack.pgd_l2, attack.pgd_linf])
def test_limits_are_respected_within_the_ball(net, images, method, steps):
    x, y = images
    found = method(net, x, y, EPS, generator=generator(), steps=steps, limits=(0.0, 1.0))
    assert found.min() >= 0
    assert found.max() <= 1
    far = length(found - x) if method is attack.pgd_l2 else (found - x).abs().amax((1, 2, 3))
    assert far.max() <= EPS * (1 + 1e-12)
    assert method(net, x, y, EPS, generator=generator(), steps=steps).max() > 1  # which they are not by themselves


def test_without_a_budget_nothing_moves(net, images):
    for method in (attack.pgd_l2, attack.pgd_linf, attack.pgd_l2_batch):
        assert torch.equal(method(net, *images, 0.0, generator=generator(), steps=3), images[0])


# The strength


def test_every_attack_beats_random_noise_of_the_same_length(net, images):
    x, y = images
    noise = torch.randn(x.shape, generator=generator(1), dtype=torch.float64)
    delta = attack.pgd_l2(net, x, y, EPS, generator=generator(), steps=20) - x
    assert rise(net, x, y, delta) > 3 * abs(rise(net, x, y, EPS * attack.unit_l2(noise))) > 0
    delta = attack.pgd_linf(net, x, y, 0.05, generator=generator(), steps=20) - x
    assert rise(net, x, y, delta) > 3 * abs(rise(net, x, y, 0.05 * noise.sign())) > 0
    delta = attack.pgd_l2_batch(net, x, y, EPS, generator=generator(), steps=20) - x
    assert rise(net, x, y, delta) > 3 * abs(rise(net, x, y, EPS * attack.unit_batch(noise))) > 0


def test_against_a_linear_net_the_best_perturbation_is_found():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).double()
    x = torch.rand(5, 1, 8, 8, generator=generator(), dtype=torch.float64)
    w = (net[1].weight[1] - net[1].weight[0]).detach()  # raises the loss at class 0
    zeros, options = torch.zeros(5, dtype=torch.long), {"generator": generator(), "steps": 400}
    delta = attack.pgd_l2(net, x, zeros, EPS, **options) - x
    assert (delta.flatten(1) @ w / (EPS * w.norm())).min() > 0.95
    assert (delta.flatten(1) @ w / (EPS * w.norm())).max() <= 1 + 1e-9
    delta = attack.pgd_linf(net, x, zeros, EPS, **options) - x
    torch.testing.assert_close(delta.flatten(1), (EPS * w.sign()).expand(5, 64))


def test_each_image_is_attacked_by_itself(net, images):
    """With the noise of one image, its attack is the same in company: the budget, the loss and the step are its own."""
    x, y = images
    together = attack.pgd_l2(net, x, y, EPS, generator=generator(), steps=20)
    alone = attack.pgd_l2(net, x[:1], y[:1], EPS, generator=generator(), steps=20)
    torch.testing.assert_close(together[:1], alone)


def test_the_start_is_random_and_reproducible(net, images):
    first, again, other = (attack.pgd_l2(net, *images, EPS, generator=generator(s), steps=1) for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_starts_are_as_described(net, images):
    x, y = images
    for p in net.parameters():
        p.detach().zero_()  # without a gradient the start is where it ends
    start = attack.pgd_l2(net, x, y, EPS, generator=generator(), steps=1) - x
    torch.testing.assert_close(length(start), torch.full((20,), EPS / 2).double())
    start = attack.pgd_linf(net, x, y, EPS, generator=generator(), steps=1) - x
    assert abs(float(start.mean())) < 0.05 * EPS
    assert float(start.std()) == pytest.approx(EPS / 3**0.5, rel=0.05)  # uniform on [-eps, eps]
    start = attack.pgd_l2_batch(net, x, y, EPS, generator=generator(), steps=1) - x
    assert start.min() >= -1e-15
    assert float(start.norm()) == pytest.approx(EPS / 2)


# Short gradients, and none


def saturated(size):
    """A linear net whose probability of class 0 is all but one at x > 0, in double precision."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False)).double()
    with torch.no_grad():
        net[1].weight.copy_(torch.stack([torch.ones(16), -torch.ones(16)]) * size)
    return net


def test_an_attack_follows_a_gradient_however_short():
    """The edge of the ball, in the one direction that helps; with steps as long as the gradient it would stay."""
    x, y = torch.full((1, 1, 4, 4), 1.0, dtype=torch.float64), torch.tensor([0])
    net = saturated(5.0)  # a logit's lead of 160 nats: a gradient of 1e-68
    assert 0 < length(attack._slope(net, x, y)) < 1e-60
    found = attack.pgd_l2(net, x, y, 8.0, generator=generator(), steps=50)
    assert net(found).argmax(1).item() == 1
    torch.testing.assert_close(found, torch.full_like(x, -1.0), atol=0.05, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("exponent", [-140, -100, -40, 0, 40, 100])
def test_directions_are_the_same_at_every_scale(dtype, exponent):
    v = torch.randn(3, 1, 4, 4, generator=generator()).to(dtype)
    scaled = torch.ldexp(v.double(), torch.tensor(exponent)).to(dtype)
    loss_of_digits = 2e-2 if exponent == -140 and dtype == torch.float32 else 0  # numbers below the normal ones
    for unit in (attack.unit_l2, attack.unit_batch):
        torch.testing.assert_close(unit(scaled), unit(v), atol=loss_of_digits, rtol=0)
    torch.testing.assert_close(attack.unit_l2(v).double(), v.double() / length(v.double()).reshape(3, 1, 1, 1))
    torch.testing.assert_close(
        torch.ldexp(attack.l2_norm(scaled).double(), torch.tensor(-exponent)), length(v.double()), rtol=2e-2, atol=0
    )
    eps = float(torch.ldexp(torch.tensor(1.0, dtype=torch.float64), torch.tensor(exponent)))
    for project in (attack.project_l2, attack.project_batch):
        shortened = torch.ldexp(project(scaled, eps).double(), torch.tensor(-exponent))
        torch.testing.assert_close(shortened, project(v.double(), 1.0), atol=2e-2, rtol=0)


def test_where_no_gradient_is_left_it_is_said():
    x = torch.stack([torch.full((1, 4, 4), size, dtype=torch.float64) for size in (1.0, 30.0)])
    net, y = saturated(5.0), torch.tensor([0, 0])
    assert attack.stuck(net, x, y).tolist() == [False, True]  # exp(-4,800) is zero
    assert attack.stuck(net, x, 1 - y).tolist() == [False, False]
    assert attack.stuck(net.float(), x.float(), y).tolist() == [True, True]  # and so is exp(-160) beside one
    assert not x.requires_grad


@pytest.mark.parametrize("limits", [(0.0, 0.5), (0.5, 1.0), (0, 0)])
@pytest.mark.parametrize("method", [attack.pgd_l2, attack.pgd_linf])
def test_images_outside_of_the_limits_are_refused(net, images, method, limits):
    with pytest.raises(ValueError, match=r"limits = .*the images run from"):
        method(net, *images, EPS, generator=generator(), steps=2, limits=limits)


def test_limits_forgive_what_rounding_has_done(net, images):
    x = (images[0] / images[0].max()).float() * (1 + 1e-7)
    assert attack.pgd_l2(net.float(), x, images[1], EPS, generator=generator(), steps=2, limits=(0, 1)).max() <= 1


@pytest.mark.parametrize("method", [attack.pgd_l2, attack.pgd_linf, attack.pgd_l2_batch])
@pytest.mark.parametrize(("eps", "steps"), [(-1.0, 3), (float("nan"), 3), (float("inf"), 3), (1.0, 0)])
def test_balls_and_steps_that_cannot_be_are_refused(net, images, method, eps, steps):
    with pytest.raises(ValueError, match=r"eps = .*: write|steps = 0: write"):
        method(net, *images, eps, generator=generator(), steps=steps)


@pytest.mark.parametrize("method", [attack.pgd_l2, attack.pgd_linf, attack.pgd_l2_batch])
def test_one_label_for_many_images_is_refused(net, images, method):
    with pytest.raises(ValueError, match="batch"):
        method(net, images[0], images[1][:1], EPS, generator=generator(), steps=2)


# Its parts


def test_projections_shorten_what_is_too_long_and_nothing_else():
    v = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    torch.testing.assert_close(attack.project_l2(v, 1.0), torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))
    torch.testing.assert_close(attack.unit_l2(v), torch.tensor([[0.6, 0.8], [0.6, 0.8], [0.0, 0.0]]))
    assert torch.equal(attack.project_batch(v, 6.0), v)
    assert float(attack.project_batch(v, 1.0).norm()) == pytest.approx(1)
    assert float(attack.unit_batch(v).norm()) == pytest.approx(1)


@pytest.mark.parametrize("method", [attack.pgd_l2, attack.pgd_linf, attack.pgd_l2_batch])
@pytest.mark.parametrize("training", [True, False])
def test_attacks_leave_net_and_images_as_they_were(net, images, method, training):
    x, y = images
    net.train(training)
    before = x.clone()
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    found = method(net, x, y, EPS, generator=generator(), steps=2)
    assert not found.requires_grad
    assert torch.equal(x, before)
    assert not x.requires_grad
    assert net.training == training
    assert all(p.requires_grad and torch.equal(p.grad, torch.ones_like(p)) for p in net.parameters())
