"""Types of options: ranges declared in an option's type, all checked here.

An option's type states its range, `steps: Count = 10_000`, and `check_options` checks a whole dataclass against its
types: an experiment's config, a command's options, or the values of a config.json.
"""

import dataclasses
import functools
import inspect
import math
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypeVar, Union, cast, runtime_checkable

import numpy as np
import tyro

from jaxgen.core import option_groups
from jaxgen.core.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")

_NOT_FINITE = "be a finite number"
_MEANT_AS_BOUND = 1_000
"""A `high` of at least this is only a bound of arithmetic and memory; it is mentioned only if a number exceeds it."""


@runtime_checkable
class Check(Protocol):
    """An annotation that may follow a type in `Annotated`."""

    def wrong(self, value: Any) -> str | None:
        """Return what `value` must be but is not, to follow "must" in a sentence; None if it is valid."""


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`; an open end is excluded, as is any number that float32 rounds to it."""

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False

    def wrong(self, value: float) -> str | None:
        if not self._above_low(value):
            return f"be {self}"
        if self._below_high(value):
            return None
        return f"be at most {self.high:,}" if self.high >= _MEANT_AS_BOUND else f"be {self}"

    def __str__(self) -> str:
        low = f"{'above' if self.low_open else 'at least'} {self.low:,}"
        if self.high >= _MEANT_AS_BOUND:
            return low if self.low > -_MEANT_AS_BOUND else "a finite number"
        if self.low_open or self.high_open:
            return f"{low} and {'below' if self.high_open else 'at most'} {self.high:,}"
        return f"between {self.low:,} and {self.high:,}"

    def _above_low(self, value: float) -> bool:
        return self.low <= value and (not self.low_open or _in_float32(value) > self.low)

    def _below_high(self, value: float) -> bool:
        return value <= self.high and (not self.high_open or _in_float32(value) < self.high)


def _in_float32(value: float) -> float:
    """Return `value` as float32 represents it; subnormal numbers become 0, as on most devices."""
    limits = np.finfo(np.float32)
    if not abs(value) <= float(limits.max):
        return math.inf if value > 0 else -math.inf
    return 0.0 if abs(value) < limits.tiny else float(np.float32(value))


@dataclass(frozen=True)
class Length:
    """Tuples of `low` to `high` items."""

    low: int
    high: int

    def wrong(self, value: Sequence[object]) -> str | None:
        if self.low <= len(value) <= self.high:
            return None
        return f"be {self.low}{f' to {self.high}' if self.low < self.high else ''} values"


@dataclass(frozen=True)
class Like:
    """Text that a regular expression matches as a whole, and the description of it."""

    pattern: str
    said: str

    def wrong(self, value: str) -> str | None:
        return None if re.fullmatch(self.pattern, value, re.DOTALL) else self.said


@dataclass(frozen=True)
class OneOf:
    """One of several names, for cases where `Literal` does not work."""

    choices: tuple[str, ...]

    def wrong(self, value: str) -> str | None:
        between = "; " if any("," in name for name in self.choices) else ", "
        return None if value in self.choices else f"be one of {between.join(self.choices)}"


@dataclass(frozen=True)
class Names:
    """One or more of several names, separated by commas."""

    choices: tuple[str, ...]

    def wrong(self, value: str) -> str | None:
        names = [name.strip() for name in value.split(",")]
        if set(names) <= set(self.choices):
            return None
        return f"be names with commas between them, of {', '.join(self.choices)}"


def within(low: float, high: float, **ends: bool) -> tuple[Range, object]:
    """Return a range, and its words in --help, for `Annotated[int, *within(2, 16)]`."""
    range_ = Range(low, high, **ends)
    return range_, tyro.conf.arg(help_behavior_hint=lambda default: f"(default: {default}; {range_})")


def formerly(name: str) -> object:
    """Return the annotation that keeps the option's name in earlier versions valid on command lines."""
    return tyro.conf.arg(aliases=[f"--{name.replace('_', '-')}"])


_LARGE = 10**9  # well within int32, even with a little added

Count = Annotated[int, *within(1, _LARGE)]
"""A number of steps, examples or samples, at least 1."""
CountFromZero = Annotated[int, *within(0, _LARGE)]
"""A number that may be 0; an index; an interval in steps, where 0 is never."""
Seed = Annotated[int, *within(0, 2**32 - 1)]
"""A seed; jax uses 32 bits of it."""
Size = Annotated[int, *within(1, 2**16)]
"""A width of a network, or its number of heads."""
Widths = Annotated[tuple[Size, ...], Length(0, 64)]
"""The widths of several layers. Empty: no such layers."""
Depth = Annotated[int, *within(1, 1_000)]
"""A number of layers or blocks."""
DepthFromZero = Annotated[int, *within(0, 1_000)]
"""A number of layers or blocks that may be 0."""
ImageSize = Annotated[int, *within(1, 2**15)]
"""The side of images in pixels."""
Probability = Annotated[float, *within(0, 1)]
"""A probability or share, including 0 and 1."""
Rate = Annotated[float, *within(0, 1, high_open=True)]
"""A decay of averages, Adam's betas, a dropout rate: 1 would keep or drop everything."""
PositiveFloat = Annotated[float, *within(0, _LARGE, low_open=True)]
"""A learning rate, a temperature, a scale."""
NonNegativeFloat = Annotated[float, *within(0, _LARGE)]
"""A weight of a loss; 0 disables the loss."""
Text = Annotated[str, Like(".+", "have at least one character")]
"""A nonempty name."""
Number = Annotated[float, *within(-_LARGE, _LARGE)]
"""Any number that float32 computes with."""


def option(name: str) -> str:
    """Return the command-line spelling of a field: `batch_size` -> `--batch-size`."""
    return "--" + name.replace("_", "-")


def check_options(options: "DataclassInstance", where: str = "") -> None:
    """Refuse values that do not have the types and ranges declared by a dataclass.

    Args:
      where: beginning of the message, such as the file that holds the values.

    Raises:
      UserError: a value is not valid; the sentence names the option, its range and the value.
    """
    for name, hints in option_types(type(options)).items():
        value = option_groups.value(options, name)
        wrongs = (_wrong(hint, value) for hint in reversed(hints) if value is not None or hint is hints[0])
        if (wrong := next((wrong for wrong in wrongs if wrong is not None), None)) is not None:
            positional = tyro.conf.Positional in getattr(hints[0], "__metadata__", ())
            flag = name.upper() if positional else option(name)
            raise UserError(f"{where}{': ' if where else ''}{flag} must {wrong}, not {_shown(value)}.")


@functools.cache
def option_types(cls: type) -> Mapping[str, Sequence[object]]:
    """Return the types of a dataclass's options, including those of its groups, by name, with their annotations.

    If a class redeclares an option of its base to change the default, it need not repeat the range: its own type is
    then followed by that of the base.
    """
    option_groups.places(cls)  # raises if a name occurs twice
    types: dict[str, Sequence[object]] = {}
    for name, own in _own_types(cls).items():
        group = option_groups.groups(cls).get(name)
        types |= {name: own} if group is None else option_types(group)
    return types


def _own_types(cls: type) -> dict[str, list[object]]:
    declared: dict[str, list[object]] = {field.name: [] for field in option_groups.given_fields(cls)}
    for base in cls.__mro__:
        hints = typing.get_type_hints(base, include_extras=True) if dataclasses.is_dataclass(base) else {}
        for name in declared.keys() & inspect.get_annotations(base).keys():
            if not any(map(_has_check, declared[name])) and (not declared[name] or _has_check(hints[name])):
                declared[name].append(hints[name])
    return declared


def _has_check(hint: object) -> bool:
    arguments = typing.get_args(hint)
    return any(map(_has_check, arguments)) or any(isinstance(x, Check) for x in getattr(hint, "__metadata__", ()))


def _wrong(hint: object, value: object) -> str | None:
    """Return what a value must be, to follow "must"; None: it is valid."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        kind, *notes = arguments
        wrong = _wrong(kind, value)
        if wrong in (None, _NOT_FINITE):  # a range says more about these
            wrongs = (note.wrong(value) for note in notes if isinstance(note, Check))
            wrong = next((said for said in wrongs if said is not None), wrong)
        return wrong
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        wrongs = [_wrong(kind, value) for kind in arguments if kind is not type(None)]
        said = [wrong for wrong in wrongs if wrong is not None]
        return " or ".join(said) if len(said) == len(wrongs) else None
    if origin is Literal:
        is_one = any(value == one and type(value) is type(one) for one in arguments)
        return None if is_one else f"be one of {', '.join(map(str, arguments))}"
    if origin is tuple:
        return _wrong_items(arguments, value)
    return _wrong_plain(hint, value)


def _wrong_items(kinds: tuple[object, ...], value: object) -> str | None:
    if not isinstance(value, tuple):
        return "be a list of values"
    if kinds[-1] is not Ellipsis and len(kinds) != len(value):
        return f"be {len(kinds)} values"
    kinds = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
    wrongs = (_wrong(kind, item) for kind, item in zip(kinds, value, strict=True))
    return next((f"each {wrong}" for wrong in wrongs if wrong is not None), None)


def _wrong_plain(kind: object, value: object) -> str | None:
    if kind is bool:
        return None if isinstance(value, bool) else "be true or false"
    if kind is int:
        return None if isinstance(value, Integral) and not isinstance(value, bool) else "be a whole number"
    if kind is float:
        if not isinstance(value, Real) or isinstance(value, bool):
            return "be a number"
        return None if abs(_in_float32(cast(float, value))) < math.inf else _NOT_FINITE
    if kind is str or kind is Path:
        if not isinstance(value, str if kind is str else Path):
            return f"be {'text' if kind is str else 'a path'}"
        encodable = "\0" not in str(value) and not any("\ud800" <= letter <= "\udfff" for letter in str(value))
        return None if encodable else "be text in UTF-8 without the character NUL"
    return None


def _shown(value: object) -> str:
    """Return a value as it appears at the end of a sentence: short, on one line."""
    try:
        text = str(value) if isinstance(value, Real | tuple) or value is None else repr(str(value))
    except ValueError:  # an int of more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:60]}..."
