"""Options: each of every experiment, study and command has a range, which is checked before anything is built."""

import dataclasses
import importlib
import math
import typing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import pytest

from jaxgen.__main__ import COMMANDS
from jaxgen.core.errors import UserError
from jaxgen.core.options import Count, Length, Names, PositiveFloat, Range, Rate, check_options, option, option_types
from jaxgen.runs.experiment_loading import all_experiments, all_studies

ODD = (math.nan, math.inf, -math.inf, 2**31, 2**63, -(2**63), 10**400, 1e-300, 1e300)


@cache
def option_classes():
    """Each dataclass of options by the name of what has it, with the defaults that it is used with."""
    found = {e.name: (type(e.presets["default"]), tuple(e.presets.values())) for e in all_experiments()}
    studies = {study.name: importlib.import_module(f"jaxgen.experiments.{study.name}") for study in all_studies()}
    commands = {
        command: importlib.import_module(f"jaxgen.commands.{command}") for command in COMMANDS if command != "train"
    }
    return found | {name: (module.Options, ()) for name, module in (studies | commands).items()}


def ranges(hint, inside=()):
    """(number type, the ranges that stand on it, those of what it is in) of each number in a type."""
    if typing.get_origin(hint) is Annotated:
        kind, *notes = typing.get_args(hint)
        yield from ranges(kind, (*inside, *(note for note in notes if isinstance(note, Range))))
    elif hint in (int, float):
        yield hint, inside
    elif typing.get_origin(hint) is not Literal:
        for kind in typing.get_args(hint):
            yield from ranges(kind, inside)


def with_defaults(cls):
    """Options of a command, with something in place of those that must be given."""
    given = {"run": Path("x"), "what": "mixing", "num": 1, "out": Path("x"), "image": Path("x"), "images": (Path("x"),)}
    given |= {"content": Path("x"), "style": Path("x")} | ({"what": "scatter"} if "latent" in cls.__module__ else {})
    missing = {f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING}
    return cls(**{name: value for name, value in given.items() if name in missing})


def numbers():
    """(name of a class, class, option, type) of every option that is a number or has numbers in it."""
    for name, (cls, _) in option_classes().items():
        for field, hints in option_types(cls).items():
            if any(True for _ in ranges(hints[-1])):
                yield name, cls, field, hints[-1]


def complaint(cls, value):
    """What `check_options` says of the value of a dataclass's only field, or None."""
    said, (field,) = None, dataclasses.fields(cls)
    try:
        check_options(cls(value))
    except UserError as error:
        said = str(error)
    assert said is None or (said.startswith(f"{option(field.name)} must ") and said[-1] == "." and "\n" not in said)
    return said


def test_every_number_of_every_experiment_study_and_command_has_a_range():
    found = list(numbers())
    assert len(found) > 1_000
    without = [(name, field) for name, _, field, hint in found if not all(inside for _, inside in ranges(hint))]
    assert without == []


def test_no_number_outside_its_range_is_taken():
    different = {repr(hint): (f"{name} {field}", hint) for name, _, field, hint in numbers()}
    assert len(different) > 30
    for name, hint in different.values():
        cls = dataclasses.make_dataclass("One", [("number", hint)])
        for kind, (range_, *_) in ranges(hint):
            step = 1 if kind is int else max(1e-6, abs(range_.low) * 1e-3, abs(range_.high) * 1e-3)
            inside = [*([] if range_.low_open else [range_.low]), *([] if range_.high_open else [range_.high])]
            outside = [range_.low - step, range_.high + step]
            outside += [range_.low] * range_.low_open + [range_.high] * range_.high_open
            for value in (*inside, *outside, *ODD):
                taken = complaint(cls, (value,) if "tuple" in str(hint) else value) is None
                within = range_.low <= value <= range_.high and (kind is float or isinstance(value, int))
                assert taken if value in inside else not taken if value in outside else within >= taken, (name, value)


def test_the_defaults_of_every_preset_and_command_lie_in_their_ranges():
    for cls, presets in option_classes().values():
        for options in presets or (with_defaults(cls),):
            check_options(options)


@dataclass(frozen=True)
class Some:
    count: Count = 5
    rate: Rate | None = None
    sizes: Annotated[tuple[Count, ...], Length(1, 3)] = (1,)
    kind: Literal["a", "b", 4] = "a"
    names: Annotated[str, Names(("fid", "kid"))] = "fid"
    path: Path = Path("x")
    step: PositiveFloat = 1.0
    on: bool = False


@dataclass(frozen=True)
class Other(Some):
    count: int = 9
    step: float | None = 2.0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"count": 0}, "--count must be at least 1, not 0."),
        ({"count": 2**31}, "--count must be at most 1,000,000,000, not 2147483648."),
        ({"count": True}, "--count must be a whole number, not True."),
        ({"count": 1.5}, "--count must be a whole number, not 1.5."),
        ({"count": "5"}, "--count must be a whole number, not '5'."),
        ({"count": None}, "--count must be a whole number, not None."),
        ({"count": 10**5000}, "--count must be at most 1,000,000,000, not a number of thousands of digits."),
        ({"rate": 1.0}, "--rate must be at least 0 and below 1, not 1.0."),
        ({"rate": math.nan}, "--rate must be at least 0 and below 1, not nan."),
        ({"rate": 0.9999999999}, "--rate must be at least 0 and below 1, not 0.9999999999."),  # 1 in float32
        ({"step": 1e-300}, "--step must be above 0, not 1e-300."),  # 0 in float32
        ({"step": -5.0}, "--step must be above 0, not -5.0."),
        ({"step": math.inf}, "--step must be at most 1,000,000,000, not inf."),
        ({"sizes": ()}, "--sizes must be 1 to 3 values, not ()."),
        ({"sizes": (3, 0)}, "--sizes must each be at least 1, not (3, 0)."),
        ({"sizes": 3}, "--sizes must be a list of values, not 3."),
        ({"kind": "c"}, "--kind must be one of a, b, 4, not 'c'."),
        ({"kind": 4.0}, "--kind must be one of a, b, 4, not 4.0."),
        ({"names": "fid,,x"}, "--names must be names with commas between them, of fid, kid, not 'fid,,x'."),
        ({"path": "x"}, "--path must be a path, not 'x'."),
        ({"path": Path("a\0b")}, r"--path must be text in UTF-8 without the character NUL, not 'a\x00b'."),
        ({"names": "\udc80"}, r"--names must be text in UTF-8 without the character NUL, not '\udc80'."),
        ({"on": 1}, "--on must be true or false, not 1."),
    ],
)
@pytest.mark.parametrize("cls", [Some, Other])
def test_one_sentence_names_option_range_and_value(cls, options, sentence):
    with pytest.raises(UserError) as refused:
        check_options(cls(**options))
    assert str(refused.value) == sentence


def test_an_option_declared_again_keeps_the_range_of_its_base():
    check_options(Other(step=None, count=1))  # its type is that of the last declaration
    with pytest.raises(UserError, match="--step must be a number, not None"):
        check_options(Some(step=None))


def test_what_is_in_range_passes():
    check_options(Some(count=10**9, rate=0.0, sizes=(1, 2, 3), kind=4, names="fid, kid", step=1e9))
