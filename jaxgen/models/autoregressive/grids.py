"""Autoregressive models: p(tokens) as the product of each token's probability given those before it."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.keys import example_keys
from jaxgen.core.model import GenerativeModel
from jaxgen.core.per_example import row_sums
from jaxgen.core.state import Batch, Key, TrainState, averaged_params
from jaxgen.models.conditional_samples import samples_by_class
from jaxgen.models.likelihoods import bernoulli
from jaxgen.models.single_loss import LossOutput, one_loss_model
from jaxgen.models.variables import apply_network, init_network

Arrays = dict[str, Any]


class Tokenizer(NamedTuple):
    """What makes tokens of a batch and samples of tokens: a first stage that was trained before, or a rule."""

    load: Callable[[], Arrays]
    """() -> its arrays, which go to `model_state["frozen"]`: one checkpoint is complete."""
    encode: Callable[[Arrays, Key, Batch], jax.Array]
    """(arrays, key, batch) -> tokens int [B, *S]."""
    decode: Callable[[Arrays, jax.Array], jax.Array]
    """(arrays, tokens) -> samples [B, ...]."""


def binary_pixels() -> Tokenizer:
    """Images [B, H, W, 1] in [-1, 1] as tokens [B, H, W], 1 where a pixel is white, and back.

    Gray values are drawn as black or white as the likelihood `bernoulli` draws them: anew at each step, where the data
    were not binarized once and for all (`jaxgen.data.binarization`).
    """

    def encode(arrays: Arrays, key: Key, batch: Batch) -> jax.Array:
        del arrays
        white = bernoulli().targets(key, batch["index"], batch["image"]) > 0.0
        return jnp.squeeze(white, -1).astype(jnp.int32)

    def decode(arrays: Arrays, tokens: jax.Array) -> jax.Array:
        del arrays
        return jnp.where(tokens[..., None] == 1, 1.0, -1.0)

    return Tokenizer(dict, encode, decode)


def autoregressive(
    network: nn.Module,
    *,
    token_shape: Sequence[int],
    optimizer: optax.GradientTransformation,
    num_classes: int | None = None,
    tokenizer: Tokenizer | None = None,
    ema_decay: float | None = None,
) -> GenerativeModel:
    """-log p(x) = -sum_i log p(x_i | x_1, ..., x_{i-1}), the tokens x of an example in raster order.

    Args:
      network: `network(tokens int [B, *S], train=...) -> logits [B, *S, K]`, each of which depends on no token but
        those before it. If it has `start(tokens) -> cache` and `logits_at(cache, tokens, i) -> (cache, logits [B, K] of
        token i)`, which is asked for every i in order, samples are drawn by these; else by a whole pass for each token.
      token_shape: S.
      num_classes: None: no condition. N: the network gets the batch's `label` [B] in 0..N-1 as its last argument.
      tokenizer: makes the tokens; None: they are the batch's `tokens`, and samples are tokens.
      ema_decay: of the moving average of the weights that evaluation and samples use; None: no average.

    Metrics, of -log p in nats: `autoregressive/loss`, per token; `autoregressive/nats`, per example.

    `sample` takes labels [num_samples] as `condition`; without, those of `conditions`.

    `functions`: `sample_tokens(state, key, num_samples, *condition) -> (tokens [N, *S], their log p [N])`;
    `log_prob(state, tokens, *condition) -> [B]`, nats; with classes `conditions(num_samples) -> labels`, each in turn.
    """
    token_shape = tuple(token_shape)
    length = math.prod(token_shape)

    def init_networks(key: Key, batch: Batch) -> tuple[Any, Arrays]:
        size = len(next(iter(batch.values())))
        params, network_state = init_network(
            network, key, jnp.zeros((size, *token_shape), jnp.int32), *condition_of(batch)
        )
        # Copied: the state's buffers are donated, and may not be those of another.
        frozen = {} if tokenizer is None else {"frozen": jax.tree.map(jnp.copy, tokenizer.load())}
        return params, {"network": network_state, **frozen}

    def condition_of(batch: Batch) -> tuple[jax.Array, ...]:
        return () if num_classes is None else (batch["label"],)

    def loss(params: Any, model_state: Arrays, batch: Batch, key: Key, *, train: bool) -> LossOutput:
        if tokenizer is None:
            tokens = batch["tokens"].astype(jnp.int32)
        else:
            tokens = tokenizer.encode(model_state["frozen"], key, batch)
        logits, network_state = apply_network(
            network, params, model_state["network"], tokens, *condition_of(batch), train=train
        )
        nats = _nats(logits, tokens)
        return LossOutput(nats / length, {"nats": nats}, {**model_state, "network": network_state})

    # ------------------------------------------------------------ use

    def apply(state: TrainState, *inputs: Any, **options: Any) -> Any:
        variables = {"params": averaged_params(state, "autoregressive"), **state.model_state["network"]}
        return network.apply(variables, *inputs, **options)

    def log_prob(state: TrainState, tokens: jax.Array, *condition: jax.Array) -> jax.Array:
        return -_nats(apply(state, tokens, *condition, train=False), tokens)

    def sample_tokens(
        state: TrainState, key: Key, num_samples: int, *condition: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        keys = example_keys(key, jnp.arange(num_samples, dtype=jnp.uint32))
        cached = hasattr(network, "logits_at")

        def draw_next(i: jax.Array, drawn: tuple[jax.Array, jax.Array, Any]) -> tuple[jax.Array, jax.Array, Any]:
            tokens, log_probs, cache = drawn  # [N, T], [N]
            grid = tokens.reshape(-1, *token_shape)
            if cached:
                cache, logits = apply(state, cache, grid, i, *condition, method="logits_at")
            else:
                logits = apply(state, grid, *condition, train=False).reshape(num_samples, length, -1)[:, i]
            logits = jax.nn.log_softmax(logits)  # [N, K]
            chosen = jax.vmap(lambda k, row: jax.random.categorical(jax.random.fold_in(k, i), row))(keys, logits)
            log_probs += jnp.take_along_axis(logits, chosen[:, None], -1)[:, 0]
            return tokens.at[:, i].set(chosen.astype(tokens.dtype)), log_probs, cache

        empty = jnp.zeros((num_samples, length), jnp.int32)
        cache = apply(state, empty.reshape(-1, *token_shape), *condition, method="start") if cached else ()
        tokens, log_probs, _ = jax.lax.fori_loop(0, length, draw_next, (empty, jnp.zeros(num_samples), cache))
        return tokens.reshape(-1, *token_shape), log_probs

    def draw(state: TrainState, key: Key, num_samples: int, *labels: jax.Array) -> jax.Array:
        tokens, _ = sample_tokens(state, key, num_samples, *labels)
        return tokens if tokenizer is None else tokenizer.decode(state.model_state["frozen"], tokens)

    sample, functions = samples_by_class(draw, num_classes)
    functions |= {"sample_tokens": sample_tokens, "log_prob": log_prob}
    return one_loss_model(
        name="autoregressive",
        init_networks=init_networks,
        loss=loss,
        optimizer=optimizer,
        ema_decay=ema_decay,
        sample=sample,
        functions=functions,
    )


def _nats(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """-log p of tokens [B, *S] under logits [B, *S, K]: [B]."""
    return row_sums(optax.softmax_cross_entropy_with_integer_labels(logits, tokens))
