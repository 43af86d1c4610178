"""A chapter's figures as Jupyter Book numbers them, and as a live notebook shows them."""

from contextlib import nullcontext
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
import torch
from docutils import nodes
from myst_nb.core.render import get_mime_priority, load_mime_renders

from pags.book import figures, plot, widgets

FIGURE = {"svg": "<svg/>", "alt": 'a "line" & more', "caption": "What $x<y$ shows.", "label": "fig-Line"}
SLIDER = {"frames": ["data:,a", "data:,b"], "names": ["step"], "values": [["0", "1"]], "start": [1], "width": None}
SLIDER |= {"alt": "black", "caption": "Two frames.", "label": "fig-steps"}


class Myst:
    """What the renderer needs of MyST: a document, and text put into the node that is current."""

    def __init__(self):
        settings = SimpleNamespace(id_prefix="", auto_id_prefix="id", record_dependencies=None)
        self.document = nodes.document(settings, None)

    def current_node_context(self, node):
        self.node = node
        return nullcontext()

    def nested_render_text(self, text, line, inline):
        self.node += nodes.Text(text)


def as_nodes(mime_type, content):
    data = SimpleNamespace(mime_type=mime_type, content=content, string=content, line=1)
    return figures.Figures.handle_mime(SimpleNamespace(renderer=Myst()), data, False)


def test_a_figure_keeps_its_picture_alternative_text_caption_and_name():
    (figure,) = as_nodes(figures.MIME, FIGURE)
    picture, caption = figure
    assert (picture["uri"], picture["alt"]) == (figures.shown_uri("<svg/>"), 'a "line" & more')
    assert caption.astext() == "What $x<y$ shows."
    assert figure["names"] == ["fig-line"]
    assert figure["classes"] == ["pags-figure"]


DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">
 <!-- 50 % -->
 <defs><path id="used" d="M 0 0
L -1 2e-05
z
"/></defs>
 <g id="unused"><use href="#used" style="fill: #0069a8"/></g>
</svg>
"""


def test_a_page_holds_a_drawing_without_what_nobody_sees():
    assert figures.slim(DRAWING) == (
        "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><defs><path id='used' d='M0 0L-1 2e-05z'/></defs>"
        "<g><use href='#used' style='fill: #0069a8'/></g></svg>\n"
    )
    shown = figures.shown_uri(DRAWING)
    assert unquote(shown) == figures.SHOWN + figures.slim(DRAWING)
    assert not set('<>"&#\n') & set(shown)  # nothing that ends an attribute or an address
    text = "<svg><text> two   words </text>\n</svg>"
    assert figures.slim(text) == text


def test_the_drawings_of_a_slider_share_what_is_alike_in_them():
    points = [" ".join(map(str, range(200 + i, 400 + i))) for i in range(3)]
    lines = "".join(f'<path d="M {x} 0 L {x} 9"/>' for x in range(300))
    drawings = [f'<svg>{lines}<path d="M {row}"/><g/></svg>' for row in points]
    held = figures.shared(drawings, 1)
    parts = figures.slim(drawings[1]).split("<") + held["parts"]
    made = ["<".join(part for at, n in frame for part in parts[at : at + n]) for frame in held["frames"]]
    assert made == [figures.slim(drawings[0]), "", figures.slim(drawings[2])]
    assert len(held["parts"]) == 2
    assert max(map(len, held["frames"])) == 3


def test_a_figure_without_a_label_has_no_name():
    (figure,) = as_nodes(figures.MIME, FIGURE | {"label": None})
    assert figure["names"] == []


def test_a_slider_keeps_its_script_caption_and_name():
    (figure,) = as_nodes(figures.MIME, SLIDER)
    assert figure[0].astext().endswith("</script>")
    assert figure[1].astext() == "Two frames."
    assert figure["names"] == ["fig-steps"]
    assert figure["classes"] == ["pags-frames"]


@pytest.mark.parametrize("mime_type", ["text/html", "text/plain", "image/png"])
def test_other_outputs_are_left_alone(mime_type):
    assert as_nodes(mime_type, "<table></table>") is None


def test_the_book_finds_the_renderer_and_prefers_a_figure_to_its_text():
    assert figures.Figures in load_mime_renders()
    assert get_mime_priority("html", []).index(figures.MIME) < get_mime_priority("html", []).index("text/plain")


@pytest.fixture
def shown(monkeypatch):
    """Show both, in a run for the page or in a live notebook; returns the two bundles."""
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: bundles.append(data))

    def show(static):
        monkeypatch.setenv("PAGS_STATIC", static)
        plot.show(plot.canvas()[0], alt="a <line>", caption="A & B.", label="fig-a")
        widgets.frames(torch.zeros(2, 4, 4), [0, 1], alt="black", caption="Two.", label="step", anchor="fig-b")
        return bundles

    return show


def test_a_page_receives_json_and_text(shown):
    figure, slider = shown("1")
    assert figure.keys() == slider.keys() == {figures.MIME, "text/plain"}
    assert figure["text/plain"] == "[Figure: a <line>] A & B."
    assert slider["text/plain"] == "[Slider: black] Two."
    assert figure[figures.MIME].keys() == FIGURE.keys()
    assert slider[figures.MIME].keys() == SLIDER.keys()


def test_a_live_notebook_receives_html(shown):
    figure, slider = shown("")
    assert figure.keys() == slider.keys() == {"text/html"}
    assert 'alt="a &lt;line&gt;"' in figure["text/html"]
    assert "<figcaption>A &amp; B.</figcaption>" in figure["text/html"]
    assert 'id="fig-a"' in figure["text/html"]
    assert 'type="range"' in slider["text/html"]
