"""VAE-GAN: a VAE that measures similarity by a discriminator's features (Larsen et al. 2016, arXiv:1512.09300)."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_normal
from jaxgen.core.model import GenerativeModel
from jaxgen.core.per_example import row_means
from jaxgen.core.state import Batch, Key, Metrics, TrainState, create_state, sum_and_count, update
from jaxgen.metrics.likelihood import kl_to_standard_normal
from jaxgen.models.conditional_samples import normal_prior, samples_by_class
from jaxgen.models.gan.losses import LOSSES
from jaxgen.models.variables import apply_network, init_network


class Terms(NamedTuple):
    """The terms of the three losses, [B] each."""

    kl: jax.Array
    """KL(q(z | x) || N(0, I)), nats."""
    feature_error: jax.Array
    """1/2 |Dis_l(x) - Dis_l(x~)|^2: -log N(Dis_l(x) | Dis_l(x~), I) without its constant."""
    discriminator: jax.Array
    generator: jax.Array


def vae_gan(
    encoder: nn.Module,
    decoder: nn.Module,
    discriminator: nn.Module,
    *,
    latent_size: int,
    feature_weight: float = 0.01,
    loss: str = "non_saturating",
    encoder_optimizer: optax.GradientTransformation,
    decoder_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
) -> GenerativeModel:
    """A VAE, a GAN and one network that decodes for both, on batches with `image` [B, H, W, C] in [-1, 1].

    With z ~ q(z | x), x~ = Dec(z) and x_p = Dec(z_p) of a latent of the prior, the networks step at once (Algorithm 1):

        encoder:         KL(q(z | x) || p(z)) + 1/2 |Dis_l(x) - Dis_l(x~)|^2
        decoder:         gamma 1/2 |Dis_l(x) - Dis_l(x~)|^2 + generator_loss
        discriminator:   discriminator_loss, with x as real and both x~ and x_p as generated images

    The adversarial losses are the means of those with x~ and with x_p (the paper's Algorithm 1 adds up log Dis(x),
    log(1 - Dis(x~)) and log(1 - Dis(x_p)) instead).

    Args:
      encoder: `encoder(images, train=...) -> [B, 2 latent_size]`: mean and log-variance of q(z | x).
      decoder: `decoder(latents [B, latent_size], train=...) -> images in [-1, 1]`.
      discriminator: `discriminator(images, train=...) -> (logits [B], features [B, F])`
        (`jaxgen.networks.feature_discriminator`).
      feature_weight: gamma, which weighs likeness against looking real.
      loss: a name in `jaxgen.models.gan.losses.LOSSES`.

    `functions`: `prior(key, num_samples) -> latents`; `decode(state, latents) -> images`; `encode(state, images) ->
    latents`, the posterior's means; `reconstruct(state, images) -> images`; `discriminate(state, images) -> logits`.

    Raises:
      KeyError: an unknown loss.
    """
    losses = LOSSES[loss]
    networks = {"encoder": encoder, "decoder": decoder, "discriminator": discriminator}
    optimizers = {
        "encoder": encoder_optimizer,
        "decoder": decoder_optimizer,
        "discriminator": discriminator_optimizer,
    }

    def init(key: Key, batch: Batch) -> TrainState:
        run_key, *network_keys = jax.random.split(key, 4)
        images = batch["image"]
        latents = jnp.zeros((len(images), latent_size), images.dtype)
        params, model_state = {}, {}
        for (name, network), network_key in zip(networks.items(), network_keys, strict=True):
            inputs = latents if name == "decoder" else images
            params[name], model_state[name] = init_network(network, network_key, inputs)
        return create_state(run_key, params, optimizers, model_state=model_state)

    def apply(state: TrainState, params: Any, name: str, inputs: jax.Array, *, train: bool) -> tuple[Any, Any]:
        return apply_network(networks[name], params[name], state.model_state[name], inputs, train=train)

    def compute_terms(
        state: TrainState, params: Any, batch: Batch, key: Key, *, train: bool
    ) -> tuple[Terms, tuple[jax.Array, dict[str, Any]]]:
        """The losses' terms; the logits of x, x~ and x_p [3 B]; the networks' states."""
        images, updated = batch["image"], {}
        posterior_key, prior_key = jax.random.split(key)
        outputs, updated["encoder"] = apply(state, params, "encoder", images, train=train)
        mean, log_variance = jnp.split(outputs, 2, axis=-1)  # [B, L] each
        noise = example_normal(posterior_key, batch["index"], (latent_size,))
        latents = mean + jnp.exp(0.5 * log_variance) * noise
        both = jnp.concatenate([latents, example_normal(prior_key, batch["index"], (latent_size,))])
        # Each network sees all its inputs at once, so that batch statistics are of all of them.
        decoded, updated["decoder"] = apply(state, params, "decoder", both, train=train)
        judged = jnp.concatenate([images, decoded])
        (logits, features), updated["discriminator"] = apply(state, params, "discriminator", judged, train=train)

        real, reconstructed, generated = jnp.split(logits, 3)
        real_features, reconstructed_features, _ = jnp.split(features, 3)
        terms = Terms(
            kl=kl_to_standard_normal(mean, log_variance),
            feature_error=0.5 * jnp.sum(jnp.square(real_features - reconstructed_features), -1),
            discriminator=0.5 * (losses.discriminator(real, reconstructed) + losses.discriminator(real, generated)),
            generator=0.5 * (losses.generator(real, reconstructed) + losses.generator(real, generated)),
        )
        return terms, (logits, updated)

    def train_step(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        terms, pull, (logits, updated) = jax.vjp(
            lambda params: compute_terms(state, params, batch, key, train=True), state.params, has_aux=True
        )
        one, zero = jnp.full_like(terms.kl, 1.0 / len(terms.kl)), jnp.zeros_like(terms.kl)
        slopes = {
            "encoder": Terms(one, one, zero, zero),
            "decoder": Terms(zero, feature_weight * one, zero, one),
            "discriminator": Terms(zero, zero, one, zero),
        }
        for name, slope in slopes.items():  # each network's own gradient of its own loss, all from one forward pass
            state = update(state, name, pull(slope)[0][name], optimizers[name])
        return state.replace(step=state.step + 1, model_state=updated), metrics_of(terms, logits)

    def metrics_of(terms: Terms, logits: jax.Array) -> Metrics:
        real, reconstructed, generated = jnp.split(logits, 3)
        fakes = 0.5 * ((reconstructed < losses.boundary) * 1.0 + (generated < losses.boundary) * 1.0)
        return {
            "encoder/kl": sum_and_count(terms.kl),
            "encoder/feature_error": sum_and_count(terms.feature_error),
            "decoder/adversarial": sum_and_count(terms.generator),
            "discriminator/loss": sum_and_count(terms.discriminator),
            "discriminator/accuracy_real": sum_and_count((real > losses.boundary).astype(jnp.float32)),
            "discriminator/accuracy_generated": sum_and_count(fakes),
        }

    def eval_step(state: TrainState, batch: Batch, key: Key) -> Metrics:
        terms, (logits, _) = compute_terms(state, state.params, batch, key, train=False)
        error = row_means(jnp.square(reconstruct(state, batch["image"]) - batch["image"]))
        return {**metrics_of(terms, logits), "decoder/mse": sum_and_count(error)}

    # ------------------------------------------------------------ use

    prior = normal_prior(latent_size)

    def decode(state: TrainState, latents: jax.Array) -> jax.Array:
        return apply(state, state.params, "decoder", latents, train=False)[0]

    def encode(state: TrainState, images: jax.Array) -> jax.Array:
        return apply(state, state.params, "encoder", images, train=False)[0][:, :latent_size]

    def reconstruct(state: TrainState, images: jax.Array) -> jax.Array:
        return decode(state, encode(state, images))

    def discriminate(state: TrainState, images: jax.Array) -> jax.Array:
        return apply(state, state.params, "discriminator", images, train=False)[0][0]

    sample, _ = samples_by_class(lambda state, key, num_samples: decode(state, prior(key, num_samples)))
    functions = {
        "prior": prior,
        "decode": decode,
        "encode": encode,
        "reconstruct": reconstruct,
        "discriminate": discriminate,
    }
    return GenerativeModel(init, train_step, eval_step, sample, table=functions)
