"""Decoding: tokens drawn one after another, in one compiled loop over a network's cache.

A network that can be decoded has, besides `network(tokens [B, T], *condition, train=...) -> logits [B, T, K]`,

    start(batch_size, *condition) -> cache            an empty cache
    step(cache, tokens [B], position []) -> (cache, next-token logits [B, K])

If it looks back at a limited number of tokens, that number is its attribute `context`, and it also has

    fill(tokens [B, T], *condition) -> cache          the cache after T tokens, T at most `context`

When the context is full, its second half is kept and read again as if it were the beginning. So a token costs the same
on average, however many came before; `window_start` says which tokens each one depends on.

    decoder = Decoder(network)
    decoding = begin(decoder, variables, key, prompts, lengths, num_tokens)
    decoding = advance(decoder, variables, decoding, num_tokens, SamplingParams(temperature=0.8))
    decoding.tokens
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys, folded_keys
from jaxgen.core.types import ConditionValue, Key, PyTree, Variables, present

_FILL_MULTIPLE = 64
"""Prompts are padded to multiples of this length before they are read at once, so that few lengths are compiled."""


@flax.struct.dataclass
class SamplingParams:
    """Parameters of drawing a token from its logits."""

    temperature: float | jax.Array = 1.0
    """Divisor of the logits; 0: the likeliest token is taken."""
    top_k: int | None = flax.struct.field(pytree_node=False, default=None)
    """Only the k likeliest tokens are possible; None: all tokens."""
    top_p: float | jax.Array | None = None
    """Only the likeliest tokens, until their probabilities add up to p, are possible (nucleus sampling: Holtzman et al.
    2020, arXiv:1904.09751); None: all tokens."""


Draw = Callable[[jax.Array, jax.Array, SamplingParams], jax.Array]
"""(outputs [B, P] of a network's `step`, keys [B], params) -> tokens int [B]."""


def choose(logits: jax.Array, keys: jax.Array, params: SamplingParams) -> jax.Array:
    """Draw one token int [B] for each row of logits [B, K], with one key for each row [B]."""
    temperature = jnp.asarray(params.temperature, jnp.float32)
    logits = logits.astype(jnp.float32) / jnp.where(temperature > 0, temperature, 1.0)
    if params.top_k is not None:
        least = jax.lax.top_k(logits, min(params.top_k, logits.shape[-1]))[0][:, -1:]
        logits = jnp.where(logits < least, -jnp.inf, logits)
    if params.top_p is not None:
        ordered = jnp.sort(logits, axis=-1, descending=True)
        before = jnp.cumsum(jax.nn.softmax(ordered), axis=-1) - jax.nn.softmax(ordered)
        least = jnp.min(jnp.where(before < params.top_p, ordered, jnp.inf), axis=-1, keepdims=True)
        logits = jnp.where(logits < least, -jnp.inf, logits)
    drawn = jax.vmap(jax.random.categorical)(keys, logits)
    return jnp.where(temperature > 0, drawn, jnp.argmax(logits, axis=-1)).astype(jnp.int32)


@dataclass(frozen=True)
class Decoder:
    """A network, and how tokens are drawn from its outputs."""

    network: nn.Module
    """A network with `start` and `step`, and with `fill` if it has `context`."""
    draw: Draw = choose
    """The function that draws tokens from the outputs of `step`; the default takes logits."""

    @property
    def context(self) -> int | None:
        """Number of tokens that the network can look back at; None: no limit."""
        return getattr(self.network, "context", None)


@flax.struct.dataclass
class DecodeState:
    """The state of decoding."""

    tokens: jax.Array
    """int [B, N]: the prompts, followed by the tokens drawn so far."""
    given: jax.Array
    """int [B]: the length of each row's prompt."""
    position: jax.Array
    """[]: the last place that holds a token in all rows; the token after it is not drawn yet."""
    start: jax.Array
    """[]: the place of the first token that the cache knows."""
    cache: PyTree
    keys: jax.Array
    """[B], one key for each row."""
    condition: tuple[PyTree, ...] = ()
    """Arguments of the network after the tokens."""


def window_start(position: int, context: int) -> int:
    """Return the place of the first token that the successor of the token at `position` depends on."""
    kept = context // 2
    return 0 if position < context else (position - kept) // (context - kept) * (context - kept)


def begin(
    decoder: Decoder,
    variables: Variables,
    key: Key,
    prompts: jax.Array,
    lengths: Sequence[int] | jax.Array,
    num_tokens: int,
    *condition: ConditionValue,
) -> DecodeState:
    """Return the state after the prompts, with room for `num_tokens` after the longest.

    Args:
      prompts: int [B, P], of which the first `lengths` [B] tokens of each row count. Lengths are at least 1 and known
        (not traced). All but one of the tokens that every row is given are read here; `advance` reads the rest.
    """
    batch_size, longest = prompts.shape
    tokens = jnp.zeros((batch_size, longest + num_tokens), jnp.int32).at[:, :longest].set(prompts)
    position = min(int(n) for n in lengths) - 1  # the tokens before it, given in all rows, are read here
    start = 0 if decoder.context is None else window_start(position, decoder.context)
    return DecodeState(
        tokens=tokens,
        given=jnp.asarray(lengths, jnp.int32),
        position=jnp.asarray(position, jnp.int32),
        start=jnp.asarray(start, jnp.int32),
        cache=_cache_of(decoder, variables, tokens, start, position - start, condition),
        keys=example_keys(key, jnp.arange(batch_size, dtype=jnp.uint32)),
        condition=condition,
    )


def _cache_of(
    decoder: Decoder, variables: Variables, tokens: jax.Array, start: int, count: int, condition: tuple[PyTree, ...]
) -> PyTree:
    """Return the cache after `count` of the tokens int [B, N], from place `start` on."""
    context, network = decoder.context, decoder.network
    if context is not None and count > 0:
        padded = min(context, -(-count // _FILL_MULTIPLE) * _FILL_MULTIPLE)
        window = jnp.pad(tokens[:, start : start + padded], ((0, 0), (0, max(0, start + padded - tokens.shape[1]))))
        return network.apply(variables, window, *condition, method="fill")
    cache = network.apply(variables, len(tokens), *condition, method="start")
    return jax.lax.fori_loop(
        0,
        count,
        lambda i, cache: network.apply(variables, cache, tokens[:, i], i, *condition, method="step")[0],
        cache,
    )


def advance(
    decoder: Decoder, variables: Variables, decoding: DecodeState, count: int | jax.Array, params: SamplingParams
) -> DecodeState:
    """Return the state `count` tokens later in each row, or fewer where no room is left.

    Rows with longer prompts first go through the rest of their prompts.
    """
    end = jnp.minimum(decoding.position + count, decoding.tokens.shape[1] - 1)
    draw_next = functools.partial(_draw_next, decoder, variables, params)
    return jax.lax.while_loop(lambda decoding: decoding.position < end, draw_next, decoding)


def _draw_next(decoder: Decoder, variables: Variables, params: SamplingParams, decoding: DecodeState) -> DecodeState:
    """Draw the next token of each row, or take it from the row's prompt."""
    context = decoder.context
    if context is not None and context <= decoding.tokens.shape[1] - 1:
        full = decoding.position - decoding.start >= context
        make_room = functools.partial(_make_room, decoder, variables)
        decoding = jax.lax.cond(full, make_room, lambda decoding: decoding, decoding)
    position = decoding.position
    current = jax.lax.dynamic_index_in_dim(decoding.tokens, position, axis=1, keepdims=False)
    cache, logits = decoder.network.apply(
        variables, decoding.cache, current, position - decoding.start, *decoding.condition, method="step"
    )
    drawn = decoder.draw(cast(jax.Array, logits), folded_keys(decoding.keys, position + 1), params)
    known = jax.lax.dynamic_index_in_dim(decoding.tokens, position + 1, axis=1, keepdims=False)
    following = jnp.where(position + 1 < decoding.given, known, drawn)
    tokens = jax.lax.dynamic_update_index_in_dim(decoding.tokens, following, position + 1, axis=1)
    return dataclasses.replace(decoding, tokens=tokens, position=position + 1, cache=cache)


def _make_room(decoder: Decoder, variables: Variables, decoding: DecodeState) -> DecodeState:
    """Drop the first half of a full context."""
    kept = present(decoder.context) // 2
    start = decoding.position - kept
    window = jax.lax.dynamic_slice_in_dim(decoding.tokens, start, kept, axis=1)
    cache = decoder.network.apply(variables, window, *decoding.condition, method="fill")
    return dataclasses.replace(decoding, cache=cache, start=start)
