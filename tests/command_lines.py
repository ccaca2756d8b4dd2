"""Command lines called in this process, and what a refusal looks like."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import tiny_experiment
from PIL import Image

from jaxgen.__main__ import run as jaxgen
from jaxgen.runs.experiment import Experiment, run
from jaxgen.runs.experiment_loading import load_experiment

TINY = tiny_experiment.EXPERIMENT


def call(function, *arguments):
    """(exit code, stdout, stderr) of a command line, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = function(*arguments)
        except SystemExit as stop:  # tyro's, for flags it does not know
            code = stop.code
    return code, out.getvalue(), err.getvalue()


def train(*options, experiment=TINY):
    return call(run, experiment, [str(option) for option in options])


def command(*arguments):
    return call(jaxgen, [str(argument) for argument in arguments])


def assert_refused(result, words, code=2):
    """One sentence on the error stream that matches `words`, and the exit code for bad input."""
    actual, _, err = result
    assert actual == code, result
    assert re.fullmatch(r"error: [^\n]*\.\n", err), err
    assert re.search(words, err), err


def tiles(path, rows, columns, side=28):
    """The images [rows, columns, side, side] of a picture that has just this grid, as `image_grid` makes it."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    shape = rows * (side + 2) + 2, columns * (side + 2) + 2
    scale = max(1, round(512 / max(shape)))
    assert pixels.shape == (shape[0] * scale, shape[1] * scale)
    pixels = pixels[::scale, ::scale]
    starts = [[(2 + 30 * row, 2 + 30 * column) for column in range(columns)] for row in range(rows)]
    return np.array([[pixels[top : top + side, left : left + side] for top, left in line] for line in starts])


def classifier_experiment(path: Path) -> Experiment:
    """Writes the tiny experiment with a classifier in place of its GAN to a file, and loads it."""
    text = Path(tiny_experiment.__file__).read_text()
    for old, new in (
        ("from jaxgen.models import GAN", "from jaxgen.models import GAN, Classifier"),
        (
            'Streamed(images) if config.streamed else {"image": images}, {"image": images[:21]})',
            '{"image": images, "label": np.arange(50) % 10}, assets={"class_names": list("0123456789")})',
        ),
        ("from jaxgen.networks", "from jaxgen.networks.classifier import ConvClassifier\nfrom jaxgen.networks"),
        (
            "return GAN(",
            "return Classifier(ConvClassifier(10, (4,), 8), optimizer=optax.sgd(0.1)).model()\n    return GAN(",
        ),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    path.write_text(text)
    return load_experiment(None, path)
