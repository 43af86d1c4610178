"""Artifacts: made once, found again, keyed by all that can change them, and never read half."""

import errno
import multiprocessing
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError

from pags import artifacts, progress
from pags.artifacts import CPU, Artifact, Checkpoint, cached
from pags.errors import PagsError

EPOCHS = 5


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1


@dataclass(frozen=True)
class Config:
    size: int = 4
    shape: tuple[int, ...] = (2, 3)
    inner: Inner = field(default_factory=Inner)


def draw(config, *inputs, seed, device, checkpoint):
    """A maker that keeps count of its calls in a file beside the artifact."""
    with checkpoint.path.with_suffix(".calls").open("a") as calls:
        calls.write("made\n")
    if lines := os.environ.get("TOY_UNTIL"):
        wait_for("waiting", Path(lines))
    return {"x": torch.randn(config.size, generator=torch.Generator().manual_seed(seed))}, {"loss": [1.5, None]}


def wait_for(word, path):
    until = time.monotonic() + 30
    while not (path.exists() and word in path.read_text()):
        assert time.monotonic() < until
        time.sleep(0.02)


def calls(directory):
    return sum(len(file.read_text().splitlines()) for file in directory.glob("*.calls"))


def walk(config, *, seed, device, checkpoint):
    """A training of EPOCHS epochs, each with its own seed; it kills its process before epoch TOY_KILL."""
    state = checkpoint.load() or {"epoch": 0, "x": torch.zeros(config.size)}
    begun_at = state["epoch"]
    for epoch in range(begun_at, EPOCHS):
        if str(epoch) == os.environ.get("TOY_KILL"):
            os.kill(os.getpid(), signal.SIGKILL)
        generator = torch.Generator().manual_seed(100 * seed + epoch)
        state = {"epoch": epoch + 1, "x": 0.9 * state["x"] + torch.randn(config.size, generator=generator)}
        checkpoint.save(state, force=True)
    return {"x": state["x"]}, {"begun_at": begun_at}


def spawn(target, *args, **environment):
    """Start a real second process with these variables in its environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, str(value))
        process = multiprocessing.get_context("spawn").Process(target=target, args=args)
        process.start()
    return process


def exit_code(process):
    process.join(60)
    return process.exitcode


def child_draw(directory):
    cached(draw, Config(), seed=0, directory=directory)


def child_walk(directory):
    cached(walk, Config(), seed=0, directory=directory)


def child_killed_while_writing(directory):
    def half(tensors, path, metadata):
        Path(path).write_bytes(b"half a file")
        os.kill(os.getpid(), signal.SIGKILL)

    artifacts.save_file = half
    cached(draw, Config(), seed=0, directory=directory)


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(progress, "say", lines.append)
    return lines


def only(directory, pattern="*.safetensors"):
    (path,) = directory.glob(pattern)
    return path


# Found again


def test_made_once_and_equal_from_then_on(tmp_path):
    first = cached(draw, Config(), seed=0, directory=tmp_path)
    second = cached(draw, Config(), seed=0, directory=tmp_path)
    assert calls(tmp_path) == 1
    assert torch.equal(first.tensors["x"], second.tensors["x"])
    assert first.info == second.info == {"loss": [1.5, None]}
    assert first.fingerprint == second.fingerprint
    assert only(tmp_path).name == f"draw-{first.fingerprint[:20]}.safetensors"


def test_a_full_cache_is_read_without_a_lock_or_a_write(tmp_path):
    cached(draw, Config(), seed=0, directory=tmp_path)
    for leftover in tmp_path.glob("*.lock"):
        leftover.unlink()
    cached(draw, Config(), seed=0, directory=tmp_path)
    assert not list(tmp_path.glob("*.lock"))


def test_default_directory_is_the_build(tmp_path, monkeypatch):
    monkeypatch.setattr(artifacts.paths, "ARTIFACTS", tmp_path / "build" / "artifacts")
    cached(draw, Config(), seed=0)
    assert only(tmp_path / "build" / "artifacts")


def test_a_hit_may_be_changed_without_changing_the_file(tmp_path):
    for _ in range(2):
        found = cached(draw, Config(), seed=0, directory=tmp_path).tensors["x"]
        kept = found.clone()
        found.zero_()
    assert torch.equal(cached(draw, Config(), seed=0, directory=tmp_path).tensors["x"], kept)


# The key


def key(directory, *inputs, config=None, seed=0, make=draw, device=CPU):
    return cached(make, config or Config(), *inputs, seed=seed, device=device, directory=directory).fingerprint


def test_everything_that_can_change_it_is_in_the_key(tmp_path):
    one, other = (Artifact({}, {}, name * 64) for name in "ab")
    keys = [
        key(tmp_path),
        key(tmp_path, config=Config(size=5)),
        key(tmp_path, config=Config(inner=Inner(rate=0.2))),
        key(tmp_path, seed=1),
        key(tmp_path, make=walk),
        key(tmp_path, one),
        key(tmp_path, other),
        key(tmp_path, one, other),
        key(tmp_path, other, one),
        key(tmp_path, device="meta"),
    ]
    assert len(set(keys)) == len(keys)


SOURCES = {
    "pags.make": 'import torch\nfrom pags import nets, artifacts, data, errors\ndef make(): "Doc."; return nets',
    "pags.nets": "from .attack import pgd\nclass Net:\n    '''A net.'''\n    depth = 3\n",
    "pags.attack": "def pgd(x):\n    import pags.stats\n    return x + 1\n",
    "pags.stats": "ONE = 1\n",
    "pags.plot": "from pags import make\nCOLOUR = 'red'\n",
    "pags.artifacts": "",
    "pags.data": "from pags import stats\nSIZE = 32\n",
    "pags.errors": "class PagsError(Exception): pass\n",
}


@pytest.mark.parametrize("module", ["pags.make", "pags.nets", "pags.attack", "pags.stats"])
def test_changed_code_anywhere_below_the_maker_is_a_new_key(module):
    changed = SOURCES | {module: SOURCES[module] + "\nTWO = 2\n"}
    assert artifacts.source_hash("pags.make", changed) != artifacts.source_hash("pags.make", SOURCES)


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("pags.make", '"Doc."', '"Better words."'),
        ("pags.nets", "'''A net.'''", "'''A network.'''"),
        ("pags.nets", "depth = 3", "depth = 3  # as in the paper"),
        ("pags.attack", "def pgd(x):\n", "\n\ndef pgd(x):\n    '''One step.'''\n\n"),
        ("pags.plot", "red", "blue"),
        ("pags.errors", "pass", "'''In words.'''; status = 1"),
        ("pags.data", "32", "28"),
    ],
)
def test_words_and_plots_and_what_loads_data_are_not_in_the_key(module, old, new):
    changed = SOURCES | {module: SOURCES[module].replace(old, new)}
    assert changed != SOURCES
    assert artifacts.source_hash("pags.make", changed) == artifacts.source_hash("pags.make", SOURCES)


def test_the_real_package_is_read():
    sources = artifacts.sources("pags")
    assert "pags.artifacts" in sources
    assert "pags.__init__" not in sources
    assert len(artifacts._own_source("pags.paths", "cpu")) == 64


def test_what_cannot_be_keyed_is_refused(tmp_path):
    with pytest.raises(TypeError, match="top of a module"):
        cached(lambda *_, **__: ({}, {}), Config(), seed=0, directory=tmp_path)
    with pytest.raises(TypeError, match="is a dict, it must be a dataclass"):
        cached(draw, {"size": 4}, seed=0, directory=tmp_path)


# Damage


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:5]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff" * 100),
        lambda path: flip(path, -1),
        lambda path: flip(path, 0),
    ],
    ids=["truncated", "truncated header", "empty", "noise", "last byte", "first byte"],
)
def test_a_damaged_file_is_made_again_and_said(tmp_path, said, damage):
    first = cached(draw, Config(), seed=0, directory=tmp_path)
    damage(only(tmp_path))
    again = cached(draw, Config(), seed=0, directory=tmp_path)
    assert torch.equal(first.tensors["x"], again.tensors["x"])
    assert calls(tmp_path) == 2
    assert said == [f"{only(tmp_path).name} is damaged: making it again"]


def test_no_altered_byte_reaches_the_caller(tmp_path, said):
    first = cached(draw, Config(), seed=0, directory=tmp_path)
    path = only(tmp_path)
    content = path.read_bytes()
    for position in range(0, len(content), 5):
        path.write_bytes(content)
        flip(path, position)
        found = artifacts._read(path, first.fingerprint)
        assert found is None or (torch.equal(found.tensors["x"], first.tensors["x"]) and found.info == first.info)


def test_another_artifact_under_the_same_name_is_not_taken(tmp_path, said):
    cached(draw, Config(), seed=0, directory=tmp_path)
    other = only(tmp_path).read_bytes()
    second = cached(draw, Config(), seed=1, directory=tmp_path)
    path = tmp_path / f"draw-{second.fingerprint[:20]}.safetensors"
    path.write_bytes(other)
    assert torch.equal(cached(draw, Config(), seed=1, directory=tmp_path).tensors["x"], second.tensors["x"])


# Kill -9


def test_a_training_killed_between_epochs_resumes_and_equals_an_uninterrupted_one(tmp_path):
    assert exit_code(spawn(child_walk, tmp_path, TOY_KILL=3)) == -signal.SIGKILL
    assert not list(tmp_path.glob("*.safetensors"))
    resumed = cached(walk, Config(), seed=0, directory=tmp_path)
    whole = cached(walk, Config(), seed=0, directory=tmp_path / "other")
    assert (resumed.info, whole.info) == ({"begun_at": 3}, {"begun_at": 0})
    assert torch.equal(resumed.tensors["x"], whole.tensors["x"])
    assert not list(tmp_path.glob("*.checkpoint"))


def test_a_process_killed_while_writing_leaves_nothing_that_is_read(tmp_path):
    assert exit_code(spawn(child_killed_while_writing, tmp_path)) == -signal.SIGKILL
    assert only(tmp_path, "*.tmp").read_bytes() == b"half a file"
    assert not list(tmp_path.glob("*.safetensors"))
    cached(draw, Config(), seed=0, directory=tmp_path)
    assert calls(tmp_path) == 2
    assert not list(tmp_path.glob("*.tmp"))


def test_leftovers_of_other_artifacts_go_but_not_those_of_a_living_writer(tmp_path):
    dead, living = tmp_path / "train-dead.safetensors.1.tmp", tmp_path / "train-living.checkpoint.2.tmp"
    dead.touch()
    living.touch()
    with artifacts.FileLock(tmp_path / "train-living.lock"):
        cached(draw, Config(), seed=0, directory=tmp_path)
    assert not dead.exists()
    assert living.exists()


# Two at once


def test_two_processes_at_once_make_it_once(tmp_path):
    lines = tmp_path / "lines"  # the maker goes on when the other process has said that it waits
    both = [spawn(child_draw, tmp_path, PAGS_PROGRESS=lines, TOY_UNTIL=lines) for _ in range(2)]
    assert [exit_code(process) for process in both] == [0, 0]
    assert calls(tmp_path) == 1
    assert lines.read_text() == f"another process is making {only(tmp_path).name}: waiting for it\n"


# A full disk


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "full"), SafetensorError("I/O error: No space left on device (os error 28)")],
    ids=["system", "safetensors"],
)
def test_a_full_disk_is_one_line_and_leaves_no_partial_file(tmp_path, monkeypatch, error):
    def save(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise error

    monkeypatch.setattr(artifacts, "save_file", save)
    with pytest.raises(PagsError, match="No space left on device; free some space") as caught:
        cached(draw, Config(), seed=0, directory=tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*.tmp")) + list(tmp_path.glob("*.safetensors"))


@pytest.fixture
def small_disk(tmp_path):
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], capture_output=True)
    if done.returncode:
        pytest.skip("only root can mount a small disk")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_really_full_disk(small_disk):
    with pytest.raises(PagsError, match="No space left on device"):
        cached(draw, Config(size=100_000), seed=0, directory=small_disk)
    with pytest.raises(PagsError, match="No space left on device"):
        Checkpoint(small_disk / "x.checkpoint").save({"x": torch.zeros(100_000)}, force=True)
    assert not list(small_disk.glob("*.tmp")) + list(small_disk.glob("*.safetensors"))
    cached(draw, Config(size=10), seed=0, directory=small_disk)


def test_a_failed_write_keeps_the_checkpoint_for_the_next_run(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(artifacts, "save_file", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        with pytest.raises(PagsError):
            cached(walk, Config(), seed=0, directory=tmp_path)
    assert cached(walk, Config(), seed=0, directory=tmp_path).info == {"begun_at": EPOCHS}


# What is stored


def views(config, *, seed, device, checkpoint):
    x = torch.arange(12.0).reshape(3, 4).requires_grad_()
    return {"x": x, "again": x, "turned": x.T, "row": x[1], "every second": x[:, ::2]}, {}


def test_shared_and_strided_tensors_keep_their_values_and_get_memory_of_their_own(tmp_path):
    found = cached(views, Config(), seed=0, directory=tmp_path).tensors
    x = torch.arange(12.0).reshape(3, 4)
    expected = {"x": x, "again": x, "turned": x.T, "row": x[1], "every second": x[:, ::2]}
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    found["x"].zero_()
    assert torch.equal(found["again"], x)
    assert not any(tensor.requires_grad for tensor in found.values())


TYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)


@settings(max_examples=30, deadline=None)
@given(
    shapes=st.dictionaries(st.text(max_size=5), st.lists(st.integers(0, 3), max_size=3), max_size=3),
    dtype=st.sampled_from(TYPES),
    info=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.floats(allow_nan=False)),
)
def test_any_tensors_come_back_as_they_were(tmp_path_factory, shapes, dtype, info):
    tensors = {name: torch.randn(shape).to(dtype) for name, shape in shapes.items()}
    path = tmp_path_factory.mktemp("any") / "any.safetensors"
    artifacts._write(path, tensors, info, {})
    found = artifacts._read(path, artifacts._hash({}))
    assert found.tensors.keys() == tensors.keys()
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in tensors.items())
    assert all(found.tensors[name].dtype == dtype for name in tensors)
    assert found.info == info


# Checkpoints


def test_a_checkpoint_comes_back_until_it_is_cleared(tmp_path):
    checkpoint = Checkpoint(tmp_path / "x.checkpoint")
    assert checkpoint.load() is None
    checkpoint.save({"epoch": 3, "net": {"w": torch.ones(2)}, "history": [0.5]}, force=True)
    state = Checkpoint(tmp_path / "x.checkpoint").load()
    assert (state["epoch"], state["history"], state["net"]["w"].tolist()) == (3, [0.5], [1.0, 1.0])
    checkpoint.clear()
    checkpoint.clear()
    assert checkpoint.load() is None


def test_a_checkpoint_is_saved_at_most_every_so_often(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(artifacts.time, "monotonic", lambda: clock[0])
    checkpoint = Checkpoint(tmp_path / "x.checkpoint", every=20)
    for clock[0], kept in [(19, None), (20, 20), (39, 20), (40, 40)]:
        checkpoint.save({"at": clock[0]})
        assert (checkpoint.load() or {}).get("at") == kept


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: b"", lambda content: content[:20]])
def test_a_damaged_checkpoint_is_dropped_and_said(tmp_path, said, damage):
    checkpoint = Checkpoint(tmp_path / "x.checkpoint")
    checkpoint.save({"epoch": 3}, force=True)
    checkpoint.path.write_bytes(damage(checkpoint.path.read_bytes()))
    assert checkpoint.load() is None
    assert not checkpoint.path.exists()
    assert said == ["x.checkpoint is damaged: starting from the beginning"]


def test_an_altered_byte_in_a_checkpoint_is_noticed(tmp_path, said):
    checkpoint = Checkpoint(tmp_path / "x.checkpoint")
    checkpoint.save({"x": torch.zeros(50)}, force=True)
    flip(checkpoint.path, len(checkpoint.path.read_bytes()) // 2)
    assert checkpoint.load() is None


# What it cost


def busy(config, *, seed, device, checkpoint):
    """Takes `config.rate` seconds of a processor, and within them makes another artifact if `config.rate` is large."""
    until = time.process_time() + config.rate
    while time.process_time() < until:
        pass
    if config.rate > 0.3:
        cached(busy, Inner(0.3), seed=seed, directory=checkpoint.path.parent)
    return {"x": torch.zeros(1)}, {}


def test_an_artifact_knows_what_it_took_to_make_it_without_what_was_made_on_the_way(tmp_path):
    cached(busy, Inner(0.5), seed=0, directory=tmp_path)
    inner, outer = sorted(artifacts.seconds(path) for path in tmp_path.glob("*.safetensors"))
    assert 0.3 <= inner < 0.45
    assert 0.5 <= outer < 0.7  # the two together are 0.8


def test_what_is_no_artifact_took_no_time(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"no")
    assert artifacts.seconds(tmp_path / "a.safetensors") == artifacts.seconds(tmp_path / "b.safetensors") == 0
