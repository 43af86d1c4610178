"""The beta-TCVAE: its loss against brute force, closed forms against simulation, a training that learns."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from pags import data, train, vae
from pags.errors import PagsError, UsageError

CPU = torch.device("cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def posteriors():
    """Means and log-variances (n, k) of six overlapping posteriors with three latents, and a sample of each."""
    mu, logvar = (0.7 * torch.randn(6, 3, generator=generator(i), dtype=torch.float64) for i in (0, 1))
    return mu, logvar, vae.sample(mu, logvar, generator(2))


def normal(mu, logvar):
    return torch.distributions.Normal(mu, (0.5 * logvar).exp())


# Densities


def test_log_normal_is_torchs(posteriors):
    mu, logvar, z = posteriors
    torch.testing.assert_close(vae.log_normal(z, mu, logvar), normal(mu, logvar).log_prob(z))


def test_kl_is_torchs_and_that_of_a_simulation(posteriors):
    mu, logvar, _ = posteriors
    prior = normal(torch.zeros(3).double(), torch.zeros(3).double())
    torch.testing.assert_close(vae.kl(mu, logvar), torch.distributions.kl_divergence(normal(mu, logvar), prior))
    many = vae.sample(mu.expand(20_000, 6, 3), logvar.expand(20_000, 6, 3), generator())
    ratios = vae.log_normal(many, mu, logvar) - prior.log_prob(many)
    error = ratios.std(0) / len(many) ** 0.5
    assert ((ratios.mean(0) - vae.kl(mu, logvar)) / error).abs().max() < 4.5


def test_a_latent_that_carries_nothing_has_no_kl():
    assert vae.kl(torch.zeros(2, 3), torch.zeros(2, 3)).abs().max() == 0


def test_samples_have_the_posteriors_mean_and_variance(posteriors):
    mu, logvar, _ = posteriors
    many = vae.sample(mu.expand(20_000, 6, 3), logvar.expand(20_000, 6, 3), generator())
    scaled = (many - mu) / (0.5 * logvar).exp()
    assert scaled.mean(0).abs().max() < 4.5 / 20_000**0.5
    assert (scaled.var(0) - 1).abs().max() < 4.5 * (2 / 20_000) ** 0.5


# The aggregate posterior


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_corrected_estimate_is_unbiased_over_all_batches(posteriors, n):
    """Brute force over every ordered batch of n among N = 5 examples, for the sample of each example in each place."""
    mu, logvar, z = (v[:5] for v in posteriors)
    log_q = vae.log_normal(z[:, None], mu[None], logvar[None])
    exact = log_q.sum(2).exp().mean(1)  # q(z) at each example's sample
    estimates = {(i, place): [] for i in range(5) for place in range(n)}
    for batch in itertools.permutations(range(5), n):
        rows = list(batch)
        joint, _ = vae.log_aggregate(z[rows], mu[rows], logvar[rows], 5, corrected=True)
        for place, i in enumerate(batch):
            estimates[i, place].append(float(joint[place].exp()))
    for (i, _), values in estimates.items():
        assert len(values) == math.perm(4, n - 1)
        assert sum(values) / len(values) == pytest.approx(float(exact[i]), rel=1e-6)
        assert max(values) > 1.05 * min(values)  # though no single batch need be right


def test_each_latents_estimate_is_unbiased_too(posteriors):
    mu, logvar, z = (v[:5, :1] for v in posteriors)  # one latent: its density is the joint one
    exact = vae.log_normal(z[:, None], mu[None], logvar[None])[..., 0].exp().mean(1)
    values = [[] for _ in range(5)]
    for rows in map(list, itertools.permutations(range(5), 3)):
        _, product = vae.log_aggregate(z[rows], mu[rows], logvar[rows], 5, corrected=True)
        for i, value in zip(rows, product.exp().tolist(), strict=True):
            values[i].append(value)
    torch.testing.assert_close(torch.tensor(values).double().mean(1), exact, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("n", "size"), [(2, 2), (2, 50), (3, 50), (64, 8000), (64, 60_000)])
def test_stratified_weights_give_every_row_a_whole_and_itself_its_share(n, size):
    weights = vae.stratified_weights(n, size)
    assert weights.min() > 0
    torch.testing.assert_close(weights.sum(1), torch.ones(n))
    torch.testing.assert_close(weights.diagonal(), torch.full((n,), 1 / size))
    others = weights[~torch.eye(n, dtype=torch.bool)].reshape(n, n - 1).sort(1).values
    rest = (size - (n - 1)) / (size * (n - 1))  # one of the others has this weight, so that the row has its sum
    torch.testing.assert_close(others, torch.tensor([rest] + [1 / (n - 1)] * (n - 2)).expand(n, n - 1))


def released(n, size):
    """The released code's weights, from its words: the flat matrix is walked in strides of the batch size."""
    flat = [1 / (n - 1)] * (n * n)
    for start, value in ((0, 1 / size), (1, (size - (n - 1)) / (size * (n - 1)))):
        for place in range(start, n * n, n):  # a stride of n + 1 would have met the diagonal
            flat[place] = value
    flat[(n - 2) * n] = (size - (n - 1)) / (size * (n - 1))
    return torch.tensor(flat, dtype=torch.float64).reshape(n, n)


@pytest.mark.parametrize("n", [2, 3, 6, 64])
def test_released_weights_are_those_of_the_released_code(n):
    torch.testing.assert_close(vae.released_weights(n, 60_000).double(), released(n, 60_000), rtol=1e-6, atol=0)


def test_the_released_estimate_is_that_of_the_released_code(posteriors):
    mu, logvar, z = posteriors
    log_q = vae.log_normal(z[:, None], mu[None], logvar[None]) + released(6, 100).log()[..., None]
    joint, product = vae.log_aggregate(z, mu, logvar, 100, corrected=False)
    torch.testing.assert_close(joint, log_q.sum(2).logsumexp(1), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(product, log_q.logsumexp(1).sum(1), rtol=1e-6, atol=1e-6)


def test_counting_the_weights_k_times_moves_the_total_correlation_by_a_constant(posteriors):
    """(k - 1) log(1 / (n - 1)) where the first two columns, which have weights of their own, do not matter."""
    mu, logvar, _ = posteriors
    n, k = mu.shape
    mu[:2] += 100
    z = mu[2:].clone()
    log_q = vae.log_normal(z[:, None], mu[None], logvar[None]).sum(2)
    once = (log_q - math.log(n - 1)).logsumexp(1)
    joint, _ = vae.log_aggregate(torch.cat([mu[:2], z]), mu, logvar, 1000, corrected=False)
    offset = torch.full((2,), (k - 1) * math.log(1 / (n - 1))).double()
    torch.testing.assert_close((joint[2:] - once)[[0, 1]], offset, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("corrected", [True, False])
def test_the_three_parts_sum_to_the_kl_term(posteriors, corrected):
    mu, logvar, z = posteriors
    parts = vae.decomposition(z, mu, logvar, 100, corrected)
    prior = normal(torch.zeros_like(z), torch.zeros_like(z)).log_prob(z)
    whole = (normal(mu, logvar).log_prob(z) - prior).sum(1).mean()
    assert set(parts) == {"information", "correlation", "marginal"}
    torch.testing.assert_close(sum(parts.values()), whole)


def test_independent_latents_have_no_total_correlation_and_copies_have():
    mu = torch.cartesian_prod(torch.linspace(-2, 2, 8), torch.linspace(-2, 2, 8)).double()  # a full grid: independent
    logvar = torch.full_like(mu, -3)
    z = vae.sample(mu, logvar, generator())
    assert abs(float(vae.decomposition(z, mu, logvar, 64, True)["correlation"])) < 0.2  # one batch's error
    copies = mu[:, :1].expand(-1, 2)
    z = vae.sample(copies, logvar, generator())
    assert float(vae.decomposition(z, copies, logvar, 64, True)["correlation"]) > 0.8


# The model and its loss


@pytest.fixture(scope="module")
def images():
    return data.load("strokes", "train", n=128, seed=1)


@pytest.fixture
def model():
    with train.seeded(0):
        return vae.VAE(4).eval()


def test_shapes_ranges_and_size(model, images):
    mu, logvar = model.encode(images.x[:3])
    decoded = model.decode(mu)
    assert mu.shape == logvar.shape == (3, 4)
    assert decoded.shape == (3, 1, 32, 32)
    assert decoded.min() >= 0
    assert decoded.max() <= 1
    weights = sum(p.numel() for p in vae.VAE(10).parameters())
    assert 0.46e6 < weights < 0.48e6  # the released file holds 1.88 MB


def test_the_reconstruction_is_a_sum_over_pixels(model, images):
    x, z = images.x[:3], torch.randn(3, 4, generator=generator())
    p = model.decode(z).double().clamp(1e-12, 1 - 1e-12)
    by_hand = -(x * p.log() + (1 - x) * (1 - p).log()).sum(dim=(1, 2, 3))
    torch.testing.assert_close(vae.reconstruction(model, x, z).double(), by_hand, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(("step", "ramp"), [(0, 0.0), (250, 0.25), (1000, 1.0), (5000, 1.0)])
def test_the_loss_adds_its_parts_and_anneals_the_marginal_kl(model, images, step, ramp):
    config = vae.Config(latents=4, schedule=train.Schedule(1, 64, 1e-3), beta=3.0, anneal=1000)
    terms = vae.objective(config, 128)(model, images.x[:16], generator=generator(), step=step)
    expected = terms["reconstruction"] + terms["information"] + 3 * terms["correlation"] + ramp * terms["marginal"]
    torch.testing.assert_close(terms["loss"], expected)
    mu, logvar = model.encode(images.x[:16])
    torch.testing.assert_close(terms["kl"], vae.kl(mu, logvar).sum(1).mean())


def test_with_beta_1_and_no_annealing_the_loss_is_the_negative_elbo(model, images):
    config = vae.Config(latents=4, schedule=train.Schedule(1, 64, 1e-3), beta=1.0, anneal=1, corrected=True)
    loss = vae.objective(config, 128)(model, images.x[:16], generator=generator(5), step=1)["loss"]
    mu, logvar = model.encode(images.x[:16])
    z = vae.sample(mu, logvar, generator(5))
    elbo = vae.log_normal(z, mu, logvar) - vae.log_normal(z, torch.zeros(4), torch.zeros(4))
    bce = F.binary_cross_entropy(model.decode(z), images.x[:16], reduction="sum") / 16
    torch.testing.assert_close(loss, bce + elbo.sum(1).mean(), rtol=1e-4, atol=1e-2)


CONFIG = vae.Config(latents=4, schedule=train.Schedule(epochs=3, batch=32, lr=1e-3), anneal=10)


def test_training_learns_and_repeats_itself(images):
    first, info = vae.fit(CONFIG, images, seed=0, device=CPU, checkpoint=None)
    again, _ = vae.fit(CONFIG, images, seed=0, device=CPU, checkpoint=None)
    other, _ = vae.fit(CONFIG, images, seed=1, device=CPU, checkpoint=None)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["encoder.0.weight"], other["encoder.0.weight"])
    history = [entry["reconstruction"] for entry in info["history"]]
    assert history[-1] < 0.8 * history[0]


def test_a_loaded_model_is_frozen_and_decodes_as_before(images):
    class Stored:
        tensors, info = vae.fit(CONFIG, images, seed=0, device=CPU, checkpoint=None)

    model = vae.load(Stored)
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert all(torch.equal(value, Stored.tensors[name]) for name, value in model.state_dict().items())


def test_evaluation_is_per_image_and_the_same_in_batches(model, images):
    whole, parts = (vae.evaluate(model, images.x[:20], generator=generator(), batch=b) for b in (20, 4))
    assert whole["reconstruction"].shape == (20,)
    assert whole["kl"].shape == (20, 4)
    torch.testing.assert_close(whole["kl"], parts["kl"])
    mu, logvar = (v.detach() for v in model.encode(images.x[:20]))
    torch.testing.assert_close(whole["kl"], vae.kl(mu, logvar))
    expected = vae.reconstruction(model, images.x[:20], vae.sample(mu, logvar, generator())).detach()
    torch.testing.assert_close(whole["reconstruction"], expected)


# Small sizes


def small(n, size=32):
    return data.load("strokes", "train", n=n, size=size)


@pytest.mark.parametrize("corrected", [True, False])
@pytest.mark.parametrize(("n", "batch"), [(9, 4), (2, 2), (3, 64)])
def test_every_remainder_is_trained_on(n, batch, corrected):
    config = vae.Config(latents=3, schedule=train.Schedule(1, batch, 1e-3), corrected=corrected)
    _, info = vae.fit(config, small(n), seed=0, device=CPU)
    assert math.isfinite(info["history"][0]["loss"])


@pytest.mark.parametrize(
    ("n", "batch", "size", "words"), [(9, 1, 32, "batch = 1, n = 9"), (1, 4, 32, "n = 1"), (4, 4, 28, "32 x 32")]
)
def test_what_cannot_be_trained_on_is_refused_before(n, batch, size, words):
    with pytest.raises(UsageError, match=words):
        vae.fit(vae.Config(latents=3, schedule=train.Schedule(1, batch, 1e-3)), small(n, size), seed=0, device=CPU)


def test_one_example_alone_has_no_estimate():
    for weights in (vae.stratified_weights, vae.released_weights):
        with pytest.raises(ValueError, match="at least two"):
            weights(1, 10)


def test_the_evaluation_draws_the_same_in_batches_of_every_size():
    with train.seeded(0):
        model = vae.VAE(3).eval()
    whole = vae.evaluate(model, small(7).x, generator=generator())
    for batch in (1, 3):
        for name, values in vae.evaluate(model, small(7).x, generator=generator(), batch=batch).items():
            torch.testing.assert_close(values, whole[name])


# The released model


def released_names(state, k):
    """A state dict of `VAE` under the released names, means and log-variances of its encoder alternating."""
    layers = {(half, place): name for half, names in vae.RELEASED.items() for name, place in names.items()}
    renamed = {}
    for key, tensor in state.items():
        half, place, kind = key.split(".")
        name = layers[half, int(place)]
        mixed = torch.stack([tensor[:k], tensor[k:]], 1).flatten(0, 1) if name == "mu_logvar_gen" else tensor
        renamed[f"{half}.{name}.{kind}"] = mixed
    return renamed


def test_a_released_state_dict_becomes_the_same_vae():
    with train.seeded(0):
        model = vae.VAE(3).eval()
    artifact = vae.released(released_names(model.state_dict(), 3))
    loaded, x = vae.load(artifact), torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for got, expected in zip(loaded.encode(x), model.encode(x), strict=True):
        torch.testing.assert_close(got, expected)
    torch.testing.assert_close(loaded.decode(torch.ones(2, 3)), model.decode(torch.ones(2, 3)))
    assert len(artifact.fingerprint) == 64


def test_the_released_model_reconstructs_mnist_as_its_log_says():
    try:
        weights, images = data.btcvae(), data.load("mnist", "test", n=1000)
    except PagsError:
        pytest.skip("needs mnist and btcvae in the data directory")
    model = vae.load(vae.released(weights))
    found = vae.evaluate(model, images.x, generator=torch.Generator().manual_seed(0))
    assert float(found["reconstruction"].mean()) == pytest.approx(147.7, abs=3)
    log = [1.95, 0.342, 0.0011, 1.34, 0.537, 1.79, 0.703, 0.0009, 1.90, 0.802]  # its order of the latents
    assert found["kl"].mean(0).tolist() == pytest.approx(log, rel=0.1, abs=0.002)
    assert vae.active(model, images.x) == 8
