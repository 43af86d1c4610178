"""How `pags` speaks: plain lines in a log, one line rewritten in place in a terminal."""

import io
import os
import re
import subprocess
import sys
import time

import pytest

from pags.book import scoreboard, terminal


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_verdicts_can_be_read_in_every_encoding(encoding):
    code = "from pags.book import cli; cli.main(['claims'])"
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    said = done.stdout.decode("utf-8" if encoding == "ascii" else encoding)  # click makes utf-8 of ascii
    assert ("+ reproduced" in said) == (encoding == "cp1252")
    assert ("✓ reproduced" in said) == (encoding != "cp1252")


def test_a_sign_that_cannot_be_written_has_a_plain_one_and_none_looks_undecided(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", out)
    terminal.speak_plainly()
    print("✓ ◐ ✗ ≁ – × é α", end="")
    out.flush()
    assert out.buffer.getvalue().decode("cp1252") == r"+ ~ x !~ – × é \u03b1"
    plain = [terminal.PLAIN.get(sign, sign) for sign in scoreboard.SYMBOLS.values()]
    assert len(set(plain)) == len(scoreboard.SYMBOLS)
    assert "".join(plain).isascii()


def test_a_log_gets_plain_lines(capsys):
    terminal.tell("one")
    terminal.tell("two", passing=True)
    assert capsys.readouterr().err == "one\ntwo\n"


def test_a_terminal_gets_passing_lines_in_place_and_cut_to_its_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys, "stderr", Terminal())
    terminal.tell("a long line that passes", passing=True)
    terminal.tell("a long line that stays here")
    assert sys.stderr.getvalue() == "\r\x1b[2Ka long line that pa\r\x1b[2Ka long line that stays here\n"


def test_lines_of_a_file_are_told_as_they_come_and_to_the_last(tmp_path, capsys):
    path = tmp_path / "progress.txt"
    path.touch()
    with terminal.following(path, "03_x") as at, path.open("a") as file:
        at("cell 1/2")
        file.write("first\n")
        file.flush()
        time.sleep(0.8)
        assert capsys.readouterr().err == "03_x  cell 1/2  first\n"
        at("cell 2/2")
        file.write("last\n")
    assert capsys.readouterr().err == "03_x  cell 2/2  last\n"


def test_a_silent_chapter_says_where_it_is(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(terminal, "QUIET", 0.2)
    path = tmp_path / "progress.txt"
    path.touch()
    with terminal.following(path, "03_x") as at:
        at("cell 5/9")
        time.sleep(0.8)
    assert re.fullmatch(r"03_x  cell 5/9  \d s", capsys.readouterr().err.splitlines()[0])
