"""Plain and denoising autoencoders (Vincent et al. 2008, "Extracting and composing robust features", ICML)."""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys, example_normal
from jaxgen.core.model import GenerativeModel, Latents, ModelSpec
from jaxgen.core.per_example import row_means, rows
from jaxgen.core.reductions import mean_over_devices
from jaxgen.core.state import TrainState
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params
from jaxgen.models import single_loss
from jaxgen.models.conditional_samples import normal_prior, refuse_condition
from jaxgen.models.single_loss import LossOutput, SingleLoss
from jaxgen.models.variables import apply_network, init_network

MOMENTS_DECAY = 0.99
"""Decay of the running moments of the codes, which cover about the last hundred batches."""
JITTER = 1e-4
"""Fraction of the codes' mean variance that is added to each variance, so that constant codes can be whitened."""


class Reconstruction(NamedTuple):
    """The meaning of a decoder's outputs [B, H, W, C]: their loss against images in [-1, 1], and their images."""

    losses: Callable[[jax.Array, jax.Array], jax.Array]
    """(outputs, images) -> [B], the mean over pixels and channels."""
    images: Callable[[jax.Array], jax.Array]
    """outputs -> images in [-1, 1]."""


def _cross_entropy(logits: jax.Array, images: jax.Array) -> jax.Array:
    """Return -x log s(l) - (1 - x) log(1 - s(l)) in nats, x the images in [0, 1] (as in Vincent et al. 2008)."""
    return row_means(optax.sigmoid_binary_cross_entropy(rows(logits), 0.5 * (rows(images) + 1.0)))


RECONSTRUCTIONS: dict[str, Reconstruction] = {
    "mse": Reconstruction(
        lambda outputs, images: row_means(jnp.square(rows(outputs) - rows(images))),
        lambda outputs: jnp.clip(outputs, -1.0, 1.0),
    ),
    "cross_entropy": Reconstruction(_cross_entropy, lambda logits: jnp.tanh(0.5 * logits)),
}


@dataclass(frozen=True)
class Autoencoder(ModelSpec):
    """An autoencoder, on batches with `image` [B, H, W, C] in [-1, 1].

    With noise or masking it is a denoising autoencoder: the clean image is reconstructed from a corrupted one.

    An autoencoder has no prior. Here the mean m and covariance S of the codes of clean images are kept in `model_state`
    as running averages, and a Gaussian with these moments serves as one: latents are the whitened codes
    z = L^-1 (c - m) with L L^T = S, so that they have mean 0 and covariance 1 over the training set, and a standard
    normal z is decoded to a sample. Where codes are far from Gaussian, samples are poor, which variational and
    adversarial autoencoders remedy.

    Metrics: `autoencoder/loss`; on evaluation also `autoencoder/clean_loss`, of images that were not corrupted.

    Raises:
      KeyError: an unknown loss.
    """

    encoder: nn.Module
    """`encoder(images, train=...) -> codes [B, latent_size]`."""
    decoder: nn.Module
    """`decoder(codes, train=...) -> outputs [B, H, W, C]`."""
    _: KW_ONLY
    latent_size: int
    """L."""
    noise_level: float = 0.0
    """Standard deviation of Gaussian noise on training images, in units of [-1, 1]."""
    masking: float = 0.0
    """Share of the pixels of a training image that become black."""
    loss: str = "mse"
    """A name in `RECONSTRUCTIONS`; with "cross_entropy" the outputs are logits."""
    optimizer: optax.GradientTransformation

    def __post_init__(self) -> None:
        if self.loss not in RECONSTRUCTIONS:
            raise KeyError(self.loss)

    @property
    def reconstruction(self) -> Reconstruction:
        """The loss and the images of the decoder's outputs."""
        return RECONSTRUCTIONS[self.loss]

    def model(self) -> GenerativeModel:
        return model(self)


# ---------------------------------------------------------------- training


def training(autoencoder: Autoencoder) -> SingleLoss:
    """Return how an autoencoder is trained: on its reconstructions."""
    return SingleLoss(
        name="autoencoder",
        init_networks=partial(init_networks, autoencoder),
        loss=partial(loss, autoencoder),
        optimizer=autoencoder.optimizer,
    )


def init(autoencoder: Autoencoder, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    return single_loss.init(training(autoencoder), key, batch)


def train_step(autoencoder: Autoencoder, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step on the loss of a batch, and update the codes' moments."""
    return single_loss.train_step(training(autoencoder), state, batch, key)


def eval_step(autoencoder: Autoencoder, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out images."""
    return single_loss.eval_step(training(autoencoder), state, batch, key)


def init_networks(autoencoder: Autoencoder, key: Key, batch: Batch) -> tuple[Params, ModelState]:
    """Return (params, model_state) of both networks and the codes' moments."""
    encoder_key, decoder_key = jax.random.split(key)
    images, latent_size = batch["image"], autoencoder.latent_size
    encoder_params, encoder_state = init_network(autoencoder.encoder, encoder_key, images)
    codes = jnp.zeros((len(images), latent_size), images.dtype)
    decoder_params, decoder_state = init_network(autoencoder.decoder, decoder_key, codes)
    moments = {"mean": jnp.zeros(latent_size), "covariance": jnp.eye(latent_size)}
    params = {"encoder": encoder_params, "decoder": decoder_params}
    return params, {"encoder": encoder_state, "decoder": decoder_state, "codes": moments}


def loss(
    autoencoder: Autoencoder, params: Params, model_state: ModelState, batch: Batch, key: Key, *, train: bool
) -> LossOutput:
    """Return the reconstruction error [B] of each image."""
    images, metrics, reconstruction = batch["image"], {}, autoencoder.reconstruction
    corrupts = bool(autoencoder.noise_level or autoencoder.masking)
    seen = corrupt(autoencoder, key, batch["index"], images) if corrupts else images
    codes, outputs, updated = _apply(autoencoder, params, model_state, seen, train=train)
    if corrupts:
        codes, clean_outputs, _ = _apply(autoencoder, params, model_state, images, train=False)
        metrics = {} if train else {"clean_loss": reconstruction.losses(clean_outputs, images)}
    moments = model_state["codes"]
    if train:
        moments = update_moments(moments, jax.lax.stop_gradient(codes))
    return LossOutput(reconstruction.losses(outputs, images), metrics, {**updated, "codes": moments})


def corrupt(autoencoder: Autoencoder, key: Key, index: jax.Array, images: jax.Array) -> jax.Array:
    """Return images [B, H, W, C] numbered `index` [B] with noise added and pixels masked."""
    noise_key, masking_key = jax.random.split(key)
    if autoencoder.noise_level:
        images = images + autoencoder.noise_level * example_normal(noise_key, index, images.shape[1:])
    if autoencoder.masking:
        pixels = (*images.shape[1:-1], 1)  # all channels of a pixel together
        keys = example_keys(masking_key, index)
        masked = jax.vmap(lambda key: jax.random.bernoulli(key, autoencoder.masking, pixels))(keys)
        images = jnp.where(masked, -1.0, images)
    return images


def _apply(
    autoencoder: Autoencoder, params: Params, model_state: ModelState, images: jax.Array, *, train: bool
) -> tuple[jax.Array, jax.Array, ModelState]:
    """Return codes [B, L], outputs [B, H, W, C] and the networks' model states."""
    codes, encoder_state = apply_network(
        autoencoder.encoder, params["encoder"], model_state["encoder"], images, train=train
    )
    outputs, decoder_state = apply_network(
        autoencoder.decoder, params["decoder"], model_state["decoder"], codes, train=train
    )
    return codes, outputs, {"encoder": encoder_state, "decoder": decoder_state}


def update_moments(moments: dict[str, jax.Array], codes: jax.Array) -> dict[str, jax.Array]:
    """Return running `mean` [L] and `covariance` [L, L], moved toward those of the whole batch's codes [B, L]."""
    mean = mean_over_devices(jnp.mean(codes, 0))
    centered = codes - mean
    covariance = mean_over_devices(centered.T @ centered / len(codes))
    batch = {"mean": mean, "covariance": covariance}
    return {name: MOMENTS_DECAY * old + (1.0 - MOMENTS_DECAY) * batch[name] for name, old in moments.items()}


# ---------------------------------------------------------------- use


def sample(
    autoencoder: Autoencoder, state: TrainState, key: Key, num_samples: int, *, condition: None = None
) -> jax.Array:
    """Draw images [N, H, W, C], decoded from codes of the Gaussian that has the running moments."""
    refuse_condition(condition)
    return decode(autoencoder, state, prior(autoencoder, key, num_samples))


def prior(autoencoder: Autoencoder, key: Key, num_samples: int) -> jax.Array:
    """Draw latents [N, L], standard normal."""
    return normal_prior(autoencoder.latent_size)(key, num_samples)


def decode(autoencoder: Autoencoder, state: TrainState, latents: jax.Array) -> jax.Array:
    """Decode latents [N, L], which are whitened codes, to images [N, H, W, C]."""
    moments, network_state = state.model_state["codes"], state.model_state["decoder"]
    codes = moments["mean"] + latents @ _lower(moments).T
    params = state.params["autoencoder"]["decoder"]
    outputs = apply_network(autoencoder.decoder, params, network_state, codes, train=False)[0]
    return autoencoder.reconstruction.images(outputs)


def encode(autoencoder: Autoencoder, state: TrainState, images: jax.Array) -> jax.Array:
    """Encode images [N, H, W, C] to latents [N, L], their whitened codes."""
    moments, network_state = state.model_state["codes"], state.model_state["encoder"]
    params = state.params["autoencoder"]["encoder"]
    codes = apply_network(autoencoder.encoder, params, network_state, images, train=False)[0]
    return jax.scipy.linalg.solve_triangular(_lower(moments), (codes - moments["mean"]).T, lower=True).T


def reconstruct(autoencoder: Autoencoder, state: TrainState, images: jax.Array) -> jax.Array:
    """Encode and decode images [N, H, W, C], which removes the corruption of corrupted ones."""
    outputs = _apply(autoencoder, state.params["autoencoder"], state.model_state, images, train=False)[1]
    return autoencoder.reconstruction.images(outputs)


def model(autoencoder: Autoencoder) -> GenerativeModel:
    """Bind these functions to a spec."""
    return single_loss.bind(
        training(autoencoder),
        sample=partial(sample, autoencoder),
        latents=Latents(
            partial(prior, autoencoder),
            partial(decode, autoencoder),
            partial(encode, autoencoder),
            partial(reconstruct, autoencoder),
        ),
    )


def _lower(moments: dict[str, jax.Array]) -> jax.Array:
    """Return the Cholesky factor [L, L] of the codes' covariance."""
    covariance = moments["covariance"]
    size = len(covariance)
    jitter = JITTER * jnp.trace(covariance) / size + jnp.finfo(covariance.dtype).tiny
    return jnp.linalg.cholesky(covariance + jitter * jnp.eye(size, dtype=covariance.dtype))
