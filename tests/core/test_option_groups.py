"""Options in groups: where each is found by its name alone, and in which order help shows them."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import pytest

from jaxgen import TrainConfig
from jaxgen.core import option_groups
from jaxgen.core.errors import UserError
from jaxgen.core.option_parsing import parse_options
from jaxgen.core.options import Count, Size, check_options
from jaxgen.runs.experiment_loading import all_experiments
from jaxgen.training.config import SHOWN_FIRST, SHOWN_LAST


@dataclass(frozen=True)
class NetworkOptions:
    """The network."""

    width: Size = 64
    """Channels of the first layer."""
    dropout: float = 0.0
    """Dropout rate."""


@dataclass(frozen=True)
class Config(TrainConfig):
    """Options of a test."""

    network: NetworkOptions = NetworkOptions()
    own: Count = 3
    """An option that is in no group. Its text takes two lines here, and is one paragraph in the help, which breaks its
    lines where the terminal ends."""


COMMAND = "python -m test        # whatever the terminal's width, a command is one line, to be copied"
DESCRIPTION = f"""A test.

    {COMMAND}

A paragraph of the docstring, {"prose " * 30}
and of two lines.
"""


def parsed(*arguments, default=None):
    shown = {"first": SHOWN_FIRST, "last": SHOWN_LAST}
    return parse_options(Config, arguments, prog="test", description=DESCRIPTION, default=default, **shown)


def test_options_of_all_groups_are_known_by_name():
    assert option_groups.places(Config)["width"] == "network"
    assert option_groups.places(Config)["own"] is None
    values = option_groups.values(Config())
    assert (values["steps"], values["width"], values["own"]) == (10_000, 64, 3)
    assert option_groups.value(Config(), "width") == 64
    assert option_groups.value(Config(), "height", "none") == "none"


def test_replace_gives_other_values_in_whichever_group_and_leaves_the_others():
    config = Config().replace(steps=5, width=8, own=4, run_dir=Path("x"))
    assert config == Config(
        run=replace(Config().run, steps=5, run_dir=Path("x")), network=NetworkOptions(width=8), own=4
    )
    assert Config() == Config().replace()  # nothing was changed in place


def test_replace_takes_groups_too():
    config = Config().replace(width=8, network=NetworkOptions(width=4, dropout=0.5))
    assert config.network == NetworkOptions(width=8, dropout=0.5)


def test_values_given_in_python_are_those_of_a_command_line():
    config = Config().replace(run_dir="x", steps=np.int64(5), dropout=np.float64(0.5))
    assert config == Config().replace(run_dir=Path("x"), steps=5, dropout=0.5)
    assert (type(config.run.steps), type(config.network.dropout)) == (int, float)
    with pytest.raises(UserError, match=r"^--run-dir must be a path, not ''\.$"):
        check_options(Config().replace(run_dir=""))


def test_a_name_that_is_no_option_is_refused_with_the_nearest_one():
    with pytest.raises(TypeError, match=r"Config has no option 'widht' \(did you mean width\?\)"):
        Config().replace(widht=8)


def test_an_option_declared_in_two_groups_is_refused():
    @dataclass(frozen=True)
    class Twice(TrainConfig):
        steps: int = 5

    said = r"^Twice declares the option steps twice, in run and in the config: .* Twice\(\)\.replace\(steps=\.\.\.\)\.$"
    for use in (lambda: Twice().replace(seed=1), lambda: parse_options(Twice, [], prog="test", description="")):
        with pytest.raises(UserError, match=said):
            use()


def test_a_group_in_a_group_is_refused():
    @dataclass(frozen=True)
    class Outer:
        inner: NetworkOptions = NetworkOptions()

    @dataclass(frozen=True)
    class Nested(TrainConfig):
        outer: Outer = Outer()

    with pytest.raises(
        UserError, match="the group outer of Nested, has a group in it, inner: make that a field of Nested"
    ):
        option_groups.values(Nested())


def test_a_field_that_is_computed_is_no_option():
    @dataclass(frozen=True)
    class Computed(TrainConfig):
        half: int = field(init=False, default=0)

        def __post_init__(self):
            object.__setattr__(self, "half", self.run.steps // 2)

    config = parse_options(Computed, ["--steps", "6"], prog="test", description="", default=Computed())
    assert config.half == 3
    assert "half" not in option_groups.values(config)


def test_a_command_line_knows_no_groups_and_its_default_holds_where_nothing_is_given():
    default = Config().replace(width=16, steps=7)
    config = parsed("--dropout", "0.5", "--seed", "3", "--own", "9", default=default)
    assert type(config) is Config
    assert config == default.replace(dropout=0.5, seed=3, own=9)


def test_ranges_hold_in_groups():
    with pytest.raises(UserError, match=r"^--width must be at least 1, not 0\.$"):
        check_options(Config().replace(width=0))
    with pytest.raises(UserError, match=r"^--width must be at least 1, not 0\.$"):
        parsed("--width", "0")


def test_help_shows_what_people_change_first_at_the_beginning_and_processes_at_the_end(capsys):
    with pytest.raises(SystemExit):
        parsed("--help")
    text = capsys.readouterr().out
    order = ["--own", "--steps", "--width", "--log-every", "--eval-every", "--devices", "--process-id"]
    places = [text.index(f"{flag} ") for flag in order]
    assert places == sorted(places)
    assert "The network." in text  # what heads its panel


def test_help_breaks_lines_where_the_terminal_ends_and_not_where_the_source_does(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        parsed("--help")
    lines = [line.strip("│ ") for line in capsys.readouterr().out.splitlines()]
    assert "paragraph in the help, which breaks its lines where the terminal ends." in lines


def test_paragraphs_of_a_description_are_broken_at_words_and_commands_are_not(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        parsed("--help")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert COMMAND in lines
    assert all(len(line) <= 60 for line in lines if line != COMMAND)
    assert sum(line.count("prose") for line in lines) == 30


def test_groups_of_the_experiments_are_immutable_and_headed_by_a_sentence():
    for experiment in all_experiments():
        config = experiment.presets["default"]
        for name, group in option_groups.groups(type(config)).items():
            assert group.__doc__.endswith("."), (experiment.name, name)
            assert not group.__doc__.startswith(f"{group.__name__}("), (experiment.name, name)
            with pytest.raises(AttributeError):
                setattr(getattr(config, name), fields(group)[0].name, None)
