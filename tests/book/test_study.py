"""The user study: its page in a browser, by keyboard and mouse, and what is made of a class's files."""

import base64
import csv
import re

import browser
import numpy as np
import pytest

from pags.book import cli, study
from pags.errors import PagsError, UsageError


def person(name, generator, *, favour=0.8, undecided=0.1, check="passed", label="0123456789ab"):
    """The rows of one person who prefers B with a probability of the person's own."""
    rows = []
    for key, task in study.TASKS.items():
        own = generator.beta(6 * favour, 6 * (1 - favour))
        for trial, pair in enumerate(generator.permutation(task.pairs)[: task.decisions], 1):
            left = generator.choice(["A", "B"])
            choice = "undecided" if generator.random() < undecided else "B" if generator.random() < own else "A"
            answer = "similar" if choice == "undecided" else "left" if choice == left else "right"
            rows.append([label, name, 7, key, trial, "decision", pair, left, answer, choice, 0.3, 0.4, 900])
        rows.append([label, name, 7, key, task.decisions + 1, "check", 0, "A", "left", check, 0.3, 0.4, 900])
    return rows


def save(path, rows, head=study.COLUMNS):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


@pytest.fixture
def thirty(tmp_path):
    """Files of a class of thirty."""
    g = np.random.default_rng(0)
    return [save(tmp_path / f"{i:02}.csv", person(f"p{i}", g)) for i in range(30)]


def test_a_class_of_thirty_is_pooled_and_its_intervals_respect_persons(thirty):
    people = [study.read(path) for path in thirty]
    for key, task in study.TASKS.items():
        found = study.pooled(people, key)
        assert found.persons == 30
        assert found.a + found.b + found.undecided == 30 * task.decisions
        assert found.low < 0.8 < found.high
        assert found.low < found.share < found.high
        assert 0.05 < found.correlation < 0.35  # a person's own share is beta(4.8, 1.2): 1 / 7
        naive = study.clustered([(found.a, found.b)], 0)
        assert found.high - found.low > 1.2 * (naive[2] - naive[1])
        assert found.of_answers < found.of_persons < 0.01
        assert (found.fraction_a, found.fraction_b) == pytest.approx((0.3, 0.4))


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of many classes whose people differ, nearly 95 % of the intervals hold the true share; the naive ones fewer."""
    g, hits, naive = np.random.default_rng(1), 0, 0
    for _ in range(400):
        b = g.binomial(20, g.beta(4.2, 1.8, size=30))
        decided = [(20 - int(n), int(n)) for n in b]
        for rho in (study.correlation(decided), 0.0):
            _, low, high = study.clustered(decided, rho)
            hits, naive = (hits + (low < 0.7 < high), naive) if rho else (hits, naive + (low < 0.7 < high))
    assert 0.92 < hits / 400 < 0.98
    assert naive / 400 < 0.85


def test_a_correlation_without_an_estimate_counts_persons_not_answers():
    assert study.correlation([(0, 20)] * 30) is None
    assert study.correlation([(3, 4)]) is None
    _, low, _ = study.clustered([(0, 20)] * 30, 1.0)
    assert low == pytest.approx(study.clustered([(0, 1)] * 30, 0.0)[1])


def test_the_table_stands_beside_theirs(thirty):
    text = study.analyse(thirty)
    assert text.startswith("30 persons\n")
    for line in (
        "task 1, here",
        "Bordt et al., CIFAR 1  300  36   217  47",
        "Bordt et al., MNIST 1  600  0    580  20",
        "task 3, here",
        "Task 1 (A: gradient, B: Input x Gradient): B was preferred in ",
        "decided answers, more often than by a coin.",
    ):
        assert line in text
    assert "left out" not in text
    assert "CIFAR 1, here" not in text
    assert "almost nothing" not in text


@pytest.mark.parametrize(
    ("favour", "fractions", "words"),
    [
        (0.8, (0.30, 0.32), "The fractions differ by 0.02: the hypothesis predicts almost nothing here."),
        (0.8, (0.5, 0.3), "A has the larger fraction: the hypothesis predicts A."),
        (0.2, (0.3, 0.4), "decided answers, less often than by a coin."),
        (0.5, (0.3, 0.4), "decided answers, as often as a coin might: its interval holds 0.5."),
    ],
)
def test_a_sentence_says_what_a_class_preferred_and_what_the_hypothesis_had_to_say(favour, fractions, words):
    g = np.random.default_rng(3)
    people = [
        [dict(zip(study.COLUMNS, map(str, row), strict=True)) for row in person(i, g, favour=favour)] for i in range(30)
    ]
    for rows in people:
        for row in rows:
            row["fraction_a"], row["fraction_b"] = map(str, fractions)
    assert study.sentence("methods", people).endswith(words)
    for rows in people:
        for row in rows:
            row["choice"] = "undecided"
    assert study.sentence("parts", people).endswith("nobody preferred one of them in 600 decisions.")


def test_who_cannot_have_looked_is_left_out_by_a_rule(thirty, tmp_path):
    """52 times Left within 110 ms passes two lines for attention that both ask for Left."""
    rows = person("quick", np.random.default_rng(7))
    quick = save(tmp_path / "quick.csv", [[*row[:-1], 80] for row in rows])
    lefts = [row if row[5] == "check" else [*row[:8], "left", row[7], *row[10:]] for row in rows]
    one_side = save(tmp_path / "side.csv", lefts)
    similar = [
        row if row[5] == "check" else [*row[:8], "similar", "undecided", *row[10:]]
        for row in person("s", np.random.default_rng(8))
    ]
    text = study.analyse([*thirty, quick, one_side, save(tmp_path / "similar.csv", similar)])
    assert text.startswith("31 persons\n")
    assert "2 left out:" in text
    assert "quick.csv: 50 of 50 decisions took less than 400 ms, in which nobody has looked" in text
    assert "side.csv: all 50 decisions are for the left image, whichever stood there" in text
    for time, name in (("soon", "soon"), ("9" * 5000, "99999")):
        rows[0][-1] = time
        with pytest.raises(study.UnusableError, match=f"line 2: the time '{name}.*' is no whole number"):
            study.read(save(tmp_path / "soon.csv", rows))


@pytest.mark.parametrize(("quick", "counts"), [(24, True), (25, False), (26, False)])
def test_half_of_the_decisions_may_not_be_quicker_than_a_look(tmp_path, quick, counts):
    rows = person("p", np.random.default_rng(7))
    decided = [row for row in rows if row[5] == "decision"]
    for row in decided[:quick]:
        row[-1] = study.QUICKEST - 1
    for row in decided[quick:]:
        row[-1] = study.QUICKEST
    assert (study.careless(study.read(save(tmp_path / "p.csv", rows))) is None) == counts


def test_which_version_counts_is_decided_by_persons(thirty, tmp_path):
    old = person("old", np.random.default_rng(3), label="ffffffffffff")
    copies = [save(tmp_path / f"old{n}.csv", old) for n in range(3)]
    text = study.analyse([*copies, *thirty[:2]])
    assert text.startswith("2 persons\n")
    assert "old0.csv: its pictures are those of another version" in text
    with pytest.raises(PagsError, match=r"as many saw one version .*old0.csv and .*00.csv: analyse them apart"):
        study.analyse([*copies, thirty[0]])


def test_a_folder_s_files_are_read_whatever_the_case_of_their_ending(thirty, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "A.CSV").write_bytes(thirty[0].read_bytes())
    assert study.analyse([tmp_path / "in"]).startswith("1 person\n")


def test_a_folder_a_pattern_and_a_spreadsheet_s_table_are_read(thirty, tmp_path):
    folder = thirty[0].parent
    assert study.analyse([folder]) == study.analyse(thirty) == study.analyse([folder / "*.csv", thirty[3]])
    assert study.analyse(thirty[:1]).startswith("1 person\n")
    table = [[cell.replace(".", ",") for cell in row] for row in [study.COLUMNS, *study_rows(thirty[0])]]
    path = tmp_path / "sheet" / "resaved.csv"
    path.parent.mkdir()
    path.write_text("".join(";".join(row) + "\r\n" for row in table) + ";;\r\n", encoding="utf-8-sig")
    assert study.read(path) == study.read(thirty[0])
    (tmp_path / "empty").mkdir()
    with pytest.raises(PagsError) as refused:
        study.analyse([tmp_path / "empty", tmp_path / "none" / "*.csv"])
    assert "empty: there is no CSV file in this folder" in str(refused.value)
    assert "*.csv: no file has a name like this" in str(refused.value)


def test_damaged_and_foreign_files_are_named_and_left_out(thirty, tmp_path):
    g = np.random.default_rng(5)
    rows = person("bad", g)
    changed = [list(row) for row in rows]
    changed[3][9] = "C"
    swapped = [list(row) for row in rows]
    swapped[2][7] = "A" if swapped[2][7] == "B" else "B"
    swapped[2][8], swapped[2][9] = "left", "B" if swapped[2][7] == "A" else "A"
    files = {
        "foreign.csv": (save(tmp_path / "foreign.csv", [], ["name", "mark"]), "first line"),
        "short.csv": (save(tmp_path / "short.csv", rows[:-3]), "decisions instead of 20"),
        "torn.csv": (save(tmp_path / "torn.csv", [*rows[:4], rows[4][:5]]), "line 6 has 5 cells"),
        "choice.csv": (save(tmp_path / "choice.csv", changed), "'C' is none of"),
        "swapped.csv": (save(tmp_path / "swapped.csv", swapped), "is not the choice"),
        "asleep.csv": (save(tmp_path / "asleep.csv", person("z", g, check="failed")), "attention check was failed"),
        "other.csv": (save(tmp_path / "other.csv", person("y", g, label="ffffffffffff")), "another version"),
        "twice.csv": (save(tmp_path / "twice.csv", study_rows(thirty[0])), "read already"),
        "empty.csv": (save(tmp_path / "empty.csv", []), "no answers"),
        "mixed.csv": (save(tmp_path / "mixed.csv", rows + person("x", g)), "several persons"),
        "gone.csv": (tmp_path / "gone.csv", "no such file"),
        "endless.csv": (save(tmp_path / "endless.csv", [[140_000 * "x"]]), "cannot be read as a table"),
    }
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    files["bytes.csv"] = (tmp_path / "bytes.csv", "cannot be read as text")
    text = study.analyse([*thirty, *(path for path, _ in files.values())])
    assert text.startswith("30 persons\n")
    assert f"{len(files)} left out:" in text
    for name, (_, reason) in files.items():
        (line,) = [line for line in text.splitlines() if f"/{name}:" in line]
        assert reason in line
    with pytest.raises(PagsError, match="no file has answers"):
        study.analyse([path for path, _ in files.values() if path.name in ("gone.csv", "foreign.csv")])


def test_a_table_with_the_line_ends_of_an_old_macintosh_is_read(thirty, tmp_path):
    path = tmp_path / "old.csv"
    path.write_bytes(thirty[0].read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r"))
    assert study.read(path) == study.read(thirty[0])


def test_another_page_is_not_replaced(tmp_path):
    (tmp_path / "index.html").write_text("<title>mine</title>")
    with pytest.raises(UsageError, match="is another page: name a new directory"):
        study.write(tmp_path)
    assert (tmp_path / "index.html").read_text() == "<title>mine</title>"


def study_rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]


def test_the_command_says_the_table_and_exits_with_one_where_there_is_nothing(thirty, tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["study", "analyse", *map(str, thirty)])
    assert left.value.code == 0
    assert "30 persons" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        cli.main(["study", "analyse", str(tmp_path / "nothing.csv")])
    assert left.value.code == 1
    assert "nothing.csv: there is no such file" in capsys.readouterr().err


# The page


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page, made with a net of its own."""
    from pags import paths

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "ARTIFACTS", tmp_path_factory.mktemp("artifacts"))
        return study.write(tmp_path_factory.mktemp("study")), study.stimuli()


def test_the_pairs_are_as_many_as_theirs_and_b_has_the_larger_fraction_where_that_is_the_task(page):
    _, content = page
    assert [(len(task["pairs"]), task["decisions"]) for task in content["tasks"]] == [(15, 10), (100, 20), (200, 20)]
    _, parts, methods = (task["pairs"] for task in content["tasks"])
    assert all(pair[2:] == [0, 1] for pair in parts)
    assert all(a <= b for _, _, a, b in methods)
    assert len({tuple(pair[:2]) for pair in parts}) == 100
    assert all(len(base64.b64decode(one)) == 32 * 32 for one in content["maps"])


def took_part(chromium, path, seed, tmp_path):
    """The CSV of somebody who answers by keyboard, and what the page complained about."""
    context = chromium.new_context(viewport=browser.PHONE, accept_downloads=True)
    context.route(re.compile("^https?:"), lambda route: route.abort())
    sheet, errors = context.new_page(), []
    sheet.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    sheet.on("pageerror", lambda error: errors.append(str(error)))
    sheet.goto(f"{path.as_uri()}?seed={seed}")
    assert sheet.is_disabled("#begin")
    sheet.keyboard.press("ArrowLeft")  # no answer before the consent
    sheet.check("#agree")
    sheet.click("#begin")
    n = 0
    while sheet.is_hidden("#end"):
        if sheet.is_visible("#overview"):
            sheet.keyboard.press("Enter")
            continue
        asked = re.search("answer “(Left|Right)”", sheet.inner_text("#question"))
        word = asked[1] if asked else ("Left", "Down", "Right")[n % 3]
        if n % 2:
            sheet.keyboard.press(f"Arrow{word}")
        else:
            sheet.click(f"[data-answer={'similar' if word == 'Down' else word.lower()}]")
        n += 1
    asked_to_stay = []
    sheet.on("dialog", lambda dialog: asked_to_stay.append(dialog.type) or dialog.dismiss())
    sheet.close(run_before_unload=True)
    sheet.wait_for_timeout(200)
    assert asked_to_stay == ["beforeunload"]
    with sheet.expect_download() as download:
        sheet.click("#download")
    name = download.value.suggested_filename
    download.value.save_as(tmp_path / name)
    sheet.click("#copy")
    sheet.wait_for_function("document.getElementById('copied').textContent !== ''")
    assert sheet.input_value("#text") == (tmp_path / name).read_text()
    assert sheet.inner_text("#copied") == "The answers are copied: paste all of them."
    sheet.close(run_before_unload=True)  # saved: nobody is asked
    assert asked_to_stay == ["beforeunload"]
    context.close()
    return tmp_path / name, errors


def test_one_can_take_part_by_keyboard_and_mouse_and_the_seed_orders_everything(page, tmp_path):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.chromium(), args=browser.FLAGS)
        taken = [took_part(chromium, page[0], seed, tmp_path) for seed in (7, 7, 8)]
        chromium.close()
    assert [errors for _, errors in taken] == [[]] * 3
    rows = [study.read(path) for path, _ in taken]
    orders = [[(row["task"], row["pair"], row["left"], row["kind"]) for row in one] for one in rows]
    assert orders[0] == orders[1] != orders[2]
    assert len({one[0]["person"] for one in rows}) == 3
    assert [len([row for row in one if row["kind"] == "check"]) for one in rows] == [2, 2, 2]
    asked = [{row["answer"] for row in one if row["kind"] == "check"} for one in rows]
    assert asked == [{"left", "right"}] * 3
    with pytest.raises(PagsError, match="nobody has looked"):
        study.analyse([path for path, _ in taken])  # a script's answers take no time
    slow = [save(path, [[*row[:-1], 900] for row in study_rows(path)]) for path, _ in taken]
    assert study.analyse(slow).startswith("3 persons")


def test_the_page_is_clean(page):
    assert browser.complaints(page[0].parent, ["index.html"]) == []
