"""What tests share: a house in small, with chapters and a book of its own, and slow tests at the end."""

import dataclasses
import os
import shutil
from pathlib import Path

import hypothesis
import pytest

from pags.errors import UsageError

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side, and torch would start a thread for every core

# No deadline, because a busy machine is slow; the same examples every time, because a red test must be one's own doing.
hypothesis.settings.register_profile("house", deadline=None, derandomize=True)
hypothesis.settings.load_profile("house")

FIXTURES = Path(__file__).parent / "fixtures"


def pytest_collection_modifyitems(items):
    """Fast tests first, those of the whole book last; the order within a group stays."""
    items.sort(key=lambda item: [item.get_closest_marker(name) is not None for name in ("book", "slow")])


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the small chapters have for a preset."""

    epochs: int = 1


def settings(chapter, preset, overrides):
    """In place of `presets.get`."""
    if unknown := set(overrides) - {"epochs"}:
        raise UsageError(f"{unknown}: write epochs")
    return Settings(**overrides)


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A checkout in small under a temporary directory: chapters 01 to 03, a book, an empty build directory."""
    from pags import paths, presets

    for name in ("notebooks", "book"):
        shutil.copytree(FIXTURES / name, tmp_path / name)
        monkeypatch.setattr(paths, name.upper(), tmp_path / name)
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(paths, "PUBLISHED", tmp_path / "published")
    for name in ("ARTIFACTS", "EXECUTED", "RESULTS", "CHANGED", "FAILED", "SEEDS", "HTML"):
        monkeypatch.setattr(paths, name, tmp_path / "build" / name.lower())
    monkeypatch.setattr(presets, "get", settings)
    return tmp_path


@pytest.fixture(scope="session")
def real_data():
    """The directory with real data sets that PAGS_TEST_DATA names; without it the test is left out, and says so."""
    if not os.environ.get("PAGS_TEST_DATA"):
        pytest.skip("PAGS_TEST_DATA names no directory with real data")
    return Path(os.environ["PAGS_TEST_DATA"])
