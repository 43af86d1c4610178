"""Sliders: static ones work by themselves, live ones stay out of a static page."""

import json
import re

import pytest
import torch
from matplotlib.figure import Figure

from pags.book import widgets


@pytest.fixture
def page(monkeypatch):
    """The HTML of the widget that was shown last."""
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: bundles.append(data))
    return lambda: bundles[-1]["text/html"]


def data(html: str) -> dict:
    return json.loads(re.search(r"data = (\{.*?\});\n", html)[1])


def test_a_slider_has_a_label_a_spoken_value_and_a_picture_with_alternative_text(page):
    widgets.frames(torch.rand(3, 8, 8), ["-1", "0", "1"], alt="a <digit>", label="slant", caption="Slant & tilt.")
    html = page()
    name = re.search(r'<input type="range" id="([^"]+)"', html)[1]
    assert f'<label for="{name}">slant</label>' in html
    assert f'<output for="{name}" aria-live="off">0</output>' in html
    assert 'aria-valuetext="0"' in html
    assert 'alt="a &lt;digit&gt;"' in html
    assert "Slant &amp; tilt." in html


def test_a_grid_has_two_sliders_and_its_frames_in_row_order(page):
    pictures = torch.linspace(0, 1, 6).reshape(2, 3, 1, 1).expand(2, 3, 4, 4)
    widgets.frames(pictures, (["a", "b"], [1, 2, 3]), alt="grey", caption="", label=("row", "column"), start=(0, 0))
    html = page()
    assert html.count('type="range"') == 2
    assert data(html)["labels"] == [["a", "b"], ["1", "2", "3"]]
    assert data(html)["frames"] == [widgets._png(frame) for frame in widgets._pixels(pictures.flatten(0, 1), False)]
    assert f'<img src="{data(html)["frames"][0]}"' in html


def test_two_sliders_on_a_page_have_different_names(page):
    names = set()
    for _ in range(2):
        widgets.frames(torch.zeros(2, 4, 4), [0, 1], alt="black", caption="", label="step")
        names.add(re.search(r'<div id="([^"]+)"', page())[1])
    assert len(names) == 2


def test_a_label_cannot_end_the_script(page):
    widgets.frames(torch.zeros(1, 4, 4), ["</script>"], alt="black", caption="", label="x")
    assert page().count("</script>") == 1
    assert data(page())["labels"] == [["</script>"]]


def test_signed_frames_share_one_range():
    frames = torch.tensor([-1.0, 0.5, 2.0]).reshape(3, 1, 1).expand(3, 2, 2)
    blue, pink, red = widgets._pixels(frames, True)[:, 0, 0].astype(int)
    assert blue[2] > blue[0]
    assert red[0] > red[2]
    assert pink.sum() > red.sum()


def test_figures_can_be_frames(page):
    figures = [Figure(figsize=(1, 1)) for _ in range(2)]
    widgets.frames(figures, ["before", "after"], alt="empty", caption="", label="training")
    assert all(frame.startswith("data:image/svg+xml") for frame in data(page())["frames"])


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
def test_the_arrow_keys_change_picture_value_and_alternative_text(page):
    from browser import FLAGS, chromium
    from playwright.sync_api import sync_playwright

    pictures = torch.linspace(0, 1, 6).reshape(2, 3, 1, 1).expand(2, 3, 4, 4)
    widgets.frames(pictures, (["a", "b"], [1, 2, 3]), alt="grey", caption="", label=("row", "column"), start=(0, 0))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        tab = browser.new_page()
        tab.set_content(page())
        tab.get_by_label("row").press("ArrowRight")
        tab.get_by_label("column").press("End")
        picture, output = tab.locator("img"), tab.locator("output").last
        assert picture.get_attribute("src") == data(page())["frames"][5]
        assert picture.get_attribute("alt") == "grey (row b, column 3)"
        assert output.inner_text() == "3"
        assert tab.get_by_label("column").get_attribute("aria-valuetext") == "3"
        browser.close()
