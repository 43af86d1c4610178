"""The autoencoder: the shapes that it takes."""

import pytest
import torch

from pags import autoencoder, data, train

CONFIG = autoencoder.Config(latents=3, schedule=train.Schedule(1, 2, 1e-3), width=4)


def images(h, w):
    x = torch.rand(3, 1, h, w, generator=torch.Generator().manual_seed(0))
    return data.dataset("noise", "train", x, torch.tensor([0, 1, 0]), 2)


@pytest.mark.parametrize("size", [8, 24, 40])
def test_multiples_of_eight_are_reconstructed(size):
    net = autoencoder.Autoencoder(1, size, 3, 4)
    assert net(images(size, size).x).shape == (3, 1, size, size)


@pytest.mark.parametrize(("h", "w"), [(28, 28), (4, 4), (16, 8)])
def test_other_images_are_refused(h, w):
    with pytest.raises(ValueError, match=f"images of {h} x {w} pixels"):
        autoencoder.fit(CONFIG, images(h, w), seed=0, device=torch.device("cpu"))
