"""Artifacts in one file, so that a run which was cut off goes on elsewhere: the key of an artifact knows no machine."""

import re
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pags import artifacts, paths, progress
from pags.errors import PagsError, UsageError
from pags.files import locked, write_atomically

NAME = re.compile(r"\w+-[0-9a-f]{20}\.safetensors")
# Trainings and measures are looked up by the content of what these make; made again on a GPU, that content differs.
NEEDED = {
    f"pags.{name}"
    for name in (
        "vae.fit",
        "generate.fit_labeller",
        "generate.draw",
        "autoencoder.fit",
        "deep_autoencoder.fit",
        "denoise.fit",
    )
}


def pack(path: Path, *, largest: int | None = None, directory: Path | None = None) -> int:
    """Write all whole artifacts of `directory` (build/artifacts), each of at most `largest` bytes, into a tar file.

    Generators, autoencoders and denoisers are in it whatever their size: without them the rest is of no use.
    Returns how many; one that is damaged is left out, and said. An earlier tar file is replaced; UsageError for a file
    that is none. PagsError where there is no artifact, or no space.
    """
    if path.exists() and path.stat().st_size and not (path.is_file() and tarfile.is_tarfile(path)):
        raise UsageError(f"{path} is there and holds no packed artifacts: name another file")
    directory = directory or paths.ARTIFACTS
    found = sorted(directory.glob("*.safetensors"))
    small = [
        file
        for file in found
        if largest is None
        or file.stat().st_size <= largest
        or artifacts.maker(file) in {None, *NEEDED}  # None: it is damaged
    ]
    whole = [file for file in small if artifacts.whole(file)]
    for file in sorted(set(small) - set(whole)):
        progress.say(f"{file} is damaged: left out")
    if not whole:
        if small or not found:
            raise PagsError(f"{directory} has no whole artifact: run a chapter first")
        raise PagsError(f"all {len(found)} artifacts in {directory} are larger than {largest:,} bytes: allow more")

    def write(temporary: Path) -> None:
        with tarfile.open(temporary, "w") as tar:
            for file in whole:
                tar.add(file, file.name)

    write_atomically(path, write)
    return len(whole)


def unpack(path: Path, *, directory: Path | None = None) -> tuple[int, int]:
    """Put the artifacts of a tar file into `directory` (build/artifacts): how many are new, how many were there.

    Nothing is written under another name than an artifact's. PagsError, when all others are in their place, for one
    that is damaged or is none; and for a file that cannot be read.
    """
    directory = directory or paths.ARTIFACTS
    new, refused, there = 0, [], 0
    for name, content in _members(path):
        target = directory / name
        if not NAME.fullmatch(name) or content is None:
            refused.append(name)
            continue
        with locked(target, progress.say, f"another process is making {name}: waiting for it"):
            if artifacts.whole(target):
                there += 1
                continue
            write_atomically(target, partial(Path.write_bytes, data=content))
            if artifacts.whole(target):
                new += 1
            else:
                target.unlink()
                refused.append(name)
    if refused:
        raise PagsError(f"{path}: {len(refused)} of its files are no whole artifacts ({refused[0]!r}): pack it again")
    return new, there


def _members(path: Path) -> Iterator[tuple[str, bytes | None]]:
    """Name and content of everything in a tar file; None for what is no plain file."""
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                yield member.name, None if file is None else file.read()
    except FileNotFoundError:
        raise PagsError(f"{path} does not exist: make it where the artifacts are, with `pags artifacts pack`") from None
    except (tarfile.TarError, EOFError) as error:
        raise PagsError(f"{path} is no tar file, or was cut off: pack it again") from error
