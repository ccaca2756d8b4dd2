"""The presets of the experiments with autoencoders, by their shapes alone: nothing is computed."""

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.core.errors import UserError
from jaxgen.data import load
from jaxgen.experiments import (
    _vq_vae,
    emoji_vq_vae,
    mnist_adversarial_autoencoder,
    mnist_autoencoder,
    mnist_vae_gan,
    mnist_vq_vae,
    mnist_vq_vae_prior,
)

ASSETS = {"mnist": {"image_shape": [28, 28, 1], "data_variance": 0.4, "class_names": list("0123456789")}}
ASSETS["emoji"] = {"image_shape": [32, 32, 3], "data_variance": 0.3}
DATA = {
    mnist_autoencoder: "mnist",
    mnist_adversarial_autoencoder: "mnist",
    mnist_vae_gan: "mnist",
    mnist_vq_vae: "mnist",
    emoji_vq_vae: "emoji",
}


def shapes_of(module, preset, **options):
    """(state, metrics, samples [3, ...]) of a preset with other options."""
    config = module.EXPERIMENT.presets[preset].replace(**options)
    assets = ASSETS[DATA[module]]
    model = module.EXPERIMENT.build_model(config, assets)
    batch = {"image": jnp.zeros((4, *assets["image_shape"])), "index": jnp.arange(4)}

    def run(key):
        state, metrics = model.train_step(model.init(key, batch), batch, key)
        return state, metrics, model.sample(state, key, 3)

    return jax.eval_shape(run, jax.random.key(0))


@pytest.mark.parametrize("preset", ["quick", "default", "full"])
@pytest.mark.parametrize("module", DATA, ids=lambda module: module.EXPERIMENT.name)
def test_presets_train_and_sample_images_of_their_data(module, preset):
    state, metrics, samples = shapes_of(module, preset)
    chex.assert_shape(samples, (3, *ASSETS[DATA[module]]["image_shape"]))
    assert set(state.params) == {name.split("/")[0] for name in metrics}


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared_error", "discretised_logistic"])
@pytest.mark.parametrize("module", [mnist_vq_vae, emoji_vq_vae], ids=lambda module: module.EXPERIMENT.name)
def test_vq_vaes_take_every_likelihood(module, likelihood):
    _, metrics, samples = shapes_of(module, "quick", likelihood=likelihood)
    chex.assert_shape(samples, (3, *ASSETS[DATA[module]]["image_shape"]))
    assert ("vq_vae/bits_per_dimension" in metrics) == (likelihood == "discretised_logistic")


def test_the_full_vq_vae_of_emoji_has_the_papers_sizes():
    state, *_ = shapes_of(emoji_vq_vae, "full")
    chex.assert_shape(state.model_state["codebook"]["codes"], (512, 64))
    block = 9 * 256**2 + 256 + 256**2 + 256
    encoder = (16 * 3 * 256 + 256) + (16 * 256**2 + 256) + 2 * block + (256 * 64 + 64)
    assert sum(math.prod(x.shape) for x in jax.tree.leaves(state.params["vq_vae"]["encoder"])) == encoder


def test_the_variance_of_the_data_is_that_of_its_scaled_pixels():
    data = emoji_vq_vae.EXPERIMENT.load_data(emoji_vq_vae.DEFAULT)
    images = load("emoji").train["image"].astype(np.float64) / 127.5 - 1
    assert data.assets["data_variance"] == pytest.approx(images.var(), rel=1e-6)


def test_images_that_cannot_be_halved_twice_are_refused():
    with pytest.raises(UserError, match="multiples of 4, not 30x30"):
        _vq_vae.build_vq_vae(mnist_vq_vae.DEFAULT, {"image_shape": [30, 30, 1]})


def test_a_prior_needs_a_first_stage():
    with pytest.raises(UserError, match="--first-stage RUN"):
        mnist_vq_vae_prior.load_data(mnist_vq_vae_prior.DEFAULT)
