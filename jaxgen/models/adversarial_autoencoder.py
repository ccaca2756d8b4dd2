"""Adversarial autoencoders (Makhzani et al. 2016, https://arxiv.org/abs/1511.05644)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_normal
from jaxgen.core.model import GenerativeModel
from jaxgen.core.state import Batch, Key, Metrics, TrainState, create_state, sum_and_count, update
from jaxgen.models.autoencoder import RECONSTRUCTIONS
from jaxgen.models.conditional_samples import normal_prior, samples_by_class
from jaxgen.models.gan.losses import LOSSES
from jaxgen.models.variables import apply_network, init_network


def adversarial_autoencoder(
    encoder: nn.Module,
    decoder: nn.Module,
    discriminator: nn.Module,
    *,
    latent_size: int,
    reconstruction: str = "mse",
    loss: str = "non_saturating",
    adversarial_weight: float = 0.01,
    autoencoder_optimizer: optax.GradientTransformation,
    discriminator_optimizer: optax.GradientTransformation,
) -> GenerativeModel:
    """An autoencoder whose latents a discriminator cannot tell from N(0, I), on batches with `image` in [-1, 1].

    Each step trains, as in the paper's section 2, first the discriminator, with latents of the prior as the real ones
    and the encoder's as the generated ones, then encoder and decoder on

        reconstruction(x, Dec(Enc(x))) + w generator_loss(Dis(Enc(x)))

    The paper gives these two terms an update each; here they share one, and w stands for the two learning rates. The
    encoder is deterministic.

    Args:
      encoder: `encoder(images [B, H, W, C], train=...) -> latents [B, latent_size]`.
      decoder: `decoder(latents, train=...) -> outputs [B, H, W, C]`.
      discriminator: `discriminator(latents, train=...) -> logits [B]`.
      reconstruction: a name in `jaxgen.models.autoencoder.RECONSTRUCTIONS`.
      loss: a name in `jaxgen.models.gan.losses.LOSSES`.
      adversarial_weight: w.

    `functions`: `prior(key, num_samples) -> latents`; `decode(state, latents) -> images`; `encode(state, images) ->
    latents`; `reconstruct(state, images) -> images`; `discriminate_latents(state, latents) -> logits [B]`.

    Raises:
      KeyError: an unknown loss or reconstruction.
    """
    adversarial, reconstructed = LOSSES[loss], RECONSTRUCTIONS[reconstruction]
    optimizers = {"autoencoder": autoencoder_optimizer, "discriminator": discriminator_optimizer}

    def init(key: Key, batch: Batch) -> TrainState:
        run_key, encoder_key, decoder_key, discriminator_key = jax.random.split(key, 4)
        images = batch["image"]
        latents = jnp.zeros((len(images), latent_size), images.dtype)
        params, model_state = {}, {}
        for name, network, network_key, inputs in (
            ("encoder", encoder, encoder_key, images),
            ("decoder", decoder, decoder_key, latents),
            ("discriminator", discriminator, discriminator_key, latents),
        ):
            params[name], model_state[name] = init_network(network, network_key, inputs)
        params = {"discriminator": params.pop("discriminator"), "autoencoder": params}
        return create_state(run_key, params, optimizers, model_state=model_state)

    def judge(
        model_state: Any, params: Any, real: jax.Array, generated: jax.Array, *, train: bool
    ) -> tuple[jax.Array, jax.Array, Any]:
        """The logits of both kinds of latents, [B] each, and the discriminator's state."""
        both = jnp.concatenate([real, generated])
        logits, updated = apply_network(discriminator, params, model_state["discriminator"], both, train=train)
        return *jnp.split(logits, 2), updated

    def autoencode(
        model_state: Any, params: Any, images: jax.Array, *, train: bool
    ) -> tuple[jax.Array, jax.Array, Any]:
        """Latents [B, L], outputs [B, H, W, C] and the networks' states."""
        latents, encoder_state = apply_network(encoder, params["encoder"], model_state["encoder"], images, train=train)
        outputs, decoder_state = apply_network(decoder, params["decoder"], model_state["decoder"], latents, train=train)
        return latents, outputs, {"encoder": encoder_state, "decoder": decoder_state}

    def train_step(state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
        images, real = batch["image"], example_normal(key, batch["index"], (latent_size,))
        old = state.model_state
        latents = autoencode(old, state.params["autoencoder"], images, train=True)[0]

        def discriminator_loss(params: Any) -> tuple[jax.Array, tuple[Metrics, Any]]:
            real_logits, fake_logits, updated = judge(old, params, real, latents, train=True)
            return jnp.mean(adversarial.discriminator(real_logits, fake_logits)), (
                discriminator_metrics(real_logits, fake_logits),
                updated,
            )

        grads, (metrics, updated) = jax.grad(discriminator_loss, has_aux=True)(state.params["discriminator"])
        state = update(state, "discriminator", grads, discriminator_optimizer)
        judging = {"discriminator": updated}

        def autoencoder_loss(params: Any) -> tuple[jax.Array, tuple[Metrics, Any]]:
            latents, outputs, updated = autoencode(old, params, images, train=True)
            real_logits, fake_logits, _ = judge(judging, state.params["discriminator"], real, latents, train=True)
            errors = reconstructed.losses(outputs, images)
            fooling = adversarial.generator(real_logits, fake_logits)
            return jnp.mean(errors + adversarial_weight * fooling), (autoencoder_metrics(errors, fooling), updated)

        grads, (own_metrics, updated) = jax.grad(autoencoder_loss, has_aux=True)(state.params["autoencoder"])
        state = update(state, "autoencoder", grads, autoencoder_optimizer)
        return state.replace(step=state.step + 1, model_state={**updated, **judging}), {**metrics, **own_metrics}

    def discriminator_metrics(real_logits: jax.Array, fake_logits: jax.Array) -> Metrics:
        return {
            "discriminator/loss": sum_and_count(adversarial.discriminator(real_logits, fake_logits)),
            "discriminator/accuracy_prior": sum_and_count((real_logits > adversarial.boundary).astype(jnp.float32)),
            "discriminator/accuracy_encoded": sum_and_count((fake_logits < adversarial.boundary).astype(jnp.float32)),
        }

    def autoencoder_metrics(errors: jax.Array, fooling: jax.Array) -> Metrics:
        return {"autoencoder/reconstruction": sum_and_count(errors), "autoencoder/adversarial": sum_and_count(fooling)}

    def eval_step(state: TrainState, batch: Batch, key: Key) -> Metrics:
        images, real = batch["image"], example_normal(key, batch["index"], (latent_size,))
        latents, outputs, _ = autoencode(state.model_state, state.params["autoencoder"], images, train=False)
        logits = judge(state.model_state, state.params["discriminator"], real, latents, train=False)[:2]
        errors = reconstructed.losses(outputs, images)
        return {**discriminator_metrics(*logits), **autoencoder_metrics(errors, adversarial.generator(*logits))}

    # ------------------------------------------------------------ use

    prior = normal_prior(latent_size)

    def decode(state: TrainState, latents: jax.Array) -> jax.Array:
        params = state.params["autoencoder"]["decoder"]
        outputs = apply_network(decoder, params, state.model_state["decoder"], latents, train=False)[0]
        return reconstructed.images(outputs)

    def encode(state: TrainState, images: jax.Array) -> jax.Array:
        params = state.params["autoencoder"]["encoder"]
        return apply_network(encoder, params, state.model_state["encoder"], images, train=False)[0]

    def discriminate_latents(state: TrainState, latents: jax.Array) -> jax.Array:
        params, model_state = state.params["discriminator"], state.model_state["discriminator"]
        return apply_network(discriminator, params, model_state, latents, train=False)[0]

    sample, _ = samples_by_class(lambda state, key, num_samples: decode(state, prior(key, num_samples)))
    functions = {
        "prior": prior,
        "decode": decode,
        "encode": encode,
        "reconstruct": lambda state, images: decode(state, encode(state, images)),
        "discriminate_latents": discriminate_latents,
    }
    return GenerativeModel(init, train_step, eval_step, sample, table=functions)
