"""A run that goes on with a user's own pictures: `--init-from RUN --data FOLDER`."""

import json

import chex
import numpy as np
import pytest
from command_lines import train
from PIL import Image

from jaxgen.experiments import emoji_sngan
from jaxgen.runs.opened_run import open_run, restore_run

OPTIONS = ("--preset", "quick", "--devices", 1, "--generator-width", 4, "--discriminator-width", 4, "--batch-size", 4)
STILL = ("--generator-learning-rate", 1e-9, "--discriminator-learning-rate", 1e-9, "--steps", 1)


@pytest.mark.slow
def test_the_weights_of_a_run_go_on_with_the_pictures_of_a_folder(here):
    rng = np.random.default_rng(0)
    (here / "mine").mkdir()
    for i in range(12):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(here / "mine" / f"{i}.png")
    assert train(*OPTIONS, "--steps", 2, experiment=emoji_sngan.EXPERIMENT)[0] == 0
    first = here / "runs/emoji_sngan/001"
    options = ("--init-from", first, "--data", "mine", "--seed", 1)
    options += ("--eval-metrics", "kid", "--eval-samples", 4, "--best-metric", "eval/kid")
    code, _, err = train(*OPTIONS, *STILL, *options, experiment=emoji_sngan.EXPERIMENT)
    assert code == 0, err
    second = here / "runs/emoji_sngan/002"
    assert (second / "checkpoints_best/1").is_dir()
    record = json.loads((second / "config.json").read_text())
    assert record["config"]["init_from"] == str(first)
    assert record["data"]["examples"] == 12
    before, after = (restore_run(open_run(run)) for run in (first, second))
    assert int(after.step) == 1
    chex.assert_trees_all_close(after.params, before.params, atol=1e-8)
