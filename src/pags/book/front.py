"""What the pages say of the whole book: what it found, in sentences made of the runs, and how to cite it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from pags import PRESETS, paths
from pags.book import chapters, dress, scoreboard
from pags.book.claims import Verdict
from pags.book.page import filled

# A chapter; what it found, a question and its answer, true whatever the numbers are, of metrics and of numbers among
# the settings ("setting.share"); the setting that names its data.
FOUND = (
    (
        "03_tangent_fractions",
        "**How much of an input gradient points to other possible images?** {fraction.gradient:percent, interval} of "
        "its length; a random direction has {fraction.random:percent}. (Bordt et al. found 31 % on MNIST.) Training "
        "against an adversary brings a smaller network to {fraction.adversary:percent}, the same training without the "
        "adversary to {fraction.no-adversary:percent}. But a random step among possible images has "
        "{fraction.tangent-random:percent}, and explains nothing.",
        "data",
    ),
    (
        "04_off_manifold_robustness",
        "**Does robust training act only on directions that lead out of the possible images?** A step in these changes "
        "the output of an ordinary network {change.off.standard/change.on.standard:multiple} as much as an equal step "
        "among the images. (In Srinivas et al., on CIFAR-10, it changes it more.) Adversarial training, as strong as "
        "accuracy allows, leaves {fall.off.pgd:rest, interval} of the change by the step out, and "
        "{fall.on.pgd:rest, interval} of that by the step among the images.",
        "data",
    ),
    (
        "05_blockmnist",
        "**Does a gradient point at what decides?** Of two blocks in an image one says nothing about the class: a "
        "blind guess puts half of the brightest pixels there. A perceptron's gradient has "
        "{highlighted.mlp.standard:percent, interval} of them there, after adversarial training "
        "{highlighted.mlp.robust:percent, interval}; a ResNet18's {highlighted.resnet.standard:percent, interval} and "
        "{highlighted.resnet.robust:percent, interval}. (Shah et al. show much there before, nothing after.)",
        "data",
    ),
    (
        "06_diffroar",
        "**Does what is bright matter?** Train again on the brightest pixels of a gradient, and on the darkest: the "
        "difference in accuracy is {diffroar.mean.standard:points, interval} points for a standard perceptron, and "
        "{difference.robust-standard:points, interval} points more for robust ones. The *places* of the standard one's "
        "brightest {setting.share:percent}, without any pixel, teach a network "
        "{outline.standard.top.outline:percent, interval} accuracy, as many places drawn at random "
        "{outline.random.top.outline:percent, interval}; with the pixels the brightest give "
        "{outline.standard.top.black:percent, interval}.",
        "images",
    ),
)


def substitutions(found: Sequence[Mapping[str, Any]], verdicts: Iterable[Verdict], settings: Mapping) -> dict[str, str]:
    """What `{{ name }}` stands for in the pages written by hand, as Markdown."""
    return {
        "found": findings(found) or "Nothing has been run yet.",
        "runs": several(found),
        "verdicts": scoreboard.summary(verdicts),
        "bibtex_book": code(entry_of_book(settings)),
        "bibtex_chapters": code("\n\n".join(entry_of_chapter(name, settings) for name in chapters.names())),
    }


def findings(found: Sequence[Mapping[str, Any]]) -> str:
    """A list: a sentence for each chapter of FOUND, by its largest run that has measured what the sentence names."""
    lines = []
    for chapter, sentence, field in FOUND:
        runs = sorted((one for one in found if one["chapter"] == chapter), key=lambda one: PRESETS.index(one["preset"]))
        for run in reversed(runs):
            config = run["parameters"]["config"]
            settings = {f"setting.{name}": {"value": value, "low": None} for name, value in config.items()}
            if text := filled(sentence, settings | run["metrics"]):
                chosen = config.get(field) or run["parameters"]["data"] or sorted(run["data"])
                data = ", ".join(map(scoreboard.data_word, [chosen] if isinstance(chosen, str) else chosen))
                where = f"chapter {chapters.number(chapter)}, on {data} at preset {run['preset']}"
                lines.append(f"- {text} [{where}](chapters/{chapter})")
                break
    return "\n".join(lines)


def several(found: Sequence[Mapping[str, Any]]) -> str:
    """Where there are runs of several presets, which of them the findings are of."""
    if len({run["preset"] for run in found}) < 2:
        return ""
    return (
        "Each answer is of the largest run; a chapter's page may show a smaller one, as the box under its title says. "
    )


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
