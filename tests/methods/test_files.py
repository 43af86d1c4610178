"""Where things lie and how they are written: paths as the user means them, files whole and with the user's mode."""

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from pags import files, paths
from pags.errors import UsageError


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600), (0o000, 0o666)])
def test_who_may_read_a_file_is_what_the_umask_says(tmp_path, umask, mode):
    """Some writers make private files, that of safetensors among them."""
    before = os.umask(umask)
    try:
        files.write_atomically(tmp_path / "a", lambda path: save_file({"x": torch.zeros(2)}, path))
        files.write_atomically(tmp_path / "b", lambda path: path.write_text("x"))
    finally:
        os.umask(before)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in "ab"} == {mode}


def test_a_path_is_meant_from_where_the_command_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert paths.given("sets") == tmp_path / "sets"
    assert paths.given("../x") == tmp_path.parent / "x"
    assert paths.given("~") == tmp_path / "home"
    assert paths.given("~/sets") == tmp_path / "home" / "sets"
    assert paths.given(tmp_path / "y") == tmp_path / "y"
    with pytest.raises(UsageError, match="~nobody-of-this-name"):
        paths.given("~nobody-of-this-name/x")


def test_the_variables_are_meant_in_the_same_way(tmp_path):
    environment = os.environ | {"HOME": str(tmp_path), "PAGS_DATA": "sets", "PAGS_BUILD": "~/made"}
    told = subprocess.run(
        [sys.executable, "-c", "from pags import paths; print(paths.DATA, paths.ARTIFACTS)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == [str(tmp_path / "sets"), str(tmp_path / "made" / "artifacts")]


def test_a_first_filling_that_was_killed_is_in_nobodys_way(tmp_path):
    left = tmp_path / "out" / f"{files.MAKING}killed"
    left.mkdir(parents=True)
    for text in ("one", "two"):
        with files.filling(tmp_path / "out", "mark", "course") as work:
            (work / "mark").write_text(text)
        assert (tmp_path / "out" / "mark").read_text() == text
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "letter").touch()
    with (
        pytest.raises(UsageError, match="is not empty and holds no course"),
        files.filling(tmp_path / "theirs", "mark", "course"),
    ):
        pass
