"""VAE-GAN: a VAE that measures similarity by a discriminator's features (Larsen et al. 2016, arXiv:1512.09300)."""

from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_normal
from jaxgen.core.model import GenerativeModel, Latents, ModelSpec
from jaxgen.core.per_example import row_means
from jaxgen.core.state import TrainState, create_state, sum_and_count, update
from jaxgen.core.types import Batch, Key, Metrics, ModelState, Params, PyTree
from jaxgen.metrics.likelihood import kl_to_standard_normal
from jaxgen.models.conditional_samples import normal_prior, refuse_condition
from jaxgen.models.gan.losses import LOSSES, GANLoss
from jaxgen.models.variables import apply_network, init_network


@dataclass(frozen=True)
class VAEGAN(ModelSpec):
    """A VAE, a GAN and one network that decodes for both, on batches with `image` [B, H, W, C] in [-1, 1].

    With z ~ q(z | x), x~ = Dec(z) and x_p = Dec(z_p) of a latent of the prior, the networks step at once (Algorithm 1):

        encoder:         KL(q(z | x) || p(z)) + 1/2 |Dis_l(x) - Dis_l(x~)|^2
        decoder:         gamma 1/2 |Dis_l(x) - Dis_l(x~)|^2 + generator_loss
        discriminator:   discriminator_loss, with x as real and both x~ and x_p as generated images

    The adversarial losses are the means of those with x~ and with x_p (the paper's Algorithm 1 adds up log Dis(x),
    log(1 - Dis(x~)) and log(1 - Dis(x_p)) instead).

    Metrics: `encoder/kl`, `encoder/feature_error`, `decoder/adversarial`, `discriminator/loss`,
    `discriminator/accuracy_real`, `discriminator/accuracy_generated`, and of evaluation `decoder/mse`.

    Raises:
      KeyError: an unknown loss.
    """

    encoder: nn.Module
    """`encoder(images, train=...) -> [B, 2 latent_size]`: mean and log-variance of q(z | x)."""
    decoder: nn.Module
    """`decoder(latents [B, latent_size], train=...) -> images in [-1, 1]`."""
    discriminator: nn.Module
    """`discriminator(images, train=...) -> (logits [B], features [B, F])` (`jaxgen.networks.feature_discriminator`)."""
    _: KW_ONLY
    latent_size: int
    """Length of the latent vectors."""
    feature_weight: float = 0.01
    """gamma, the decoder's weight of the feature error beside its adversarial loss."""
    loss: str = "non_saturating"
    """A name in `jaxgen.models.gan.LOSSES`."""
    encoder_optimizer: optax.GradientTransformation
    """The optimizer of the encoder."""
    decoder_optimizer: optax.GradientTransformation
    """The optimizer of the decoder."""
    discriminator_optimizer: optax.GradientTransformation
    """The optimizer of the discriminator."""

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise KeyError(self.loss)

    @property
    def losses(self) -> GANLoss:
        """The adversarial losses of decoder and discriminator."""
        return LOSSES[self.loss]

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks, by name."""
        return {"encoder": self.encoder, "decoder": self.decoder, "discriminator": self.discriminator}

    @property
    def optimizers(self) -> dict[str, optax.GradientTransformation]:
        """The optimizers, by network."""
        return {
            "encoder": self.encoder_optimizer,
            "decoder": self.decoder_optimizer,
            "discriminator": self.discriminator_optimizer,
        }

    def model(self) -> GenerativeModel:
        return model(self)


class LossTerms(NamedTuple):
    """The terms of the three losses, [B] each."""

    kl: jax.Array
    """KL(q(z | x) || N(0, I)), nats."""
    feature_error: jax.Array
    """1/2 |Dis_l(x) - Dis_l(x~)|^2: -log N(Dis_l(x) | Dis_l(x~), I) without its constant."""
    discriminator: jax.Array
    generator: jax.Array


def init(vae_gan: VAEGAN, key: Key, batch: Batch) -> TrainState:
    """Return the state at step 0."""
    run_key, *network_keys = jax.random.split(key, 4)
    images = batch["image"]
    latents = jnp.zeros((len(images), vae_gan.latent_size), images.dtype)
    params, model_state = {}, {}
    for (name, network), network_key in zip(vae_gan.networks.items(), network_keys, strict=True):
        inputs = latents if name == "decoder" else images
        params[name], model_state[name] = init_network(network, network_key, inputs)
    return create_state(run_key, params, vae_gan.optimizers, model_state=model_state)


def train_step(vae_gan: VAEGAN, state: TrainState, batch: Batch, key: Key) -> tuple[TrainState, Metrics]:
    """Update each network by the gradient of its own loss, all from one forward pass."""
    terms, terms_vjp, (logits, updated) = jax.vjp(
        lambda params: loss_terms(vae_gan, state, params, batch, key, train=True), state.params, has_aux=True
    )
    one, zero = jnp.full_like(terms.kl, 1.0 / len(terms.kl)), jnp.zeros_like(terms.kl)
    cotangents = {
        "encoder": LossTerms(one, one, zero, zero),
        "decoder": LossTerms(zero, vae_gan.feature_weight * one, zero, one),
        "discriminator": LossTerms(zero, zero, one, zero),
    }
    for name, cotangent in cotangents.items():
        state = update(state, name, terms_vjp(cotangent)[0][name], vae_gan.optimizers[name])
    return state.replace(step=state.step + 1, model_state=updated), _metrics(vae_gan, terms, logits)


def eval_step(vae_gan: VAEGAN, state: TrainState, batch: Batch, key: Key) -> Metrics:
    """Return the terms of the losses of held-out examples, and the mean squared error of their reconstructions."""
    terms, (logits, _) = loss_terms(vae_gan, state, state.params, batch, key, train=False)
    error = row_means(jnp.square(reconstruct(vae_gan, state, batch["image"]) - batch["image"]))
    return {**_metrics(vae_gan, terms, logits), "decoder/mse": sum_and_count(error)}


def loss_terms(
    vae_gan: VAEGAN, state: TrainState, params: Params, batch: Batch, key: Key, *, train: bool
) -> tuple[LossTerms, tuple[jax.Array, ModelState]]:
    """Return the terms of the losses, and the logits of x, x~ and x_p [3 B] with the networks' model states."""
    images, updated, shape = batch["image"], {}, (vae_gan.latent_size,)
    posterior_key, prior_key = jax.random.split(key)
    outputs, updated["encoder"] = _apply(vae_gan, state, params, "encoder", images, train=train)
    mean, log_variance = jnp.split(outputs, 2, axis=-1)  # [B, L] each
    noise = example_normal(posterior_key, batch["index"], shape)
    latents = mean + jnp.exp(0.5 * log_variance) * noise
    both = jnp.concatenate([latents, example_normal(prior_key, batch["index"], shape)])
    # Each network sees all its inputs at once, so that batch statistics are of all of them.
    decoded, updated["decoder"] = _apply(vae_gan, state, params, "decoder", both, train=train)
    shown = jnp.concatenate([images, decoded])
    outputs, updated["discriminator"] = _apply(vae_gan, state, params, "discriminator", shown, train=train)

    logits, features = outputs
    real, reconstructed, generated = jnp.split(logits, 3)
    real_features, reconstructed_features, _ = jnp.split(features, 3)
    losses = vae_gan.losses
    terms = LossTerms(
        kl=kl_to_standard_normal(mean, log_variance),
        feature_error=0.5 * jnp.sum(jnp.square(real_features - reconstructed_features), -1),
        discriminator=0.5 * (losses.discriminator(real, reconstructed) + losses.discriminator(real, generated)),
        generator=0.5 * (losses.generator(real, reconstructed) + losses.generator(real, generated)),
    )
    return terms, (logits, updated)


def sample(
    vae_gan: VAEGAN, state: TrainState, key: Key, num_samples: int, *, condition: jax.Array | None = None
) -> jax.Array:
    """Generate images [num_samples, H, W, C]; there is no condition."""
    refuse_condition(condition)
    return decode(vae_gan, state, prior(vae_gan, key, num_samples))


def prior(vae_gan: VAEGAN, key: Key, num_samples: int) -> jax.Array:
    """Sample normal latents [num_samples, L]; latent i is the same, however many are drawn."""
    return normal_prior(vae_gan.latent_size)(key, num_samples)


def decode(vae_gan: VAEGAN, state: TrainState, latents: jax.Array) -> jax.Array:
    """Decode latents [N, L] to images [N, H, W, C]."""
    return _apply(vae_gan, state, state.params, "decoder", latents, train=False)[0]


def encode(vae_gan: VAEGAN, state: TrainState, images: jax.Array) -> jax.Array:
    """Return the posterior means [N, L] of images [N, H, W, C]."""
    outputs, _ = _apply(vae_gan, state, state.params, "encoder", images, train=False)
    return outputs[:, : vae_gan.latent_size]


def reconstruct(vae_gan: VAEGAN, state: TrainState, images: jax.Array) -> jax.Array:
    """Encode and decode images [N, H, W, C]."""
    return decode(vae_gan, state, encode(vae_gan, state, images))


def discriminate(vae_gan: VAEGAN, state: TrainState, images: jax.Array) -> jax.Array:
    """Return the discriminator's logits [N] of images [N, H, W, C]."""
    return _apply(vae_gan, state, state.params, "discriminator", images, train=False)[0][0]


def model(vae_gan: VAEGAN) -> GenerativeModel:
    """Bind these functions to a spec."""
    return GenerativeModel(
        partial(init, vae_gan),
        partial(train_step, vae_gan),
        partial(eval_step, vae_gan),
        partial(sample, vae_gan),
        latents=Latents(
            partial(prior, vae_gan), partial(decode, vae_gan), partial(encode, vae_gan), partial(reconstruct, vae_gan)
        ),
        discriminate=partial(discriminate, vae_gan),
    )


def _apply(
    vae_gan: VAEGAN, state: TrainState, params: Params, name: str, inputs: jax.Array, *, train: bool
) -> tuple[PyTree, ModelState]:
    """Return the outputs of the network `name`, and its new model state."""
    return apply_network(vae_gan.networks[name], params[name], state.model_state[name], inputs, train=train)


def _metrics(vae_gan: VAEGAN, terms: LossTerms, logits: jax.Array) -> Metrics:
    real, reconstructed, generated = jnp.split(logits, 3)
    boundary = vae_gan.losses.boundary
    fakes = 0.5 * ((reconstructed < boundary) * 1.0 + (generated < boundary) * 1.0)
    return {
        "encoder/kl": sum_and_count(terms.kl),
        "encoder/feature_error": sum_and_count(terms.feature_error),
        "decoder/adversarial": sum_and_count(terms.generator),
        "discriminator/loss": sum_and_count(terms.discriminator),
        "discriminator/accuracy_real": sum_and_count((real > boundary).astype(jnp.float32)),
        "discriminator/accuracy_generated": sum_and_count(fakes),
    }
