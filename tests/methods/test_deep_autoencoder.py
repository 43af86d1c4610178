"""A's autoencoder: its shape is pythae's, it learns, and its tangent spaces are those of its decoder."""

import pytest
import torch

from pags import artifacts, data, deep_autoencoder, tangent, train

CPU = torch.device("cpu")


def images(h, w, n=24):
    """Gratings of one direction with two phases, so that two latents are enough."""
    t = torch.rand(n, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    x = 0.5 + 0.4 * torch.sin(6.3 * (t + torch.linspace(0, 1, h)[:, None] + torch.zeros(w)))
    return data.dataset("gratings", "train", x.expand(-1, 3, -1, -1).contiguous(), torch.arange(n) % 2, 2)


def test_at_full_width_it_has_the_layers_of_the_paper():
    with torch.device("meta"):
        net = deep_autoencoder.DeepAutoencoder(3, 32, 128, 128)
        convolutions = [m for m in net.encode.modules() if isinstance(m, torch.nn.Conv2d)]
        assert [m.out_channels for m in convolutions] == [128, 256, 512, 1024]
        assert net.encode[-1].in_features == 4096
        assert net.decode[0].out_features == 1024 * 8 * 8
        transposed = [m for m in net.decode.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
        assert [m.out_channels for m in transposed] == [512, 256, 3]
        assert net(torch.empty(2, 3, 32, 32)).shape == (2, 3, 32, 32)


def test_it_learns_and_comes_back_as_it_was():
    config = deep_autoencoder.Config(latents=2, schedule=train.Schedule(30, 8, 3e-3), width=4)
    part = images(32, 32)
    weights, info = deep_autoencoder.fit(config, part, seed=0, device=CPU)
    net = deep_autoencoder.load(artifacts.Artifact(weights, info, ""))
    left = (net(part.x) - part.x).square().mean()
    assert left < 0.3 * (part.x - part.x.mean(0)).square().mean()
    basis = tangent.tangent_basis(net.decode, net.encode(part.x[:3]))
    assert basis.shape == (3, 3072, 2)
    step = 1e-3 * torch.tensor([1.0, 0.0])
    z = net.encode(part.x[:3])
    moved = net.decode(z + step) - net.decode(z)
    assert torch.allclose(tangent.fraction_in(basis, moved), torch.ones(3), atol=1e-2)


@pytest.mark.parametrize(("h", "w"), [(24, 24), (8, 8), (16, 32)])
def test_other_images_are_refused(h, w):
    config = deep_autoencoder.Config(latents=3, schedule=train.Schedule(1, 2, 1e-3), width=4)
    with pytest.raises(ValueError, match=f"images of {h} x {w} pixels"):
        deep_autoencoder.fit(config, images(h, w), seed=0, device=CPU)
