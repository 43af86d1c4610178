"""How numbers are set: no line breaks within them, and nothing but prose is touched."""

import pytest
from docutils import nodes

from pags.book import extension, typography

SPACE = typography.NO_BREAK


@pytest.mark.parametrize(
    ("given", "set_as"),
    [
        ("36% [6%, 67%] and 50 %", f"36{SPACE}% [6{SPACE}%,{SPACE}67{SPACE}%] and 50{SPACE}%"),
        ("0.31 [0.30, 0.32], n = 2", f"0.31 [0.30,{SPACE}0.32], n{SPACE}={SPACE}2"),
        (
            "classes; 1 − 1/3 and 2 ± .05, ε ≤ −1",
            f"classes; 1{SPACE}−{SPACE}1/3 and 2{SPACE}±{SPACE}.05, ε{SPACE}≤{SPACE}−1",
        ),
        ("a run = 3 things, a=3", None),
        ("fell by -0.4 (-.3) [-0.2, -0.1]", f"fell by −0.4 (−.3) [−0.2,{SPACE}−0.1]"),
        ("32 x 32 with Input x Gradient", f"32{SPACE}×{SPACE}32 with Input × Gradient"),
        ("top-1, 1e-3, 2-5, a - b, --jobs 2, x-1, [a, b], % of x", None),
        ("-5 points", None),
    ],
)
def test_prose(given, set_as):
    assert typography.prose(given) == (set_as or given)


def test_a_text_that_begins_with_a_number_may_have_its_sign():
    assert typography.prose("-5 points", begins=True) == "−5 points"


@pytest.mark.parametrize(
    ("given", "set_as"),
    [
        ("""<p data-v='{"a":">-1 5%"}'>""", None),
        ('<script>"<svg>"</script>5%', f'<script>"<svg>"</script>5{SPACE}%'),
        ('<svg viewBox="0"/><p>5% it\'s</p>', f'<svg viewBox="0"/><p>5{SPACE}% it’s</p>'),
        ("<code>a</pre>5%</code>", None),
        ("<b>CIFAR</b>-10 and <kbd>-1</kbd>", None),
        ("<b>-10</b>", "<b>−10</b>"),
        ("at https://x.org/a1%20b", None),
        ("<pre>-1 <code>5%</code> 5%</pre>", None),
        ("<p>n &lt; 5, n &gt; -1</p>", f"<p>n{SPACE}&lt;{SPACE}5, n{SPACE}&gt;{SPACE}−1</p>"),
    ],
)
def test_odd_html(given, set_as):
    assert typography.html(given) == (set_as or given)


def test_html_behind_something_else_begins_with_no_sign():
    assert typography.html("-5 <b>-5</b>", begins=False) == "-5 <b>−5</b>"
    assert typography.html("-5") == "−5"


def test_html_keeps_its_tags_its_code_and_its_scripts():
    kept = "<script>a = 5 % 2; b = [1, 2]</script><code>-1 36% it's</code>-1 <svg><text>9%</text></svg><!-- 5 % -->"
    assert typography.html(kept) == kept
    start = '<p title="5 %, -1" style="margin: -1px">'
    cells = "<table><td>-0.1</td><td>[1, 2]</td></table> 1 < 2 & 3 %"
    given = f"{start}It's 5 % of D&#x27;s</p>{cells}"
    assert typography.html(given) == (
        f"{start}It’s 5{SPACE}% of D’s</p><table><td>−0.1</td><td>[1,{SPACE}2]</td></table> "
        f"1{SPACE}<{SPACE}2 & 3{SPACE}%"
    )


@pytest.mark.parametrize(
    ("after", "kept", "rest"),
    [
        (". Between the bands", ".", " Between the bands"),
        ("-robust network", "-robust", " network"),
        ("), which", "),", " which"),
        (".", ".", ""),
        (" and more.", None, " and more."),
        ("-", "-", ""),
    ],
)
def test_no_line_breaks_between_a_formula_and_what_ends_it(after, kept, rest):
    formula = nodes.math("", "-1")
    line = nodes.paragraph("", "", nodes.Text("left "), formula, nodes.Text(after))
    extension.keep_its_end(formula)
    assert line.astext() == f"left -1{after}"
    pieces = [
        piece.astext()
        for piece in line.findall(lambda node: "one-piece" in getattr(node, "attributes", {}).get("classes", []))
    ]
    assert pieces == ([] if kept is None else [f"-1{kept}"])
    assert line.children[-1].astext() == (rest or f"-1{kept}")


@pytest.mark.parametrize("kind", [nodes.Text, nodes.strong])
def test_no_link_begins_with_a_space(kind):
    words = nodes.Text(" Exercise 1")
    link = nodes.reference("", "", words if kind is nodes.Text else nodes.strong("", "", words))
    line = nodes.title("", "", nodes.Text("Solution to"), link)
    extension.begin_with_a_word(link)
    assert (line.astext(), link.astext()) == ("Solution to Exercise 1", "Exercise 1")
    extension.begin_with_a_word(link)
    assert line.astext() == "Solution to Exercise 1"
