"""Data sets by name, as tensors, with their identity.

Axes: n examples, c channels. `strokes` is drawn on the spot; mnist and fashion_mnist come from torchvision's files,
every other name from `<name>.npz` in the data directory with arrays x_train, y_train, x_test and y_test.
"""

import hashlib
import io
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision import datasets

from pags import paths, strokes
from pags.errors import PagsError, UsageError
from pags.files import write_atomically

TORCHVISION = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST}
FETCHED_TO_NPZ = {"cifar10": datasets.CIFAR10, "emnist": datasets.EMNIST}
STROKES = {"train": 60_000, "test": 10_000}
SPLITS = ("train", "test")
ALEXNET = Path("weights", "alexnet_features.pth")
BTCVAE = Path("weights", "btcvae_mnist.pt")
BTCVAE_SOURCE = (
    "https://raw.githubusercontent.com/YannDubs/disentangling-vae/f0452191bab6d94eba0b4e6a065f74dcfd54ac52"
    "/results/btcvae_mnist/model.pt"
)
BTCVAE_SHA256 = "c4d8c308fc35dc9d2b9f449b394908a5857ebbf105422c2133d23949bc04efa3"  # of the released file


@dataclass(frozen=True)
class Dataset:
    """Images x (n, c, h, w) in [0, 1], labels y (n,) in 0..c-1, and the latents (n, k) where they are known."""

    name: str
    split: str
    x: Tensor
    y: Tensor
    classes: int
    fingerprint: str
    latents: Tensor | None = None

    def first(self, n: int) -> "Dataset":
        """The first n examples."""
        latents = None if self.latents is None else self.latents[:n]
        return dataset(self.name, self.split, self.x[:n], self.y[:n], self.classes, latents)


def fingerprint(tensors: Iterable[Tensor]) -> str:
    """SHA-256 over shapes, types and bytes of the tensors, as hex."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).data)
    return digest.hexdigest()


def dataset(name: str, split: str, x: Tensor, y: Tensor, classes: int, latents: Tensor | None = None) -> Dataset:
    """A `Dataset` with the fingerprint of its content."""
    return Dataset(name, split, x, y, classes, fingerprint([x, y, *([] if latents is None else [latents])]), latents)


def latents(images: Dataset) -> Tensor:
    """The latents (n, k) of the images; UsageError where they are not known."""
    if images.latents is None:
        raise UsageError(f"data {images.name!r} has no latents: take strokes, or a data set that was generated")
    return images.latents


def load(
    name: str, split: str, *, data_dir: Path | str | None = None, size: int = 32, n: int | None = None, seed: int = 0
) -> Dataset:
    """The `split` ("train" or "test") of the data set `name`, resized to size x size, its first n examples.

    Grey images stay (n, 1, h, w), colour ones (n, 3, h, w). `seed` draws the strokes and nothing else. Raises
    UsageError for a name or split that cannot be, PagsError for files that are missing or damaged.
    """
    if split not in SPLITS:
        raise UsageError(f"split {split!r}: write one of {', '.join(SPLITS)}")
    if n is not None and n < 1:
        raise UsageError(f"n = {n}: ask for at least one example")
    if name == "strokes":
        return _strokes(split, size, n, seed)
    directory = Path(data_dir) if data_dir else paths.DATA
    x, y = (_torchvision if name in TORCHVISION else _npz)(name, split, directory)
    if n is not None and n > len(x):
        raise UsageError(f"n = {n}: {name} has {len(x)} examples in its {split} split")
    classes = int(y.max()) + 1
    x, y = x[:n], y[:n]
    return dataset(name, split, resize(torch.from_numpy(x), size), torch.from_numpy(y).long(), classes)


def resize(pixels: Tensor, size: int, *, batch: int = 5000) -> Tensor:
    """Images (n, h, w) or (n, h, w, c) of bytes as floats (n, c, size, size) in [0, 1], antialiased bilinear."""
    x = pixels[:, None] if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2)
    parts = [part.float() / 255 for part in x.split(batch)]
    if x.shape[-2:] != (size, size):
        parts = [F.interpolate(part, size=(size, size), mode="bilinear", antialias=True) for part in parts]
    return torch.cat(parts).contiguous()


def _strokes(split: str, size: int, n: int | None, seed: int) -> Dataset:
    n = STROKES[split] if n is None else n
    generator = torch.Generator().manual_seed(2 * seed + SPLITS.index(split))
    x, y, u = strokes.make(n, generator=generator, size=size)
    return dataset("strokes", split, x, y, 10, u)


def _torchvision(name: str, split: str, directory: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        files = TORCHVISION[name](directory, train=split == "train", download=False)
    except RuntimeError as error:
        if "not found" not in str(error):
            raise PagsError(_damaged(name, directory, error)) from error
        raise PagsError(_missing(name, directory)) from error
    except Exception as error:  # altered bytes can make torchvision's reader raise anything
        raise PagsError(_damaged(name, directory, error)) from error
    return check(name, split, files.data.numpy(), files.targets.numpy())


def _npz(name: str, split: str, directory: Path) -> tuple[np.ndarray, np.ndarray]:
    path = directory / f"{name}.npz"
    if not path.exists():
        raise PagsError(_missing(name, directory))
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            absent = [key for s in SPLITS for key in (f"x_{s}", f"y_{s}") if key not in arrays]
            if absent:
                raise PagsError(f"{path} lacks {', '.join(absent)}: it needs x_train, y_train, x_test and y_test")
            return check(name, split, arrays[f"x_{split}"], arrays[f"y_{split}"])
    except PagsError:
        raise
    except Exception as error:  # altered bytes can make numpy, zipfile and zlib raise anything
        raise PagsError(_damaged(name, directory, error)) from error


def check(name: str, split: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The arrays, or a PagsError that says which of their shape, type or labels is wrong."""
    where = f"{name}, {split} split"
    if x.dtype != np.uint8 or x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] not in (1, 3)):
        raise PagsError(f"{where}: x is {x.dtype} {x.shape}; write uint8 images (n, h, w) or (n, h, w, 3)")
    if not np.issubdtype(y.dtype, np.integer) or y.shape != x.shape[:1]:
        raise PagsError(f"{where}: y is {y.dtype} {y.shape}; write one integer label for each of the {len(x)} images")
    if len(x) == 0 or min(x.shape) == 0:
        raise PagsError(f"{where}: x is empty, {x.shape}; write at least one image")
    if y.min() < 0 or y.max() > 999:
        raise PagsError(f"{where}: labels run from {y.min()} to {y.max()}; number the classes from 0, at most 1,000")
    return x, y.astype(np.int64)


def _missing(name: str, directory: Path) -> str:
    if name in TORCHVISION or name in FETCHED_TO_NPZ:
        return f"{name} is not in {directory}; fetch it with: pags data fetch {name}"
    known = ", ".join(["strokes", *TORCHVISION, *FETCHED_TO_NPZ])
    return f"no data set {name!r}: it is none of {known}, and there is no {directory / (name + '.npz')}"


def _damaged(name: str, directory: Path, error: Exception) -> str:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if name in TORCHVISION or name in FETCHED_TO_NPZ:
        return f"{name} in {directory} is damaged ({reason}); delete it and run: pags data fetch {name}"
    return f"{directory / name}.npz is damaged ({reason}); write it again with numpy.savez"


def fetch(name: str, data_dir: Path | str | None = None) -> Path:
    """Download a data set, AlexNet's weights or a released VAE into the data directory; returns where it lies.

    Checksums are verified.
    """
    directory = Path(data_dir) if data_dir else paths.DATA
    known = [*TORCHVISION, *FETCHED_TO_NPZ, "alexnet", "btcvae"]
    if name not in known:
        raise UsageError(f"data set {name!r} cannot be fetched: write one of {', '.join(known)}")
    try:
        if name == "alexnet":
            return _fetch_alexnet(directory)
        if name == "btcvae":
            return _fetch_btcvae(directory)
        if name in TORCHVISION:
            TORCHVISION[name](directory, download=True)
            return directory / TORCHVISION[name].__name__
        return _fetch_to_npz(name, directory)
    except (OSError, RuntimeError) as error:
        raise PagsError(f"{name} could not be downloaded ({str(error).splitlines()[0]}); try again online") from error


def _fetch_to_npz(name: str, directory: Path) -> Path:
    options = {"split": "byclass"} if name == "emnist" else {}
    arrays: dict[str, Any] = {}
    for split in SPLITS:
        files = FETCHED_TO_NPZ[name](directory, train=split == "train", download=True, **options)
        x = np.asarray(files.data)
        arrays[f"x_{split}"] = x.transpose(0, 2, 1) if name == "emnist" else x  # EMNIST's files lie on their side
        arrays[f"y_{split}"] = np.asarray(files.targets).astype(np.int64)
    partial, path = directory / f"{name}.partial.npz", directory / f"{name}.npz"
    np.savez(partial, **arrays)
    partial.replace(path)
    return path


def _fetch_alexnet(directory: Path) -> Path:
    from torchvision.models import AlexNet_Weights

    whole = AlexNet_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    trunk = {name: value for name, value in whole.items() if name.startswith("features.")}
    write_atomically(directory / ALEXNET, lambda temporary: torch.save(trunk, temporary))
    return directory / ALEXNET


def alexnet(data_dir: Path | str | None = None) -> dict[str, Tensor]:
    """The convolutional trunk of ImageNet's AlexNet, as a state dict with keys "features.*"; PagsError without it."""
    path = (Path(data_dir) if data_dir else paths.DATA) / ALEXNET
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise PagsError(f"AlexNet's weights are not in {path}; fetch them with: pags data fetch alexnet") from None
    except Exception as error:  # altered bytes can make torch's reader raise anything
        raise PagsError(f"{path} is damaged; delete it and run: pags data fetch alexnet") from error


def _fetch_btcvae(directory: Path) -> Path:
    with urllib.request.urlopen(BTCVAE_SOURCE, timeout=60) as answer:
        content = answer.read()
    if hashlib.sha256(content).hexdigest() != BTCVAE_SHA256:
        raise PagsError(f"what came from {BTCVAE_SOURCE} is not the released file; try again later")
    write_atomically(directory / BTCVAE, lambda temporary: temporary.write_bytes(content))
    return directory / BTCVAE


def btcvae(data_dir: Path | str | None = None) -> dict[str, Tensor]:
    """The beta-TCVAE of MNIST whose decoder Bordt et al. used, as its authors released it: a state dict.

    Keys "encoder.*" and "decoder.*" of YannDubs/disentangling-vae, 10 latents; the rows of
    "encoder.mu_logvar_gen" alternate between mean and log-variance. PagsError without the file, or for any other file.
    """
    path = (Path(data_dir) if data_dir else paths.DATA) / BTCVAE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise PagsError(f"the released VAE is not in {path}; fetch it with: pags data fetch btcvae") from None
    if hashlib.sha256(content).hexdigest() != BTCVAE_SHA256:
        raise PagsError(f"{path} is damaged, or another file; run: pags data fetch btcvae")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def names(data_dir: Path | str | None = None) -> dict[str, bool]:
    """Every data set one could load, and whether it is there."""
    directory = Path(data_dir) if data_dir else paths.DATA
    there = {path.stem: True for path in sorted(directory.glob("*.npz")) if not path.stem.endswith(".partial")}
    fetched = {name: (directory / TORCHVISION[name].__name__ / "raw").is_dir() for name in TORCHVISION}
    return {"strokes": True, **fetched, **dict.fromkeys(FETCHED_TO_NPZ, False), **there}
