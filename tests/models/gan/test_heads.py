"""Heads against their formulas, and the inputs of the networks."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
import scipy.stats
from tiny import tiny_images

from jaxgen.data import example_batch
from jaxgen.models import GAN, gan
from jaxgen.models.gan import auxiliary_classifier, mutual_information
from jaxgen.networks.layers.conditional import ConditionalGenerator
from jaxgen.networks.mlp import MLPDiscriminator, MLPGenerator

BATCH = example_batch(tiny_images(), 12)
RNG = np.random.default_rng(0)
REAL, FAKE = RNG.normal(size=(2, 12, 5)).astype(np.float32)
LABELS = RNG.integers(0, 3, 12)
LATENTS = RNG.normal(size=(12, 7)).astype(np.float32)


def cross_entropy(logits, labels):
    return -scipy.special.log_softmax(logits.astype(np.float64), -1)[np.arange(len(labels)), labels]


def test_the_auxiliary_classifier_learns_from_both_and_the_generator_from_its_own():
    head = auxiliary_classifier(weight=0.5)
    both = 0.5 * (cross_entropy(REAL, LABELS) + cross_entropy(FAKE, LABELS))
    np.testing.assert_allclose(head.discriminator(REAL, FAKE, LABELS, LATENTS), both, rtol=1e-5)
    np.testing.assert_allclose(head.generator(FAKE, LABELS, LATENTS), 0.5 * cross_entropy(FAKE, LABELS), rtol=1e-5)


def test_mutual_information_is_the_likelihood_of_the_codes_read_from_generated_images():
    head = mutual_information(3, 2, weight=2.0, uniform_weight=0.3)
    normal = scipy.stats.norm(FAKE[:, 3:]).logpdf(LATENTS[:, -2:]) + 0.5 * np.log(2 * np.pi)
    expected = 2.0 * cross_entropy(FAKE[:, :3], LABELS) - 0.3 * normal.sum(-1)
    np.testing.assert_allclose(head.generator(FAKE, LABELS, LATENTS), expected, rtol=1e-5)
    np.testing.assert_allclose(head.discriminator(REAL, FAKE, LABELS, LATENTS), expected, rtol=1e-5)


class Labeled(nn.Module):
    """A generator whose images show the label, one pixel for each, and a little of the latents."""

    @nn.compact
    def __call__(self, latents, labels, *, train):
        small = 1e-3 * nn.Dense(64)(latents)
        return (jax.nn.one_hot(labels, 64) + small).reshape(-1, 8, 8, 1)


def spec_of(head, generator=None, **options):
    return GAN(
        generator or ConditionalGenerator(MLPGenerator((8, 8, 1), widths=(16,)), 10),
        MLPDiscriminator(widths=(16,), head_outputs=12),
        latent_size=6,
        num_classes=10,
        head=head,
        generator_optimizer=optax.adam(1e-2),
        discriminator_optimizer=optax.adam(1e-2),
        **options,
    )


@pytest.mark.parametrize("steps", [None, 1])
def test_the_head_learns_to_read_a_code_that_was_drawn(steps):
    spec = spec_of(mutual_information(10, 2), Labeled(), discriminator_steps=steps)
    model = spec.model()
    state = model.init(jax.random.key(0), BATCH)
    step = jax.jit(model.train_step)
    for i in range(150):
        state, _ = step(state, BATCH, jax.random.key(i))
    codes = model.condition.of_samples(40)
    images = model.sample(state, jax.random.key(0), 40, condition=codes)
    read = gan.read_head(spec, state, images)
    chex.assert_shape(read, (40, 12))
    assert np.mean(np.argmax(read[:, :10], -1) == np.asarray(codes)) > 0.7


def test_the_last_latents_are_uniform_where_a_head_wants_them_so():
    model = spec_of(mutual_information(10, 2)).model()
    assert model.latents.code_dimensions == (4, 5)
    latents = np.asarray(model.latents.prior(jax.random.key(0), 2000))
    assert scipy.stats.kstest(latents[:, 0], "norm").pvalue > 1e-3
    for column in latents[:, -2:].T:
        assert scipy.stats.kstest(column, scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-3


@pytest.mark.slow
def test_codes_are_drawn_and_labels_are_those_of_the_batch():
    only_threes = {**BATCH, "label": jnp.full((12,), 3, jnp.int32)}
    seen = {}
    for name, head in (("drawn", mutual_information(10, 2)), ("given", auxiliary_classifier())):
        noted = []

        def note(generated, labels, latents, head=head, noted=noted):
            jax.debug.callback(lambda x: noted.append(np.asarray(x)), labels)
            return head.generator(generated[:, :10] if head.draws_labels is False else generated, labels, latents)

        def on_both(real, generated, labels, latents, head=head):
            if not head.draws_labels:
                real, generated = real[:, :10], generated[:, :10]
            return head.discriminator(real, generated, labels, latents)

        model = spec_of(head._replace(generator=note, discriminator=on_both)).model()
        jax.block_until_ready(model.train_step(model.init(jax.random.key(0), BATCH), only_threes, jax.random.key(1)))
        seen[name] = noted[0]
    assert set(seen["given"].tolist()) == {3}
    assert len(set(seen["drawn"].tolist())) > 3
