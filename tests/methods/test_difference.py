"""The gradient penalty by a difference: the value and the parameter gradient of a double backward pass."""

import copy
from contextlib import nullcontext

import pytest
import torch

from pags import difference, nets, regularize, train


def examples(n=24, size=16, channels=3):
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    x = 0.4 * torch.rand(n, channels, size, size, generator=generator)
    return x + 0.2 * y[:, None, None, None], y


NETS = {
    "MLP": lambda: nets.mlp(16, 3, channels=3, width=32),
    "LeNet": lambda: nets.lenet(16, 3, channels=3, width=4, dropout=False),
    "ResNet18": lambda: nets.small_resnet(16, 3, channels=3, width=4),
}


def made(name):
    with train.seeded(0):
        return NETS[name]().double().train()


def found(objective, net, x, y):
    """The loss and its gradient for all parameters, as one vector; the net stays as it is."""
    net = copy.deepcopy(net)
    terms = objective(net, x.double(), y, generator=torch.Generator().manual_seed(1), step=3)
    terms["loss"].backward()
    return float(terms["loss"].detach()), torch.cat([parameter.grad.flatten() for parameter in net.parameters()])


def apart(one, two):
    return float((one - two).norm() / two.norm())


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("strength", [0.1, 10.0])
def test_value_and_parameter_gradient_are_those_of_a_double_backward_pass(name, strength):
    net, (x, y) = made(name), examples()
    value, exact = found(regularize.gradient_norm(strength), net, x, y)
    _, plain = found(train.standard, net, x, y)
    assert apart(plain, exact) > 1e-4  # the penalty counts
    short = {"reach": 1e-4, "rise": 1e-4}
    same, near = found(difference.gradient_norm(strength, **short), net, x, y)
    assert same == pytest.approx(value, rel=1e-9)
    assert apart(near, exact) < 1e-5
    assert apart(found(difference.gradient_norm(strength), net, x, y)[1], exact) < (0.2 if name == "ResNet18" else 0.01)


@pytest.mark.parametrize("name", NETS)
def test_the_error_falls_with_the_square_of_the_step(name):
    net, (x, y) = made(name), examples()
    _, exact = found(regularize.gradient_norm(1.0), net, x, y)
    short = 1e-3 if name == "ResNet18" else 0.1
    far, near = (
        apart(found(difference.gradient_norm(1.0, reach=r, rise=1e3), net, x, y)[1], exact) for r in (short, short / 4)
    )
    assert far / near == pytest.approx(16, rel=0.1)


def test_a_unit_that_switches_hides_the_penalty_unless_it_is_held(monkeypatch):
    net, (x, y) = made("LeNet"), examples()
    _, exact = found(regularize.gradient_norm(10.0), net, x, y)
    monkeypatch.setattr(difference, "held", lambda net: nullcontext(lambda: None))
    assert apart(found(difference.gradient_norm(10.0), net, x, y)[1], exact) > 0.5


def test_held_units_make_a_perceptron_linear():
    net, (x, _) = made("MLP"), examples()
    with torch.no_grad(), difference.held(net) as hold:
        here = net(x.double())
        moved = []
        for way in (1.0, -1.0):
            hold()
            moved.append(net(x.double() + way * 5))
    torch.testing.assert_close(sum(moved) / 2, here)


def test_dropout_is_the_same_in_all_passes():
    with train.seeded(0):
        net = nets.lenet(16, 3, channels=3, width=4).double().train()
    x, y = examples()
    generator = torch.Generator().manual_seed(1)

    def again(net, x, y, **options):
        torch.manual_seed(generator.initial_seed() + 3)
        return regularize.gradient_norm(1.0)(net, x, y, **options)

    with torch.random.fork_rng(devices=[]):
        value, exact = found(again, net, x, y)
        same, near = found(difference.gradient_norm(1.0, reach=1e-4), net, x, y)
    assert same == pytest.approx(value, rel=1e-9)
    assert apart(near, exact) < 1e-5


def state(net):
    """What `held` changes for a while, of every module."""
    return [
        (len(module._forward_hooks), getattr(module, "momentum", None), getattr(module, "inplace", None))
        for module in net.modules()
    ]


def test_running_statistics_see_the_images_once_and_the_net_stays_as_it_was():
    net, (x, y) = made("ResNet18"), examples()
    plain, before = copy.deepcopy(net), state(net)
    plain(x.double())
    difference.gradient_norm(1.0)(net, x.double(), y, generator=torch.Generator(), step=0)
    for (name, one), (_, two) in zip(net.named_buffers(), plain.named_buffers(), strict=True):
        if "running" in name:
            torch.testing.assert_close(one, two)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert state(net) == before
    with pytest.raises(RuntimeError):  # images of another type
        difference.gradient_norm(1.0)(net, x, y, generator=torch.Generator(), step=0)
    assert state(net) == before


@pytest.mark.parametrize("half", [False, True])
def test_it_trains_as_a_double_backward_pass_does(monkeypatch, half):
    monkeypatch.setattr(train, "accelerated", lambda device: True)
    histories = []
    for objective in (regularize.gradient_norm(1.0), difference.gradient_norm(1.0)):
        with train.seeded(0):
            net = nets.lenet(12, 3, channels=3, width=4, dropout=False)
        schedule = train.Schedule(epochs=8, batch=16, lr=5e-3)
        history = train.fit(net, objective, examples(96, size=12), schedule, seed=0, label="", half=half)
        histories.append([entry["loss"] for entry in history])
    assert histories[1][-1] < 0.5 * histories[1][0]
    assert histories[1][:5] == pytest.approx(histories[0][:5], rel=0.1)  # later on roundings have grown


def test_passes_are_in_float32_under_autocast():
    net, (x, y) = made("ResNet18").float(), examples()
    kinds = []
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(lambda module, inputs, output: kinds.append(output.dtype))
    options = {"generator": torch.Generator(), "step": 0}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        difference.gradient_norm(1.0)(net, x, y, **options)
        assert set(kinds) == {torch.float32}
        train.standard(net, x, y, **options)
    assert torch.bfloat16 in kinds  # what all other objectives do there
