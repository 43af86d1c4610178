"""How a setting is written: once, with its values in all presets side by side.

A template is a frozen dataclass in whose fields, at any depth, stand columns where the presets differ:
`Schedule(epochs=sizes(4, 12, 50), batch=64, lr=1e-3)`. `at` makes of it the plain configuration of one preset.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Annotated, Any, NamedTuple

from pags import PRESETS


class Range(NamedTuple):
    """Where the values of a field lie, both ends included."""

    least: float
    most: float


Share = Annotated[float, Range(0, 1)]  # the type of a field that is a share or a probability


@dataclass(frozen=True)
class Column:
    """One value for each of PRESETS; a value may itself be a template."""

    values: tuple[Any, ...]


def sizes(*values: Any) -> Any:
    """A setting's values, one for each of PRESETS in their order: the papers' own stands last."""
    if len(values) != len(PRESETS):
        raise ValueError(f"sizes{values}: write one value for each of {', '.join(PRESETS)}")
    return Column(values)


def vary(template: Any, /, **changes: Any) -> Any:
    """The template with other values in some fields; a dict changes a part: `vary(net, schedule={"epochs": 8})`."""
    if isinstance(template, Column):
        return Column(tuple(vary(value, **changes) for value in template.values))
    parts = {name: vary(getattr(template, name), **new) for name, new in changes.items() if isinstance(new, dict)}
    return replace(template, **(changes | parts))


def at(template: Any, preset: str) -> Any:
    """The template at one preset: of its own type, with plain values at every depth."""
    if isinstance(template, Column):
        return at(template.values[PRESETS.index(preset)], preset)
    if isinstance(template, tuple):
        return tuple(at(item, preset) for item in template)
    if is_dataclass(template) and not isinstance(template, type):
        values = {field.name: at(getattr(template, field.name), preset) for field in fields(template)}
        return replace(template, **values)
    return template
