"""Scores of samples while a model is trained."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import tiny_config
from tiny import tiny_classifier, tiny_images, tiny_mlp_gan

from jaxgen import GenerativeModel, UserError, train
from jaxgen.core.model import Condition
from jaxgen.core.state import create_state, sum_and_count
from jaxgen.data import example_batch, load
from jaxgen.metrics.extractors import load_extractor
from jaxgen.metrics.image_scores import ImageScorer
from jaxgen.metrics.image_source import of_array, of_split
from jaxgen.samples.numbered import BLOCK_SIZE, draw_conditions, draw_samples, sample_source
from jaxgen.samples.scores import build_sample_scores
from jaxgen.training import checkpoint, run_folder
from jaxgen.training.parallel import device_mesh, replicate

pytestmark = pytest.mark.slow


def fading_digits():
    """A model whose samples are digits that get darker with every step: its scores get worse."""
    digits = jnp.asarray(load("mnist").train["image"][:2_000]) / 127.5 - 1.0

    def init(key, batch):
        return create_state(key, {"nothing": jnp.zeros(())}, {})

    def train_step(state, batch, key):
        params = {"nothing": state.params["nothing"] + 1.0}
        return state.replace(step=state.step + 1, params=params), {"model/loss": sum_and_count(batch["index"])}

    def sample(state, key, num_samples, *, condition=None):
        chosen = digits[jax.random.randint(key, (num_samples,), 0, len(digits))]
        return (chosen + 1.0) * 0.8**state.step - 1.0

    def eval_step(state, batch, key):
        return {"model/loss": sum_and_count(batch["index"])}

    return GenerativeModel(init, train_step, eval_step, sample)


def test_samples_are_scored_at_each_evaluation_and_the_best_step_is_kept(tmp_path):
    config = tiny_config(
        tmp_path / "run",
        **{"steps": 3, "eval_every": 1, "eval_metrics": "fid,score", "eval_samples": 300, "sample_every": 0},
        **{"best_metric": "eval/fid", "best_is": "min"},
    )
    train(fading_digits(), load("mnist"), config)
    lines = [line for line in run_folder.read_metrics(tmp_path / "run") if "eval/fid" in line]
    distances = [line["eval/fid"] for line in lines]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert distances == sorted(distances)
    assert distances[2] > 1.5 * distances[0]
    assert all(1.0 <= line["eval/score"] <= 10.0 for line in lines)
    assert checkpoint.steps_on_disk(tmp_path / "run" / "checkpoints_best") == [1]


def test_the_score_is_that_of_the_same_samples_against_held_out_images():
    model, data = fading_digits(), load("mnist")
    state = model.init(jax.random.key(0), {})
    values = build_sample_scores(model, data, "kid", num_samples=150, seed=3)(state)
    samples = of_array(draw_samples(model, state, num=150, seed=3), "samples")
    real = of_split(data, data.test, "real", at_most=150, seed=3)
    scorer = ImageScorer(real, load_extractor("mnist"), ["kid"])
    assert values == pytest.approx(scorer.score(samples))


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (fading_digits, {"eval_metrics": "beauty"}, "--eval-metrics must be names .* not 'beauty'"),
        (tiny_classifier, {"eval_metrics": "fid"}, "this model does not make"),
        (fading_digits, {"eval_metrics": "labels"}, "labels needs a model that is given classes"),
        (fading_digits, {"eval_metrics": "kid", "best_metric": "eval/fid"}, "eval/fid is not among .*eval/kid"),
        (fading_digits, {"eval_samples": 1}, "--eval-samples must be at least 2"),
        (fading_digits, {"eval_metrics": "fid"}, "too few images for --eval-metrics fid: .* no more than the 1,280"),
    ],
)
def test_scores_that_cannot_be_made_are_refused_before_the_run(tmp_path, model, options, words):
    with pytest.raises(UserError, match=words):
        train(model(), tiny_images(), tiny_config(tmp_path / "run", **options))
    assert not (tmp_path / "run").exists()


def test_a_single_image_to_compare_with_is_refused_before_the_run(tmp_path):
    data = tiny_images()
    one = dataclasses.replace(data, train={name: values[:1] for name, values in data.train.items()}, test=None)
    with pytest.raises(UserError, match="2 images or more"):
        train(fading_digits(), one, tiny_config(tmp_path / "run", batch_size=1, eval_metrics="kid"))
    assert not (tmp_path / "run").exists()


def test_a_source_of_samples_gives_each_by_its_number():
    model = fading_digits()
    state = model.init(jax.random.key(0), {})
    source = sample_source(model, state, num=600, seed=1, name="samples")
    whole = source.read(0, 600)
    chex.assert_shape(whole, (600, *source.shape))
    assert whole.dtype == np.uint8
    np.testing.assert_array_equal(source.read(240, 510), whole[240:510])
    assert draw_conditions(model, 3) is None


def test_the_same_samples_come_from_a_state_on_one_device_and_on_eight():
    model = tiny_mlp_gan()
    state = jax.jit(model.init)(jax.random.key(0), example_batch(tiny_images(), 2))
    one, eight = (
        draw_samples(model, replicate(device_mesh(devices), state), num=3, seed=2**32 - 1) for devices in (1, 8)
    )
    np.testing.assert_allclose(one, eight, atol=1e-6)
    key = jax.random.fold_in(jax.random.key(2**32 - 1), 0)
    np.testing.assert_allclose(one, model.sample(state, key, BLOCK_SIZE)[:3], atol=1e-6)


def test_samples_have_every_class_in_turn_however_many_classes_there_are():
    def sample(state, key, num_samples, *, condition=None):
        return jnp.broadcast_to((condition / 500.0)[:, None, None, None], (num_samples, 2, 2, 1))

    model = fading_digits()._replace(sample=sample, condition=Condition("class", lambda num: jnp.arange(num) % 300))
    samples = draw_samples(model, {}, num=620, seed=0)
    np.testing.assert_allclose(samples[:, 0, 0, 0] * 500.0, np.arange(620) % 300, atol=1e-3)
    np.testing.assert_array_equal(draw_conditions(model, 620), np.arange(620) % 300)
