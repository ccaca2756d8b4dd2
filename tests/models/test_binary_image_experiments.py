"""The experiments with autoregressive models of binary images: shapes, data, and what is said of bad options."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import tiny_images

from jaxgen import UserError
from jaxgen.experiments import _digits, mnist_made, mnist_pixelcnn
from jaxgen.training.config import validate

ASSETS = {"image_shape": [28, 28, 1], "class_names": [str(digit) for digit in range(10)]}
every_experiment = pytest.mark.parametrize("module", [mnist_made, mnist_pixelcnn], ids=lambda m: m.EXPERIMENT.name)


def model_of(module, preset="quick", **options):
    config = module.EXPERIMENT.presets[preset].replace(**options)
    return module.EXPERIMENT.build_model(config, ASSETS)


def parameters(module, preset="quick", **options):
    """How many there are, by tracing only; that an evaluation and a sample can be traced is part of it."""
    model = model_of(module, preset, **options)
    batch = {"image": jnp.zeros((2, 28, 28, 1)), "label": jnp.zeros(2, jnp.int32), "index": jnp.arange(2)}

    def run(key):
        state, metrics = model.train_step(model.init(key, batch), batch, key)
        return state, metrics, model.eval_step(state, batch, key), model.sample(state, key, 3)

    state, metrics, evaluated, samples = jax.eval_shape(run, jax.random.key(0))
    chex.assert_shape(samples, (3, 28, 28, 1))
    assert module.DEFAULT.evaluation.best_metric.removeprefix("eval/") in evaluated
    assert metrics.keys() == evaluated.keys()
    return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(state.params))


@every_experiment
def test_the_default_network_is_larger_than_the_quick_one_or_trains_longer(module):
    quick, default = module.EXPERIMENT.presets["quick"], module.EXPERIMENT.presets["default"]
    assert parameters(module, "default") >= parameters(module, "quick")
    assert quick.run.steps < default.run.steps


def test_made_has_the_layers_that_are_named():
    plain = 784 * 20 + 20 + 20 * 784 + 784
    assert parameters(mnist_made, widths=(20,), direct=False) == plain
    assert parameters(mnist_made, widths=(20,), direct=True) == plain + 784 * 784
    assert parameters(mnist_made, widths=(20, 30), direct=False) == 784 * 20 + 20 + 20 * 30 + 30 + 30 * 784 + 784
    assert parameters(mnist_made, widths=(20,), direct=False, conditional=True) == plain + 10 * 20


def test_a_conditional_pixelcnn_has_a_bias_for_each_class_and_stack():
    plain = parameters(mnist_pixelcnn, width=8, layers=3)
    assert parameters(mnist_pixelcnn, width=8, layers=3, conditional=True) == plain + 3 * 2 * 10 * 16
    model = model_of(mnist_pixelcnn, conditional=True)
    np.testing.assert_array_equal(model.condition.of_samples(12), np.arange(12) % 10)


@every_experiment
def test_training_images_are_gray_or_binary_and_test_images_always_the_same(module, monkeypatch):
    monkeypatch.setattr(_digits, "load", lambda name: tiny_images())
    resampled, fixed = (
        module.EXPERIMENT.load_data(module.DEFAULT.replace(binarization=how, seed=seed))
        for how, seed in (("resampled", 0), ("fixed", 5))
    )
    np.testing.assert_array_equal(resampled.test["image"], fixed.test["image"])  # whatever --seed is
    assert [len(np.unique(split["image"])) == 2 for split in (resampled.train, fixed.train, fixed.test)] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("module", "option", "value"),
    [
        (mnist_made, "widths", ()),
        (mnist_made, "widths", (20, 0)),
        (mnist_made, "degrees_seed", -1),
        (mnist_pixelcnn, "first_reach", 0),
        (mnist_pixelcnn, "reach", -1),
    ],
)
def test_numbers_out_of_range_are_named(module, option, value):
    with pytest.raises(UserError, match="--" + option.replace("_", "-")):
        validate(module.DEFAULT.replace(**{option: value}))
