"""Options: what is refused, what may change on resume, and their way through JSON."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from jaxgen.core import option_groups
from jaxgen.core.errors import UserError
from jaxgen.experiments import mnist_vae
from jaxgen.runs.experiment import parse
from jaxgen.runs.experiment_loading import all_experiments
from jaxgen.training import config as config_module
from jaxgen.training.config import TrainConfig, config_from_json, config_to_json, option, refuse_changes, validate


@dataclass(frozen=True)
class Config(TrainConfig):
    widths: tuple[int, ...] = (1, 2)
    data_dir: Path | None = None
    rate: float = 0.1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("batch_size", 0),
        ("batch_size", -4),
        ("steps_per_dispatch", 0),
        ("checkpoint_every", -1),
        ("keep_checkpoints", 0),
        ("keep_checkpoint_every", 0),
        ("log_every", -1),
        ("sample_every", -1),
        ("eval_every", -1),
        ("seed", -1),
        ("seed", 2**32),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(UserError, match=rf"^{option(name)} must be .*{value}\.$"):
        validate(TrainConfig().replace(**{name: value}))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 2**20, "batch_size": 2**12}, "--steps .* --batch-size"),
        ({"resume": True, "overwrite": True}, "--resume and --overwrite"),
        ({"resume": True, "init_from": Path("x")}, "--resume .* --init-from"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options, words):
    with pytest.raises(UserError, match=words):
        validate(TrainConfig().replace(**options))


def test_the_defaults_and_every_preset_are_valid():
    validate(TrainConfig())
    for experiment in all_experiments():
        assert {"quick", "default", "full"} <= set(experiment.presets), experiment.name
        for preset in experiment.presets.values():
            validate(preset)


def test_every_option_of_every_experiment_has_help():
    for experiment in all_experiments():
        cls = type(experiment.presets["default"])
        import tyro

        flat = (tyro.conf.OmitArgPrefixes,)
        parser = tyro.extras.get_parser(cls, default=experiment.presets["default"], config=flat)
        text = parser.format_help()
        for name in option_groups.places(cls):
            assert option(name) in text, name


def test_a_config_survives_json():
    config = Config(widths=(3, 4, 5), data_dir=Path("c"))
    config = config.replace(run_dir=Path("a/b"), keep_checkpoint_every=7, wandb="p")
    text = json.dumps(config_to_json(config))
    assert config_from_json(Config(), json.loads(text)) == config
    assert config_from_json(Config(), json.loads(json.dumps(config_to_json(Config())))) == Config()


def test_a_field_that_is_missing_keeps_its_default():
    values = config_to_json(Config())
    del values["rate"]
    assert config_from_json(Config(), values).rate == 0.1


def test_an_unknown_field_is_refused_by_name():
    with pytest.raises(UserError, match=r"here.json .*colour"):
        config_from_json(Config(), {"colour": 1}, "here.json")


def test_every_option_either_may_change_or_is_refused():
    other = {
        "steps": 5,
        "init_from": Path("z"),
        "run_dir": Path("x"),
        "data_dir": Path("y"),
        "widths": (9,),
        "preset": "quick",
    }
    old = Config()
    for name, value in option_groups.values(old).items():
        if name in other:
            changed = other[name]
        elif isinstance(value, bool):
            changed = not value
        else:
            changed = "auto" if value is None else 3 if isinstance(value, int) else "min"
        new = old.replace(**{name: changed})
        if name in config_module.MAY_CHANGE_ON_RESUME:
            refuse_changes(old, new)
        else:
            with pytest.raises(UserError) as refused:
                refuse_changes(old, new)
            assert f"{option(name)} (was {value}, now {changed})" in str(refused.value)


def test_what_decides_the_bits_may_not_change():
    decisive = {"seed", "batch_size", "deterministic", "widths", "rate"}
    assert not decisive & config_module.MAY_CHANGE_ON_RESUME


def test_options_of_earlier_names_are_read_and_typed():
    read = config_from_json(mnist_vae.DEFAULT, {"optimiser": "adamax", "binarisation": "fixed"})
    typed = parse(mnist_vae.EXPERIMENT, ["--optimiser", "adamax", "--binarisation", "fixed"])
    for config in (read, typed):
        assert (config.optimizer.optimizer, config.data.binarization) == ("adamax", "fixed")
