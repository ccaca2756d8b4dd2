"""The discrete VAE: grids of codes by a relaxation (DALL-E: Ramesh et al. 2021, https://arxiv.org/abs/2102.12092)."""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys
from jaxgen.core.model import GenerativeModel
from jaxgen.core.per_example import row_sums
from jaxgen.core.state import Batch, Key, TrainState, averaged_params
from jaxgen.models.codebooks import moved_counts, perplexity, usage, use_of_codes
from jaxgen.models.likelihoods import Likelihood
from jaxgen.models.single_loss import LossOutput, one_loss_model
from jaxgen.models.variables import apply_network, init_network


def discrete_vae(
    encoder: nn.Module,
    decoder: nn.Module,
    *,
    likelihood: Likelihood,
    num_codes: int,
    code_size: int,
    grid_shape: tuple[int, int],
    optimizer: optax.GradientTransformation,
    temperature: optax.Schedule,
    kl_weight: optax.Schedule,
    decay: float = 0.99,
    ema_decay: float | None = None,
) -> GenerativeModel:
    """An autoencoder through categorical codes, on batches with `image` [B, H, W, C] in [-1, 1].

    q(z | x) is a categorical distribution of K codes at each place of a grid, and the prior is uniform. The loss of one
    image of M = H W C numbers is its evidence bound, with beta times the divergence (section 2.1)

        1/M (-log p(x | z) + beta KL(q(z | x) | uniform))

    where in training z is relaxed (`relaxed_codes`), so that it has a gradient, and in evaluation drawn.

    Args:
      encoder: `encoder(images, train=...) -> logits [B, h, w, K]`.
      decoder: `decoder([B, h, w, code_size], train=...) -> parameters [B, H, W, C * P]` of the likelihood; it gets the
        codes' vectors, which are learned, or mixtures of them.
      likelihood: p(x | z); `jaxgen.models.likelihoods.logit_laplace` is the paper's.
      num_codes: K.
      code_size: D, of the vectors.
      grid_shape: (h, w).
      temperature, kl_weight: of the relaxation, and beta, by steps taken (`cosine_between`).
      decay: of the running counts of uses.
      ema_decay: of the moving average of the weights that evaluation and `functions` use; None: no average.

    Metrics: `discrete_vae/loss`; `discrete_vae/reconstruction`, -log p(x | z) in nats; `discrete_vae/kl`, over the
    grid; `discrete_vae/elbo`, the bound with beta = 1, which in evaluation is one of log p(x);
    `discrete_vae/perplexity` and `discrete_vae/unigram_nats`, as of `jaxgen.models.vq_vae`, of the likeliest codes;
    `discrete_vae/temperature`.

    `sample` decodes codes of the uniform prior; a second stage learns a better one.

    `functions`: `encode(state, images) -> codes int32 [B, h, w]`, the likeliest; `decode_codes`, `reconstruct`,
    `draw_codes` and `prior`, as of `jaxgen.models.vq_vae`.
    """

    def init_networks(key: Key, batch: Batch) -> tuple[Any, dict[str, Any]]:
        encoder_key, decoder_key, codes_key = jax.random.split(key, 3)
        images = batch["image"]
        vectors = jnp.zeros((len(images), *grid_shape, code_size), images.dtype)
        encoder_params, encoder_state = init_network(encoder, encoder_key, images)
        decoder_params, decoder_state = init_network(decoder, decoder_key, vectors)
        codes = jax.random.normal(codes_key, (num_codes, code_size), jnp.float32)
        params = {"encoder": encoder_params, "decoder": decoder_params, "codes": codes}
        return params, {
            "encoder": encoder_state,
            "decoder": decoder_state,
            "codebook": {"counts": jnp.ones(num_codes)},
        }

    def loss(
        params: Any,
        model_state: Any,
        batch: Batch,
        key: Key,
        *,
        train: bool,
        temperature: jax.Array,
        kl_weight: jax.Array,
    ) -> LossOutput:
        target_key, code_key = jax.random.split(key)
        targets = likelihood.targets(target_key, batch["index"], batch["image"])
        logits, encoder_state = apply_network(encoder, params["encoder"], model_state["encoder"], targets, train=train)
        keys = example_keys(code_key, batch["index"])
        codes = relaxed_codes(logits, keys, temperature) if train else drawn_codes(logits, keys)
        vectors = jnp.matmul(codes, params["codes"])
        parameters, decoder_state = apply_network(
            decoder, params["decoder"], model_state["decoder"], vectors, train=train
        )
        log_prob, kl = likelihood.log_prob(parameters, targets), kl_to_uniform(logits)
        numbers = jnp.argmax(logits, -1)
        counts = model_state["codebook"]["counts"]
        if train:
            counts = moved_counts(counts, numbers.reshape(-1), decay)
        metrics = {
            "reconstruction": -log_prob,
            "kl": kl,
            "elbo": log_prob - kl,
            "perplexity": jnp.broadcast_to(perplexity(counts), log_prob.shape),
            "unigram_nats": jnp.mean(-jnp.log(usage(counts)[numbers]), (1, 2)),
            "temperature": jnp.broadcast_to(temperature, log_prob.shape),
        }
        losses = (kl_weight * kl - log_prob) / targets[0].size
        return LossOutput(
            losses, metrics, {"encoder": encoder_state, "decoder": decoder_state, "codebook": {"counts": counts}}
        )

    # ------------------------------------------------------------ use

    def encode(state: TrainState, images: jax.Array) -> jax.Array:
        params = averaged_params(state, "discrete_vae")
        logits, _ = apply_network(encoder, params["encoder"], state.model_state["encoder"], images, train=False)
        return jnp.argmax(logits, -1).astype(jnp.int32)

    def decode_codes(state: TrainState, codes: jax.Array) -> jax.Array:
        params = averaged_params(state, "discrete_vae")
        vectors = params["codes"][codes]
        decoder_state = state.model_state["decoder"]
        return likelihood.mean(apply_network(decoder, params["decoder"], decoder_state, vectors, train=False)[0])

    sample, functions = use_of_codes(
        encode=encode,
        decode_codes=decode_codes,
        likelihood=likelihood,
        num_codes=num_codes,
        grid_shape=grid_shape,
    )
    return one_loss_model(
        name="discrete_vae",
        init_networks=init_networks,
        loss=loss,
        optimizer=optimizer,
        ema_decay=ema_decay,
        schedules={"temperature": temperature, "kl_weight": kl_weight},
        sample=sample,
        functions=functions,
    )


def relaxed_codes(logits: jax.Array, keys: jax.Array, temperature: jax.Array | float) -> jax.Array:
    """softmax((l + g) / temperature), g Gumbel noise of each example's own key: [B, ..., K] of logits l [B, ..., K].

    (Jang et al. 2017, arXiv:1611.01144, eq. 2; Maddison et al. 2017, arXiv:1611.00712.) As the temperature falls it
    becomes a one-hot draw of the categorical distribution.
    """
    return jax.nn.softmax((logits + _gumbel(logits, keys)) / temperature)


def drawn_codes(logits: jax.Array, keys: jax.Array) -> jax.Array:
    """What `relaxed_codes` become at temperature 0: one-hot [B, ..., K]."""
    return jax.nn.one_hot(jnp.argmax(logits + _gumbel(logits, keys), -1), logits.shape[-1], dtype=logits.dtype)


def kl_to_uniform(logits: jax.Array) -> jax.Array:
    """KL(q | uniform) = sum_places (log K + sum_k q_k log q_k) in nats, of logits [B, ..., K]: [B]."""
    log_q = jax.nn.log_softmax(logits)
    return row_sums(math.log(logits.shape[-1]) + jnp.sum(jnp.exp(log_q) * log_q, -1))


def cosine_between(start: float, end: float, steps: int) -> Callable[[jax.Array], jax.Array]:
    """From `start` to `end` along half a cosine over so many steps, then `end` (appendix A.2)."""
    left = optax.cosine_decay_schedule(1.0, max(1, steps))
    return lambda step: end + (start - end) * left(step)


def _gumbel(logits: jax.Array, keys: jax.Array) -> jax.Array:
    return jax.vmap(lambda key, row: jax.random.gumbel(key, row.shape, row.dtype))(keys, logits)
