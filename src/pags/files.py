"""Files that are whole or not there: a kill leaves a temporary file behind, never half a result."""

import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pags.errors import PagsError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write `path` into one line that says what to do."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        advice = "; free some space or let PAGS_BUILD name a directory on a larger disk" if error.errno in FULL else ""
        raise PagsError(f"cannot write {path}: {reason}{advice}") from error


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
        temporary.unlink(missing_ok=True)


def place(made: Path, path: Path) -> None:
    """Move a finished file; a reader of `path` sees the old one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made.replace(path)


def replace_directory(made: Path, path: Path) -> None:
    """Put a finished directory in the place of another; the old one is gone only when the new one stands."""
    old = path.with_name(f"{path.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    made.rename(path)
    shutil.rmtree(old, ignore_errors=True)


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
