"""What the pages say of the whole book: what it found, in sentences made of the runs, and how to cite it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from pags import PRESETS, paths
from pags.book import chapters, dress, scoreboard
from pags.book.claims import Verdict
from pags.book.page import filled

# A chapter, and what it found in one sentence, true whatever the numbers are.
FOUND = (
    (
        "03_tangent_fractions",
        "Project a network's input gradient onto the directions that lead to other images: "
        "**{fraction.gradient:percent, interval}** of its length is left, where chance would leave "
        "{fraction.random:percent}. Of two smaller networks that of an adversarial training keeps "
        "{fraction.adversary:percent}, its twin {fraction.no-adversary:percent}. A random step in those directions, "
        "which knows nothing of the network, has {fraction.tangent-random:percent}.",
    ),
    (
        "04_off_manifold_robustness",
        "A step across the manifold changes the output of an untouched network "
        "**{change.off.standard/change.on.standard:multiple}** as much as an equal step along it. Adversarial "
        "training, as strong as accuracy allows, leaves {fall.off.pgd:rest, interval} of the change across and "
        "{fall.on.pgd:rest, interval} of that along.",
    ),
    (
        "05_blockmnist",
        "Beside a block that says nothing about the class, **{highlighted.lenet.standard:percent, interval}** of the "
        "brightest pixels of a small convolutional network's gradient lie in that block, and "
        "{highlighted.lenet.robust:percent, interval} after adversarial training; of a ResNet18's "
        "{highlighted.resnet.standard:percent, interval} and {highlighted.resnet.robust:percent, interval}.",
    ),
)


def substitutions(found: Sequence[Mapping[str, Any]], verdicts: Iterable[Verdict], settings: Mapping) -> dict[str, str]:
    """What `{{ name }}` stands for in the pages written by hand, as Markdown."""
    return {
        "found": findings(found) or "Nothing has been run yet.",
        "verdicts": scoreboard.summary(verdicts),
        "bibtex_book": code(entry_of_book(settings)),
        "bibtex_chapters": code("\n\n".join(entry_of_chapter(name, settings) for name in chapters.names())),
    }


def findings(found: Sequence[Mapping[str, Any]]) -> str:
    """A list: a sentence for each chapter of FOUND, by its largest run that has measured what the sentence names."""
    lines = []
    for chapter, sentence in FOUND:
        runs = sorted((one for one in found if one["chapter"] == chapter), key=lambda one: PRESETS.index(one["preset"]))
        for run in reversed(runs):
            if text := filled(sentence, run["metrics"]):
                data = ", ".join(map(scoreboard.data_word, run["parameters"]["data"] or run["data"]))
                where = f"chapter {chapters.number(chapter)}, on {data} at preset {run['preset']}"
                lines.append(f"- {text} [{where}](chapters/{chapter})")
                break
    return "\n".join(lines)


def code(text: str) -> str:
    """The text as a block of BibTeX."""
    return f"```bibtex\n{text}\n```"


def entry_of_book(settings: Mapping[str, Any]) -> str:
    """The book as a BibTeX entry: title and author of `_config.yml`, version of CITATION.cff."""
    version = yaml.safe_load((paths.ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"]
    return _entry("misc", "pags", {"title": settings["title"]} | _common(settings) | {"version": version})


def entry_of_chapter(chapter: str, settings: Mapping[str, Any]) -> str:
    """One chapter as a BibTeX entry."""
    (_, line) = dress.title(chapters.read(chapter))
    fields = {"title": line[1], "booktitle": settings["title"], "chapter": chapters.number(chapter)}
    return _entry("incollection", f"pags-{chapters.number(chapter)}", fields | _common(settings))


def _common(settings: Mapping[str, Any]) -> dict[str, str]:
    url = (settings.get("repository") or {}).get("url")
    year = str(settings["copyright"]).partition(",")[0]
    return {"author": f"{{{settings['author']}}}", "year": year} | ({"url": url} if url else {})


def _entry(kind: str, key: str, fields: Mapping[str, str]) -> str:
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}}}"
