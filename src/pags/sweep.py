"""A grid of independent jobs on any `concurrent.futures.Executor`: processes of this machine, or a Dask cluster.

Two processes of one thread train a grid of small nets in about half the time of one process with two threads.
"""

import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor

from pags import artifacts, machine, progress
from pags.errors import PagsError, UsageError, first_line

SCHEDULER = "PAGS_SCHEDULER"  # the environment variable that holds a Dask scheduler's address
PATIENCE = 10  # seconds for which it may be silent
SHARING = 8  # processes on one GPU
UNGUARDED = 78  # exit status of a process that would start processes while it is starting


class Where(TypedDict):
    """Where an artifact is made, and where it is kept."""

    device: torch.device
    directory: Path | None


@dataclass(frozen=True, init=False)
class Job:
    """What `artifacts.cached` is to make: a maker with its configuration, its inputs and a seed of its own."""

    make: artifacts.Maker
    config: Any
    inputs: tuple[Any, ...]
    seed: int

    def __init__(self, make: artifacts.Maker, config: Any, *inputs: Any, seed: int) -> None:
        for name, value in {"make": make, "config": config, "inputs": inputs, "seed": seed}.items():
            object.__setattr__(self, name, value)

    @property
    def recipe(self) -> tuple[Any, ...]:
        """Maker, configuration and inputs: the positional arguments of `artifacts.cached`."""
        return self.make, self.config, *self.inputs


def cached(
    jobs: Iterable[Job],
    *,
    device: torch.device | str = "cpu",
    executor: Executor | None = None,
    workers: int | None = None,
    directory: Path | None = None,
) -> list[artifacts.Artifact]:
    """The artifacts of the jobs, in their order; only what is not there yet is made.

    Each is on this machine's disk as soon as it is made, wherever that was.
    """
    jobs, where = list(jobs), Where(device=torch.device(device), directory=directory)
    missing = [job for job in jobs if not artifacts.ready(*job.recipe, seed=job.seed, **where)]
    calls = [(job.seed, *job.recipe) for job in missing]
    for i, one in done(make, calls, executor=executor, workers=workers, **where):
        job = missing[i]
        artifacts.store(one.tensors, one.info, *job.recipe, seed=job.seed, key=one.fingerprint, **where)
    return [artifacts.cached(*job.recipe, seed=job.seed, **where) for job in jobs]


def make(seed: int, *recipe: Any, **common: Any) -> artifacts.Artifact:
    """The artifact of a job with this seed; a GPU's memory is given back to the processes beside this one."""
    made = artifacts.cached(*recipe, seed=seed, **common)
    if common["device"].type == "cuda":
        torch.cuda.empty_cache()
    return made


def default(device: torch.device | str = "cpu", workers: int | None = None) -> Executor:
    """The cluster that PAGS_SCHEDULER names; else `workers` processes, one per core, but on a GPU at most `SHARING`.

    For one worker this process itself: a new one takes seconds to start. Small nets leave most of a GPU idle. Enter it
    with `with`, and give it to several grids that follow one another.
    """
    if address := os.environ.get(SCHEDULER):
        return Cluster(address)
    workers = workers or machine.cores()
    workers = min(workers, SHARING) if torch.device(device).type == "cuda" else workers
    return Here() if workers == 1 else Processes(workers)


def done(
    job: Callable[..., Any],
    calls: list[tuple],
    *,
    executor: Executor | None = None,
    workers: int | None = None,
    **common: Any,
) -> Iterator[tuple[int, Any]]:
    """The number and the result of every job(*call, **common) as it is done; `job` stands at the top of a module.

    By default on the executor that `default` chooses. A job that fails does not stop the others; the PagsError at the
    end quotes the first in the order of the calls. Jobs that somebody cancels end the grid at once.
    """
    if not calls:
        return
    if executor is None:
        with default(common.get("device", "cpu"), min(workers or machine.cores(), len(calls))) as own:
            yield from done(job, calls, executor=own, workers=None, **common)
        return
    futures = {executor.submit(job, *call, **common): i for i, call in enumerate(calls)}
    failed: dict[int, str] = {}
    for future in progress.bar(as_completed(futures), "jobs", total=len(calls)):
        i = futures.pop(future)
        if (error := _error(future)) is None:
            yield i, future.result()
        elif type(error).__name__.endswith("CancelledError"):  # Dask has a class of its own
            raise PagsError(
                f"{described(job, calls[i])} was cancelled: has the scheduler ended, or its last worker? "
                "Start it and run the same command again; what was done is kept"
            ) from error
        else:
            failed[i] = f"{described(job, calls[i])}: {type(error).__name__}: {error}"
            progress.say(f"a job failed: {failed[i]}")
    if failed:
        raise PagsError(f"{len(failed)} of {len(calls)} jobs failed; the first: {failed[min(failed)]}")


def _error(future: Future) -> BaseException | None:
    try:
        return future.exception()
    except CancelledError as error:
        return error


def described(job: Callable[..., Any], call: tuple) -> str:
    """The call as one would write it, but data by their name and tensors by their shape."""

    def short(value: Any) -> str:
        if isinstance(value, Tensor):
            return f"tensor {tuple(value.shape)}"
        if hasattr(value, "fingerprint"):
            return str(getattr(value, "name", f"{type(value).__name__} {value.fingerprint[:12]}"))
        return getattr(value, "__qualname__", None) or repr(value)

    return f"{job.__name__}({', '.join(map(short, call))})"


class Here(Executor):
    """This process: a job is done, or has failed, when `submit` returns; a grid shows each job's own progress."""

    def submit(self, job: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """The job's result or its exception, as a future."""
        future: Future = Future()
        try:
            future.set_result(job(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Spawning(SpawnContext):
    """Starts processes as "spawn" does, and knows how the last one ended."""

    last: SpawnProcess | None = None

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        """A process, to be started."""
        self.last = SpawnProcess(*args, **kwargs)
        return self.last

    def exit_code(self) -> int | None:
        """Of the last process, which has ended."""
        if self.last is None:
            return None
        deadline = time.monotonic() + 10
        while self.last.exitcode is None and time.monotonic() < deadline:  # while another thread is told how it ended
            time.sleep(0.01)
        return self.last.exitcode


class Processes(ThreadPoolExecutor):
    """`workers` threads, each with a process of its own that has one thread for torch.

    A process that is killed costs its job a second attempt, in a new process. An exception in the `with` block ends
    the processes instead of waiting for them. They also end, in the middle of a job, with the process that made them.
    """

    def __init__(self, workers: int) -> None:
        if getattr(multiprocessing.current_process(), "_inheriting", False):  # imports the script that started it
            os._exit(UNGUARDED)
        self.watched, self.lifeline = multiprocessing.Pipe(duplex=False)
        self.own = threading.local()
        super().__init__(workers, initializer=self._renew)

    def _renew(self) -> None:
        """Give the calling thread a new process."""
        self.own.context = Spawning()
        self.own.process = ProcessPoolExecutor(1, self.own.context, initializer=prepare, initargs=(self.watched,))

    def submit(self, job: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Run the job in the process of the next free thread."""
        return super().submit(self._attempt, partial(job, *args, **kwargs))

    def _attempt(self, call: Callable[[], Any]) -> Any:
        for _ in range(2):
            try:
                return self.own.process.submit(call).result()
            except BrokenProcessPool:
                if self.lifeline.closed:
                    raise
                code = self.own.context.exit_code()
                if code == UNGUARDED:
                    script = getattr(sys.modules["__main__"], "__file__", None) or "the script"
                    raise PagsError(
                        f"{script} starts processes whenever it is imported, as each of them does: "
                        'put what it runs under `if __name__ == "__main__":`'
                    ) from None
                self._renew()
        raise PagsError(f"its process, and then the next one, {machine.ending(code)}")

    def __exit__(self, kind: type | None, *_: object) -> None:
        """Wait for the jobs, or drop them where an exception has ended the block."""
        if kind is None:
            self.shutdown()
            self.lifeline.close()
        else:
            self.lifeline.close()
            self.shutdown(cancel_futures=True)


def prepare(lifeline: Any) -> None:
    """Make this process a worker: one thread for torch, and an end as soon as nobody holds the lifeline's other end."""
    machine.use_one_thread()

    def follow() -> None:
        try:
            lifeline.recv()
        finally:
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


class Cluster(Executor):
    """The workers of the Dask scheduler at `address`; UsageError for what is no address, PagsError if nobody answers.

    Data that several jobs share travel to each worker once. A worker that is lost costs its jobs another attempt.
    """

    def __init__(self, address: str) -> None:
        try:
            import dask
            from distributed import Client
        except ImportError:
            raise PagsError("a Dask scheduler needs the package distributed: install pags[cluster]") from None
        check_address(address)
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"})  # data are large here
        try:
            self.client = Client(address, timeout=PATIENCE, set_as_default=False)
        except Exception as error:  # no connection, or what answers is no scheduler, or one of another version
            reason = first_line(error)
            raise PagsError(f"no Dask scheduler answers at {address!r} ({reason}): start one, or mend it") from None
        self.executor = self.client.get_executor(pure=False)
        self.sent: dict[tuple[type, str], Any] = {}

    def submit(self, job: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Run the job with one thread for torch on one of the workers."""
        return self.executor.submit(alone, job, *map(self._send, args), **kwargs)

    def _send(self, value: Any) -> Any:
        """The value, or where on the cluster it lies; as a job of its own, so that it is made again when lost."""
        fingerprint = getattr(value, "fingerprint", None)
        if fingerprint is None or isinstance(value, type):
            return value
        key = type(value), fingerprint  # images, and the place where they lie, have the same one
        if key not in self.sent:
            self.sent[key] = self.client.submit(itself, value, pure=False)
        return self.sent[key]

    def __exit__(self, kind: type | None, *_: object) -> None:
        """Wait for the jobs, or drop them where an exception has ended the block."""
        self.executor.shutdown(wait=kind is None)
        self.client.close()


def check_address(address: str) -> None:
    """UsageError unless Dask can try to connect to `address` here: a client that cannot is slow to give up."""
    from distributed.comm import get_address_host, parse_address
    from distributed.comm.registry import get_backend
    from distributed.security import Security

    try:
        scheme, _ = parse_address(address)
        get_backend(scheme).get_connector()
        get_address_host(address)
    except Exception as error:  # whatever a backend raises that is not installed, or that cannot read the address
        reason = first_line(error)
        raise UsageError(f"scheduler {address!r}: write an address such as tcp://127.0.0.1:8786 ({reason})") from None
    if scheme in ("tls", "wss") and not Security().get_connection_args("client").get("ssl_context"):
        raise UsageError(
            f"scheduler {address!r}: write a tcp:// address, or name the certificates for {scheme}:// in Dask's own "
            "configuration (distributed.comm.tls)"
        )


def alone(job: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """The job's result, with one thread for torch."""
    machine.use_one_thread()
    return job(*args, **kwargs)


def itself(value: Any) -> Any:
    """The value."""
    return value
