"""Sliders: static ones work by themselves, live ones stay out of a static page."""

import json
import re

import pytest
import torch
from matplotlib.figure import Figure

from pags.book import figures, widgets


@pytest.fixture
def slider(monkeypatch):
    """What the slider that was shown last consists of."""
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: bundles.append(data))
    monkeypatch.setenv("PAGS_STATIC", "1")
    return lambda: bundles[-1][figures.MIME]


def data(html: str) -> dict:
    """What the script of a slider holds."""
    return json.loads(re.search(r"data = (\{.*?\});\n", html)[1])


def test_a_slider_has_a_label_a_spoken_value_and_a_picture_with_alternative_text(slider):
    widgets.frames(torch.rand(3, 8, 8), ["-1", "0", "1"], alt="a <digit>", label="slant", caption="Slant & tilt.")
    html = figures.slider(slider())
    name = re.search(r'<input type="range" id="([^"]+)"', html)[1]
    assert f'<label for="{name}">slant</label>' in html
    assert f'<output for="{name}" aria-live="off">0</output>' in html
    assert 'aria-valuetext="0"' in html
    assert 'alt="a &lt;digit&gt;"' in html
    assert "width:288px;image-rendering:pixelated" in html


@pytest.mark.parametrize(("start", "first"), [(None, 4), ((0, 0), 0), ((1, 2), 5)])
def test_a_grid_has_two_sliders_and_its_frames_in_row_order(slider, start, first):
    pictures = torch.linspace(0, 1, 6).reshape(2, 3, 1, 1).expand(2, 3, 4, 4)
    widgets.frames(pictures, (["a", "b"], [1, 2, 3]), alt="grey", caption="", label=("row", "column"), start=start)
    content, html = slider(), figures.slider(slider())
    assert html.count('type="range"') == 2
    assert data(html)["values"] == content["values"] == [["a", "b"], ["1", "2", "3"]]
    assert content["frames"] == [widgets._png(frame) for frame in widgets._pixels(pictures.flatten(0, 1), False)]
    assert html.count(f'<img src="{content["frames"][first]}"') == 1


def test_a_slider_may_start_anywhere(slider):
    widgets.frames(torch.zeros(3, 4, 4), [0, 1, 2], alt="black", caption="", label="step", start=2)
    assert slider()["start"] == [2]


def test_two_sliders_on_a_page_have_different_names(slider):
    widgets.frames(torch.zeros(2, 4, 4), [0, 1], alt="black", caption="", label="step")
    names = {re.search(r'<div id="([^"]+)"', figures.slider(slider()))[1] for _ in range(2)}
    assert len(names) == 2


def test_a_label_cannot_end_the_script(slider):
    widgets.frames(torch.zeros(1, 4, 4), ["</script><!--"], alt="black", caption="", label="x")
    html = figures.slider(slider())
    assert html.count("</script>") == 1
    assert "<!--" not in html
    assert data(html)["values"] == [["</script><!--"]]


def test_the_picture_that_a_slider_starts_with_is_on_the_page_once(slider):
    widgets.frames(torch.rand(3, 4, 4), [0, 1, 2], alt="a", caption="", label="x", start=1)
    html = figures.slider(slider())
    frames = slider()["frames"]
    assert data(html)["frames"] == [frames[0], "", frames[2]]
    assert html.count(frames[1]) == 1


def test_signed_frames_share_one_range():
    frames = torch.tensor([-1.0, 0.5, 2.0]).reshape(3, 1, 1).expand(3, 2, 2)
    blue, pink, red = widgets._pixels(frames, True)[:, 0, 0].astype(int)
    assert blue[2] > blue[0]
    assert red[0] > red[2]
    assert pink.sum() > red.sum()


def test_figures_can_be_frames_of_their_own_width(slider):
    drawn = [Figure(figsize=(1, 1)) for _ in range(2)]
    widgets.frames(drawn, ["before", "after"], alt="empty", caption="", label="training")
    assert all(frame.startswith("data:image/svg+xml") for frame in slider()["frames"])
    assert "pixelated" not in figures.slider(slider())


def test_missing_labels_are_refused():
    with pytest.raises(ValueError, match="3 pictures do not fill 2 labels"):
        widgets.frames(torch.zeros(3, 4, 4), [0, 1], alt="black", caption="", label="step")


def test_explore_shows_nothing_without_a_live_kernel(monkeypatch):
    widgets.explore(pytest.fail, x=(0, 1))
    monkeypatch.setenv("PAGS_STATIC", "1")
    monkeypatch.setattr("IPython.get_ipython", lambda: type("Shell", (), {"kernel": None})())
    widgets.explore(pytest.fail, x=(0, 1))


def test_explore_calls_the_function_when_a_kernel_is_live(monkeypatch):
    monkeypatch.delenv("PAGS_STATIC", raising=False)
    monkeypatch.setattr("IPython.get_ipython", lambda: type("Shell", (), {"kernel": None})())
    seen = []
    monkeypatch.setattr("ipywidgets.interact", lambda function, **ranges: seen.append((function, ranges)))
    widgets.explore(print, x=(0, 1))
    assert seen == [(print, {"x": (0, 1)})]


@pytest.mark.slow
def test_the_arrow_keys_change_picture_value_and_alternative_text(slider):
    from browser import FLAGS, chromium
    from playwright.sync_api import sync_playwright

    pictures = torch.linspace(0, 1, 6).reshape(2, 3, 1, 1).expand(2, 3, 4, 4)
    widgets.frames(pictures, (["a", "b"], [1, 2, 3]), alt="grey", caption="", label=("row", "column"), start=(0, 0))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        tab = browser.new_page()
        tab.set_content(figures.page(slider()))
        tab.get_by_label("row").press("ArrowRight")
        tab.get_by_label("column").press("End")
        picture, output = tab.locator("img"), tab.locator("output").last
        assert picture.get_attribute("src") == slider()["frames"][5]
        assert picture.get_attribute("alt") == "grey (row b, column 3)"
        assert output.inner_text() == "3"
        assert tab.get_by_label("column").get_attribute("aria-valuetext") == "3"
        browser.close()


@pytest.mark.slow
def test_every_step_of_a_drawn_slider_shows_its_drawing(slider):
    from browser import FLAGS, chromium
    from playwright.sync_api import sync_playwright

    drawn = [Figure(figsize=(1 + i, 1)) for i in range(3)]
    for i, fig in enumerate(drawn):
        fig.subplots().plot([0, i])
    widgets.frames(drawn, [0, 1, 2], alt="lines", caption="", label="slope", start=1)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        tab = browser.new_page()
        tab.set_content(figures.page(slider()))
        for key, width in (("ArrowLeft", 96), ("ArrowRight", 192), ("End", 288), ("Home", 96)):
            tab.get_by_label("slope").press(key)
            tab.wait_for_function("width => document.images[0].naturalWidth === width", arg=width)
        browser.close()
