"""Images shifted and mirrored at random, anew in every batch and on the device where they lie.

Axes: n images, c channels, h x w pixels. What hides pixels goes before, so that what is hidden moves along.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pags import train

PAD = 4  # pixels by which an image moves at most, as is usual on CIFAR-10


def crop_and_flip(x: Tensor, *, generator: torch.Generator, pad: int = PAD) -> Tensor:
    """Each image (n, c, h, w) shifted by up to `pad` pixels either way, black coming in, and mirrored half the time."""
    n, _, h, w = x.shape
    device = generator.device
    down, right = torch.randint(2 * pad + 1, (2, n, 1), generator=generator, device=device).to(x.device)
    mirrored = torch.rand(n, 1, generator=generator, device=device).to(x.device) < 0.5
    rows = down + torch.arange(h, device=x.device)  # (n, h)
    columns = torch.arange(w, device=x.device)
    columns = right + torch.where(mirrored, columns.flip(0), columns)  # (n, w)
    images = torch.arange(n, device=x.device)[:, None, None]
    moved = F.pad(x, [pad] * 4).permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]]  # (n, h, w, c)
    return moved.permute(0, 3, 1, 2)


def augmented(objective: train.Objective) -> train.Objective:
    """The objective at images that `crop_and_flip` has moved."""

    def moved(net: nn.Module, x: Tensor, *rest: Tensor, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        return objective(net, crop_and_flip(x, generator=generator), *rest, generator=generator, step=step)

    return moved
