"""JSON values held against Python's annotations: what a file says is used only where it has the type that is meant."""

import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from jaxgen import files
from jaxgen.errors import UserError

LONGEST_SHOWN = 60


def read_json(path: Path, check: Callable[[Any], None], remedy: str = "restore it, or start a new run") -> Any:
    """Return what a JSON file holds, checked.

    Args:
      check: raises `ValueError` for what must not be there.

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


def from_json(value: Any, annotation: Any) -> Any:
    """Return a JSON value as the type of an annotation: lists as tuples where tuples are meant, text as paths.

    Args:
      annotation: int, float, bool, str, Path, None, Literal[...], tuple[T, ...], list[T], dict[str, T], unions of
        these, and Annotated[T, ...]. Any takes every value.

    Raises:
      ValueError: the value has another type, or is none of the choices; the message goes on after the value's name.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return from_json(value, arguments[0])
    if origin in (Union, types.UnionType):
        return _one_of(value, arguments)
    if origin is Literal:
        if not any(type(value) is type(choice) and value == choice for choice in arguments):
            raise ValueError(f"is {shown(value)}, not one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        return _tuple(value, arguments)
    if origin is list:
        return list(_tuple(value, (*arguments, ...)))
    if origin is dict:
        return _mapping(value, arguments[1])
    return _plain(value, annotation)


def shown(value: Any) -> str:
    """Return a value as text for a message: short, and without control characters."""
    text = ascii(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path", list: "a list"}


def _wrong(value: Any, expected: str) -> ValueError:
    return ValueError(f"is {shown(value)}, not {expected}")


def _plain(value: Any, annotation: Any) -> Any:
    if annotation is Any:
        return value
    if annotation in (None, type(None)):
        if value is not None:
            raise _wrong(value, "null")
        return None
    if annotation is Path:
        if not isinstance(value, str) or "\0" in value:
            raise _wrong(value, _NAMES[Path])
        return Path(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        bool: isinstance(value, bool),
        int: is_number and isinstance(value, int),
        float: is_number,
        str: isinstance(value, str),
    }
    if annotation not in fits:  # a type of a user's own: what JSON made of it is all there is to go by
        return value
    if not fits[annotation]:
        raise _wrong(value, _NAMES[annotation])
    return value


def _one_of(value: Any, annotations: tuple[Any, ...]) -> Any:
    reasons = []
    for annotation in annotations:
        try:
            return from_json(value, annotation)
        except ValueError as error:
            if annotation is not type(None):
                reasons.append(str(error))
    raise ValueError(reasons[0])


def _tuple(value: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _wrong(value, _NAMES[list])
    if arguments[-1:] == (...,):
        kinds = arguments[:1] * len(value)
    elif len(value) != len(arguments):
        raise _wrong(value, f"a list of {len(arguments)}")
    else:
        kinds = arguments
    return tuple(from_json(x, kind) for x, kind in zip(value, kinds, strict=True))


def _mapping(value: Any, kind: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(value, "an object")
    return {name: from_json(x, kind) for name, x in value.items()}
