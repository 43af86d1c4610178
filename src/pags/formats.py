"""Data sets and weights as others lay out their files. What is wrong with one is a PagsError of one line.

Axes: n examples, h x w pixels, c classes. A reader takes a split and returns its pixels (n, h, w) or (n, h, w, 3) as
bytes and its labels (n,) from 0, and the labels of the training split; the checks that follow are those of `data`.
"""

import pickle
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch
from PIL import Image
from torch import Tensor

from pags.errors import PagsError, first_line

Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]
Reader = Callable[[str], Arrays]
IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
SIDE = 128  # pixels to which images of a folder are brought that are not all of one size
TESTED = ("test", "val")  # names of the folder with test images; of both, the first
ENVELOPES = ("model", "state_dict", "model_state_dict", "net")  # in which checkpoints keep their weights
PREFIXES = ("module.", "model.")  # that wrappers put before every name
WRAPPERS = ("attacker.", "normalizer.", "normalize.")  # of no layer


def reader(name: str, directory: Path) -> Reader | None:
    """How to read the data set `name` of the data directory, where its files lie in one of these ways; else None."""
    folder = directory / name
    if name == "svhn":
        for place in (folder, directory):
            if all((place / f"{split}_32x32.mat").is_file() for split in ("train", "test")):
                return partial(svhn, place)
    if batches(folder):
        return partial(downsampled, folder)
    if (folder / "train").is_dir():
        return partial(classes, folder)
    return None


def found(directory: Path) -> list[str]:
    """The names of the data sets that lie in one of these ways."""
    some = {path.name for path in directory.iterdir() if path.is_dir()} | {"svhn"}
    return sorted(name for name in some if reader(name, directory))


# SVHN, as torchvision keeps it


def svhn(folder: Path, split: str) -> Arrays:
    """From train_32x32.mat and test_32x32.mat (format 2 of Netzer et al. 2011), where a zero has the label 10."""
    path = folder / f"{split}_32x32.mat"
    held = _matlab(path, ["X", "y"])
    x, y = held["X"], held["y"].ravel()
    if x.ndim != 4 or x.shape[2] != 3 or len(y) != x.shape[3]:
        raise PagsError(f"{path}: X is {x.shape} and y {held['y'].shape}; SVHN's are (32, 32, 3, n) and (n, 1)")
    train = y if split == "train" else _matlab(folder / "train_32x32.mat", ["y"])["y"].ravel()
    return np.ascontiguousarray(x.transpose(3, 0, 1, 2)), y.astype(np.int64) % 10, train.astype(np.int64) % 10


def _matlab(path: Path, names: list[str]) -> dict[str, np.ndarray]:
    try:
        held = scipy.io.loadmat(path, variable_names=names)
    except Exception as error:  # altered bytes can make the reader raise anything
        raise PagsError(f"{path} is damaged, or no file of Matlab's ({first_line(error)}); bring it again") from error
    if missing := [name for name in names if name not in held]:
        raise PagsError(f"{path} holds no {missing[0]}: it is none of SVHN's files in format 2, train_32x32.mat")
    return held


# A folder of images for each class


def classes(folder: Path, split: str) -> Arrays:
    """From `folder`/train/<class>/*.png and so on, and test/ or val/; classes are numbered in the order of their names.

    Images of one size stay as they are; else the middle square of each is brought to `SIDE` pixels.
    """
    train = _listed(folder / "train")
    names = sorted({path.parent.name for path in train})
    held = train if split == "train" else _listed(_tested(folder))
    if strange := sorted({path.parent.name for path in held} - set(names)):
        raise PagsError(f"{folder}: no training image has the class {strange[0]!r} of the test images; leave it out")
    stamps = tuple((path, _changed(path)) for path in held)
    labels = [np.array([names.index(path.parent.name) for path in paths]) for paths in (held, train)]
    return _pictures(stamps), labels[0], labels[1]


def _tested(folder: Path) -> Path:
    there = [folder / name for name in TESTED if (folder / name).is_dir()]
    if not there:
        raise PagsError(f"{folder} has a folder train but neither test nor val: put the test images into one of them")
    return there[0]


def _listed(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in IMAGES)
    if not files:
        raise PagsError(f"{folder} holds no images: put them into a folder for each class, as {', '.join(IMAGES)}")
    return files


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as error:  # a link that leads nowhere, a folder that is closed
        raise PagsError(f"{path} cannot be read ({error.strerror}); bring it again, or remove it") from None


@lru_cache(maxsize=2)  # a page asks for each split more than once
def _pictures(stamps: tuple[tuple[Path, int], ...]) -> np.ndarray:
    """The images of these files as one array."""
    shown, colour = [], False
    for path, _ in stamps:
        try:
            with Image.open(path) as image:
                colour |= image.mode not in ("1", "L", "LA") and not _deep(image)
                shown.append(_bytes(image))
        except Exception as error:  # altered bytes can make the reader raise anything
            raise PagsError(
                f"{path} is damaged, or no image ({first_line(error)}); bring it again, or remove it"
            ) from None
    if len({image.shape for image in shown}) > 1:
        shown = [_square(image) for image in shown]
    whole = np.stack(shown)
    return whole if colour else np.ascontiguousarray(whole[..., 0])


def _deep(image: Image.Image) -> bool:
    """Whether it is grey with two bytes a pixel."""
    return image.mode == "I" or image.mode.startswith("I;16")


def _bytes(image: Image.Image) -> np.ndarray:
    """Its pixels (h, w, 3) as bytes; of two bytes the upper one, where Pillow would cut at 255."""
    if not _deep(image):
        return np.asarray(image.convert("RGB"))
    upper = (np.asarray(image).astype(np.int64) >> 8).astype(np.uint8)
    return np.repeat(upper[..., None], 3, axis=2)


def _square(image: np.ndarray) -> np.ndarray:
    """Its middle square at `SIDE` pixels."""
    h, w = image.shape[:2]
    side = min(h, w)
    top, left = (h - side) // 2, (w - side) // 2
    middle = Image.fromarray(image[top : top + side, left : left + side])
    return np.asarray(middle.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=None))


# Downsampled ImageNet


def batches(folder: Path, split: str = "train") -> list[Path]:
    """The files train_data_batch_1 ... or val_data, with .npz or as pickles without."""
    pattern = "train_data_batch_*" if split == "train" else "val_data*"
    files = [path for path in folder.glob(pattern) if path.suffix in ("", ".npz")]
    return sorted(files, key=lambda path: (len(path.stem), path.stem))


def downsampled(folder: Path, split: str) -> Arrays:
    """From the arrays of Chrabaszcz et al. 2017, at any size.

    "data" is (n, 3 h w), one colour after another, "labels" count from 1. The validation images are the test split. All
    images of a split are in memory: 16 GB for the training images at 64.
    """
    files = batches(folder, split)
    if not files:
        raise PagsError(f"{folder} lacks val_data (.npz or a pickle): bring the validation images, too")
    parts = [_batch(path) for path in files]
    if len({x.shape[1] for x, _ in parts}) > 1:
        raise PagsError(f"{folder}: its batches hold images of several sizes; keep each size in a folder of its own")
    x, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    side = round((x.shape[1] / 3) ** 0.5)
    train = y if split == "train" else np.concatenate([_batch(path)[1] for path in batches(folder)])
    return x.reshape(-1, 3, side, side).transpose(0, 2, 3, 1), y - 1, train - 1


def _batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with path.open("rb") as file:
            held: Mapping[str, Any]
            if path.suffix:
                with np.load(file, allow_pickle=False) as arrays:
                    held = {name: arrays[name] for name in ("data", "labels") if name in arrays}
            else:
                held = Plain(file, encoding="latin1").load()
        x, y = np.asarray(held["data"]), np.asarray(held["labels"]).astype(np.int64)
    except KeyError as error:
        raise PagsError(f"{path} holds no {error}: a batch of downsampled ImageNet has data and labels") from None
    except Exception as error:  # altered bytes can make numpy, zipfile and pickle raise anything
        raise PagsError(f"{path} is damaged, or no batch of downsampled ImageNet ({first_line(error)})") from error
    side = round((x.shape[1] / 3) ** 0.5) if x.ndim == 2 else 0
    if x.dtype != np.uint8 or x.ndim != 2 or 3 * side**2 != x.shape[1] or y.shape != x.shape[:1]:
        raise PagsError(f"{path}: data is {x.dtype} {x.shape}, labels {y.shape}; write bytes (n, 3 h h) and (n,)")
    return x, y


class Plain(pickle.Unpickler):
    """Reads dicts, lists, numbers, texts and arrays; a pickle that names anything else could run it, and is refused."""

    ALLOWED = ("ndarray", "dtype", "_reconstruct", "scalar", "_frombuffer")

    def find_class(self, module: str, name: str) -> Any:
        """A class of numpy's that holds an array."""
        if module.partition(".")[0] == "numpy" and name in self.ALLOWED:
            return super().find_class(module, name)
        if (module, name) in (("_codecs", "encode"), ("collections", "OrderedDict")):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}")


# MedMNIST


def medical(arrays: Mapping[str, np.ndarray], name: str, split: str) -> Arrays:
    """From the keys of MedMNIST's npz files, train_images, train_labels and so on; validation images are left out."""
    labels = {}
    for part in ("train", split):
        y = arrays[f"{part}_labels"]
        if y.ndim == 2 and y.shape[1] > 1:
            raise PagsError(f"{name}: its images have {y.shape[1]} labels each; take a MedMNIST set with one label")
        labels[part] = y.reshape(-1)
    return arrays[f"{split}_images"], labels[split], labels["train"]


# Weights of robust nets


def checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict in a checkpoint of a robust ImageNet model, under the names of torchvision's nets, on the CPU.

    It may lie under "model" or "state_dict"; "module." and "model." before every name go, and so do the buffers of an
    attacker or a normaliser around the net: whether the net wants normalised images, its source must say. PagsError for
    a file that holds more than tensors and plain values, which torch does not read without running it.
    """
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise PagsError(f"the weights {path} are not there: bring them from their authors") from None
    except pickle.UnpicklingError:
        raise PagsError(
            f"{path} is damaged or holds more than weights: where you trust it, save its state dict alone by torch.save"
        ) from None
    except Exception as error:  # altered bytes can make torch's reader raise anything
        raise PagsError(f"{path} is damaged ({first_line(error)}); bring it again") from error
    while isinstance(held, Mapping) and (inner := next((key for key in ENVELOPES if _nested(held, key)), None)):
        held = held[inner]
    if not isinstance(held, Mapping) or not any(isinstance(value, Tensor) for value in held.values()):
        raise PagsError(f"{path} holds no state dict: it needs one, alone or under {' or '.join(ENVELOPES[:2])}")
    weights = {_stripped(str(key)): value for key, value in held.items() if isinstance(value, Tensor)}
    return {key: value for key, value in weights.items() if not key.startswith(WRAPPERS)}


def _nested(held: Mapping, key: str) -> bool:
    return isinstance(held.get(key), Mapping)


def _stripped(key: str) -> str:
    while key.startswith(PREFIXES):
        key = key.partition(".")[2]
    return key
