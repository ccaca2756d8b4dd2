"""Variational autoencoders (Kingma and Welling 2014, https://arxiv.org/abs/1312.6114) and what follows from them."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.errors import UserError
from jaxgen.core.keys import example_keys
from jaxgen.core.model import GenerativeModel
from jaxgen.core.state import Batch, Key, TrainState, averaged_params
from jaxgen.metrics.likelihood import bits_per_dimension, importance_weighted_bound, importance_weighted_log_likelihood
from jaxgen.models.conditional_samples import normal_prior, samples_by_class
from jaxgen.models.likelihoods import Likelihood
from jaxgen.models.single_loss import LossOutput, one_loss_model
from jaxgen.models.vae.kl_terms import kl_weight_schedule, with_free_bits
from jaxgen.models.vae.posteriors import Draw, Generation, Posterior, standard_normal_log_density
from jaxgen.models.variables import apply_network, init_network

Params = dict[str, Any]


class Observed(NamedTuple):
    """The images [N, H, W, C] that latents are drawn for."""

    targets: jax.Array
    """As the likelihood means them (`Likelihood.targets`)."""
    outputs: jax.Array
    """[N, M], the encoder's."""
    condition: tuple[jax.Array, ...]
    """(labels [N],), or () without classes."""


class Terms(NamedTuple):
    """The terms of a bound, for one latent of each image."""

    log_prob: jax.Array
    """[N], log p(x | z)."""
    draw: Draw
    decoder_state: dict[str, Any]

    @property
    def kl(self) -> jax.Array:
        """[N], log q(z | x) - log p(z): an estimate of the divergence, by its one latent."""
        return self.draw.log_density - standard_normal_log_density(self.draw.latents)

    @property
    def log_weight(self) -> jax.Array:
        """[N], log p(x, z) - log q(z | x)."""
        return self.log_prob - self.kl


def vae(
    encoder: nn.Module,
    decoder: nn.Module,
    *,
    posterior: Posterior,
    likelihood: Likelihood,
    optimizer: optax.GradientTransformation,
    beta: float = 1.0,
    kl_warmup_steps: int = 0,
    free_bits: float = 0.0,
    importance_samples: int = 1,
    num_classes: int | None = None,
    ema_decay: float | None = None,
    eval_importance_samples: int | None = None,
) -> GenerativeModel:
    """A latent-variable model trained on a bound of log p(x), on batches with `image` [B, H, W, C] in [-1, 1].

    The loss of one image, in nats, with z from the posterior and a standard normal prior:

        K = 1:  -log p(x | z) + w KL(q(z | x) || p(z)),     K > 1:  -log 1/K sum_k p(x | z_k) (p(z_k) / q(z_k | x))^w

    w is `beta`, reached over the first `kl_warmup_steps` steps (`jaxgen.models.vae.kl_terms`). The KL term is in closed
    form where the posterior has one, else estimated by z.

    Args:
      encoder: `encoder(images, train=...) -> outputs [B, posterior.num_outputs]`, of images in [0, 1]: digits that are
        0 nearly everywhere are learned faster than the same ones that are -1 (102.5 in place of 104.0 nats after ten
        epochs of mnist_vae).
      decoder: `decoder(latents [B, L], train=...) -> parameters [B, H, W, C * P]` of the likelihood.
      posterior: `gaussian_posterior(L)`, or another of `jaxgen.models.vae.posteriors`.
      free_bits: lambda, in nats: each latent's KL, averaged over the batch, counts as at least this much, so that it is
        not worth switching off (`jaxgen.models.vae.kl_terms`).
      importance_samples: K; above 1 this is the importance-weighted autoencoder (Burda et al. 2016, arXiv:1509.00519,
        eq. 8), whose gradient goes through the bound.
      num_classes: None: no condition. K: both networks get labels in 0..K-1 as their second argument (Sohn et al. 2015;
        see `jaxgen.networks.layers.conditional`).
      ema_decay: of the moving average that evaluation and samples use; None: no average.
      eval_importance_samples: evaluation also reports log p(x) estimated with this many latents an image.

    Metrics: `vae/loss`; `vae/reconstruction`, -log p(x | z), and `vae/kl`, in nats without weights; `vae/elbo`, minus
    their sum; `vae/bits_per_dimension`, that ELBO in bits, where the likelihood is of levels; on evaluation
    `vae/log_likelihood`.

    `sample` gives the likelihood's means, of labels [num_samples] as `condition` (without: those of `conditions`).

    `functions`, `condition` being the labels or nothing, and images binary where the likelihood is:
    `prior(key, num_samples) -> latents`; `decode(state, latents, *condition) -> images`, the means;
    `encode(state, images, *condition) -> latents`, the posterior's means; `posterior(state, images, *condition) ->
    (mean, log_variance)`, each [B, L]; `reconstruct(state, images, *condition) -> images`, decoded from `encode`;
    `log_weights(state, key, batch) -> [B]`, log p(x, z) - log q(z | x) of one z for each image, as
    `jaxgen.metrics.likelihood.importance_weighted_log_likelihood` takes it; `log_likelihood(state, key, batch,
    num_samples) -> [B]`, that estimate, nats; with classes also `conditions(num_samples) -> labels`, each in turn.

    Raises:
      UserError: `free_bits` where the KL term is not in closed form.
    """
    if free_bits and (importance_samples > 1 or not posterior.closed_form):
        raise UserError(
            "Free bits need the divergence of each latent in closed form: use them with one importance sample and a "
            "Gaussian posterior, without flow or Hamiltonian dynamics."
        )

    # ------------------------------------------------------------ networks

    def condition_of(batch: Batch) -> tuple[jax.Array, ...]:
        return () if num_classes is None else (batch["label"],)

    def init_networks(key: Key, batch: Batch) -> tuple[Params, dict[str, Any]]:
        encoder_key, decoder_key, posterior_key = jax.random.split(key, 3)
        images, condition = batch["image"], condition_of(batch)
        latents = jnp.zeros((len(images), posterior.latent_size), images.dtype)
        encoder_params, encoder_state = init_network(encoder, encoder_key, images, *condition)
        decoder_params, decoder_state = init_network(decoder, decoder_key, latents, *condition)
        params = {"encoder": encoder_params, "decoder": decoder_params, "posterior": posterior.init(posterior_key)}
        return params, {"encoder": encoder_state, "decoder": decoder_state}

    def observe(
        params: Params, model_state: Any, targets: jax.Array, condition: tuple[jax.Array, ...], *, train: bool
    ) -> tuple[Observed, Any]:
        outputs, encoder_state = apply_network(
            encoder, params["encoder"], model_state["encoder"], 0.5 * (targets + 1.0), *condition, train=train
        )
        return Observed(targets, outputs, condition), encoder_state

    def generation(params: Params, model_state: Any, observed: Observed | None, *, train: bool) -> Generation:
        def call(*inputs: Any, train: bool = train, **options: Any) -> Any:
            state = model_state["decoder"]
            return apply_network(decoder, params["decoder"], state, *inputs, train=train, **options)[0]

        def log_prob(latents: jax.Array) -> jax.Array:  # without batch statistics, which tie examples together
            return likelihood.log_prob(call(latents, *observed.condition, train=False), observed.targets)

        return Generation(log_prob, call)

    def terms(params: Params, model_state: Any, observed: Observed, keys: Key, *, train: bool) -> Terms:
        of = generation(params, model_state, observed, train=train)
        draw = posterior.draw(params["posterior"], observed.outputs, keys, of)
        parameters, decoder_state = apply_network(
            decoder, params["decoder"], model_state["decoder"], draw.latents, *observed.condition, train=train
        )
        return Terms(likelihood.log_prob(parameters, observed.targets), draw, decoder_state)

    # ------------------------------------------------------------ the bound

    def loss(
        params: Params, model_state: Any, batch: Batch, key: Key, *, train: bool, kl_weight: jax.Array
    ) -> LossOutput:
        target_key, latent_key, likelihood_key = jax.random.split(key, 3)
        targets = likelihood.targets(target_key, batch["index"], batch["image"])
        observed, encoder_state = observe(params, model_state, targets, condition_of(batch), train=train)
        keys = example_keys(latent_key, batch["index"])
        keys = jax.vmap(lambda key: jax.random.split(key, importance_samples))(keys).reshape(-1)  # [B * K]
        repeated = jax.tree.map(lambda x: jnp.repeat(x, importance_samples, axis=0), observed)
        drawn = terms(params, model_state, repeated, keys, train=train)

        closed_form = posterior.closed_form and importance_samples == 1
        kl = jnp.sum(drawn.draw.kl, -1) if closed_form else drawn.kl
        log_prob, kl = (x.reshape(-1, importance_samples).T for x in (drawn.log_prob, kl))  # [K, B]
        penalty = kl if not free_bits else jnp.broadcast_to(with_free_bits(drawn.draw.kl, free_bits), kl.shape)
        losses = -importance_weighted_bound(log_prob - kl_weight * penalty)
        elbo = jnp.mean(log_prob - kl, 0)
        metrics = {"reconstruction": -jnp.mean(log_prob, 0), "kl": jnp.mean(kl, 0), "elbo": elbo}
        if likelihood.levels is not None:
            metrics["bits_per_dimension"] = bits_per_dimension(-elbo, targets[0].size, bin_width=1.0)
        if eval_importance_samples is not None and not train:
            metrics["log_likelihood"] = estimate(
                params, model_state, observed, likelihood_key, batch["index"], eval_importance_samples
            )
        return LossOutput(losses, metrics, {"encoder": encoder_state, "decoder": drawn.decoder_state})

    def estimate(
        params: Params, model_state: Any, observed: Observed, key: Key, index: jax.Array, num_samples: int
    ) -> jax.Array:
        def one_log_weight(key: Key, observed: Observed) -> jax.Array:
            return terms(params, model_state, observed, example_keys(key, index), train=False).log_weight

        return importance_weighted_log_likelihood(one_log_weight, key, observed, num_samples)

    # ------------------------------------------------------------ use

    def of_state(state: TrainState) -> tuple[Params, Any]:
        return averaged_params(state, "vae"), state.model_state

    def look_at(state: TrainState, images: jax.Array, condition: tuple[jax.Array, ...]) -> tuple[Params, Any, Observed]:
        params, model_state = of_state(state)
        return params, model_state, observe(params, model_state, images, condition, train=False)[0]

    def decode(state: TrainState, latents: jax.Array, *condition: jax.Array) -> jax.Array:
        return likelihood.mean(generation(*of_state(state), None, train=False).decoder(latents, *condition))

    def encode(state: TrainState, images: jax.Array, *condition: jax.Array) -> jax.Array:
        params, model_state, observed = look_at(state, images, condition)
        decoder = generation(params, model_state, observed, train=False).decoder
        return posterior.point(params["posterior"], observed.outputs, decoder)

    def moments(state: TrainState, images: jax.Array, *condition: jax.Array) -> tuple[jax.Array, jax.Array]:
        params, model_state, observed = look_at(state, images, condition)
        decoder = generation(params, model_state, observed, train=False).decoder
        return posterior.moments(params["posterior"], observed.outputs, decoder)

    def reconstruct(state: TrainState, images: jax.Array, *condition: jax.Array) -> jax.Array:
        return decode(state, encode(state, images, *condition), *condition)

    def log_weights(state: TrainState, key: Key, batch: Batch) -> jax.Array:
        of = look_at(state, batch["image"], condition_of(batch))
        return terms(*of, example_keys(key, batch["index"]), train=False).log_weight

    def log_likelihood(state: TrainState, key: Key, batch: Batch, num_samples: int) -> jax.Array:
        of = look_at(state, batch["image"], condition_of(batch))
        return estimate(*of, key, batch["index"], num_samples)

    prior = normal_prior(posterior.latent_size)
    sample, functions = samples_by_class(
        lambda state, key, num_samples, *labels: decode(state, prior(key, num_samples), *labels), num_classes
    )
    functions |= {
        "prior": prior,
        "decode": decode,
        "encode": encode,
        "posterior": moments,
        "reconstruct": reconstruct,
        "log_weights": log_weights,
        "log_likelihood": log_likelihood,
    }
    return one_loss_model(
        name="vae",
        init_networks=init_networks,
        loss=loss,
        optimizer=optimizer,
        ema_decay=ema_decay,
        schedules={"kl_weight": kl_weight_schedule(beta, kl_warmup_steps)},
        sample=sample,
        functions=functions,
    )
