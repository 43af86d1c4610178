"""The pages' own scripts, in a browser: the scoreboard's filters and the front page's walk, by keyboard, offline."""

import re

import browser
import pytest

from pags import paths

STYLE = paths.ROOT / "book" / "style"


@pytest.fixture
def shown():
    """Show HTML with one of our scripts; gives the page, which has no network."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.chromium(), args=browser.FLAGS)

        def show(html, script, motion="reduce", scripts=True, **more):
            more = {"reduced_motion": motion, "java_script_enabled": scripts, "viewport": browser.PHONE} | more
            context = chromium.new_context(**more)
            context.route("http*://**", lambda route: route.abort())
            page = context.new_page()
            (folder := paths.BUILD / "scripts").mkdir(parents=True, exist_ok=True)
            (folder / "page.html").write_text(f"<html><body>{html}<script>{script}</script></body></html>")
            page.goto((folder / "page.html").as_uri())
            return page

        yield show
        chromium.close()


CARD = '<li class="pags-card" id="{0}" data-paper="{1}" data-verdict="{2}" data-data="{3}" data-again="{4}">{0}</li>'
CARDS = [
    ("a", "A", "reproduced", "MNIST|strokes", "the same verdict"),
    ("b", "B", "in part", "MNIST", "another verdict"),
    ("c", "B", "reproduced", "", ""),
]
BOARD = '<div id="pags-filters"></div><ul>' + "".join(CARD.format(*card) for card in CARDS) + "</ul>"


def visible(page):
    return [name for name, *_ in CARDS if page.locator(f"#{name}").is_visible()]


def test_claims_are_chosen_by_paper_verdict_and_data_from_the_keyboard(house, shown):
    page = shown(BOARD, (STYLE / "board.js").read_text())
    assert visible(page) == ["a", "b", "c"]
    assert page.locator("output").inner_text() == "3 of 3 claims shown"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert visible(page) == ["b", "c"]
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert visible(page) == ["b"]
    assert page.locator("output").inner_text() == "1 of 3 claims shown"
    page.reload()
    assert visible(page) == ["b"]  # the address keeps the choice
    page.locator("button").press("Enter")
    page.wait_for_function("document.querySelector('output').textContent === '3 of 3 claims shown'")
    page.select_option("select[name=data]", "strokes")
    assert visible(page) == ["a"]
    page.select_option("select[name=data]", "")
    page.select_option("select[name=again]", "another verdict")
    assert visible(page) == ["b"]
    page.evaluate("location.hash = 'c'")  # a link to a claim that is not among the chosen
    page.wait_for_function("!document.getElementById('c').hidden")


def offered(page, name):
    """What a filter offers: its words with their counts, those that cannot be chosen in brackets."""
    return page.eval_on_selector_all(
        f"select[name={name}] option", "all => all.map(one => one.disabled ? `[${one.text}]` : one.text)"
    )


def test_a_filter_counts_what_the_others_leave_and_does_not_offer_what_would_show_nothing(house, shown):
    page = shown(BOARD, (STYLE / "board.js").read_text())
    assert offered(page, "paper") == ["all (3)", "A (1)", "B (2)"]
    assert offered(page, "verdict") == ["all (3)", "in part (1)", "reproduced (2)"]
    page.select_option("select[name=paper]", "A")
    assert offered(page, "paper") == ["all (3)", "A (1)", "B (2)"]  # its own choice may be changed for another
    assert offered(page, "verdict") == ["all (1)", "[in part (0)]", "reproduced (1)"]
    assert offered(page, "again") == ["all (1)", "[another verdict (0)]", "the same verdict (1)"]
    page.focus("select[name=verdict]")
    page.keyboard.press("ArrowDown")  # over what cannot be chosen
    assert page.locator("select[name=verdict]").input_value() == "reproduced"
    assert visible(page) == ["a"]
    assert page.get_by_role("status").inner_text() == "1 of 3 claims shown"
    page.locator("button").press("Enter")
    page.wait_for_function("document.querySelector('output').textContent === '3 of 3 claims shown'")
    assert offered(page, "verdict") == ["all (3)", "in part (1)", "reproduced (2)"]


def test_a_choice_in_the_address_that_shows_nothing_says_so_and_can_be_changed(house, shown):
    page = shown(BOARD, (STYLE / "board.js").read_text())
    page.evaluate("location.hash = 'filter:paper=A&verdict=in part'")
    page.reload()
    assert page.get_by_role("status").inner_text() == "0 of 3 claims shown"
    assert offered(page, "paper") == ["all (1)", "A (0)", "B (1)"]
    page.select_option("select[name=paper]", "B")
    assert visible(page) == ["b"]


def test_a_link_to_a_claim_that_is_not_chosen_scrolls_to_it(house, shown):
    far = BOARD.replace('<li class="pags-card" id="c"', '<li style="height: 3000px"></li><li class="pags-card" id="c"')
    page = shown(far, (STYLE / "board.js").read_text())
    page.select_option("select[name=paper]", "A")
    page.evaluate("location.hash = 'c'")
    page.wait_for_function("scrollY > 2000")
    assert page.evaluate("location.hash") == "#c"
    assert page.eval_on_selector_all("select", "all => all.map(one => one.value)") == ["", "", "", ""]
    page.reload()
    assert visible(page) == ["a", "b", "c"]


def test_a_filter_that_no_claim_needs_is_not_there(house, shown):
    page = shown(BOARD.replace("the same verdict", "").replace("another verdict", ""), (STYLE / "board.js").read_text())
    assert page.eval_on_selector_all("select", "all => all.map(one => one.name)") == ["paper", "verdict", "data"]


def test_without_scripts_every_claim_is_there_and_no_filter(house, shown):
    page = shown(BOARD, "", scripts=False)
    assert visible(page) == ["a", "b", "c"]
    assert page.locator("select").count() == 0


FIGURE = '<article class="bd-article"><figure class="pags-figure"><img style="width: {0}px" alt="two panels"></figure>'
TABLE = '<table style="min-width: 900px"><caption>Wide</caption><tr><td>1</td></tr></table></article>'


def test_a_line_says_that_a_figure_has_more_to_the_right_while_it_has_and_only_to_eyes(house, shown):
    head = '<meta name="viewport" content="width=device-width"><style>.pags-scroll { overflow-x: auto }</style>'
    html = f"{head}{FIGURE.format(900)}{TABLE}"
    page = shown(html, (STYLE / "book.js").read_text(), has_touch=True, is_mobile=True, device_scale_factor=1)
    line = page.locator("figure .pags-swipe")
    assert line.inner_text().startswith("Swipe sideways to see the rest")
    assert page.locator(".pags-swipe").count() == 2  # the table's, too
    assert page.locator("figure").aria_snapshot().count("sideways") == 1  # the name of the box
    before = page.locator("figure").bounding_box()
    page.eval_on_selector("figure .pags-scroll", "box => box.scrollTo(900, 0)")
    page.wait_for_function("getComputedStyle(document.querySelector('figure .pags-swipe')).visibility === 'hidden'")
    assert page.locator("figure").bounding_box() == before
    page.eval_on_selector("figure .pags-scroll", "box => box.scrollTo(0, 0)")
    page.wait_for_function("getComputedStyle(document.querySelector('figure .pags-swipe')).visibility === 'visible'")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.wait_for_function("document.querySelector('figure .pags-swipe').hidden")
    wide = shown(html, (STYLE / "book.js").read_text())
    assert wide.locator(".pags-swipe").first.inner_text().startswith("Scroll sideways")  # a mouse does not swipe
    narrow = shown(FIGURE.format(200), (STYLE / "book.js").read_text())
    assert narrow.locator(".pags-swipe").count() == 0


def test_a_wide_table_in_a_fold_can_be_reached_once_it_is_open(house, shown):
    fold = f'<article class="bd-article"><details><summary>More</summary>{TABLE}'
    html = f"<style>.pags-scroll {{ overflow-x: auto }}</style>{fold.replace('</article>', '</details></article>')}"
    page = shown(html, (STYLE / "book.js").read_text())
    page.locator("summary").press("Enter")
    page.wait_for_function("document.querySelector('.pags-scroll').tabIndex === 0")
    assert page.locator(".pags-swipe").is_visible()


def test_a_proof_is_open_while_its_page_is_printed_and_then_as_it_was(house, shown):
    folds = "".join(f'<details class="{kind}"><summary>a</summary>b</details>' for kind in ("sd-dropdown", "hide"))
    page = shown(f'<article class="bd-article">{folds}</article>', (STYLE / "book.js").read_text())
    page.evaluate("addEventListener('beforeprint', () => { window.seen = document.querySelectorAll('[open]').length })")
    page.pdf()
    assert page.evaluate("seen") == 1
    assert page.locator("[open]").count() == 0
    page.evaluate("for (const one of ['before', 'before', 'after']) dispatchEvent(new Event(`${one}print`))")
    assert page.locator("[open]").count() == 0
    page.evaluate("document.querySelector('.sd-dropdown').open = true")
    page.evaluate("for (const one of ['before', 'after']) dispatchEvent(new Event(`${one}print`))")
    assert page.locator("[open]").count() == 1  # the reader's own


OLD = """delete Element.prototype.ariaLabel;
    const all = Document.prototype.querySelectorAll;
    Document.prototype.querySelectorAll = function (selector) {
        if (selector.includes(":has")) throw new SyntaxError(selector);
        return all.call(this, selector);
    };"""


@pytest.mark.parametrize("features", ["", OLD])
def test_the_button_of_a_solution_is_named_after_it(house, shown, features):
    title = '<p class="admonition-title">Solution to\n <a href="#e">Exercise 1</a></p>'
    late = """document.addEventListener("DOMContentLoaded", () => document.querySelector(".admonition-title")
        .insertAdjacentHTML("beforeend", "<button class='toggle-button' aria-label='Toggle'> <svg></svg> </button>"))"""
    script = f"{features};{(STYLE / 'book.js').read_text()}{late}"
    page = shown(f'<article class="bd-article">{title}</article>', script)
    assert page.get_by_role("button", name="Show or hide: Solution to Exercise 1", exact=True).count() == 1


def test_a_walk_by_keyboard_sees_that_what_came_late_has_no_ring(tmp_path):
    late = "onfocus=\"document.querySelector('div').tabIndex = 0\""
    (tmp_path / "page.html").write_text(
        f"<style>div, i {{ outline: none }}</style><button {late}>First</button><div>Late</div>"
        '<i tabindex="0">Never</i>'
        '<button onfocus="this.blur = () => {}">Last</button>'
    )
    walk = browser.walked(tmp_path, ["page.html"])["page.html"]
    assert walk == (["BUTTON First", "DIV Late", "I Never", "BUTTON Last"], ["DIV Late", "I Never"], True)


def test_no_rule_is_lost_with_a_selector_that_not_every_browser_knows():
    """A browser drops a whole rule for one selector of its list."""
    css = re.sub(r"/\*.*?\*/", "", (STYLE / "book.css").read_text(), flags=re.DOTALL)
    lists = [re.sub(r"(?<!:has)\([^()]*\)", "", rule) for rule in re.findall(r"[^{}]*:has\([^{}]*(?=\{)", css)]
    assert lists
    assert [one.strip() for one in lists if len({":has(" in part for part in one.split(",")}) > 1] == []


def place(page):
    return page.eval_on_selector(".pags-step", "step => step.style.backgroundPositionY")


def test_the_walk_moves_until_it_is_stopped_and_not_for_those_who_want_no_motion(house, shown):
    walk, script = (paths.ROOT / "book" / "walk.html").read_text(), (STYLE / "walk.js").read_text()
    still = shown(walk, script)
    before = place(still)
    still.wait_for_timeout(400)
    assert place(still) == before
    still.focus("#pags-walk")
    still.keyboard.press("ArrowRight")
    assert place(still) != before
    assert "% of the way" in still.get_attribute("#pags-walk", "aria-valuetext")
    moving = shown(walk, script, motion="no-preference")
    before = place(moving)
    moving.wait_for_function("at => document.querySelector('.pags-step').style.backgroundPositionY !== at", arg=before)
    moving.get_by_role("button", name="Pause").click()
    before = place(moving)
    moving.wait_for_timeout(400)
    assert place(moving) == before
    assert not shown(walk, "", scripts=False).locator(".pags-walk-hand").is_visible()
