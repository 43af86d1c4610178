"""A job that measures: what comes back is what the trained net does, and it is small."""

from dataclasses import replace

import pytest
import torch

from pags import artifacts, attack, classify, data, measure, outputs, paths, regularize, robustness, similarity, train
from pags.errors import PagsError, UsageError

CPU = torch.device("cpu")
CLASSIFIER = classify.Config(train.Schedule(epochs=2, batch=16, lr=1e-2), net="linear", pgd_steps=2)
CONFIG = measure.Config(regularize.Training(CLASSIFIER, "PGD", 0.5), size=0.1, draws=2, noise=7)


@pytest.fixture(scope="module")
def images():
    return data.load("strokes", "train", n=64)


@pytest.fixture(scope="module")
def at():
    """Five explained images, four of them with a score, eight test images."""
    test = data.load("strokes", "test", n=100).first(8)
    seen = test.first(5)
    generator = torch.Generator().manual_seed(1)
    scores = {sigma: torch.randn(4, *seen.x.shape[1:], generator=generator) for sigma in (0.25, 0.5)}
    return measure.probe(seen.x, torch.linalg.qr(torch.randn(5, 1024, 3, generator=generator)).Q, scores, test)


def test_the_measures_are_those_of_the_net_that_the_same_training_gives(images, at):
    found, info = measure.fit(CONFIG, images, at, seed=3, device=CPU)
    weights, about = regularize.fit(CONFIG.training, images, seed=3, device=CPU)
    assert info == {"history": about["history"], "kept": []}
    net = classify.load(artifacts.Artifact(weights, about, ""))
    on, off = robustness.on_off_change(
        net, at.x, at.basis, size=0.1, draws=2, generator=torch.Generator().manual_seed(7)
    )
    assert torch.allclose(found["on"], on, atol=1e-6)
    assert torch.allclose(found["off"], off, atol=1e-6)
    assert torch.equal(found["accuracy"], train.correct(net, at.test.x, at.test.y))
    E = net[1].weight[net(at.x).argmax(1)].reshape(at.x.shape)  # a linear net's gradient
    assert torch.allclose(found["rho_2"], robustness.alignment(at.basis, E))
    assert torch.allclose(found["rho_1"], found["rho_2"], atol=1e-3)  # both are the same, it does not bend
    assert torch.allclose(found["confidence"], net(at.x).softmax(1).amax(1))
    score = at.scores[0.25]
    assert torch.allclose(found["SSIM"][0], similarity.ssim(E[:4], score), atol=1e-5)
    assert torch.allclose(found["cosine"][0], torch.cosine_similarity(E[:4].flatten(1), score.flatten(1)), atol=1e-5)
    all_others = [similarity.cosine(at.basis[:4], E[:4], score.roll(i, 0)) for i in (1, 2, 3)]
    main = "cosine in tangent space"
    wanted = torch.stack(all_others).mean(0)
    assert torch.allclose(found[measure.named(main, "predicted logit", 0.25)][1], wanted, atol=1e-5)
    whole = net[1].weight.sum(0).reshape(1, 1, 32, 32).expand(4, -1, -1, -1)  # whatever the image
    found_of_sum = found[measure.named(main, "sum of logits", 0.5)][0]
    assert torch.allclose(found_of_sum, similarity.cosine(at.basis[:4], whole, at.scores[0.5]), atol=1e-5)


def test_fixed_steps_are_of_one_length(images, at):
    found, _ = measure.fit(replace(CONFIG, size=1.5, fixed=True), images, at, seed=3, device=CPU)
    weights, about = regularize.fit(CONFIG.training, images, seed=3, device=CPU)
    net = classify.load(artifacts.Artifact(weights, about, ""))
    noise = torch.Generator().manual_seed(7)
    steps = [
        1.5 * attack.unit_l2(u)
        for _ in range(2)
        for u in robustness.on_and_off(at.basis, at.x, size=1, generator=noise)
    ]
    moved = robustness.change(net, at.x, *steps)
    assert torch.allclose(found["on"], (moved[0] + moved[2]) / 2, atol=1e-5)
    assert torch.allclose(found["off"], (moved[1] + moved[3]) / 2, atol=1e-5)


def test_what_returns_is_small_and_has_no_weights(images, at, tmp_path):
    made = artifacts.cached(measure.fit, CONFIG, images, at, seed=0, directory=tmp_path)
    assert {tuple(v.shape) for v in made.tensors.values()} == {(5,), (2, 4), (8,)}
    pairs = 2 * len(outputs.OUTPUTS) + 2  # two noise levels of the main measure, the plain cosine, SSIM
    assert sum(v.nbytes for v in made.tensors.values()) == 5 * 4 * 5 + pairs * 2 * 4 * 4 + 4 * 8


def test_weights_that_are_kept_are_those_of_the_training_by_itself(images, at, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ARTIFACTS", tmp_path)
    found, info = measure.fit(replace(CONFIG, keep_weights=True), images, at, seed=3, device=CPU)
    assert artifacts.ready(regularize.fit, CONFIG.training, images, seed=3)
    plain, about = measure.fit(CONFIG, images, at, seed=3, device=CPU)
    assert (info["history"], about["kept"]) == (about["history"], [])
    assert info["kept"] == [artifacts.cached(regularize.fit, CONFIG.training, images, seed=3).fingerprint]
    assert all(torch.equal(found[name], plain[name]) for name in plain)
    assert [path.stem.partition("-")[0] for path in tmp_path.glob("*.safetensors")] == ["fit"]


def test_more_than_a_megabyte_is_refused_before_the_training(images, at):
    many = data.dataset("many", "test", at.test.x[:1].expand(300_000, -1, -1, -1), torch.zeros(300_000).long(), 10)
    endless = replace(CONFIG, training=replace(CONFIG.training, classifier=None))
    with pytest.raises(PagsError, match=r"300000 test images take 1,200,420 bytes, .* 1,000,000: use fewer images"):
        measure.fit(endless, images, replace(at, test=many), seed=0, device=CPU)


@pytest.mark.parametrize("s", [1, 6])
def test_a_score_without_a_null_or_without_its_image_is_refused(at, s):
    score = torch.zeros(s, *at.x.shape[1:])
    with pytest.raises(UsageError, match=f"at {s} images, 5 are explained: take from 2 to 5"):
        measure.probe(at.x, at.basis, {0.25: score}, at.test)


def test_the_fingerprint_is_that_of_the_content(at):
    same = measure.probe(at.x, at.basis, at.scores, at.test)
    assert same.fingerprint == at.fingerprint
    assert measure.probe(at.x, at.basis, {s: -v for s, v in at.scores.items()}, at.test).fingerprint != at.fingerprint
    assert measure.probe(at.x, at.basis, at.scores, at.test, {"w": torch.ones(1)}).fingerprint != at.fingerprint


def test_images_too_small_for_lpips_are_refused_before_anything_is_trained():
    small = data.load("strokes", "test", n=4, size=28)
    basis, score = torch.zeros(4, 784, 2), torch.zeros_like(small.x)
    measure.probe(small.x, basis, {0.25: score}, small)
    with pytest.raises(UsageError, match="28 x 28 pixels: this measure needs at least 31 x 31; set lpips to false"):
        measure.probe(small.x, basis, {0.25: score}, small, {"features.0.weight": torch.zeros(1)})


@pytest.mark.parametrize("gpu", [False, True])
def test_what_is_computed_by_nets_is_known_by_its_content_and_on_a_gpu_by_theirs(at, gpu, monkeypatch):
    monkeypatch.setattr(train, "accelerated", lambda device: gpu)

    def key(basis, *nets):
        return measure.probe(at.x, basis, at.scores, at.test, made_by=nets).fingerprint

    rounded = at.basis * (1 + 1e-6)
    net, other, again = (
        artifacts.Artifact({"w": w}, {}, k) for w, k in ((1, "a"), (2, "a"), (1, "b")) for w in [torch.tensor(w)]
    )
    assert key(at.basis) != key(rounded)
    assert (key(at.basis, net) == key(rounded, net)) == gpu
    assert (key(at.basis, net) != key(at.basis, other)) == gpu  # other weights
    assert (key(at.basis, net) != key(at.basis, again)) == gpu  # other code
    assert key(at.basis, net) != key(at.basis[..., :2], net)
