"""Drawing tokens one after another, in one compiled loop over a network's cache.

A network that is decoded has, besides `network(tokens [B, T], *condition, train=...) -> logits [B, T, K]`,

    start(batch_size, *condition) -> cache            the cache behind no tokens
    step(cache, tokens [B], position []) -> (cache, logits [B, K] of the next)

and, if it looks back at no more than so many tokens, `context`. Then it also has

    fill(tokens [B, T], *condition) -> cache          the cache behind T tokens, T at most `context`

When the context is full, the second half of it is kept: it is read again as if it were the beginning. So a token costs
the same on average, however many came before, and `window_start` says which tokens each one depends on.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys, folded_keys
from jaxgen.core.state import Key
from jaxgen.models.variables import Variables

_FILL_MULTIPLE = 64
"""Prompts are padded to multiples of it before they are read at once, so that few lengths are compiled."""


@flax.struct.dataclass
class Decoding:
    """All that is known while tokens are drawn."""

    tokens: jax.Array
    """int [B, N]: what was given, and behind it what was drawn."""
    given: jax.Array
    """int [B]: how many of each row were given."""
    position: jax.Array
    """[]: the last place that holds a token in all rows, whose next token is not drawn yet."""
    start: jax.Array
    """[]: the place of the first token that the cache knows."""
    cache: Any
    keys: jax.Array
    """[B], of each row."""
    condition: tuple[Any, ...] = ()
    """What the network gets behind the tokens."""


@flax.struct.dataclass
class Choice:
    """How a token is chosen by its logits."""

    temperature: float | jax.Array = 1.0
    """Logits are divided by it; 0: the likeliest is taken."""
    top_k: int | None = flax.struct.field(pytree_node=False, default=None)
    """Only the k likeliest are possible."""
    top_p: float | jax.Array | None = None
    """Only the likeliest, until their probabilities add up to p (nucleus sampling: Holtzman et al. 2020,
    arXiv:1904.09751)."""


Draw = Callable[[jax.Array, jax.Array, Choice], jax.Array]


class Decoder(NamedTuple):
    """What `decoder` makes of a network."""

    begin: Callable[..., Decoding]
    """(variables, key, prompts int [B, P], lengths int [B], num_tokens, *condition) -> Decoding with place for
    `num_tokens` behind the longest prompt. Lengths are at least 1 and known (not traced). Reads what all rows are given
    but for one token, which `advance` begins with."""
    advance: Callable[..., Decoding]
    """(variables, decoding, count, choice) -> the same, `count` tokens further in each row (fewer where no
    place is left); rows with longer prompts go through those first."""


def window_start(position: int, context: int) -> int:
    """Of the token at `position`: the first of those up to it that its successor depends on."""
    kept = context // 2
    return 0 if position < context else (position - kept) // (context - kept) * (context - kept)


def decoder(network: nn.Module, draw: Draw | None = None) -> Decoder:
    """The two functions that draw tokens with a network, pure and to be compiled.

    Args:
      draw: (what `step` gives [B, P], keys [B], choice) -> tokens [B]; None: `choose`, since those are logits.
    """
    draw = draw or choose
    context = getattr(network, "context", None)

    def begin(
        variables: Variables, key: Key, prompts: jax.Array, lengths: Any, num_tokens: int, *condition: Any
    ) -> Decoding:
        batch_size, longest = prompts.shape
        tokens = jnp.zeros((batch_size, longest + num_tokens), jnp.int32).at[:, :longest].set(prompts)
        position = min(int(n) for n in lengths) - 1  # what lies before it in all rows is read here
        start = 0 if context is None else window_start(position, context)
        known = position - start
        if context is not None and known > 0:
            padded = min(context, -(-known // _FILL_MULTIPLE) * _FILL_MULTIPLE)
            window = jnp.pad(tokens[:, start : start + padded], ((0, 0), (0, max(0, start + padded - tokens.shape[1]))))
            cache = network.apply(variables, window, *condition, method="fill")
        else:
            cache = network.apply(variables, batch_size, *condition, method="start")
            cache = jax.lax.fori_loop(
                0,
                known,
                lambda i, cache: network.apply(variables, cache, tokens[:, i], i, *condition, method="step")[0],
                cache,
            )
        return Decoding(
            tokens=tokens,
            given=jnp.asarray(lengths, jnp.int32),
            position=jnp.asarray(position, jnp.int32),
            start=jnp.asarray(start, jnp.int32),
            cache=cache,
            keys=example_keys(key, jnp.arange(batch_size, dtype=jnp.uint32)),
            condition=condition,
        )

    def advance(variables: Variables, decoding: Decoding, count: jax.Array, choice: Choice) -> Decoding:
        condition, last = decoding.condition, decoding.tokens.shape[1] - 1
        end = jnp.minimum(decoding.position + count, last)

        def make_room(decoding: Decoding) -> Decoding:
            """Keeps the second half of a full context."""
            kept = context // 2
            start = decoding.position - kept
            window = jax.lax.dynamic_slice_in_dim(decoding.tokens, start, kept, axis=1)
            return decoding.replace(cache=network.apply(variables, window, *condition, method="fill"), start=start)

        def draw_next(decoding: Decoding) -> Decoding:
            if context is not None and context <= last:
                full = decoding.position - decoding.start >= context
                decoding = jax.lax.cond(full, make_room, lambda decoding: decoding, decoding)
            position = decoding.position
            current = jax.lax.dynamic_index_in_dim(decoding.tokens, position, axis=1, keepdims=False)
            cache, logits = network.apply(
                variables, decoding.cache, current, position - decoding.start, *condition, method="step"
            )
            chosen = draw(logits, folded_keys(decoding.keys, position + 1), choice)
            known = jax.lax.dynamic_index_in_dim(decoding.tokens, position + 1, axis=1, keepdims=False)
            following = jnp.where(position + 1 < decoding.given, known, chosen)
            tokens = jax.lax.dynamic_update_index_in_dim(decoding.tokens, following, position + 1, axis=1)
            return decoding.replace(tokens=tokens, position=position + 1, cache=cache)

        return jax.lax.while_loop(lambda decoding: decoding.position < end, draw_next, decoding)

    return Decoder(begin, advance)


def choose(logits: jax.Array, keys: jax.Array, choice: Choice) -> jax.Array:
    """Logits [B, K], one key for each row [B] -> tokens int [B]."""
    temperature = jnp.asarray(choice.temperature, jnp.float32)
    logits = logits.astype(jnp.float32) / jnp.where(temperature > 0, temperature, 1.0)
    if choice.top_k is not None:
        least = jax.lax.top_k(logits, min(choice.top_k, logits.shape[-1]))[0][:, -1:]
        logits = jnp.where(logits < least, -jnp.inf, logits)
    if choice.top_p is not None:
        ordered = jnp.sort(logits, axis=-1, descending=True)
        before = jnp.cumsum(jax.nn.softmax(ordered), axis=-1) - jax.nn.softmax(ordered)
        least = jnp.min(jnp.where(before < choice.top_p, ordered, jnp.inf), axis=-1, keepdims=True)
        logits = jnp.where(logits < least, -jnp.inf, logits)
    drawn = jax.vmap(jax.random.categorical)(keys, logits)
    return jnp.where(temperature > 0, drawn, jnp.argmax(logits, axis=-1)).astype(jnp.int32)
