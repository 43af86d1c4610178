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
    assert last["fraction"] == pytest.approx(float(fraction.mean()), rel=1e-5)
    quantiles = fraction.quantile(torch.tensor([0.05, 0.95])).tolist()
    assert [last["low"], last["high"]] == pytest.approx(quantiles, rel=1e-5)
    assert last["error"] == pytest.approx(1 - float(train.correct(net, probe.x, probe.y).mean()))
    blind, _ = classify.fit(CONFIG, images, **options)
    assert all(torch.equal(tensors[name], blind[name]) for name in tensors)


def test_what_watches_is_no_part_of_what_is_trained():
    sources = artifacts.sources("pags")
    changed = sources | {"pags.attribution": sources["pags.attribution"] + "\nANOTHER = 1\n"}
    before, after = (
        [artifacts.source_hash(f"pags.{module}", some) for module in ("classify", "watch")]
        for some in (sources, changed)
    )
    assert before[0] == after[0]
    assert before[1] != after[1]
