"""The denoiser: its preconditioning has the limits of the paper, and on Gaussian data it finds the closed form."""

import json

import pytest
import torch
from torch import nn

from pags import artifacts, data, denoise, train
from pags.errors import UsageError


class Zero(nn.Module):
    def forward(self, x, c, y):
        return torch.zeros_like(x)


def test_preconditioning_has_its_limits():
    c = denoise.preconditioning(torch.tensor([1e-6, 1e6]), 0.3)
    torch.testing.assert_close(c.skip, torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(c.out, torch.tensor([0.0, 0.3]), atol=1e-5, rtol=0)
    torch.testing.assert_close(c.inside[0], torch.tensor(1 / 0.3))


def test_input_and_target_of_the_net_have_unit_variance():
    sigma_data, g = 0.3, torch.Generator().manual_seed(0)
    for sigma in (0.05, 0.3, 2.0):
        x = sigma_data * torch.randn(200_000, generator=g)
        noisy = x + sigma * torch.randn(200_000, generator=g)
        c = denoise.preconditioning(torch.tensor(sigma), sigma_data)
        assert abs((c.inside * noisy).std() - 1) < 0.01
        assert abs(((x - c.skip * noisy) / c.out).std() - 1) < 0.01
        torch.testing.assert_close(denoise.weight(torch.tensor(sigma), sigma_data), 1 / c.out**2)


def test_without_a_net_the_denoiser_is_that_of_gaussian_pixels():
    centre, x = torch.full((1, 2, 2), 0.4), torch.rand(3, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    denoiser = denoise.Denoiser(Zero(), centre, 0.3, 10)
    expected = centre + 0.09 / (0.09 + 0.25) * (x - centre)
    torch.testing.assert_close(denoiser(x, torch.full((3,), 0.5)), expected)
    score = denoise.score(denoiser, x, 0.5)
    torch.testing.assert_close(score, -(x - centre) / (0.09 + 0.25))  # that of a normal with this variance


def test_the_loss_is_the_one_computed_by_hand():
    config = denoise.Config(train.Schedule(1, 2, 1e-3), labels=False, p_mean=-1.0, p_std=0.0)
    sigma = torch.tensor(-1.0).exp()
    denoiser = denoise.Denoiser(Zero(), torch.zeros(1, 1, 1), 0.5, 10)
    x, g = torch.tensor([[[[0.2]]], [[[0.7]]]]), torch.Generator().manual_seed(3)
    found = denoise.objective(config)(denoiser, x, torch.tensor([0, 1]), generator=g, step=0)["loss"]
    g = torch.Generator().manual_seed(3)
    torch.randn(2, generator=g)
    noisy = x + sigma * torch.randn(x.shape, generator=g)
    error = 0.25 / (sigma**2 + 0.25) * noisy - x
    torch.testing.assert_close(found, (error**2).mean() * (sigma**2 + 0.25) / (0.25 * sigma**2))


def gaussian(n):
    """Images b_y + A u of 8 x 8 pixels on a plane, two classes with a centre each."""
    g = torch.Generator().manual_seed(0)
    A, b = 0.25 * torch.randn(64, 2, generator=g), 0.5 + 0.2 * torch.randn(2, 64, generator=g)
    y, u = torch.randint(2, (n,), generator=g), torch.randn(n, 2, generator=g)
    return data.dataset("plane", "train", (b[y] + u @ A.T).reshape(n, 1, 8, 8), y, 2), A, b


def test_on_a_gaussian_data_set_training_approaches_the_closed_form():
    images, A, b = gaussian(1000)
    config = denoise.Config(train.Schedule(40, 50, 4e-3, drops=(30,)), labels=True, width=8, hidden=64)
    tensors, info = denoise.fit(config, images, seed=0, device=torch.device("cpu"), checkpoint=None)
    denoiser, sigma = denoise.load(artifacts.Artifact(tensors, json.loads(json.dumps(info)), "")), 0.5
    g = torch.Generator().manual_seed(9)
    x, y = images.x[:200] + sigma * torch.randn(200, 1, 8, 8, generator=g), images.y[:200]
    off = x.flatten(1) - b[y]
    exact = -torch.linalg.solve(A @ A.T + sigma**2 * torch.eye(64), off.T).T
    error = (denoise.score(denoiser, x, sigma, y).flatten(1) - exact).norm(dim=1)
    untrained = (-(x - images.x.mean(0)) / (sigma**2 + info["sigma_data"] ** 2)).flatten(1)
    assert error.mean() < 0.4 * (untrained - exact).norm(dim=1).mean()
    assert info["history"][-1]["loss"] < info["history"][0]["loss"]
    assert not denoiser.training


@pytest.mark.parametrize(("h", "w"), [(8, 8), (9, 15), (20, 20), (28, 28), (28, 20)])
def test_images_of_any_size_from_eight_on_are_denoised(h, w):
    g = torch.Generator().manual_seed(0)
    images = data.dataset("noise", "train", torch.rand(3, 1, h, w, generator=g), torch.tensor([0, 1, 0]), 2)
    config = denoise.Config(train.Schedule(1, 2, 1e-3), labels=True, width=4, hidden=8)
    denoiser = denoise.load(artifacts.Artifact(*denoise.fit(config, images, seed=0, device=torch.device("cpu")), ""))
    assert denoise.score(denoiser, images.x, 0.5, images.y).shape == images.x.shape


def test_images_that_are_too_small_or_all_alike_are_refused():
    with pytest.raises(ValueError, match="7 x 8 pixels"):
        denoise.UNet((1, 7, 8), 2)
    images = data.dataset("black", "train", torch.zeros(3, 1, 8, 8), torch.tensor([0, 1, 0]), 2)
    with pytest.raises(UsageError, match=r"'black'.*all alike"):
        denoise.fit(denoise.Config(train.Schedule(1, 2, 1e-3), labels=True), images, seed=0, device=torch.device("cpu"))


@pytest.mark.parametrize("sigma", [0.0, -0.1, float("nan")])
def test_a_noise_level_of_nothing_is_refused(sigma):
    denoiser = denoise.Denoiser(Zero(), torch.zeros(1, 2, 2), 0.3, 10)
    with pytest.raises(ValueError, match="noise levels above zero"):
        denoise.score(denoiser, torch.rand(3, 1, 2, 2), sigma)
