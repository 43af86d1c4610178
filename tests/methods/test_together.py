"""Nets trained in step: the same as one by one, each with its own end, and with dropout of its own."""

import copy

import pytest
import torch
from torch import nn

from pags import together, train
from pags.nets import small_resnet
from pags.train import Schedule

X = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long()


def made(count, *layers):
    with train.seeded(0):
        return [
            nn.Sequential(nn.Linear(6, 8, bias=False), *map(copy.deepcopy, layers), nn.Linear(8, 2))
            for _ in range(count)
        ]


def in_step(nets, schedule, seeds=(3, 4, 5)):
    return together.fit(nets, lambda i, rows: X[rows], Y, schedule, seeds=seeds[: len(nets)], label="")


@pytest.mark.parametrize("layers", [(nn.ReLU(),), (nn.BatchNorm1d(8), nn.ReLU())])
@pytest.mark.parametrize("adam", [True, False])
def test_each_net_is_what_it_is_alone(layers, adam):
    schedule = Schedule(epochs=30, batch=10, lr=0.02, adam=adam, momentum=0.9 * (not adam), stop=0.2, drops=(20,))
    nets = made(3, *layers)
    alone = copy.deepcopy(nets)
    ended = in_step(nets, schedule)
    for i, net in enumerate(alone):
        last = train.fit(net, train.standard, (X, Y), schedule, seed=3 + i, label="")[-1]
        assert (ended[i]["epoch"], ended[i].get("stopped", False)) == (last["epoch"], last.get("stopped", False))
        assert ended[i]["loss"] == pytest.approx(last["loss"], abs=1e-4)
        assert torch.allclose(net(X), nets[i](X), atol=1e-3)
    assert len({last["epoch"] for last in ended}) > 1  # a net that has ended does not move on with the others
    assert not any(net.training for net in nets)


def test_dropout_differs_between_nets_and_not_between_runs():
    first, second = (made(2, nn.Dropout(0.5)) for _ in range(2))
    for nets in (first, second):
        in_step(nets, Schedule(epochs=1, batch=50, lr=0.1), seeds=(3, 3))
    assert torch.equal(first[0][0].weight, second[0][0].weight)
    assert not torch.equal(first[0][0].weight, first[1][0].weight)


def test_residual_nets_are_trained_without_a_pass_of_their_own(recwarn):
    x = torch.rand(16, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    y = torch.arange(16) % 2
    with train.seeded(0):
        nets = [small_resnet(8, 2, channels=3, width=8).to(memory_format=torch.channels_last) for _ in range(2)]
    alone = copy.deepcopy(nets)
    schedule = Schedule(epochs=1, batch=8, lr=0.01)
    together.fit(nets, lambda i, rows: x[rows], y, schedule, seeds=(3, 4), label="")
    assert [str(one.message) for one in recwarn] == []  # torch says so where it computes net by net
    for i, (one, two) in enumerate(zip(alone, nets, strict=True)):
        train.fit(one, train.standard, (x, y), schedule, seed=3 + i, label="")
        assert torch.allclose(one(x), two(x), atol=1e-3)
