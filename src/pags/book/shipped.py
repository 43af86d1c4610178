"""Scripts for browsers that Python packages ship: they are found, never imported, and copied beside the pages."""

import importlib.util
import shutil
from collections.abc import Iterable
from pathlib import Path

from pags.errors import PagsError

REVEAL = ("dist/reset.css", "dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js")


def mathjax(target: Path, names: Iterable[str]) -> None:
    """Copy files and folders of MathJax 3 to below `target`; PagsError where it is not installed."""
    _copy(
        _installed("mathjax", "django-static-mathjax") / "static" / "mathjax" / "es5",
        {name: name for name in names},
        target,
    )


def reveal(target: Path) -> None:
    """Copy what a deck needs of reveal.js into `target`, without folders; PagsError where it is not installed."""
    flat = {name: name.rsplit("/", 1)[-1] for name in REVEAL}
    _copy(_installed("sphinx_revealjs", "sphinx-revealjs") / "_static" / "revealjs", flat, target)


def _installed(module: str, package: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise PagsError(f"{package} is not installed: pip install -c constraints.txt {package}")
    return Path(next(iter(spec.submodule_search_locations)))


def _copy(source: Path, names: dict[str, str], target: Path) -> None:
    """Copy each file or folder below `source` to its name below `target`."""
    for name, new in names.items():
        (target / new).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (source / name).is_dir() else shutil.copyfile
        copy(source / name, target / new)
