"""The score of known manifolds: where a closed form exists it is met, elsewhere quadrature and differences agree."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from pags import score, strokes

LIGHT = score.Config(bank=256, starts=(4, 2), steps=(5, 30), classes=10, draws=2000, rounds=1)


def normal(d, seed=0):
    g = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(*shape, d, generator=g, dtype=torch.float64)


def linear(seed=0, d=6, k=2):
    """A linear class: x = A u + b + noise is Gaussian with covariance A A' + sigma^2 I."""
    A, b = normal(k, seed)(d), normal(d, seed)()
    return score.Family(lambda u: u @ A.T + b), A, b


def closed(A, b, sigma):
    return MultivariateNormal(b, A @ A.T + sigma**2 * torch.eye(len(b), dtype=b.dtype))


def test_a_linear_generator_gives_a_gaussian():
    sigma, g = 0.4, torch.Generator().manual_seed(1)
    classes = [linear(seed) for seed in range(3)]
    x = normal(6, 9)(8)
    known = score.exact([one[0] for one in classes], x, sigma, config=LIGHT, k=2, generator=g)
    for c, (_, A, b) in enumerate(classes):
        p = closed(A, b, sigma)
        assert ((known.log_p[:, c] - p.log_prob(x)).abs() < 4 * known.log_p_error[:, c] + 1e-9).all()
        exact = -torch.linalg.solve(p.covariance_matrix, (x - b).T).T
        found = score.conditional(known, x, torch.full((8,), c), sigma)
        assert ((found - exact).norm(dim=1) < 4 * known.mean_error[:, c] / sigma**2).all()
        assert known.ess[:, c].min() > 0.7


def test_the_score_without_label_is_that_of_the_mixture():
    sigma = 0.5
    classes = [linear(seed) for seed in range(2)]
    x = normal(6, 3)(5).requires_grad_()
    known = score.exact(
        [one[0] for one in classes], x.detach(), sigma, config=LIGHT, k=2, generator=torch.Generator().manual_seed(0)
    )
    log_p = torch.stack([closed(A, b, sigma).log_prob(x) for _, A, b in classes], 1)
    (exact,) = torch.autograd.grad(log_p.logsumexp(1).sum(), x, retain_graph=True)
    assert (score.unconditional(known, x.detach(), sigma) - exact).norm(dim=1).max() < 0.1 * exact.norm(dim=1).mean()
    y = torch.tensor([0, 1, 0, 1, 0])
    odds = log_p[range(5), y] - log_p[range(5), 1 - y]
    (gradient,) = torch.autograd.grad(odds.sum(), x)
    assert (score.bayes_gradient(known, y, sigma) - gradient).norm(dim=1).max() < 0.1 * gradient.norm(dim=1).mean()


def curve(u):
    """A bent line in the plane that comes close to itself: posteriors with two modes."""
    return torch.stack([2 * torch.sin(1.5 * u[:, 0]), torch.cos(2.5 * u[:, 0])], 1)


def quadrature(x, sigma):
    u = torch.linspace(-8, 8, 40_001, dtype=x.dtype)[:, None]
    log = -0.5 * (u**2).squeeze(1) - 0.5 * math.log(2 * math.pi) + math.log(16 / 40_000)
    log = log - 0.5 * torch.cdist(x, curve(u)).square() / sigma**2 - math.log(2 * math.pi * sigma**2)
    return log.logsumexp(1), log.softmax(1) @ curve(u)


@pytest.mark.parametrize("rounds", [1, 2])
@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_quadrature_agrees_where_the_posterior_has_two_modes(sigma, rounds):
    x = 1.2 * normal(2, 4)(12)
    config = score.Config(bank=4096, starts=(24, 8), steps=(5, 30), classes=1, draws=4000, rounds=rounds)
    known = score.exact([score.Family(curve)], x, sigma, config=config, k=1, generator=torch.Generator().manual_seed(2))
    log_p, mean = quadrature(x, sigma)
    assert ((known.log_p[:, 0] - log_p).abs() < 4 * known.log_p_error[:, 0] + 1e-6).all()
    assert ((known.mean[:, 0] - mean).norm(dim=1) < 4 * known.mean_error[:, 0] + 1e-6).all()


def test_the_weight_of_images_changes_the_posterior_as_quadrature_says():
    x, sigma = normal(2, 5)(6), 0.5
    family = score.Family(curve, lambda images: torch.where(images[:, 0] > 0, 0.0, -math.inf).to(images))
    config = score.Config(bank=4096, starts=(24, 8), steps=(5, 30), classes=1, draws=8000, rounds=2)
    known = score.exact([family], x, sigma, config=config, k=1, generator=torch.Generator().manual_seed(3))
    u = torch.linspace(-8, 8, 40_001, dtype=x.dtype)[:, None]
    log = -0.5 * (u**2).squeeze(1) - 0.5 * math.log(2 * math.pi) + math.log(16 / 40_000)
    log = log - 0.5 * torch.cdist(x, curve(u)).square() / sigma**2 - math.log(2 * math.pi * sigma**2)
    log = log + torch.where(curve(u)[:, 0] > 0, 0.0, -math.inf)
    assert ((known.log_p[:, 0] - log.logsumexp(1)).abs() < 5 * known.log_p_error[:, 0]).all()
    assert ((known.mean[:, 0] - log.softmax(1) @ curve(u)).norm(dim=1) < 5 * known.mean_error[:, 0]).all()


def test_the_mirrored_draws_have_the_density_that_is_said():
    g = torch.Generator().manual_seed(0)
    H = torch.tensor([[[[4.0, 1.0], [1.0, 2.0]]]], dtype=torch.float64)
    mixture = score.Mixture(torch.zeros(1, 1, 2, dtype=torch.float64), H, torch.ones(1, 1, dtype=torch.float64))
    u = mixture.draw(100_000, g)
    assert torch.equal(u[:, ::2], -u[:, 1::2])
    covariance = score.FREEDOM / (score.FREEDOM - 2) * torch.linalg.inv(H[0, 0])
    torch.testing.assert_close(u[0].T.cov(), covariance, atol=0.01, rtol=0)
    side = torch.linspace(-8, 8, 801, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side)[None]
    assert abs(float(mixture.log_density(grid).exp().sum()) * 0.02**2 - 1) < 1e-3


def test_on_strokes_the_gradient_is_that_of_log_p():
    """Differences of log p, with the same random numbers on both sides of every step."""
    sigma, size = 0.5, 16
    u = normal(10, 0)(1)
    x = strokes.render(u, 3, size)
    x = x + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    (family,) = score.stroke_families(size)[3:4]
    at, _ = score.climb(family, x.flatten(1), sigma, u, steps=40, tol=1e-8)

    def value(x):
        options = {"draws": 4000, "rounds": 1, "generator": torch.Generator().manual_seed(5)}
        return score.integrate(family, x.flatten(1), sigma, at[:, None], **options)

    known = score.Exact(*(part[:, None] for part in value(x)), modes=at[:, None, None])
    s = score.conditional(known, x, torch.tensor([0]), sigma)
    direction = s / s.norm()
    difference = (value(x + 1e-4 * direction)[0] - value(x - 1e-4 * direction)[0]) / 2e-4
    torch.testing.assert_close(difference, s.norm()[None], rtol=1e-3, atol=0)


def test_the_bayes_classifier_knows_the_digit():
    x, y, _ = strokes.make(10, generator=torch.Generator().manual_seed(1), size=16)
    config = score.Config(bank=256, starts=(4, 1), steps=(3, 8), classes=2, draws=40, rounds=1)
    options = {"config": config, "generator": torch.Generator().manual_seed(0)}
    known = score.exact(score.stroke_families(16), x[:4], 0.5, **options)
    assert torch.equal(known.log_p.argmax(1), y[:4])
    assert ((known.ess > 0).sum(1) == 2).all()
    assert torch.equal(known.ess == 0, known.log_p_error.isinf())


def known(n=3, classes=2):
    """What might be known of n images of 4 pixels."""
    log_p, mean = torch.randn(n, classes), torch.randn(n, classes, 4)
    return score.Exact(log_p, mean, log_p, log_p, log_p, mean)


@pytest.mark.parametrize(("y", "words"), [([0, 1], "y has the shape"), ([0, 1, 2], "y runs from 0 to 2")])
def test_labels_that_do_not_fit_are_refused(y, words):
    with pytest.raises(ValueError, match=words):
        score.bayes_gradient(known(), torch.tensor(y), 0.5)
    with pytest.raises(ValueError, match=words):
        score.conditional(known(), torch.zeros(3, 4), torch.tensor(y), 0.5)


def test_one_label_for_all_images_is_that_of_each():
    some = known()
    for one in (torch.tensor(1), torch.tensor([1])):
        many = torch.full((3,), 1)
        assert torch.equal(score.bayes_gradient(some, one, 0.5), score.bayes_gradient(some, many, 0.5))


def test_odds_of_one_class_are_refused():
    with pytest.raises(ValueError, match="two classes"):
        score.bayes_gradient(known(classes=1), torch.zeros(3).long(), 0.5)


def test_no_noise_has_no_score():
    with pytest.raises(ValueError, match="sigma = 0: write"):
        score.exact([linear()[0]], torch.zeros(1, 6), 0, generator=torch.Generator())


@pytest.mark.parametrize("scale", [1.0, 1e12])
def test_distinct_candidates_are_found_however_far_below_the_first_they_are(scale):
    u = torch.tensor([[[0.0], [0.1], [5.0], [9.0]]])
    value = torch.tensor([[0.0, -1.0, -2.0 * scale, -math.inf]])
    assert score.distinct(u, value, 2).flatten().tolist() == [0.0, 5.0]
    assert score.distinct(u, value, 3).flatten().tolist() == [0.0, 5.0, 0.0]  # an impossible one comes last
