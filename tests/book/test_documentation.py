"""Every command of README.md and of the pages on running: run as written in a clean copy, or followed to its start."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from pags import artifacts, data, paths, sweep
from pags.book import build, chapters, cli, results, runner

PAGES = [paths.ROOT / "README.md"]
PAGES += [paths.ROOT / "book" / f"{name}.md" for name in ("how_to_run", "run_further", "how_to_teach")]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:pags|make|pip|python|conda|papermill|jupytext|jupyter|dask|source) [^`]+)`")


def blocks(language):
    """The code blocks in this language."""
    return [text for page in PAGES for kind, text in FENCE.findall(page.read_text()) if kind == language]


def written():
    """Every command, without what the shell takes for a comment, as one would write it."""
    lines = [line for text in blocks("bash") for line in text.splitlines()]
    lines += [line for page in PAGES for line in INLINE.findall(FENCE.sub("", page.read_text()))]
    return {shlex.join(words) for line in lines if (words := shlex.split(line, comments=True))}


# A copy of what is in git, with an environment of its own


class Copy:
    """A directory with the files of the repository and `.venv`, and nothing of this user's."""

    def __init__(self, folder):
        self.root, home = folder / "copy", folder / "home"
        listed = subprocess.run(["git", "-C", paths.ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True)
        for name in filter(None, listed.stdout.split("\0")):
            if (paths.ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(paths.ROOT / name, self.root / name)
        home.mkdir()
        here = str(Path(sys.executable).parent)
        others = [place for place in os.environ["PATH"].split(os.pathsep) if place != here]
        self.environment = {"PATH": os.pathsep.join(others), "HOME": str(home), "LANG": "C.UTF-8"}
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.root / ".venv"], check=True)
        self._lend(folder / "packages")

    def _lend(self, packages):
        """Let the new environment import what this one has installed, but not pags, and have its commands."""
        packages.mkdir()
        for path in Path(np.__file__).parents[1].iterdir():
            if not path.name.startswith(("pags", "__editable__")):
                (packages / path.name).symlink_to(path)
        (place,) = (self.root / ".venv" / "lib").glob("python*/site-packages")
        (place / "lent.pth").write_text(str(packages))
        for point in entry_points(group="console_scripts"):
            if point.name in ("pip", "jupytext", "papermill", "dask"):
                script = self.root / ".venv" / "bin" / point.name
                code = f"import sys\nfrom {point.module} import {point.attr}\nsys.exit({point.attr}())\n"
                script.write_text(f"#!{self.root}/.venv/bin/python\n{code}")
                script.chmod(0o755)

    def run(self, command):
        """What the command says in bash, in the active environment; it must succeed."""
        words = ["bash", "-euo", "pipefail", "-c", f"source .venv/bin/activate; {command}"]
        done = subprocess.run(words, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


JUPYTER = "pip install --constraint constraints.txt --editable '.[jupyter]'"
PACK = "pags artifacts pack measures.tar --largest 2000000"
INSTALL = "pip install --constraint constraints.txt --editable '.[cluster]'"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The copy, pags installed as the page on clusters says, but from what is here: no network, no other package."""
    copy = Copy(tmp_path_factory.mktemp("clean"))
    copy.run(f"{INSTALL} --quiet --no-deps --no-build-isolation --no-index")
    return copy


# How far each command is followed


def installs(copy, command):
    """The chapters are there, and it is this copy that works."""
    assert copy.run("pags status").count("published") >= 10
    assert copy.run('python -c "import pags.paths; print(pags.paths.ROOT)"').strip() == str(copy.root)


def runs(copy, command):
    """As written."""
    copy.run(command)


def lists_data(copy, command):
    """As written; a copy has no data yet."""
    assert "mnist           missing: pags data fetch mnist" in copy.run(command)


def would_run(copy, command):
    """make says what it would do."""
    assert "setup" in copy.run(f"{command} --dry-run --always-make")


def cleans(copy, command):
    """As written; nothing that was made is left."""
    (copy.root / "build" / "artifacts").mkdir(parents=True, exist_ok=True)
    copy.run(command)
    assert not (copy.root / "build").exists()


def compares(copy, command):
    """As written, of a file with itself, or of a copy whose published runs are those made here."""
    same = "published/quick/07_exact_score.json"
    if "BEFORE" not in command:
        shutil.copytree(copy.root / "published" / "quick", copy.root / "build" / "results" / "quick")
    out = copy.run(command.replace("BEFORE", same).replace("AFTER", same))
    (total,) = [line for line in out.splitlines() if line.startswith("all: ")]
    assert re.fullmatch(r"all: (\d+) numbers: \1 equal; (\d+) of \2 verdicts are the same", total)


def converts(copy, command):
    """As written; the notebook is there."""
    copy.run(command)
    assert (copy.root / command.split()[-2]).exists()


def prepares(copy, command):
    """Papermill writes the notebook that it would run, and the chapter takes the parameters that it sets there."""
    copy.run("jupytext --to ipynb --output 03.ipynb notebooks/03_tangent_fractions.md")
    copy.run(f"{command} --prepare-only")
    cells = nbformat.read(copy.root / shlex.split(command)[2], as_version=4).cells
    (cell,) = (cell.source for cell in cells if "injected-parameters" in cell.metadata.get("tags", []))
    parameters = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cell).body}
    assert parameters
    run = results.begin("03_tangent_fractions", **parameters | {"device": "cpu"})
    assert {name: getattr(run, name) for name in parameters} == parameters


def checks_own_images(copy, command):
    """As written, when the images are there that the page's example saves."""
    (text,) = (text for text in blocks("python") if "lungs" in text)
    generator = np.random.default_rng(0)
    images = {f"x_{part}": generator.integers(0, 256, (40, 28, 28), dtype=np.uint8) for part in ("train", "test")}
    labels = {f"y_{part}": np.arange(40) % 4 for part in ("train", "test")}
    (copy.root / "data").mkdir(exist_ok=True)
    exec(text.replace("data/lungs.npz", str(copy.root / "data" / "lungs.npz")), images | labels)
    assert "lungs" in copy.run(command)


def packs(copy, command):
    """As written, of what a copy that has trained nothing has put there."""
    artifacts.store({"x": torch.zeros(2)}, {}, small, Small(), seed=0, directory=copy.root / "build" / "artifacts")
    assert copy.run(command) == "measures.tar: 1 artifacts\n"


def unpacks(copy, command):
    """As written, of the file that the command above has made."""
    packs(copy, PACK)
    shutil.rmtree(copy.root / "build" / "artifacts")
    assert copy.run(command) == "1 artifacts are new, 0 were there\n"


@dataclass(frozen=True)
class Small:
    """How a small artifact is made."""


def small(config, *, seed, device, checkpoint):
    """A small artifact's maker, for `packs`."""


def dask_takes(copy, command):
    """Dask's own parser takes every word of it."""
    _, name, *words = shlex.split(command)
    (point,) = entry_points(group="dask_cli", name=name)
    point.load().make_context(name, words)


def names_what_is_there(copy, command):
    """It needs a package from a network; what it names of this repository is there."""
    named = [word for word in shlex.split(command)[1:] if (paths.ROOT / word).exists()]
    assert named


def goes_with_chapters(copy, command):
    """test_house.py runs the script, here and by ssh; it is there, and so are the chapters that are named."""
    script, *named = (word for word in shlex.split(command) if "=" not in word)
    assert os.access(copy.root / script, os.X_OK)
    assert all(chapters.find(word) for word in named)


def serves(copy, command):
    """Python's own server takes every word of it."""
    assert shlex.split(command)[:3] == ["python", "-m", "http.server"]
    assert "--directory" in copy.run(f"{command} --help")


def starts(copy, command):
    """Every check that `pags` makes before it begins, on the real chapters and presets."""
    begun, known = [], {name: name for name in data.names()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "run", lambda jobs, scheduler=None, **_: begun.append((jobs, scheduler)) and [])
        patch.setattr("pags.book.needs.check", list)  # the data sets are not here; test_needs.py checks for them
        patch.setattr(data, "fetch", lambda name, data_dir=None, **_: begun.append(known[name]))
        patch.setattr("pags.blocks.export", lambda settings, *_: begun.append(settings))
        patch.setattr(build, "assemble", lambda source, preset, **_: begun.append(preset))
        patch.setattr(build, "pages", lambda source, out: sys.exit(0))
        for name in ("course", "slides", "study"):  # test_course.py, test_slides.py and test_study.py make them
            patch.setattr(f"pags.book.{name}.write", lambda directory, *_: begun.append(directory) or directory)
        patch.setattr("pags.book.checkpoints.draw", lambda *_, **__: begun.append("drawn") or "")
        patch.setattr("pags.book.study.analyse", lambda files: begun.append(list(files)) or "")
        patch.setattr(paths, "BUILD", copy.root / "build")
        patch.setattr(paths, "HTML", copy.root / "build" / "html")
        with pytest.raises(SystemExit) as left:
            cli.main(shlex.split(command)[1:])
    assert left.value.code == 0
    assert begun
    if isinstance(begun[0], tuple) and begun[0][1]:
        sweep.check_address(begun[0][1])


WAYS = {
    "make book": would_run,
    "make test": would_run,
    "make check": would_run,
    "make clean": cleans,
    "source .venv/bin/activate": runs,
    "conda env create -f environment.yml": names_what_is_there,  # test_house.py compares it with pyproject.toml
    JUPYTER: names_what_is_there,
    "jupyter lab notebooks": names_what_is_there,
    INSTALL: installs,
    "pags status": runs,
    "pags claims": runs,
    "pags build": starts,  # test_book_whole.py builds the book
    "pags build --edition student": starts,
    "pags build --edition teacher": starts,
    "pags course course": starts,
    "pags course course --preset quick": starts,
    "pags slides slides": starts,
    "pags slides slides --preset quick": starts,
    "pags study page study": starts,
    "python -m http.server 8000 --directory study": serves,
    "pags study analyse 'answers/*.csv'": starts,
    "pags build --preset standard": starts,
    "pags build --preset best": starts,
    "pags build --release": starts,
    "pags build --changed": starts,
    "pags build --pdf": starts,  # test_book.py prints the small book's pages
    "pags run": starts,  # test_book_whole.py runs all chapters
    "pags run 03": starts,
    "pags run 03 --seed 7": starts,
    "pags run 03 --preset standard --seed 100": starts,
    "pags run 03 --preset standard": starts,
    "pags run 03 -p explain 500": starts,
    "pags run 02 -p manifold.vae.beta 4": starts,
    "pags run --preset standard": starts,
    "pags run 04 --preset gpu -p images imagenet10 -p images_size 64": starts,
    "pags run 03 --preset standard --seed 7 -p explain 500": starts,
    "pags run 03 -p manifold.data lungs -p manifold.n 5000": starts,
    "pags run 06 --scheduler tcp://HOST:8786": starts,
    "dask scheduler --host 0.0.0.0 --port 8786": dask_takes,  # test_sweep.py trains on a scheduler and workers
    "dask worker tcp://HOST:8786 --nthreads 1 --nworkers 8": dask_takes,
    "tools/run_on_gpu.sh": goes_with_chapters,
    "HOST=me@machine tools/run_on_gpu.sh 04 06": goes_with_chapters,
    "LIMIT=780 tools/run_on_gpu.sh 04": goes_with_chapters,
    PACK: packs,
    "pags artifacts unpack measures.tar": unpacks,
    "pags checkpoints imagenet10 l2_eps0.ckpt l2_eps3.ckpt --out imagenet": starts,
    "pags data list": lists_data,
    "pags data fetch mnist": starts,  # test_data.py fetches from a server of its own
    "pags data fetch alexnet": starts,
    "pags data fetch cifar10": starts,
    "pags data fetch btcvae": starts,
    "pags data check": runs,
    "pags data check lungs": checks_own_images,
    "pags data export blockmnist --out blocks": starts,  # test_blocks.py exports
    "pags data export blockmnist --out top --p-top 1": starts,
    "pags data export blockmnist --out three --classes 0,1,2 --null fashion_mnist": starts,
    "jupytext --to ipynb --output 03.ipynb notebooks/03_tangent_fractions.md": converts,
    "papermill 03.ipynb 03-run.ipynb -p preset standard -p seed 7": prepares,  # test_book_whole.py runs it at quick
    "papermill 03.ipynb 03-run.ipynb -y 'overrides: {explain: 500}'": prepares,
    "pags compare": compares,
    "pags compare BEFORE AFTER --exact": compares,
}


def test_every_command_has_a_way_to_be_tested_and_none_is_tested_that_nobody_is_told():
    assert written() == WAYS.keys()


@pytest.mark.parametrize("command", WAYS)
def test_a_command_does_what_the_page_says(copy, command):
    WAYS[command](copy, command)


@pytest.mark.parametrize("page", [path.name for path in sorted((paths.ROOT / "book").glob("*.md"))])
def test_code_on_a_page_is_no_wider_than_its_box(page):
    """At 1,280 pixels a box holds 83 signs; what is longer scrolls, and is cut off in print."""
    text = (paths.ROOT / "book" / page).read_text()
    blocks = [body for language, body in FENCE.findall(text) if language in ("bash", "python", "yaml", "text")]
    assert [line for body in blocks for line in body.splitlines() if len(line) > 83] == []


def test_every_example_in_python_is_known():
    marks = ("np.savez", "SLURMCluster")  # one runs above; a cluster with SLURM is not at hand
    found = [[mark for mark in marks if mark in text] for text in blocks("python")]
    assert sorted(found) == sorted([mark] for mark in marks)
    for text in blocks("python"):
        compile(text, "page", "exec")


def test_pags_without_its_chapters_says_how_to_install_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "NOTEBOOKS", tmp_path / "notebooks")
    for command in ("run", "build", "status", "claims"):
        with pytest.raises(SystemExit) as left:
            cli.main([command])
        assert left.value.code == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"pags: there are no chapters at {tmp_path / 'notebooks'}: install pags from a copy")
        assert "--editable" in line
