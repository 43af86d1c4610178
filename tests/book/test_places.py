"""A claim's link leads to the figure, or at least the section, where its metric is measured."""

import itertools

import nbformat
import nbformat.v4 as nb
import pytest

from pags.book import claims, figures, places, runs

CHAPTER = "03_tangent_fractions"


def drawing(source, label):
    content = {figures.MIME: {"label": label}}
    return nb.new_code_cell(source, outputs=[nb.new_output("display_data", content)])


def notebook():
    return nb.new_notebook(
        cells=[
            nb.new_markdown_cell("# Title"),
            nb.new_markdown_cell("## One *thing*\n\nText."),
            nb.new_code_cell('run.record("alone.here", 1)'),
            nb.new_markdown_cell("Only text."),
            nb.new_markdown_cell("## Two"),
            nb.new_code_cell('for name in names:\n    run.record(f"fraction.{slug(name)}", 1)'),
            drawing("draw()", "fig-two"),
            nb.new_markdown_cell("```{figure} x.svg\n:name: fig-three\nCaption.\n```"),
            nb.new_markdown_cell("### Three"),
            drawing('save("by.another.name", 1)\n!ls', "fig-four"),
            drawing('save("by.another.name", 1)', "fig-five"),
            nb.new_code_cell('say(run.metric("fraction.gradient"), run.metric("by.another.name"), f"{x}")'),
        ]
    )


def sections(*parts):
    """A chapter of sections, each a title and the source of its one cell."""
    cells = [[nb.new_markdown_cell(f"## {title}"), nb.new_code_cell(source)] for title, source in parts]
    return nb.new_notebook(cells=[nb.new_markdown_cell("# Title"), *itertools.chain(*cells)])


def test_a_pattern_of_nothing_but_dots_hides_no_name_that_is_written_out():
    page = sections(
        ("Of all", 'run.record(f"{name}.{what}", 1)'),
        ("Of one", 'note(run, f"distractor.{what}", 1)'),
    )
    found = places.mark(page, CHAPTER, ["distractor.standard", "other.standard"])
    assert found[CHAPTER, "distractor.standard"][1] == "“Of one”"
    assert found[CHAPTER, "other.standard"][1] == "“Of all”"


def test_what_is_recorded_goes_before_what_is_told_and_nothing_is_measured_where_claims_are_told():
    page = sections(
        ("Told early", 'say(run.ci("gain.of.all"))'),
        ("Measured", 'run.record("gain.of.all", 1)'),
        ("What we found", 'say(run.ci("lost.of.all"), run.record("late.of.all", 1))'),
    )
    found = places.mark(page, CHAPTER, ["gain.of.all", "lost.of.all", "late.of.all"])
    assert {name: at[1] for (_, name), at in found.items()} == {"gain.of.all": "“Measured”"}


KNOWN = {
    ("03_tangent_fractions", "fraction.gradient"): "fig-03-methods",
    ("04_off_manifold_robustness", "correlation.likeness.all"): "fig-04-correlation",
    ("04_off_manifold_robustness", "distractor.standard"): "fig-04-distractor",
    ("05_blockmnist", "echo.mlp.standard"): "fig-05-echo",
    ("07_exact_score", "factor.steps.bayes-0.25"): "fig-07-plane",
}


@pytest.mark.parametrize(("chapter", "metric"), KNOWN)
def test_places_that_we_know(chapter, metric):
    page = nbformat.read(runs.executed(chapter, "quick"), as_version=4)
    metrics = [name for claim in claims.load() if claim.chapter == chapter for name in claim.metrics]
    assert places.mark(page, chapter, metrics)[chapter, metric][0] == KNOWN[chapter, metric]


def test_a_metric_leads_to_the_next_figure_of_its_section_else_to_the_heading():
    page = notebook()
    found = places.mark(page, CHAPTER, ["alone.here", "fraction.gradient", "by.another.name", "nowhere", "alone.here"])
    assert found == {
        (CHAPTER, "alone.here"): ("measured-3-1", "“One thing”"),
        (CHAPTER, "fraction.gradient"): ("fig-two", "Figure 3.1"),
        (CHAPTER, "by.another.name"): ("fig-five", "Figure 3.4"),  # a cell with a line of IPython's is not read
    }
    assert page.cells[1].source == "(measured-3-1)=\n## One *thing*\n\nText."
    again = places.mark(page, CHAPTER, ["alone.here"])
    assert again[CHAPTER, "alone.here"][0] == "measured-3-1"
    assert page.cells[1].source.count("measured-3-1") == 1


@pytest.mark.parametrize("chapter", sorted({claim.chapter for claim in claims.load()}))
def test_every_claim_of_the_book_has_a_place_in_its_chapter_before_what_is_told_of_it(chapter):
    page = nbformat.read(runs.executed(chapter, "quick"), as_version=4)
    ledger = [claim for claim in claims.load() if claim.chapter == chapter]
    found = places.mark(page, chapter, [name for claim in ledger for name in claim.metrics])
    assert [claim.id for claim in ledger if not any((chapter, name) in found for name in claim.metrics)] == []
    told = [one for one in found.values() if one[1].strip("“”") in places.TOLD]
    assert told == []
