"""Artifacts travel: what arrives is what was made, whole, and nothing else gets in."""

import importlib
import io
import tarfile
from dataclasses import dataclass

import pytest
import torch

from pags import archive, artifacts
from pags.book import cli
from pags.errors import PagsError, UsageError


@dataclass(frozen=True)
class Config:
    size: int


def draw(config, *, seed, device, checkpoint):
    return {"x": torch.randn(config.size, generator=torch.Generator().manual_seed(seed))}, {"size": config.size}


def never(config, *, seed, device, checkpoint):
    raise AssertionError("made again")


@pytest.fixture
def made(tmp_path):
    """A directory with one small artifact and one large."""
    for size in (4, 4000):
        artifacts.cached(draw, Config(size), seed=0, directory=tmp_path / "here")
    return tmp_path / "here"


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.suffix != ".lock")


def test_what_was_made_here_is_found_there(made, tmp_path, monkeypatch):
    there = tmp_path / "there"
    assert archive.pack(tmp_path / "all.tar", directory=made) == 2
    assert archive.unpack(tmp_path / "all.tar", directory=there) == (2, 0)
    expected = artifacts.cached(draw, Config(4), seed=0, directory=made)
    monkeypatch.setattr(never, "__name__", "draw")
    monkeypatch.setattr(never, "__qualname__", "draw")
    found = artifacts.cached(never, Config(4), seed=0, directory=there)
    assert found.fingerprint == expected.fingerprint
    assert torch.equal(found.tensors["x"], expected.tensors["x"])
    assert archive.unpack(tmp_path / "all.tar", directory=there) == (0, 2)


def test_measures_travel_without_weights(made, tmp_path):
    assert archive.pack(tmp_path / "small.tar", largest=5000, directory=made) == 1
    assert archive.unpack(tmp_path / "small.tar", directory=tmp_path / "there") == (1, 0)
    assert (tmp_path / "there" / names(tmp_path / "there")[0]).stat().st_size <= 5000


def test_nets_by_which_is_measured_travel_whatever_their_size(made, tmp_path, monkeypatch):
    for name in archive.NEEDED:
        module, _, function = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), function))
    monkeypatch.setattr(archive, "NEEDED", {f"{__name__}.draw"})
    assert archive.pack(tmp_path / "all.tar", largest=10, directory=made) == 2


def test_a_damaged_artifact_stays_behind(made, tmp_path, capsys):
    first = made / names(made)[0]
    first.write_bytes(first.read_bytes()[:-3])
    assert archive.pack(tmp_path / "all.tar", directory=made) == 1
    assert f"{first} is damaged: left out" in capsys.readouterr().err


def test_a_large_one_that_is_damaged_is_named_too(made, tmp_path, capsys):
    large = max(made.glob("*.safetensors"), key=lambda path: path.stat().st_size)
    large.write_bytes(large.read_bytes()[:20])
    assert archive.pack(tmp_path / "all.tar", largest=5000, directory=made) == 1
    assert f"{large} is damaged: left out" in capsys.readouterr().err


@pytest.mark.parametrize("limit", [None, 10])
def test_nothing_to_pack_is_said(made, tmp_path, limit):
    directory = made if limit else tmp_path / "empty"
    said = "all 2 artifacts in .* are larger than 10 bytes: allow more" if limit else "run a chapter first"
    with pytest.raises(PagsError, match=said):
        archive.pack(tmp_path / "all.tar", largest=limit, directory=directory)
    assert not (tmp_path / "all.tar").exists()


def tarred(path, *members):
    """A tar file of these (name, content)."""
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["../draw-00000000000000000000.safetensors", "notes.txt", "/etc/passwd", "a/b"])
def test_only_artifacts_get_in_and_the_others_arrive(made, tmp_path, name):
    good = made / names(made)[0]
    path = tarred(tmp_path / "bad.tar", (name, b"x"), (good.name, good.read_bytes()))
    with pytest.raises(PagsError, match="1 of its files are no whole artifacts"):
        archive.unpack(path, directory=tmp_path / "deep" / "there")
    assert names(tmp_path / "deep" / "there") == [good.name]
    assert names(tmp_path / "deep") == ["there"]


def test_an_artifact_under_a_wrong_name_or_with_other_content_is_refused(made, tmp_path):
    good = (made / names(made)[0]).read_bytes()
    members = ("draw-00000000000000000000.safetensors", good), (names(made)[1], good)
    with pytest.raises(PagsError, match="2 of its files"):
        archive.unpack(tarred(tmp_path / "bad.tar", *members), directory=tmp_path / "there")
    assert names(tmp_path / "there") == []


def test_a_file_that_was_cut_off_or_is_none_is_said(made, tmp_path):
    archive.pack(tmp_path / "all.tar", directory=made)
    content = (tmp_path / "all.tar").read_bytes()
    for wrong in (content[:700], b"no archive"):
        (tmp_path / "cut.tar").write_bytes(wrong)
        with pytest.raises(PagsError, match="no tar file, or was cut off"):
            archive.unpack(tmp_path / "cut.tar", directory=tmp_path / "there")
    with pytest.raises(PagsError, match="does not exist"):
        archive.unpack(tmp_path / "none.tar", directory=tmp_path / "there")


def test_a_file_that_is_no_archive_is_not_replaced_and_an_earlier_one_is(made, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    with pytest.raises(UsageError, match="holds no packed artifacts: name another file"):
        archive.pack(notes, directory=made)
    assert notes.read_text() == "mine"
    assert [archive.pack(tmp_path / "a.tar", directory=made) for _ in range(2)] == [2, 2]


def test_the_commands_say_how_many(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(archive.paths, "ARTIFACTS", made)
    with pytest.raises(SystemExit) as left:
        cli.main(["artifacts", "pack", str(tmp_path / "all.tar")])
    assert (left.value.code, capsys.readouterr().out) == (0, f"{tmp_path / 'all.tar'}: 2 artifacts\n")
    monkeypatch.setattr(archive.paths, "ARTIFACTS", tmp_path / "there")
    with pytest.raises(SystemExit) as left:
        cli.main(["artifacts", "unpack", str(tmp_path / "all.tar")])
    assert (left.value.code, capsys.readouterr().out) == (0, "2 artifacts are new, 0 were there\n")
