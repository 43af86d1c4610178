"""Checks of plain JSON against the schemas that lie in this package."""

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema.exceptions import best_match


def complaint(value: Any, schema: str) -> str | None:
    """The place and the reason why `value` is not what the named schema asks for, or None."""
    error = best_match(_validator(schema).iter_errors(value))
    if error is None:
        return None
    place = ".".join(map(str, error.absolute_path))
    return f"{place}: {error.message}" if place else error.message


@functools.cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(Path(__file__).with_name(schema).read_text(encoding="utf-8")))
