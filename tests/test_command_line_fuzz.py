"""Command lines made at random: each is a valid config or one refusal with code 2, and nothing is built or written."""

import contextlib
import importlib
import io
import os
import typing
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties import DEADLINE

from jaxgen.__main__ import COMMANDS
from jaxgen.core.errors import UserError
from jaxgen.core.option_parsing import parse_options
from jaxgen.core.options import Names, OneOf, Range, check_options, option, option_types
from jaxgen.runs.experiment import parse
from jaxgen.runs.experiment_loading import all_experiments
from jaxgen.training.config import config_from_json, config_to_json, validate

EXPERIMENTS = {experiment.name: experiment for experiment in all_experiments()}
OPTIONS = {
    command: importlib.import_module(f"jaxgen.commands.{command}").Options for command in COMMANDS if command != "train"
}
NUMBERS = [
    "0",
    "1",
    "-1",
    "2147483648",
    "9" * 30,
    "9" * 5_000,
    "1e400",
    "1e-400",
    "nan",
    "-inf",
    "0x10",
    "1_0",
    "１",
    ".5",
]
WORDS = [
    "",
    " ",
    "None",
    "True",
    "auto",
    "fid,,x",
    "r1, r2",
    "a\0b",
    "\udcff",
    "é" * 300,
    "..",
    "~",
    "-",
    "--",
    "--resume",
]
VALUES = st.one_of(
    st.sampled_from(NUMBERS + WORDS),
    st.integers(-(2**70), 2**70).map(str),
    st.floats().map(str),
    st.text(st.characters(codec="utf-8"), max_size=8),
)


def likely(hint):
    """Values as they are typed that a type names: choices, the ends of ranges and what lies just beside them."""
    found = [str(choice) for choice in typing.get_args(hint)] if typing.get_origin(hint) is Literal else []
    for note in getattr(hint, "__metadata__", ()):
        if isinstance(note, Range):
            found += [str(end + step) for end in (note.low, note.high) for step in (-1, 0, 1, 0.5)]
        elif isinstance(note, (Names, OneOf)):
            found += [",".join(note.choices), *note.choices]
    return found + [value for inner in typing.get_args(hint) if inner is not Ellipsis for value in likely(inner)]


def arguments(cls):
    """Up to 6 options of a class, in every spelling, with and without values, and now and then something stray."""

    def of_option(name):
        spellings = st.sampled_from([option(name), f"--{name}", f"--no-{name.replace('_', '-')}"])
        named = likely(option_types(cls)[name][-1])
        value = st.one_of(*([st.sampled_from(named)] * 2 if named else []), VALUES)
        return st.one_of(
            st.builds(lambda flag, value: [flag, value], st.just(option(name)), value),
            st.builds(lambda flag, values: [flag, *values], spellings, st.lists(value, max_size=3)),
            st.builds(lambda flag, value: [f"{flag}={value}"], spellings, value),
            st.just([option(name)]),
        )

    names = list(option_types(cls))
    one = st.sampled_from(names).flatmap(of_option) if names else VALUES.map(lambda value: [value])
    stray = st.sampled_from([[], [], [], [], ["x"], ["x", "y"], ["-"], [""], ["--help"], ["--resume", "--resume"]])
    parts = st.tuples(stray, st.lists(one, min_size=1, max_size=6))
    return parts.map(lambda both: both[0] + [argument for part in both[1] for argument in part])


def outcome(function, *given):
    """What a function that reads options gives, or None where it refuses in the one way or the other."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            return function(*given)
        except UserError as error:
            refusal = str(error)
        except SystemExit as stop:  # tyro's
            refusal, code = "", stop.code
    if refusal:
        assert refusal.isprintable(), refusal
        assert refusal.endswith("."), refusal
    else:
        assert code == (0 if "show this help message" in said.getvalue() else 2)
    return None


def read(experiment, argv):
    config = parse(experiment, argv)
    validate(config)
    return config


def check_experiments(data):
    experiment = EXPERIMENTS[data.draw(st.sampled_from(sorted(EXPERIMENTS)))]
    config = outcome(read, experiment, data.draw(arguments(type(experiment.presets["default"]))))
    if config is not None:
        assert config_from_json(experiment.presets["default"], config_to_json(config)) == config
    assert os.listdir() == []


def check_commands(data):
    command = data.draw(st.sampled_from(sorted(OPTIONS)))
    argv = data.draw(arguments(OPTIONS[command]))
    options = outcome(lambda: parse_options(OPTIONS[command], argv, prog=command, description=""))
    if options is not None:
        check_options(options)
    assert os.listdir() == []


def limits(examples):
    return settings(max_examples=examples, deadline=DEADLINE, suppress_health_check=list(HealthCheck), database=None)


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@limits(15)
@given(st.data())
def test_a_command_line_of_an_experiment_is_a_config_or_a_refusal(data):
    check_experiments(data)


@limits(40)
@given(st.data())
def test_a_command_line_of_a_command_is_understood_or_refused(data):
    check_commands(data)


@pytest.mark.slow
@limits(500)
@given(st.data())
def test_many_command_lines_of_experiments(data):
    check_experiments(data)


@pytest.mark.slow
@limits(500)
@given(st.data())
def test_many_command_lines_of_commands(data):
    check_commands(data)
