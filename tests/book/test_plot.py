"""Figures: what they promise to a page and to a reader."""

import base64
import functools
import io
import itertools
import math
import re
from unittest import mock

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from pags.book import figures, plot


def linear(colour: str) -> np.ndarray:
    """Linear RGB of #rrggbb."""
    part = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two #rrggbb colours."""
    dark, light = sorted(linear(colour) @ [0.2126, 0.7152, 0.0722] for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


# Linear RGB as readers without one kind of cone see it (Machado, Oliveira and Fernandes 2009), and as XYZ.
EYES = {
    "all cones": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
XYZ = np.array([[0.4339, 0.3762, 0.1899], [0.2126, 0.7152, 0.0722], [0.0177, 0.1094, 0.8729]])  # of the white point


def lab(colour: str, eye: str) -> np.ndarray:
    """The colour in CIELAB, where a distance of about 2 is just seen in large areas."""
    x, y, z = np.cbrt(np.clip(XYZ @ np.clip(EYES[eye] @ linear(colour), 0, 1), 0.008856, None))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def curve_figure() -> Figure:
    x = torch.arange(5)
    return plot.curves({"gradient": (x, x**2), "random": (x, x, x - 1, x + 1)}, xlabel="step", ylabel="value", chance=1)


def referenced() -> Figure:
    fig, axes = plot.canvas(1, 2, height=3)
    for ax in axes:
        ax.set_title("filled with the mean")
        for value in (0.10, 0.12, 0.14):
            plot.reference(ax, value, f"the value {value} of the released code")
            plot.reference(ax, 2 + value, f"at {value}", axis="x")
        ax.set(xlim=(0, 4), ylim=(0, 1))
    return fig


SERIES = [f"a series with a really rather long name, number {i}" for i in range(12)]
WIDE = np.random.default_rng(0).beta(2, 2, 300)
DRAWINGS = {
    "curves": curve_figure,
    "curves of twelve": lambda: plot.curves(dict.fromkeys(SERIES, ([0, 1], [0, 1])), xlabel="x", ylabel="y", height=6),
    "distributions": lambda: plot.distributions(dict.fromkeys(["gradient", *SERIES[:3]], WIDE), chance=0.98),
    "bars": lambda: plot.bars({"a": (0.5, 0.4, 0.6), "b": (-0.2, None, None)}, xlabel="x", chance=0.49),
    "bars of twelve": lambda: plot.bars({"a": dict.fromkeys(SERIES, (0.5, 0.4, 0.6))}, xlabel="x", chance=0.1),
    "maps": lambda: plot.maps({"one": torch.eye(4).expand(3, 4, 4)}, titles=["1", "2", "3"]),
    "images": lambda: plot.images({"a long name": torch.rand(2, 4, 4)}),
    "references": referenced,
    "panels": lambda: plot.panels(
        {
            "series": {"gradient": ([0, 1], [0, 1]), SERIES[0]: ([0, 1], [1, 0])},
            "xlabel": "x",
            "ylabel": "y",
            "title": "a",
        },
        {"series": {"gradient": ([1, 9], [1, 2], [0, 1], [2, 3])}, "xlabel": "x", "ylabel": "z", "xscale": "log"},
    ),
}


def test_a_series_looks_the_same_in_all_panels_and_the_legend_names_it_once():
    fig = DRAWINGS["panels"]()
    (one, other), (again,) = (ax.get_lines() for ax in fig.axes)
    assert (one.get_color(), one.get_marker()) == (again.get_color(), again.get_marker())
    assert one.get_color() != other.get_color()
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["gradient", SERIES[0]]


@functools.cache
def drawn(name: str) -> tuple[Figure, str]:
    """One of the drawings, and its SVG."""
    fig = DRAWINGS[name]()
    return fig, plot.svg(fig)


def texts(fig: Figure) -> list[Text]:
    """All texts that are drawn."""
    found = []
    with mock.patch.object(Text, "draw", lambda text, renderer: found.append(text)):
        fig.draw_without_rendering()
    return [text for text in found if text.get_text().strip() and text.get_visible()]


@pytest.fixture
def shown(monkeypatch):
    """What the page would receive: a list of mime bundles."""
    bundles = []
    keep = lambda data, **_: bundles.append(data if isinstance(data, dict) else {"text/markdown": data.data})  # noqa: E731
    monkeypatch.setattr("IPython.display.display", keep)
    monkeypatch.setenv("PAGS_STATIC", "1")
    return bundles


ALL = [*plot.STYLES.values(), *plot.FREE]
COLOURS = sorted({look["color"] for look in ALL})


def test_every_look_differs_without_colour():
    assert len({(str(look["linestyle"]), look["marker"]) for look in ALL}) == len(ALL)
    for looks in (plot.STYLES.values(), plot.FREE):
        assert len({look["marker"] for look in looks}) == len(looks)


def test_a_method_keeps_its_style_and_others_take_a_free_one():
    first, second, third = plot.looks(["Gradient", "my own", "another"])
    assert first == plot.STYLES["gradient"]
    for key in ("color", "linestyle", "marker"):
        assert len({str(look[key]) for look in (first, second, third)}) == 3


def test_a_variant_looks_like_its_method_unless_another_name_of_the_method_is_there():
    other, variant = plot.looks(["one net", "Input x Gradient, another net"])
    assert variant == plot.STYLES["Input x Gradient"]
    assert other not in plot.STYLES.values()
    method, variant = plot.looks(["Integrated Gradients", "Integrated Gradients, times x"])
    assert method == plot.STYLES["Integrated Gradients"]
    assert variant in plot.FREE
    assert plot.looks(["gradient, one", "gradient, two"])[0] in plot.FREE


def test_no_other_series_looks_like_a_method():
    methods = {str(sorted(style.items(), key=str)) for style in plot.STYLES.values()}
    assert methods.isdisjoint(str(sorted(look.items(), key=str)) for look in plot.looks(SERIES))


@pytest.mark.parametrize("methods", [[], ["gradient"], list(plot.STYLES)])
def test_twelve_series_differ_in_one_figure_also_beside_methods(methods):
    looks = plot.looks([*methods, *SERIES])
    assert len({(str(look["linestyle"]), look["marker"]) for look in looks}) == len(methods) + 12


def test_the_first_nine_series_have_nine_colours():
    assert len({look["color"] for look in plot.looks(SERIES[:9])}) == 9


@pytest.mark.parametrize(
    ("names", "pair"),
    [(["SmoothGrad", "x", "smoothgrad"], "'SmoothGrad' and 'smoothgrad'"), ([*"abcdefghijklm"], "'m'")],
)
def test_two_series_that_look_alike_are_refused(names, pair):
    with pytest.raises(ValueError, match=rf"{pair} would look alike"):
        plot.looks(names)


def test_a_look_can_be_changed_without_changing_the_others():
    plot.looks(["gradient"])[0]["color"] = "red"
    assert plot.looks(["gradient"])[0]["color"] == plot.BLUE


@pytest.mark.parametrize("colour", COLOURS)
def test_every_colour_of_a_series_is_seen_on_light_and_on_dark(colour):
    assert contrast(colour, plot.PAPER) >= 3
    assert contrast(plot.DARK[colour], plot.DARK[plot.PAPER]) >= 3


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("palette", [COLOURS, [plot.DARK[colour] for colour in COLOURS]], ids=["light", "dark"])
def test_readers_with_any_cones_tell_the_colours_apart(palette, eye):
    distances = [np.linalg.norm(lab(a, eye) - lab(b, eye)) for a, b in itertools.combinations(palette, 2)]
    assert min(distances) > 10


@pytest.mark.parametrize("name", DRAWINGS)
def test_texts_are_large_enough_apart_from_each_other_and_inside_the_figure(name):
    fig, _ = drawn(name)
    seen = texts(fig)
    assert min(text.get_fontsize() for text in seen) >= 9
    boxes = {text: text.get_window_extent().extents * 72 / fig.dpi for text in seen}
    for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
        assert max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3]) > 0, (one, other)
    assert np.min(list(boxes.values())) >= -0.5
    assert (np.max(list(boxes.values()), 0)[2:] <= 72 * fig.get_size_inches() + 0.5).all()


def test_the_same_drawing_gives_the_same_bytes():
    assert plot.svg(curve_figure()) == plot.svg(curve_figure())


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_colour_of_the_file_has_a_dark_twin(name):
    _, text = drawn(name)
    used = set(re.findall(r"var\((--c\d+),#", text))
    declared = set(re.findall(r"(--c\d+):#", text))
    assert used <= declared
    assert set(re.findall(r"(?<![,:])#[0-9a-f]{6}\b", text)) == set()


def test_a_readers_own_style_changes_nothing(tmp_path):
    expected = plot.svg(curve_figure())
    (tmp_path / "matplotlibrc").write_text(
        "text.usetex: True\naxes.facecolor: red\nsavefig.bbox: tight\nlines.linestyle: --\nfont.size: 30\n"
    )
    mpl.rc_file(tmp_path / "matplotlibrc")
    plot.theme.cache_clear()
    assert plot.svg(curve_figure()) == expected


def test_a_reference_stands_at_its_value_and_its_name_outside_the_axes():
    fig, ax = plot.canvas()
    plot.reference(ax, 0.3, "chance")
    plot.reference(ax, 0.7, "ideal", axis="x")
    assert [list(line.get_ydata()) for line in ax.lines] == [[0.3, 0.3], [0, 1]]
    assert list(ax.lines[1].get_xdata()) == [0.7, 0.7]
    fig.draw_without_rendering()
    chance, ideal = ax.texts
    assert chance.get_window_extent().x0 > ax.bbox.x1
    assert ideal.get_window_extent().y0 > ax.bbox.y1


def test_a_reference_without_a_name_is_a_line_only():
    _, ax = plot.canvas()
    plot.reference(ax, 0.3)
    assert len(ax.lines) == 1
    assert len(ax.texts) == 0


def test_a_band_lies_between_low_and_high_in_the_colour_of_its_look():
    _, ax = plot.canvas()
    plot.band(ax, torch.arange(3), torch.zeros(3), [1, 2, 3], plot.looks(["gradient"])[0])
    (area,) = ax.collections
    assert mpl.colors.to_hex(area.get_facecolor()[0]) == plot.BLUE
    np.testing.assert_array_equal(area.get_datalim(ax.transData).extents, [0, 0, 2, 3])


def test_bars_are_as_long_as_their_values_and_carry_their_intervals():
    values = {"a": {"u": (0.5, 0.4, 0.7), "v": (0.2, None, None)}, "b": {"v": (-0.3, -0.5, -0.1), "u": (np.nan, 0, 1)}}
    ax = plot.bars(values, xlabel="x").axes[0]
    lengths = {made.get_label(): [bar.get_width() for bar in made] for made in ax.containers}
    assert lengths == {"u": [0.5], "v": [0.2, -0.3]}
    intervals = [list(line.get_xdata()) for line in ax.lines if np.isfinite(line.get_xdata()).all()]
    assert intervals == [[0.4, 0.7], [-0.5, -0.1]]
    (first,), (second, third) = ax.containers
    assert first.get_center()[1] < second.get_center()[1] < third.get_center()[1]
    assert [text.get_text() for text in ax.texts] == ["0.50", "0.20", "\N{MINUS SIGN}0.30"]


@pytest.mark.parametrize(
    ("value", "label"), [(0.314, "0.31"), (-0.31, "−0.31"), (0.004, "0.004"), (-0.001, "−0.001"), (-0.0, "0.00")]
)
def test_a_small_value_is_not_labelled_as_zero(value, label):
    assert plot.label_of(value, 2) == label


@pytest.mark.parametrize(
    ("values", "decimals"),
    [
        ([0.855, 0, 0.0881], 2),
        ([0.0881, 0.002], 3),
        ([4.2, 0.31], 2),
        ([-42.0, 0.31], 1),
        ([420, 3.1], 0),
        ([0, 0], 2),
        ([1.0, math.nan, math.inf], 2),
        ([], 2),
    ],
)
def test_labels_of_one_figure_have_as_many_decimals(values, decimals):
    assert plot.decimals(values) == decimals


def test_twelve_series_of_bars_have_twelve_hatches():
    ax = drawn("bars of twelve")[0].axes[0]
    assert len({made[0].get_hatch() for made in ax.containers}) == 12


def test_the_red_of_a_map_is_positive_and_a_grey_print_tells_the_signs_apart():
    negative, zero, positive = plot.SIGNED([0.0, 0.5, 1.0])[:, :3]
    assert positive[0] > positive[2]
    assert negative[2] > negative[0]
    grey = [0.2126, 0.7152, 0.0722] @ np.stack([negative, zero, positive]).T
    assert grey[0] < 0.6 * grey[2] < grey[2] < grey[1]


TOPS = {"column": [1, 1, 0.25, 1], "row": [1, 0.5, 0.5, 1], "all": [1, 0.5, 0.25, 0.5]}


@pytest.mark.parametrize("share", TOPS)
def test_maps_share_the_range_they_are_told_to(share):
    one, two = torch.zeros(2, 4, 4), torch.zeros(2, 4, 4)
    one[0, 0, 0], one[1, 0, 0] = 4.0, 2.0
    two[0, 0, 0], two[1, 0, 0] = 1.0, 2.0
    fig = plot.maps({"one": one, "two": two}, share=share, quantile=1.0)
    cells = [ax.images[0].get_array()[0, 0] for ax in fig.axes[:4]]
    expected = plot.SIGNED((np.array(TOPS[share]) + 1) / 2)
    np.testing.assert_allclose(np.stack(cells), expected)


def test_unit_maps_do_not_depend_on_the_length_of_an_attribution():
    gradient = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    cells = [
        [ax.images[0].get_array() for ax in plot.maps({"a": gradient, "b": k * gradient}, unit=True).axes[:4]]
        for k in (1, 100)
    ]
    np.testing.assert_allclose(*cells, atol=1e-6)


def test_all_zero_maps_and_equal_fractions_are_drawn():
    assert isinstance(plot.maps({"zero": torch.zeros(2, 4, 4)}), Figure)
    assert isinstance(plot.distributions({"tangent-random": torch.ones(10)}, chance=0.1), Figure)


def density(values) -> tuple[np.ndarray, np.ndarray]:
    return plot.distributions({"gradient": values}).axes[0].lines[0].get_data()


@pytest.mark.parametrize("values", [np.full(50, 0.3), np.ones(5), WIDE, WIDE**0.05])
def test_a_density_is_on_the_unit_interval_and_loses_nothing_at_its_ends(values):
    at, height = density(values)
    assert 0 <= at.min() <= at.max() <= 1
    assert 3 * np.trapezoid(height, at) == pytest.approx(1, abs=0.01)  # two mirror images have the rest


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_density_peaks_where_the_values_are(value):
    at, height = density(np.full(50, value))
    assert at[height.argmax()] == pytest.approx(value, abs=0.005)


def test_show_gives_the_page_a_picture_an_alternative_text_a_caption_and_an_anchor(shown):
    said = {"alt": 'two "lines" & a band', "caption": "What $x<y$ shows.", "label": "fig-two"}
    plot.show(curve_figure(), **said)
    assert shown[0][figures.MIME] == {"svg": plot.svg(curve_figure()), **said}


def test_show_leaves_nothing_for_the_notebook_to_draw_again(shown):
    from matplotlib import pyplot as plt

    fig, ax = plt.subplots()
    ax.plot([0, 1])
    plot.show(fig, alt="a line", caption="A line.")
    assert plt.get_fignums() == []


def test_source_shows_the_function_that_runs(shown):
    plot.source(plot.svg)
    assert "def svg(fig" in shown[0]["text/markdown"]
    assert "pags.book.plot.svg" in shown[0]["text/markdown"]


def test_a_large_picture_is_averaged_and_a_small_one_left_alone():
    small = np.random.default_rng(0).random((32, 32, 3))
    np.testing.assert_array_equal(plot._pooled(small), small)
    large = small.repeat(8, axis=0).repeat(8, axis=1)
    assert plot._pooled(large).shape == (128, 128, 3)
    assert plot._pooled(large).mean() == pytest.approx(small.mean())


def test_words_stand_under_the_maps_that_they_belong_to():
    maps = {"gradient": torch.randn(2, 8, 8), "product": torch.randn(2, 8, 8)}
    fig = plot.maps(maps, below={"product": ["0.31", "0.40"]})
    words = {text.get_text(): text.get_position() for text in fig.texts}
    product = [ax.get_position() for ax in fig.axes if ax.images][2:4]
    for word, box in zip(("0.31", "0.40"), product, strict=True):
        across, up = words[word]
        assert box.x0 < across < box.x1
        assert 0 < box.y0 - up < box.height
    assert fig.get_figheight() > plot.maps(maps).get_figheight()


def pictures(svg):
    """The PNGs in an SVG, opened."""
    return [Image.open(io.BytesIO(base64.b64decode(png))) for png in re.findall(r"data:image/png;base64,([^\"]+)", svg)]


def test_pictures_in_an_svg_have_a_palette_and_their_own_colours():
    grey = torch.linspace(0, 1, 64).reshape(1, 8, 8)
    (found,) = pictures(plot.svg(plot.images({"grey": grey})))
    assert found.mode == "P"
    levels = torch.from_numpy(np.asarray(found.convert("RGB")).copy())[..., 0]
    torch.testing.assert_close(levels / 255, grey[0], atol=1 / 255 + 1e-6, rtol=0)


def test_a_picture_of_many_colours_keeps_them_all():
    colours = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    (found,) = pictures(plot.svg(plot.images({"colours": colours})))
    seen = torch.from_numpy(np.asarray(found.convert("RGB")).copy()).permute(2, 0, 1)
    torch.testing.assert_close(seen / 255, colours[0], atol=1 / 255 + 1e-6, rtol=0)
