"""Likeness of maps: LPIPS as its authors publish it, SSIM and the cosine as their formulas say."""

import os
from pathlib import Path

import pytest
import torch
import torchvision

from pags import data, paths, similarity
from pags.errors import PagsError, UsageError

DATA = Path(os.environ.get("PAGS_TEST_DATA", paths.DATA))
PAIRS = DATA / "weights"


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_scaled_map_reaches_one_and_keeps_its_signs():
    E = torch.stack([drawn(1, 8, 8), 1e-6 * drawn(1, 8, 8, seed=1), torch.zeros(1, 8, 8)])
    found = similarity.scaled(E)
    assert torch.equal(found.abs().amax((1, 2, 3)), torch.tensor([1.0, 1.0, 0.0]).double())
    assert torch.equal(found.sign(), E.sign())


# SSIM


def test_ssim_of_a_map_with_itself_is_one_and_it_is_symmetric():
    E, S = drawn(4, 1, 16, 16), drawn(4, 1, 16, 16, seed=1)
    assert torch.allclose(similarity.ssim(E, 3 * E), torch.ones(4).double())
    assert torch.allclose(similarity.ssim(E, S), similarity.ssim(S, E))
    assert similarity.ssim(E, S).abs().max() < 0.5


def test_ssim_of_one_window_is_the_formula():
    E, S = drawn(1, 1, 11, 11), drawn(1, 1, 11, 11, seed=1)
    a, b = similarity.scaled(E).flatten(), similarity.scaled(S).flatten()
    at = torch.arange(11).double() - 5
    w = torch.exp(-(at[:, None] ** 2 + at**2) / (2 * 1.5**2)).flatten()
    w = w / w.sum()
    ma, mb = w @ a, w @ b
    va, vb, cov = w @ (a - ma) ** 2, w @ (b - mb) ** 2, w @ ((a - ma) * (b - mb))
    c1, c2 = 0.0004, 0.0036
    wanted = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    assert torch.allclose(similarity.ssim(E, S), wanted[None])


# Cosine in the tangent space


def test_the_cosine_sees_only_the_tangent_part():
    basis = torch.linalg.qr(drawn(3, 64, 5)).Q
    E, across = drawn(3, 1, 8, 8, seed=1), drawn(3, 64, seed=2)
    across = (across - (basis @ (basis.mT @ across[..., None]))[..., 0]).reshape(E.shape)
    assert torch.allclose(similarity.cosine(basis, E, 2 * E + 10 * across), torch.ones(3).double())
    assert torch.allclose(similarity.cosine(basis, E, -E), -torch.ones(3).double())


# LPIPS


@pytest.fixture
def random_trunk(tmp_path):
    """A data directory with an AlexNet of random weights."""
    from torchvision.models import alexnet

    torch.manual_seed(0)
    state = alexnet().features.state_dict()
    (tmp_path / data.ALEXNET).parent.mkdir()
    torch.save({f"features.{name}": value for name, value in state.items()}, tmp_path / data.ALEXNET)
    return tmp_path


def test_with_any_trunk_lpips_of_a_map_with_itself_is_zero_and_it_is_symmetric_and_blind_to_size(random_trunk):
    alike = similarity.lpips(data.alexnet(random_trunk))
    E, S = drawn(5, 1, 32, 32).float(), drawn(5, 1, 32, 32, seed=1).float()
    assert torch.allclose(alike(E, 5 * E), torch.ones(5))
    assert torch.allclose(alike(E, S), alike(S, E), atol=1e-6)
    assert torch.allclose(alike(E, S, batch=2), alike(E, S), atol=1e-5)
    assert torch.allclose(alike(E.expand(-1, 3, -1, -1), S), alike(E, S), atol=1e-6)
    assert (alike(E, S) < 1 - 1e-5).all()


def test_without_weights_it_is_refused_and_said_what_to_do(tmp_path):
    with pytest.raises(PagsError, match="pags data fetch alexnet"):
        data.alexnet(tmp_path)
    (tmp_path / data.ALEXNET).parent.mkdir()
    (tmp_path / data.ALEXNET).write_bytes(b"no weights")
    with pytest.raises(PagsError, match="damaged"):
        data.alexnet(tmp_path)


def test_fetching_the_weights_keeps_the_trunk_alone(tmp_path, monkeypatch):
    from torchvision.models import AlexNet_Weights

    whole = {"features.0.weight": torch.ones(2), "classifier.1.weight": torch.ones(3)}
    monkeypatch.setattr(AlexNet_Weights, "get_state_dict", lambda self, **options: whole)
    path = data.fetch("alexnet", tmp_path)
    assert path == tmp_path / data.ALEXNET
    assert data.alexnet(tmp_path).keys() == {"features.0.weight"}
    with pytest.raises(UsageError, match="alexnet"):
        data.fetch("alexnets", tmp_path)


@pytest.mark.skipif(not (DATA / data.ALEXNET).exists(), reason="needs AlexNet's weights: pags data fetch alexnet")
def test_with_its_weights_lpips_gives_what_another_implementation_gives():
    """The metric written out: unit-length features, squared differences, the package's weights, mean over pixels."""
    from importlib.resources import files

    alike = similarity.lpips(data.alexnet(DATA))
    E, S = similarity.scaled(drawn(3, 3, 64, 64).float()), similarity.scaled(drawn(3, 3, 64, 64, seed=1).float())
    trunk = data.alexnet(DATA)
    heads = torch.load(files("lpips") / "weights" / "v0.1" / "alex.pth", map_location="cpu", weights_only=True)
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    layers = [(0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)]
    h = [(v - shift[:, None, None]) / scale[:, None, None] for v in (E, S)]
    total = 0.0
    for i, (number, stride, padding) in enumerate(layers):
        if i in (1, 2):
            h = [torch.nn.functional.max_pool2d(v, 3, 2) for v in h]
        weight, bias = trunk[f"features.{number}.weight"], trunk[f"features.{number}.bias"]
        h = [torch.nn.functional.conv2d(v, weight, bias, stride, padding).relu() for v in h]
        a, b = (v / (v.norm(dim=1, keepdim=True) + 1e-10) for v in h)
        total = total + ((a - b) ** 2 * heads[f"lin{i}.model.1.weight"]).sum(1).mean((1, 2))
    assert torch.allclose(alike(E, S), 1 - total, atol=1e-4)


@pytest.mark.skipif(not (PAIRS / "ex_ref.png").exists(), reason="needs the example images of the package lpips")
def test_the_published_example_pair():
    import numpy as np
    from PIL import Image

    def read(name):
        return torch.from_numpy(np.array(Image.open(PAIRS / name).convert("RGB"))).permute(2, 0, 1)[None] / 127.5 - 1

    alike = similarity.lpips(data.alexnet(DATA))
    found = {name: read(f"{name}.png") for name in ("ex_ref", "ex_p0", "ex_p1")}
    distance = [1 - float(alike(found["ex_ref"], found[name])) for name in ("ex_p0", "ex_p1")]
    assert distance == pytest.approx([0.722, 0.138], abs=1e-3)


# Scales and sizes


@pytest.mark.parametrize("scale", [1e-42, 1e-30, 1.0, 1e30])
def test_no_measure_depends_on_the_length_of_a_map(scale):
    E, S = drawn(3, 1, 12, 12).float(), drawn(3, 1, 12, 12, seed=1).float()
    basis = torch.linalg.qr(drawn(3, 144, 5, seed=2).float()).Q
    loose = {"atol": 5e-3, "rtol": 0}  # below the normal numbers digits are lost
    torch.testing.assert_close(similarity.scaled(scale * E), similarity.scaled(E), **loose)
    torch.testing.assert_close(similarity.ssim(scale * E, S), similarity.ssim(E, S), **loose)
    torch.testing.assert_close(similarity.cosine(basis, scale * E, S), similarity.cosine(basis, E, S), **loose)
    assert similarity.cosine(basis, E, S).abs().min() > 1e-2


def test_a_map_without_a_tangent_part_has_cosine_zero():
    basis = torch.eye(144)[None, :, :5].double()
    E = torch.cat([torch.zeros(1, 5), torch.ones(1, 139)], 1).reshape(1, 1, 12, 12).double()
    assert similarity.cosine(basis, E, drawn(1, 1, 12, 12)).tolist() == [0.0]


def test_maps_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="10 x 12 pixels: this measure needs at least 11 x 11"):
        similarity.ssim(drawn(2, 1, 10, 12), drawn(2, 1, 10, 12))
    names = {f"features.{i}.{kind}" for i in (0, 3, 6, 8, 10) for kind in ("weight", "bias")}
    shapes = dict(torchvision.models.alexnet(weights=None).named_parameters())
    alike = similarity.lpips({name: torch.zeros_like(shapes[name]) for name in names})
    assert alike(torch.rand(2, 1, 31, 31), torch.rand(2, 1, 31, 31)).shape == (2,)
    with pytest.raises(ValueError, match="30 x 31 pixels: this measure needs at least 31 x 31"):
        alike(torch.rand(2, 1, 30, 31), torch.rand(2, 1, 30, 31))
