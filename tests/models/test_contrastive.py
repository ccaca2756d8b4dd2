"""The contrastive loss against its definition, pair by pair, in NumPy."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
from tiny import tiny_captioned, tiny_contrastive

from jaxgen.data import example_batch
from jaxgen.models.contrastive import Contrastive, pair_losses
from jaxgen.training.parallel import device_mesh, per_device, split_over_devices


def unit(rng, count, size):
    vectors = rng.normal(size=(count, size))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def by_definition(images, texts, scale, names):
    """1/2 (-log softmax over texts - log softmax over images), averaged over the pairs of the same name."""
    scores = scale * images @ texts.T
    losses = np.zeros(len(images))
    for i in range(len(images)):
        same = [j for j in range(len(images)) if tuple(names[i]) == tuple(names[j])]
        to_texts, to_images = scipy.special.log_softmax(scores[i]), scipy.special.log_softmax(scores[:, i])
        losses[i] = -0.5 * np.mean([to_texts[j] + to_images[j] for j in same])
    return losses


@pytest.mark.parametrize("repeated", [False, True])
def test_the_loss_is_symmetric_infonce_and_pairs_of_one_name_are_no_negatives(repeated):
    rng = np.random.default_rng(0)
    images, texts = unit(rng, 8, 5), unit(rng, 8, 5)
    names = np.arange(8)[:, None] // (2 if repeated else 1) + np.array([0, 3])
    losses, image_hits, text_hits = pair_losses(*map(jnp.asarray, (images, texts)), jnp.asarray(9.0), names)
    np.testing.assert_allclose(losses, by_definition(images, texts, 9.0, names), rtol=1e-5)
    scores = images @ texts.T
    np.testing.assert_array_equal(image_hits, names[np.argmax(scores, 1), 0] == names[:, 0])
    np.testing.assert_array_equal(text_hits, names[np.argmax(scores, 0), 0] == names[:, 0])


def test_pairs_of_all_devices_are_compared():
    rng = np.random.default_rng(1)
    images, texts, names = unit(rng, 8, 5), unit(rng, 8, 5), np.array([[0], [1], [2], [3], [0], [5], [6], [7]])

    def mean_loss(pair):
        losses = pair_losses(pair["images"], pair["texts"], jnp.asarray(9.0), pair["names"])[0]
        return jnp.mean(losses), losses

    mesh = device_mesh(4)
    pair = {"images": images.astype(np.float32), "texts": texts.astype(np.float32), "names": names}
    rows = split_over_devices(mesh, jax.tree.map(lambda x: x.reshape(4, 2, -1), pair))
    _, losses = per_device(mean_loss, mesh, (True,), replicated_output=False)(rows)
    np.testing.assert_allclose(losses.reshape(-1), by_definition(images, texts, 9.0, names), rtol=1e-5)


@pytest.fixture(scope="module")
def started():
    """A model, a batch and a state."""
    model, batch = tiny_contrastive(), example_batch(tiny_captioned(), 8)
    return model, batch, jax.jit(model.init)(jax.random.key(0), batch)


def test_the_temperature_begins_at_0_07(started):
    model, batch, state = started
    total, weight = jax.jit(model.eval_step)(state, batch, jax.random.key(1))["contrastive/scale"]
    assert float(total / weight) == pytest.approx(1 / 0.07, rel=1e-5)


def test_the_inverse_temperature_stops_at_100_and_falls_again():
    """Pairs of equal vectors want it larger and larger, mixed ones smaller."""

    class Given(nn.Module):
        @nn.compact
        def __call__(self, inputs, *, train):
            del train
            return self.param("scale", nn.initializers.ones, ()) * inputs.reshape(len(inputs), -1).astype(jnp.float32)

    model = Contrastive(Given(), Given(), optimizer=optax.sgd(50.0)).model()
    vectors = jnp.eye(4)
    batch = {"image": vectors.reshape(4, 2, 2, 1), "caption": vectors.astype(jnp.int32), "index": jnp.arange(4)}
    mixed = {**batch, "caption": batch["caption"][::-1]}
    step = jax.jit(model.train_step)
    state = model.init(jax.random.key(0), batch)
    scales = []
    state = state.replace(params={"contrastive": {**state.params["contrastive"], "log_scale": jnp.log(2.0)}})
    for given in (batch, mixed):
        state, _ = step(state, given, jax.random.key(1))
        scales.append(float(jnp.exp(state.params["contrastive"]["log_scale"])))
    assert scales[0] == pytest.approx(100.0, rel=1e-5)
    assert scales[1] < 50.0


def test_embeddings_have_length_1_and_padding_changes_none(started):
    model, batch, state = started
    embed_captions = jax.jit(model.embeddings.captions)
    images = jax.jit(model.embeddings.images)(state, batch["image"])
    captions = embed_captions(state, batch["caption"])
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(captions, axis=1), 1.0, rtol=1e-5)
    longer = jnp.pad(batch["caption"], ((0, 0), (0, 3)))
    np.testing.assert_allclose(embed_captions(state, longer), captions, atol=1e-6)
    assert model.sample is None
