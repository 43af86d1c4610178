"""The embedded data set: a smooth renderer, its exact tangent space, and digits that a small net can read."""

import pytest
import torch

from pags import artifacts, classify, data, strokes, tangent, train

DIGITS = range(10)


def latents(n, seed=0):
    return torch.randn(n, 10, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# The renderer


@pytest.mark.parametrize("digit", DIGITS)
def test_the_renderers_jacobian_is_that_of_finite_differences(digit):
    u = latents(2, seed=digit)
    jac = tangent.jacobian(lambda v: strokes.render(v, digit), u)
    for j in range(10):
        e = 1e-5 * torch.eye(10).double()[j]
        difference = (strokes.render(u + e, digit) - strokes.render(u - e, digit)).flatten(1) / 2e-5
        torch.testing.assert_close(jac[..., j], difference, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("digit", DIGITS)
def test_the_jacobian_that_is_written_out_is_that_of_automatic_differentiation(digit):
    u = latents(3, seed=digit)
    for size in (16, 32):
        wanted = tangent.jacobian(lambda v, size=size: strokes.render(v, digit, size), u)
        torch.testing.assert_close(strokes.jacobian(u, digit, size), wanted, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("digit", DIGITS)
def test_the_exact_tangent_space_has_a_direction_for_each_latent(digit):
    u = latents(5, seed=digit)
    basis = strokes.tangent_basis(u, torch.full((5,), digit))
    assert basis.shape == (5, 1024, 10)
    assert tangent.rank(basis).tolist() == [10] * 5
    torch.testing.assert_close(basis.mT @ basis, torch.eye(10).double().expand(5, 10, 10))


def test_the_exact_tangent_space_holds_small_movements():
    u, y = latents(10), torch.arange(10)
    step = 1e-5 * latents(10, seed=1)
    moved = torch.cat([strokes.render((u + step)[i, None], i) - strokes.render(u[i, None], i) for i in DIGITS])
    assert tangent.fraction_in(strokes.tangent_basis(u, y), moved).min() > 1 - 1e-6


def test_every_image_gets_the_basis_of_its_own_digit():
    u, y = latents(4), torch.tensor([3, 1, 3, 8])
    together = strokes.tangent_basis(u, y)
    for i, digit in enumerate(y.tolist()):
        alone = tangent.tangent_basis(lambda v, digit=digit: strokes.render(v, digit), u[i : i + 1])
        torch.testing.assert_close(together[i] @ together[i].T, alone[0] @ alone[0].T)


def test_latents_do_what_they_are_named():
    """Seen through the ink: where it lies, how far it spreads, how much there is."""

    def seen(name, value):
        u = torch.zeros(1, 10).double()
        u[0, strokes.LATENTS.index(name)] = value
        ink = strokes.render(u, 0)[0, 0]
        ink, total = ink / ink.sum(), ink.sum()
        at = torch.arange(32).double()
        x, y = (ink.sum(0) * at).sum(), (ink.sum(1) * at).sum()
        dx, dy = at[None, :] - x, at[:, None] - y
        second = {"wide": (ink * dx**2).sum(), "high": (ink * dy**2).sum(), "slant": (ink * dx * dy).sum()}
        return {"ink": total, "x": x, "y": y, **second}

    def change(name, seen_as):
        return float(seen(name, 1.0)[seen_as] - seen(name, -1.0)[seen_as])

    assert change("shift x", "x") > 1
    assert change("shift y", "y") > 1
    assert abs(change("shift x", "y")) < 0.01
    assert change("size", "wide") > 1
    assert change("size", "high") > 1
    assert change("thickness", "ink") > 10
    assert abs(change("thickness", "x")) < 0.1
    assert abs(change("shear", "slant")) > 1
    assert abs(change("rotation", "slant")) > 1


@pytest.mark.parametrize("size", [28, 32, 64])
def test_a_larger_image_shows_the_same_digit(size):
    small, large = (strokes.render(latents(1), 5, s)[0, 0] for s in (32, size))
    assert large.shape == (size, size)
    assert float(large.mean()) == pytest.approx(float(small.mean()), rel=0.05)


def test_the_spline_passes_through_its_control_points():
    control = torch.tensor(strokes.TEMPLATES[2][0], dtype=torch.float64)
    torch.testing.assert_close(strokes.catmull_rom(control, 16)[::16], control)


def test_the_spline_through_even_steps_on_a_line_is_the_line():
    line = torch.tensor([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0], [3.0, 7.0]]).double()
    x = torch.arange(25).double() / 8
    torch.testing.assert_close(strokes.catmull_rom(line, 8), torch.stack([x, 1 + 2 * x], dim=1))


def test_the_pen_lifts_between_strokes():
    _, starts = strokes.pen_path(4)
    assert int(starts.sum()) == 2
    ink = strokes.render(torch.zeros(1, 10).double(), 4)[0, 0]
    assert ink[13:15, 22].max() < 0.2  # half-way from the end of the first stroke to the start of the second
    assert ink.max() > 0.95


@pytest.mark.parametrize("digit", DIGITS)
def test_the_mean_digit_keeps_clear_of_the_border(digit):
    ink = strokes.render(torch.zeros(1, 10).double(), digit)[0, 0]
    border = torch.cat([ink[:3].flatten(), ink[-3:].flatten(), ink[:, :3].flatten(), ink[:, -3:].flatten()])
    assert border.max() < 0.05


# The data set


def test_images_are_grey_balanced_and_near_what_was_drawn():
    images = data.load("strokes", "train", n=500, seed=3)
    assert images.x.shape == (500, 1, 32, 32)
    assert images.x.dtype == torch.float32
    assert images.x.min() >= 0
    assert images.x.max() <= 1
    assert images.x.flatten(1).max(1).values.min() > 0.5  # no image is empty
    assert images.y.bincount().tolist() == [50] * 10
    for i in range(5):
        drawn = strokes.render(images.latents[i, None], int(images.y[i]))[0]
        torch.testing.assert_close(images.x[i], drawn)


def test_a_seed_fixes_the_data_set_and_another_changes_it():
    first, again, other = (data.load("strokes", "train", n=100, seed=s) for s in (3, 3, 4))
    assert first.fingerprint == again.fingerprint
    assert torch.equal(first.x, again.x)
    assert other.fingerprint != first.fingerprint
    assert not torch.equal(other.x, first.x)


def test_no_two_splits_of_any_two_seeds_are_the_same():
    sets = {data.load("strokes", split, n=20, seed=seed).fingerprint for split in data.SPLITS for seed in range(5)}
    assert len(sets) == 10


def test_the_order_is_random():
    y = data.load("strokes", "train", n=500).y
    assert not torch.equal(y, torch.arange(500) % 10)
    assert y[:50].bincount(minlength=10).max() < 15


@pytest.mark.slow
def test_lenet_reads_97_percent_of_the_digits():
    images, held_out = data.load("strokes", "train", n=5000), data.load("strokes", "test", n=2000)
    config = classify.Config(schedule=train.Schedule(epochs=4, batch=64, lr=1e-3))
    made = classify.fit(config, images, seed=0, device=torch.device("cpu"))
    net = classify.load(artifacts.Artifact(*made, ""))
    assert float(train.correct(net, held_out.x, held_out.y).mean()) >= 0.97


@pytest.mark.parametrize("n", [1, 5, 9])
def test_fewer_than_ten_are_drawn(n):
    few = data.load("strokes", "train", n=n)
    assert few.x.shape == (n, 1, 32, 32)
    assert len(few.y.unique()) == n
    assert few.classes == 10
    assert (few.x.flatten(1).amax(1) > 0.5).all()
