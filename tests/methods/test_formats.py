"""Files as others lay them out, made small: read as they are, and what is wrong with one is said in one line."""

import pickle

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from torchvision import datasets, models

from pags import data, formats, nets
from pags.errors import PagsError

RNG = np.random.default_rng(0)


def pixels(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def same(found, x, y):
    """The loader's images are these, in its order, with their labels."""
    x = torch.from_numpy(np.ascontiguousarray(x))
    expected = {data.resize(x[i : i + 1], found.x.shape[-1]).numpy().tobytes(): int(label) for i, label in enumerate(y)}
    got = {found.x[i : i + 1].numpy().tobytes(): int(found.y[i]) for i in range(len(found.y))}
    assert got == expected


def refusal(folder, name, split="train"):
    with pytest.raises(PagsError) as caught:
        data.load(name, split, data_dir=folder)
    line = str(caught.value)
    assert "\n" not in line
    return line


# SVHN


@pytest.fixture(params=["", "svhn"])
def house_numbers(tmp_path, request):
    """A data directory with SVHN's files, there or in a folder; the images and labels as torchvision gives them."""
    held, place = {}, tmp_path / request.param
    place.mkdir(exist_ok=True)
    for split, n in (("train", 12), ("test", 7)):
        x, y = pixels(n, 32, 32, 3), np.arange(n) % 10
        written = np.where(y == 0, 10, y).astype(np.uint8)[:, None]
        scipy.io.savemat(place / f"{split}_32x32.mat", {"X": x.transpose(1, 2, 3, 0), "y": written})
        held[split] = x, y
    return tmp_path, place, held


def test_svhn_is_read_as_torchvision_lays_it_out(house_numbers, monkeypatch):
    folder, place, held = house_numbers
    for split, (x, y) in held.items():
        found = data.load("svhn", split, data_dir=folder)
        same(found, x, y)
        assert found.classes == 10
        monkeypatch.setattr(datasets.SVHN, "_check_integrity", lambda self: True)
        theirs = datasets.SVHN(place, split=split)
        assert np.array_equal(theirs.data.transpose(0, 2, 3, 1), x)
        assert np.array_equal(theirs.labels, y)
    assert data.names(folder)["svhn"]
    assert len(data.described("svhn", folder)) == 2


def test_bad_files_of_svhn_get_one_line(house_numbers):
    folder, place, _ = house_numbers
    path = place / "test_32x32.mat"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no matlab"):
        path.write_bytes(content)
        assert "test_32x32.mat is damaged" in refusal(folder, "svhn", "test")
    scipy.io.savemat(path, {"X": pixels(32, 32, 3, 4)})
    assert "holds no y" in refusal(folder, "svhn", "test")
    scipy.io.savemat(path, {"X": pixels(32, 32, 3, 4), "y": np.ones((5, 1))})
    assert "SVHN's are (32, 32, 3, n) and (n, 1)" in refusal(folder, "svhn", "test")
    path.unlink()
    assert "put torchvision's files there" in refusal(folder, "svhn", "test")


# Folders of images


def folders(root, sizes, splits=("train", "test"), mode="RGB"):
    """A folder of images for each class, an image for each size, as lossless PNG; what was written, by split."""
    held = {}
    for split in splits:
        held[split] = [], []
        for label, name in enumerate(("bird", "dog", "frog")):
            (root / split / name).mkdir(parents=True)
            for i, size in enumerate(sizes):
                x = pixels(*size, 3)
                image = Image.fromarray(x).convert(mode)
                image.save(root / split / name / f"{i}.png")
                held[split][0].append(np.asarray(image))
                held[split][1].append(label)
    return held


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("tested", ["test", "val"])
def test_a_folder_for_each_class_is_read(tmp_path, mode, tested):
    held = folders(tmp_path / "imagenet10", [(24, 24)] * 3, ("train", tested), mode)
    for split, place in (("train", "train"), ("test", tested)):
        x, y = held[place]
        found = data.load("imagenet10", split, data_dir=tmp_path, size=24)
        same(found, np.stack(x), y)
        assert found.x.shape[1] == {"RGB": 3, "L": 1}[mode]
        assert found.classes == 3
    assert data.names(tmp_path)["imagenet10"]


def test_of_two_bytes_a_pixel_the_upper_one_is_kept(tmp_path):
    folders(tmp_path / "scan", [(16, 16)])
    x = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    for path in tmp_path.glob("scan/*/*/*.png"):
        Image.fromarray(x).save(path)
    found, _, _ = data.content("scan", "train", tmp_path)
    assert found.shape == (3, 16, 16)
    assert (found == np.arange(256).reshape(16, 16)).all()


def test_images_of_several_sizes_are_cut_to_their_middle_square(tmp_path):
    folders(tmp_path / "mixed", [(140, 200), (300, 150)])
    wide = np.zeros((60, 100, 3), np.uint8)
    wide[:, 20:80] = 200  # its middle square
    Image.fromarray(wide).save(tmp_path / "mixed" / "train" / "dog" / "wide.png")
    x, y, _ = data.content("mixed", "train", tmp_path)
    assert x.shape == (7, formats.SIDE, formats.SIDE, 3)
    assert (x == 200).all(axis=(1, 2, 3)).tolist() == [False] * 4 + [True] + [False] * 2
    assert y[4] == 1


def test_a_file_that_changes_is_read_again(tmp_path):
    folders(tmp_path / "mine", [(16, 16)] * 2)
    before = data.load("mine", "train", data_dir=tmp_path, size=16).fingerprint
    path = tmp_path / "mine" / "train" / "dog" / "0.png"
    Image.fromarray(pixels(16, 16, 3)).save(path)
    assert data.load("mine", "train", data_dir=tmp_path, size=16).fingerprint != before


def test_bad_folders_get_one_line(tmp_path):
    root = tmp_path / "mine"
    folders(root, [(16, 16)] * 2)
    (root / "train" / "dog" / "1.png").write_bytes(b"no image")
    assert "1.png is damaged, or no image" in refusal(tmp_path, "mine")
    (root / "train" / "dog" / "1.png").unlink()
    (root / "train" / "dog" / "1.png").symlink_to(tmp_path / "nowhere")
    assert "1.png cannot be read (No such file or directory); bring it again" in refusal(tmp_path, "mine")
    (root / "train" / "dog" / "1.png").unlink()
    (root / "test" / "frog").rename(root / "test" / "toad")
    assert "has the class 'toad'" in refusal(tmp_path, "mine", "test")
    for path in root.glob("test/*/*"):
        path.unlink()
    assert "holds no images" in refusal(tmp_path, "mine", "test")
    for path in sorted(root.glob("test/*")):
        path.rmdir()
    (root / "test").rmdir()
    assert "neither test nor val" in refusal(tmp_path, "mine", "test")


def test_files_that_stand_behind_others_are_said(tmp_path):
    folders(tmp_path / "mine", [(16, 16)])
    folders(tmp_path / "My Images", [(16, 16)])
    np.savez(tmp_path / "mine.npz", x_train=1)
    lines = data.unread(tmp_path)
    assert any(line.startswith("the files of mine are not read") for line in lines)
    assert any(line.startswith("the folder 'My Images' is not read") for line in lines)


# Downsampled ImageNet


@pytest.fixture(params=["pickle", "npz"])
def batches(tmp_path, request):
    """Two training batches and the validation images, at 8 pixels; the images and labels."""
    folder, held = tmp_path / "imagenet64", {"train": ([], []), "test": ([], [])}
    folder.mkdir()
    for name, n in (("train_data_batch_1", 6), ("train_data_batch_10", 4), ("train_data_batch_2", 5), ("val_data", 4)):
        x, y = pixels(n, 8, 8, 3), [1 + i % 4 for i in range(n)]
        batch = {"data": x.transpose(0, 3, 1, 2).reshape(n, -1), "labels": y}
        if request.param == "npz":
            np.savez(folder / f"{name}.npz", **batch)
        else:
            with (folder / name).open("wb") as file:
                pickle.dump(batch | {"mean": batch["data"].mean(0)}, file)
        part = held["test" if name == "val_data" else "train"]
        part[0].append(x)
        part[1].extend(y)
    return tmp_path, folder, held


def test_downsampled_imagenet_is_read_as_it_comes(batches):
    root, folder, held = batches
    for split, (x, y) in held.items():
        found = data.load("imagenet64", split, data_dir=root, size=8)
        same(found, np.concatenate(x), np.array(y) - 1)
        assert found.classes == 4
    assert [path.stem for path in formats.batches(folder)] == [f"train_data_batch_{i}" for i in (1, 2, 10)]
    assert data.names(root)["imagenet64"]


def test_bad_batches_get_one_line_and_run_nothing(batches):
    root, folder, _ = batches
    path = formats.batches(folder)[1]
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "is damaged, or no batch" in refusal(root, "imagenet64")
    write = (
        (lambda **held: np.savez(path, **held))
        if path.suffix
        else (lambda **held: path.write_bytes(pickle.dumps(held)))
    )
    write(data=pixels(3, 192))
    assert "data and labels" in refusal(root, "imagenet64")
    write(data=pixels(3, 190), labels=[1, 2, 3])
    assert "write bytes (n, 3 h h) and (n,)" in refusal(root, "imagenet64")
    write(data=pixels(3, 48), labels=[1, 2, 3])
    assert "several sizes" in refusal(root, "imagenet64")
    formats.batches(folder, "test")[0].unlink()
    assert "lacks val_data" in refusal(root, "imagenet64", "test")


def test_a_pickle_that_would_run_something_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return print, ("it ran",)

    folder = tmp_path / "imagenet64"
    folder.mkdir()
    (folder / "train_data_batch_1").write_bytes(pickle.dumps({"data": Trap(), "labels": [1]}))
    assert "it names builtins.print" in refusal(tmp_path, "imagenet64")


# MedMNIST


def test_a_file_of_medmnist_is_read_as_it_comes(tmp_path):
    held = {}
    for split, n in (("train", 9), ("val", 4), ("test", 6)):
        held |= {
            f"{split}_images": pixels(n, 28, 28, 3),
            f"{split}_labels": (np.arange(n) % 3)[:, None].astype(np.uint8),
        }
    np.savez(tmp_path / "retinamnist.npz", **held)
    for split in data.SPLITS:
        found = data.load("retinamnist", split, data_dir=tmp_path, size=28)
        same(found, held[f"{split}_images"], held[f"{split}_labels"].ravel())
        assert found.classes == 3
    np.savez(tmp_path / "chestmnist.npz", **held | {"train_labels": np.zeros((9, 14), np.uint8)})
    assert "14 labels each" in refusal(tmp_path, "chestmnist")
    np.savez(tmp_path / "half.npz", **{key: value for key, value in held.items() if "test" not in key})
    assert "lacks x_train" in refusal(tmp_path, "half")


# Checkpoints


@pytest.mark.parametrize("envelope", [(), ("model",), ("state_dict",), ("model", "state_dict")])
@pytest.mark.parametrize("prefix", ["", "module.", "module.model."])
def test_a_checkpoint_gives_the_weights_whatever_is_around_them(tmp_path, envelope, prefix):
    net = models.resnet18(num_classes=10)
    held = {prefix + name: value for name, value in net.state_dict().items()}
    if prefix:
        held |= {"module.normalizer.new_mean": torch.zeros(3), "module.attacker.normalize.new_std": torch.ones(3)}
    for name in envelope:
        held = {name: held, "epoch": 3}
    torch.save(held, tmp_path / "net.pt")
    weights = formats.checkpoint(tmp_path / "net.pt")
    nets.resnet(channels=3).load_state_dict(weights)
    assert all(torch.equal(weights[name], value) for name, value in net.state_dict().items())


def test_bad_checkpoints_get_one_line_and_run_nothing(tmp_path):
    path = tmp_path / "net.pt"
    cases = {
        "are not there": lambda: None,
        "holds more than weights": lambda: torch.save({"model": {"w": torch.ones(2)}, "run": print}, path),
        "holds no state dict": lambda: torch.save({"epoch": 3}, path),
        "is damaged": lambda: path.write_bytes(path.read_bytes()[:100]),
    }
    for words, write in cases.items():
        write()
        with pytest.raises(PagsError, match=words) as caught:
            formats.checkpoint(path)
        assert "\n" not in str(caught.value)
