"""A buffer of generated images, half of which a discriminator sees in place of new ones (Shrivastava et al. 2017,
arXiv:1612.07828, section 2.3; Zhu et al. 2017, arXiv:1703.10593, section 4)."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxgen.core.reductions import AXIS, axis_is_bound, gather_over_devices
from jaxgen.core.state import freeze

Buffer = Mapping[str, jax.Array]
"""`images` [N, H, W, C], and how many of them there are: `count` [] int32."""


def empty_buffer(size: int, image_shape: tuple[int, ...]) -> Buffer:
    """Return an empty buffer with room for `size` images."""
    return {"images": jnp.zeros((size, *image_shape)), "count": jnp.zeros((), jnp.int32)}


def exchange(buffer: Buffer, key: jax.Array, images: jax.Array) -> tuple[Buffer, jax.Array]:
    """Return the buffer after a batch, and the images to show in place of the new ones [B, H, W, C].

    Images of the whole batch are taken one after another, in order. As long as there is room, an image is put into the
    buffer and shown itself; after that, it changes places with one from the buffer half of the time. All devices do the
    same with the images of all devices, and each returns its own part.
    """
    size = len(buffer["images"])
    everything = gather_over_devices(images)
    total = len(everything)
    chance_key, place_key = jax.random.split(key)
    swaps = jax.random.bernoulli(chance_key, 0.5, (total,))
    places = jax.random.randint(place_key, (total,), 0, size)

    def one(buffer: Buffer, at: tuple[jax.Array, ...]) -> tuple[Buffer, jax.Array]:
        image, swap, place = at
        held, count = buffer["images"], buffer["count"]
        filling = count < size
        place = jnp.where(filling, count, place)
        old = held[place]
        kept = jnp.where(filling | swap, image, old)
        seen = jnp.where(~filling & swap, old, image)
        return freeze({"images": held.at[place].set(kept), "count": jnp.minimum(count + 1, size)}), seen

    buffer, seen = jax.lax.scan(one, freeze(buffer), (everything, swaps, places))
    first = jax.lax.axis_index(AXIS) * len(images) if axis_is_bound() else 0
    return buffer, jax.lax.dynamic_slice_in_dim(seen, first, len(images))
