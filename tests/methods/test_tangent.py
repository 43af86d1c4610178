"""Tangent spaces: exact facts of linear algebra, and derivatives held against other ways to take them."""

import math

import pytest
import torch
from torch import nn

from pags import tangent, vae


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@pytest.fixture
def basis():
    """Orthonormal bases of 3 directions in 64 pixels, at 5 examples."""
    return torch.linalg.qr(randn(5, 64, 3)).Q


@pytest.fixture
def decode():
    """A smooth, curved decoder of 4 latents to images of 6 x 6 pixels."""
    weights = randn(4, 20, seed=1), randn(20, 36, seed=2) / 5
    return lambda z: ((z @ weights[0]).tanh() @ weights[1]).sigmoid().reshape(-1, 1, 6, 6)


# Fractions


def test_inside_the_space_the_fraction_is_1(basis):
    v = basis @ randn(5, 3, 1, seed=1)
    torch.testing.assert_close(tangent.fraction_in(basis, v), torch.ones(5).double())


def test_orthogonal_to_the_space_the_fraction_is_0(basis):
    v = randn(5, 64, seed=1)
    v = v - tangent.project(basis, v)
    assert tangent.fraction_in(basis, v).max() < 1e-14


def test_the_fraction_of_a_sum_is_that_of_its_legs(basis):
    inside = basis[:, :, 0] * 3
    outside = randn(5, 64, seed=1)
    outside = outside - tangent.project(basis, outside)
    outside = 4 * outside / outside.norm(dim=1, keepdim=True)
    torch.testing.assert_close(tangent.fraction_in(basis, inside + outside), torch.full((5,), 0.6).double())


def test_the_fraction_of_nothing_is_not_a_number(basis):
    assert tangent.fraction_in(basis, torch.zeros(5, 8, 8).double()).isnan().all()


def test_random_directions_meet_the_chance_level(basis):
    v = randn(20_000, 64, seed=1)
    fractions = tangent.fraction_in(basis[:1].expand(len(v), -1, -1), v)
    error = float(fractions.std() / len(v) ** 0.5)
    assert float(fractions.mean()) == pytest.approx(tangent.chance_level(3, 64), abs=4 * error)
    assert math.sqrt(3 / 64) - float(fractions.mean()) > 10 * error  # which is not sqrt(k / d)


# (k, d): MNIST32, MNIST256 with 10 and 8 directions, CIFAR10, Pneumonia, Retinopathy
@pytest.mark.parametrize(
    ("k", "d", "level"),
    [
        (10, 1024, 0.0964),
        (10, 65_536, 0.0120),
        (8, 65_536, 0.0107),
        (144, 3072, 0.2161),
        (7168, 172_032, 0.2041),
        (6272, 150_528, 0.2041),
    ],
)
def test_chance_levels_of_the_papers_data_sets(k, d, level):
    gammas = math.lgamma((k + 1) / 2) + math.lgamma(d / 2) - math.lgamma(k / 2) - math.lgamma((d + 1) / 2)
    assert tangent.chance_level(k, d) == pytest.approx(math.exp(gammas), rel=1e-6)
    assert tangent.chance_level(k, d) == pytest.approx(level, abs=5e-5)
    assert tangent.chance_level(k, d) < math.sqrt(k / d)


def test_chance_levels_at_the_ends():
    assert tangent.chance_level(7, 7) == 1
    assert tangent.chance_level(1, 2) == pytest.approx(2 / math.pi)  # the mean of |cos| over a circle
    assert tangent.chance_level(1, 3) == pytest.approx(1 / 2)  # Archimedes: a sphere's coordinate is uniform


@pytest.mark.parametrize(("k", "d"), [(0, 10), (11, 10)])
def test_an_impossible_dimension_is_refused(k, d):
    with pytest.raises(ValueError, match=f"k = {k}, d = {d}"):
        tangent.chance_level(k, d)


# Projections


def test_projection_is_idempotent_and_symmetric(basis):
    v, w = randn(5, 1, 8, 8, seed=1), randn(5, 1, 8, 8, seed=2)
    once = tangent.project(basis, v)
    assert once.shape == v.shape
    torch.testing.assert_close(tangent.project(basis, once), once)
    inner = lambda a, b: (a * b).flatten(1).sum(1)  # noqa: E731
    torch.testing.assert_close(inner(tangent.project(basis, v), w), inner(v, tangent.project(basis, w)))


def test_projection_leaves_a_remainder_orthogonal_to_the_space(basis):
    v = randn(5, 64, seed=1)
    rest = v - tangent.project(basis, v)
    assert (basis.mT @ rest[..., None]).abs().max() < 1e-13
    assert rest.norm() > 1


# Bases


def test_a_basis_is_orthonormal(decode):
    basis = tangent.tangent_basis(decode, randn(7, 4, seed=3))
    assert basis.shape == (7, 36, 4)
    torch.testing.assert_close(basis.mT @ basis, torch.eye(4).double().expand(7, 4, 4))


def test_a_linear_decoders_tangent_space_is_its_column_space():
    w = randn(4, 36)
    basis = tangent.tangent_basis(lambda z: (z @ w).reshape(-1, 1, 6, 6), randn(3, 4, seed=1))
    projector = w.T @ torch.linalg.inv(w @ w.T) @ w  # the textbook's projection on the rows of w
    torch.testing.assert_close(basis @ basis.mT, projector.expand(3, 36, 36))


def test_the_strongest_direction_stands_first():
    jac = torch.zeros(1, 5, 3).double()
    jac[0, 0, 2], jac[0, 1, 0], jac[0, 2, 1] = 9, 5, 1
    expected = torch.eye(5, 3).double()
    torch.testing.assert_close(tangent.orthonormalize(jac)[0].abs(), expected)


@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
def test_a_collapsed_latent_lowers_the_rank_and_adds_no_direction(decode, scale):
    jac = tangent.jacobian(decode, randn(3, 4, seed=3)) * scale
    jac[:, :, 1] = 0
    basis = tangent.orthonormalize(jac)
    assert tangent.rank(basis).tolist() == [3, 3, 3]
    assert (basis[:, :, 3] == 0).all()
    assert tangent.fraction_in(basis, jac[:, :, 2]).min() == pytest.approx(1, abs=1e-12)


def test_the_rank_threshold_is_relative_and_explicit():
    jac = torch.diag(torch.tensor([10.0, 1.0, 1e-3])).double()[None]
    assert int(tangent.rank(tangent.orthonormalize(jac))) == 3  # 1e-4 of the largest still counts...
    assert int(tangent.rank(tangent.orthonormalize(jac * torch.tensor([1.0, 1, 0.99])))) == 2  # ...and less does not
    assert int(tangent.rank(tangent.orthonormalize(jac, rtol=0.5))) == 1


def test_linearly_dependent_latents_count_once(decode):
    basis = tangent.tangent_basis(lambda z: decode(z[:, :1] + z[:, 1:]), randn(2, 5, seed=3))
    assert tangent.rank(basis).tolist() == [4, 4]


def test_singular_values_are_those_of_the_jacobian(decode):
    jac = tangent.jacobian(decode, randn(3, 4, seed=3))
    torch.testing.assert_close(tangent.singular_values(jac), torch.linalg.svdvals(jac))


def test_random_bases_of_a_chapters_decoder_are_orthonormal_in_single_precision():
    torch.manual_seed(0)
    basis = tangent.tangent_basis(vae.VAE(10).eval().decode, torch.randn(5, 10))
    torch.testing.assert_close(basis.mT @ basis, torch.eye(10).expand(5, 10, 10), atol=1e-5, rtol=0)


# Jacobians


def test_the_jacobian_equals_reverse_mode_and_finite_differences(decode):
    z = randn(3, 4, seed=3)
    forward = tangent.jacobian(decode, z)
    one = lambda u: decode(u[None]).flatten()  # noqa: E731
    torch.testing.assert_close(forward, torch.stack([torch.func.jacrev(one)(u) for u in z]))
    torch.testing.assert_close(forward, torch.stack([torch.autograd.functional.jacobian(one, u) for u in z]))
    h = 1e-5 * torch.eye(4).double()
    differences = torch.stack([(decode(z + e) - decode(z - e)).flatten(1) / 2e-5 for e in h], dim=-1)
    torch.testing.assert_close(forward, differences, atol=1e-9, rtol=1e-6)


def test_the_jacobian_does_not_depend_on_the_chunk(decode):
    z = randn(5, 4, seed=3)
    torch.testing.assert_close(tangent.jacobian(decode, z, chunk=2), tangent.jacobian(decode, z, chunk=64))
    bases = [tangent.tangent_basis(decode, z, chunk=chunk) for chunk in (2, 64)]
    torch.testing.assert_close(bases[0] @ bases[0].mT, bases[1] @ bases[1].mT)


def test_the_jacobian_leaves_no_trace_on_the_net():
    net = nn.Sequential(nn.Linear(4, 9), nn.Tanh()).double().eval()
    z = randn(2, 4).requires_grad_()
    jac = tangent.jacobian(net, z)
    assert not jac.requires_grad
    assert z.grad is None
    assert all(p.grad is None for p in net.parameters())


# Angles


def test_principal_angles_between_a_space_and_itself_are_0(basis):
    rotation = torch.linalg.qr(randn(5, 3, 3, seed=1)).Q
    assert tangent.principal_angles(basis, basis @ rotation).max() < 1e-5  # arccos near 1 halves the digits


def test_principal_angles_are_those_of_the_construction():
    e = torch.eye(6).double()
    turned = [math.cos(math.radians(a)) * e[i] + math.sin(math.radians(a)) * e[i + 3] for i, a in enumerate((10, 40))]
    a = torch.stack([e[0], e[1], e[2]], dim=1)[None]
    b = torch.stack([turned[1], turned[0], e[5]], dim=1)[None]
    torch.testing.assert_close(tangent.principal_angles(a, b)[0], torch.tensor([10.0, 40.0, 90.0]).double())


def test_a_missing_direction_gives_a_right_angle(basis):
    less = basis.clone()
    less[:, :, 2] = 0
    assert tangent.principal_angles(basis, less)[:, 2].tolist() == pytest.approx([90.0] * 5)


# Upsampling


def test_the_upsampled_jacobian_is_the_jacobian_of_the_upsampled_decoder(decode):
    z = randn(3, 4, seed=3)
    direct = tangent.jacobian(lambda u: tangent.upsample(decode(u), 15), z)
    torch.testing.assert_close(tangent.upsample_jacobian(tangent.jacobian(decode, z), 15), direct)


def test_upsampling_a_plane_keeps_it():
    rows = torch.arange(4).double()
    image = (2 * rows[:, None] + rows)[None, None]
    big = tangent.upsample(image, 8)[0, 0, 1:-1, 1:-1]  # the border repeats the outermost pixels
    torch.testing.assert_close(big.diff(dim=0), torch.full((5, 6), 1.0).double())
    torch.testing.assert_close(big.diff(dim=1), torch.full((6, 5), 0.5).double())


@pytest.mark.parametrize("scale", [1e-30, 1e-44, 1e30])
def test_the_fraction_of_a_vector_does_not_depend_on_its_length(scale):
    basis = torch.eye(4)[None, :, :2]
    v = torch.tensor([[3.0, 0.0, 4.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    found = tangent.fraction_in(basis, scale * v)
    torch.testing.assert_close(found, torch.tensor([0.6, math.nan]), equal_nan=True, atol=0.02, rtol=0)
