"""Odd values of every option of every command: an exit code and words, never a traceback and never a file."""

import contextlib
import importlib
import os
from dataclasses import fields

import pytest
from command_lines import command
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from properties import DEADLINE

from jaxgen.__main__ import COMMANDS
from jaxgen.commands import _options
from jaxgen.core.errors import UserError
from jaxgen.core.options import option

NAMED: dict[str, list[str]] = {name: [] for name in sorted(COMMANDS) if name not in ("list", "train")}
NAMED |= {"latent": ["manifold"], "styles": ["mixing"], "project": ["a.png"], "restore": ["a.png"]}
NAMED |= {"translate": ["a.png"], "stylize": ["a.png"], "augment": ["--num", "2", "--out", "a.npz"]}
NAMED |= {"export": ["--out", "a.stablehlo"], "compare": ["runs/other"]}
"""What else a command needs beside RUN, which comes first."""

OPTIONS = [
    (name, option(field.name))
    for name in NAMED
    for field in fields(importlib.import_module(f"jaxgen.commands.{name}").Options)
    if field.name not in ("run", "runs", "what", "image", "images", "content", "style")
]
ODD = [
    "",
    " ",
    "0",
    "-1",
    "1.5",
    "1e400",
    "nan",
    "-inf",
    str(2**31),
    str(2**32),
    str(-(2**63)),
    "9" * 5000,
    "None",
    "True",
]
ODD += [
    "\x1b[31mred",
    "a\nb",
    "a\0b",
    "\udcff",
    "\u202eabc",
    "é" * 300,
    "x" * 5000,
    "[/x]",
    "[bold]",
    "--",
    "-",
    "..",
    "/",
]
ODD += [
    "/dev/null",
    "nowhere",
    "nowhere/x.png",
    "x" * 300 + ".png",
    "~",
    "$HOME",
    "%s",
    "{0}",
    "','",
    "fid,,kid",
    "last",
    "-5",
]
values = st.sampled_from(ODD) | st.integers().map(str) | st.floats().map(repr) | st.text(max_size=20)


@pytest.fixture
def closed(here, monkeypatch):
    """A folder in which every run is refused when it is opened, so that only the command line is looked at."""

    def refuse(*arguments, **options):
        raise UserError("This run is not opened.")

    monkeypatch.setattr(_options, "open_run", refuse)
    return here


def check(name, *arguments):
    """What the command line `jaxgen NAME ARGUMENTS` must do, where nothing can come of it."""
    code, out, err = command(name, *arguments)
    assert code == 2, (code, out, err)
    assert "\x1b" not in out + err
    assert "Traceback" not in err
    if err.startswith("error: "):
        assert err.count("\n") == 1, err
    assert os.listdir() == [], os.listdir()


@settings(max_examples=60, deadline=DEADLINE, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.sampled_from(OPTIONS), values)
@example(("sample", "--seed"), "4294967296")
@example(("sample", "--num"), "0")
@example(("augment", "--num"), "2147483648")
@example(("evaluate", "--num-samples"), "0")
def test_odd_values_of_an_option_end_with_code_2(closed, which, value):
    name, flag = which
    check(name, "nowhere", *NAMED[name], flag, value)


@pytest.mark.slow
@settings(max_examples=3_000, deadline=DEADLINE, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(OPTIONS), st.sampled_from(OPTIONS), values, values)
def test_odd_values_of_two_options_end_with_code_2(closed, one, other, first, second):
    name = one[0]
    check(name, "nowhere", *NAMED[name], one[1], first, *([other[1], second] if other[0] == name else []))


@pytest.mark.parametrize(
    "words", [[""], ["sample", ""], ["sample", "x" * 5000], ["sample", "a\0b"], ["sample", "\udcff"]]
)
def test_odd_runs_and_commands_end_with_code_2(here, words):
    check(*words)


def test_a_file_in_place_of_a_run_is_refused(here):
    (here / "run").write_text("")
    code, _, err = command("info", "run")
    assert (code, err.count("\n")) == (2, 1)
    assert "run" in err
    with contextlib.suppress(FileNotFoundError):
        os.unlink("run")
    assert os.listdir() == []
