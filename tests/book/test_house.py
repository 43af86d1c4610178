"""Files that must agree with one another, and what must not stand in any of them."""

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pags import PRESETS, paths
from pags.book import chapters, gates

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CHECK = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def constraints():
    lines = [line.split("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    return dict(re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)", line).groups() for line in lines if line)


def required():
    extra = project()["optional-dependencies"]["test"]
    return [Requirement(line) for line in project()["dependencies"] + extra]


def committed():
    """Paths of the files in git; of all files where there is no git."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("requirement", required(), ids=lambda requirement: requirement.name)
def test_every_requirement_has_one_tested_version_and_this_is_it(requirement):
    pinned = {canonicalize_name(name): version for name, version in constraints().items()}[
        canonicalize_name(requirement.name)
    ]
    assert requirement.specifier.contains(pinned)
    assert importlib.metadata.version(requirement.name) == pinned


def test_torch_and_torchvision_are_a_pair():
    (torch,) = [r for r in map(Requirement, importlib.metadata.requires("torchvision")) if r.name == "torch"]
    assert torch.specifier.contains(constraints()["torch"])
    minor = [int(constraints()[name].split(".")[1]) for name in ("torch", "torchvision")]
    assert minor[1] - minor[0] == 15  # since torch 2.0 came with torchvision 0.15


def test_jupyter_book_stays_at_line_one():
    (book,) = [r for r in required() if r.name == "jupyter-book"]
    assert not book.specifier.contains("2.0.0")
    assert not book.specifier.contains("1.0.3")


def test_conda_installs_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, packages = environment["dependencies"]
    assert (environment["name"], pip) == (project()["name"], "pip")
    assert Requirement(f"python{project()['requires-python']}").specifier.contains(python.removeprefix("python="))
    assert packages == {"pip": ["--constraint constraints.txt", "--editable .[test]"]}


def test_the_version_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert project()["version"] == citation["version"] == importlib.import_module("pags").__version__
    assert project()["license"] == citation["license"] == "MIT"
    assert project()["authors"][0]["name"] == citation["authors"][0]["name"] == "The authors of pags"
    assert "The authors of pags" in (ROOT / "LICENSE").read_text()


def test_every_chapter_is_in_the_book_and_every_listed_chapter_exists():
    from pags.book import build

    assert build.listed_chapters(ROOT / "book" / "_toc.yml") == chapters.names()


def test_sources_carry_no_outputs():
    assert gates.sources(ROOT / "notebooks") == []
    assert [path.name for path in committed() if path.suffix == ".ipynb" and "published" not in path.parts] == []


def test_no_registry_and_no_path_of_a_machine_is_named():
    # Put together here, so that this file passes its own test.
    words = ["pypi" + ".", "python" + "hosted", "npm" + "js.", "download.py" + "torch", "/home" + "/", "/Users" + "/"]
    words += [str(ROOT) + "/", str(ROOT.parent) + "/"] if len(ROOT.parts) > 2 else []
    pattern = re.compile("|".join(map(re.escape, words)))
    texts = {path: path.read_text(encoding="utf-8", errors="ignore") for path in committed()}
    found = [f"{path.relative_to(ROOT)}: {match[0]}" for path, text in texts.items() if (match := pattern.search(text))]
    assert found == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_are_valid_bounded_and_strict(workflow):
    for schema in ("vendor.github-workflows", "custom.github-workflows-require-timeout"):
        done = subprocess.run([*CHECK, schema, workflow], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    content = yaml.safe_load(workflow.read_text())
    assert content["permissions"] == {"contents": "read"}
    assert content["defaults"]["run"]["shell"] == "bash -euo pipefail {0}"


def test_the_citation_file_is_valid():
    done = subprocess.run(
        [*CHECK, "vendor.citation-file-format", ROOT / "CITATION.cff"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_gpu_workflow_never_runs_a_forks_code():
    content = yaml.safe_load((ROOT / ".github" / "workflows" / "gpu.yml").read_text())
    triggers = content[True]  # YAML 1.1 reads the key `on` as true
    assert set(triggers) == {"schedule", "workflow_dispatch", "pull_request"}
    assert triggers["pull_request"] == {"types": ["labeled"]}
    (job,) = content["jobs"].values()
    condition = " ".join(job["if"].split())
    assert "github.event.label.name == 'gpu'" in condition
    assert "&& github.event.pull_request.head.repo.full_name == github.repository" in condition
    assert "!github.event.repository.fork" in condition
    assert job["runs-on"] == """${{ fromJSON(vars.GPU_RUNNER || '["self-hosted", "gpu"]') }}"""
    assert job["steps"][-1]["if"] == "always()"
    assert "tools/run_on_gpu.sh" in job["steps"][-2]["run"]


def test_the_gpu_workflow_runs_the_preset_gpu_within_two_hours_and_keeps_what_goes_on():
    content = yaml.safe_load((ROOT / ".github" / "workflows" / "gpu.yml").read_text())
    (job,) = content["jobs"].values()
    asked = content[True]["workflow_dispatch"]["inputs"]["preset"]
    assert asked["default"] == "gpu"
    assert set(asked["options"]) == set(PRESETS)
    assert "'gpu'" in job["env"]["PRESET"]
    assert job["timeout-minutes"] <= 120
    kept = job["steps"][-1]["with"]["path"].split()
    assert kept == ["build/executed", "build/results", "build/failed", "build/measures.tar"]


@pytest.mark.parametrize("script", [".ci/run", "tools/run_on_gpu.sh"])
def test_scripts_are_strict_executable_and_parse(script):
    path = ROOT / script
    lines = path.read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert os.access(path, os.X_OK)
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0


# What gpu.yml runs, dry on the CPU: in a copy, with a `pags` that fails for one chapter.

PACKED = "artifacts pack build/measures.tar --largest 2000000"
PAGS = """#!/usr/bin/env bash
set -euo pipefail
echo "$*" >> calls.txt
if [ "$2" = 02_fails ]; then exit 1; fi
if [ "$2" = 02b_is_interrupted ]; then exit 130; fi
if [ "$2" = 02c_takes_long ]; then exec sleep 60; fi
if [ "$1" = artifacts ]; then
    if [ "$2" = pack ]; then mkdir -p build && echo "$2" > "$3"; fi
    exit
fi
mkdir -p build/executed && touch "build/executed/$2.ipynb"
"""


@pytest.fixture
def gpu_script(tmp_path):
    """Run the script in a copy of the small house; returns the process and the directory."""
    for name in ("tools", ".venv/bin"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copytree(ROOT / "tests" / "fixtures" / "notebooks", tmp_path / "notebooks")
    shutil.copy(ROOT / "tools" / "run_on_gpu.sh", tmp_path / "tools")
    for name, text in (("pags", PAGS), ("python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')):
        (tmp_path / ".venv" / "bin" / name).write_text(text)
        (tmp_path / ".venv" / "bin" / name).chmod(0o755)

    def call(*words, **environment):
        command = ["bash", tmp_path / "tools" / "run_on_gpu.sh", *words]
        return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)

    return call, tmp_path


def test_the_gpu_script_goes_on_after_a_failure_and_fails_at_the_end(gpu_script):
    call, directory = gpu_script
    (directory / "notebooks" / "02a_part.md").touch()
    done = call(DEVICE="cpu", PRESET="quick", DATA_DIR="sets", SUMMARY="summary.md", LC_ALL="C")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "failed: 02_fails"
    options = "--preset quick --device cpu --data-dir sets"
    assert (directory / "calls.txt").read_text().splitlines() == [
        *(f"run {chapter} {options}" for chapter in ("01_good", "02_fails", "02a_part", "03_warns")),
        PACKED,
    ]
    kept = sorted(path.stem for path in (directory / "build" / "executed").iterdir())
    assert kept == ["01_good", "02a_part", "03_warns"]
    assert (directory / "summary.md").read_text().splitlines() == [
        "- 01_good: done",
        "- 02_fails: **failed**",
        "- 02a_part: done",
        "- 03_warns: done",
    ]


@pytest.mark.parametrize(("chapter", "limit"), [("02b_is_interrupted", ""), ("02c_takes_long", "1")])
def test_the_gpu_script_that_is_cut_off_keeps_the_measures_and_begins_nothing_else(gpu_script, chapter, limit):
    call, directory = gpu_script
    done = call("01_good", chapter, "03_warns", DEVICE="cpu", PAGS_DATA="/my data", LIMIT=limit, SUMMARY="summary.md")
    assert done.returncode == 1
    said = f"cut off in {chapter}: the same command goes on from build/measures.tar"
    assert done.stderr.splitlines()[-1] == said
    options = "--preset gpu --device cpu --data-dir /my data"
    calls = [f"run 01_good {options}", f"run {chapter} {options}", PACKED]
    assert (directory / "calls.txt").read_text().splitlines() == calls
    assert (directory / "summary.md").read_text().splitlines() == ["- 01_good: done", f"- {chapter}: **cut off**"]


def test_the_gpu_script_runs_the_named_chapters_only(gpu_script):
    call, directory = gpu_script
    done = call("03_warns", DEVICE="cpu")
    assert done.returncode == 0, done.stderr
    ran = "run 03_warns --preset gpu --device cpu --data-dir data"
    assert (directory / "calls.txt").read_text().splitlines() == [ran, PACKED]


@pytest.mark.parametrize("limit", ["soon", "0", "1.5", "-1"])
def test_the_gpu_script_refuses_a_limit_that_is_none_before_anything_runs(gpu_script, limit):
    call, directory = gpu_script
    done = call("03_warns", DEVICE="cpu", LIMIT=limit)
    assert (done.returncode, done.stderr) == (2, f"LIMIT = {limit}: write whole seconds, like 780\n")
    assert not (directory / "calls.txt").exists()


def test_the_gpu_script_goes_on_from_the_measures_that_are_there(gpu_script):
    call, directory = gpu_script
    (directory / "mine.tar").touch()
    assert call("03_warns", DEVICE="cpu", MEASURES="mine.tar", LARGEST="5").returncode == 0
    calls = (directory / "calls.txt").read_text().splitlines()
    assert (calls[0], calls[-1]) == ("artifacts unpack mine.tar", "artifacts pack mine.tar --largest 5")


SSH = """#!/usr/bin/env bash
set -euo pipefail
[ "$1" = me@there ]
cd "$REMOTE"
echo "$2" >> commands.txt
if [ -n "${BREAKS:-}" ] && [[ "$2" = *"-T -"* ]]; then
    bash -c "$2" | head -c 700
    exit 255
fi
env -u HOST -u MEASURES bash -c "$2"
"""


@pytest.fixture
def elsewhere(gpu_script, tmp_path_factory):
    """Run the script with another machine, a folder; returns the call, the directory here and that there."""
    call, directory = gpu_script
    (directory / "Makefile").write_text("setup:\n\t@echo set up >> calls.txt\n")
    (directory / "build").mkdir()
    (directory / "build" / "measures.tar").touch()
    git = ["git", "-c", "user.name=me", "-c", "user.email=me@there", "-C", directory]
    for words in (["init", "-q"], ["add", "--all", ".", ":!build"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True)
    there, commands = (tmp_path_factory.mktemp(name) for name in ("there", "commands"))
    (commands / "ssh").write_text(SSH)
    (commands / "ssh").chmod(0o755)
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"

    def remote(*words, **environment):
        return call(*words, HOST="me@there", DEVICE="cpu", REMOTE=str(there), PATH=path, **environment)

    return remote, directory, there


@pytest.mark.parametrize(("chapter", "status"), [("03_warns", 0), ("02_fails", 1)])
def test_the_gpu_script_takes_the_work_elsewhere_and_brings_back_what_came_of_it(elsewhere, chapter, status):
    call, directory, there = elsewhere
    done = call(chapter, DATA_DIR="/my data")
    assert done.returncode == status, done.stderr
    calls = (there / "pags-on-gpu" / "calls.txt").read_text().splitlines()
    ran = f"run {chapter} --preset gpu --device cpu --data-dir /my data"
    assert calls == ["set up", "artifacts unpack build/measures.tar", ran, PACKED]
    git = ["git", "-C", directory, "rev-parse", "HEAD"]
    head = subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
    assert f" PAGS_COMMIT={head} " in (there / "commands.txt").read_text()
    assert not (directory / "calls.txt").exists()
    assert (directory / "build" / "measures.tar").read_text() == "pack\n"
    assert (directory / "build" / "executed" / f"{chapter}.ipynb").exists() == (status == 0)


def test_the_gpu_script_brings_back_what_it_made_and_nothing_else(elsewhere):
    call, directory, there = elsewhere
    assert call("01_good").returncode == 0
    mine, failed = (directory / "build" / kind / "01_good.ipynb" for kind in ("executed", "failed"))
    mine.write_text("run here since")
    failed.parent.mkdir()
    failed.touch()
    (there / "pags-on-gpu" / "notebooks" / "01_good.md").rename(there / "pags-on-gpu" / "notebooks" / "09_gone.md")
    assert call("03_warns").returncode == 0
    assert mine.read_text() == "run here since"
    assert failed.exists()
    assert not (there / "pags-on-gpu" / "notebooks" / "09_gone.md").exists()  # what is sent is the tree, no more
    assert call("01_good").returncode == 0
    assert mine.read_text() == ""
    assert not failed.exists()  # as it has succeeded


def test_the_gpu_script_leaves_all_as_it_is_where_the_connection_breaks(elsewhere):
    call, directory, _ = elsewhere
    (directory / "build" / "measures.tar").write_text("whole")
    done = call("01_good", BREAKS="1")
    assert done.returncode == 1
    said = "nothing was brought back from me@there: it still lies there, in pags-on-gpu/build"
    assert done.stderr.splitlines()[-1] == said
    assert [path.name for path in (directory / "build").iterdir()] == ["measures.tar"]
    assert (directory / "build" / "measures.tar").read_text() == "whole"
    assert call("01_good").returncode == 0
    assert (directory / "build" / "measures.tar").read_text() == "pack\n"


def test_the_gpu_script_refuses_a_machine_without_a_gpu(gpu_script):
    call, directory = gpu_script
    done = call("01_good", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    assert "torch finds no GPU" in done.stderr
    assert not (directory / "calls.txt").exists()


def make(*words):
    command = ["make", "--dry-run", "--always-make", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_a_dry_run_of_make_writes_nothing_and_make_builds_where_it_is_told(tmp_path):
    said = make("book", f"PAGS_BUILD={tmp_path / 'made'}")
    assert not (tmp_path / "made").exists()
    assert f"file://{tmp_path}/made/html/index.html" in said
    assert f"tee -a {tmp_path}/made/steps.txt" in said


def test_make_needs_nothing_but_python():
    said = make("setup")
    assert "python3 -m venv .venv" in said
    assert "--constraint constraints.txt --editable '.[test]'" in said


@pytest.mark.parametrize(
    ("target", "steps"),
    [
        ("book", ["setup", "pags run", "pags build"]),
        ("test", ["setup", "lint", 'pytest -m "not book" -n', "pytest -m book"]),
        ("check", ["lint", '"not slow and not book"']),
        ("lint", ["ruff check .", "ruff format --check", "bin/mypy", "lint_chapters.py"]),
    ],
)
def test_make_runs_the_steps_in_order(target, steps):
    said = make(target)
    places = [said.index(step) for step in steps]
    assert places == sorted(places)


def test_the_linter_of_chapters_stops_and_mends_bad_code(tmp_path):
    good = (ROOT / "tests" / "fixtures" / "notebooks" / "01_good.md").read_text()
    chapter = tmp_path / "01_bad.md"
    chapter.write_text(good.replace("import json\n", "import json, re\n") + "\nText with `x=1`.\n")
    lint = [sys.executable, ROOT / "tools" / "lint_chapters.py"]
    done = subprocess.run([*lint, chapter], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "F401" in done.stdout
    assert subprocess.run([*lint, "--fix", chapter], capture_output=True, check=False).returncode == 0
    assert chapter.read_text() == good + "\nText with `x=1`.\n"


def test_the_small_chapters_are_formatted():
    lint = [sys.executable, ROOT / "tools" / "lint_chapters.py"]
    sources = sorted((ROOT / "tests" / "fixtures" / "notebooks").glob("*.md"))
    done = subprocess.run([*lint, *sources], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_readme_names_every_chapter_and_only_commands_that_exist():
    text = (ROOT / "README.md").read_text()
    assert [name for name in chapters.names() if f"notebooks/{name}.md" not in text] == []
    from pags.book import cli

    assert set(re.findall(r"\bpags ([a-z]+)\b", text)) <= set(cli.command.commands)
    assert set(re.findall(r"^make ([a-z]+)", text, re.MULTILINE)) <= set(
        re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    )
    assert paths.ROOT == ROOT


def modules(folder):
    return {path.stem for path in folder.iterdir() if path.stem != "__init__" and path.suffix == ".py"}


MAKING = {"errors", "paths", "files", "machine", "progress", "artifacts", "archive", "sweep"}


def test_the_readme_maps_every_module_in_its_group():
    groups = re.split(r"^\| (making|methods|`book`)", (ROOT / "README.md").read_text(), flags=re.MULTILINE)[1:]
    mapped = {
        name.strip("`"): set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE))))
        for name, text in zip(groups[::2], groups[1::2], strict=True)
    }
    package = ROOT / "src" / "pags"
    assert mapped["making"] == MAKING
    assert mapped["making"] | mapped["methods"] == modules(package) | {"presets"}
    assert mapped["book"] == modules(package / "book")


def imported(tree):
    """The modules of pags that some code imports, as names below pags."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pags":
            base = node.module.removeprefix("pags").strip(".")
            yield from ([base] if base and base != "book" else (f"{base}.{one.name}".strip(".") for one in node.names))


def test_in_the_readme_a_module_stands_below_what_it_imports_at_its_top():
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    at = {name: n for n, row in enumerate(rows) for name in re.findall(r"`(\w+)`", row)}
    package = ROOT / "src" / "pags"
    for path in [*package.glob("*.py"), *(package / "book").glob("*.py")]:
        if path.stem in at:
            top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
            needed = {name.removeprefix("book.").split(".")[0] for name in imported(ast.Module(top, []))}
            assert [name for name in needed if at.get(name, -1) > at[path.stem]] == [], path.stem


def test_no_method_needs_the_wing_and_what_is_made_needs_no_method():
    package = ROOT / "src" / "pags"
    making = MAKING | {"__version__", "PRESETS"}
    for path in package.glob("*.py"):
        needed = set(imported(ast.parse(path.read_text())))
        assert not [name for name in needed if name.split(".")[0] == "book"], path.name
        if path.stem in making:
            assert needed <= making, path.name
