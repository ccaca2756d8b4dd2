"""The order of examples as a function of (seed, position), cheap enough to compute inside a compiled step."""

import jax
import jax.numpy as jnp

MINIMUM_BITS = 4  # a Feistel network on fewer bits cannot reach enough of the orders of a tiny set
FEW_BITS, ROUNDS_OF_FEW, ROUNDS = 8, 12, 8  # below 8 bits, 8 rounds leave a bias that 20,000 epochs show
_GOLDEN = 0x9E3779B9


def epoch_order(seed_words: jax.Array, positions: jax.Array, length: int) -> jax.Array:
    """Return the example at each position of the endless shuffled sequence of a set of `length` examples.

    Epoch e is positions e N to (e + 1) N and holds each example exactly once, in its own order. The order is a balanced
    Feistel network on just enough bits for N (Luby and Rackoff 1988; the halves differ by one bit if the number of bits
    is odd), applied again while the result lies outside 0..N-1 ("cycle walking", Black and Rogaway 2002).

    Args:
      seed_words: uint32 [2], for example `jax.random.key_data(key)`.
      positions: uint32 [B], for example step * B + arange(B). They wrap at 2**32, so use fewer.
      length: N, a Python int from 1 to 2**31 - 1.

    Returns:
      int32 [B], in 0..N-1.

    Raises:
      ValueError: `length` is out of range.
    """
    if not 1 <= length < 2**31:
        raise ValueError(f"length must be from 1 to 2**31 - 1, not {length}")
    positions = jnp.asarray(positions, jnp.uint32)
    seed_words = jnp.asarray(seed_words, jnp.uint32)
    size = jnp.uint32(length)
    epoch, offset = positions // size, positions % size
    first = _mix(seed_words[0] + _mix(epoch + jnp.uint32(_GOLDEN)))  # two words: 2**64 orders before one repeats
    second = _mix(seed_words[1] ^ _mix(first + epoch))
    bits = max(MINIMUM_BITS, (length - 1).bit_length())
    rounds = ROUNDS_OF_FEW if bits < FEW_BITS else ROUNDS

    def permute(value: jax.Array) -> jax.Array:
        """Apply a permutation of 0..2**bits - 1."""
        low_bits, high_bits = (bits + 1) // 2, bits // 2
        for i in range(rounds):
            low = value & jnp.uint32((1 << low_bits) - 1)
            high = value >> low_bits
            noise = _mix(_mix(low ^ first) + second + jnp.uint32(_GOLDEN * (i + 1) & 0xFFFFFFFF))
            value = (low << high_bits) | (high ^ (noise & jnp.uint32((1 << high_bits) - 1)))
            low_bits, high_bits = high_bits, low_bits  # an even number of rounds brings the halves back
        return value

    outside = lambda value: jnp.any(value >= size)  # noqa: E731
    walk = lambda value: jnp.where(value >= size, permute(value), value)  # noqa: E731
    return jax.lax.while_loop(outside, walk, permute(offset)).astype(jnp.int32)


def _mix(value: jax.Array) -> jax.Array:
    """Apply MurmurHash3's finalizer (Appleby), a bijection of 32 bits; each input bit affects all output bits."""
    value = (value ^ (value >> 16)) * jnp.uint32(0x85EBCA6B)
    value = (value ^ (value >> 13)) * jnp.uint32(0xC2B2AE35)
    return value ^ (value >> 16)
