"""How `pags` speaks: lines on stderr, while a chapter runs how far it is, and signs that the terminal can show."""

import codecs
import io
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

QUIET = 10.0  # seconds without a word in a log before the chapter's cell is told again
_mutex = threading.Lock()
# In place of signs that an encoding such as cp1252 has not; "?" is the sign of what is undecided, so no other has it.
PLAIN = {"✓": "+", "◐": "~", "✗": "x", "≁": "!~", "–": "-", "—": "-"}
PLAIN |= {"×": "x", "≤": "<=", "≥": ">=", "±": "+-", "∞": "inf"}


def speak_plainly() -> None:
    """Let stdout and stderr write a plain sign, or what Python would, in place of one that they cannot encode."""

    def plain(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        signs = error.object[error.start : error.end]
        return "".join(PLAIN.get(sign) or ascii(sign)[1:-1] for sign in signs), error.end

    codecs.register_error("pags", plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="pags")


def tell(line: str, *, passing: bool = False) -> None:
    """One line on stderr; a passing one is rewritten in place where stderr is a terminal."""
    with _mutex:
        if not sys.stderr.isatty():
            end = "\n"
        else:
            width = shutil.get_terminal_size().columns - 1
            line, end = ("\r\x1b[2K" + (line[:width] if passing else line), "" if passing else "\n")
        print(line, end=end, file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """A time as one says it: "12 s", "3 min", "1 h 12 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


@contextmanager
def following(path: Path, chapter: str) -> Iterator[Callable[[str], None]]:
    """Tell the lines that a kernel adds to `path`, and its place, which the function given here sets ("cell 3/20")."""
    done, place = threading.Event(), ["starting"]
    thread = threading.Thread(target=_follow, args=(path, chapter, place, done), daemon=True)
    thread.start()
    try:
        yield lambda where: place.__setitem__(0, where)
    finally:
        done.set()
        thread.join()


def _follow(path: Path, chapter: str, place: list[str], done: threading.Event) -> None:
    start = told = time.monotonic()
    quiet = 1.0 if sys.stderr.isatty() else QUIET
    with path.open(encoding="utf-8") as file:
        finished = False
        while not finished:
            finished = done.wait(0.5)
            lines = [f"  {line.rstrip()}" for line in file]
            now = time.monotonic()
            if not lines and now - told >= quiet:
                lines = [f"  {now - start:.0f} s"]
            for line in lines:
                tell(f"{chapter}  {place[0]}{line}", passing=True)
                told = now
