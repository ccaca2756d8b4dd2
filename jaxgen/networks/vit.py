"""The vision transformer (ViT: Dosovitskiy et al. 2021, arXiv:2010.11929), as in the image encoder of CLIP."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.gpt import Block
from jaxgen.networks.layers.resampling import space_to_depth
from jaxgen.networks.layers.sizes import check_multiple


class ViT(nn.Module):
    """Vision transformer: patch and position embeddings, a class token, blocks of full attention, a projection.

    Blocks are those of a `GPT` with biases and layer norms, with one more norm before the first (Radford et al. 2021,
    arXiv:2103.00020, section 2.4). The output is that of the class token.

    Attributes:
      num_outputs: M, the length of the output.
      patch_size: side of a patch.
      width: E, the width of the tokens.
      layers: number of blocks.
      heads: number of attention heads.
    """

    num_outputs: int
    patch_size: int = 32
    width: int = 768
    layers: int = 12
    heads: int = 12

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Map images [B, H, W, C] to [B, M].

        Raises:
          UserError: a side is not a multiple of `patch_size`.
        """
        del train
        check_multiple(images.shape[1:3], self.patch_size)
        patches = space_to_depth(images, (self.patch_size,) * 2)  # [B, h, w, C']
        rows = nn.Dense(self.width, use_bias=False, name="patches")(patches.reshape(-1, patches.shape[-1]))
        rows = rows.reshape(len(images), -1, self.width)
        normal = nn.initializers.normal(self.width**-0.5)
        whole = self.param("whole", normal, (self.width,), jnp.float32)
        x = jnp.concatenate([jnp.broadcast_to(whole, (len(images), 1, self.width)), rows], axis=1)
        x = x + self.param("positions", normal, x.shape[1:], jnp.float32)
        x = nn.LayerNorm(epsilon=1e-5, name="first_norm")(x)
        for i in range(self.layers):
            block = Block(
                heads=self.heads,
                key_value_heads=self.heads,
                width=self.width,
                use_bias=True,
                dropout=0.0,
                rotary=False,
                norm="layer",
                feed_forward="gelu",
                last_kernel_spread=0.02 / (2 * self.layers) ** 0.5,
                dtype=None,
                name=f"block_{i}",
            )
            x = block(x, None, jnp.ones((1, 1, 1, 1), bool))[0]
        x = nn.LayerNorm(epsilon=1e-5, name="final_norm")(x[:, 0])
        return nn.Dense(self.num_outputs, use_bias=False, name="output")(x)
