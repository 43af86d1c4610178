"""Digits with a distractor: the letter A above or below, the same for every class.

Axes: n examples, s pixels along a side; images are (n, 1, 2 s, s). After Srinivas et al. 2023, Section 4.3, with a
letter that is drawn here: theirs is set in FreeMono. `blocks.Blocks` says where the digit of each image stands.
"""

import itertools

import torch
from torch import Tensor

from pags import blocks, data

# Corner points of the letter's three strokes, (x, y) in units of the block's side, y downwards; and the pen's width.
STROKES = (((0.5, 0.2), (0.27, 0.8)), ((0.5, 0.2), (0.73, 0.8)), ((0.36, 0.58), (0.64, 0.58)))
PEN = 2 / 28


def letter(size: int = 28) -> Tensor:
    """The letter A in white on black (1, size, size); ink falls from 1 to 0 over the one pixel in which a stroke ends.

    The rule is that of `blocks.patch`, so that both kinds of null blocks have the same contrast.
    """
    at = (torch.arange(size) + 0.5) / size
    grid = torch.tensor(list(itertools.product(at.tolist(), repeat=2))).flip(1)  # (s^2, 2) as (x, y)
    distances = []
    for a, b in torch.tensor(STROKES):
        t = ((grid - a) @ (b - a) / (b - a).square().sum()).clamp(0, 1)
        distances.append((grid - a - t[:, None] * (b - a)).norm(dim=1))
    ink = 0.5 * (PEN * size + 1) - size * torch.stack(distances).amin(0)
    return ink.clamp(0, 1).reshape(1, size, size)


def make(source: data.Dataset, *, generator: torch.Generator) -> blocks.Blocks:
    """Every image of `source` with the letter above or below it, each with probability one half."""
    return blocks.make(source, letter(source.x.shape[-1]), classes=range(source.classes), generator=generator)
