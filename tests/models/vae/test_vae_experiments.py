"""The experiments with variational autoencoders: the sizes of every preset, and what is said of bad options."""

import itertools

import jax
import numpy as np
import pytest
from tiny import tiny_images

from jaxgen import UserError
from jaxgen.experiments import (
    _digits,
    _vae,
    mnist_beta_vae,
    mnist_conditional_vae,
    mnist_hamiltonian_vae,
    mnist_hierarchical_vae,
    mnist_iwae,
    mnist_vae,
)
from jaxgen.training.config import validate

ASSETS = {"image_shape": [28, 28, 1], "class_names": [str(digit) for digit in range(10)]}


def dense(*widths):
    return sum((a + 1) * b for a, b in itertools.pairwise(widths))


def parameters(module, **options):
    """How many there are, by tracing only; that an evaluation and a sample can be traced is part of it."""
    preset = options.pop("preset", "default")
    config = module.EXPERIMENT.presets[preset].replace(**options)
    model = module.EXPERIMENT.build_model(config, ASSETS)
    images = jax.ShapeDtypeStruct((2, 28, 28, 1), np.float32)
    batch = {
        "image": images,
        "label": jax.ShapeDtypeStruct((2,), np.int32),
        "index": jax.ShapeDtypeStruct((2,), np.uint32),
    }
    key = jax.random.key(0)
    state = jax.eval_shape(model.init, key, batch)
    assert jax.eval_shape(lambda state: model.sample(state, key, 3), state).shape == (3, 28, 28, 1)
    jax.eval_shape(model.train_step, state, batch, key)
    return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(state.params))


@pytest.mark.parametrize(
    ("module", "preset", "count"),
    [
        (mnist_vae, "default", dense(784, 500, 40) + dense(20, 500, 784)),
        (mnist_vae, "full", dense(784, 400, 80) + dense(40, 400, 784)),
        (mnist_beta_vae, "default", dense(784, 500, 20) + dense(10, 500, 784)),
        (mnist_conditional_vae, "default", 10 * 784 + dense(2 * 784, 500, 40) + dense(30, 500, 784)),
        (mnist_iwae, "full", dense(784, 200, 200, 100) + dense(50, 200, 200, 784)),
        (mnist_hamiltonian_vae, "full", dense(784, 300, 128) + dense(64, 300, 784)),
    ],
)
def test_networks_have_the_sizes_that_are_named(module, preset, count):
    assert parameters(module, preset=preset) == count


def test_a_flow_and_other_likelihoods_change_the_networks_ends():
    plain = parameters(mnist_vae)
    assert parameters(mnist_vae, likelihood="gaussian") == plain + 501 * 784
    assert parameters(mnist_vae, likelihood="discretised_logistic") == plain + 501 * 784
    read = 501 * _vae.CONTEXT_SIZE
    assert parameters(mnist_vae, flow="planar", flow_layers=3) == plain + read + dense(_vae.CONTEXT_SIZE, 3 * 41)
    made = dense(20, 64, 40) + _vae.CONTEXT_SIZE * 64
    assert parameters(mnist_vae, flow="iaf", flow_layers=2) == plain + read + 2 * made


def test_a_convolutional_vae_has_the_networks_of_a_dcgan():
    encoder = 25 * (32 + 32 * 64) + 32 + 64 + dense(7 * 7 * 64, 40)
    norms = 2 * (128 + 64 + 32)
    decoder = 20 * 7 * 7 * 128 + 25 * (128 * 64 + 64 * 32 + 32) + 1 + norms
    assert parameters(mnist_vae, network="dcgan") == encoder + decoder


def test_a_ladder_of_fewer_layers_is_smaller():
    counts = [parameters(mnist_hierarchical_vae, layers=layers) for layers in (1, 2, 5)]
    assert counts == sorted(counts)
    plain = parameters(mnist_hierarchical_vae, layers=1, batch_norm=False)
    assert plain == dense(784, 512, 512, 128) + dense(64, 512, 512, 784)


def test_the_learning_rate_falls_at_its_steps():
    config = mnist_vae.DEFAULT.replace(decay_at=(2, 4), decay_factor=0.1)
    optimizer = _vae.bound_fields(config.model, config.optimizer, {})["optimizer"]
    params = np.ones(1, np.float32)
    state, moves = optimizer.init(params), []
    for _ in range(6):
        updates, state = optimizer.update(params, state)
        moves.append(-float(updates[0]))
    np.testing.assert_allclose(moves, np.array([1, 1, 0.1, 0.1, 0.01, 0.01]) * 1e-3, rtol=1e-4)


def test_data_are_made_binary_only_for_binary_pixels(monkeypatch):
    monkeypatch.setattr(_digits, "load", lambda name: tiny_images())
    resampled, fixed, gray = (
        mnist_vae.EXPERIMENT.load_data(mnist_vae.DEFAULT.replace(**options))
        for options in ({}, {"binarization": "fixed", "seed": 5}, {"likelihood": "gaussian"})
    )
    np.testing.assert_array_equal(resampled.test["image"], fixed.test["image"])  # whatever --seed is
    assert [len(np.unique(data.train["image"])) == 2 for data in (resampled, fixed, gray)] == [False, True, False]
    assert [len(np.unique(data.test["image"])) == 2 for data in (resampled, fixed, gray)] == [True, True, False]


@pytest.mark.parametrize(
    ("module", "option", "value"),
    [
        (mnist_iwae, "importance_samples", 0),
        (mnist_vae, "eval_importance_samples", 0),
        (mnist_beta_vae, "beta", -1.0),
        (mnist_hamiltonian_vae, "leapfrog_steps", 0),
        (mnist_hamiltonian_vae, "leapfrog_step_size", 0.0),
        (mnist_hamiltonian_vae, "leapfrog_step_size", -0.1),
        (mnist_hierarchical_vae, "layers", 6),
    ],
)
def test_numbers_out_of_range_are_named(module, option, value):
    config = module.DEFAULT.replace(**{option: value})
    with pytest.raises(UserError, match="--" + option.replace("_", "-")):
        validate(config)
