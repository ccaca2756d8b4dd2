"""VQ-VAE: images as grids of discrete codes (van den Oord et al. 2017, https://arxiv.org/abs/1711.00937)."""

import math
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.model import GenerativeModel
from jaxgen.core.per_example import row_means, row_sums, rows
from jaxgen.core.state import Batch, Key, TrainState
from jaxgen.metrics.likelihood import bits_per_dimension
from jaxgen.models.codebooks import (
    initial_codes,
    moved_codebook,
    moved_counts,
    nearest_codes,
    perplexity,
    straight_through,
    usage,
    use_of_codes,
)
from jaxgen.models.likelihoods import Likelihood
from jaxgen.models.single_loss import LossOutput, one_loss_model
from jaxgen.models.variables import apply_network, init_network


class Quantized(NamedTuple):
    """A batch of images behind the encoder."""

    vectors: jax.Array
    """[B, h, w, D], the encoder's outputs z_e."""
    numbers: jax.Array
    """int32 [B, h, w], those of the nearest codes."""
    codes: jax.Array
    """[B, h, w, D], these codes e."""


def vq_vae(
    encoder: nn.Module,
    decoder: nn.Module,
    *,
    likelihood: Likelihood,
    num_codes: int,
    code_size: int,
    grid_shape: tuple[int, int],
    optimizer: optax.GradientTransformation,
    commitment: float = 0.25,
    codebook: Literal["running_means", "gradient"] = "running_means",
    decay: float = 0.99,
    revive_below: float = 1.0,
) -> GenerativeModel:
    """An autoencoder through a code book, on batches with `image` [B, H, W, C] in [-1, 1].

    The loss of one image of M = H W C numbers, with z_e from the encoder, e the nearest codes and sg[] without gradient
    (eq. 3, each term as a mean over its numbers, as in the paper's own code, so that their balance does not depend on
    the sizes of image and grid):

        -1/M log p(x | e)  +  mean |sg[z_e] - e|^2  +  beta mean |z_e - sg[e]|^2

    The first term's gradient passes from e to z_e unchanged. The second is left out with code books of running means,
    which move by themselves (`jaxgen.models.codebooks.moved_codebook`).

    Args:
      encoder: `encoder(images, train=...) -> [B, h, w, code_size]`.
      decoder: `decoder([B, h, w, code_size], train=...) -> parameters [B, H, W, C * P]` of the likelihood.
      likelihood: p(x | e); `scaled_squared_error` is that of the paper's code, `jaxgen.models.likelihoods` has others.
      num_codes: K.
      code_size: D.
      grid_shape: (h, w).
      commitment: beta.
      codebook: "running_means" (appendix A.1) or "gradient", with the second term.
      decay: gamma of the running means; of the running counts of uses in both cases.
      revive_below: running means only; codes used less often a batch, in the running mean, become vectors of the batch.

    Metrics: `vq_vae/loss`; `vq_vae/reconstruction`, -log p(x | e) in nats; `vq_vae/commitment`, mean |z_e - e|^2;
    `vq_vae/elbo`, log p(x | e) - h w log K, the bound of log p(x) with the uniform prior that holds while the codes are
    learned; `vq_vae/bits_per_dimension`, that bound in bits, where the likelihood is of levels; `vq_vae/perplexity` of
    the running counts (about the last 1 / (1 - gamma) training batches, and so the same for every batch and for the
    held-out examples); `vq_vae/unigram_nats`, -log of the running share of each code, averaged over the grid: what one
    that knew only these shares would need for a code, and what a prior must beat.

    `sample` decodes codes of the uniform prior; a second stage learns a better one.

    `functions`, images binary where the likelihood is: `encode(state, images) -> codes int32 [B, h, w]`;
    `decode_codes(state, codes) -> images`, the likelihood's means; `quantize(state, vectors [..., D]) -> (the codes'
    vectors [..., D], their numbers [...])`; `reconstruct(state, images) -> images`; `draw_codes(state, key, batch) ->
    codes`, of the images that `likelihood.targets` draws; `prior(key, num_samples) -> codes`, uniform.
    """
    learned = codebook == "gradient"

    def init_networks(key: Key, batch: Batch) -> tuple[Any, dict[str, Any]]:
        encoder_key, decoder_key, codes_key = jax.random.split(key, 3)
        images = batch["image"]
        vectors = jnp.zeros((len(images), *grid_shape, code_size), images.dtype)
        encoder_params, encoder_state = init_network(encoder, encoder_key, images)
        decoder_params, decoder_state = init_network(decoder, decoder_key, vectors)
        codes, counts = initial_codes(codes_key, num_codes, code_size), jnp.ones(num_codes)
        params = {"encoder": encoder_params, "decoder": decoder_params}
        model_state = {"encoder": encoder_state, "decoder": decoder_state, "codebook": {"counts": counts}}
        if learned:
            params["codes"] = codes
        else:
            model_state["codebook"] |= {"codes": codes, "sums": jnp.copy(codes)}  # two buffers: states are donated
        return params, model_state

    def codes_of(params: Any, model_state: Any) -> jax.Array:
        return params["codes"] if learned else model_state["codebook"]["codes"]

    def look_at(params: Any, model_state: Any, images: jax.Array, *, train: bool) -> tuple[Quantized, Any]:
        vectors, encoder_state = apply_network(encoder, params["encoder"], model_state["encoder"], images, train=train)
        codes = codes_of(params, model_state)
        numbers = nearest_codes(jax.lax.stop_gradient(vectors), jax.lax.stop_gradient(codes))
        return Quantized(vectors, numbers, codes[numbers]), encoder_state

    def loss(params: Any, model_state: Any, batch: Batch, key: Key, *, train: bool) -> LossOutput:
        target_key, revival_key = jax.random.split(key)
        targets = likelihood.targets(target_key, batch["index"], batch["image"])
        found, encoder_state = look_at(params, model_state, targets, train=train)
        parameters, decoder_state = apply_network(
            decoder,
            params["decoder"],
            model_state["decoder"],
            straight_through(found.vectors, found.codes),
            train=train,
        )
        log_prob = likelihood.log_prob(parameters, targets)
        stop = jax.lax.stop_gradient
        distances = row_means(jnp.square(rows(found.vectors) - rows(stop(found.codes))))
        losses = -log_prob / targets[0].size + commitment * distances
        if learned:
            losses += row_means(jnp.square(rows(stop(found.vectors)) - rows(found.codes)))

        book = model_state["codebook"]
        if train:
            numbers, vectors = found.numbers.reshape(-1), stop(found.vectors).reshape(-1, code_size)
            if learned:
                book = {"counts": moved_counts(book["counts"], numbers, decay)}
            else:
                book = moved_codebook(book, vectors, numbers, revival_key, decay=decay, revive_below=revive_below)
        elbo = log_prob - math.prod(grid_shape) * math.log(num_codes)
        metrics = {
            "reconstruction": -log_prob,
            "commitment": distances,
            "elbo": elbo,
            "perplexity": jnp.broadcast_to(perplexity(book["counts"]), log_prob.shape),
            "unigram_nats": row_means(-jnp.log(usage(book["counts"])[found.numbers])),
        }
        if likelihood.levels is not None:
            metrics["bits_per_dimension"] = bits_per_dimension(-elbo, targets[0].size, bin_width=1.0)
        return LossOutput(losses, metrics, {"encoder": encoder_state, "decoder": decoder_state, "codebook": book})

    # ------------------------------------------------------------ use

    def encode(state: TrainState, images: jax.Array) -> jax.Array:
        return look_at(state.params["vq_vae"], state.model_state, images, train=False)[0].numbers

    def quantize(state: TrainState, vectors: jax.Array) -> tuple[jax.Array, jax.Array]:
        codes = codes_of(state.params["vq_vae"], state.model_state)
        numbers = nearest_codes(vectors, codes)
        return codes[numbers], numbers

    def decode_codes(state: TrainState, codes: jax.Array) -> jax.Array:
        params, model_state = state.params["vq_vae"], state.model_state
        vectors = codes_of(params, model_state)[codes]
        return likelihood.mean(
            apply_network(decoder, params["decoder"], model_state["decoder"], vectors, train=False)[0]
        )

    sample, functions = use_of_codes(
        encode=encode,
        decode_codes=decode_codes,
        likelihood=likelihood,
        num_codes=num_codes,
        grid_shape=grid_shape,
    )
    return one_loss_model(
        name="vq_vae",
        init_networks=init_networks,
        loss=loss,
        optimizer=optimizer,
        sample=sample,
        functions=functions | {"quantise": quantize},
    )


def scaled_squared_error(data_variance: float) -> Likelihood:
    """Normal pixels of fixed variance v / 2, v that of all the data's numbers in [-1, 1]; the parameter is the mean.

    Then -log p / M is the mean of (x - m)^2 / v, the loss of the paper's own code, and a constant. A density: its nats
    depend on v, and compare with those of the same data alone.
    """

    def log_prob(parameters: jax.Array, images: jax.Array) -> jax.Array:
        squares = jnp.square(rows(images) - rows(parameters)) / data_variance
        return -row_sums(squares + 0.5 * math.log(math.pi * data_variance))

    def draw(keys: jax.Array, parameters: jax.Array) -> jax.Array:
        noise = jax.vmap(lambda key, mean: jax.random.normal(key, mean.shape, mean.dtype))(keys, parameters)
        return jnp.clip(parameters + math.sqrt(0.5 * data_variance) * noise, -1.0, 1.0)

    return Likelihood(
        parameters_per_channel=1,
        targets=lambda key, index, images: images,
        log_prob=log_prob,
        mean=lambda parameters: jnp.clip(parameters, -1.0, 1.0),
        draw=draw,
        levels=None,
    )
