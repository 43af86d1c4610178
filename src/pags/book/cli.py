"""The command `pags`: run chapters, build the pages, show what was found. Exit status 2 is bad input, 1 a failure."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import click
import yaml

from pags import LARGEST_SEED, paths, preset_named
from pags.book import terminal
from pags.errors import PagsError, UsageError

SEED = click.IntRange(0, LARGEST_SEED)
FILE = click.Path(dir_okay=False, path_type=Path)
DATA_DIR = click.option("--data-dir", metavar="D", help="Directory with the data sets (default: data/).")


@click.group()
def command() -> None:
    """When do input gradients mean something? Run the book's chapters, build its pages, look at its results."""


@command.command()
@click.argument("chapters", nargs=-1, metavar="[CHAPTER]...")
@click.option("--preset", default="quick", show_default=True, help="quick, standard, gpu or paper.")
@click.option("--seed", default=0, show_default=True, type=SEED, help="Seed of everything random.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@DATA_DIR
@click.option("-p", "pairs", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter or a field of the preset.")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1), help="How many chapters at once.")
@click.option(
    "--scheduler", metavar="ADDRESS", envvar="PAGS_SCHEDULER", help="Train on the workers of this Dask scheduler."
)
def run(chapters, preset, seed, device, data_dir, pairs, jobs, scheduler) -> None:
    """Run chapters (all, if none is named) through papermill into build/executed/<preset>.

    A CHAPTER is a number, a name, or the beginning of one. -p may be repeated: `-p explain 500 -p seeds 2`. A run
    with changed fields goes to build/changed and takes no other's place. At gpu and paper an estimate of the time on
    one H100 is printed first.
    """
    from pags.book import chapters as texts

    paths.need_chapters()
    options = merge({"preset": preset, "seed": seed, "device": device, "data_dir": data_dir}, pairs)
    preset_named(options["preset"])  # what needs no torch, which takes seconds to load, is checked before it
    for word in chapters:
        texts.find(word)
    from pags.book import estimate, needs, runner

    planned = runner.plan(chapters, **options)
    settings = [(job.chapter, job.preset, job.parameters.get("overrides", {})) for job in planned]
    needs.check((*one, job.data_dir) for one, job in zip(settings, planned, strict=True))
    for said in estimate.lines(settings):
        terminal.tell(said)
    if failures := runner.run(planned, at_once=jobs, scheduler=scheduler):
        raise PagsError("\n".join(failures))


def merge(options: dict, pairs: tuple[tuple[str, str], ...]) -> dict:
    """The options of `run` with every -p NAME VALUE put where it belongs: a parameter of chapters, or an override."""
    overrides: dict[str, Any] = {}
    for name, text in pairs:
        value = parsed(name, text)
        if name == "overrides":
            overrides |= expect(name, value, dict)
        elif name == "seed":
            options = options | {name: expect(name, value, int)}
        elif name in options:
            options = options | {name: expect(name, value, str)}
        else:
            overrides[name] = value
    return options | {"overrides": overrides}


class Core(yaml.SafeLoader):
    """YAML 1.2's core schema, where 1e-3 is a number, 010 is ten, and 1:30, yes and dates are texts."""

    yaml_implicit_resolvers: ClassVar[dict] = {}  # none of YAML 1.1's


for name, pattern, read in (
    ("null", r"~|null|Null|NULL|", lambda text: None),
    ("bool", r"true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true"),
    ("int", r"[-+]?[0-9]+", int),
    ("base", r"0o[0-7]+|0x[0-9a-fA-F]+", lambda text: int(text, 0)),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", float),
    ("infinite", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", lambda text: float(text.replace(".", ""))),
):
    Core.add_implicit_resolver(f"!{name}", re.compile(f"^(?:{pattern})$"), None)
    Core.add_constructor(f"!{name}", lambda loader, node, read=read: read(node.value))


def parsed(name: str, text: str) -> object:
    """The value that `text` means in YAML."""
    try:
        return yaml.load(text, Core)
    except Exception:  # besides its own errors, those of tags: !!bool x
        raise UsageError(f"-p {name} {text!r}: the value is not valid YAML; quote it if it is a text") from None


def expect(name: str, value: object, kind: type) -> Any:
    """The value, if it is of this kind (True is no number here)."""
    if type(value) is not kind:
        raise UsageError(f"-p {name} {value!r}: write a value of type {kind.__name__}, not {type(value).__name__}")
    return value


@command.command()
@click.option(
    "--preset",
    default="quick",
    show_default=True,
    help="Show the chapters as executed at this preset, or at the best of each.",
)
@click.option("--release", is_flag=True, help="Refuse pages that earlier code made.")
@click.option("--changed", is_flag=True, help="Show runs with changed fields (-p) where there are such.")
@click.option("--pdf", is_flag=True, help="Print every page, too; needs a Chromium.")
@click.option(
    "--edition",
    default="reader",
    show_default=True,
    help="reader (solutions folded), student (no solutions; build/student) or teacher (open; build/teacher).",
)
def build(preset, release, changed, pdf, edition) -> None:
    """Build build/html from the executed chapters; warnings are errors, and a broken build leaves the old book."""
    from pags.book import build, editions

    paths.need_chapters()
    click.echo(build.build(preset, release=release, changed=changed, pdf=pdf, edition=editions.named(edition)))


@command.command()
@click.argument("directory")
@click.option(
    "--preset", default="best", show_default=True, help="Of the slides: best (each chapter's largest run) or a preset."
)
def course(directory, preset) -> None:
    """Write what a class needs: student and teacher notebooks, the package, slides and the user study."""
    from pags.book import course

    paths.need_chapters()
    click.echo(course.write(paths.given(directory), preset))


@command.command()
@click.argument("directory")
@click.option("--preset", default="best", show_default=True, help="best (each chapter's largest run) or a preset.")
def slides(directory, preset) -> None:
    """Write a deck of slides a chapter, with all that they load."""
    from pags.book import slides

    paths.need_chapters()
    click.echo(slides.write(paths.given(directory), preset) / "index.html")


@command.group()
def study() -> None:
    """The user study: its page, and what a class has answered."""


@study.command("page")
@click.argument("directory")
def study_page(directory) -> None:
    """Write the page to take part in: index.html, which needs no network."""
    from pags.book import study

    click.echo(study.write(paths.given(directory)))


@study.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def analyse(files) -> None:
    """Pool the CSV files of a class beside B's Table 1; files that cannot be used are named and left out.

    A folder stands for the CSV files in it.
    """
    from pags.book import study

    click.echo(study.analyse(files))


@command.command()
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--out", required=True, help="Directory to write two figures and their numbers to.")
@click.option("--images", default=200, show_default=True, type=click.IntRange(8), help="Test images to measure at.")
@click.option("--size", default=224, show_default=True, type=click.IntRange(32), help="Pixels a side for the networks.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@DATA_DIR
def checkpoints(name, files, out, images, size, device, data_dir) -> None:
    """Hold robust checkpoints of rising budget against the score of the data set NAME (A's Figures 3 and 10)."""
    from pags.book import checkpoints, results

    where = {"data_dir": data_dir, "device": results.device_named(device)}
    click.echo(checkpoints.draw(name, files, paths.given(out), size=size, n=images, **where))


@command.command()
def status() -> None:
    """What was executed when, at which preset, and with which verdicts."""
    from pags.book import status as executed

    paths.need_chapters()
    click.echo(executed.table())


@command.command()
def claims() -> None:
    """The papers' claims and what the results here say about each."""
    from pags.book import scoreboard

    paths.need_chapters()
    click.echo(scoreboard.report())


@command.command()
@click.argument("before", required=False, type=click.Path(path_type=Path))
@click.argument("after", required=False, type=click.Path(path_type=Path))
@click.option("--preset", default="quick", show_default=True, help="Whose runs, where no folder is named.")
@click.option("--exact", is_flag=True, help="Every number that is not equal to the bit counts, and is shown.")
def compare(before, after, preset, exact) -> None:
    """Hold the runs made here against the published ones, or any two results files or folders of them.

    A number is shown where both intervals lie apart, a verdict where it is another. Exit status 1 if there is one, or
    something is missing.
    """
    from pags.book import compare

    preset_named(preset)
    before = paths.given(before) if before else paths.PUBLISHED / preset
    after = paths.given(after) if after else paths.RESULTS / preset
    found = compare.compare(before, after, exact=exact)
    click.echo("\n".join(found.lines))
    if not found.reproduced:
        raise SystemExit(1)


@command.group()
def data() -> None:
    """The data sets: what there is, fetch one, check what lies in the data directory, export BlockMNIST."""


@data.command("list")
@DATA_DIR
def list_(data_dir) -> None:
    """Every data set by name, and whether its files are there; what they hold, `check` says."""
    from pags import data as sets

    for name, there in sets.names(data_dir).items():
        click.echo(f"{name:<16}{'here' if there else f'missing: {sets.fetch_command(name, data_dir)}'}")
    for line in sets.unread(data_dir):
        click.echo(line)


@data.command()
@click.argument("name")
@DATA_DIR
def fetch(name, data_dir) -> None:
    """Download a data set or weights, checksums verified; what is damaged is replaced."""
    from pags import data as sets

    click.echo(sets.fetch(name, data_dir))


@data.command()
@click.argument("name", required=False)
@DATA_DIR
def check(name, data_dir) -> None:
    """Read a data set (all in the data directory, if none is named) and say what is in it."""
    from pags import data as sets

    there = {} if name else sets.names(data_dir)
    complaints = [] if name else sets.unread(data_dir)
    for found in [name] if name else [known for known in there if there[known]]:
        try:
            for line in sets.described(found, data_dir):
                click.echo(f"{found:<16}{line}")
        except PagsError as error:  # the others are read all the same
            complaints.append(str(error))
    if complaints:
        raise PagsError("\n".join(complaints))


@data.command()
@click.argument("name", metavar="NAME", type=click.Choice(["blockmnist"]))
@click.option("--out", required=True, help="Directory to write to.")
@click.option("--signal", default="mnist", show_default=True, help="Data set of the signal blocks.")
@click.option("--null", default="patch", show_default=True, help="The null block: patch, or a data set.")
@click.option("--classes", default="0,1", show_default=True, help="Classes of the signal, separated by commas.")
@click.option("--blocks", default=2, show_default=True, type=int, help="Blocks in an image.")
@click.option(
    "--p-top",
    default=0.5,
    show_default=True,
    help="Probability that the signal is on top: 1 for Top, 1/B for B equal places.",
)
@click.option("--train", default=0, type=click.IntRange(0), help="Training images (default: all there are).")
@click.option("--test", default=0, type=click.IntRange(0), help="Test images (default: all there are).")
@click.option("--seed", default=0, show_default=True, type=SEED, help="Seed of everything random.")
@DATA_DIR
def export(name, out, classes, data_dir, **settings) -> None:
    """Write a made data set with its masks as npz, and a description as json: pags data export blockmnist --out D."""
    from pags import blocks

    try:
        numbers = tuple(int(word) for word in classes.split(","))
    except ValueError:
        raise UsageError(f"--classes {classes!r}: write whole numbers separated by commas, like 0,1") from None
    click.echo(blocks.export(blocks.Settings(classes=numbers, **settings), paths.given(out), data_dir))


@command.group("artifacts")
def archives() -> None:
    """Carry trained models and measures to another machine, whose runs then find them."""


@archives.command()
@click.argument("file", type=FILE)
@click.option(
    "--largest",
    type=click.IntRange(1),
    metavar="BYTES",
    help="Leave out what is larger (default: nothing), but never generators, autoencoders and denoisers.",
)
def pack(file, largest) -> None:
    """Write what lies in build/artifacts into one tar file."""
    from pags import archive

    click.echo(f"{file}: {archive.pack(file, largest=largest)} artifacts")


@archives.command()
@click.argument("file", type=FILE)
def unpack(file) -> None:
    """Put the artifacts of such a file into build/artifacts; one that is there stays."""
    from pags import archive

    new, there = archive.unpack(file)
    click.echo(f"{new} artifacts are new, {there} were there")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command and leave with its exit status."""
    terminal.speak_plainly()
    sys.exit(guarded(lambda: command.main(args=arguments, prog_name="pags", standalone_mode=False)))


def in_a_line(error: click.ClickException) -> str:
    """What click says, and the command that says what to write instead."""
    context = getattr(error, "ctx", None)
    return f"{error.format_message()} See: {context.command_path if context else 'pags'} --help"


def guarded(call: Callable[[], object]) -> int:
    """The exit status of `call`; every refusal and failure is told without a traceback, unless PAGS_DEBUG is set."""
    try:
        call()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except (UsageError, PagsError, click.ClickException, OSError) as error:
        if os.environ.get("PAGS_DEBUG"):
            raise
        click.echo(f"pags: {in_a_line(error) if isinstance(error, click.ClickException) else error}", err=True)
        return 2 if isinstance(error, UsageError | click.ClickException) else 1
    except (KeyboardInterrupt, click.Abort):
        click.echo("pags: interrupted", err=True)
        sys.stderr.flush()
        os._exit(130)  # not by way of the worker threads, which wait for their chapters; kernels end with their parent
    return 0
