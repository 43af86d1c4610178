"""How far a long computation is, told where somebody looks and nowhere else.

- `PAGS_PROGRESS` names a file (`pags run` sets it for its kernels): a line is added to it every few seconds.
- a live notebook: one line, rewritten in place and blanked at the end.
- a terminal: a bar that vanishes.
- anything else (a log, continuous integration): a plain line on stderr every few seconds.
- a worker process without that file: nothing, because its stderr may belong to a notebook's page.

Nothing here raises because of where it writes: a computation must not die of its progress bar.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
SECONDS = {"file": 3.0, "notebook": 0.5, "log": 5.0}  # between two lines


def bar(iterable: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """The items of `iterable`, while a bar or lines such as `label  37/100  00:12 left` say how far it is."""
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    place = _place()
    if place == "terminal":
        from tqdm import tqdm  # only a terminal needs it

        return iter(tqdm(iterable, desc=label, total=total, leave=False, dynamic_ncols=True))
    return _told(iterable, label, total, place) if place else iter(iterable)


def say(line: str) -> None:
    """Tell the user one line where the bars are shown; in a notebook it goes when the cell is done."""
    place = _place()
    if place == "terminal":
        from tqdm import tqdm  # writes above a bar that is being drawn

        with suppress(OSError, ValueError):
            tqdm.write(line, file=sys.stderr)
    elif place == "notebook":
        show, clear = _notebook()
        show(line)
        _after_cell(clear)
    elif place:
        _lines(place)(line)


def _place() -> str | None:
    if os.environ.get("PAGS_PROGRESS"):
        return "file"
    if multiprocessing.parent_process() is not None:
        return None
    if _shell() is not None:
        return "notebook"
    with suppress(OSError, ValueError, AttributeError):  # stderr is closed, or None under pythonw
        return "terminal" if sys.stderr.isatty() else "log"
    return None


def _shell() -> Any:
    """The IPython shell if a kernel runs us, else None; nothing is imported to find out."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell if hasattr(shell, "kernel") else None


def _told(iterable: Iterable[T], label: str, total: int | None, place: str) -> Iterator[T]:
    show, clear = _notebook() if place == "notebook" else (_lines(place), None)
    start = last = time.monotonic()
    told, done = False, 0
    try:
        for done, item in enumerate(iterable, 1):
            yield item
            now = time.monotonic()
            if now - last >= SECONDS[place]:
                show(_line(label, done, total, now - start))
                told, last = True, now
        if told and not clear:
            show(_line(label, done, done, time.monotonic() - start))
    finally:
        if told and clear:
            clear()


def _line(label: str, done: int, total: int | None, elapsed: float) -> str:
    if not total:
        return f"{label}  {done}  {_clock(elapsed)}"
    if done >= total:
        return f"{label}  {done}/{total}  {_clock(elapsed)} in all"
    return f"{label}  {done}/{total}  {_clock(elapsed / done * (total - done))} left"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"


def _lines(place: str) -> Callable[[str], None]:
    def show(line: str) -> None:
        with suppress(OSError, ValueError, AttributeError):
            if place == "log":
                print(line, file=sys.stderr, flush=True)
            else:  # appended in one write, so that lines of several processes do not mix
                with Path(os.environ["PAGS_PROGRESS"]).open("a", encoding="utf-8") as file:
                    file.write(line + "\n")

    return show


def _notebook() -> tuple[Callable[[str], None], Callable[[], None]]:
    """Two functions, one shows a line in place of the last one and one blanks it."""
    from IPython.display import display

    handle = None

    def show(line: str) -> None:
        nonlocal handle
        with suppress(Exception):  # a kernel that is shutting down
            data = {"text/plain": line} if line else {}  # an empty bundle draws nothing, an empty text an empty box
            if handle is None:
                handle = display(data, raw=True, display_id=True)
            else:
                handle.update(data, raw=True)

    return show, lambda: show("")


def _after_cell(call: Callable[[], None]) -> None:
    events = _shell().events

    def once(*_: object) -> None:
        events.unregister("post_run_cell", once)
        call()

    events.register("post_run_cell", once)
