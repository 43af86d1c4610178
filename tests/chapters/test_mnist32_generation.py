"""What chapter 02 defines on its own page: its measurements, its exercises' checks, and their solutions."""

import itertools
import math
import re
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jupytext
import pages
import pytest
import torch

from pags import artifacts, attribution, autoencoder, data, strokes, tangent, train, vae
from pags.book import chapters, claims

CHAPTER = "02_mnist32_generation"
NOTEBOOK = jupytext.read(chapters.source(CHAPTER))
CODE = [cell.source for cell in NOTEBOOK.cells if cell.cell_type == "code"]
TEXT = "\n".join(cell.source for cell in NOTEBOOK.cells if cell.cell_type == "markdown")
RNG = torch.Generator().manual_seed(0)


def chosen(name):
    """The generator of this name."""
    return torch.Generator().manual_seed(len(name))


def defined(*names, **given):
    """A namespace with these functions of the page, and what they need of it."""
    imported = (attribution, autoencoder, strokes, tangent, train, vae)
    space = {module.__name__.split(".")[1]: module for module in imported}
    space |= {"torch": torch, "math": math, "itertools": itertools, "replace": replace, "partial": partial}
    space |= {"run": SimpleNamespace(generator=chosen)} | given
    space = pages.defined(CHAPTER, space, functions=names)
    return SimpleNamespace(**{name: space[name] for name in names}), space


# The exact parts of the KL term


def test_the_exact_parts_add_up_to_the_kl_divergence():
    mu, logvar = torch.randn(50, 3, generator=RNG).double(), torch.randn(50, 3, generator=RNG).double() - 1
    rows = torch.arange(50).repeat(200)
    z = mu[rows] + (0.5 * logvar[rows]).exp() * torch.randn(len(rows), 3, generator=RNG).double()
    parts = defined("exact_parts")[0].exact_parts(z, mu, logvar, rows)
    assert [part.shape for part in parts] == [(10_000,)] * 3
    assert min(part.mean() for part in parts) > 0
    assert sum(part.mean() for part in parts) == pytest.approx(float(vae.kl(mu, logvar).sum(1).mean()), abs=0.05)


def test_codes_that_say_nothing_have_no_information_and_no_correlation():
    mu, z = torch.zeros(20, 4), torch.randn(100, 4, generator=RNG)
    rows = torch.zeros(100, dtype=torch.long)
    for part in defined("exact_parts")[0].exact_parts(z, mu, mu, rows):
        torch.testing.assert_close(part, torch.zeros(100), atol=1e-4, rtol=0)


def test_two_equal_latents_have_the_correlation_of_one_code():
    n = 64  # codes so sharp that each belongs to one image: KL between the pair and the product is log n
    mu = torch.arange(n).double()[:, None].repeat(1, 2)
    logvar = torch.full((n, 2), -20.0).double()
    _, correlation, _ = defined("exact_parts")[0].exact_parts(mu, mu, logvar, torch.arange(n))
    torch.testing.assert_close(correlation, torch.full((n,), math.log(n)).double())


# The instrument


def test_the_nearest_drawn_digit_to_a_drawn_digit_is_itself():
    nearest = defined("nearest")[0].nearest
    truth = data.load("strokes", "test", n=20)
    start = truth.latents + 0.05 * torch.randn(20, 10, generator=RNG)
    found = nearest(truth.x, start, truth.y, steps=8, damping=1e-4)
    again = torch.cat([strokes.render(found[i : i + 1], int(truth.y[i])) for i in range(20)])
    assert float((again - truth.x).flatten(1).norm(dim=1).max()) < 1e-2


def test_local_components_find_a_plane():
    plane = torch.linalg.qr(torch.randn(36, 2, generator=RNG)).Q
    points = torch.randn(200, 2, generator=RNG) @ plane.T
    basis = defined("local_pca")[0].local_pca(points.reshape(-1, 1, 6, 6), points[:5].reshape(-1, 1, 6, 6), 2)
    angles = tangent.principal_angles(basis.double(), plane.double().expand(5, 36, 2))
    torch.testing.assert_close(angles, torch.zeros(5, 2).double(), atol=0.1, rtol=0)


def test_the_attenuation_is_that_of_random_directions():
    reported = defined("reported")[0].reported
    k, d, f, n = 3, 60, 0.6, 20_000
    true, estimate = (torch.linalg.qr(torch.randn(d, k, generator=RNG)).Q for _ in range(2))
    estimate = torch.linalg.qr(true + 0.7 * estimate).Q
    inside = torch.randn(n, k, generator=RNG) @ true.T
    outside = torch.randn(n, d, generator=RNG)
    outside -= outside @ true @ true.T
    v = f * inside / inside.norm(dim=1, keepdim=True) + math.sqrt(1 - f**2) * outside / outside.norm(
        dim=1, keepdim=True
    )
    seen = ((inside @ estimate).norm(dim=1) / inside.norm(dim=1)).square().mean().sqrt()
    fraction = (v @ estimate).norm(dim=1).square().mean().sqrt()  # v has length one
    assert reported(f, float(seen), k, d) == pytest.approx(float(fraction), rel=0.01)


def test_an_autoencoder_learns_dark_images_instead_of_black():
    digits = data.load("strokes", "train", n=640)
    config = autoencoder.Config(latents=10, schedule=train.Schedule(epochs=8, batch=64, lr=1e-3))
    tensors, info = autoencoder.fit(config, digits, seed=0, device=torch.device("cpu"), checkpoint=None)
    net = autoencoder.load(artifacts.Artifact(tensors, info, ""))
    error = (autoencoder.reconstruct(net, digits.x)[1] - digits.x).square().sum()
    assert error < 0.7 * (digits.x - digits.x.mean(0)).square().sum()  # black would be above 1
    basis = tangent.tangent_basis(net.decode, net.encode(digits.x[:20]))
    assert tangent.rank(basis).tolist() == [10] * 20


# The exercises: a solution passes its check, a wrong answer does not


def test_beta(tmp_path):
    digits = data.load("strokes", "train", n=64)
    make = partial(artifacts.cached, seed=0, directory=tmp_path)
    given = {"run": SimpleNamespace(generator=chosen, make=make), "source": digits, "held_out": digits}
    schedule = train.Schedule(epochs=1, batch=64, lr=1e-3)
    settings = SimpleNamespace(manifold=SimpleNamespace(vae=vae.Config(latents=3, schedule=schedule)))
    page, _ = defined("check_beta", "verdict", P=settings, **given)
    answers = [page.check_beta(1, number) for number in range(4)]
    assert any(answers)
    assert not page.check_beta(1, 12)
    assert pages.answers({}, "ex-02-beta").keys() >= {"at_one", "at_thirty"}


def linear_decoder(k=4, size=32):
    matrix = torch.linalg.qr(torch.randn(size**2, k, generator=RNG)).Q * torch.tensor([1.0, 0.5, 0.2, 1e-3])
    return lambda z: (z @ matrix.T).reshape(-1, 1, size, size), matrix


def test_a_fairer_chance():
    _, matrix = linear_decoder()
    columns = tangent.upsample_jacobian(matrix.expand(48, -1, -1), 64)
    page, space = defined("check_chance", "verdict", columns=columns, P=SimpleNamespace(upsampled=64))
    assert page.check_chance(pages.answers(space, "ex-02-chance")["my_fraction"])
    assert not page.check_chance(tangent.chance_level(4, 64**2))


def test_a_threshold_that_counts_active_latents():
    singular = torch.tensor([[1.0, 0.5, 0.2, 1e-3]]).repeat(30, 1) * torch.rand(30, 1, generator=RNG)
    given = {"singular": singular, "active": {"generator": 3}, "thresholds": torch.logspace(-5, -0.3, 48)}
    page, space = defined("check_threshold", "count", "verdict", **given)
    assert page.check_threshold(pages.answers(space, "ex-02-threshold")["t"])
    assert not page.check_threshold(1e-5)


def test_how_far_the_tangent_space_reaches():
    decode, _ = linear_decoder()
    bent = SimpleNamespace(decode=lambda z: decode(z).sin() + decode(z**2))
    z = torch.randn(100, 4, generator=RNG)
    given = {"generated": SimpleNamespace(vae=bent), "z": z, "k": 4, "ranked": [0, 1, 2, 3]}
    page, space = defined("check_reach", "verdict", jac=tangent.jacobian(bent.decode, z), **given)
    assert page.check_reach(pages.answers(space, "ex-02-reach")["my_t"])
    assert not page.check_reach(1e-4)


def test_a_better_instrument():
    truth = data.load("strokes", "test", n=10)
    exact = strokes.tangent_basis(truth.latents, truth.y)
    half = torch.cat([exact[..., :5], torch.zeros(10, 1024, 5)], dim=2)

    def blurred(noise, columns=10):
        """A basis of so many columns, ten of them the exact ones with so much of something else."""
        given = torch.cat([exact, torch.zeros(10, 1024, columns - 10)], dim=2)
        wrong = torch.linalg.qr(torch.randn(10, 1024, columns, generator=RNG)).Q
        return torch.linalg.qr(given + noise * wrong).Q

    # as on the page: the network of twenty sees more than its rivals, its first ten less than local components
    wider, local = blurred(0.9, 20), blurred(0.85)
    names = ["VAE, released", "VAE, corrected", "autoencoder"]
    estimates = dict.fromkeys(names, half) | {"local components": local, "truth": exact}
    page, space = defined("check_instrument", "verdict", truth=truth, exact=exact, estimates=estimates)
    wide = torch.cat([exact, torch.linalg.qr(torch.randn(10, 1024, 10, generator=RNG)).Q], dim=2)
    grids = {"grids": {(8000, 20): wider}, "n0": 8000}
    assert page.check_instrument(pages.answers(space | grids, "ex-02-instrument")["my_basis"])
    assert not page.check_instrument(wider[..., :10])  # local components see more
    assert not page.check_instrument(wide)
    assert not page.check_instrument(2 * exact)
    assert not page.check_instrument(half)  # no better than what it is held against
    assert page.check_instrument(torch.cat([exact[..., :9], torch.zeros(10, 1024, 1)], dim=2))  # of rank nine


def test_every_exercise_has_a_check_a_solution_and_its_difficulty():
    labels = re.findall(r"\{exercise\}.*?:label: (ex-02-\w+)\n(.*?)::::", TEXT, re.DOTALL)
    assert len(labels) >= 4
    for label, text in labels:
        assert "**Difficulty**" in text
        assert "minutes" in text or "hour" in text
        assert f"`check_{label[6:]}(" in text
        assert f"{{solution}} {label}\n" in TEXT


def test_every_claim_of_the_chapter_asks_for_what_the_chapter_records():
    checks = [check for claim in claims.load() if claim.chapter == CHAPTER for check in claim.checks]
    asked = {name for check in checks for name in (check.metric, check.than) if isinstance(name, str)}
    assert len(asked) >= 6
    recorded = re.findall(r'run\.record\(\s*f?"([^"]+)"', "\n".join(CODE))
    patterns = [re.sub(r"\\\{.*?\\\}", "[a-z0-9-]+", re.escape(name)) for name in recorded]
    assert [name for name in asked if not any(re.fullmatch(pattern, name) for pattern in patterns)] == []
