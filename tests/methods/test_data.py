"""Data sets: what is right goes through unchanged, what is wrong gets one line that says what to write instead."""

import errno
import hashlib
import io
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pags import data, paths
from pags.errors import PagsError, UsageError

SOME = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
KEYS = ("x_train", "y_train", "x_test", "y_test")


def arrays(n=6, shape=(8, 8), classes=3, seed=0):
    """A sound data set: n training and n - 1 test images."""
    rng = np.random.default_rng(seed)
    sizes = {"train": n, "test": n - 1}
    x = {f"x_{s}": rng.integers(0, 256, (m, *shape), dtype=np.uint8) for s, m in sizes.items()}
    return x | {f"y_{s}": np.arange(m) % classes for s, m in sizes.items()}


@pytest.fixture
def folder(tmp_path):
    np.savez(tmp_path / "mine.npz", **arrays())
    return tmp_path


def refusal(call, kinds=(PagsError, UsageError)):
    """The one line with which `call` refuses; any other exception goes through and fails the test."""
    with pytest.raises(kinds) as caught:
        call()
    line = str(caught.value)
    assert line
    assert "\n" not in line
    return line


def attempt(call):
    """What `call` returns and None, or None and the one line with which it refuses."""
    try:
        return call(), None
    except PagsError as error:
        line = str(error)
    assert line
    assert "\n" not in line
    return None, line


def load(folder, name="mine", split="train", **options):
    return data.load(name, split, data_dir=folder, **options)


def pixels(found):
    """The images of a data set as bytes (n, h, w, c)."""
    return (found.x * 255).round().byte().permute(0, 2, 3, 1).numpy()


def same_examples(found, x, y):
    """Whether a data set holds these images (n, h, w) or (n, h, w, c) with these labels, in whatever order."""

    def pairs(x, y):
        return sorted((image.tobytes(), int(label)) for image, label in zip(x, y, strict=True))

    return pairs(pixels(found), found.y) == pairs(x, y)


# What is right


@SOME
@given(
    n=st.integers(2, 6),
    side=st.integers(2, 9),
    channels=st.sampled_from([(), (1,), (3,)]),
    label=st.sampled_from([np.int64, np.uint8, np.int16]),
    seed=st.integers(0, 99),
)
def test_a_sound_file_is_read_as_it_was_written(tmp_path, n, side, channels, label, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 256, (n, side, side, *channels), dtype=np.uint8), (np.arange(n) // 2).astype(label)
    y[-1] = (n - 1) // 2 or 1  # sorted, and two classes at least
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    found = load(tmp_path, size=side)
    assert same_examples(found, x, y)
    assert found.classes == int(y.max()) + 1
    assert (found.x.dtype, found.y.dtype) == (torch.float32, torch.int64)
    assert len(load(tmp_path, split="test", size=side).x) == 1


def test_resizing_keeps_the_range_and_the_mean(folder):
    found = load(folder, size=32)
    assert found.x.shape == (6, 1, 32, 32)
    assert 0 <= found.x.min() <= found.x.max() <= 1
    torch.testing.assert_close(found.x.mean((1, 2, 3)), load(folder, size=8).x.mean((1, 2, 3)), atol=0.03, rtol=0)
    small = data.resize(torch.arange(64, dtype=torch.uint8).reshape(1, 8, 8), 4)
    torch.testing.assert_close(small[0, 0].diff(dim=1)[1:-1, 1], torch.full((2,), 2 / 255))  # a ramp stays one


def test_fine_stripes_become_grey():
    stripes = (torch.arange(24) % 2 * 255).byte().expand(1, 24, 24)
    found = data.resize(stripes, 8)
    assert found.min() > 0.4
    assert found.max() < 0.6


def test_n_takes_the_first_and_the_fingerprint_follows_the_content(folder):
    whole, part = load(folder), load(folder, n=4)
    assert torch.equal(part.x, whole.x[:4])
    assert part.fingerprint == whole.first(4).fingerprint
    prints = {d.fingerprint for d in (whole, part, load(folder, split="test"), load(folder, size=16))}
    assert len(prints) == 4
    assert load(folder).fingerprint == whole.fingerprint


def test_the_number_of_classes_is_that_of_the_whole_training_split(tmp_path):
    y = np.array([0, 0, 0, 3, 1, 2])
    np.savez(tmp_path / "mine.npz", **arrays() | {"y_train": y, "y_test": y[:5] * 0})
    assert load(tmp_path, n=2).classes == load(tmp_path, split="test").classes == 4


def test_the_first_of_a_set_sorted_by_class_hold_all_classes_in_their_shares(tmp_path):
    content = arrays(n=1001)
    np.savez(tmp_path / "mine.npz", **content | {f"y_{s}": np.sort(content[f"y_{s}"]) % 2 for s in data.SPLITS})
    for split in data.SPLITS:
        few, other = load(tmp_path, split=split, n=200, size=8), load(tmp_path, split=split, n=200, size=8, seed=1)
        whole = load(tmp_path, split=split, size=8)
        for found in (few, other):
            assert abs(found.y.float().mean() - whole.y.float().mean()) < 0.1
        assert torch.equal(few.x, whole.first(200).x)
        assert not torch.equal(few.x, other.x)
        assert few.fingerprint == load(tmp_path, split=split, n=200, size=8).fingerprint


def test_images_keep_their_labels_in_the_new_order(tmp_path):
    x = np.repeat(np.arange(1, 201, dtype=np.uint8), 16).reshape(200, 4, 4)
    y = np.arange(200) // 50
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    for split in data.SPLITS:
        found = load(tmp_path, split=split, size=4)
        number = (found.x[:, 0, 0, 0] * 255).round().long() - 1
        assert sorted(number.tolist()) == list(range(200))
        assert torch.equal(number // 50, found.y)


def test_the_outline_is_that_of_what_load_gives(tmp_path, monkeypatch):
    np.savez(tmp_path / "grey.npz", **arrays())
    np.savez(tmp_path / "photos.npz", **arrays(shape=(8, 8, 3)))
    monkeypatch.setattr(data, "STROKES", {"train": 25, "test": 13})
    for name in ("grey", "photos", "strokes"):
        for split in data.SPLITS:
            found = load(tmp_path, name, split, size=8)
            y, channels = data.outline(name, split, tmp_path)
            assert sorted(y.tolist()) == sorted(found.y.tolist())
            assert channels == found.x.shape[1]


def test_a_fingerprint_sees_shape_type_and_every_value():
    a = torch.arange(6).reshape(2, 3)
    b = a.clone()
    b[1, 2] += 1
    prints = [data.fingerprint([t]) for t in (a, a.reshape(3, 2), a.int(), b)]
    assert len(set(prints)) == 4
    assert data.fingerprint([a.T.contiguous().T]) == prints[0]  # and not how it lies in memory


def test_the_list_names_what_is_there(folder):
    found = data.names(folder)
    assert found["strokes"]
    assert found["mine"]
    assert not found["mnist"]
    assert not found["cifar10"]
    assert not found["alexnet"]
    assert data.unread(folder) == []


@pytest.mark.parametrize("name", ["Lungs", "a b", "<svg onload=1>", "x$y", "half.partial", *data.RESERVED])
def test_files_that_no_name_leads_to_are_said_and_not_listed(folder, name):
    (folder / f"{name}.npz").touch()
    (line,) = data.unread(folder)
    assert f"{name}.npz" in line
    assert "is not read" in line
    assert data.names(folder).get(name) in ([True] if name == "strokes" else [None, False])
    assert "'" in refusal(lambda: data.content(name, "train", folder), UsageError)


def test_a_directory_that_is_not_there_is_said(tmp_path):
    for call in (data.names, data.unread):
        assert str(tmp_path / "no") in refusal(lambda call=call: call(tmp_path / "no"), UsageError)


# What is wrong


def broken(**changes):
    return {key: value for key, value in (arrays() | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_test": None}, "lacks y_test: it needs x_train, y_train, x_test and y_test"),
        ({"x_train": None, "y_train": None}, "lacks x_train, y_train"),
        ({"x_train": np.zeros((6, 8, 8))}, "x is float64 (6, 8, 8); write uint8 images (n, h, w) or (n, h, w, 3)"),
        ({"x_train": np.zeros((6, 64), np.uint8)}, "x is uint8 (6, 64)"),
        ({"x_train": np.zeros((6, 3, 8, 8), np.uint8)}, "x is uint8 (6, 3, 8, 8)"),
        ({"x_train": np.zeros((6, 8, 8, 2), np.uint8)}, "x is uint8 (6, 8, 8, 2)"),
        ({"x_train": np.zeros((), np.uint8)}, "x is uint8 ()"),
        ({"x_train": np.zeros((6, 0, 8), np.uint8)}, "x is empty, (6, 0, 8)"),
        ({"x_train": np.zeros((0, 8, 8), np.uint8), "y_train": np.zeros(0, int)}, "x is empty, (0, 8, 8)"),
        ({"y_train": np.zeros(5, int)}, "y is int64 (5,); write one integer label for each of the 6 images"),
        ({"y_train": np.zeros((6, 1), int)}, "y is int64 (6, 1)"),
        ({"y_train": np.zeros(6)}, "y is float64 (6,)"),
        ({"y_train": np.zeros(6, bool)}, "y is bool (6,)"),
        ({"y_train": np.arange(6) - 1}, "labels run from -1 to 4; number the classes from 0"),
        ({"y_train": np.arange(6) + 1}, "6 training labels from 1 to 6; number the classes from 0 without gaps"),
        ({"y_train": np.array([0, 1, 2, 3, 4, 6])}, "6 training labels from 0 to 6; number the classes from 0"),
        ({"y_train": np.zeros(6, int)}, "one class only"),
        ({"x_train": np.zeros((6, 8, 8), np.uint8)}, "every pixel is 0; write images that show something"),
        ({"x_train": np.full((6, 8, 8), 255, np.uint8)}, "every pixel is 255"),
        ({"x_train": (arrays()["x_train"] > 99).astype(np.uint8)}, "every pixel is 0 or 1; write bytes from 0 to 255"),
        ({"x_train": np.ones((6, 8, 8, 3), np.uint8) * np.arange(3, dtype=np.uint8)}, "one split are grey"),
        ({"y_train": np.arange(6) * 1000}, "labels run from 0 to 5000"),
        ({"y_train": np.array(list("012345"))}, "y is <U1 (6,)"),
    ],
)
def test_wrong_arrays_are_named(tmp_path, changes, words):
    np.savez(tmp_path / "mine.npz", **broken(**changes))
    line = refusal(lambda: load(tmp_path), PagsError)
    assert words in line
    assert "mine" in line


def test_test_labels_without_training_images_are_named(tmp_path):
    np.savez(tmp_path / "mine.npz", **broken(y_test=np.array([0, 1, 3, 2, 7])))
    assert "no training image has the test labels 3, 7" in refusal(lambda: load(tmp_path, split="test"), PagsError)


def test_the_advice_on_labels_mends_them(tmp_path):
    letters = {"y_train": np.array([1, 1, 26, 5, 5, 26]), "y_test": np.array([26, 5, 1, 1, 5])}
    mended = {key: np.searchsorted(np.unique(letters["y_train"]), y) for key, y in letters.items()}
    np.savez(tmp_path / "mine.npz", **arrays() | letters)
    assert "numpy.searchsorted(numpy.unique(y_train), y)" in refusal(lambda: load(tmp_path), PagsError)
    np.savez(tmp_path / "mine.npz", **arrays() | mended)
    assert sorted(load(tmp_path).y.tolist()) == [0, 0, 1, 1, 2, 2]
    assert sorted(load(tmp_path, split="test").y.tolist()) == [0, 0, 1, 1, 2]


@SOME
@given(
    key=st.sampled_from(KEYS),
    split=st.sampled_from(data.SPLITS),
    array=hnp.arrays(
        st.one_of(hnp.scalar_dtypes(), hnp.unicode_string_dtypes()),
        hnp.array_shapes(min_dims=0, max_dims=5, min_side=0),
    ),
)
def test_any_array_is_taken_or_refused_in_one_line(tmp_path, key, split, array):
    np.savez(tmp_path / "mine.npz", **arrays() | {key: array})
    found, line = attempt(lambda: load(tmp_path, split=split))
    if line:
        assert key.endswith(split) or key == "y_train" or "grey" in line
    else:
        assert found.x.shape[2:] == (32, 32)
        assert len(found.x) == len(found.y)


def written(save):
    buffer = io.BytesIO()
    save(buffer, **arrays())
    return buffer.getvalue()


PLAIN, COMPRESSED = written(np.savez), written(np.savez_compressed)


@SOME
@given(content=st.sampled_from([PLAIN, COMPRESSED]), share=st.floats(0, 0.999))
def test_a_file_that_is_cut_short_is_called_damaged(tmp_path, content, share):
    (tmp_path / "mine.npz").write_bytes(content[: int(share * len(content))])
    assert "damaged" in refusal(lambda: load(tmp_path), PagsError)


@settings(SOME, max_examples=300)
@given(
    content=st.sampled_from([PLAIN, COMPRESSED]),
    places=st.lists(st.tuples(st.floats(0, 0.999), st.integers(1, 255)), min_size=1, max_size=3),
)
def test_a_file_with_altered_bytes_is_called_damaged_or_was_not_harmed(tmp_path, content, places):
    altered = bytearray(content)
    for place, change in places:
        altered[int(place * len(content))] ^= change
    (tmp_path / "mine.npz").write_bytes(altered)
    found, line = attempt(lambda: load(tmp_path, size=8))
    if not line:
        assert same_examples(found, arrays()["x_train"], arrays()["y_train"])


def pickled(path):
    np.savez(path, **arrays() | {"x_train": np.array([{"no": "image"}], dtype=object)})


def bare_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def other_zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x_train", b"no array")
        for key in KEYS[1:]:
            file.writestr(key, b"")


@pytest.mark.parametrize("write", [pickled, bare_array, other_zip, lambda p: p.write_text("x"), lambda p: p.mkdir()])
def test_files_that_are_something_else_are_refused(tmp_path, write):
    write(tmp_path / "mine.npz")
    line = refusal(lambda: load(tmp_path), PagsError)
    assert "mine" in line
    assert "pags data fetch mine" not in line  # nobody can fetch the reader's own data


def test_a_missing_data_set_says_how_to_fetch_it(tmp_path):
    for name in ("mnist", "fashion_mnist", "cifar10", "emnist"):
        for folder in (tmp_path, tmp_path / "not" / "there"):
            line = refusal(lambda name=name, folder=folder: load(folder, name), PagsError)
            assert line.endswith(f"fetch it with: pags data fetch {name} --data-dir {folder}")
            assert line.startswith(f"{name} is not in {folder}; ")


def test_what_to_write_to_fetch_names_the_directory_where_it_is_not_the_usual_one(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "DATA", tmp_path)
    assert data.fetch_command("mnist") == data.fetch_command("mnist", tmp_path) == "pags data fetch mnist"
    assert data.fetch_command("mnist", tmp_path / "a b") == f"pags data fetch mnist --data-dir '{tmp_path}/a b'"


def test_a_file_that_is_not_the_trunk_of_alexnet_is_one_line(tmp_path):
    path = tmp_path / data.ALEXNET
    path.parent.mkdir()
    for held in ({"state_dict": {}, "epoch": 3}, {}, [1], {"features.0.weight": 1}):
        torch.save(held, path)
        line = refusal(lambda: data.described("alexnet", tmp_path), PagsError)
        assert line == f"{path} is not the trunk of AlexNet; run: pags data fetch alexnet --data-dir {tmp_path}"
    torch.save({"features.0.weight": torch.zeros(3, 2)}, path)
    assert data.described("alexnet", tmp_path) == ["6 weights"]


def test_a_full_disk_is_no_download_that_failed(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(data, "_fetched", full)
    line = refusal(lambda: data.fetch("emnist", tmp_path), PagsError)
    assert line.startswith(f"cannot write emnist into {tmp_path}: No space left on device; free some space")


def test_an_unknown_data_set_says_which_there_are(tmp_path):
    line = refusal(lambda: load(tmp_path, "minst"))
    assert "'minst'" in line
    assert "strokes, mnist, fashion_mnist, cifar10, emnist" in line
    assert str(tmp_path / "minst.npz") in line


@SOME
@given(name=st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=20).filter(lambda s: s != "strokes"))
def test_no_name_breaks_the_loader(tmp_path, name):
    refusal(lambda: load(tmp_path, name))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "validation"}, "split 'validation': write one of train, test"),
        ({"n": 0}, "n = 0: ask for at least one"),
        ({"n": -3}, "n = -3"),
        ({"n": 7}, "n = 7: mine has 6 examples in its train split"),
    ],
)
def test_what_cannot_be_asked_is_refused(folder, options, words):
    assert words in refusal(lambda: load(folder, **options), UsageError)


def test_only_known_data_sets_are_fetched(tmp_path):
    line = refusal(lambda: data.fetch("mine", tmp_path), UsageError)
    assert "'mine'" in line
    assert "mnist, fashion_mnist, cifar10, emnist" in line


# torchvision's files


def idx(array):
    return struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def digest(array):
    return hashlib.sha256(array.astype(np.uint8).tobytes()).hexdigest()


@pytest.fixture
def little_mnist(tmp_path, monkeypatch):
    """MNIST in torchvision's format, with a handful of images, which are known for it."""
    content = arrays(shape=(28, 28))
    monkeypatch.setitem(data.KNOWN, "mnist", {key: digest(array) for key, array in content.items()})
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for split, part in (("train", "train"), ("test", "t10k")):
        x, y = arrays(shape=(28, 28))[f"x_{split}"], arrays()[f"y_{split}"].astype(np.uint8)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(x))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(y))
    return tmp_path


def test_torchvisions_files_are_read(little_mnist):
    assert same_examples(load(little_mnist, "mnist", size=28), arrays(shape=(28, 28))["x_train"], arrays()["y_train"])
    assert len(load(little_mnist, "mnist", "test").x) == 5
    assert data.names(little_mnist)["mnist"]


@pytest.mark.parametrize("part", ["images-idx3", "labels-idx1"])
@SOME
@given(share=st.floats(0, 0.999))
def test_a_truncated_file_of_torchvisions_is_called_damaged(little_mnist, part, share):
    path = little_mnist / "MNIST" / "raw" / f"train-{part}-ubyte"
    content = path.read_bytes()
    try:
        path.write_bytes(content[: int(share * len(content))])
        line = refusal(lambda: load(little_mnist, "mnist"), PagsError)
    finally:
        path.write_bytes(content)
    assert "damaged" in line
    assert "pags data fetch mnist" in line


@pytest.mark.parametrize("part", ["images-idx3", "labels-idx1"])
def test_short_heads_of_torchvisions_files_are_called_damaged(little_mnist, part):
    path = little_mnist / "MNIST" / "raw" / f"train-{part}-ubyte"
    content = path.read_bytes()
    for length in range(16 if part == "images-idx3" else 8):
        path.write_bytes(content[:length])
        assert "damaged" in refusal(lambda: load(little_mnist, "mnist"), PagsError)


RAW = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@pytest.mark.parametrize("part", RAW)
def test_other_content_under_a_known_name_is_refused(little_mnist, part):
    """The same shape, and one pixel or label that is another."""
    path = little_mnist / "MNIST" / "raw" / part
    content = bytearray(path.read_bytes())
    content[-1] = (content[-1] + 1) % 3
    path.write_bytes(content)
    split = "train" if part.startswith("train") else "test"
    line = refusal(lambda: load(little_mnist, "mnist", split), PagsError)
    assert "other data" in line
    assert "pags data fetch mnist" in line
    assert "another name" in line
    assert "other data" in refusal(lambda: data.described("mnist", little_mnist), PagsError)
    other = "test" if split == "train" else "train"
    assert len(load(little_mnist, "mnist", other).x)


def test_the_known_names_hold_what_their_makers_released(real_data):
    for name in data.KNOWN:
        for split in data.SPLITS:
            assert data.content(name, split, real_data)[2] == 10


def test_kerass_file_of_mnist_is_read_where_torchvisions_are_not_and_said_where_they_are(little_mnist):
    shutil.move(little_mnist / "MNIST", little_mnist / "away")
    np.savez(little_mnist / "mnist.npz", **arrays(shape=(28, 28)))
    assert data.names(little_mnist)["mnist"]
    assert same_examples(load(little_mnist, "mnist", size=28), arrays(shape=(28, 28))["x_train"], arrays()["y_train"])
    assert data.unread(little_mnist) == []
    np.savez(little_mnist / "mnist.npz", **arrays(shape=(28, 28), seed=1))
    assert "other data" in refusal(lambda: load(little_mnist, "mnist"), PagsError)
    shutil.move(little_mnist / "away", little_mnist / "MNIST")
    assert len(load(little_mnist, "mnist").x) == 6
    (line,) = data.unread(little_mnist)
    assert line.startswith("mnist.npz is not read")


# Fetching


@pytest.fixture
def served(little_mnist, monkeypatch):
    """`data.fetch("mnist")` without a network: torchvision's class copies files from the directory that is returned."""
    source = little_mnist / "served"
    shutil.copytree(little_mnist / "MNIST", source / "MNIST")

    class MNIST(data.TORCHVISION["mnist"]):
        def download(self):
            if not source.exists():
                raise RuntimeError("Error downloading")
            shutil.copytree(source / "MNIST", Path(self.root) / "MNIST")

    monkeypatch.setitem(data.TORCHVISION, "mnist", MNIST)
    return source


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def altered(path):
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")


@pytest.mark.parametrize("harm", [cut, altered, lambda path: path.unlink()])
def test_fetching_mends_what_is_damaged(little_mnist, served, harm):
    harm(little_mnist / "MNIST" / "raw" / RAW[0])
    refusal(lambda: load(little_mnist, "mnist"), PagsError)
    assert data.fetch("mnist", little_mnist) == little_mnist / "MNIST"
    assert len(load(little_mnist, "mnist").x) == 6
    assert not (little_mnist / ".fetching").exists()


def test_what_a_killed_fetch_has_left_goes_away_with_the_next(little_mnist, served):
    (little_mnist / ".fetching" / "MNIST").mkdir(parents=True)
    cut(little_mnist / "MNIST" / "raw" / RAW[0])
    data.fetch("mnist", little_mnist)
    assert not (little_mnist / ".fetching").exists()


def test_what_is_whole_is_not_fetched_again(little_mnist, served):
    shutil.rmtree(served)
    assert data.fetch("mnist", little_mnist) == little_mnist / "MNIST"


def test_a_fetch_that_fails_leaves_all_as_it_was(little_mnist, served):
    altered(served / "MNIST" / "raw" / RAW[2])
    assert "t10k" not in refusal(lambda: data.fetch("mnist", little_mnist / "new"), PagsError)
    assert not data.names(little_mnist / "new")["mnist"]
    shutil.rmtree(served)
    assert "try again online" in refusal(lambda: data.fetch("mnist", little_mnist / "new"), PagsError)
    assert not data.names(little_mnist / "new")["mnist"]
    assert not [path for path in (little_mnist / "new").iterdir() if path.suffix != ".lock"]
    cut(little_mnist / "MNIST" / "raw" / RAW[0])  # the labels are still of use
    before = (little_mnist / "MNIST" / "raw" / RAW[1]).read_bytes()
    refusal(lambda: data.fetch("mnist", little_mnist), PagsError)
    assert (little_mnist / "MNIST" / "raw" / RAW[1]).read_bytes() == before


def test_a_set_that_is_kept_as_npz_is_made_anew_over_a_damaged_one(tmp_path, monkeypatch):
    content = arrays(shape=(32, 32, 3))

    class Batches:
        def __init__(self, root, *, train, download):
            split = "train" if train else "test"
            (Path(root) / "batches").mkdir(exist_ok=True)
            self.data, self.targets = content[f"x_{split}"], content[f"y_{split}"].tolist()

    monkeypatch.setitem(data.FETCHED_TO_NPZ, "cifar10", Batches)
    monkeypatch.setitem(data.KNOWN, "cifar10", {key: digest(array) for key, array in content.items()})
    (tmp_path / "cifar10.npz").write_bytes(b"half of it")
    assert data.fetch("cifar10", tmp_path) == tmp_path / "cifar10.npz"
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == ["cifar10.npz"]
    assert same_examples(load(tmp_path, "cifar10"), content["x_train"], content["y_train"])
    monkeypatch.setitem(data.KNOWN, "cifar10", {"x_train": "of others"})
    assert "other data" in refusal(lambda: data.fetch("cifar10", tmp_path), PagsError)


# The released VAE


@pytest.fixture
def release(tmp_path, monkeypatch):
    """A file of weights in place of the one that is released, and its checksum."""
    path = tmp_path / "elsewhere" / "model.pt"
    path.parent.mkdir()
    torch.save({"decoder.lin1.weight": torch.arange(6.0).reshape(2, 3)}, path)
    monkeypatch.setattr(data, "BTCVAE_SOURCE", path.as_uri())
    monkeypatch.setattr(data, "BTCVAE_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_the_released_vae_is_fetched_and_read(tmp_path, release):
    path = data.fetch("btcvae", tmp_path / "data")
    assert path == tmp_path / "data" / "weights" / "btcvae_mnist.pt"
    assert path.read_bytes() == release.read_bytes()
    found = data.btcvae(tmp_path / "data")
    assert torch.equal(found["decoder.lin1.weight"], torch.arange(6.0).reshape(2, 3))


def test_another_file_than_the_release_is_neither_fetched_nor_read_and_fetching_mends_it(tmp_path, release):
    assert "pags data fetch btcvae" in refusal(lambda: data.btcvae(tmp_path), PagsError)
    right = release.read_bytes()
    release.write_bytes(right[:-1] + b"!")
    assert "not the released file" in refusal(lambda: data.fetch("btcvae", tmp_path), PagsError)
    assert not (tmp_path / data.BTCVAE).exists()
    (tmp_path / data.BTCVAE).parent.mkdir(exist_ok=True)
    (tmp_path / data.BTCVAE).write_bytes(right[: len(right) // 2])
    line = refusal(lambda: data.btcvae(tmp_path), PagsError)
    assert "damaged" in line
    assert "pags data fetch btcvae" in line
    release.write_bytes(right)
    data.fetch("btcvae", tmp_path)
    assert data.btcvae(tmp_path).keys() == {"decoder.lin1.weight"}


def test_without_a_network_nothing_is_written(tmp_path, release):
    release.unlink()
    assert "could not be downloaded" in refusal(lambda: data.fetch("btcvae", tmp_path), PagsError)
    assert not (tmp_path / data.BTCVAE).exists()


# Real data


def test_the_release_is_bordt_et_als_vae_of_ten_latents(real_data):
    if not (real_data / data.BTCVAE).exists():
        pytest.skip("needs the released VAE: pags data fetch btcvae")
    found = data.btcvae(real_data)
    assert found["decoder.lin1.weight"].shape == (256, 10)
    assert found["encoder.mu_logvar_gen.bias"].shape == (20,)


@pytest.mark.slow
def test_real_mnist_is_mnist(real_data):
    train, test = (data.load("mnist", split, data_dir=real_data) for split in data.SPLITS)
    assert train.x.shape == (60_000, 1, 32, 32)
    assert test.x.shape == (10_000, 1, 32, 32)
    assert train.y.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert test.y.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert train.classes == test.classes == 10
    assert 0 <= train.x.min() <= train.x.max() <= 1
    assert float(train.x.mean()) == pytest.approx(0.1307, abs=0.001)  # the mean that everybody subtracts


def test_real_mnist_cut_short_says_what_to_do(real_data, tmp_path):
    raw, part = tmp_path / "MNIST" / "raw", "t10k-images-idx3-ubyte"
    shutil.copytree(real_data / "MNIST" / "raw", raw, ignore=shutil.ignore_patterns("train-images*"))
    (raw / "train-images-idx3-ubyte").touch()  # torchvision asks for all four files, and reads two
    whole = real_data / "MNIST" / "raw" / part
    content = whole.read_bytes()
    (raw / part).write_bytes(content[: len(content) // 2])
    line = refusal(lambda: load(tmp_path, "mnist", "test"), PagsError)
    assert "damaged" in line
    command = f"pags data fetch mnist --data-dir {tmp_path}"
    assert command in line
    (raw / part).unlink()
    assert refusal(lambda: load(tmp_path, "mnist", "test"), PagsError).endswith(command)
