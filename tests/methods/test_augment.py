"""Images that move at random: by whole pixels, with black coming in, and half of them mirrored."""

import torch

from pags import augment, train


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def placed(image, down, right, mirrored, pad):
    """The image (c, h, w) as one loop would move it."""
    c, h, w = image.shape
    big = torch.zeros(c, h + 2 * pad, w + 2 * pad)
    big[:, pad : pad + h, pad : pad + w] = image
    part = big[:, down : down + h, right : right + w]
    return part.flip(2) if mirrored else part


def test_every_image_is_one_of_its_shifts_and_mirrors_and_all_of_them_come():
    x = torch.rand(400, 3, 5, 6, generator=generator())
    moved = augment.crop_and_flip(x, generator=generator(1), pad=1)
    assert moved.shape == x.shape
    seen = set()
    for image, found in zip(x, moved, strict=True):
        which = [
            (down, right, mirrored)
            for down in range(3)
            for right in range(3)
            for mirrored in (False, True)
            if torch.equal(found, placed(image, down, right, mirrored, 1))
        ]
        assert len(which) == 1
        seen |= set(which)
    assert len(seen) == 18


def test_the_same_generator_moves_alike():
    x = torch.rand(8, 1, 9, 9, generator=generator())
    first, again, other = (augment.crop_and_flip(x, generator=generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_was_hidden_moves_along():
    x = torch.ones(50, 1, 8, 8)
    x[:, :, :4] = 0  # a mask
    moved = augment.crop_and_flip(x, generator=generator())
    assert ((moved == 0) | (moved == 1)).all()
    assert (moved.sum((1, 2, 3)) <= 32).all()


def test_an_objective_meets_the_moved_images_and_its_labels():
    met = []

    def objective(net, x, y, *, generator, step):
        met.append((x, y))
        return train.standard(net, x, y, generator=generator, step=step)

    x, y = torch.rand(6, 1, 8, 8, generator=generator()), torch.arange(6) % 2
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    augment.augmented(objective)(net, x, y, generator=generator(5), step=0)
    assert torch.equal(met[0][0], augment.crop_and_flip(x, generator=generator(5)))
    assert torch.equal(met[0][1], y)
