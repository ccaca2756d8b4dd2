"""VQ-VAE: its gradients against hand-written ones, its code book against NumPy, SciPy and the paper's appendix."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.spatial
import scipy.stats
from tiny import tiny_images, tiny_vq_vae, tiny_vq_vae_spec

from jaxgen.data import example_batch
from jaxgen.models import vq_vae
from jaxgen.models.codebooks import nearest_codes, perplexity, straight_through, update_codebook, usage
from jaxgen.models.likelihoods import scaled_squared_error
from jaxgen.models.vq_vae import VQVAE
from jaxgen.training.parallel import device_mesh, per_device, split_over_devices

KEY = jax.random.key(0)


# ---------------------------------------------------------------- code book


def test_nearest_codes_agree_with_a_k_d_tree():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3, 5, 4, 6)).astype(np.float32)
    codes = rng.normal(size=(40, 6)).astype(np.float32)
    np.testing.assert_array_equal(nearest_codes(vectors, codes), scipy.spatial.cKDTree(codes).query(vectors)[1])


def test_nearest_codes_are_right_far_from_the_origin():
    codes = np.array([[100.0, 100.0], [100.0, 100.01], [99.99, 100.0]], np.float32)
    np.testing.assert_array_equal(nearest_codes(codes, codes), [0, 1, 2])


def test_the_gradient_passes_a_code_unchanged():
    vectors, codes, slope = (jax.random.normal(k, (4, 3)) for k in jax.random.split(KEY, 3))
    np.testing.assert_allclose(straight_through(vectors, codes), codes, rtol=1e-6)
    to_vectors, to_codes = jax.grad(lambda v, c: jnp.sum(slope * straight_through(v, c)), (0, 1))(vectors, codes)
    np.testing.assert_array_equal(to_vectors, slope)
    np.testing.assert_array_equal(to_codes, 0)


def book_of(rng, num_codes, size):
    codes, counts = rng.normal(size=(num_codes, size)), rng.uniform(1, 9, num_codes)
    return {
        name: jnp.asarray(x, jnp.float32)
        for name, x in {"codes": codes, "counts": counts, "sums": codes * counts[:, None]}.items()
    }


def appendix_a1(batches, codes, counts, sums, decay):
    """Equations 6 to 8 of the paper, code by code, in float64: N_i, m_i, e_i = m_i / N_i."""
    for vectors in batches:
        nearest = scipy.spatial.cKDTree(codes).query(vectors)[1]
        for i in range(len(codes)):
            mine = vectors[nearest == i]
            counts[i] = decay * counts[i] + (1 - decay) * len(mine)
            sums[i] = decay * sums[i] + (1 - decay) * mine.sum(0)
        codes = sums / counts[:, None]
    return codes, counts, sums


def test_running_means_agree_with_the_papers_appendix():
    rng = np.random.default_rng(1)
    book = book_of(rng, 7, 3)
    batches = rng.normal(size=(5, 60, 3))
    expected = appendix_a1(batches, *(np.array(book[name], np.float64) for name in ("codes", "counts", "sums")), 0.9)
    for vectors in jnp.asarray(batches, jnp.float32):
        book = update_codebook(book, vectors, nearest_codes(vectors, book["codes"]), KEY, decay=0.9, revive_below=0)
    for name, value in zip(("codes", "counts", "sums"), expected, strict=True):
        np.testing.assert_allclose(book[name], value, rtol=1e-4, atol=1e-4, err_msg=name)


def test_dead_codes_become_vectors_of_the_batch_and_living_ones_stay():
    rng = np.random.default_rng(2)
    book = book_of(rng, 6, 3) | {"counts": jnp.array([5.0, 0.2, 5.0, 0.3, 5.0, 5.0])}
    vectors = jnp.asarray(rng.normal(size=(40, 3)), jnp.float32)
    numbers = jnp.asarray(np.resize([0, 2, 4, 5], 40), jnp.int32)
    revived, kept = (update_codebook(book, vectors, numbers, KEY, decay=0.9, revive_below=least) for least in (1.0, 0))
    dead, alive = np.array([1, 3]), np.array([0, 2, 4, 5])
    distances, _ = scipy.spatial.cKDTree(vectors).query(np.asarray(revived["codes"])[dead])
    assert distances.max() < 1e-4
    np.testing.assert_allclose(np.asarray(revived["counts"])[dead], 1.0)
    np.testing.assert_allclose(np.asarray(revived["codes"])[alive], np.asarray(kept["codes"])[alive], rtol=1e-5)
    assert scipy.spatial.cKDTree(vectors).query(np.asarray(kept["codes"])[dead])[0].min() > 1e-3


def test_the_same_codes_are_revived_on_1_and_8_devices():
    rng = np.random.default_rng(3)
    book = book_of(rng, 50, 3) | {"counts": jnp.full(50, 0.1)}
    vectors = jnp.asarray(rng.normal(size=(64, 3)), jnp.float32)
    move = functools.partial(update_codebook, decay=0.9, revive_below=1.0)

    def step(book, vectors):
        return move(book, vectors, nearest_codes(vectors, book["codes"]), KEY)

    one = jax.jit(step)(book, vectors)
    mesh = device_mesh(8)
    replicas = per_device(step, mesh, (False, True), replicated_output=False)(
        book, split_over_devices(mesh, vectors.reshape(8, 8, 3))
    )
    for name, expected in one.items():
        for replica in np.asarray(replicas[name]):
            np.testing.assert_allclose(replica, expected, rtol=1e-5, atol=1e-6, err_msg=name)
    other = move(book, vectors, nearest_codes(vectors, book["codes"]), jax.random.key(1))
    assert not np.allclose(other["codes"], one["codes"])


def test_perplexity_is_the_exponential_of_scipys_entropy():
    counts = np.random.default_rng(4).uniform(1, 20, 12).astype(np.float32)
    assert float(perplexity(counts)) == pytest.approx(np.exp(scipy.stats.entropy(counts)), rel=1e-5)
    np.testing.assert_allclose(usage(counts), counts / counts.sum(), rtol=1e-5)
    assert float(perplexity(jnp.array([3.0, 0.0, 3.0, 0.0]))) == pytest.approx(2, rel=1e-3)


# ---------------------------------------------------------------- model


class Linear(nn.Module):
    """[B, H, W, C] -> [B, H, W, features], pixel by pixel."""

    features: int

    @nn.compact
    def __call__(self, inputs, *, train):
        return nn.Dense(self.features, use_bias=False)(inputs)


def linear_vq_vae(codebook):
    """A VQ-VAE whose gradients can be written by hand: z = x W, x^ = e V, pixel by pixel."""
    model = VQVAE(
        Linear(2),
        Linear(1),
        likelihood=scaled_squared_error(0.5),
        num_codes=4,
        code_size=2,
        grid_shape=(3, 3),
        commitment=0.7,
        codebook=codebook,
        optimizer=optax.sgd(1.0),
        revive_below=0,
    ).model()
    rng = np.random.default_rng(5)
    batch = {"image": jnp.asarray(rng.uniform(-1, 1, (6, 3, 3, 1)), jnp.float32), "index": jnp.arange(6)}
    state = jax.jit(model.init)(KEY, batch)
    codes = jnp.asarray(rng.normal(size=(4, 2)), jnp.float32)
    if codebook == "gradient":
        return model, state.replace(params={"vq_vae": {**state.params["vq_vae"], "codes": codes}}), batch, codes
    book = {**state.model_state["codebook"], "codes": codes, "sums": codes}
    return model, state.replace(model_state={**state.model_state, "codebook": book}), batch, codes


@pytest.mark.parametrize("codebook", ["running_means", "gradient"])
def test_gradients_are_those_of_the_straight_through_definition(codebook):
    model, state, batch, codes = linear_vq_vae(codebook)
    after, _ = jax.jit(model.train_step)(state, batch, KEY)
    params, updated = state.params["vq_vae"], after.params["vq_vae"]
    w, v = (np.array(params[name]["Dense_0"]["kernel"], np.float64) for name in ("encoder", "decoder"))
    x, e = np.array(batch["image"], np.float64).reshape(-1, 1), np.array(codes, np.float64)
    z = x @ w  # [N, D]
    nearest = scipy.spatial.cKDTree(e).query(z)[1]
    q = e[nearest]
    # Of 1/N sum_n (x_n - q_n V)^2 / v, by x^ = q V; straight through, the gradient by q is the one by z.
    slope = 2 * (q @ v - x) / 0.5 / x.size
    expected = {
        "decoder": q.T @ slope,
        "encoder": x.T @ (slope @ v.T + 0.7 * 2 * (z - q) / z.size),
    }
    for name, value in expected.items():  # SGD with rate 1: the step is the gradient
        step = np.asarray(params[name]["Dense_0"]["kernel"] - updated[name]["Dense_0"]["kernel"])
        np.testing.assert_allclose(step, value, rtol=1e-4, atol=1e-6, err_msg=name)
    if codebook == "gradient":
        value = np.stack([2 * (e[i] - z[nearest == i]).sum(0) / z.size for i in range(len(e))])
        np.testing.assert_allclose(params["codes"] - updated["codes"], value, rtol=1e-4, atol=1e-6)


def test_the_scaled_squared_error_is_scipys_normal_density():
    likelihood = scaled_squared_error(0.3)
    rng = np.random.default_rng(6)
    means, images = rng.normal(size=(2, 5, 4, 4, 1)).astype(np.float32)
    expected = scipy.stats.norm.logpdf(images, means, np.sqrt(0.15)).sum((1, 2, 3))
    np.testing.assert_allclose(likelihood.log_prob(means, images), expected, rtol=1e-5)
    drawn = likelihood.draw(jax.random.split(KEY, 2000), jnp.zeros((2000, 2, 2, 1)))
    assert float(drawn.std()) == pytest.approx(np.sqrt(0.15), rel=0.05)


def test_reconstruction_is_decoding_of_the_codes_and_these_are_the_nearest():
    spec = tiny_vq_vae_spec()
    batch = example_batch(tiny_images(), 5)
    state = jax.jit(vq_vae.init, static_argnums=0)(spec, KEY, batch)
    encode, decode, reconstruct, quantize = (
        jax.jit(function, static_argnums=0)
        for function in (vq_vae.encode, vq_vae.decode_codes, vq_vae.reconstruct, vq_vae.quantize)
    )
    codes = encode(spec, state, batch["image"])
    chex.assert_shape(codes, (5, 2, 2))
    assert codes.dtype == jnp.int32
    images = decode(spec, state, codes)
    np.testing.assert_allclose(reconstruct(spec, state, batch["image"]), images, rtol=1e-5, atol=1e-6)
    vectors = 0.1 * jax.random.normal(KEY, (4, 3))
    quantized, numbers = quantize(spec, state, vectors)
    table = np.asarray(state.model_state["codebook"]["codes"])
    np.testing.assert_array_equal(numbers, scipy.spatial.cKDTree(table).query(vectors)[1])
    np.testing.assert_array_equal(quantized, table[numbers])


@pytest.mark.slow
def test_the_uniform_bound_adds_the_nats_of_the_grid():
    model = tiny_vq_vae()
    batch = example_batch(tiny_images(), 5)
    metrics = model.eval_step(jax.jit(model.init)(KEY, batch), batch, KEY)
    mean = {name: float(total / weight) for name, (total, weight) in metrics.items()}
    assert mean["vq_vae/elbo"] == pytest.approx(-mean["vq_vae/reconstruction"] - 4 * np.log(6), rel=1e-5)
    assert mean["vq_vae/unigram_nats"] == pytest.approx(np.log(6), rel=1e-5)  # counts start equal
    assert mean["vq_vae/perplexity"] == pytest.approx(6, rel=1e-4)


def test_a_few_steps_lower_the_loss_and_revive_codes():
    model = tiny_vq_vae()
    batch = example_batch(tiny_images(), 16)
    state = jax.jit(model.init)(KEY, batch)
    step = jax.jit(model.train_step)
    losses = []
    for i in range(30):
        state, metrics = step(state, batch, jax.random.fold_in(KEY, i))
        losses.append(float(metrics["vq_vae/loss"][0]))
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert float(metrics["vq_vae/perplexity"][0] / 16) > 1.5
