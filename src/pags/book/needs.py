"""Which files a chapter reads at its settings, so that a run that lacks some is refused before it begins."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pags import data, paths, presets
from pags.errors import PagsError, UsageError
from pags.presets.blockmnist import BlockMnist
from pags.presets.diffroar import Roar
from pags.presets.exact_score import KnownScore
from pags.presets.fractions import Fractions
from pags.presets.generation import Generation
from pags.presets.off_manifold import OffManifold


def read(config: Any) -> list[str]:
    """Data sets and weights, by their names in `data.names`, that a chapter with these settings cannot do without."""
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
    """PagsError, in one line, if a chapter (name, preset, overrides, data directory) reads what is not there."""
    lacking: dict[str, list[str]] = {}
    directory = paths.DATA
    for chapter, preset, overrides, place in wanted:
        names, directory = read(presets.get(chapter, preset, overrides)), place or paths.DATA
        if not names:
            continue
        try:
            there = data.names(directory)
        except UsageError:  # no such directory yet
            there = {}
        for name in names:
            if not there.get(name) and data.NAME.fullmatch(name):  # of a name that cannot be, the chapter says so
                lacking.setdefault(name, []).append(chapter.partition("_")[0])
    if not lacking:
        return
    said = ", ".join(f"{name} (chapter {' and '.join(chapters)})" for name, chapters in lacking.items())
    fetched = " && ".join(f"pags data fetch {name}" for name in lacking if name in data.FETCHABLE)
    put = [name for name in lacking if name not in data.FETCHABLE]
    ways = ([f"run: {fetched}"] if fetched else []) + ([f"put there: {', '.join(put)}.npz"] if put else [])
    raise PagsError(f"{directory} lacks {said}; {'; '.join([*ways, 'or name another directory by --data-dir'])}")
