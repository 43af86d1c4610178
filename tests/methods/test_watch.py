"""Watching a training: at which steps, what is seen, and that watching changes nothing."""

from itertools import pairwise

import pytest
import torch

from pags import artifacts, attribution, classify, data, tangent, train, watch

CONFIG = classify.Config(schedule=train.Schedule(epochs=2, batch=16, lr=1e-3))


@pytest.mark.parametrize(("last", "count"), [(1, 3), (100, 14), (10_000, 40), (80_000, 120)])
def test_steps_are_spaced_in_log(last, count):
    found = watch.steps(last, count)
    assert {0, last} <= found
    assert min(found) == 0
    assert max(found) == last
    assert len(found) <= count
    assert len(found) > min(count / 2, last)
    late = sorted(step for step in found if step > last**0.5)
    ratios = [b / a for a, b in pairwise(late)]
    assert not ratios or max(ratios) < 1.3 * (last + 1) ** (1 / (count - 1)) + 0.1


def test_the_fraction_is_watched_at_the_probe():
    images = data.load("strokes", "train", n=48, size=12)
    basis = torch.linalg.qr(torch.randn(10, 144, 4, generator=torch.Generator().manual_seed(0))).Q
    probe = watch.probe(images.x[:10], images.y[:10], basis)
    assert probe.fingerprint != watch.probe(images.x[:10], images.y[:10], -basis).fingerprint
    options = {"seed": 0, "device": torch.device("cpu")}
    tensors, info = watch.fit(watch.Config(CONFIG, looks=4), images, probe, **options)
    entries = [entry for entry in info["history"] if "step" in entry]
    assert [entry["step"] for entry in entries] == sorted(watch.steps(6, 4))
    net = classify.load(artifacts.Artifact(tensors, info, ""))
    fraction = tangent.fraction_in(probe.basis, attribution.gradient(net, probe.x))
    last = entries[-1]
    assert last["gradient"] == pytest.approx(float(fraction.mean()), rel=1e-5)
    assert last["gradient se"] == pytest.approx(float(fraction.std()) / 10**0.5, rel=1e-4)
    quantiles = fraction.quantile(torch.tensor([0.05, 0.95])).tolist()
    assert [last["gradient q05"], last["gradient q95"]] == pytest.approx(quantiles, rel=1e-5)
    assert last["error"] == pytest.approx(1 - float(train.correct(net, probe.x, probe.y).mean()))
    blind, _ = classify.fit(CONFIG, images, **options)
    assert all(torch.equal(tensors[name], blind[name]) for name in tensors)


def test_every_method_can_be_watched_and_a_dead_net_has_no_fraction():
    images = data.load("strokes", "train", n=12, size=12)
    basis = torch.linalg.qr(torch.randn(12, 144, 4, generator=torch.Generator().manual_seed(0))).Q
    probe = watch.probe(images.x, images.y, basis)
    config = watch.Config(CONFIG, looks=2, methods=tuple(attribution.METHODS), samples=3)
    with train.seeded(0):
        net = classify.build(classify.shape(CONFIG, images)).eval()
    found = watch.look(probe, config, net)
    assert found == watch.look(probe, config, net)
    path = attribution.integrated_gradients(net, images.x, steps=3, times_input=False)
    assert found["Integrated Gradients"] == pytest.approx(float(tangent.fraction_in(basis, path).mean()), rel=1e-5)
    torch.nn.init.zeros_(net[-1].weight)
    dead = watch.look(probe, config, net)
    assert (found["gradient none"], dead["gradient none"]) == (0, 1)
    assert dead["gradient"] != dead["gradient"]  # not a number
    assert 0 < dead["random"] < 1


def test_parts_along_the_directions_give_the_fraction_at_every_rank():
    images = data.load("strokes", "train", n=5, size=12)
    basis = torch.linalg.qr(torch.randn(5, 144, 4, generator=torch.Generator().manual_seed(0))).Q
    probe = watch.probe(images.x, images.y, basis)
    with train.seeded(0):
        net = classify.build(classify.shape(CONFIG, images)).eval()
    method = attribution.METHODS["gradient"]
    parts = watch.cosines(probe, net, method, generator=torch.Generator())
    v = attribution.gradient(net, images.x)
    for r in (1, 3, 4):
        torch.testing.assert_close(parts[:, :r].norm(dim=1), tangent.fraction_in(basis[..., :r], v))


def test_what_watches_is_no_part_of_what_is_trained():
    sources = artifacts._sources("pags")
    changed = sources | {"pags.attribution": sources["pags.attribution"] + "\nANOTHER = 1\n"}
    before, after = (
        [artifacts.source_hash(f"pags.{module}", some) for module in ("classify", "watch")]
        for some in (sources, changed)
    )
    assert before[0] == after[0]
    assert before[1] != after[1]
