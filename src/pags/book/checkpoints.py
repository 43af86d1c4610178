"""A's Figures 3, 10 and 11 for networks that others have trained: robust ImageNet checkpoints of rising budget.

Axes: n images (n, 3, h, w) in [0, 1], all of them with a score at `SIDE` pixels. As Srinivas et al. 2023 do, the
gradient of the predicted logit is taken at the networks' own size and brought to the score's.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models

from pags import artifacts, data, denoise, formats, outputs, presets, similarity, stats, train
from pags.book import plot
from pags.errors import PagsError, UsageError
from pags.files import explained

SIDE = 64  # pixels of the denoiser's images
SIGMA = 0.6  # A's noise level for ImageNet-64: 1.2 for pixels in [-1, 1]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet: the normaliser that such nets come with
KINDS = ("resnet18", "resnet34", "resnet50", "wide_resnet50_2")
BUDGET = re.compile(r"eps[_=]?(\d+(?:\.\d+)?)")
SHOWN = 8  # images in the gallery


class Found(NamedTuple):
    """What is measured of one checkpoint: `likeness` (2, n) is the measure and its null, `maps` the first gradients.

    `accuracy` is None where the net and the data set differ in their classes.
    """

    name: str
    budget: float | None
    accuracy: float | None
    likeness: Tensor
    maps: Tensor


class Normalised(nn.Module):
    """A net of torchvision's for images in [0, 1]."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, c)."""
        return self.net((x - self.mean) / self.std)


def load(path: Path) -> Normalised:
    """The net of a checkpoint, whichever of `KINDS` its weights fit; PagsError if it is none of them."""
    weights = formats.checkpoint(path)
    shapes = {key: value.shape for key, value in weights.items() if not key.endswith("num_batches_tracked")}
    classes = len(weights.get("fc.bias", ()))
    for kind in KINDS:
        with torch.device("meta"):
            there = getattr(models, kind)(num_classes=max(classes, 1)).state_dict()
        if shapes == {key: value.shape for key, value in there.items() if key in shapes or key.endswith("weight")}:
            net = getattr(models, kind)(num_classes=classes)
            net.load_state_dict(weights, strict=False)
            return Normalised(net).eval().requires_grad_(False)
    raise PagsError(f"{path} holds the weights of no {', '.join(KINDS)}: write them under torchvision's names")


def budget(path: Path) -> float | None:
    """The budget in a file's name, as in resnet18_l2_eps0.25.ckpt."""
    found = BUDGET.search(path.name)
    return float(found[1]) if found else None


def measured(
    paths: Sequence[Path],
    images: data.Dataset,
    scores: Tensor,
    compare: outputs.Compare,
    *,
    device: torch.device,
) -> list[Found]:
    """`Found` of each checkpoint at the images, in the order of their budgets."""
    found = []
    for path in sorted(paths, key=lambda path: (budget(path) or 0.0, path.name)):
        net = load(path).to(device)
        E = outputs.gradient(net, images.x.to(device), outputs.predicted, batch=50)
        maps = F.interpolate(E, size=scores.shape[-2:], mode="bilinear", antialias=True).cpu()
        alike = outputs.likeness(maps, scores, compare)
        classes = len(net(images.x[:1].to(device))[0])
        right = train.correct(net, images.x, images.y).mean() if classes == images.classes else None
        found.append(Found(path.name, budget(path), None if right is None else float(right), alike, maps[:SHOWN]))
    return found


def draw(name: str, files: Sequence[Path], out: Path, *, size: int = 224, n: int = 200, data_dir=None, device) -> str:
    """Measure checkpoints at n test images, write two figures and their numbers into `out`, and say what was found.

    The score is that of a denoiser with labels, trained on the data set's training images at `SIDE` pixels.
    UsageError for fewer than `SHOWN` images.
    """
    if n < SHOWN:
        raise UsageError(f"--images {n}: write at least {SHOWN}")
    for path in files:
        load(path)  # before anything is trained
    seen = data.load(name, "test", data_dir=data_dir, size=size, n=n)
    small = data.load(name, "test", data_dir=data_dir, size=SIDE, n=n)
    config = presets.get("04_off_manifold_robustness", "gpu").denoiser
    many = data.load(name, "train", data_dir=data_dir, size=SIDE)
    denoiser = denoise.load(artifacts.cached(denoise.fit, config, many, seed=0, device=device), device)
    parts = zip(small.x.to(device).split(50), small.y.to(device).split(50), strict=True)
    scores = torch.cat([denoise.score(denoiser, x, SIGMA, y).cpu() for x, y in parts])
    trunk = data.alexnet(data_dir) if data.names(data_dir)["alexnet"] else None
    word, compare = ("1 − LPIPS", similarity.lpips(trunk)) if trunk else ("cosine", similarity.plain_cosine)
    found = measured(files, seen, scores, compare, device=device)
    numbers = [_numbers(one, word) for one in found]
    with explained(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / "likeness.svg").write_text(plot.svg(curve(numbers, word)), encoding="utf-8")
        (out / "gallery.svg").write_text(plot.svg(gallery(found, small.x[:SHOWN], scores[:SHOWN])), encoding="utf-8")
        (out / "checkpoints.json").write_text(json.dumps(numbers, indent=1) + "\n")
    lines = [
        f"{one.name}: {word} {own:.3f}, with other images' scores {null:.3f}"
        + ("" if one.accuracy is None else f", accuracy {one.accuracy:.3f}")
        for one in found
        for own, null in [one.likeness.mean(1).tolist()]
    ]
    return "\n".join([*lines, str(out)])


def _numbers(one: Found, word: str) -> dict[str, Any]:
    own, null = (stats.summary(part.double()) for part in one.likeness)
    return {
        "file": one.name,
        "budget": one.budget,
        "accuracy": one.accuracy,
        "measure": word,
        "own score": [own.value, own.low, own.high],
        "other images' scores": [null.value, null.low, null.high],
        "images": own.n,
    }


def curve(numbers: Sequence[dict[str, Any]], word: str):
    """Likeness, its null and the accuracy against the place in the order of budgets."""
    fig, ax = plot.canvas(height=3.4)
    at = range(len(numbers))
    names = ["own score", "other images' scores", "accuracy"]
    looks = dict(zip(names, plot.looks(names), strict=True))
    for name in names[:2]:
        value, low, high = torch.tensor([one[name] for one in numbers], dtype=torch.double).T
        ax.plot(at, value, label=name, **looks[name])
        plot.band(ax, at, low, high, looks[name])
    if all(one["accuracy"] is not None for one in numbers):
        ax.plot(at, [one["accuracy"] for one in numbers], label=names[2], **looks[names[2]])
    ax.set_xticks(at, [_short(one["file"], one["budget"]) for one in numbers])
    ax.set(xlabel="budget ε", ylabel=word)
    ax.grid(axis="y")
    plot.legend(fig)
    return fig


def _short(file: str, budget: float | None) -> str:
    """The budget, or the beginning of the name of a file that has none."""
    return file[:12] if budget is None else f"{budget:g}"


def gallery(found: Sequence[Found], images: Tensor, scores: Tensor):
    """The score, and the gradient of every net, below their images."""
    rows = {"score": scores}
    rows |= {"ε = " * (one.budget is not None) + _short(one.name, one.budget): one.maps for one in found}
    return plot.maps(rows, images=images, share="row", unit=True)
