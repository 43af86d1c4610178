"""Cache of what takes long to make: trained models and generated data sets, as safetensors files.

An artifact's key is made of everything that can change it: the maker's configuration, the seed, the kind of device,
the fingerprints of the inputs, torch's version, and the source of the maker with every module that it builds on.
Comments, docstrings and plots are no part of it. A file that does not agree with its own digest is made again. One
process makes; others that want the same wait for it.
"""

import ast
import functools
import hashlib
import importlib.util
import io
import json
import operator
import pickle
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from pags import paths, progress
from pags.errors import PagsError, first_line
from pags.files import locked, reading, write_atomically

CPU = torch.device("cpu")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# These move bytes and make none, or (data) what they make enters the key by its fingerprint: no key holds their source.
MOVERS = {f"pags.{name}" for name in ("artifacts", "data", "errors", "files", "formats", "paths", "progress", "sweep")}
MOVERS.add("pags")  # its version, and the names of the presets
GPU = {"pags.accelerate", "pags.difference", "pags.together"}  # no key of what a CPU makes holds their source
# How a maker fails that was given the state of another training.
UNFIT = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError)


class Artifact(NamedTuple):
    """What a maker returned: tensors (on the CPU), plain JSON, and the key under which it lies."""

    tensors: dict[str, Tensor]
    info: dict[str, Any]
    fingerprint: str


class Checkpoint:
    """The state of a training between two epochs, so that a killed one resumes where it was.

    It is `untried` from when it was loaded until the training, which goes on from there, gives its next state. With
    `ignored` there is nothing to load.
    """

    def __init__(self, path: Path, *, every: float = 20.0, ignored: bool = False) -> None:
        self.path, self.every, self.ignored, self.untried = path, every, ignored, False
        self._last = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """The last saved state with its tensors on the CPU, or None; a damaged one is dropped."""
        if self.ignored:
            return None
        try:
            with reading(self.path):
                digest, _, state = self.path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        if hashlib.sha256(state).hexdigest().encode() == digest:
            self.untried = True
            return torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
        progress.say(f"{self.path.name} is damaged: starting from the beginning")
        self.clear()
        return None

    def save(self, state: dict[str, Any], *, force: bool = False) -> None:
        """Keep `state` (tensors, plain Python), but not more often than every `every` seconds unless `force`."""
        self.untried = False
        if not force and time.monotonic() - self._last < self.every:
            return
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = hashlib.sha256(buffer.getbuffer()).hexdigest().encode() + b"\n" + buffer.getvalue()
        write_atomically(self.path, lambda path: path.write_bytes(content))
        self._last = time.monotonic()

    def clear(self) -> None:
        """Forget the state."""
        self.path.unlink(missing_ok=True)


# What makes an artifact: (config, *inputs, seed=, device=, checkpoint=) -> tensors by name, and a dict of plain JSON.
Maker = Callable[..., tuple[Mapping[str, Tensor], Mapping[str, Any]]]


def cached(
    make: Maker,
    config: Any,
    *inputs: Any,
    seed: int,
    device: torch.device = CPU,
    directory: Path | None = None,
) -> Artifact:
    """What `make(config, *inputs, seed=, device=, checkpoint=)` returns, read from `directory` if it was made before.

    `make` stands at the top of a module and returns tensors and a dict of plain JSON (in which NaN may stand);
    `config` is a dataclass; every input has a `fingerprint`; `directory` is build/artifacts by default. A miss returns
    what was read back from the file, so that it equals a hit in everything. Raises PagsError if the file cannot be
    written.
    """
    directory = directory or paths.ARTIFACTS
    device = torch.device(device)
    recipe = _recipe(make, config, inputs, seed, device)
    path, key = _place(make, recipe, directory), _hash(recipe)
    if found := _read(path, key):
        return found
    _remove_leftovers(directory)
    with locked(path, progress.say, f"another process is making {path.name}: waiting for it"):
        if found := _read(path, key):
            return found
        if path.exists():
            progress.say(f"{path.name} is damaged: making it again")
            path.unlink()
        checkpoint = Checkpoint(path.with_suffix(".checkpoint"))
        with _clock() as seconds:
            tensors, info = _made(make, config, *inputs, seed=seed, device=device, checkpoint=checkpoint)
        _write(path, tensors, info, recipe, seconds=seconds())
        del tensors  # may be gigabytes, and is about to be read back
        checkpoint.clear()
        if found := _read(path, key):
            return found
    raise PagsError(f"{path} was written but cannot be read back: check the disk")


def _made(
    make: Maker, *recipe: Any, checkpoint: Checkpoint, **common: Any
) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
    """What the maker returns; it starts from the beginning if it cannot go on from the checkpoint.

    The checkpoint stays until the new training has one: it need not be what the maker failed of.
    """
    try:
        return make(*recipe, checkpoint=checkpoint, **common)
    except UNFIT as error:
        if not checkpoint.untried or isinstance(error, torch.OutOfMemoryError):
            raise
        why = first_line(error)
        progress.say(f"{checkpoint.path.name} does not fit ({why}): starting from the beginning")
    return make(*recipe, checkpoint=Checkpoint(checkpoint.path, ignored=True), **common)


def ready(
    make: Maker,
    config: Any,
    *inputs: Any,
    seed: int,
    device: torch.device = CPU,
    directory: Path | None = None,
) -> bool:
    """Whether `cached` with these arguments finds a file; that it is whole is seen only when it is read."""
    recipe = _recipe(make, config, inputs, seed, torch.device(device))
    return _place(make, recipe, directory or paths.ARTIFACTS).exists()


def store(
    tensors: Mapping[str, Tensor],
    info: Mapping[str, Any],
    make: Maker,
    config: Any,
    *inputs: Any,
    seed: int,
    device: torch.device = CPU,
    directory: Path | None = None,
    key: str | None = None,
) -> None:
    """Write, for `cached` to find, what `make` would have returned; nothing happens where that lies already.

    With `key`, that of the place where it was made, a PagsError if its code was not the one here.
    """
    recipe = _recipe(make, config, inputs, seed, torch.device(device))
    if key not in (None, _hash(recipe)):
        raise PagsError(f"a worker's {make.__name__} is not the one here: install the same version of pags everywhere")
    path = _place(make, recipe, directory or paths.ARTIFACTS)
    if not path.exists():
        with locked(path, progress.say, f"another process is making {path.name}: waiting for it"):
            if not path.exists():
                _write(path, tensors, info, recipe)


def whole(path: Path) -> bool:
    """Whether the file at `path` is an artifact, of the key in its name and with the content of its own digest."""
    with suppress(OSError, SafetensorError, KeyError, TypeError, ValueError), safe_open(path, framework="pt") as file:
        key = file.metadata()["key"]
        return path.stem.endswith(f"-{key[:20]}") and _read(path, key) is not None
    return False


def seconds(path: Path) -> float:
    """Seconds of a processor that making the artifact at `path` took, without those made on the way.

    0 where that is not known: it was made on another machine, or with others in step.
    """
    with suppress(KeyError, ValueError):
        return float(_metadata(path)["seconds"])
    return 0.0


def maker(path: Path) -> str | None:
    """Module and name of what made the artifact at `path`; None where that cannot be read."""
    with suppress(KeyError, TypeError, ValueError):
        return json.loads(_metadata(path)["recipe"])["maker"]
    return None


def _metadata(path: Path) -> dict[str, str]:
    """What a file says of itself; nothing where it cannot be read."""
    with suppress(OSError, SafetensorError), safe_open(path, framework="pt") as file:
        return file.metadata() or {}
    return {}


_spent = 0.0  # by this process on the artifacts that it has made


@contextmanager
def _clock() -> Iterator[Callable[[], float]]:
    """The seconds of a processor that the block takes, but those of artifacts made within; asked for after its end."""
    global _spent
    before, start = _spent, time.process_time()
    own = 0.0
    yield lambda: own
    whole = time.process_time() - start
    own = whole - (_spent - before)
    _spent = before + whole


# The key


def _place(make: Maker, recipe: dict[str, Any], directory: Path) -> Path:
    return directory / f"{make.__name__}-{_hash(recipe)[:20]}.safetensors"


def _recipe(make: Maker, config: Any, inputs: tuple, seed: int, device: torch.device) -> dict[str, Any]:
    if "<" in make.__qualname__ or make.__module__ == "__main__":
        raise TypeError(f"{make.__module__}.{make.__qualname__} must stand at the top of a module that can be imported")
    if not is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"the configuration of {make.__name__} is a {type(config).__name__}, it must be a dataclass")
    return {
        "maker": f"{make.__module__}.{make.__qualname__}",
        "config": [type(config).__qualname__, asdict(config)],
        "seed": operator.index(seed),
        "device": device.type,
        "torch": torch.__version__,
        "inputs": [one.fingerprint for one in inputs],
        "source": _own_source(make.__module__, device.type),
    }


def _hash(recipe: Any) -> str:
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


@functools.cache
def _own_source(module: str, device: str) -> str:
    """`source_hash` among the sources that this process began with, without what a CPU does not run."""
    known = sources("pags") | sources(module.partition(".")[0])
    if module not in known:
        raise PagsError(f"{module} has no source file: a maker must stand in a module that has one")
    return source_hash(module, run_on(device, known))


def run_on(device: str, sources: Mapping[str, str]) -> dict[str, str]:
    """The sources without those that this kind of device does not run."""
    return {name: text for name, text in sources.items() if device == "cuda" or name not in GPU}


def source_hash(module: str, sources: Mapping[str, str]) -> str:
    """Digest of the code of `module` and of all that it imports among `sources` (name -> text)."""
    return _hash(_code([module], sources))


def digests(modules: Iterable[str], sources: Mapping[str, str]) -> dict[str, str]:
    """A digest each of the code of `modules` and of all that they import among `sources` (name -> text)."""
    return {name: code[:16] for name, code in _code(modules, sources).items()}


def _code(modules: Iterable[str], sources: Mapping[str, str]) -> dict[str, str]:
    """Name -> digest of the code without comments and docstrings, of `modules` and of all that they import."""
    found, waiting = {}, list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            inside = any(other.startswith(f"{name}.") for other in sources)
            found[name], imported = _parsed(sources[name], name if inside else name.rpartition(".")[0])
            run = {part for one in (name, *imported) for part in _with_packages(one)}
            waiting += (run & sources.keys()) - MOVERS
    return found


@functools.lru_cache(maxsize=1024)
def _parsed(text: str, package: str) -> tuple[str, frozenset[str]]:
    """Digest of the code of a module in `package`, and every name that it may import."""
    tree = ast.parse(text)
    imported = frozenset(imports(tree, package))
    return _hash(_written(_undocumented(tree))), imported


def _written(node: Any) -> Any:
    """A tree as plain JSON without empty fields, of which each Python has others: the same on all of them."""
    if isinstance(node, list):
        return [_written(item) for item in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: _written(value) for name, value in ast.iter_fields(node) if value not in (None, [])}
    return [type(node).__name__, fields]


@functools.cache
def sources(package: str) -> dict[str, str]:
    """Name and text of a package's modules, those of packages inside it too, read once.

    A long run keeps the source that it began with.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise PagsError(f"{package} has no source file: a maker must stand in a module that has one")
    if not spec.submodule_search_locations:
        return {package: Path(spec.origin).read_text(encoding="utf-8")}
    root = Path(next(iter(spec.submodule_search_locations)))
    files = {file: file.relative_to(root).with_suffix("").parts for file in root.rglob("*.py")}
    return {
        ".".join([package, *parts]).removesuffix(".__init__"): file.read_text(encoding="utf-8")
        for file, parts in files.items()
    }


def _with_packages(module: str) -> Iterator[str]:
    """The module and the packages around it, whose `__init__` runs before it."""
    while module:
        yield module
        module = module.rpartition(".")[0]


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Every name that an import statement of a module in `package` may mean as a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = package.rsplit(".", node.level - 1)[0] if node.level else ""
            base = ".".join(part for part in (around, node.module) if part)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _undocumented(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


# The file


def _write(
    path: Path, tensors: Mapping[str, Tensor], info: Mapping[str, Any], recipe: dict[str, Any], *, seconds: float = 0.0
) -> None:
    tensors = _separate(tensors)
    text = json.dumps(info)
    metadata = {"key": _hash(recipe), "info": text, "digest": _digest(tensors, text), "recipe": json.dumps(recipe)}
    metadata["seconds"] = f"{seconds:.2f}"

    def write(temporary: Path) -> None:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:  # it hides the system's error number in its message
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]) if number else None, str(error)) from error

    write_atomically(path, write)


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, each dense and with memory of its own, as safetensors wants them."""
    separate, seen = {}, set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().to(CPU).contiguous()
        place = tensor.untyped_storage().data_ptr()
        separate[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return separate


def _read(path: Path, key: str) -> Artifact | None:
    """The artifact, or None if there is none or its file is damaged; PagsError for one that may not be read.

    The tensors are copies: the file is mapped into memory, and one that is cut short later would kill whoever holds it.
    """
    with suppress(FileNotFoundError), reading(path), path.open("rb"):
        pass
    with suppress(OSError, SafetensorError, KeyError, TypeError, ValueError), safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a dict)
        if metadata["key"] == key and metadata["digest"] == _digest(tensors, metadata["info"]):
            return Artifact(tensors, json.loads(metadata["info"]), key)
    return None


def _digest(tensors: Mapping[str, Tensor], info: str) -> str:
    digest = hashlib.sha256(info.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\n{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


# Several processes


def _remove_leftovers(directory: Path) -> None:
    """Delete the temporary files of processes that died; one whose lock is held is being written."""
    for temporary in directory.glob("*.tmp"):
        lock = directory / f"{temporary.name.split('.')[0]}.lock"
        with suppress(Timeout, OSError), FileLock(lock, timeout=0):
            temporary.unlink(missing_ok=True)
