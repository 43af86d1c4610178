"""Jobs of several trainings: they give what their steps give one by one, and depend on the seed alone."""

from dataclasses import replace

import pytest
import torch

from pags import (
    artifacts,
    attribution,
    autoencoder,
    classify,
    data,
    generate,
    paths,
    replicate,
    tangent,
    train,
    vae,
    watch,
)

CPU = torch.device("cpu")
ONCE = train.Schedule(epochs=1, batch=32, lr=1e-3)
NET = classify.Config(schedule=ONCE)


@pytest.fixture(autouse=True)
def own_artifacts(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ARTIFACTS", tmp_path)


@pytest.fixture(scope="module")
def images():
    return data.load("strokes", "train", n=64)


def a_probe(n=8, k=3):
    g = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(n, 1024, k, generator=g)).Q
    return watch.probe(torch.rand(n, 1, 32, 32, generator=g), torch.zeros(n).long(), basis)


def test_explaining_is_training_and_then_asking(images):
    probe = a_probe()
    got = artifacts.cached(replicate.explained, NET, images, probe, seed=3)
    net = classify.load(artifacts.cached(classify.fit, NET, images, seed=3))
    gradient = tangent.fraction_in(probe.basis, attribution.gradient(net, probe.x))
    torch.testing.assert_close(got.tensors["gradient"].norm(dim=1), gradient)
    assert got.tensors["Input x Gradient"].shape == (8, 3)
    assert got.info["accuracy"] == float((net(probe.x).argmax(1) == 0).float().mean())


def test_asking_a_trained_net_trains_nothing(images):
    probe, trained = a_probe(), artifacts.cached(classify.fit, NET, images, seed=3)
    config = replicate.Explanation(samples=3)
    got = artifacts.cached(replicate.asked, config, trained, probe, seed=0)
    path = attribution.integrated_gradients(classify.load(trained), probe.x, steps=3, times_input=False)
    fraction = tangent.fraction_in(probe.basis, path)
    torch.testing.assert_close(got.tensors["Integrated Gradients"].norm(dim=1), fraction)
    assert got.tensors.keys() == attribution.METHODS.keys()


def test_the_pipeline_depends_on_its_seed_alone(images):
    manifold = generate.Config(
        data="strokes",
        n=64,
        vae=vae.Config(latents=4, schedule=ONCE),
        labeller=generate.Labeller(width=0.125, n=32, schedule=ONCE),
        draw=generate.Draw(train=32, test=8, reject=False),
    )
    place = replicate.Place(images.fingerprint, paths.DATA)
    config = replicate.Generative(manifold, NET, 8)
    (first, info), (again, _), (other, _) = (
        replicate.generative(config, place, seed=seed, device=CPU) for seed in (1, 1, 3)
    )
    assert 0 <= info["active"] <= 4
    assert first.keys() == attribution.METHODS.keys()
    assert all(torch.equal(values, again[name]) for name, values in first.items())
    assert not torch.equal(first["gradient"], other["gradient"])


def test_a_reconstruction_lies_on_the_manifold_that_explains_it(images):
    against = replace(NET, budgets=(0.5,), pgd_steps=1)
    small = autoencoder.Config(latents=5, schedule=ONCE, width=8)
    config = replicate.Reconstructive(small, NET, against, explain=6, shown=4)
    held_out = data.load("strokes", "test", n=10)
    got = artifacts.cached(replicate.reconstructive, config, images, held_out, seed=0)
    assert (got.info["k"], got.info["d"]) == (5, 1024)
    assert {got.tensors[name].shape for name in (*attribution.METHODS, "robust")} == {(6, 5)}
    assert 0 < got.tensors["random"].norm(dim=1).mean() < 3 * tangent.chance_level(5, 1024)
    assert got.tensors["picture"].shape == got.tensors["map gradient"].shape == (4, 1, 32, 32)
    assert 0 < got.info["missed"] < 3
    assert {"accuracy", "robust accuracy"} < got.info.keys()


def test_large_images_are_explained_in_blocks_with_the_same_result(images, monkeypatch):
    small = autoencoder.Config(latents=5, schedule=ONCE, width=8)
    config = replicate.Reconstructive(small, NET, NET, explain=6, shown=2)
    held_out = data.load("strokes", "test", n=10)
    whole, _ = replicate.reconstructive(config, images, held_out, seed=0, device=CPU)
    monkeypatch.setattr(replicate, "BLOCK", 2 * 5 * 1024)
    parts, _ = replicate.reconstructive(config, images, held_out, seed=0, device=CPU)
    for name in ("gradient", "Input x Gradient", "robust"):  # those that draw nothing
        assert torch.allclose(whole[name].norm(dim=1), parts[name].norm(dim=1), atol=1e-4)
    assert parts["SmoothGrad"].shape == (6, 5)


def test_upsampling_images_and_jacobians_is_one_linear_map(images):
    model = vae.VAE(3).eval()
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    decoded = data.dataset("decoded", "test", model.decode(z).detach(), torch.zeros(4).long(), 10, z)
    large = replicate.upsampled(decoded, 64)
    assert large.x.shape == (4, 1, 64, 64)
    assert large.fingerprint != decoded.fingerprint
    moved = tangent.jacobian(lambda z: tangent.upsample(model.decode(z), 64), z)
    assert torch.allclose(moved, tangent.upsample_jacobian(tangent.jacobian(model.decode, z), 64), atol=1e-6)
