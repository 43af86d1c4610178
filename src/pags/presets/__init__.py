"""Every number of every chapter: one file a chapter, each setting once with its values in all presets side by side.

quick: embedded strokes, two cores, minutes. standard: real data at reduced budgets, hours on two cores or less on a
GPU. gpu: the papers' data sets and architectures, schedules cut to nine minutes on one H100, as `pags.book.estimate`
reckons, for chapter 04 three times that. paper: the papers' settings as far as their texts and released code give them;
a cluster.
"""

import dataclasses
import difflib
import typing
from dataclasses import replace
from typing import Any

from pags import PRESETS, attribution, classify, preset_named
from pags.errors import UsageError
from pags.presets.blockmnist import BlockMnist
from pags.presets.columns import Range, at
from pags.presets.diffroar import Roar
from pags.presets.exact_score import KnownScore
from pags.presets.fractions import Fractions
from pags.presets.generation import Generation
from pags.presets.laboratory import Laboratory
from pags.presets.off_manifold import OffManifold
from pags.presets.theory import LeakageTheory, ManifoldTheory, RobustnessTheory, Theory

# What an override may say, beyond its type: some settings are names, few counts may be zero, none is astronomic.
CHOICES = {
    "net": tuple(classify.NETS),
    "methods": tuple(attribution.METHODS),
    "source": ("strokes", "generated"),
}
MAY_BE_ZERO = {"drops", "looks"}
LARGEST = 10**12

TEMPLATES = {
    "01_theory_checks": Theory(),
    "01a_robustness_theory": RobustnessTheory(),
    "01b_manifold_theory": ManifoldTheory(),
    "01d_leakage_theory": LeakageTheory(),
    "02_mnist32_generation": Generation(),
    "03_tangent_fractions": Fractions(),
    "04_off_manifold_robustness": OffManifold(),
    "05_blockmnist": BlockMnist(),
    "06_diffroar": Roar(),
    "07_exact_score": KnownScore(),
    "08_laboratory": Laboratory(),
}
CHAPTERS = {chapter: {name: at(template, name) for name in PRESETS} for chapter, template in TEMPLATES.items()}


def get(chapter: str, name: str, overrides: dict[str, Any] | None = None) -> Any:
    """The preset of a chapter, with `overrides` by dotted name ("manifold.vae.beta": 4). Raises UsageError."""
    if chapter not in CHAPTERS:
        raise UsageError(f"unknown chapter {chapter!r}: write one of {', '.join(CHAPTERS)}")
    preset_named(name)
    if overrides is not None and not isinstance(overrides, dict):
        raise UsageError(f"overrides {overrides!r}: write a dict from field to value")
    config = CHAPTERS[chapter][name]
    for field, value in (overrides or {}).items():
        config = _replaced(config, str(field), str(field).split("."), value)
        if value in ([], ()) and all(flat(columns)[str(field)] for columns in CHAPTERS[chapter].values()):
            raise UsageError(f"{field} = []: write one value at least")
    return config


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """The fields of a nested dataclass by dotted name."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        name = prefix + field.name
        values |= flat(value, f"{name}.") if dataclasses.is_dataclass(value) else {name: value}
    return values


def table(chapter: str) -> list[dict[str, Any]]:
    """One row per field of a chapter: its dotted name, and its value in each preset."""
    columns = {name: flat(config) for name, config in CHAPTERS[chapter].items()}
    return [{"field": field} | {name: columns[name][field] for name in PRESETS} for field in columns["quick"]]


def _replaced(config: Any, whole: str, path: list[str], value: Any) -> Any:
    """`config` with the field at the dotted path set to `value`, checked; `whole` is what the user wrote."""
    hints = typing.get_type_hints(type(config), include_extras=True)
    head, *rest = path
    if head not in hints or (rest and not dataclasses.is_dataclass(hints[head])):
        there = flat(config, whole.removesuffix(".".join(path)))
        near = [name for name in there if name.endswith(f".{whole}")]
        near = near or difflib.get_close_matches(whole, there, n=8, cutoff=0.5) or list(there)
        some = near if len(near) <= 20 else ["those in the table of settings near the end of the chapter"]
        raise UsageError(f"unknown setting {whole!r}: write one of {', '.join(some)}")
    if rest:
        return replace(config, **{head: _replaced(getattr(config, head), whole, rest, value)})
    return replace(config, **{head: _checked(hints[head], whole, value)})


def _checked(kind: Any, name: str, value: Any) -> Any:
    """`value` as a `kind` (int, float, bool, str, a tuple of one of them, or one of them or None), or a UsageError.

    A float may carry a `Range`, as a `Share` does.
    """
    inside = None
    if typing.get_origin(kind) is typing.Annotated:
        kind, inside = typing.get_args(kind)
    if type(None) in typing.get_args(kind):
        (some,) = set(typing.get_args(kind)) - {type(None)}
        return None if value is None else _checked(some, name, value)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise UsageError(f"{name} = {value!r}: write a list of {_word(kind)}")
        return tuple(_checked(typing.get_args(kind)[0], name, item) for item in value)
    if dataclasses.is_dataclass(kind):
        fields = ", ".join(f"{name}.{field.name}" for field in dataclasses.fields(kind))
        raise UsageError(f"{name} is a group of settings: write one of {fields}")
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise UsageError(f"{name} = {value!r}: write {_word(kind)}")
    field = name.rpartition(".")[2]
    if field in CHOICES and value not in CHOICES[field]:
        raise UsageError(f"{name} = {value!r}: write one of {', '.join(CHOICES[field])}")
    least, most = inside or Range(1 if kind is int and field not in MAY_BE_ZERO else 0, LARGEST)
    if kind in (int, float) and not least <= value <= most:
        raise UsageError(f"{name} = {value!r}: write {_word(kind)} from {least} to {most}")
    return kind(value)


def _word(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) is tuple:
        (item, *_) = typing.get_args(kind)
        return {"a whole number": "whole numbers", "a number": "numbers", "a name": "names"}[_word(item)]
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a name"}[kind]
