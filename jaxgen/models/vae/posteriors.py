"""Approximate posteriors q(z | x): how latents are drawn, given an encoder's outputs."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol, cast

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgen.core.errors import UserError
from jaxgen.core.keys import folded_keys
from jaxgen.core.types import Params, PyTree
from jaxgen.metrics.likelihood import kl_to_standard_normal

Key = jax.Array
Scalar = float | jax.Array


class DecoderFunction(Protocol):
    """The decoder as a function: (inputs, method) -> the outputs of this method of the network."""

    def __call__(self, *inputs: jax.Array | int, method: str | None = None) -> PyTree: ...


class Generation(NamedTuple):
    """The parts of a model that its posterior may use to draw latents."""

    log_prob: Callable[[jax.Array], jax.Array]
    """latents [N, L] -> log p(x | z) [N] of the images they are drawn for; each depends on its own latent alone."""
    decoder: DecoderFunction


class Draw(NamedTuple):
    """Latents from the posterior; the prior is standard normal."""

    latents: jax.Array
    """[N, L]."""
    log_density: jax.Array
    """[N], the log q(z | x) of log w = log p(x, z) - log q(z | x), for which E[w] = p(x)."""
    kl: jax.Array | None
    """[N, L], KL(q || p) in closed form, by latent; None where there is no closed form."""


class Posterior(NamedTuple):
    """A family of q(z | x)."""

    latent_size: int
    """L."""
    num_outputs: int
    """M, the length of the encoder's outputs."""
    init: Callable[[Key], Params]
    """key -> the posterior's own parameters, besides the encoder's."""
    draw: Callable[[Params, jax.Array, Key, Generation], Draw]
    """(params, outputs [N, M], keys [N], generation) -> one latent for each row."""
    moments: Callable[[Params, jax.Array, DecoderFunction], tuple[jax.Array, jax.Array]]
    """(params, outputs [N, M], decoder) -> mean and log-variance [N, L] (of a flow and of Hamiltonian dynamics: of the
    Gaussian they start from)."""
    point: Callable[[Params, jax.Array, DecoderFunction], jax.Array]
    """(params, outputs, decoder) -> latents [N, L] that stand for the images, drawn without noise."""
    closed_form: bool
    """Whether a draw has its `kl`."""


def no_params(key: Key) -> Params:
    """Return the parameters of a posterior that has none of its own."""
    del key
    return {}


# ---------------------------------------------------------------- Gaussian


def gaussian_posterior(latent_size: int) -> Posterior:
    """Return N(m, diag v) of outputs (m, log v) (Kingma and Welling 2014, arXiv:1312.6114, section 3)."""
    return Posterior(
        latent_size, 2 * latent_size, no_params, _gaussian_draw, _gaussian_moments, _gaussian_point, closed_form=True
    )


def _gaussian_draw(params: Params, outputs: jax.Array, keys: Key, generation: Generation) -> Draw:
    del params, generation
    mean, log_variance = jnp.split(outputs, 2, -1)
    latents, log_density = draw_normal(mean, log_variance, keys)
    return Draw(latents, log_density, kl_by_latent(mean, log_variance))


def _gaussian_moments(params: Params, outputs: jax.Array, decoder: DecoderFunction) -> tuple[jax.Array, jax.Array]:
    del params, decoder
    mean, log_variance = jnp.split(outputs, 2, -1)
    return mean, log_variance


def _gaussian_point(params: Params, outputs: jax.Array, decoder: DecoderFunction) -> jax.Array:
    return _gaussian_moments(params, outputs, decoder)[0]


# ---------------------------------------------------------------- flows


class _Flow(NamedTuple):
    network: nn.Module
    latent_size: int
    context_size: int


def flow_posterior(flow: nn.Module, latent_size: int, context_size: int) -> Posterior:
    """Return the posterior of a Gaussian sent through a flow: log q = log q_0 - log |det|.

    Rezende and Mohamed 2015, arXiv:1505.05770.

    Args:
      flow: `flow(latents [N, L], context [N, C]) -> (latents, log |det| [N])` (`jaxgen.networks.flows`).
      context_size: C; the encoder's outputs are (m, log v, context), of length 2 L + C.
    """
    of = _Flow(flow, latent_size, context_size)
    return Posterior(
        latent_size,
        2 * latent_size + context_size,
        partial(_flow_init, of),
        partial(_flow_draw, of),
        partial(_flow_moments, of),
        partial(_flow_point, of),
        closed_form=False,
    )


def _flow_init(flow: _Flow, key: Key) -> Params:
    return flow.network.init(key, jnp.zeros((1, flow.latent_size)), jnp.zeros((1, flow.context_size)))["params"]


def _flow_split(flow: _Flow, outputs: jax.Array) -> list[jax.Array]:
    """Return (mean, log-variance, context)."""
    return jnp.split(outputs, [flow.latent_size, 2 * flow.latent_size], -1)


def _flow_apply(flow: _Flow, params: Params, latents: jax.Array, context: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return (latents, log |det|)."""
    return cast(tuple[jax.Array, jax.Array], flow.network.apply({"params": params}, latents, context))


def _flow_draw(flow: _Flow, params: Params, outputs: jax.Array, keys: Key, generation: Generation) -> Draw:
    del generation
    mean, log_variance, context = _flow_split(flow, outputs)
    latents, log_density = draw_normal(mean, log_variance, keys)
    latents, log_det = _flow_apply(flow, params, latents, context)
    return Draw(latents, log_density - log_det, None)


def _flow_moments(
    flow: _Flow, params: Params, outputs: jax.Array, decoder: DecoderFunction
) -> tuple[jax.Array, jax.Array]:
    del params, decoder
    mean, log_variance, _ = _flow_split(flow, outputs)
    return mean, log_variance


def _flow_point(flow: _Flow, params: Params, outputs: jax.Array, decoder: DecoderFunction) -> jax.Array:
    del decoder
    mean, _, context = _flow_split(flow, outputs)
    return _flow_apply(flow, params, mean, context)[0]


# ---------------------------------------------------------------- Hamiltonian dynamics


class _Dynamics(NamedTuple):
    latent_size: int
    steps: int
    step_size: float
    initial_temperature: float
    learned: bool


def hamiltonian_posterior(
    latent_size: int,
    *,
    steps: int,
    step_size: float = 0.05,
    initial_temperature: float = 1.0,
    learn_dynamics: bool = False,
) -> Posterior:
    """Return a Gaussian moved by Hamiltonian dynamics of U(z) = -log p(x, z) (Caterini et al. 2018, arXiv:1805.11328).

    Their Algorithm 1:

        z_0 ~ N(m, diag v), gamma ~ N(0, I), rho_0 = gamma / sqrt(beta_0), K leapfrog steps with tempering
        log w = log p(x, z_K) + log N(rho_K; 0, I) - log q(z_0 | x) - log N(gamma; 0, I)

    Leapfrog steps preserve the volume, and tempering's change of it cancels the change that makes rho_0 wider than
    gamma. E[w] = p(x), so the draws serve importance-weighted bounds too. Up to the error of their steps, the dynamics
    alone conserve log p(x, z) - |rho|^2 / 2 and so log w; the tempering turns momenta into better latents.

    Args:
      steps: K. Each takes one gradient of the decoder, and training goes back through all of them.
      step_size: epsilon, of every latent.
      initial_temperature: beta_0 in (0, 1]; 1 is no tempering, as in pythae's published run. Below 1, momenta start hot
        and cool to 1 by the quadratic scheme of `tempering`.
      learn_dynamics: whether epsilon, one for each latent, and beta_0 are trained, starting from what is given.

    Raises:
      UserError: `initial_temperature` not in (0, 1], or not below 1 where it is learned.
    """
    if not 0 < initial_temperature <= 1 or (learn_dynamics and initial_temperature == 1):
        raise UserError(
            "The initial temperature must be above 0 and at most 1 (below 1 where it is learned), not "
            f"{initial_temperature}."
        )

    dynamics = _Dynamics(latent_size, steps, step_size, initial_temperature, learn_dynamics)
    functions = {"init": partial(_dynamics_init, dynamics), "draw": partial(_hamiltonian_draw, dynamics)}
    return gaussian_posterior(latent_size)._replace(**functions, closed_form=False)


def _dynamics_init(dynamics: _Dynamics, key: Key) -> Params:
    del key
    if not dynamics.learned:
        return {}
    logit = math.log(dynamics.initial_temperature / (1.0 - dynamics.initial_temperature))
    return {
        "log_step_size": jnp.full(dynamics.latent_size, math.log(dynamics.step_size), jnp.float32),
        "temperature_logit": jnp.asarray(logit, jnp.float32),
    }


def _hamiltonian_draw(
    dynamics: _Dynamics, params: Params, outputs: jax.Array, keys: Key, generation: Generation
) -> Draw:
    mean, log_variance = jnp.split(outputs, 2, -1)
    latents, log_density = draw_normal(mean, log_variance, folded_keys(keys, 0))
    momentum, momentum_log_density = draw_normal(jnp.zeros_like(mean), jnp.zeros_like(mean), folded_keys(keys, 1))

    def log_joint(latents: jax.Array) -> jax.Array:  # the sum, since each row depends on its own latent alone
        return jnp.sum(generation.log_prob(latents) + standard_normal_log_density(latents))

    epsilon, temperature = dynamics.step_size, dynamics.initial_temperature
    if dynamics.learned:
        epsilon, temperature = jnp.exp(params["log_step_size"]), jax.nn.sigmoid(params["temperature_logit"])
    momentum = momentum * temperature**-0.5
    latents, momentum = leapfrog(jax.grad(log_joint), latents, momentum, epsilon, dynamics.steps, temperature)
    log_density = log_density + momentum_log_density - standard_normal_log_density(momentum)
    return Draw(latents, log_density, None)


def tempering(steps: int, initial_temperature: Scalar) -> list[Scalar]:
    """Return sqrt(beta_k) for k = 0..K (Caterini et al. 2018, section 3.2): from sqrt(beta_0) to 1.

    1 / sqrt(beta_k) = (1 - 1 / sqrt(beta_0)) k^2 / K^2 + 1 / sqrt(beta_0)
    """
    start = initial_temperature**-0.5
    return [1.0 / ((1.0 - start) * (k / steps) ** 2 + start) for k in range(steps + 1)]


def leapfrog(
    gradient: Callable[[jax.Array], jax.Array],
    latents: jax.Array,
    momentum: jax.Array,
    step_size: jax.Array | float,
    steps: int,
    initial_temperature: Scalar = 1.0,
) -> tuple[jax.Array, jax.Array]:
    """Return latents and momentum [N, L] after `steps` leapfrog steps, the momentum cooled after each (eqs. 7 to 9).

    Args:
      gradient: of log p(x, z) by z.
      step_size: a number, or [L].
    """
    roots = tempering(steps, initial_temperature)
    force = gradient(latents)
    for k in range(steps):
        half = momentum + 0.5 * step_size * force
        latents = latents + step_size * half
        force = gradient(latents)
        momentum = (half + 0.5 * step_size * force) * (roots[k] / roots[k + 1])
    return latents, momentum


# ---------------------------------------------------------------- normal draws and densities


def draw_normal(mean: jax.Array, log_variance: jax.Array, keys: Key) -> tuple[jax.Array, jax.Array]:
    """Draw one z = m + sqrt(v) e for each row of m, log v [N, L] by its key [N], and its log-density [N]."""
    noise = jax.vmap(lambda key: jax.random.normal(key, mean.shape[1:], mean.dtype))(keys)
    log_density = standard_normal_log_density(noise) - 0.5 * jnp.sum(log_variance, -1)
    return mean + jnp.exp(0.5 * log_variance) * noise, log_density


def standard_normal_log_density(values: jax.Array) -> jax.Array:
    """Return log N(z; 0, I) [N] of values z [N, L]."""
    return -0.5 * jnp.sum(jnp.square(values) + math.log(2.0 * math.pi), -1)


def kl_by_latent(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """Return KL(N(m_j, v_j) || N(0, 1)) of each latent by itself, [N, L]."""
    return kl_to_standard_normal(mean.reshape(-1, 1), log_variance.reshape(-1, 1)).reshape(mean.shape)
