"""Figures: what they promise to a page and to a reader."""

import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from pags.book import figures, plot


@pytest.fixture
def shown(monkeypatch):
    """What the page would receive: a list of mime bundles."""
    bundles = []
    keep = lambda data, **_: bundles.append(data if isinstance(data, dict) else {"text/markdown": data.data})  # noqa: E731
    monkeypatch.setattr("IPython.display.display", keep)
    monkeypatch.setenv("PAGS_STATIC", "1")
    return bundles


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two #rrggbb colours."""
    parts = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in (one, other)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    dark, light = np.sort(linear @ [0.2126, 0.7152, 0.0722])
    return (light + 0.05) / (dark + 0.05)


def curve_figure() -> Figure:
    x = torch.arange(5)
    return plot.curves({"gradient": (x, x**2), "random": (x, x, x - 1, x + 1)}, xlabel="step", ylabel="value", chance=1)


def test_methods_differ_without_colour():
    names = list(plot.STYLES)
    looks = [(str(style["linestyle"]), style["marker"]) for style in plot.styles(names)]
    assert len({line for line, _ in looks}) == len({marker for _, marker in looks}) == len(names)


def test_a_method_keeps_its_style_and_others_take_a_free_one():
    first, second, third = plot.styles(["Gradient", "my own", "another"])
    assert first == plot.STYLES["gradient"]
    assert len({str(look) for look in (first, second, third)}) == 3


def test_every_colour_of_a_line_is_readable_on_light_and_on_dark():
    for style in plot.STYLES.values():
        assert contrast(style["color"], plot.PAPER) >= 4
        assert contrast(plot.DARK[style["color"]], plot.DARK[plot.PAPER]) >= 4


def test_no_text_is_smaller_than_nine_points():
    sizes = [text.get_fontsize() for text in curve_figure().findobj(lambda a: hasattr(a, "get_fontsize"))]
    assert min(sizes) >= 9


def test_the_same_drawing_gives_the_same_bytes():
    assert plot.svg(curve_figure()) == plot.svg(curve_figure())


def test_every_themed_colour_has_a_dark_twin_in_the_file():
    text = plot.svg(curve_figure())
    used = set(re.findall(r"var\((--c\d+),#", text))
    declared = set(re.findall(r"(--c\d+):#", text))
    assert used <= declared
    assert not re.search(rf"(?<!,){plot.INK}", text)


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


def test_a_density_peaks_where_the_values_are():
    grid = np.linspace(0, 1, 201)
    density = plot._density(np.full(50, 0.3), grid)
    assert grid[density.argmax()] == pytest.approx(0.3, abs=0.005)


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
