"""Mixing and truncation of the styles of a StyleGAN2. Pure functions of arrays."""

import jax
import jax.numpy as jnp


def style_bands(layers: int) -> dict[str, slice]:
    """Return the styles [N] of coarse, middle and fine maps, by name.

    Two ninths of the sizes of maps are coarse, two ninths middle, and the others fine: at 1024x1024 4x4 and 8x8, 16x16
    and 32x32, and larger maps (Karras et al. 2019, arXiv:1812.04948, figure 3); at 32x32 4x4, 8x8, and 16x16 and 32x32.
    Each size of map has two styles.
    """
    maps = layers // 2
    each = max(1, round(2 * maps / 9))
    bands = {"coarse": slice(0, 2 * each), "middle": slice(2 * each, 4 * each), "fine": slice(4 * each, layers)}
    return {name: band for name, band in bands.items() if band.start < min(band.stop, layers)}


def mixed(into: jax.Array, taken: jax.Array, band: slice) -> jax.Array:
    """Replace a band of layers of each of the styles `into` [A, N, S] by that of each of `taken` [B, N, S].

    Returns:
      [B, A, N, S].
    """
    shape = (len(taken), *into.shape)
    whole = jnp.broadcast_to(into[None], shape)
    return whole.at[:, :, band].set(jnp.broadcast_to(taken[:, None, band], whole[:, :, band].shape))


def truncated(styles: jax.Array, average: jax.Array, amounts: jax.Array) -> jax.Array:
    """Return styles [A, N, S] at each of the amounts [T] between the average style [S] (0) and themselves (1).

    Returns:
      [A, T, N, S].
    """
    return average + amounts[None, :, None, None] * (styles[:, None] - average)
