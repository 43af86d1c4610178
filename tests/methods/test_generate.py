"""The generative approach: a data set that lies exactly on the decoder's image, drawn as Algorithm 1 says."""

import dataclasses
from itertools import pairwise

import pytest
import torch
from torch import nn

from pags import autoencoder, data, generate, nets, paths, train, vae
from pags.artifacts import Artifact
from pags.errors import PagsError

CPU = torch.device("cpu")
SCHEDULE = train.Schedule(epochs=1, batch=32, lr=1e-3)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def artifact(net, **info):
    return Artifact(net.state_dict(), info, "0" * 64)


@pytest.fixture(scope="module")
def images():
    return data.load("strokes", "train", n=96)


@pytest.fixture(scope="module")
def manifold():
    with train.seeded(0):
        return artifact(vae.VAE(3), latents=3)


class Classes(nn.Module):
    """Ten random directions from the decoder's middle: quick, sure of some images and unsure of others."""

    def __init__(self, model):
        super().__init__()
        self.directions = torch.randn(1024, 10, generator=generator())
        self.middle = model.decode(torch.zeros(1, 3)).flatten(1)

    def forward(self, x):
        return (x.flatten(1) - self.middle) @ self.directions


@pytest.fixture
def labels(model, monkeypatch):
    """A labelling function that takes no time, in the place of SimpleNet."""
    monkeypatch.setattr(generate, "load_labeller", lambda labels, device: Classes(model))
    return Artifact({}, {"classes": 10}, "0" * 64)


@pytest.fixture
def model(manifold):
    return vae.load(manifold)


@pytest.fixture
def net(model):
    return Classes(model)


def draw(manifold, labels, n=40, seed=0, **options):
    config = generate.Draw(train=n, test=n // 2, **options)
    return generate.draw(config, manifold, labels, seed=seed, device=CPU, checkpoint=None)


# The labelling function


def test_labels_are_the_most_probable_classes(net, images):
    y, p = generate.label(net, images.x[:20], batch=7)
    softmax = net(images.x[:20]).softmax(1)
    assert torch.equal(y, softmax.argmax(1))
    torch.testing.assert_close(p, softmax.max(1).values)


def test_the_labelling_function_sees_reconstructions_of_the_first_n(manifold, images, monkeypatch):
    seen = []

    def standard(net, x, y, *, generator, step):
        seen.append((x.detach().clone(), y))
        return true(net, x, y, generator=generator, step=step)

    true = train.standard
    monkeypatch.setattr(train, "standard", standard)
    config = generate.Labeller(width=0.125, n=50, schedule=train.Schedule(epochs=2, batch=50, lr=1e-3))
    _, info = generate.fit_labeller(config, images, manifold, seed=0, device=CPU, checkpoint=None)
    assert (info["classes"], info["width"]) == (10, 0.125)
    assert [len(x) for x, _ in seen] == [50, 50]
    for _, y in seen:
        assert y.bincount(minlength=10).tolist() == images.y[:50].bincount(minlength=10).tolist()
    model = vae.load(manifold)
    first, second = (x[y.argsort(stable=True)] for x, y in seen)
    assert not torch.allclose(first, second)  # a fresh sample of the latents in every epoch
    distance = torch.cdist(first.flatten(1), images.x[:50].flatten(1)).min()
    on_manifold = torch.cdist(
        first.flatten(1), model.decode(torch.randn(500, 3, generator=generator())).flatten(1)
    ).min()
    assert on_manifold < distance


def test_the_labelling_function_learns_and_repeats_itself(manifold, images):
    config = generate.Labeller(width=0.125, n=96, schedule=SCHEDULE)
    options = {"device": CPU, "checkpoint": None}
    first, again, other = (generate.fit_labeller(config, images, manifold, seed=s, **options)[0] for s in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["0.weight"], other["0.weight"])


def test_a_loaded_labelling_function_is_frozen():
    net = nets.simplenet(7, width=0.125)
    loaded = generate.load_labeller(artifact(net, classes=7, width=0.125))
    assert not loaded.training
    assert not any(p.requires_grad for p in loaded.parameters())
    assert torch.equal(loaded[-1].weight, net[-1].weight)


# The draw


def test_proposals_come_from_the_prior_with_their_labels(model, net):
    found = generate.propose(model, net, 4000, generator=generator())
    assert abs(float(found["z"].mean())) < 4.5 / 12_000**0.5
    assert float(found["z"].std()) == pytest.approx(1, abs=0.03)
    y, p = generate.label(net, model.decode(found["z"]))
    assert torch.equal(found["y"], y)
    torch.testing.assert_close(found["p"], p)


def test_a_proposal_is_kept_with_the_square_of_its_probability(model, net):
    found = generate.propose(model, net, 4000, generator=generator())
    p, keep = found["p"], found["keep"].float()
    cuts = p.quantile(torch.linspace(0, 1, 6))
    assert cuts[4] - cuts[1] > 0.15  # there are sure and unsure ones
    for low, high in pairwise(cuts):
        inside = (p >= low) & (p <= high)
        expected = p[inside].square()
        error = float((expected * (1 - expected)).mean() / inside.sum()) ** 0.5
        assert float(keep[inside].mean()) == pytest.approx(float(expected.mean()), abs=4 * error + 1e-6)


def test_the_drawn_images_lie_exactly_on_the_decoders_image(manifold, labels, model, net):
    tensors, info = draw(manifold, labels)
    drawn = Artifact(tensors, info, "0" * 64)
    train_split, test_split = (generate.dataset(drawn, model, "strokes", split) for split in data.SPLITS)
    assert (len(train_split.x), len(test_split.x)) == (40, 20)
    for split in (train_split, test_split):
        assert torch.equal(split.x, model.decode(split.latents))
        assert torch.equal(split.y, generate.label(net, split.x)[0])
        assert split.classes == 10
    assert torch.cdist(train_split.latents, test_split.latents).min() > 0  # no example is in both
    assert train_split.fingerprint != test_split.fingerprint


def test_a_seed_fixes_the_draw(manifold, labels):
    (first, _), (again, _), (other, _) = (draw(manifold, labels, seed=s) for s in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["z_train"], other["z_train"])


def test_the_share_of_kept_proposals_is_told(manifold, labels, model, net):
    _, info = draw(manifold, labels, n=1200)
    p = generate.propose(model, net, 2000, generator=generator(5))["p"]
    assert 0.1 < info["accepted"] < 0.95
    assert info["accepted"] == pytest.approx(float(p.square().mean()), abs=0.05)


def test_without_rejection_everything_is_kept(manifold, labels):
    tensors, info = draw(manifold, labels, reject=False)
    assert info["accepted"] == 1
    z = torch.randn(2000, 3, generator=generator())
    assert torch.equal(torch.cat([tensors["z_test"], tensors["z_train"]]), z[:60])


@pytest.mark.parametrize("n", [2, 30])
def test_small_data_sets_can_be_drawn(manifold, labels, n):
    tensors, _ = draw(manifold, labels, n=n)
    assert (len(tensors["y_train"]), len(tensors["y_test"])) == (n, n // 2)


def test_a_labelling_function_that_is_never_sure_ends_the_draw(manifold, labels, monkeypatch):
    def unsure(model, net, n, *, generator):
        return {
            "z": torch.zeros(n, 3),
            "y": torch.zeros(n),
            "p": torch.zeros(n),
            "keep": torch.zeros(n, dtype=torch.bool),
        }

    monkeypatch.setattr(generate, "propose", unsure)
    with pytest.raises(PagsError, match=r"gave fewer than 60 examples, the labelling function is unsure: train"):
        draw(manifold, labels)


# The whole


def test_the_pipeline_is_made_once_and_then_read(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ARTIFACTS", tmp_path)
    config = generate.Config(
        data="strokes",
        n=64,
        vae=vae.Config(latents=3, schedule=SCHEDULE, anneal=5),
        labeller=generate.Labeller(width=0.125, n=64, schedule=SCHEDULE),
        draw=generate.Draw(train=30, test=10, reject=False),
    )
    made = generate.build(config, seed=0)
    assert torch.equal(made.test.x, made.vae.decode(made.test.latents))
    assert len(made.source.x) == 64
    before = {path.name for path in tmp_path.glob("*.safetensors")}
    assert len(before) == 3

    def never(*_, **__):
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(train, "fit", never)
        again = generate.build(config, seed=0)
    assert again.train.fingerprint == made.train.fingerprint
    assert again.artifacts[2].fingerprint == made.artifacts[2].fingerprint
    longer = dataclasses.replace(config, draw=generate.Draw(train=40, test=10, reject=False))
    with monkeypatch.context() as patch:
        patch.setattr(train, "fit", never)  # another draw needs no other model
        assert len(generate.build(longer, seed=0).train.x) == 40


# The reconstructive approach


CONFIG = autoencoder.Config(latents=5, schedule=train.Schedule(epochs=4, batch=16, lr=2e-3), width=8)


@pytest.mark.parametrize("channels", [1, 3])
def test_reconstructions_lie_exactly_on_the_autoencoders_image(channels):
    with train.seeded(0):
        net = autoencoder.Autoencoder(channels, 32, 5, 8).eval().requires_grad_(False)
    x = torch.rand(7, channels, 32, 32, generator=generator())
    z, found = autoencoder.reconstruct(net, x, batch=3)
    assert z.shape == (7, 5)
    assert found.shape == x.shape
    assert 0 <= found.min() <= found.max() <= 1
    torch.testing.assert_close(found, net(x))
    torch.testing.assert_close(net.decode(z), found)


def test_an_autoencoder_learns_repeats_itself_and_is_loaded_frozen(images):
    options = {"device": CPU, "checkpoint": None}
    (first, info), (again, _) = (autoencoder.fit(CONFIG, images, seed=0, **options) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert info["history"][-1]["loss"] < 0.95 * info["history"][0]["loss"]
    net = autoencoder.load(Artifact(first, info, ""))
    assert not net.training
    assert not any(p.requires_grad for p in net.parameters())
    error = (net(images.x) - images.x).square().flatten(1).sum(1).mean()
    assert float(error) == pytest.approx(info["history"][-1]["loss"], rel=0.2)


def test_a_given_vae_takes_the_place_of_training_one(manifold, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "ARTIFACTS", tmp_path)
    monkeypatch.setattr(vae, "fit", None)  # nobody may train one
    config = generate.Config(
        data="strokes",
        n=64,
        vae=vae.Config(latents=10, schedule=SCHEDULE),
        labeller=generate.Labeller(width=0.125, n=32, schedule=SCHEDULE),
        draw=generate.Draw(train=12, test=6, reject=False),
    )
    made = generate.build(config, seed=0, manifold=manifold)
    assert made.vae.latents == 3
    assert made.test.latents.shape == (6, 3)
    torch.testing.assert_close(made.test.x, made.vae.decode(made.test.latents))
    assert manifold in made.artifacts
    assert made.active == vae.active(made.vae, made.source.x)
