"""Variational autoencoders (Kingma and Welling 2014, https://arxiv.org/abs/1312.6114) and their variants."""

from functools import partial

import jax

from jaxgen.core.keys import example_keys
from jaxgen.core.model import Condition, GenerativeModel, Latents, Likelihood
from jaxgen.core.state import TrainState, averaged_params
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params
from jaxgen.models import single_loss
from jaxgen.models.conditional_samples import classes_in_turn, decoding_labels, normal_prior
from jaxgen.models.single_loss import SingleLoss
from jaxgen.models.vae.bound import (
    Observed,
    apply_decoder,
    init_networks,
    labels_of_batch,
    log_likelihood_estimate,
    loss,
    observe,
    terms,
)
from jaxgen.models.vae.kl_terms import kl_weight_schedule
from jaxgen.models.vae.posteriors import DecoderFunction
from jaxgen.models.vae.spec import VAE

# ---------------------------------------------------------------- training


def training(vae: VAE) -> SingleLoss:
    """Return how a VAE is trained: on its bound."""
    return SingleLoss(
        name="vae",
        init_networks=partial(init_networks, vae),
        loss=partial(loss, vae),
        optimizer=vae.optimizer,
        ema_decay=vae.ema_decay,
        schedules={"kl_weight": kl_weight_schedule(vae.beta, vae.kl_warmup_steps)},
    )


def init(vae: VAE, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    return single_loss.init(training(vae), key, batch)


def train_step(vae: VAE, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Take one optimizer step on the bound."""
    return single_loss.train_step(training(vae), state, batch, key)


def eval_step(vae: VAE, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out images."""
    return single_loss.eval_step(training(vae), state, batch, key)


# ---------------------------------------------------------------- use: images are binary where the likelihood is


def sample(vae: VAE, state: TrainState, key: Key, num_samples: int, *, condition: jax.Array | None = None) -> jax.Array:
    """Draw images [N, H, W, C], the likelihood's means, with labels `condition` [N]; None: every class in turn."""
    labels = decoding_labels(condition, num_samples, vae.num_classes)
    return decode(vae, state, prior(vae, key, num_samples), *labels)


def prior(vae: VAE, key: Key, num_samples: int) -> jax.Array:
    """Draw latents [N, L], standard normal."""
    return normal_prior(vae.posterior.latent_size)(key, num_samples)


def decode(vae: VAE, state: TrainState, latents: jax.Array, *labels: jax.Array) -> jax.Array:
    """Decode latents [N, L] to images [N, H, W, C], the likelihood's means."""
    return vae.likelihood.mean(_decoder(vae, state)(latents, *labels))


def encode(vae: VAE, state: TrainState, images: jax.Array, *labels: jax.Array) -> jax.Array:
    """Encode images [N, H, W, C] to latents [N, L], drawn without noise (`Posterior.point`)."""
    params, _, observed = _observed(vae, state, images, labels)
    return vae.posterior.point(params["posterior"], observed.outputs, _decoder(vae, state))


def posterior(vae: VAE, state: TrainState, images: jax.Array, *labels: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return mean and log-variance [N, L] of q(z | x) (`Posterior.moments`)."""
    params, _, observed = _observed(vae, state, images, labels)
    return vae.posterior.moments(params["posterior"], observed.outputs, _decoder(vae, state))


def reconstruct(vae: VAE, state: TrainState, images: jax.Array, *labels: jax.Array) -> jax.Array:
    """Encode and decode images [N, H, W, C]."""
    return decode(vae, state, encode(vae, state, images, *labels), *labels)


def log_weights(vae: VAE, state: TrainState, key: Key, batch: Batch) -> jax.Array:
    """Return log p(x, z) - log q(z | x) [B] of one z for each image.

    It is the argument of `jaxgen.metrics.likelihood.importance_weighted_log_likelihood`.
    """
    of = _observed(vae, state, batch["image"], labels_of_batch(vae, batch))
    return terms(vae, *of, example_keys(key, batch["index"]), train=False).log_weight


def log_likelihood(vae: VAE, state: TrainState, key: Key, batch: Batch, num_samples: int) -> jax.Array:
    """Return log p(x) [B] in nats, estimated with `num_samples` latents per image."""
    of = _observed(vae, state, batch["image"], labels_of_batch(vae, batch))
    return log_likelihood_estimate(vae, *of, key, batch["index"], num_samples)


def model(vae: VAE) -> GenerativeModel:
    """Bind these functions to a spec."""
    return single_loss.bind(
        training(vae),
        sample=partial(sample, vae),
        latents=Latents(
            partial(prior, vae),
            partial(decode, vae),
            partial(encode, vae),
            partial(reconstruct, vae),
            partial(posterior, vae),
        ),
        condition=None if vae.num_classes is None else Condition("class", classes_in_turn(vae.num_classes)),
        likelihood=Likelihood(partial(log_likelihood, vae), partial(log_weights, vae)),
    )


def _decoder(vae: VAE, state: TrainState) -> DecoderFunction:
    return partial(apply_decoder, vae, averaged_params(state, "vae"), state.model_state, train=False)


def _observed(
    vae: VAE, state: TrainState, images: jax.Array, labels: tuple[jax.Array, ...]
) -> tuple[Params, ModelState, Observed]:
    """Return (parameters, model state, the observed images)."""
    params, model_state = averaged_params(state, "vae"), state.model_state
    return params, model_state, observe(vae, params, model_state, images, labels, train=False)[0]
