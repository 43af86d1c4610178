"""Files that are whole or not there: a kill leaves a temporary file behind, never half a result."""

import errno
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pags.errors import PagsError, UsageError

MAKING = ".making-"  # so begins the name of what a killed `filling` leaves behind
FULL = (errno.ENOSPC, errno.EDQUOT)


def reason(error: OSError) -> str:
    """What the system says, and what to do about a full disk."""
    said = os.strerror(error.errno) if error.errno else str(error)
    return said + ("; free some space or let PAGS_BUILD name a directory on a larger disk" * (error.errno in FULL))


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write `path` into one line that says what to do."""
    try:
        yield
    except OSError as error:
        raise PagsError(f"cannot write {path}: {reason(error)}") from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the system's refusal to read `path` into one line; a file that is not there stays a FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PagsError(f"cannot read {path}: {reason(error)}; see who may read it, and that it is a file") from error


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Make `path` with `write(temporary path)`; a reader sees the old file or the new one, whole.

    Who may read it is what the umask says, whatever `write` does. Raises PagsError if it cannot be written (full disk,
    no permission); the temporary file is then gone.
    """
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch()
            mode = temporary.stat().st_mode & 0o777
            write(temporary)
            temporary.chmod(mode)
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def place(moves: Mapping[Path, Path]) -> None:
    """Move finished files, each to its place; a reader of a place sees the old file or the new one, whole.

    They move when all that needs space, their directories, is there. A kill between two moves is for readers to notice.
    """
    for path in moves.values():
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
    for made, path in moves.items():
        with explained(path):
            made.replace(path)


def replace_directory(made: Path, path: Path) -> None:
    """Put a finished directory in the place of another; the old one is gone only when the new one stands."""
    restore_directory(path)
    if path.exists():
        path.rename(_aside(path))
    made.rename(path)
    shutil.rmtree(_aside(path), ignore_errors=True)


@contextmanager
def filling(directory: Path, mark: str, what: str) -> Iterator[Path]:
    """An empty directory whose content goes to `directory` when all of it is made; what else lies there stays.

    UsageError where `directory` holds something, but not the file `mark`, by which an earlier `what` is known.
    """
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory} is a file: name a directory")
    holds = (
        {path.name for path in directory.iterdir() if not path.name.startswith(MAKING)} if directory.is_dir() else ()
    )
    if holds and mark not in holds:
        raise UsageError(f"{directory} is not empty and holds no {what}: name a new directory")
    with explained(directory):
        directory.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=MAKING, dir=directory))
    try:
        yield work
        with explained(directory):
            for made in sorted(work.iterdir()):
                if made.is_dir():
                    replace_directory(made, directory / made.name)
                else:
                    made.replace(directory / made.name)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def restore_directory(path: Path) -> None:
    """Put back what `replace_directory` had set aside when it was killed; what is aside beside `path` is deleted."""
    if _aside(path).exists() and not path.exists():
        _aside(path).rename(path)
    shutil.rmtree(_aside(path), ignore_errors=True)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.old")


def remove_abandoned(directory: Path) -> None:
    """Delete the directories in `directory` whose locks nobody holds: what killed processes have left there."""
    for left in directory.iterdir() if directory.is_dir() else ():
        if left.is_dir():
            with suppress(Timeout, OSError), FileLock(left.with_suffix(".lock"), timeout=0):
                shutil.rmtree(left)


@contextmanager
def locked(path: Path, tell: Callable[[str], object], waiting: str) -> Iterator[None]:
    """Hold the lock beside `path`; while another process holds it, `tell` says `waiting` once and we wait.

    The system frees the lock of a process that dies. Raises PagsError if the lock file cannot be made.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            tell(waiting)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()
