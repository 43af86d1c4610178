"""The loop of a GPU, taken on the CPU: it trains as the other one does, resumes, and leaves no trace."""

import pytest
import torch
from torch import nn

from pags import accelerate, artifacts, nets, regularize, train

CPU = torch.device("cpu")


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(train, "accelerated", lambda device: True)


def images(n=96):
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    x = torch.rand(n, 1, 12, 12, generator=generator) * 0.3
    for c in range(3):
        x[y == c, :, 4 * c : 4 * c + 4] += 0.6
    return x, y


def trained(objective=train.standard, *, net=None, **options):
    with train.seeded(0):
        net = net or nets.lenet(12, 3, width=4)
    schedule = train.Schedule(epochs=5, batch=16, lr=5e-3)
    history = train.fit(net, objective, images(), schedule, seed=0, label="", **options)
    return net, history


@pytest.mark.parametrize("half", [False, True])
def test_it_learns_what_the_loop_of_a_cpu_learns(fast, monkeypatch, half):
    net, history = trained(half=half)
    assert all(parameter.dtype == torch.float32 for parameter in net.parameters())
    assert (train.correct(net, *images()) == 1).all()
    monkeypatch.undo()
    _, other = trained()
    assert [entry["epoch"] for entry in history] == [entry["epoch"] for entry in other]
    assert history[0]["loss"] == pytest.approx(other[0]["loss"], rel=0.2)  # other dropout, same order of the images


def test_without_dropout_and_noise_it_is_the_loop_of_a_cpu_up_to_roundings(fast, monkeypatch):
    def plain():
        with train.seeded(0):
            return nets.lenet(12, 3, width=4, dropout=False)

    net, history = trained(net=plain())
    monkeypatch.undo()
    other, expected = trained(net=plain())
    assert history[-1]["loss"] == pytest.approx(expected[-1]["loss"], rel=1e-3)
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two.contiguous(), rtol=1e-2, atol=1e-3)


def test_half_computes_in_bfloat16_and_full_in_float32(fast):
    seen = []

    def objective(net, x, y, *, generator, step):
        seen.append(net(x).dtype)
        return train.standard(net, x, y, generator=generator, step=step)

    for half in (True, False):
        seen.clear()
        trained(objective, half=half)
        assert set(seen) == {torch.bfloat16 if half else torch.float32}


def test_images_and_convolutions_lie_channels_last():
    net = nets.lenet(12, 3, channels=3)
    x, _ = accelerate.prepare(net, (torch.rand(4, 3, 12, 12), torch.zeros(4)), CPU)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert net[0].weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", list(regularize.OBJECTIVES))
def test_every_objective_trains(fast, name):
    make = regularize.OBJECTIVES[name]
    objective = make(0.1, steps=2) if make in regularize.ATTACKS else make(0.1)
    net, history = trained(objective, half=True)
    assert history[-1]["loss"] < history[0]["loss"]
    assert train.correct(net, *images()).mean() > 0.9


def test_a_training_that_is_resumed_ends_alike(fast, tmp_path):
    class Checkpoint(artifacts.Checkpoint):
        def save(self, state, **_):
            super().save(state, force=True)
            if state["epoch"] == 3 and not resumed:
                raise InterruptedError

    resumed, path = [], tmp_path / "x.checkpoint"
    with pytest.raises(InterruptedError):
        trained(checkpoint=Checkpoint(path))
    resumed.append(True)
    net, history = trained(checkpoint=Checkpoint(path))
    other, expected = trained()
    assert [entry["loss"] for entry in history] == pytest.approx([entry["loss"] for entry in expected], rel=1e-4)
    for one, two in zip(net.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)


def test_the_same_seed_gives_the_same_net_and_torch_keeps_its_state(fast):
    torch.manual_seed(9)
    before = torch.get_rng_state()
    benchmark = torch.backends.cudnn.benchmark
    one, two = (trained()[0] for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.backends.cudnn.benchmark == benchmark
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_each_epoch_depends_on_seed_and_epoch_alone():
    schedule = train.Schedule(epochs=3, batch=4, lr=0.1)

    def drawn(first):
        plan = accelerate.batches(train.batches(8, schedule, seed=5, first=first), CPU, seed=5)
        return [(epoch, rows.tolist(), torch.rand(1, generator=generator).item()) for epoch, _, rows, generator in plan]

    with torch.random.fork_rng(devices=[]):
        assert drawn(0)[4:] == drawn(2)


def test_what_only_a_gpu_runs_makes_nothing_stale_that_a_cpu_made(monkeypatch):
    sources = artifacts.sources("pags")
    changed = sources | {"pags.accelerate": sources["pags.accelerate"] + "\nMORE = 1\n"}
    keys = {device: artifacts._own_source("pags.classify", device) for device in ("cpu", "cuda")}
    monkeypatch.setattr(artifacts, "sources", lambda package: changed)
    artifacts._own_source.cache_clear()
    assert artifacts._own_source("pags.classify", "cpu") == keys["cpu"]
    assert artifacts._own_source("pags.classify", "cuda") != keys["cuda"]
    artifacts._own_source.cache_clear()


def test_a_net_without_convolutions_stays_as_it_is():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    x, y = accelerate.prepare(net, (torch.rand(3, 1, 2, 2), torch.zeros(3)), CPU)
    assert x.shape == (3, 1, 2, 2)
    assert y.shape == (3,)


def test_trainings_are_fast_and_what_is_measured_of_nets_is_exact_and_repeats():
    def settings():
        cudnn = torch.backends.cudnn
        return cudnn.allow_tf32, cudnn.benchmark, not cudnn.deterministic

    assert settings() == (False, False, False)
    with accelerate.loop(torch.device("cpu")):
        assert settings() == (True, True, True)
    assert settings() == (False, False, False)
