"""Perturbations along and across the manifold, and what a linear net's outputs must do under them."""

import pytest
import torch
from torch import nn

from pags import attack, data, distractor, robustness, tangent


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@pytest.fixture
def basis():
    return torch.linalg.qr(drawn(7, 64, 5)).Q


X = drawn(7, 1, 8, 8, seed=1)


def test_the_parts_have_the_length_asked_for_and_lie_where_they_should(basis):
    on, off = robustness.on_and_off(basis, X, size=0.1, generator=generator())
    for part in (on, off):
        assert torch.allclose(attack.l2_norm(part), 0.1 * attack.l2_norm(X), rtol=1e-12)
    assert (tangent.project(basis, on) - on).abs().max() < 1e-12
    assert tangent.project(basis, off).abs().max() < 1e-12
    assert (on * off).flatten(1).sum(1).abs().max() < 1e-12


def test_both_parts_come_from_one_draw(basis):
    on, off = robustness.on_and_off(basis, X, size=0.1, generator=generator(3))
    u = torch.randn(X.shape, generator=generator(3), dtype=X.dtype)
    assert torch.allclose(attack.unit_l2(on), attack.unit_l2(tangent.project(basis, u)))
    assert torch.allclose(attack.unit_l2(off), attack.unit_l2(u - tangent.project(basis, u)))


def test_change_is_the_l1_distance_of_the_softmax():
    class Fixed(nn.Module):
        def forward(self, x):
            p = torch.stack([0.5 + x[:, 0], 0.5 - x[:, 0]], 1)
            return p.log()

    x = torch.zeros(3, 1, dtype=torch.float64)
    u = torch.tensor([[0.0], [0.1], [-0.4]]).double()
    assert torch.allclose(*robustness.change(Fixed(), x, u), 2 * u[:, 0].abs())


def test_a_net_blind_across_the_manifold_changes_along_it_alone(basis):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).double()
    with torch.no_grad():
        net[1].weight.copy_((basis[0] @ drawn(5, 3)).mT)
    on, off = robustness.on_off_change(net, X[:1], basis[:1], draws=4, generator=generator())
    assert float(on) > 1e-3
    assert float(off) < 1e-12


def test_a_random_direction_changes_alike_on_and_off():
    k, d, n = 8, 64, 4000
    w, x = drawn(n, d, seed=2), drawn(n, 1, 8, 8, seed=1)
    basis = torch.eye(d, dtype=torch.float64)[:, :k].expand(n, -1, -1)
    on, off = robustness.on_and_off(basis, x, size=0.1, generator=generator())
    moved = [(w * part.flatten(1)).sum(1).square().mean() for part in (on, off)]
    assert float(moved[0] / moved[1]) == pytest.approx(1, abs=0.1)


def test_for_a_linear_function_the_relative_robustness_is_the_alignment(basis):
    w = drawn(7, 64, seed=5)

    def f(x):
        return (w * x.flatten(1)).sum(1)

    found = robustness.relative(f, X, w.reshape(X.shape), basis, sigma=0.3, draws=2, generator=generator())
    assert torch.allclose(found, robustness.alignment(basis, w), atol=1e-12)
    assert torch.allclose(robustness.alignment(basis, w).mean(), torch.tensor(1 - 5 / 64).double(), atol=0.05)


def test_for_a_quadratic_it_is_the_formula_of_chapter_01(basis):
    """E (g'Qu + u'QHQu / 2)^2 = s^2 |Qg|^2 + s^4 (tr(M)^2 + 2 tr(M^2)) / 4 with M = QHQ."""
    g, B, H, s = drawn(1, 64, seed=5), basis[:1], drawn(64, 64, seed=6), 0.3
    H = (H + H.mT) / 2
    x = torch.zeros(1, 64, dtype=torch.float64)
    found = robustness.relative(
        lambda p: p @ g[0] + ((p @ H) * p).sum(1) / 2, x, g, B, sigma=s, draws=20_000, generator=generator()
    )

    def moment(Q):
        M = Q @ H @ Q
        return s**2 * (Q @ g[0]).square().sum() + s**4 * (M.trace() ** 2 + 2 * M.square().sum()) / 4

    off = torch.eye(64).double() - B[0] @ B[0].mT
    assert float(found) == pytest.approx(float(moment(off) / moment(torch.eye(64).double())), abs=0.01)


def test_noise_on_the_signal_leaves_the_rest_alone():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).double()
    signal = torch.zeros(7, 1, 8, 8, dtype=torch.bool)
    signal[:, :, :4] = True
    with torch.no_grad():
        net[1].weight.view(3, 8, 8)[:, 4:] = 0
    on_signal, on_rest = robustness.relative_noise(net, X, signal, sigma=0.5, generator=generator())
    assert (on_signal > 1e-4).all()
    assert on_rest.abs().max() < 1e-12


# The distractor


def test_the_letter_is_white_on_black_symmetric_and_no_bigger_than_its_block():
    for size in (28, 32):
        a = distractor.letter(size)
        assert a.shape == (1, size, size)
        assert torch.equal(a.amax(), torch.tensor(1.0))
        assert torch.allclose(a, a.flip(2), atol=1e-5)
        assert float(a[:, [0, -1]].abs().max()) == float(a[:, :, [0, -1]].abs().max()) == 0
        assert not torch.allclose(a, a.flip(1), atol=0.1)
        assert 0.05 < float(a.mean()) < 0.2


def test_every_image_has_its_digit_and_the_letter_one_above_the_other():
    source = data.load("strokes", "train", n=200)
    made = distractor.make(source, generator=generator())
    assert made.images.x.shape == (200, 1, 64, 32)
    assert made.images.classes == 10
    halves = made.images.x.reshape(200, 2, 32, 32)
    rows = torch.arange(200)
    assert torch.equal(halves[rows, made.place], source.x[:, 0])
    assert torch.equal(halves[rows, 1 - made.place], distractor.letter(32).expand(200, -1, -1))
    assert torch.equal(made.images.y, source.y)
    assert 70 < int(made.place.sum()) < 130


@pytest.mark.parametrize("size", [1e-25, 1.0, 1e15])
def test_relative_robustness_does_not_depend_on_the_size_of_the_function(basis, size):
    x, E = X.float(), drawn(7, 64, seed=3).float()
    found = robustness.relative(
        lambda v: size * (v.flatten(1) * E).sum(1),
        x,
        (size * E).reshape(x.shape),
        basis.float(),
        sigma=0.1,
        draws=1,
        generator=generator(),
    )
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, robustness.alignment(basis.float(), E), atol=1e-4, rtol=0)


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf")])
def test_noise_of_no_size_is_refused(basis, sigma):
    with pytest.raises(ValueError, match=r"sigma = .*: write a number above zero"):
        robustness.relative(
            lambda v: v.flatten(1).sum(1), X, torch.ones_like(X), basis, sigma=sigma, draws=1, generator=generator()
        )
    with pytest.raises(ValueError, match=r"sigma = .*: write a number above zero"):
        robustness.relative_noise(nn.Flatten(), X, X > 0.5, sigma=sigma, generator=generator())
