"""The training loop: resuming, seeding, schedules, objectives."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pags import attack, train
from pags.artifacts import Checkpoint
from pags.errors import UsageError

SCHEDULES = {
    "adam": train.Schedule(epochs=4, batch=8, lr=1e-2, drops=(2,)),
    "sgd": train.Schedule(epochs=4, batch=8, lr=1e-1, drops=(1, 3), adam=False, momentum=0.9, weight_decay=1e-2),
}


class Killed(BaseException):
    """Somebody ended the process."""


def make_net(seed=0):
    with train.seeded(seed):
        layers = [nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, 3)]
        return nn.Sequential(*layers)


@pytest.fixture
def points():
    """29 points in 3 classes: the last batch of an epoch is smaller than the others."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(29, 6, generator=generator)
    return x, x[:, :3].argmax(1)


def fit(net, points, schedule=SCHEDULES["adam"], objective=train.standard, seed=0, **options):
    return train.fit(net, objective, points, schedule, seed=seed, label="test", **options)


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


# Resuming


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("killed_at", [3, 4, 9, 15])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(points, tmp_path, schedule, killed_at):
    def watch(net):
        return {"weight": float(net[0].weight.detach().norm())}

    def mortal(net, x, y, *, generator, step):
        if step == killed_at:
            raise Killed
        return train.standard(net, x, y, generator=generator, step=step)

    options = {"schedule": SCHEDULES[schedule], "watch": watch, "watch_at": {0, 2, 5, 16}}
    whole = make_net()
    expected = fit(whole, points, **options)
    path = tmp_path / "some.checkpoint"
    with pytest.raises(Killed):
        fit(make_net(), points, objective=mortal, checkpoint=Checkpoint(path, every=0), **options)
    assert path.exists() == (killed_at >= 4)  # four steps are an epoch
    resumed = make_net(seed=1)  # what it starts from does not matter after the first epoch...
    if killed_at < 4:
        resumed = make_net()  # ...before, nothing was kept
    seen = []

    def counting(net, x, y, *, generator, step):
        seen.append(step)
        return train.standard(net, x, y, generator=generator, step=step)

    found = fit(resumed, points, objective=counting, checkpoint=Checkpoint(path, every=0), **options)
    assert equal(resumed, whole)
    assert found == expected
    assert seen == list(range(killed_at // 4 * 4, 16))


def test_a_run_that_was_done_only_needs_to_be_read(points, tmp_path):
    whole, again = make_net(), make_net(seed=1)
    checkpoint = Checkpoint(tmp_path / "some.checkpoint", every=0)
    history = fit(whole, points, checkpoint=checkpoint)
    assert fit(again, points, checkpoint=checkpoint) == history
    assert equal(again, whole)
    assert not again.training


# Seeds


def test_the_seed_fixes_the_weights(points):
    first, again, other = make_net(), make_net(), make_net()
    assert fit(first, points) == fit(again, points)
    assert equal(first, again)
    fit(other, points, seed=1)
    assert not equal(first, other)


def test_what_else_the_process_drew_does_not_matter(points):
    first, again = make_net(), make_net()
    torch.manual_seed(1)
    fit(first, points)
    torch.manual_seed(2)
    torch.randn(7)
    fit(again, points)
    assert equal(first, again)


def test_the_global_generator_stays_as_it_was(points):
    before = torch.get_rng_state()
    fit(make_net(), points)
    assert torch.equal(torch.get_rng_state(), before)
    with train.seeded(5):
        drawn = torch.randn(3)
    assert torch.equal(torch.get_rng_state(), before)
    with train.seeded(5):
        assert torch.equal(torch.randn(3), drawn)


def test_dropout_differs_from_step_to_step_and_from_seed_to_seed(points):
    masks = []

    def watching(net, x, y, *, generator, step):
        masks.append((net[3](torch.ones(1, 50)) != 0).tolist())
        return train.standard(net, x, y, generator=generator, step=step)

    for seed in (0, 1):
        fit(make_net(), points, objective=watching, seed=seed)
    assert len({str(mask) for mask in masks}) == len(masks) == 32


def test_every_epoch_shows_every_example_once_in_a_new_order():
    schedule = train.Schedule(epochs=3, batch=8, lr=1)
    plan = list(train.batches(29, schedule, seed=0))
    assert [(epoch, step) for epoch, step, _, _ in plan] == [(step // 4, step) for step in range(12)]
    orders = [torch.cat([rows for e, _, rows, _ in plan if e == epoch]).tolist() for epoch in range(3)]
    assert all(sorted(order) == list(range(29)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    later = torch.cat([rows for _, _, rows, _ in train.batches(29, schedule, seed=0, first=2)])
    assert later.tolist() == orders[2]


# The schedule


def test_the_rate_falls_by_the_factor_that_is_named():
    schedule = train.Schedule(epochs=60, batch=8, lr=0.1, drops=(20, 40), adam=False, factor=0.75)
    assert [schedule.lr_at(epoch) for epoch in (19, 20, 39, 40)] == pytest.approx([0.1, 0.075, 0.075, 0.05625])


def test_training_stops_after_the_first_epoch_whose_loss_is_low_enough(points, tmp_path):
    whole = fit(make_net(), points)
    losses = [entry["loss"] for entry in whole]
    stop = (losses[1] + losses[2]) / 2
    assert losses[0] > losses[1] > stop > losses[2]
    schedule = dataclasses.replace(SCHEDULES["adam"], stop=stop)
    checkpoint = Checkpoint(tmp_path / "a.checkpoint", every=0)
    ended = [*whole[:2], whole[2] | {"stopped": True}]
    assert fit(make_net(), points, schedule=schedule, checkpoint=checkpoint) == ended
    assert fit(make_net(), points, schedule=schedule, checkpoint=checkpoint) == ended  # resumed, it stays stopped


def test_a_loss_below_zero_ends_no_training_that_has_no_stop(points, tmp_path):
    def constant(net, x, y, *, generator, step):
        return {"loss": 0 * net(x).sum() - 1}

    checkpoint = Checkpoint(tmp_path / "a.checkpoint", every=0)
    schedule = dataclasses.replace(SCHEDULES["adam"], epochs=5)
    first = fit(make_net(), points, objective=constant, schedule=schedule, checkpoint=checkpoint)
    assert [(entry["epoch"], entry["loss"]) for entry in first] == [(i, -1) for i in (1, 2, 3, 4, 5)]
    longer = dataclasses.replace(schedule, epochs=7)
    resumed = fit(make_net(), points, objective=constant, schedule=longer, checkpoint=checkpoint)
    assert [entry["epoch"] for entry in resumed] == [1, 2, 3, 4, 5, 6, 7]
    assert not any("stopped" in entry for entry in resumed)


@pytest.mark.parametrize("adam", [True, False])
def test_the_learning_rate_drops_after_the_epochs_that_are_named(points, adam):
    schedule = train.Schedule(epochs=5, batch=29, lr=0.5, drops=(2, 4), adam=adam)
    assert [schedule.lr_at(epoch) for epoch in range(5)] == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.005])
    used = []
    net = make_net()
    make, optimizers = schedule.optimizer, []

    class Spy(train.Schedule):
        def optimizer(self, net):
            optimizers.append(make(net))
            return optimizers[0]

    def watching(net, x, y, *, generator, step):
        used.append(optimizers[0].param_groups[0]["lr"])
        return train.standard(net, x, y, generator=generator, step=step)

    fit(net, points, schedule=Spy(5, 29, 0.5, (2, 4), adam), objective=watching)
    assert used == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.005])


def test_the_optimizer_has_the_schedules_settings():
    sgd, adam = (SCHEDULES[name].optimizer(make_net()) for name in ("sgd", "adam"))
    assert isinstance(sgd, torch.optim.SGD)
    assert isinstance(adam, torch.optim.Adam)
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    assert {name: sgd.param_groups[0][name] for name in settings} == settings
    decayed = train.Schedule(epochs=1, batch=1, lr=0.1, weight_decay=0.3).optimizer(make_net())
    assert decayed.param_groups[0]["weight_decay"] == 0.3


def test_one_step_of_sgd_is_one_step_of_gradient_descent(points):
    x, y = points
    net, by_hand = nn.Linear(6, 3).double(), nn.Linear(6, 3).double()
    by_hand.load_state_dict(net.state_dict())
    loss = F.cross_entropy(by_hand(x.double()), y)
    gradients = torch.autograd.grad(loss, list(by_hand.parameters()))
    history = fit(net, (x.double(), y), schedule=train.Schedule(epochs=1, batch=29, lr=0.1, adam=False))
    for p, q, gradient in zip(net.parameters(), by_hand.parameters(), gradients, strict=True):
        torch.testing.assert_close(p, q - 0.1 * gradient)
    assert history[0]["loss"] == pytest.approx(float(loss.detach()))
    assert history[0]["error"] == pytest.approx(float((by_hand(x.double()).argmax(1) != y).double().mean()))


def test_the_history_holds_means_over_examples_not_over_batches(points):
    def length(net, x, y, *, generator, step):
        return {**train.standard(net, x, y, generator=generator, step=step), "first": x[:, 0].mean()}

    history = fit(make_net(), points, objective=length)
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4]
    for entry in history:
        assert entry["first"] == pytest.approx(float(points[0][:, 0].mean()), abs=1e-6)


# Watching


def test_the_net_is_watched_before_the_steps_and_at_the_end(points):
    seen = []

    def watch(net):
        assert not net.training
        seen.append(net[0].weight.detach().clone())
        return {"seen": len(seen)}

    net = make_net()
    start = net[0].weight.detach().clone()
    history = fit(net, points, watch=watch, watch_at={0, 1, 6, 16})
    assert [entry["step"] for entry in history if "step" in entry] == [0, 1, 6, 16]
    assert torch.equal(seen[0], start)
    assert not torch.equal(seen[1], start)
    assert torch.equal(seen[-1], net[0].weight)
    blind = make_net()
    fit(blind, points)
    assert equal(blind, net)  # and watching changes nothing


# Objectives


def test_the_adversarial_objective_trains_at_perturbed_images_with_every_budget(points):
    used = []

    def perturb(net, x, y, eps, *, generator):
        assert net.training
        used.append(eps)
        return x + eps

    objective = train.adversarial(perturb, (1.0, 4.0, 8.0))
    history = fit(make_net(), points, objective=objective)
    assert set(used) == {1.0, 4.0, 8.0}
    plain = fit(make_net(), points)
    assert history != plain
    net = make_net().eval()
    net.train = lambda mode=True: net  # dropout off, so that the loss can be computed by hand
    objective = train.adversarial(lambda net, x, y, eps, generator: x + eps, (0.5,))
    terms = objective(net, *points, generator=torch.Generator().manual_seed(0), step=0)
    torch.testing.assert_close(terms["loss"], F.cross_entropy(net(points[0] + 0.5), points[1]))


def test_training_against_an_adversary_makes_the_net_harder_to_fool():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(400) % 2
    x = torch.randn(400, 20, generator=generator)
    x[:, 0] = 2.0 * (2 * y - 1)  # one strong feature...
    x[:, 1:] = 0.3 * (2 * y - 1)[:, None] + x[:, 1:]  # ...and many weak ones
    schedule = train.Schedule(epochs=15, batch=50, lr=1e-2)

    def perturb(net, x, y, eps, *, generator):
        return attack.pgd_linf(net, x, y, eps, generator=generator, steps=5)

    errors = []
    for objective in (train.standard, train.adversarial(perturb, (0.6,))):
        with train.seeded(0):
            net = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 2))
        fit(net, (x, y), schedule=schedule, objective=objective)
        errors.append(1 - float(train.correct(net, perturb(net, x, y, 0.6, generator=generator), y).mean()))
    assert errors[1] < 0.7 * errors[0]


# Predictions


def test_predictions_are_the_nets_in_any_batch(points):
    net = make_net().eval()
    x, y = points
    torch.testing.assert_close(train.predict(net, x, batch=4), net(x).detach())
    assert not train.predict(net, x).requires_grad
    assert torch.equal(train.correct(net, x, y), (net(x).argmax(1) == y).float())


# Remainders and small sizes


@pytest.mark.parametrize(
    ("n", "batch", "sizes"),
    [(8, 4, [4, 4]), (10, 4, [4, 4, 2]), (9, 4, [4, 5]), (5, 4, [5]), (1, 4, [1]), (3, 2, [3]), (3, 1, [1, 1, 1])],
)
def test_one_that_is_left_over_joins_the_batch_before(n, batch, sizes):
    schedule = train.Schedule(epochs=2, batch=batch, lr=1e-2)
    plan = list(train.batches(n, schedule, seed=0))
    assert [len(rows) for _, _, rows, _ in plan] == 2 * sizes
    assert [step for _, step, _, _ in plan] == list(range(2 * len(sizes)))
    assert schedule.steps(n) == len(sizes)
    assert sorted(torch.cat([rows for epoch, _, rows, _ in plan if epoch == 1]).tolist()) == list(range(n))


def test_a_remainder_of_one_trains_a_net_with_batch_normalisation(points):
    x, y = (part[:17] for part in points)  # two batches of eight, and one more
    history = fit(make_net(), (x, y))
    assert len(history) == 4
    assert all(math.isfinite(entry["loss"]) for entry in history)


@pytest.mark.parametrize(("n", "batch"), [(1, 8), (5, 1)])
def test_batches_of_one_are_refused_where_they_have_no_statistics(points, n, batch):
    schedule = train.Schedule(epochs=1, batch=batch, lr=1e-2)
    with pytest.raises(UsageError, match=f"batch = {batch}, {n} images"):
        fit(make_net(), tuple(part[:n] for part in points), schedule)
    fit(nn.Linear(6, 3), tuple(part[:n] for part in points), schedule)


def test_as_many_labels_as_images_are_asked_for(points):
    x, y = points
    for wrong in ((x, y[:1]), (x[:1], y), (x[:0], y[:0])):
        with pytest.raises(ValueError, match="examples: give as many of each"):
            fit(make_net(), wrong)
    for wrong in (y[:1], y[:, None]):
        with pytest.raises(ValueError, match="labels of the shape"):
            train.correct(make_net().eval(), x, wrong)


def test_the_largest_seed_trains(points):
    assert len(fit(make_net(), points, seed=2**31 + 10**6)) == 4
