"""Which files a chapter reads at its settings, so that a run that lacks some is refused before it begins."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pags import data, paths, presets
from pags.book import chapters
from pags.errors import PagsError, UsageError
from pags.presets.blockmnist import BlockMnist
from pags.presets.diffroar import Roar
from pags.presets.exact_score import KnownScore
from pags.presets.fractions import Fractions
from pags.presets.generation import Generation
from pags.presets.off_manifold import OffManifold


def required(config: Any) -> list[str]:
    """The names in `data.names` of the data sets and weights that a chapter with these settings cannot do without."""
    found: list[str] = []
    match config:
        case Generation() | Fractions():
            found = [config.manifold.data] + ["btcvae"] * (config.manifold.data == "mnist")
            found += config.others if isinstance(config, Fractions) else ()
        case OffManifold():
            images = config.manifold.data if config.images == "generated" else config.images
            found = [images, config.distractor] + ["alexnet"] * config.lpips
        case BlockMnist():
            found = [config.data, config.null_data]
        case Roar():
            found = [config.manifold.data, config.images, config.colour]
        case KnownScore():
            found = [config.data]
    return [name for name in dict.fromkeys(found) if name != "strokes"]


def check(wanted: Iterable[tuple[str, str, dict[str, Any], Path | None]]) -> None:
    """PagsError, in one line, if a chapter (name, preset, overrides, data directory) reads what is not there.

    UsageError for a name that no data set can have.
    """
    lacking: dict[str, list[str]] = {}
    directory = paths.DATA
    for chapter, preset, overrides, place in wanted:
        names, directory = required(presets.get(chapter, preset, overrides)), place or paths.DATA
        if not names:
            continue
        try:
            there = data.names(directory)
        except UsageError:  # no such directory yet
            there = {}
        for name in names:
            if name not in data.WEIGHTS:
                data.checked_name(name)
            if not there.get(name):
                lacking.setdefault(name, []).append(chapters.number(chapter))
    if not lacking:
        return
    said = ", ".join(f"{name} (chapter {' and '.join(numbers)})" for name, numbers in lacking.items())
    fetched = " && ".join(data.fetch_command(name, directory) for name in lacking if name in data.FETCHABLE)
    put = [f"{name} (as {name}.npz, say)" for name in lacking if name not in data.FETCHABLE]
    ways = ([f"run: {fetched}"] if fetched else []) + ([f"put there: {', '.join(put)}"] if put else [])
    raise PagsError(f"{directory} lacks {said}; {'; '.join([*ways, 'or name another directory by --data-dir'])}")
