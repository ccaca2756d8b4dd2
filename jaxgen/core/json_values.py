"""JSON values checked against Python's annotations: a value from a file is used only if it has the declared type.

This is for files of a fixed form. The options in a config.json, which also have ranges, are checked against the
experiment's own by `jaxgen.core.options.check_options`.
"""

import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

from jaxgen.core import files
from jaxgen.core.errors import UserError

T = TypeVar("T")
LONGEST_SHOWN = 60


def read_json(path: Path, check: Callable[[object], None], remedy: str = "restore it, or start a new run") -> Any:
    """Return the content of a JSON file, checked.

    Args:
      check: function that raises `ValueError` for content that is not valid.

    Raises:
      UserError: the file cannot be read, or is damaged.
    """
    try:
        value = json.loads(files.read_bytes(path).decode())
        check(value)
    except RecursionError as error:
        raise UserError(f"{path} is damaged (too many brackets): {remedy}.") from error
    except ValueError as error:
        reason = "it is no UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise UserError(f"{path} is damaged ({reason}): {remedy}.") from error
    return value


def from_json(value: object, annotation: type[T]) -> T:
    """Return a JSON value that must have the type of an annotation; lists become tuples for tuple types.

    Args:
      annotation: int, float, str, None, tuple[T, U], list[T], dict[str, T] or a union of these. Any accepts every
        value.

    Raises:
      ValueError: the value has another type; the message continues the value's name.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return _one_of(value, arguments)
    if origin is tuple:
        return _tuple(value, arguments)
    if origin is list:
        return _list_of(value, arguments[0])
    if origin is dict:
        return _mapping(value, arguments[1])
    return _plain(value, annotation)


def shown(value: object) -> str:
    """Return a value as text for a message: short, and without control characters."""
    text = ascii(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


_NAMES = {int: "a whole number", float: "a number", str: "text", type(None): "null"}


def _wrong(value: object, expected: str) -> ValueError:
    return ValueError(f"is {shown(value)}, not {expected}")


def _plain(value: object, annotation: Any) -> Any:
    if annotation is Any:
        return value
    kinds = (int, float) if annotation is float else annotation
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise _wrong(value, _NAMES[annotation])
    return value


def _one_of(value: object, annotations: tuple[type, ...]) -> Any:
    reasons = []
    for annotation in annotations:
        try:
            return from_json(value, annotation)
        except ValueError as error:
            if annotation is not type(None):
                reasons.append(str(error))
    raise ValueError(reasons[0])


def _list(value: object) -> Any:
    if not isinstance(value, list):
        raise _wrong(value, "a list")
    return value


def _list_of(value: object, kind: type) -> Any:
    return [from_json(x, kind) for x in _list(value)]


def _tuple(value: object, kinds: tuple[type, ...]) -> Any:
    if len(_list(value)) != len(kinds):
        raise _wrong(value, f"a list of {len(kinds)}")
    return tuple(from_json(x, kind) for x, kind in zip(_list(value), kinds, strict=True))


def _mapping(value: object, kind: type) -> Any:
    if not isinstance(value, dict):
        raise _wrong(value, "an object")
    return {name: from_json(x, kind) for name, x in value.items()}
