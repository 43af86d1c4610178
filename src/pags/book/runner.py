"""Run chapters: checks first, then text notebook -> papermill -> gates -> build/executed or build/failed.

A chapter works in a directory of its own, whose `artifacts` is a link to the shared ones. What it writes there counts
only when the whole chapter has passed; then finished files replace the earlier ones. So a failure, a kill or a second
run never leaves half a result, and takes nothing away that stood before. The executed notebook is moved last and says
with which results it was made, so that readers notice a kill between two moves.
"""

import os
import shutil
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop

from pags import machine, paths
from pags.book import chapters, gates, origin, results, runs, seeds, terminal
from pags.errors import PagsError, UsageError
from pags.files import explained, locked, place, reason, remove_abandoned, write_atomically

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


class Job(NamedTuple):
    """One chapter to run: `parameters` are those that differ from the chapter's own."""

    chapter: str
    preset: str
    parameters: dict
    data_dir: Path | None


def plan(
    words: Iterable[str],
    *,
    preset: str = "quick",
    seed: int = 0,
    device: str = "auto",
    data_dir: str | None = None,
    overrides: dict | None = None,
) -> list[Job]:
    """The jobs for these chapters (all, if none is named), checked as each chapter itself will check them.

    Raises UsageError for what cannot be meant, PagsError for a GPU that is not there.
    """
    selected = [chapters.find(word) for word in words] or chapters.names()
    if not selected:
        raise UsageError(f"there is no chapter in {paths.NOTEBOOKS}")
    overrides = overrides or {}
    wanted = {"preset": preset, "seed": seed, "device": device, "overrides": overrides}
    jobs = []
    for chapter in dict.fromkeys(selected):
        checked = results.begin(
            chapter, preset=preset, seed=seed, device=device, data_dir=data_dir or "", overrides=overrides
        )
        own = chapters.parameters(chapter)
        if missing := [name for name in wanted if name not in own]:
            raise PagsError(f"notebooks/{chapter}.md takes no parameter {missing[0]!r}: add it to its parameters cell")
        changed = {name: value for name, value in wanted.items() if value != own[name]}
        jobs.append(Job(chapter, preset, changed, checked.data_dir if data_dir else None))
    return jobs


def run(jobs: list[Job], *, at_once: int = 1, scheduler: str | None = None) -> list[str]:
    """Run the jobs, `at_once` at a time; one message per failed chapter, the others are in build/executed.

    Of several at a time the longest start first. With the address of a Dask scheduler the chapters' grids are trained
    there. Raises UsageError for what is no address, PagsError if nobody answers.
    """
    if at_once > 1:
        jobs = sorted(jobs, key=lambda job: -results.length(job.chapter, job.preset))
    if scheduler:
        from pags import sweep

        with sweep.Cluster(scheduler):
            os.environ[sweep.SCHEDULER] = scheduler  # kernels inherit it
    remove_abandoned(paths.BUILD / "running")
    # Worker threads even for one job: an interrupt then reaches this thread, never the middle of a kernel's start.
    pool = ThreadPoolExecutor(at_once)
    try:
        return [message for message in pool.map(lambda job: run_one(job, at_once=at_once), jobs) if message]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def run_one(job: Job, *, at_once: int = 1) -> str | None:
    """Run one chapter; None when it is in build/executed, else what went wrong."""
    work = paths.BUILD / "running" / f"{job.preset}-{job.chapter}"
    waiting = f"{job.chapter}  preset {job.preset} is being run by another process; waiting for it"
    start = time.monotonic()
    try:
        with locked(work, terminal.tell, waiting):
            start = time.monotonic()
            terminal.tell(f"{job.chapter}  preset {job.preset} ...")
            try:
                message = attempt(job, work, at_once)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except (OSError, PagsError) as error:  # a full disk: the next chapter may find some space
        message = failure(job, last_line(error))
    terminal.tell(f"{job.chapter}  {'FAILED' if message else 'done'} after {time.monotonic() - start:.1f} s")
    return message


def attempt(job: Job, work: Path, at_once: int) -> str | None:
    """Run one chapter in the directory `work` and put what it made where it belongs; None, or what went wrong."""
    shutil.rmtree(work, ignore_errors=True)  # a killed run's
    with explained(work):
        (work / "results").mkdir(parents=True)
        (work / "matplotlibrc").touch()
        paths.ARTIFACTS.mkdir(parents=True, exist_ok=True)
        (work / "artifacts").symlink_to(paths.ARTIFACTS, target_is_directory=True)
    notebook, problem = execute(job, work, cores=max(machine.cores() // at_once, 1))
    problem = problem or judge(job, work, notebook)
    if problem is None:
        keep(job, work, notebook)
        return None
    shutil.rmtree(work, ignore_errors=True)  # room for the notebook, should the disk be full
    return keep_failed(job, notebook, problem)


def kernel(environment: dict[str, str], log: Path, died: list[int]) -> type[AsyncKernelManager]:
    """The manager of a kernel of this very interpreter, whatever kernels the user has installed.

    It has `environment` on top of ours; what its process says beside the notebook goes to `log`. The exit code of one
    that ends before it is told to is added to `died`.
    """

    class Kernel(AsyncKernelManager):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), **kwargs)

        # AsyncKernelManager, too, makes async functions of what are none in its base.
        async def start_kernel(self, **kwargs: Any) -> None:  # type: ignore[override]
            with log.open("wb") as file:
                await super()._async_start_kernel(env=os.environ | environment, stderr=file, **kwargs)

        async def is_alive(self) -> bool:  # type: ignore[override]
            code = await self.provisioner.poll() if self.provisioner and self.has_kernel else None
            if code is not None:
                died.append(code)
            return await super()._async_is_alive()

    return Kernel


def execute(job: Job, work: Path, *, cores: int) -> tuple[nbformat.NotebookNode, str | None]:
    """The executed notebook as far as it came, and the reason if it stopped before its end."""
    import papermill  # takes a second, and refusals should not

    text, executed, progress = work / "source.ipynb", work / "executed.ipynb", work / "progress.txt"
    notebook = chapters.read(job.chapter)
    nbformat.write(notebook, text)
    progress.touch()
    total = len(notebook.cells) + bool(job.parameters)  # papermill adds a cell for them
    environment = {
        "PAGS_BUILD": str(work),
        "PAGS_DATA": str(job.data_dir or paths.DATA),  # absolute: the kernel starts in another directory
        "PAGS_PROGRESS": str(progress),
        "PAGS_STATIC": "1",
        "PAGS_CORES": str(cores),
        "MATPLOTLIBRC": str(work / "matplotlibrc"),  # empty: a reader's own may be unreadable, or say too much
    }
    environment |= ONE_THREAD
    problem: str | None = None
    died: list[int] = []
    source = [""]
    with terminal.following(progress, job.chapter) as at:

        def begin(cell: nbformat.NotebookNode, cell_index: int) -> None:
            at(f"cell {cell_index + 1}/{total}")
            source[0] = cell.source

        try:
            papermill.execute_notebook(
                text,
                executed,
                parameters=job.parameters,
                kernel_name="python3",
                progress_bar=False,
                kernel_manager_class=kernel(environment, work / "kernel.txt", died),
                resources={"metadata": {"path": str(paths.NOTEBOOKS)}},
                on_cell_start=begin,
            )
        except papermill.PapermillExecutionError as error:
            problem = quoted(error.source, f"{error.ename}: {error.evalue}")
        except Exception as error:  # a kernel that was killed, a full disk: the notebook shows how far it came
            problem = quoted(source[0], f"the kernel died: it {machine.ending(died[0])}") if died else last_line(error)
        finally:
            ensure_event_loop().close()  # nbclient has opened one for this thread
    with suppress(OSError, ValueError):  # not there, or cut off where the disk was full
        notebook = nbformat.read(executed, as_version=4)
    return notebook, problem


def judge(job: Job, work: Path, notebook: nbformat.NotebookNode) -> str | None:
    """Why a notebook that ran to its end must not count, or None."""
    problems = gates.executed(notebook) + gates.result(written(job, work) / f"{job.chapter}.json")
    return "; ".join(problems) or None


def written(job: Job, work: Path) -> Path:
    """Where in the directory `work` a chapter has written its results."""
    place = work / results.directory(job.parameters.get("overrides", {})).relative_to(paths.BUILD)
    return place / job.preset


def keep(job: Job, work: Path, notebook: nbformat.NotebookNode) -> None:
    """Put the executed notebook and what it wrote in the places where the book looks; all is written before any moves.

    The notebook says with which results it belongs together, and is the last to move. A run with changed settings is
    kept apart, where no page looks unless it is asked to.
    """
    overrides = job.parameters.get("overrides", {})
    changed = bool(overrides)
    executed, kept = (
        (paths.CHANGED / "executed", paths.CHANGED / "results") if changed else (paths.EXECUTED, paths.RESULTS)
    )
    made = written(job, work)
    notebook = cleaned(notebook)
    notebook.metadata["pags"] = {"results": runs.fingerprint(made / f"{job.chapter}.json")}
    before = kept / job.preset / f"{job.chapter}.json"
    with suppress(PagsError):  # of a damaged one nothing is lost
        if changed and before.exists() and (old := results.load(before)["parameters"]["overrides"]) != overrides:
            words = ", ".join(f"{name} = {value}" for name, value in old.items())
            terminal.tell(f"{job.chapter}  takes the place of the run with {words} in build/changed")
    path, copies = work / "clean.ipynb", work / "copies"
    with explained(path):
        nbformat.write(notebook, path)
        results.note(made / f"{job.chapter}.json", cells=origin.cells(notebook))
        shutil.copytree(made, copies)
    moves = {one: kept / job.preset / one.name for one in sorted(made.iterdir())}
    if not changed:
        place_of_seed = seeds.place(results.read(made / f"{job.chapter}.json"))
        moves |= {one: place_of_seed / one.name for one in sorted(copies.iterdir())}
    place(moves | {path: executed / job.preset / f"{job.chapter}.ipynb"})
    failed_path(job).unlink(missing_ok=True)


def keep_failed(job: Job, notebook: nbformat.NotebookNode, problem: str) -> str:
    """Put the notebook under build/failed and return the message for the user."""
    path = failed_path(job)
    try:
        write_atomically(path, lambda temporary: nbformat.write(notebook, temporary))
    except PagsError as error:
        return failure(job, f"{problem}\n  its notebook is lost: {error}")
    return failure(job, f"{problem}\n  as far as it came: {path}")


def failure(job: Job, why: str) -> str:
    """The message for the user."""
    return f"{job.chapter} (preset {job.preset}) failed: {why}"


def failed_path(job: Job) -> Path:
    """Where a failed run of this job is kept: one with changed settings says nothing of the ordinary run."""
    failed = paths.CHANGED / "failed" if job.parameters.get("overrides") else paths.FAILED
    return failed / job.preset / f"{job.chapter}.ipynb"


def cleaned(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without what differs from run to run or names this machine: times per cell, paths, widget state."""
    papermill = notebook.metadata.get("papermill", {})
    notebook.metadata["papermill"] = {key: papermill.get(key) for key in ("duration", "end_time", "parameters")}
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
    return notebook


def quoted(source: str, error: str, *, lines: int = 4) -> str:
    """A failing cell's first lines and the last line of its error."""
    shown = [line for line in source.splitlines() if line.strip()]
    cell = [f"    | {line}" for line in shown[:lines]] + (["    | ..."] if len(shown) > lines else [])
    return "\n".join([last_line(error), "  in the cell", *cell])


def last_line(error: object) -> str:
    """The last line that says something; of the system's refusals, the file and what to do."""
    if isinstance(error, OSError) and error.errno:
        return ": ".join([*([str(error.filename)] if error.filename else []), reason(error)])
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
