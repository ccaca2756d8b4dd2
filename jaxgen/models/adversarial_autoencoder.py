"""Adversarial autoencoders (Makhzani et al. 2016, https://arxiv.org/abs/1511.05644)."""

from dataclasses import KW_ONLY, dataclass
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_normal
from jaxgen.core.model import GenerativeModel, Latents, ModelSpec
from jaxgen.core.state import TrainState, create_state, sum_and_count, update
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params
from jaxgen.models.autoencoder import RECONSTRUCTIONS, Reconstruction
from jaxgen.models.conditional_samples import normal_prior, refuse_condition
from jaxgen.models.gan.losses import LOSSES, GANLoss
from jaxgen.models.variables import apply_network, init_network


@dataclass(frozen=True)
class AdversarialAutoencoder(ModelSpec):
    """An autoencoder whose latents a discriminator cannot distinguish from N(0, I), on batches with `image` in [-1, 1].

    As in the paper's section 2, each step first trains the discriminator, with latents of the prior as real examples
    and the encoder's latents as generated ones, and then encoder and decoder on

        reconstruction(x, Dec(Enc(x))) + w generator_loss(Dis(Enc(x)))

    The paper takes an update for each of these two terms; here they share one, and w stands in for the ratio of the two
    learning rates. The encoder is deterministic.

    Metrics: `discriminator/loss`, `discriminator/accuracy_prior`, `discriminator/accuracy_encoded`,
    `autoencoder/reconstruction`, `autoencoder/adversarial`.

    Raises:
      KeyError: an unknown loss or reconstruction.
    """

    encoder: nn.Module
    """`encoder(images [B, H, W, C], train=...) -> latents [B, latent_size]`."""
    decoder: nn.Module
    """`decoder(latents, train=...) -> outputs [B, H, W, C]`."""
    discriminator: nn.Module
    """`discriminator(latents, train=...) -> logits [B]`."""
    _: KW_ONLY
    latent_size: int
    """Length of the latent vectors."""
    reconstruction: str = "mse"
    """A name in `jaxgen.models.autoencoder.RECONSTRUCTIONS`."""
    loss: str = "non_saturating"
    """A name in `jaxgen.models.gan.LOSSES`."""
    adversarial_weight: float = 0.01
    """w, the weight of the generator loss beside the reconstruction."""
    autoencoder_optimizer: optax.GradientTransformation
    """The optimizer of encoder and decoder."""
    discriminator_optimizer: optax.GradientTransformation
    """The optimizer of the discriminator."""

    def __post_init__(self) -> None:
        for name, known in ((self.loss, LOSSES), (self.reconstruction, RECONSTRUCTIONS)):
            if name not in known:
                raise KeyError(name)

    @property
    def adversarial(self) -> GANLoss:
        """The losses of discriminator and encoder."""
        return LOSSES[self.loss]

    @property
    def reconstructions(self) -> Reconstruction:
        """The loss and the images of the decoder's outputs."""
        return RECONSTRUCTIONS[self.reconstruction]

    def model(self) -> GenerativeModel:
        return model(self)


def init(aae: AdversarialAutoencoder, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    run_key, encoder_key, decoder_key, discriminator_key = jax.random.split(key, 4)
    images = batch["image"]
    latents = jnp.zeros((len(images), aae.latent_size), images.dtype)
    params, model_state = {}, {}
    for name, network, network_key, inputs in (
        ("encoder", aae.encoder, encoder_key, images),
        ("decoder", aae.decoder, decoder_key, latents),
        ("discriminator", aae.discriminator, discriminator_key, latents),
    ):
        params[name], model_state[name] = init_network(network, network_key, inputs)
    params = {"discriminator": params.pop("discriminator"), "autoencoder": params}
    optimizers = {"autoencoder": aae.autoencoder_optimizer, "discriminator": aae.discriminator_optimizer}
    return create_state(run_key, params, optimizers, model_state=model_state)


def train_step(aae: AdversarialAutoencoder, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Update the discriminator, then encoder and decoder against the updated discriminator."""
    real = example_normal(key, batch["index"], (aae.latent_size,))
    state, metrics = _update_discriminator(aae, state, batch["image"], real)
    state, own_metrics = _update_autoencoder(aae, state, batch["image"], real)
    return state.replace(step=state.step + 1), {**metrics, **own_metrics}


def eval_step(aae: AdversarialAutoencoder, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the metrics of held-out examples."""
    images, real = batch["image"], example_normal(key, batch["index"], (aae.latent_size,))
    latents, outputs, _ = _autoencode(aae, state.model_state, state.params["autoencoder"], images, train=False)
    logits = _discriminate(aae, state.model_state, state.params["discriminator"], real, latents, train=False)[:2]
    errors = aae.reconstructions.losses(outputs, images)
    return {
        **_discriminator_metrics(aae, *logits),
        **_autoencoder_metrics(errors, aae.adversarial.generator(*logits)),
    }


def sample(
    aae: AdversarialAutoencoder, state: TrainState, key: Key, num_samples: int, *, condition: jax.Array | None = None
) -> jax.Array:
    """Generate images [num_samples, H, W, C]; there is no condition."""
    refuse_condition(condition)
    return decode(aae, state, prior(aae, key, num_samples))


def prior(aae: AdversarialAutoencoder, key: Key, num_samples: int) -> jax.Array:
    """Sample normal latents [num_samples, L]; latent i is the same, however many are drawn."""
    return normal_prior(aae.latent_size)(key, num_samples)


def decode(aae: AdversarialAutoencoder, state: TrainState, latents: jax.Array) -> jax.Array:
    """Decode latents [N, L] to images [N, H, W, C]."""
    params = state.params["autoencoder"]["decoder"]
    outputs = apply_network(aae.decoder, params, state.model_state["decoder"], latents, train=False)[0]
    return aae.reconstructions.images(outputs)


def encode(aae: AdversarialAutoencoder, state: TrainState, images: jax.Array) -> jax.Array:
    """Encode images [N, H, W, C] to latents [N, L]."""
    params = state.params["autoencoder"]["encoder"]
    return apply_network(aae.encoder, params, state.model_state["encoder"], images, train=False)[0]


def reconstruct(aae: AdversarialAutoencoder, state: TrainState, images: jax.Array) -> jax.Array:
    """Encode and decode images [N, H, W, C]."""
    return decode(aae, state, encode(aae, state, images))


def discriminate_latents(aae: AdversarialAutoencoder, state: TrainState, latents: jax.Array) -> jax.Array:
    """Return the discriminator's logits [N] of latents [N, L]: large for those of the prior."""
    params, model_state = state.params["discriminator"], state.model_state["discriminator"]
    return apply_network(aae.discriminator, params, model_state, latents, train=False)[0]


def model(aae: AdversarialAutoencoder) -> GenerativeModel:
    """Bind these functions to a spec."""
    return GenerativeModel(
        partial(init, aae),
        partial(train_step, aae),
        partial(eval_step, aae),
        partial(sample, aae),
        latents=Latents(partial(prior, aae), partial(decode, aae), partial(encode, aae), partial(reconstruct, aae)),
    )


# ---------------------------------------------------------------- the two updates


def _discriminate(
    aae: AdversarialAutoencoder,
    model_state: ModelState,
    params: Params,
    real: jax.Array,
    generated: jax.Array,
    *,
    train: bool,
) -> tuple[jax.Array, jax.Array, ModelState]:
    """Return the logits of both kinds of latents, [B] each, and the discriminator's new model state."""
    both = jnp.concatenate([real, generated])
    logits, updated = apply_network(aae.discriminator, params, model_state["discriminator"], both, train=train)
    real_logits, fake_logits = jnp.split(logits, 2)
    return real_logits, fake_logits, updated


def _autoencode(
    aae: AdversarialAutoencoder, model_state: ModelState, params: Params, images: jax.Array, *, train: bool
) -> tuple[jax.Array, jax.Array, ModelState]:
    """Return latents [B, L], outputs [B, H, W, C] and the new model states of encoder and decoder."""
    latents, encoder_state = apply_network(aae.encoder, params["encoder"], model_state["encoder"], images, train=train)
    outputs, decoder_state = apply_network(aae.decoder, params["decoder"], model_state["decoder"], latents, train=train)
    return latents, outputs, {"encoder": encoder_state, "decoder": decoder_state}


def _update_discriminator(
    aae: AdversarialAutoencoder, state: TrainState, images: jax.Array, real: jax.Array
) -> tuple[TrainState, Metrics]:
    """Update the discriminator, with latents `real` [B, L] of the prior."""
    latents = _autoencode(aae, state.model_state, state.params["autoencoder"], images, train=True)[0]

    def loss_of(params: Params) -> tuple[jax.Array, tuple[Metrics, ModelState]]:
        real_logits, fake_logits, updated = _discriminate(aae, state.model_state, params, real, latents, train=True)
        loss = jnp.mean(aae.adversarial.discriminator(real_logits, fake_logits))
        return loss, (_discriminator_metrics(aae, real_logits, fake_logits), updated)

    grads, (metrics, updated) = jax.grad(loss_of, has_aux=True)(state.params["discriminator"])
    state = update(state, "discriminator", grads, aae.discriminator_optimizer)
    return state.replace(model_state={**state.model_state, "discriminator": updated}), metrics


def _update_autoencoder(
    aae: AdversarialAutoencoder, state: TrainState, images: jax.Array, real: jax.Array
) -> tuple[TrainState, Metrics]:
    """Update encoder and decoder, and leave the discriminator as it is."""

    def loss_of(params: Params) -> tuple[jax.Array, tuple[Metrics, ModelState]]:
        latents, outputs, updated = _autoencode(aae, state.model_state, params, images, train=True)
        discriminator_params = state.params["discriminator"]
        logits = _discriminate(aae, state.model_state, discriminator_params, real, latents, train=True)[:2]
        errors, adversarial = aae.reconstructions.losses(outputs, images), aae.adversarial.generator(*logits)
        loss = jnp.mean(errors + aae.adversarial_weight * adversarial)
        return loss, (_autoencoder_metrics(errors, adversarial), updated)

    grads, (metrics, updated) = jax.grad(loss_of, has_aux=True)(state.params["autoencoder"])
    state = update(state, "autoencoder", grads, aae.autoencoder_optimizer)
    return state.replace(model_state={**state.model_state, **updated}), metrics


def _discriminator_metrics(aae: AdversarialAutoencoder, real_logits: jax.Array, fake_logits: jax.Array) -> Metrics:
    adversarial = aae.adversarial
    return {
        "discriminator/loss": sum_and_count(adversarial.discriminator(real_logits, fake_logits)),
        "discriminator/accuracy_prior": sum_and_count((real_logits > adversarial.boundary).astype(jnp.float32)),
        "discriminator/accuracy_encoded": sum_and_count((fake_logits < adversarial.boundary).astype(jnp.float32)),
    }


def _autoencoder_metrics(errors: jax.Array, adversarial: jax.Array) -> Metrics:
    return {"autoencoder/reconstruction": sum_and_count(errors), "autoencoder/adversarial": sum_and_count(adversarial)}
