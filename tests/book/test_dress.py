"""What the build adds to an executed chapter."""

import nbformat.v4 as nb
import pytest

from pags import paths
from pags.book import dress
from pags.errors import PagsError

WORDS = ["tangent space", "fraction in tangent space", "signal", "Input × Gradient"]


def linked(text):
    page = nb.new_notebook(cells=[nb.new_markdown_cell(text)])
    dress.link_terms(page, WORDS)
    return page.cells[0].source


def test_the_title_begins_with_the_chapters_number():
    page = nb.new_notebook(cells=[nb.new_markdown_cell("(label)=\n# A *title*\n\nText.")])
    dress.number_title(page, "01a_robustness_theory")
    assert page.cells[0].source == "(label)=\n# 01a · A *title*\n\nText."
    with pytest.raises(PagsError, match="has no title"):
        dress.number_title(nb.new_notebook(), "01a_robustness_theory")


def test_parameters_are_folded_and_the_box_of_a_live_run_is_left_out():
    box = nb.new_output("execute_result", {"text/html": '<div class="pags-run">seed 0</div>'})
    page = nb.new_notebook(
        cells=[
            nb.new_code_cell("seed = 0", metadata={"tags": ["parameters"]}),
            nb.new_code_cell("seed = 7", metadata={"tags": ["injected-parameters"]}),
            nb.new_code_cell("run", outputs=[box, nb.new_output("stream", text="kept")]),
        ]
    )
    dress.fold_parameters(page)
    assert [cell.metadata.get("tags", [])[-1:] for cell in page.cells] == [["hide-input"], ["hide-input"], []]
    assert [one.output_type for one in page.cells[2].outputs] == ["stream"]


def test_the_first_mention_of_a_word_is_linked_and_longer_words_go_first():
    assert linked("A Tangent space, and the tangent space; fractions in tangent space.") == (
        "A {term}`Tangent space <tangent space>`, and the tangent space; fractions in tangent space."
    )
    assert linked("The fraction in tangent space of signals.") == (
        "The {term}`fraction in tangent space <fraction in tangent space>` of {term}`signals <signal>`."
    )


@pytest.mark.parametrize(
    "text",
    [
        "# The signal\n",
        "| the signal | x |",
        "```python\nsignal = 1\n```",
        "`signal` and $signal$ and {doc}`signal` and [signal](x.md) and *signal* and **the signal**",
        ":::{admonition} Signal\nThe signal.\n:::",
        "$$\nsignal\n$$",
        "Signalling is no signal-like thing.",
        "- a list with a signal",
    ],
)
def test_where_a_link_would_do_harm_there_is_none(text):
    assert linked(text) == text


def test_prose_after_a_block_is_linked():
    assert linked("```python\nsignal\n```\n\nThe signal.") == "```python\nsignal\n```\n\nThe {term}`signal <signal>`."


def test_the_books_glossary_is_read():
    words = dress.terms((paths.ROOT / "book" / "glossary.md").read_text(encoding="utf-8"))
    assert {"attribution", "chance level", "input gradient"} <= set(words)
    assert len(words) > 20
    assert not [word for word in words if word.startswith((" ", "`", ":"))]
