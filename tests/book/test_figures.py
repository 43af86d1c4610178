"""A chapter's figures as Jupyter Book numbers them."""

from types import SimpleNamespace

import pytest
import torch
from docutils import nodes
from myst_nb.core.render import load_mime_renders

from pags.book import plot, widgets
from pags.book.figures import Figures


@pytest.fixture
def as_nodes(monkeypatch):
    """Display something, return the nodes that the page receives for it."""
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: bundles.append(data))
    document = nodes.document(SimpleNamespace(id_prefix="", auto_id_prefix="id", record_dependencies=None), None)

    class Myst:
        def current_node_context(self, node):
            self.node = node
            return monkeypatch.context()

        def nested_render_text(self, text, line, inline):
            self.node += nodes.Text(text)

    Myst.document = document
    data = lambda: SimpleNamespace(mime_type="text/html", string=bundles[-1]["text/html"], line=1)  # noqa: E731
    return lambda: Figures.handle_mime(SimpleNamespace(renderer=Myst()), data(), False)


def test_a_figure_keeps_its_alternative_text_caption_and_name(as_nodes):
    fig, _ = plot.canvas()
    plot.show(fig, alt='a "line" & more', caption="What $x<y$ shows.", label="fig-Line")
    (figure,) = as_nodes()
    assert figure[0]["alt"] == 'a "line" & more'
    assert figure[1].astext() == "What $x<y$ shows."
    assert figure["names"] == ["fig-line"]


def test_a_slider_keeps_its_script(as_nodes):
    widgets.frames(torch.zeros(2, 4, 4), [0, 1], alt="black", caption="Two frames.", label="step", anchor="fig-steps")
    (figure,) = as_nodes()
    assert figure[0].astext().endswith("</script>")
    assert figure[1].astext() == "Two frames."
    assert figure["names"] == ["fig-steps"]


def test_other_outputs_are_left_alone():
    data = SimpleNamespace(mime_type="text/html", string="<table></table>", line=1)
    assert Figures.handle_mime(None, data, False) is None


def test_the_book_finds_the_renderer():
    assert Figures in load_mime_renders()
