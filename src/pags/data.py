"""Data sets by name, as tensors, with their identity.

Axes: n examples, c channels. `strokes` is drawn on the spot; mnist and fashion_mnist come from torchvision's files or,
without them, like every other name from `<name>.npz` in the data directory with arrays x_train, y_train, x_test and
y_test, or MedMNIST's, or from files that `formats` reads: SVHN's, image folders, downsampled ImageNet. What is read is
put into a random order, always the same: the first n examples are a sample, also of files that are sorted.
"""

import errno
import hashlib
import io
import os
import re
import shlex
import shutil
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib import format as npy
from torch import Tensor
from torchvision import datasets

from pags import formats, paths, progress, strokes
from pags.errors import PagsError, UsageError, first_line
from pags.files import FULL, explained, locked, reason, replace_directory, write_atomically

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RESERVED = ("strokes", "generated", "patch", "alexnet", "btcvae")  # words that mean something else
TORCHVISION = {"mnist": datasets.MNIST, "fashion_mnist": datasets.FashionMNIST}
FETCHED_TO_NPZ = {"cifar10": datasets.CIFAR10, "emnist": datasets.EMNIST}
STROKES = {"train": 60_000, "test": 10_000}
SPLITS = ("train", "test")
LOCAL = (*FULL, errno.EACCES, errno.EPERM, errno.EROFS)  # what a system says of its own disk, not of a connection
# SHA-256 of all pixels, and of all labels, as bytes in the order of the original files. Those of mnist and
# fashion_mnist were taken from files with torchvision's MD5s, that of CIFAR-10's training images from batches with the
# official MD5s; for its test images there is none here.
KNOWN = {
    "mnist": {
        "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
        "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
        "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    },
    "fashion_mnist": {
        "x_train": "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
        "y_train": "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
        "x_test": "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
        "y_test": "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
    },
    "cifar10": {
        "x_train": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
        "y_train": "2b7cd2f24487317614016b72ffd53071c3062f592f0eb300c18a770d41ae1253",
        "y_test": "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5",
    },
}
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

    def to(self, device: torch.device) -> "Dataset":
        """The same examples on the device."""
        latents = None if self.latents is None else self.latents.to(device)
        return replace(self, x=self.x.to(device), y=self.y.to(device), latents=latents)

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

    Grey images stay (n, 1, h, w), colour ones (n, 3, h, w). `seed` draws the strokes, and the order of what is read.
    `classes` counts those of the training split. Raises UsageError for a name or split that cannot be, PagsError for
    files that are missing or damaged, and for other content than a known set has.
    """
    if split not in SPLITS:
        raise UsageError(f"split {split!r}: write one of {', '.join(SPLITS)}")
    if n is not None and n < 1:
        raise UsageError(f"n = {n}: ask for at least one example")
    generator = torch.Generator().manual_seed(2 * seed + SPLITS.index(split))
    if name == "strokes":
        x, y, u = strokes.make(STROKES[split] if n is None else n, generator=generator, size=size)
        return dataset(name, split, x, y, 10, u)
    pixels, labels, classes = content(name, split, data_dir)
    if n is not None and n > len(pixels):
        raise UsageError(f"n = {n}: {name} has {len(pixels)} examples in its {split} split")
    rows = torch.randperm(len(pixels), generator=generator)[:n]
    return dataset(name, split, resize(torch.from_numpy(pixels)[rows], size), torch.from_numpy(labels)[rows], classes)


def outline(name: str, split: str, data_dir: Path | str | None = None) -> tuple[Tensor, int]:
    """The labels (n,) of all that `load` would give, in another order, and the images' channels; nothing is drawn."""
    if name == "strokes":
        return torch.arange(STROKES[split]) % 10, 1
    x, y, _ = content(name, split, data_dir)
    return torch.from_numpy(y), x.shape[3] if x.ndim == 4 else 1


def content(name: str, split: str, data_dir: Path | str | None = None) -> tuple[np.ndarray, np.ndarray, int]:
    """Pixels (n, h, w) or (n, h, w, c) and labels (n,) as they lie in the files, checked, and the number of classes."""
    checked_name(name)
    directory = _directory(data_dir)
    from_npz = name not in TORCHVISION or (not _lies(name, directory) and (directory / f"{name}.npz").exists())
    other = None if (directory / f"{name}.npz").exists() or name in TORCHVISION else formats.reader(name, directory)
    if other is not None:
        x, y, trained = other(split)
        x, y = check(name, split, x, y)
    else:
        x, y, trained = (_npz if from_npz else _torchvision)(name, split, directory)
    for key, array in ((f"x_{split}", x), (f"y_{split}", y.astype(np.uint8))):
        known = KNOWN.get(name, {}).get(key)
        if known and hashlib.sha256(np.ascontiguousarray(array).data).hexdigest() != known:
            raise PagsError(
                f"{name} in {directory} is damaged, or other data: its {key} is not the known one; "
                f"run: {fetch_command(name, directory)}, and give data of your own another name"
            )
    return x, y, _classes(name, y, trained)


def checked_name(name: str) -> str:
    """The name, if a data set in files can have it; else a UsageError."""
    if not NAME.fullmatch(name):
        raise UsageError(f"data set {name!r}: write a name of small letters, digits, - and _, such as my_images")
    if name in RESERVED:
        raise UsageError(f"data set {name!r}: this word means something else here; give your data another name")
    return name


def resize(pixels: Tensor, size: int, *, batch: int = 5000) -> Tensor:
    """Images (n, h, w) or (n, h, w, c) of bytes as floats (n, c, size, size) in [0, 1], antialiased bilinear."""
    x = pixels[:, None] if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2)
    parts = [part.float() / 255 for part in x.split(batch)]
    if x.shape[-2:] != (size, size):
        parts = [F.interpolate(part, size=(size, size), mode="bilinear", antialias=True) for part in parts]
    return torch.cat(parts).contiguous()


def _directory(data_dir: Path | str | None) -> Path:
    return paths.given(data_dir) if data_dir else paths.DATA


def _raw(name: str, directory: Path) -> list[Path]:
    kind = TORCHVISION[name]
    return [directory / kind.__name__ / "raw" / file.removesuffix(".gz") for file, _ in kind.resources]


def _lies(name: str, directory: Path) -> bool:
    """Whether the files of a data set that can be fetched are there, whatever they hold."""
    if name in TORCHVISION:
        return all(path.is_file() for path in _raw(name, directory))
    return (directory / f"{name}.npz").is_file()


def _torchvision(name: str, split: str, directory: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if not _lies(name, directory):
        raise PagsError(_missing(name, directory))
    try:
        files = {s: TORCHVISION[name](directory, train=s == "train", download=False) for s in {split, "train"}}
    except PermissionError:
        raise PagsError(f"{name} in {directory} may not be read: ask its owner for the permission") from None
    except Exception as error:  # altered bytes can make torchvision's reader raise anything
        raise PagsError(_damaged(name, directory, error)) from error
    x, y = check(name, split, files[split].data.numpy(), files[split].targets.numpy())
    return x, y, files["train"].targets.numpy()


def _npz(name: str, split: str, directory: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    path = directory / f"{name}.npz"
    if not path.exists():
        raise PagsError(_missing(name, directory))
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if "x_train" not in arrays and all(
                f"{s}_{what}" in arrays for s in SPLITS for what in ("images", "labels")
            ):
                x, y, trained = formats.medical(arrays, name, split)
                return *check(name, split, x, y), trained
            absent = [key for s in SPLITS for key in (f"x_{s}", f"y_{s}") if key not in arrays]
            if absent:
                raise PagsError(f"{path} lacks {', '.join(absent)}: it needs x_train, y_train, x_test and y_test")
            x, y = check(name, split, arrays[f"x_{split}"], arrays[f"y_{split}"])
            depths = {shape[3:] or (1,) for shape in (_shape(arrays, f"x_{s}") for s in SPLITS)}
            if len(depths) > 1:
                raise PagsError(
                    f"{name}: the images of one split are grey, those of the other in colour; make them alike"
                )
            return x, y, arrays["y_train"]
    except PagsError:
        raise
    except PermissionError:
        raise PagsError(f"{path} may not be read: ask its owner for the permission") from None
    except Exception as error:  # altered bytes can make numpy, zipfile and zlib raise anything
        raise PagsError(_damaged(name, directory, error)) from error


def _shape(arrays: Any, key: str) -> tuple[int, ...]:
    """The shape of an array in an open npz, whose values may be gigabytes, from its head."""
    with arrays.zip.open(f"{key}.npy") as file:
        read = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
        return read(file)[0]


def check(name: str, split: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The arrays, or a PagsError that says which of their shape, type, values or labels is wrong."""
    where = f"{name}, {split} split"
    if x.dtype != np.uint8 or x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] not in (1, 3)):
        raise PagsError(f"{where}: x is {x.dtype} {x.shape}; write uint8 images (n, h, w) or (n, h, w, 3)")
    if not np.issubdtype(y.dtype, np.integer) or y.shape != x.shape[:1]:
        raise PagsError(f"{where}: y is {y.dtype} {y.shape}; write one integer label for each of the {len(x)} images")
    if len(x) == 0 or min(x.shape) == 0:
        raise PagsError(f"{where}: x is empty, {x.shape}; write at least one image")
    if x.min() == x.max():
        raise PagsError(f"{where}: every pixel is {x.min()}; write images that show something")
    if x.max() == 1:
        raise PagsError(f"{where}: every pixel is 0 or 1; write bytes from 0 to 255, here 255 * x")
    if y.min() < 0 or y.max() > 999:
        raise PagsError(f"{where}: labels run from {y.min()} to {y.max()}; number the classes from 0, at most 1,000")
    return x, y.astype(np.int64)


def _classes(name: str, y: np.ndarray, trained: np.ndarray) -> int:
    """The number of classes of the training labels; PagsError unless they are 0, 1, ... and hold those of y."""
    there = np.unique(trained)
    if len(there) < 2:
        raise PagsError(f"{name}: the training split has one class only; a classifier needs at least two")
    if there[0] != 0 or there[-1] != len(there) - 1:
        raise PagsError(
            f"{name}: {len(there)} training labels from {there[0]} to {there[-1]}; number the classes from 0 without "
            "gaps, with numpy.searchsorted(numpy.unique(y_train), y)"
        )
    if strange := np.setdiff1d(y, there).tolist():
        raise PagsError(f"{name}: no training image has the test labels {', '.join(map(str, strange))}; leave them out")
    return len(there)


def _missing(name: str, directory: Path) -> str:
    if name in TORCHVISION or name in FETCHED_TO_NPZ:
        return f"{name} is not in {directory}; fetch it with: {fetch_command(name, directory)}"
    known = ", ".join(["strokes", *TORCHVISION, *FETCHED_TO_NPZ])
    if name == "svhn":
        return f"svhn is not in {directory}: put torchvision's files there, train_32x32.mat and test_32x32.mat"
    return (
        f"no data set {name!r}: it is none of {known}, and there is no {directory / (name + '.npz')}; "
        "pags data list shows what there is"
    )


def _damaged(name: str, directory: Path, error: Exception) -> str:
    why = first_line(error)
    if name in TORCHVISION or name in FETCHED_TO_NPZ:
        return f"{name} in {directory} is damaged ({why}); run: {fetch_command(name, directory)}"
    return f"{directory / name}.npz is damaged ({why}); write it again with numpy.savez"


def fetch_command(name: str, data_dir: Path | str | None = None) -> str:
    """What to write in a shell to bring a data set, or weights, into this directory."""
    directory = _directory(data_dir)
    into = "" if directory == paths.DATA else f" --data-dir {shlex.quote(str(directory))}"
    return f"pags data fetch {name}{into}"


def fetch(name: str, data_dir: Path | str | None = None) -> Path:
    """Download a data set, AlexNet's weights or a released VAE into the data directory; returns where it lies.

    Checksums are verified. What is there stays until the new files are whole; one of `KNOWN` that is whole is not
    downloaded again. PagsError if it cannot be had or written.
    """
    directory = _directory(data_dir)
    if name not in FETCHABLE:
        raise UsageError(f"data set {name!r} cannot be fetched: write one of {', '.join(FETCHABLE)}")
    work = directory / ".fetching"
    with locked(work, progress.say, f"another process is fetching into {directory}: waiting for it"):
        try:
            shutil.rmtree(work, ignore_errors=True)  # a killed one's
            work.mkdir()
            return _fetched(name, directory, work)
        except PagsError:
            raise
        except Exception as error:  # a connection that breaks can make torchvision's unpackers raise anything
            if isinstance(error, OSError) and error.errno in LOCAL:
                raise PagsError(f"cannot write {name} into {directory}: {reason(error)}") from error
            raise PagsError(f"{name} could not be downloaded ({first_line(error)}); try again online") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _fetched(name: str, directory: Path, work: Path) -> Path:
    if name == "alexnet":
        return _fetch_alexnet(directory)
    if name == "btcvae":
        return _fetch_btcvae(directory)
    if name in KNOWN and _whole(name, directory):
        return _place(name, directory)
    return (_fetch_raw if name in TORCHVISION else _fetch_to_npz)(name, directory, work)


def _place(name: str, directory: Path) -> Path:
    folder = directory / TORCHVISION[name].__name__ if name in TORCHVISION else None
    return folder if folder and _lies(name, directory) else directory / f"{name}.npz"


def _whole(name: str, directory: Path) -> bool:
    """Whether both splits of a known data set can be read and hold what they should."""
    try:
        for split in SPLITS:
            content(name, split, directory)
    except PagsError:
        return False
    return True


def _fetch_raw(name: str, directory: Path, work: Path) -> Path:
    TORCHVISION[name](work, download=True)
    for split in SPLITS:
        content(name, split, work)
    folder = TORCHVISION[name].__name__
    with explained(directory / folder):
        replace_directory(work / folder, directory / folder)
    return directory / folder


def _fetch_to_npz(name: str, directory: Path, work: Path) -> Path:
    options = {"split": "byclass"} if name == "emnist" else {}
    arrays: dict[str, Any] = {}
    for split in SPLITS:
        files = FETCHED_TO_NPZ[name](work, train=split == "train", download=True, **options)
        x = np.asarray(files.data)
        arrays[f"x_{split}"] = x.transpose(0, 2, 1) if name == "emnist" else x  # EMNIST's files lie on their side
        arrays[f"y_{split}"] = np.asarray(files.targets).astype(np.int64)
    np.savez(work / f"{name}.npz", **arrays)
    for split in SPLITS:
        content(name, split, work)
    path = directory / f"{name}.npz"
    with explained(path):
        (work / path.name).replace(path)
    return path


def _fetch_alexnet(directory: Path) -> Path:
    from torchvision.models import AlexNet_Weights

    whole = AlexNet_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    trunk = {name: value for name, value in whole.items() if name.startswith("features.")}
    write_atomically(directory / ALEXNET, lambda temporary: torch.save(trunk, temporary))
    return directory / ALEXNET


def alexnet(data_dir: Path | str | None = None) -> dict[str, Tensor]:
    """The convolutional trunk of ImageNet's AlexNet, as a state dict with keys "features.*"; PagsError without it."""
    path = _directory(data_dir) / ALEXNET
    try:
        held = torch.load(io.BytesIO(_weights("alexnet", data_dir)), map_location="cpu", weights_only=True)
    except PagsError:
        raise
    except Exception as error:  # altered bytes can make torch's reader raise anything
        raise PagsError(f"{path} is damaged; run: {fetch_command('alexnet', data_dir)}") from error
    named = isinstance(held, dict) and all(str(name).startswith("features.") for name in held)
    if not held or not named or not all(isinstance(value, Tensor) for value in held.values()):
        raise PagsError(f"{path} is not the trunk of AlexNet; run: {fetch_command('alexnet', data_dir)}")
    return held


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
    released = _weights("btcvae", data_dir)
    if hashlib.sha256(released).hexdigest() != BTCVAE_SHA256:
        path = _directory(data_dir) / BTCVAE
        raise PagsError(f"{path} is damaged, or another file; run: {fetch_command('btcvae', data_dir)}")
    return torch.load(io.BytesIO(released), map_location="cpu", weights_only=True)


def _weights(name: str, data_dir: Path | str | None) -> bytes:
    path = _directory(data_dir) / WEIGHTS[name][0]
    try:
        return path.read_bytes()
    except FileNotFoundError:
        command = fetch_command(name, data_dir)
        raise PagsError(f"the weights {path} are not there; fetch them with: {command}") from None
    except OSError as error:
        raise PagsError(f"{path} cannot be read: {os.strerror(error.errno or 0)}") from None


WEIGHTS = {"alexnet": (ALEXNET, alexnet), "btcvae": (BTCVAE, btcvae)}
FETCHABLE = (*TORCHVISION, *FETCHED_TO_NPZ, *WEIGHTS)


def names(data_dir: Path | str | None = None) -> dict[str, bool]:
    """Every data set one could load, then the weights, and whether the files are there, whatever they hold."""
    directory = _existing(data_dir)
    there = {name: _place(name, directory).exists() for name in (*TORCHVISION, *FETCHED_TO_NPZ)}
    own = {path.stem: True for path in sorted(directory.glob("*.npz")) if NAME.fullmatch(path.stem)}
    weights = {name: (directory / path).is_file() for name, (path, _) in WEIGHTS.items()}
    laid = [name for name in formats.found(directory) if NAME.fullmatch(name) and name not in there]
    own |= dict.fromkeys(laid, True)
    return {"strokes": True} | there | {name: True for name in own if name not in RESERVED} | weights


def described(name: str, data_dir: Path | str | None = None) -> list[str]:
    """What a data set holds, read in full: a line for each split, with shape, classes and the fingerprint's beginning.

    Of weights, how many there are.
    """
    if name == "strokes":
        return ["drawn on the spot, nothing to read"]
    if name in WEIGHTS:
        return [f"{sum(value.numel() for value in WEIGHTS[name][1](data_dir).values()):,} weights"]
    lines = []
    for split in SPLITS:
        x, y, classes = content(name, split, data_dir)
        digest = fingerprint([torch.from_numpy(x), torch.from_numpy(y)])
        lines.append(f"{split:<6}{x.shape}  {classes} classes  {digest[:12]}")
    return lines


def unread(data_dir: Path | str | None = None) -> list[str]:
    """A line for every npz in the data directory that no name leads to: what it is called, and why not."""
    directory, lines = _existing(data_dir), []
    for path in sorted(directory.glob("*.npz")):
        if not NAME.fullmatch(path.stem):
            lines.append(f"{path.name!r} is not read: name it with small letters, digits, - and _")
        elif path.stem in RESERVED:
            lines.append(f"{path.name} is not read: {path.stem} means something else here; give it another name")
        elif path.stem in TORCHVISION and _place(path.stem, directory) != path:
            lines.append(f"{path.name} is not read: {_place(path.stem, directory)} is")
    for name in formats.found(directory):
        if not NAME.fullmatch(name) or name in RESERVED:
            lines.append(
                f"the folder {name!r} is not read: name it with small letters, digits, - and _, and as nothing else"
            )
        elif (directory / f"{name}.npz").exists():
            lines.append(f"the files of {name} are not read: {name}.npz is")
    return lines


def _existing(data_dir: Path | str | None) -> Path:
    directory = _directory(data_dir)
    if not directory.is_dir():
        raise UsageError(f"there is no directory {directory}: pags data fetch makes it, or name another by --data-dir")
    return directory
