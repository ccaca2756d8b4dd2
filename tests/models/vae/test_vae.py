"""Variational autoencoders: their bounds against closed forms and Monte Carlo, their posteriors' mathematics."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import tiny_images, tiny_vae

from jaxgen import UserError
from jaxgen.data import example_batch
from jaxgen.metrics.likelihood import importance_weighted_log_likelihood
from jaxgen.models.likelihoods import bernoulli, discretized_logistic, gaussian
from jaxgen.models.vae import VAE, flow_posterior, gaussian_posterior, hamiltonian_posterior
from jaxgen.models.vae.posteriors import Generation, leapfrog, tempering
from jaxgen.networks.flows import PlanarFlow
from jaxgen.networks.mlp import MLPEncoder, MLPGenerator
from jaxgen.training.parallel import device_mesh, per_device, replicate, split_over_devices

KEY = jax.random.key(4)
BATCH = example_batch(tiny_images(), 12)
LATENTS = 3


def started(model, batch=BATCH):
    return jax.jit(model.init)(jax.random.key(0), batch)


def means(metrics):
    return {name: float(total / weight) for name, (total, weight) in metrics.items()}


def evaluated(model, state, batch=BATCH, key=KEY):
    return means(jax.jit(model.eval_step)(state, batch, key))


# ---------------------------------------------------------------- a model whose log p(x) is known

PIXELS, FLOOR = 4, -1.0


@functools.cache
def linear_gaussian(posterior):
    """(model, state, batch, log p(x) [B]): x = A z + b + e with e ~ N(0, v), so that x ~ N(b, A A^T + diag v).

    Its posterior is made worse than the true one, of twice the standard deviation, so that bounds have a gap.
    """
    decoder = MLPGenerator((1, PIXELS, 2), widths=(), output_activation=None)
    encoder = MLPEncoder(posterior.num_outputs, widths=())
    spec = VAE(encoder, decoder, posterior=posterior, likelihood=gaussian(FLOOR), optimizer=optax.sgd(0.0))
    model = spec.model()
    rng = np.random.default_rng(1)
    matrix, bias, raw = rng.normal(size=(LATENTS, PIXELS)), rng.normal(size=PIXELS), rng.normal(size=PIXELS)
    variance = np.exp(FLOOR + np.logaddexp(0, raw - FLOOR))
    covariance = matrix.T @ matrix + np.diag(variance)
    images = rng.multivariate_normal(bias, covariance, 6).astype(np.float32)
    _, log_det = np.linalg.slogdet(covariance)
    shifts = images - bias
    squares = np.einsum("bi,ij,bj->b", shifts, np.linalg.inv(covariance), shifts)
    exact = -0.5 * (squares + log_det + PIXELS * np.log(2 * np.pi))
    posterior_covariance = np.linalg.inv(np.eye(LATENTS) + (matrix / variance) @ matrix.T)
    gain = posterior_covariance @ (matrix / variance)  # E[z | x] = gain (x - b)
    outputs = posterior.num_outputs - 2 * LATENTS
    kernel = np.concatenate([gain.T, np.zeros((PIXELS, LATENTS + outputs))], -1)
    spread = np.log(4 * np.diag(posterior_covariance))
    batch = {"image": jnp.asarray(images).reshape(-1, 1, PIXELS, 1), "index": jnp.arange(6, dtype=jnp.uint32)}
    state = started(model, batch)
    dense = {
        "decoder": {  # PIXELS means first where there is one channel: [1, PIXELS, 2] is pixel by pixel
            "kernel": np.stack([matrix, np.zeros_like(matrix)], -1).reshape(LATENTS, -1),
            "bias": np.stack([bias, raw], -1).reshape(-1),
        },
        "encoder": {"kernel": kernel, "bias": np.concatenate([-gain @ bias, spread, np.zeros(outputs)])},
    }
    params = dict(state.params["vae"])
    for name, layer in dense.items():
        params[name] = {"Dense_0": {k: jnp.asarray(v, jnp.float32) for k, v in layer.items()}}
    return model, state.replace(params={"vae": params}), batch, exact


POSTERIORS = {
    "gaussian": gaussian_posterior(LATENTS),
    "planar_flow": flow_posterior(PlanarFlow(2), LATENTS, 2),
    "hamiltonian": hamiltonian_posterior(LATENTS, steps=3, step_size=0.1),
    "tempered_hamiltonian": hamiltonian_posterior(LATENTS, steps=3, step_size=0.1, initial_temperature=0.4),
}


def test_learned_dynamics_start_as_they_are_given():
    fixed = POSTERIORS["tempered_hamiltonian"]
    learned = hamiltonian_posterior(LATENTS, steps=3, step_size=0.1, initial_temperature=0.4, learn_dynamics=True)
    outputs, keys = jax.random.normal(KEY, (5, 2 * LATENTS)), jax.random.split(KEY, 5)
    of = Generation(lambda z: -jnp.sum(z**4, -1), None)
    expected, actual = (p.draw(p.init(KEY), outputs, keys, of) for p in (fixed, learned))
    np.testing.assert_allclose(actual.latents, expected.latents, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(actual.log_density, expected.log_density, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_temperatures_out_of_range_are_refused(temperature):
    with pytest.raises(UserError, match="initial temperature"):
        hamiltonian_posterior(LATENTS, steps=1, initial_temperature=temperature)


@pytest.mark.parametrize("name", POSTERIORS)
def test_the_importance_weighted_bound_reaches_a_known_log_likelihood(name):
    model, state, batch, exact = linear_gaussian(POSTERIORS[name])
    estimate = jax.jit(lambda key: model.likelihood.log_likelihood(state, key, batch, 4_000))
    first, second = np.asarray(estimate(jax.random.key(0))), np.asarray(estimate(jax.random.key(1)))
    np.testing.assert_allclose((first + second) / 2, exact, atol=0.1)
    assert np.abs(np.mean((first + second) / 2 - exact)) < 0.03


def test_the_elbo_lies_below_the_log_likelihood_and_more_samples_tighten_the_bound():
    model, state, batch, exact = linear_gaussian(POSTERIORS["gaussian"])
    keys = jax.random.split(KEY, 500)

    def bound(num_samples):
        estimate = jax.vmap(lambda key: model.likelihood.log_likelihood(state, key, batch, num_samples))
        return np.asarray(jax.jit(estimate)(keys)).mean(0)

    elbo, ten = bound(1), bound(10)
    assert np.all(elbo < exact - 0.05)
    assert np.all(elbo < ten)
    assert np.all(ten < exact + 0.05)


def test_the_closed_form_elbo_is_the_mean_of_sampled_log_weights():
    model, state, batch, _ = linear_gaussian(POSTERIORS["gaussian"])
    closed = jax.jit(jax.vmap(lambda key: jnp.stack(model.eval_step(state, batch, key)["vae/elbo"])))
    totals, weights = closed(jax.random.split(KEY, 2_000)).T
    sampled = jax.jit(jax.vmap(lambda key: model.likelihood.log_weights(state, key, batch)))
    log_weights = sampled(jax.random.split(jax.random.key(9), 2_000))  # [2000, 6]
    error = float(jnp.std(log_weights.mean(1))) / np.sqrt(2_000)
    assert float(jnp.mean(totals / weights)) == pytest.approx(float(log_weights.mean()), abs=5 * error)
    assert float(jnp.std(totals / weights)) < float(jnp.std(log_weights.mean(1)))  # what the closed form is for


def test_log_weights_fit_the_estimator_of_the_metrics():
    model, state, batch, _ = linear_gaussian(POSTERIORS["gaussian"])
    log_weights = functools.partial(model.likelihood.log_weights, state)
    expected = importance_weighted_log_likelihood(log_weights, KEY, batch, 7)
    np.testing.assert_allclose(model.likelihood.log_likelihood(state, KEY, batch, 7), expected, rtol=1e-6)


# ---------------------------------------------------------------- Hamiltonian dynamics


def bent_gradient(z):
    """Of log p = -sum z^4 / 4 - z_0 z_1, which is not quadratic."""
    return jax.grad(lambda z: -jnp.sum(z**4) / 4 - jnp.sum(z[:, 0] * z[:, 1]))(z)


def test_leapfrog_steps_are_undone_by_turning_the_momentum_around():
    z, momentum = jax.random.normal(KEY, (2, 5, LATENTS))
    moved, after = leapfrog(bent_gradient, z, momentum, 0.1, 4)
    back, before = leapfrog(bent_gradient, moved, -after, 0.1, 4)
    assert float(jnp.abs(moved - z).min()) > 1e-4
    np.testing.assert_allclose(back, z, atol=2e-6)
    np.testing.assert_allclose(-before, momentum, atol=2e-6)


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_leapfrog_steps_keep_the_volume_up_to_tempering(temperature):
    point = jax.random.normal(KEY, (2, 1, LATENTS))

    def move(point):
        return jnp.stack(leapfrog(bent_gradient, *point, jnp.array([0.1, 0.2, 0.3]), 4, temperature))

    jacobian = jax.jacobian(move)(point).reshape(2 * LATENTS, 2 * LATENTS)
    sign, log_det = jnp.linalg.slogdet(jacobian)
    assert float(sign) == 1.0
    assert float(log_det) == pytest.approx(LATENTS / 2 * np.log(temperature), abs=1e-5)


def test_leapfrog_steps_keep_the_energy_to_second_order():
    z, momentum = jax.random.normal(KEY, (2, 5, LATENTS))

    def energy(z, momentum):
        return jnp.sum(z**4 / 4 + momentum**2 / 2, -1) + z[:, 0] * z[:, 1]

    errors = [
        np.abs(energy(*leapfrog(bent_gradient, z, momentum, 0.4 / steps, steps)) - energy(z, momentum)).sum()
        for steps in (2, 4)
    ]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)


def test_tempering_goes_from_its_start_to_1_along_a_parabola():
    roots = np.array(tempering(4, 0.25))
    np.testing.assert_allclose(1 / roots, [2.0, 2 - 1 / 16, 2 - 4 / 16, 2 - 9 / 16, 1.0])
    assert tempering(3, 1.0) == [1.0] * 4


def test_a_hamiltonian_draw_weighs_its_momentum():
    posterior = hamiltonian_posterior(LATENTS, steps=2, step_size=0.2, initial_temperature=0.5)
    outputs = jax.random.normal(KEY, (5, 2 * LATENTS))
    of = Generation(lambda z: -jnp.sum(z**4, -1), None)
    draw = posterior.draw({}, outputs, jax.random.split(KEY, 5), of)
    noise, gamma = (
        jax.vmap(lambda k, i=i: jax.random.normal(jax.random.fold_in(k, i), (LATENTS,)))(jax.random.split(KEY, 5))
        for i in (0, 1)
    )
    mean, log_variance = jnp.split(outputs, 2, -1)
    start = mean + jnp.exp(log_variance / 2) * noise
    gradient = jax.grad(lambda z: jnp.sum(-(z**4)) - jnp.sum(z**2) / 2)
    latents, momentum = leapfrog(gradient, start, gamma / np.sqrt(0.5), 0.2, 2, 0.5)
    np.testing.assert_allclose(draw.latents, latents, rtol=1e-5, atol=1e-6)
    normal = jax.scipy.stats.norm.logpdf
    expected = normal(start, mean, jnp.exp(log_variance / 2)) + normal(gamma) - normal(momentum)
    np.testing.assert_allclose(draw.log_density, expected.sum(-1), rtol=1e-5, atol=1e-5)


# ---------------------------------------------------------------- the loss


def gradients(model, state, devices=None):
    """The gradients of a step, from plain SGD of rate 1, on one device or split over several."""

    def step(state, batch):
        return model.train_step(state, batch, KEY)[0]

    if devices is None:
        after = jax.jit(step)(state, BATCH)
    else:
        mesh = device_mesh(devices)
        rows = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), BATCH)
        after = per_device(step, mesh, (False, True))(replicate(mesh, state), split_over_devices(mesh, rows))
    return jax.tree.map(lambda old, new: np.asarray(old) - np.asarray(new), state.params, after.params)


def sgd_vae(**options):
    encoder = MLPEncoder(2 * LATENTS, (8,), activation=jnp.tanh)
    decoder = MLPGenerator((8, 8, 1), (8,), activation=jnp.tanh, output_activation=None)
    posterior, likelihood = gaussian_posterior(LATENTS), bernoulli()
    spec = VAE(encoder, decoder, posterior=posterior, likelihood=likelihood, optimizer=optax.sgd(1.0), **options)
    return spec.model()


def test_the_weight_of_the_kl_term_rises_linearly_to_beta():
    model = tiny_vae(gaussian_posterior(LATENTS), gaussian(), beta=4.0, kl_warmup_steps=10)
    state = started(model)
    evaluate = jax.jit(model.eval_step)
    for step, weight in ((0, 0.0), (5, 2.0), (10, 4.0), (1_000, 4.0)):
        values = means(evaluate(state.replace(step=jnp.int32(step)), BATCH, KEY))
        expected = values["vae/reconstruction"] + weight * values["vae/kl"]
        assert values["vae/loss"] == pytest.approx(expected, rel=1e-6)
        assert values["vae/elbo"] == pytest.approx(-values["vae/reconstruction"] - values["vae/kl"], rel=1e-6)
    assert values["vae/kl"] > 0.01


def test_free_bits_count_each_latents_mean_divergence_as_at_least_so_much():
    free = 0.15
    model = tiny_vae(gaussian_posterior(LATENTS), gaussian(), free_bits=free)
    state = started(model)
    values = evaluated(model, state)
    mean, log_variance = model.latents.posterior(state, BATCH["image"])
    mean, log_variance = np.asarray(mean), np.asarray(log_variance)
    by_latent = np.mean(0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance), 0)
    assert by_latent.min() < free < by_latent.max()  # some are raised and some are not
    assert values["vae/kl"] == pytest.approx(by_latent.sum(), rel=1e-5)
    expected = values["vae/reconstruction"] + np.maximum(by_latent, free).sum()
    assert values["vae/loss"] == pytest.approx(expected, rel=1e-6)


def test_free_bits_average_over_all_devices():
    model = sgd_vae(free_bits=0.3)
    state = started(model)
    one, two = gradients(model, state), gradients(model, state, 2)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5), one, two)


def test_free_bits_need_a_closed_form():
    for options in ({"importance_samples": 2}, {"posterior": POSTERIORS["hamiltonian"]}):
        arguments = {"posterior": gaussian_posterior(LATENTS), "likelihood": bernoulli()} | options
        with pytest.raises(UserError, match="closed form"):
            tiny_vae(**arguments, free_bits=0.1)


def test_an_iwae_weighs_each_samples_gradient_by_its_importance():
    # Burda et al. 2016, eq. 14: the gradient of L_K is sum_k w_k / sum w  grad log w_k, by the reparameterized z_k.
    model = sgd_vae(importance_samples=4)
    state = started(model)
    encoder, decoder = (
        MLPEncoder(2 * LATENTS, (8,), activation=jnp.tanh),
        MLPGenerator((8, 8, 1), (8,), activation=jnp.tanh, output_activation=None),
    )
    target_key, latent_key, _ = jax.random.split(KEY, 3)
    images = bernoulli().targets(target_key, BATCH["index"], BATCH["image"])
    keys = jax.vmap(lambda i: jax.random.split(jax.random.fold_in(latent_key, i), 4))(BATCH["index"])
    noise = jax.vmap(jax.vmap(lambda k: jax.random.normal(k, (LATENTS,))))(keys)  # [B, K, L]

    def log_weights(params):  # [B, K], written without this package's densities
        outputs = encoder.apply({"params": params["encoder"]}, 0.5 * (images + 1), train=True)
        mean, log_variance = (x[:, None] for x in jnp.split(outputs, 2, -1))
        z = mean + jnp.exp(log_variance / 2) * noise
        logits = decoder.apply({"params": params["decoder"]}, z.reshape(-1, LATENTS), train=True)
        logits = logits.reshape(12, 4, 8, 8, 1)
        cross_entropy = optax.sigmoid_binary_cross_entropy(logits, (images[:, None] + 1) / 2).sum((2, 3, 4))
        normal = jax.scipy.stats.norm.logpdf
        return -cross_entropy + (normal(z) - normal(z, mean, jnp.exp(log_variance / 2))).sum(-1)

    def surrogate(params):
        weights = jax.lax.stop_gradient(jax.nn.softmax(log_weights(params), 1))
        return -jnp.mean(jnp.sum(weights * log_weights(params), 1))

    expected = jax.jit(jax.grad(surrogate))(state.params["vae"])
    actual = gradients(model, state)["vae"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5), actual, expected)


def test_the_importance_weighted_bound_of_evaluation_lies_above_the_elbo():
    model = tiny_vae(gaussian_posterior(LATENTS), bernoulli(), eval_importance_samples=50)
    state = started(model)
    values = evaluated(model, state)
    assert values["vae/elbo"] < values["vae/log_likelihood"] < values["vae/elbo"] + 10
    assert "vae/log_likelihood" not in jax.eval_shape(model.train_step, state, BATCH, KEY)[1]


# ---------------------------------------------------------------- use


def test_reconstructions_are_decoded_from_the_posteriors_means():
    model = tiny_vae(gaussian_posterior(LATENTS), bernoulli())
    state, latents_of = started(model), model.latents
    mean, log_variance = latents_of.posterior(state, BATCH["image"])
    assert mean.shape == log_variance.shape == (12, LATENTS)
    np.testing.assert_array_equal(latents_of.encode(state, BATCH["image"]), mean)
    reconstructed = latents_of.reconstruct(state, BATCH["image"])
    np.testing.assert_array_equal(reconstructed, latents_of.decode(state, mean))
    assert reconstructed.shape == BATCH["image"].shape


def test_a_conditional_vae_decodes_a_latent_differently_for_each_class():
    model = tiny_vae(gaussian_posterior(LATENTS), bernoulli(), 10)
    state, latents_of = started(model), model.latents
    np.testing.assert_array_equal(model.condition.of_samples(12), np.arange(12) % 10)
    samples = model.sample(state, KEY, 12)
    np.testing.assert_array_equal(samples, model.sample(state, KEY, 12, condition=jnp.arange(12) % 10))
    threes = model.sample(state, KEY, 12, condition=jnp.full(12, 3))
    assert np.all(np.any(np.asarray(samples != threes), (1, 2, 3)) == (np.arange(12) % 10 != 3))
    latents = jnp.zeros((10, LATENTS))
    assert len(np.unique(latents_of.decode(state, latents, jnp.arange(10)), axis=0)) == 10
    encoded = latents_of.encode(state, jnp.tile(BATCH["image"][:1], (10, 1, 1, 1)), jnp.arange(10))
    assert len(np.unique(encoded, axis=0)) == 10


def test_an_unconditional_vae_refuses_a_condition():
    model = tiny_vae(gaussian_posterior(LATENTS), bernoulli())
    with pytest.raises(ValueError, match="unconditional"):
        model.sample(started(model), KEY, 2, condition=jnp.zeros(2, jnp.int32))


def test_bits_per_dimension_are_of_levels():
    model = tiny_vae(gaussian_posterior(LATENTS), discretized_logistic())
    values = evaluated(model, started(model))
    assert values["vae/bits_per_dimension"] == pytest.approx(-values["vae/elbo"] / 64 / np.log(2), rel=1e-6)
