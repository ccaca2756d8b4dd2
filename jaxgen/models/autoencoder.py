"""Plain and denoising autoencoders (Vincent et al. 2008, "Extracting and composing robust features", ICML)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys, example_normal
from jaxgen.core.model import GenerativeModel
from jaxgen.core.per_example import row_means, rows
from jaxgen.core.reductions import mean_over_devices
from jaxgen.core.state import Batch, Key, TrainState
from jaxgen.models.conditional_samples import normal_prior, samples_by_class
from jaxgen.models.single_loss import LossOutput, one_loss_model
from jaxgen.models.variables import apply_network, init_network

MOMENTS_DECAY = 0.99
"""Of the running moments of the codes: about the last hundred batches."""
JITTER = 1e-4
"""Part of the codes' mean variance that is added to each, so that codes that do not move can be whitened."""


class Reconstruction(NamedTuple):
    """What a decoder's outputs [B, H, W, C] mean, and how far they are from images in [-1, 1]."""

    losses: Callable[[jax.Array, jax.Array], jax.Array]
    """(outputs, images) -> [B], the mean over pixels and channels."""
    images: Callable[[jax.Array], jax.Array]
    """outputs -> images in [-1, 1]."""


def _cross_entropy(logits: jax.Array, images: jax.Array) -> jax.Array:
    """-x log s(l) - (1 - x) log(1 - s(l)) in nats, x the images in [0, 1] (as Vincent et al. 2008)."""
    return row_means(optax.sigmoid_binary_cross_entropy(rows(logits), 0.5 * (rows(images) + 1.0)))


RECONSTRUCTIONS: dict[str, Reconstruction] = {
    "mse": Reconstruction(
        lambda outputs, images: row_means(jnp.square(rows(outputs) - rows(images))),
        lambda outputs: jnp.clip(outputs, -1.0, 1.0),
    ),
    "cross_entropy": Reconstruction(_cross_entropy, lambda logits: jnp.tanh(0.5 * logits)),
}


def autoencoder(
    encoder: nn.Module,
    decoder: nn.Module,
    *,
    latent_size: int,
    noise_level: float = 0.0,
    masking: float = 0.0,
    loss: str = "mse",
    optimizer: optax.GradientTransformation,
) -> GenerativeModel:
    """Codes from which images can be told again, on batches with `image` [B, H, W, C] in [-1, 1].

    With noise or masking, the clean image is told from a corrupted one (denoising autoencoder). An autoencoder has no
    prior. Here the mean m and covariance S of the codes of clean images are kept in `model_state` as running averages,
    and a Gaussian with these moments serves as one: latents are the whitened codes z = L^-1 (c - m) with L L^T = S, so
    that they have mean 0 and covariance 1 over the training set, and a standard normal z is decoded to a sample. Where
    codes are far from Gaussian, samples are poor: that is what variational and adversarial autoencoders mend.

    Args:
      encoder: `encoder(images, train=...) -> codes [B, latent_size]`.
      decoder: `decoder(codes, train=...) -> outputs [B, H, W, C]`.
      noise_level: standard deviation of Gaussian noise on training images, in units of [-1, 1].
      masking: share of the pixels of a training image that become black.
      loss: a name in `RECONSTRUCTIONS`; with "cross_entropy" the outputs are logits.

    Metrics: `autoencoder/loss`; on evaluation also `autoencoder/clean_loss`, of images that were not corrupted.

    `functions`: `prior(key, num_samples) -> latents [N, L]`; `decode(state, latents) -> images`; `encode(state, images)
    -> latents`; `reconstruct(state, images) -> images`, of corrupted images the clean ones.

    Raises:
      KeyError: an unknown loss.
    """
    reconstruction = RECONSTRUCTIONS[loss]

    def init_networks(key: Key, batch: Batch) -> tuple[Any, dict[str, Any]]:
        encoder_key, decoder_key = jax.random.split(key)
        images = batch["image"]
        encoder_params, encoder_state = init_network(encoder, encoder_key, images)
        codes = jnp.zeros((len(images), latent_size), images.dtype)
        decoder_params, decoder_state = init_network(decoder, decoder_key, codes)
        moments = {"mean": jnp.zeros(latent_size), "covariance": jnp.eye(latent_size)}
        params = {"encoder": encoder_params, "decoder": decoder_params}
        return params, {"encoder": encoder_state, "decoder": decoder_state, "codes": moments}

    def corrupted(key: Key, index: jax.Array, images: jax.Array) -> jax.Array:
        noise_key, masking_key = jax.random.split(key)
        if noise_level:
            images = images + noise_level * example_normal(noise_key, index, images.shape[1:])
        if masking:
            pixels = (*images.shape[1:-1], 1)  # all channels of a pixel together
            keys = example_keys(masking_key, index)
            masked = jax.vmap(lambda key: jax.random.bernoulli(key, masking, pixels))(keys)
            images = jnp.where(masked, -1.0, images)
        return images

    def compute(params: Any, model_state: Any, images: jax.Array, *, train: bool) -> tuple[jax.Array, jax.Array, Any]:
        """Codes [B, L], outputs [B, H, W, C] and the networks' states."""
        codes, encoder_state = apply_network(encoder, params["encoder"], model_state["encoder"], images, train=train)
        outputs, decoder_state = apply_network(decoder, params["decoder"], model_state["decoder"], codes, train=train)
        return codes, outputs, {"encoder": encoder_state, "decoder": decoder_state}

    def compute_losses(params: Any, model_state: Any, batch: Batch, key: Key, *, train: bool) -> LossOutput:
        images, corrupts, metrics = batch["image"], bool(noise_level or masking), {}
        seen = corrupted(key, batch["index"], images) if corrupts else images
        codes, outputs, updated = compute(params, model_state, seen, train=train)
        if corrupts:
            codes, clean_outputs, _ = compute(params, model_state, images, train=False)
            metrics = {} if train else {"clean_loss": reconstruction.losses(clean_outputs, images)}
        moments = model_state["codes"]
        if train:
            moments = moved_moments(moments, jax.lax.stop_gradient(codes))
        return LossOutput(reconstruction.losses(outputs, images), metrics, {**updated, "codes": moments})

    # ------------------------------------------------------------ use

    def lower(moments: dict[str, jax.Array]) -> jax.Array:
        covariance = moments["covariance"]
        jitter = JITTER * jnp.trace(covariance) / latent_size + jnp.finfo(covariance.dtype).tiny
        return jnp.linalg.cholesky(covariance + jitter * jnp.eye(latent_size, dtype=covariance.dtype))

    prior = normal_prior(latent_size)

    def decode(state: TrainState, latents: jax.Array) -> jax.Array:
        moments, network_state = state.model_state["codes"], state.model_state["decoder"]
        codes = moments["mean"] + latents @ lower(moments).T
        params = state.params["autoencoder"]["decoder"]
        return reconstruction.images(apply_network(decoder, params, network_state, codes, train=False)[0])

    def encode(state: TrainState, images: jax.Array) -> jax.Array:
        moments, network_state = state.model_state["codes"], state.model_state["encoder"]
        params = state.params["autoencoder"]["encoder"]
        codes = apply_network(encoder, params, network_state, images, train=False)[0]
        return jax.scipy.linalg.solve_triangular(lower(moments), (codes - moments["mean"]).T, lower=True).T

    def reconstruct(state: TrainState, images: jax.Array) -> jax.Array:
        outputs = compute(state.params["autoencoder"], state.model_state, images, train=False)[1]
        return reconstruction.images(outputs)

    sample, _ = samples_by_class(lambda state, key, num_samples: decode(state, prior(key, num_samples)))
    return one_loss_model(
        name="autoencoder",
        init_networks=init_networks,
        loss=compute_losses,
        optimizer=optimizer,
        sample=sample,
        functions={"prior": prior, "decode": decode, "encode": encode, "reconstruct": reconstruct},
    )


def moved_moments(moments: dict[str, jax.Array], codes: jax.Array) -> dict[str, jax.Array]:
    """Running `mean` [L] and `covariance` [L, L], moved toward those of the whole batch's codes [B, L]."""
    mean = mean_over_devices(jnp.mean(codes, 0))
    centered = codes - mean
    covariance = mean_over_devices(centered.T @ centered / len(codes))
    batch = {"mean": mean, "covariance": covariance}
    return {name: MOMENTS_DECAY * old + (1.0 - MOMENTS_DECAY) * batch[name] for name, old in moments.items()}
