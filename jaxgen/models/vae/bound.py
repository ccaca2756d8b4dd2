"""The bound of log p(x) that a VAE is trained on, and the estimate of log p(x) itself."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys
from jaxgen.core.types import Batch, Key, ModelState, Params, PyTree, present
from jaxgen.metrics.likelihood import bits_per_dimension, importance_weighted_bound, importance_weighted_log_likelihood
from jaxgen.models.single_loss import LossOutput
from jaxgen.models.vae.kl_terms import with_free_bits
from jaxgen.models.vae.posteriors import Draw, Generation, standard_normal_log_density
from jaxgen.models.vae.spec import VAE
from jaxgen.models.variables import apply_network, init_network


class Observed(NamedTuple):
    """The images [N, H, W, C] that latents are drawn for."""

    targets: jax.Array
    """The images as the likelihood takes them (`PixelLikelihood.targets`)."""
    outputs: jax.Array
    """[N, M], the encoder's outputs."""
    labels: tuple[jax.Array, ...]
    """(labels [N],), or () without classes."""


class Terms(NamedTuple):
    """The terms of a bound, for one latent of each image."""

    log_prob: jax.Array
    """[N], log p(x | z)."""
    draw: Draw
    decoder_state: ModelState

    @property
    def kl(self) -> jax.Array:
        """[N], log q(z | x) - log p(z): an estimate of the divergence, by its one latent."""
        return self.draw.log_density - standard_normal_log_density(self.draw.latents)

    @property
    def log_weight(self) -> jax.Array:
        """[N], log p(x, z) - log q(z | x)."""
        return self.log_prob - self.kl


# ---------------------------------------------------------------- networks


def labels_of_batch(vae: VAE, batch: Batch) -> tuple[jax.Array, ...]:
    """Return the labels that the networks take: (labels [B],), or () without classes."""
    return () if vae.num_classes is None else (batch["label"],)


def init_networks(vae: VAE, key: Key, batch: Batch) -> tuple[Params, ModelState]:
    """Return (params, model_state) of the encoder, the decoder and the posterior."""
    encoder_key, decoder_key, posterior_key = jax.random.split(key, 3)
    images, labels = batch["image"], labels_of_batch(vae, batch)
    latents = jnp.zeros((len(images), vae.posterior.latent_size), images.dtype)
    encoder_params, encoder_state = init_network(vae.encoder, encoder_key, images, *labels)
    decoder_params, decoder_state = init_network(vae.decoder, decoder_key, latents, *labels)
    params = {"encoder": encoder_params, "decoder": decoder_params, "posterior": vae.posterior.init(posterior_key)}
    return params, {"encoder": encoder_state, "decoder": decoder_state}


def observe(
    vae: VAE, params: Params, model_state: ModelState, targets: jax.Array, labels: tuple[jax.Array, ...], *, train: bool
) -> tuple[Observed, ModelState]:
    """Encode images, given as the likelihood's targets; return them with the outputs, and the encoder's model state."""
    outputs, encoder_state = apply_network(
        vae.encoder, params["encoder"], model_state["encoder"], 0.5 * (targets + 1.0), *labels, train=train
    )
    return Observed(targets, outputs, labels), encoder_state


def apply_decoder(
    vae: VAE,
    params: Params,
    model_state: ModelState,
    *inputs: jax.Array | int,
    train: bool,
    method: str | None = None,
) -> PyTree:
    """Return the decoder's outputs, or those of another of its methods."""
    return apply_network(vae.decoder, params["decoder"], model_state["decoder"], *inputs, train=train, method=method)[0]


def _generation(vae: VAE, params: Params, model_state: ModelState, observed: Observed, *, train: bool) -> Generation:
    def log_prob(latents: jax.Array) -> jax.Array:  # without batch statistics, which tie examples together
        parameters = apply_decoder(vae, params, model_state, latents, *observed.labels, train=False)
        return vae.likelihood.log_prob(parameters, observed.targets)

    return Generation(log_prob, partial(apply_decoder, vae, params, model_state, train=train))


def terms(vae: VAE, params: Params, model_state: ModelState, observed: Observed, keys: Key, *, train: bool) -> Terms:
    """Return the terms of the bound, with one latent drawn for each image by its key [N]."""
    of = _generation(vae, params, model_state, observed, train=train)
    draw = vae.posterior.draw(params["posterior"], observed.outputs, keys, of)
    parameters, decoder_state = apply_network(
        vae.decoder, params["decoder"], model_state["decoder"], draw.latents, *observed.labels, train=train
    )
    return Terms(vae.likelihood.log_prob(parameters, observed.targets), draw, decoder_state)


# ---------------------------------------------------------------- the bound


def loss(
    vae: VAE, params: Params, model_state: ModelState, batch: Batch, key: Key, *, train: bool, kl_weight: jax.Array
) -> LossOutput:
    """Return minus the bound of each image [B], with its KL term weighted, and the bound's parts."""
    target_key, latent_key, likelihood_key = jax.random.split(key, 3)
    targets = vae.likelihood.targets(target_key, batch["index"], batch["image"])
    observed, encoder_state = observe(vae, params, model_state, targets, labels_of_batch(vae, batch), train=train)
    keys = example_keys(latent_key, batch["index"])
    keys = jax.vmap(lambda key: jax.random.split(key, vae.importance_samples))(keys).reshape(-1)  # [B * K]
    repeated = jax.tree.map(lambda x: jnp.repeat(x, vae.importance_samples, axis=0), observed)
    drawn = terms(vae, params, model_state, repeated, keys, train=train)

    closed_form = vae.posterior.closed_form and vae.importance_samples == 1
    kl = jnp.sum(present(drawn.draw.kl), -1) if closed_form else drawn.kl
    log_prob, kl = (x.reshape(-1, vae.importance_samples).T for x in (drawn.log_prob, kl))  # [K, B]
    penalty = kl
    if vae.free_bits:
        penalty = jnp.broadcast_to(with_free_bits(present(drawn.draw.kl), vae.free_bits), kl.shape)
    losses = -importance_weighted_bound(log_prob - kl_weight * penalty)
    elbo = jnp.mean(log_prob - kl, 0)
    metrics = {"reconstruction": -jnp.mean(log_prob, 0), "kl": jnp.mean(kl, 0), "elbo": elbo}
    if vae.likelihood.levels is not None:
        metrics["bits_per_dimension"] = bits_per_dimension(-elbo, targets[0].size, bin_width=1.0)
    if vae.eval_importance_samples is not None and not train:
        metrics["log_likelihood"] = log_likelihood_estimate(
            vae, params, model_state, observed, likelihood_key, batch["index"], vae.eval_importance_samples
        )
    return LossOutput(losses, metrics, {"encoder": encoder_state, "decoder": drawn.decoder_state})


def log_likelihood_estimate(
    vae: VAE, params: Params, model_state: ModelState, observed: Observed, key: Key, index: jax.Array, num_samples: int
) -> jax.Array:
    """Return log p(x) [B] of observed images numbered `index` [B], estimated with `num_samples` latents per image."""

    def one_log_weight(key: Key, observed: Observed) -> jax.Array:
        return terms(vae, params, model_state, observed, example_keys(key, index), train=False).log_weight

    return importance_weighted_log_likelihood(one_log_weight, key, observed, num_samples)
