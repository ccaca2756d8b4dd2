"""config.json with anything anywhere: refused in one sentence, or opened; never a traceback."""

import copy
import json
from pathlib import Path

import pytest

from jaxgen.core.errors import UserError
from jaxgen.runs.experiment_loading import load_experiment
from jaxgen.runs.opened_run import open_run
from jaxgen.training import run_folder
from jaxgen.training.config import config_to_json

ODD = [..., None, True, -1, 2**31, 1e400, float("nan"), "", "\x1b[31m", [], {}, [None], {"a": None}, ["x"] * 3, [[1]]]
"""What takes the place of a value; `...`: nothing, it is left out."""


def record_of(name, assets, batch, kind="image", **options):
    """What a run of an experiment of the package would have recorded."""
    experiment = load_experiment(f"jaxgen.experiments.{name}", None)
    config = experiment.presets["quick"].replace(**options)
    return {
        "experiment": {"name": name, "module": experiment.module, "file": None},
        "config": config_to_json(config),
        "data": {"name": "data", "examples": 3},
        "assets": assets,
        "kind": kind,
        "batch": {key: {"shape": shape, "dtype": dtype} for key, (shape, dtype) in batch.items()},
        "versions": {"jax": "0.10"},
        "machine": {"platform": "cpu", "kind": "cpu", "devices": 1, "cores": 2},
    }


INDEX = {"index": ([], "uint32")}
DIGITS = {"image_shape": [28, 28, 1], "class_names": list("0123456789")}
VOCABULARY = {"kind": "characters", "characters": "\n abcdefgh"}


def gan():
    return record_of("mnist_gan", DIGITS, {"image": ([28, 28, 1], "float32"), **INDEX})


def gpt():
    assets = {"vocabulary": VOCABULARY, "notation": None, "pretrained": None}
    return record_of("kjv_gpt", assets, {"tokens": ([65], "uint8"), **INDEX}, "text")


def captions():
    assets = {"image_shape": [16, 16, 3], "vocabulary": VOCABULARY, "caption_length": 12, "prompts": ["a b", "c d"]}
    assets |= {"data_variance": 0.4, "class_names": ["a"], "style_names": ["a", "b"]}
    batch = {"image": ([16, 16, 3], "float32"), "caption": ([12], "int32"), "captions": ([2, 12], "int32"), **INDEX}
    return record_of("emoji_text_to_image", assets, batch)


def sounds():
    assets = {"sample_rate": 8000, "words": ["one", "two"], "characters": "enotw", "lengths": [10, 12]}
    shapes = {"tokens": ([65], "uint8"), "weights": ([64], "float32"), "characters": ([5], "uint8")}
    batch = {**shapes, **{name: ([], "int32") for name in ("label", "start", "length")}, **INDEX}
    return record_of("spoken_wavenet", assets, batch, "audio")


def two_stages():
    batch = {"image": ([28, 28, 1], "float32"), **INDEX}
    first = record_of("mnist_vq_vae", {**DIGITS, "data_variance": 0.5}, batch)
    kept = {key: first[key] for key in ("experiment", "config", "assets", "kind", "batch")}
    kept |= {"step": 5, "sha256": "0" * 64, "grid_shape": [7, 7], "num_codes": 16}
    return record_of("mnist_vq_vae_prior", {**DIGITS, "first_stage": kept}, batch, first_stage=Path("nowhere"))


def places(value, at=()):
    yield at
    keys = value if isinstance(value, dict) else range(min(2, len(value))) if isinstance(value, list) else ()
    for key in keys:
        yield from places(value[key], (*at, key))


def changed(record, at, odd):
    if not at:
        return odd
    record = inner = copy.deepcopy(record)
    for key in at[:-1]:
        inner = inner[key]
    if odd is ...:
        del inner[at[-1]]
    else:
        inner[at[-1]] = odd
    return record


def mutations(record, step):
    """Every odd value in every place; of these every `step`-th, so that each value and each place has its turn."""
    every = [(at, odd) for at in places(record) for odd in ODD if at or odd is not ...]
    return every[::step]


@pytest.mark.parametrize(
    ("make", "step"),
    [(gan, 17), (gpt, 17), (captions, 23), (sounds, 23), (two_stages, 29)]
    + [pytest.param(make, 1, marks=pytest.mark.slow) for make in (gan, gpt, captions, sounds, two_stages)],
)
def test_an_odd_config_is_refused_in_one_sentence_or_opened(tmp_path, make, step):
    record, path = make(), tmp_path / run_folder.CONFIG
    path.write_text(json.dumps(record))
    assert open_run(tmp_path).experiment.name == record["experiment"]["name"]
    said = [(at, odd, refusal(path, changed(record, at, odd))) for at, odd in mutations(record, step)]
    refused = [(at, odd, text) for at, odd, text in said if text is not None]
    assert [case for case in refused if not (case[2].isprintable() and case[2].endswith("."))] == []
    assert len(refused) > len(said) / 2


def refusal(path, record):
    path.write_text(json.dumps(record))
    try:
        open_run(path.parent)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("at", "odd", "words"),
    [
        (("experiment", "module"), 5, r"experiment\.module is 5, not text"),
        (("assets", "image_shape"), [28, 28], r"assets\.image_shape has 2 entries"),
        (("assets", "image_shape"), [28, 28, 0], r"assets\.image_shape is 0, not between 1"),
        (("assets", "image_shape"), [2**20, 2**20, 1], r"assets\.image_shape .* more than"),
        (("assets", "class_names"), "0123456789", r"assets\.class_names is '0123456789', not a list"),
        (("batch", "image", "shape"), [2**30], r"batch is \[1073741824\], more than"),
        (("batch", "image", "dtype"), "object", r"batch has the dtype 'object'"),
        (("config", "steps"), "many", r"--steps must be a whole number, not 'many'"),
        (("config", "steps"), -1, r"--steps must be at least 1, not -1"),
        (("versions",), {"jax": 1}, r"versions is 1, not text"),
    ],
)
def test_what_is_wrong_with_a_config_is_said(tmp_path, at, odd, words):
    (tmp_path / run_folder.CONFIG).write_text(json.dumps(changed(gan(), at, odd)))
    with pytest.raises(UserError, match=words):
        open_run(tmp_path)
