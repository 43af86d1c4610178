"""BlockMNIST: images of which one block carries the class and the others carry nothing, and what leaks.

Axes: n examples, b blocks, c channels, s pixels along a block's side. An image (n, c, b s, s) is a column of square
blocks; `place` (n,) is the block that holds the signal, 0 at the top. After Shah, Jain and Netrapalli (2021), Section
5, whose data were never released: the null block's geometry, `patch`, is ours, and so are all sample sizes.
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pags import attack, data
from pags.errors import UsageError
from pags.files import write_atomically

# The null block, in units of its side: a centred square with both diagonals, drawn with a pen of constant width.
HALF_SIDE = 9 / 28
PEN = 2 / 28


@dataclass(frozen=True)
class Blocks:
    """Images with their labels, and where the signal of each of them lies."""

    images: data.Dataset
    place: Tensor
    blocks: int

    @property
    def signal(self) -> Tensor:
        """True on the signal block's pixels: (n, 1, b s, s)."""
        return mask(self.place, self.blocks, self.images.x.shape[-1])

    def first(self, n: int) -> "Blocks":
        """The first n examples."""
        return Blocks(self.images.first(n), self.place[:n], self.blocks)


def patch(size: int = 28) -> Tensor:
    """The null block (1, size, size) in [0, 1]: a square with both diagonals, six lines between its four corners.

    The square's sides lie at `HALF_SIDE` from the block's centre. Ink falls from 1 to 0 over the one pixel in which a
    line of width `PEN` ends, measured by the distance to the nearest line.
    """
    at = torch.arange(size) - (size - 1) / 2
    grid = torch.cartesian_prod(at, at)  # (s^2, 2)
    corners = HALF_SIDE * size * torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    distances = []
    for a, b in itertools.combinations(corners, 2):
        t = ((grid - a) @ (b - a) / (b - a).square().sum()).clamp(0, 1)
        distances.append((grid - a - t[:, None] * (b - a)).norm(dim=1))
    ink = 0.5 * (PEN * size + 1) - torch.stack(distances).amin(0)
    return ink.clamp(0, 1).reshape(1, size, size)


def places(n: int, *, blocks: int = 2, p_top: float = 0.5, generator: torch.Generator) -> Tensor:
    """Where the signal goes, (n,): to the top with probability `p_top`, else to one of the other blocks, all alike."""
    if blocks < 2:
        raise UsageError(f"blocks = {blocks}: an image needs at least 2, one with the signal and one without")
    if not 0 <= p_top <= 1:
        raise UsageError(f"p_top = {p_top}: write a probability, from 0 to 1")
    below = torch.randint(1, blocks, (n,), generator=generator)
    return torch.where(torch.rand(n, generator=generator) < p_top, 0, below)


def stack(signal: Tensor, null: Tensor, place: Tensor) -> Tensor:
    """Images (n, c, b s, s) with the blocks signal (n, c, s, s) at `place` and null (n, b - 1, c, s, s) elsewhere."""
    if signal.shape[1:] != null.shape[2:]:
        sizes = " and ".join(" x ".join(map(str, part)) for part in (signal.shape[1:], null.shape[2:]))
        raise UsageError(f"signal and null blocks are {sizes} (channels, height, width): make them equal")
    b = null.shape[1] + 1
    rank = torch.arange(b - 1) + (torch.arange(b - 1) >= place[:, None])  # where each null block goes: (n, b - 1)
    x = signal.new_empty(len(signal), b, *signal.shape[1:])
    rows = torch.arange(len(signal))
    x[rows, place] = signal
    x[rows[:, None], rank] = null
    return x.transpose(1, 2).flatten(2, 3)


def split(x: Tensor, blocks: int) -> Tensor:
    """The blocks (n, b, c, s, s) of images (n, c, b s, s), from the top."""
    return x.unflatten(2, (blocks, -1)).transpose(1, 2)


def mask(place: Tensor, blocks: int, size: int) -> Tensor:
    """True on the signal block's pixels: (n, 1, b s, s)."""
    hit = torch.arange(blocks) == place[:, None].cpu()
    return hit.repeat_interleave(size, 1)[:, None, :, None].expand(-1, -1, -1, size).contiguous().to(place.device)


def make(
    source: data.Dataset,
    null: Tensor,
    *,
    classes: Sequence[int] = (0, 1),
    n: int | None = None,
    blocks: int = 2,
    p_top: float = 0.5,
    generator: torch.Generator,
) -> Blocks:
    """BlockMNIST from the images of `source` that show one of `classes`, renumbered in this order; the first n.

    `null` is one block (c, s, s), or a pool (m, c, s, s) from which every null block is drawn. Known latents stay.
    """
    classes = tuple(classes)
    if len(set(classes)) < 2 or len(set(classes)) < len(classes):
        raise UsageError(f"classes = {list(classes)}: name at least two, each once")
    if absent := [one for one in classes if not (source.y == one).any()]:
        there = ", ".join(map(str, source.y.unique().tolist()))
        raise UsageError(f"classes {absent} are not in {source.name}: it has {there}")
    if null.numel() == 0:
        raise UsageError("the source of null blocks is empty: give at least one block")
    number = torch.full((source.classes,), -1)
    number[torch.tensor(classes)] = torch.arange(len(classes))
    rows = (number[source.y] >= 0).nonzero().squeeze(1)[:n]
    if n is not None and not 1 <= n <= len(rows):
        raise UsageError(f"n = {n}: {source.name} has {len(rows)} images of the classes {list(classes)}")
    place = places(len(rows), blocks=blocks, p_top=p_top, generator=generator)
    pool = null if null.dim() == 4 else null[None]
    drawn = torch.randint(len(pool), (len(rows), blocks - 1), generator=generator)
    x = stack(source.x[rows], pool[drawn], place)
    latents = None if source.latents is None else source.latents[rows]
    name = f"blocks of {source.name}"
    images = data.dataset(name, source.split, x, number[source.y[rows]], len(classes), latents)
    return Blocks(images, place, blocks)


def replace_null(made: Blocks, null: Tensor) -> Tensor:
    """The images with their null blocks replaced by `null`: one block (c, s, s), or one each (n, b - 1, c, s, s)."""
    parts = split(made.images.x, made.blocks)
    rows = torch.arange(len(parts))
    signal = parts[rows, made.place]
    return stack(signal, null.expand(len(parts), made.blocks - 1, *signal.shape[1:]), made.place)


# Leakage


def null_share(E: Tensor, signal: Tensor, *, power: float = 1.0) -> Tensor:
    """Share of sum |E|^power outside the signal block (mask n, 1, b s, s), per image: (n,); nan where E is zero.

    Without knowledge of where the signal lies the expectation is 1 - 1/b, at any power: `blind_share`.
    """
    size = attack.balanced(E).abs() ** power
    return (size * ~signal).flatten(1).sum(1) / size.flatten(1).sum(1)


def top_share(E: Tensor, signal: Tensor, k: int) -> Tensor:
    """Share of the k entries of largest |E| that lie outside the signal block, per image: (n,). Blind: 1 - 1/b."""
    outside = (~signal).expand_as(E).flatten(1)
    if not 0 < k <= outside.shape[1]:
        raise ValueError(f"k = {k}: write a number of entries from 1 to {outside.shape[1]}")
    return outside.gather(1, E.flatten(1).abs().topk(k, dim=1).indices).float().mean(1)


def blind_share(blocks: int) -> float:
    """Expected share outside the signal block for an attribution that is independent of a uniform place: 1 - 1/b."""
    return 1 - 1 / blocks


# Exporting


SPECIFICATION = {
    "image": "a column of square blocks, values 0 to 255; one block holds the signal, every other a null block",
    "patch": "the null block, in units of its side s: a square centred in the block, its sides 9/28 from the centre, "
    "and both its diagonals, six lines of width 2/28. With r the distance of a pixel's centre to the nearest line, in "
    "pixels, its ink is (s/28 + 1/2 - r), cut to [0, 1]",
    "place": "the block with the signal, 0 at the top: 0 with probability p_top, else one of the others, all alike",
    "arrays": "x_SPLIT (n, b s, s) uint8, in colour (n, b s, s, 3); y_SPLIT (n,) int64, the index in `classes`; "
    "place_SPLIT (n,) int64; mask_SPLIT (n, b s, s) bool, true on the signal block; SPLIT is train or test",
}


@dataclass(frozen=True)
class Settings:
    """What an exported data set is made of: data sets by name, `null` "patch" or one more of them; 0 for all images."""

    signal: str = "mnist"
    null: str = "patch"
    classes: tuple[int, ...] = (0, 1)
    blocks: int = 2
    p_top: float = 0.5
    train: int = 0
    test: int = 0
    size: int = 28
    seed: int = 0


def build(settings: Settings, data_dir: Path | str | None = None) -> dict[str, Blocks]:
    """The training and test images of `settings`; the same settings give the same images."""
    made = {}
    for i, (split, n) in enumerate({"train": settings.train, "test": settings.test}.items()):
        load = partial(data.load, split=split, data_dir=data_dir, size=settings.size, seed=settings.seed)
        source = load(settings.signal)
        null = patch(settings.size) if settings.null == "patch" else load(settings.null).x
        made[split] = make(
            source,
            null if null.dim() == 4 else null.expand(source.x.shape[1], -1, -1),
            classes=settings.classes,
            n=n or None,
            blocks=settings.blocks,
            p_top=settings.p_top,
            generator=torch.Generator().manual_seed(2 * settings.seed + i),
        )
    return made


def export(settings: Settings, directory: Path, data_dir: Path | str | None = None) -> Path:
    """Write blockmnist.npz and, with the geometry, the settings and the sizes, blockmnist.json; the npz's path.

    The same settings give the same bytes.
    """
    arrays: dict[str, Any] = {}
    for name, part in build(settings, data_dir).items():
        pixels = (part.images.x * 255).round().to(torch.uint8)
        arrays[f"x_{name}"] = (pixels.squeeze(1) if pixels.shape[1] == 1 else pixels.movedim(1, -1)).numpy()
        arrays[f"y_{name}"] = part.images.y.numpy()
        arrays[f"place_{name}"] = part.place.numpy()
        arrays[f"mask_{name}"] = part.signal[:, 0].numpy()
    sizes = {name: list(array.shape) for name, array in arrays.items()}
    about = json.dumps({**SPECIFICATION, "settings": asdict(settings), "sizes": sizes}, indent=1) + "\n"
    path = directory / "blockmnist.npz"

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)

    write_atomically(path, write)
    write_atomically(path.with_suffix(".json"), lambda temporary: temporary.write_text(about, encoding="utf-8"))
    return path
