"""BlockMNIST: blocks where they should be, a null block as specified, measures with their null values, refusals."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pags import blocks, data
from pags.book import cli
from pags.errors import UsageError

counts, sides = st.integers(2, 5), st.integers(3, 9)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def source(n=60, classes=4, size=6, channels=1):
    y = torch.arange(n) % classes
    x = torch.rand(n, channels, size, size, generator=generator(1))
    return data.dataset("noise", "test", x, y, classes, torch.randn(n, 3, generator=generator(2)))


def made(blocks_=2, n=None, seed=0, **options):
    return blocks.make(source(), torch.zeros(1, 6, 6), blocks=blocks_, n=n, generator=generator(seed), **options)


# The null block


@pytest.mark.parametrize("size", [14, 28, 33])
def test_the_null_block_has_the_symmetries_of_a_square(size):
    (ink,) = blocks.patch(size)
    for turned in (ink.flip(0), ink.flip(1), ink.mT):
        torch.testing.assert_close(turned, ink)
    assert ink.min() == 0
    assert ink.max() == 1


def test_the_null_block_is_six_lines_and_nothing_else():
    """Ink by the written specification, pixel by pixel, against brute force along finely sampled lines."""
    corners = [(4.5, 4.5), (4.5, 22.5), (22.5, 22.5), (22.5, 4.5)]
    t = np.linspace(0, 1, 2001)[:, None]
    points = np.concatenate([np.array(a) + t * np.subtract(b, a) for a, b in itertools.combinations(corners, 2)])
    rows, columns = np.indices((28, 28))
    distance = np.min(np.hypot(rows[..., None] - points[:, 0], columns[..., None] - points[:, 1]), axis=-1)
    np.testing.assert_allclose(blocks.patch(28)[0], np.clip(1.5 - distance, 0, 1), atol=0.01)


# Images


@given(b=counts, s=sides, n=st.integers(1, 7), c=st.sampled_from([1, 3]), seed=st.integers(0, 99))
def test_every_block_is_where_it_was_put(b, s, n, c, seed):
    g = generator(seed)
    signal, null = torch.rand(n, c, s, s, generator=g), torch.rand(n, b - 1, c, s, s, generator=g)
    place = torch.randint(b, (n,), generator=g)
    x = blocks.stack(signal, null, place)
    assert x.shape == (n, c, b * s, s)
    for i, at in enumerate(place.tolist()):
        assert torch.equal(x[i, :, at * s : (at + 1) * s], signal[i])
        others = [x[i, :, j * s : (j + 1) * s] for j in range(b) if j != at]
        assert torch.equal(torch.stack(others), null[i])
    assert torch.equal(blocks.split(x, b)[torch.arange(n), place], signal)


@given(b=counts, s=sides, seed=st.integers(0, 99))
def test_the_mask_is_true_on_the_signal_block_alone(b, s, seed):
    g = generator(seed)
    place = torch.randint(b, (5,), generator=g)
    signal = blocks.mask(place, b, s)
    drawn = blocks.stack(torch.ones(5, 1, s, s), torch.zeros(5, b - 1, 1, s, s), place)
    assert torch.equal(signal, drawn.bool())


@given(b=counts, p=st.sampled_from([0.0, 0.25, 0.5, 0.8, 1.0]))
def test_the_signal_is_on_top_as_often_as_asked_and_elsewhere_alike(b, p):
    n = 20_000
    counted = torch.bincount(blocks.places(n, blocks=b, p_top=p, generator=generator()), minlength=b) / n
    expected = torch.tensor([p] + [(1 - p) / (b - 1)] * (b - 1))
    assert (counted - expected).abs().max() < 4 * math.sqrt(0.25 / n) + 1e-9
    assert (counted[expected == 0] == 0).all()


def test_classes_are_chosen_and_numbered_in_the_order_given():
    whole, part = source(), made(classes=(3, 1))
    kept = (whole.y == 3) | (whole.y == 1)
    assert torch.equal(part.images.y, (whole.y[kept] == 1).long())
    assert torch.equal(part.images.latents, whole.latents[kept])
    at = blocks.split(part.images.x, 2)[torch.arange(len(part.place)), part.place]
    assert torch.equal(at, whole.x[kept])
    assert part.images.classes == 2


def test_the_place_says_nothing_about_the_class():
    x = torch.zeros(4000, 1, 1, 1)
    whole = data.dataset("empty", "train", x, torch.arange(4000) % 2, 2)
    part = blocks.make(whole, x[0], generator=generator())
    share = [part.place[part.images.y == c].float().mean() for c in (0, 1)]
    assert abs(share[0] - share[1]) < 4 * math.sqrt(0.5 / 2000)


def test_null_blocks_are_drawn_from_a_pool():
    pool = torch.arange(5.0).reshape(5, 1, 1, 1).expand(-1, 1, 6, 6)
    part = blocks.make(source(400), pool, blocks=3, generator=generator())
    found = part.images.x[~part.signal]
    assert set(found.tolist()) == {0, 1, 2, 3, 4}
    halves = [blocks.split(part.images.x, 3)[torch.arange(200), (part.place + i) % 3].mean((1, 2, 3)) for i in (1, 2)]
    assert 0.1 < (halves[0] == halves[1]).float().mean() < 0.3  # two null blocks of an image agree by chance


def test_the_seed_decides_everything():
    prints = [made(seed=seed).images.fingerprint for seed in (0, 0, 1)]
    assert prints[0] == prints[1] != prints[2]


def test_the_first_are_the_first():
    few, all_ = made(n=7), made().first(7)
    assert few.images.x.shape == all_.images.x.shape == (7, 1, 12, 6)
    assert torch.equal(few.signal, blocks.mask(few.place, 2, 6))


@given(b=counts)
def test_replacing_the_null_block_keeps_the_signal(b):
    part = made(b)
    after = blocks.replace_null(part, torch.full((1, 6, 6), 0.5))
    signal = part.signal
    assert torch.equal(after[signal], part.images.x[signal])
    assert (after[~signal] == 0.5).all()


# Leakage


def test_shares_of_a_known_attribution():
    signal = blocks.mask(torch.tensor([0, 1]), 2, 2)
    E = torch.tensor([[[[3.0, 0], [0, 0], [-1, 0], [0, 0]]], [[[0, 0], [0, 0], [0, 5], [0, 0]]]])
    assert blocks.null_share(E, signal).tolist() == [0.25, 0]
    assert blocks.null_share(E, signal, power=2).tolist() == pytest.approx([0.1, 0])
    assert blocks.top_share(E, signal, 2).tolist()[0] == 0.5
    assert blocks.top_share(E, signal, 1).tolist() == [0, 0]
    assert blocks.null_share(torch.zeros_like(E), signal).isnan().all()


@given(b=counts, power=st.sampled_from([1.0, 2.0]), seed=st.integers(0, 20))
def test_an_attribution_that_does_not_know_the_place_has_the_blind_share(b, power, seed):
    """Exactly, when every place is visited once: whatever the attribution is."""
    E = torch.randn(1, 1, b * 4, 4, generator=generator(seed), dtype=torch.float64).expand(b, -1, -1, -1)
    signal = blocks.mask(torch.arange(b), b, 4)
    assert float(blocks.null_share(E, signal, power=power).mean()) == pytest.approx(blocks.blind_share(b))
    assert float(blocks.top_share(E, signal, 5).mean()) == pytest.approx(blocks.blind_share(b))


@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 20))
def test_leakage_does_not_depend_on_scale_or_sign(scale, seed):
    E, part = torch.randn(15, 1, 12, 6, generator=generator(seed), dtype=torch.float64), made(n=15)
    torch.testing.assert_close(blocks.null_share(-scale * E, part.signal), blocks.null_share(E, part.signal))
    assert torch.equal(blocks.top_share(-scale * E, part.signal, 9), blocks.top_share(E, part.signal, 9))


# Refused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"classes": (0, 9)}, "classes [9] are not in noise: it has 0, 1, 2, 3"),
        ({"classes": (0,)}, "classes = [0]: name at least two"),
        ({"classes": (0, 0)}, "classes = [0, 0]: name at least two, each once"),
        ({"blocks": 1}, "blocks = 1"),
        ({"p_top": 1.5}, "p_top = 1.5: write a probability"),
        ({"p_top": -0.1}, "p_top = -0.1"),
        ({"p_top": float("nan")}, "p_top = nan"),
        ({"n": 31}, "n = 31: noise has 30 images of the classes [0, 1]"),
        ({"n": 0}, "n = 0"),
        ({"null": torch.zeros(1, 5, 6)}, "1 x 6 x 6 and 1 x 5 x 6"),
        ({"null": torch.zeros(3, 6, 6)}, "1 x 6 x 6 and 3 x 6 x 6"),
        ({"null": torch.zeros(0, 1, 6, 6)}, "empty"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, said):
    options = {"null": torch.zeros(1, 6, 6), "generator": generator()} | options
    with pytest.raises(UsageError) as caught:
        blocks.make(source(), **options)
    assert said in str(caught.value)


@pytest.mark.parametrize("k", [0, 73])
def test_a_top_of_no_or_too_many_entries_is_refused(k):
    with pytest.raises(ValueError, match=f"k = {k}: write a number of entries from 1 to 72"):
        blocks.top_share(torch.ones(5, 1, 12, 6), made(n=5).signal, k)


# Exported


@pytest.fixture
def export(capsys):
    """Run `pags data export`; returns exit status, output and error output."""

    def call(*words):
        with pytest.raises(SystemExit) as left:
            cli.main(["data", "export", *map(str, words)])
        return left.value.code, *capsys.readouterr()

    return call


SMALL = ["blockmnist", "--signal", "strokes", "--train", 12, "--test", 6, "--classes", "7,1,2"]


@pytest.fixture
def few_strokes(monkeypatch):
    monkeypatch.setattr(data, "STROKES", {"train": 60, "test": 30})


def test_an_export_holds_what_the_library_makes(few_strokes, export, tmp_path):
    status, out, err = export(*SMALL, "--out", tmp_path / "new", "--blocks", 3, "--seed", 5)
    assert (status, out, err) == (0, f"{tmp_path / 'new' / 'blockmnist.npz'}\n", "")
    options = {"signal": "strokes", "classes": (7, 1, 2), "blocks": 3, "train": 12, "test": 6, "seed": 5}
    expected = blocks.build(blocks.Settings(**options))
    about = json.loads((tmp_path / "new" / "blockmnist.json").read_text())
    assert about["settings"] | {"classes": (7, 1, 2)} | options == about["settings"] | {"classes": (7, 1, 2)}
    with np.load(tmp_path / "new" / "blockmnist.npz", allow_pickle=False) as arrays:
        assert about["sizes"] == {name: list(arrays[name].shape) for name in arrays}
        for split, n in (("train", 12), ("test", 6)):
            assert arrays[f"x_{split}"].shape == (n, 84, 28)
            np.testing.assert_allclose(
                arrays[f"x_{split}"] / 255, expected[split].images.x[:, 0], atol=0.5 / 255 + 1e-6
            )
            assert arrays[f"y_{split}"].tolist() == expected[split].images.y.tolist()
            assert arrays[f"place_{split}"].tolist() == expected[split].place.tolist()
            assert np.array_equal(arrays[f"mask_{split}"], expected[split].signal[:, 0])


def test_an_export_is_the_same_byte_for_byte(few_strokes, export, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert export(*SMALL, "--out", tmp_path / name, "--seed", seed)[0] == 0
    content = [(tmp_path / name / "blockmnist.npz").read_bytes() for name in "abc"]
    assert content[0] == content[1] != content[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["blockcifar"], "'blockcifar'"),
        ([*SMALL, "--classes", "0;1"], "--classes '0;1': write whole numbers"),
        ([*SMALL, "--classes", "0,12"], "classes [12] are not in strokes"),
        ([*SMALL, "--p-top", "2"], "p_top = 2.0"),
        ([*SMALL, "--blocks", "1"], "blocks = 1"),
        ([*SMALL, "--train", "1000"], "n = 1000: strokes has 18"),
    ],
)
def test_an_export_that_cannot_be_meant_is_one_line_and_leaves_nothing(few_strokes, export, tmp_path, words, said):
    status, out, err = export(*words, "--out", tmp_path / "new")
    assert (status, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_null_share_does_not_depend_on_the_size_of_an_attribution(power, scale):
    E = torch.tensor([3.0, 1.0]).reshape(1, 1, 2, 1)
    signal = torch.tensor([True, False]).reshape(1, 1, 2, 1)
    share = 1 / (1 + 3**power)
    torch.testing.assert_close(blocks.null_share(scale * E, signal, power=power), torch.tensor([share]))
