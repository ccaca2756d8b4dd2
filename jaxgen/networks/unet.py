"""The U-Net of diffusion models (Ho et al. 2020, arXiv:2006.11239, appendix B; Dhariwal and Nichol 2021,
arXiv:2105.05233, section 3)."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.layers.attention import attend
from jaxgen.networks.layers.convolution.conv import Conv
from jaxgen.networks.layers.dropout import apply_dropout, folded
from jaxgen.networks.layers.noise_embedding import NoiseEmbedding
from jaxgen.networks.layers.normalization import GroupNorm, ScaleShift
from jaxgen.networks.layers.resampling import average_pool, depth_to_space, space_to_depth, upsample
from jaxgen.networks.layers.sizes import check_multiple
from jaxgen.networks.text_encoder import TextTransformer, caption_places, mean_inside

ZEROS = nn.initializers.zeros


class UNet(nn.Module):
    """A U-Net of residual blocks, each given the noise level, with skip connections between blocks of equal size.

    Attributes:
      channels: channels of the outputs, C.
      width: channels at the full size.
      factors: multiple of `width` at each size.
      blocks: residual blocks at each size on the way down; there is one more on the way up.
      attention_sizes: the sizes (rows of a map) at which a block is followed by self-attention.
      head_width: width of each attention head.
      dropout: dropout rate, in residual blocks.
      patch_size: side of the patches whose pixels become channels: a network on single pixels costs patch_size^2 times
        as much.
      num_classes: K; labels in 0..K are the last argument, K for no class. None: no labels.
      text: a transformer of captions int [B, T], which are then the last argument, padded with 0; an empty caption
        means no caption. As in GLIDE (Nichol et al. 2022, arXiv:2112.10741, section 4) the mean of its states is added
        to the noise level's embedding, and attention also attends to its states, by separate keys and values at each
        layer.
      middle_blocks: residual blocks between the way down and the way up. If there are several, attention follows only
        the first, whatever `attention_sizes` says. With 2 this is the published network (ADM), except that blocks which
        halve the map already have the channels of the next size.
    """

    channels: int
    width: int = 64
    factors: Sequence[int] = (1, 2, 2)
    blocks: int = 2
    attention_sizes: Sequence[int] = ()
    head_width: int = 32
    dropout: float = 0.0
    patch_size: int = 1
    num_classes: int | None = None
    text: TextTransformer | None = None
    middle_blocks: int = 1

    @nn.compact
    def __call__(
        self, x: Array, noise_labels: Array, *condition: Array, train: bool, dropout_keys: Array | None = None
    ) -> Array:
        """Map images [B, H, W, C], noise labels [B], and labels int [B] or captions int [B, T] to [B, H, W, C].

        Raises:
          UserError: a side cannot be divided into patches and halved that often.
        """
        check_multiple(x.shape[1:3], self.patch_size * 2 ** (len(self.factors) - 1))
        states = ()
        if self.text is not None:
            inside = caption_places(*condition)
            states = (self.text(condition[0], inside), inside)
            condition = (mean_inside(*states),)
        embedding = NoiseEmbedding(4 * self.width, self.num_classes, name="embedding")(noise_labels, *condition)
        keys, block = dropout_keys if train and self.dropout else None, 0
        x = Conv(self.width, (3, 3), name="first")(space_to_depth(x, (self.patch_size,) * 2))

        def residual(x: Array, factor: int, resample: str | None = None, attentive: bool | None = None) -> Array:
            nonlocal block
            x = ResidualBlock(self.width * factor, resample, self.dropout, name=f"block_{block}")(
                x, embedding, dropout_keys=folded(keys, block)
            )
            attentive = x.shape[1] in self.attention_sizes if attentive is None else attentive
            if resample is None and attentive:
                x = AttentionBlock(self.head_width, name=f"attention_{block}")(x, *states)
            block += 1
            return x

        skips = [x]
        for level, factor in enumerate(self.factors):
            if level:
                x = residual(x, factor, "down")
                skips.append(x)
            for _ in range(self.blocks):
                x = residual(x, factor)
                skips.append(x)
        for i in range(self.middle_blocks):
            x = residual(x, self.factors[-1], attentive=i == 0 if self.middle_blocks > 1 else None)
        for level, factor in reversed(list(enumerate(self.factors))):
            for _ in range(self.blocks + 1):
                x = residual(jnp.concatenate([x, skips.pop()], -1), factor)
            if level:
                x = residual(x, factor, "up")
        x = nn.silu(GroupNorm(name="last_norm")(x))
        x = Conv(self.channels * self.patch_size**2, (3, 3), kernel_init=ZEROS, name="last")(x)
        return depth_to_space(x, (self.patch_size,) * 2)


class ResidualBlock(nn.Module):
    """x + branch(x): norm, SiLU, 3x3, norm scaled and shifted by the embedding, SiLU, dropout, 3x3 that starts at 0.

    Attributes:
      features: channels of the output, F.
      resample: "up" or "down": twice or half the size, before the first convolution and in the shortcut; None: the same
        size. Halving takes means of 2x2.
      dropout: dropout rate.
    """

    features: int
    resample: str | None = None
    dropout: float = 0.0

    @nn.compact
    def __call__(self, x: Array, embedding: Array, dropout_keys: Array | None = None) -> Array:
        """Map [B, H, W, C] and [B, E] to [B, H', W', F]."""
        hidden = nn.silu(GroupNorm(name="norm_0")(x))
        if self.resample == "down":
            x, hidden = average_pool(x), average_pool(hidden)
        hidden = Conv(self.features, (3, 3), resample="up" if self.resample == "up" else None, name="conv_0")(hidden)
        scale_shift = ScaleShift(self.features, name="embedding")(embedding)
        hidden = nn.silu(GroupNorm(name="norm_1")(hidden, scale_shift))
        hidden = apply_dropout(hidden, self.dropout, dropout_keys, 0)
        hidden = Conv(self.features, (3, 3), kernel_init=ZEROS, name="conv_1")(hidden)
        if self.resample == "up":
            x = upsample(x)
        if x.shape[-1] != self.features:
            x = Conv(self.features, (1, 1), name="shortcut")(x)
        return x + hidden


class AttentionBlock(nn.Module):
    """x + attention of all positions of a map to each other, and to a text; the last projection starts at 0.

    Attributes:
      head_width: D, a divisor of the number of channels.
    """

    head_width: int

    @nn.compact
    def __call__(self, x: Array, *text: Array) -> Array:
        """Map [B, H, W, C] to [B, H, W, C]; `text` is states [B, T, E] and bool [B, T], the positions attended to."""
        batch, channels = len(x), x.shape[-1]
        rows = GroupNorm(name="norm")(x).reshape(-1, channels)
        joined = nn.Dense(3 * channels, name="queries_keys_values")(rows)
        joined = joined.reshape(batch, -1, 3, channels // self.head_width, self.head_width)
        queries, keys, values = joined.transpose(2, 0, 3, 1, 4)  # [B, heads, H W, D] each
        seen = None
        if text:
            states, inside = text
            joined = nn.Dense(2 * channels, name="text_keys_values")(states.reshape(-1, states.shape[-1]))
            joined = joined.reshape(batch, -1, 2, channels // self.head_width, self.head_width)
            text_keys, text_values = joined.transpose(2, 0, 3, 1, 4)  # [B, heads, T, D] each
            places = jnp.ones((batch, keys.shape[2]), bool)
            seen = jnp.concatenate([places, inside], 1)[:, None, None]  # [B, 1, 1, H W + T]
            keys, values = jnp.concatenate([keys, text_keys], 2), jnp.concatenate([values, text_values], 2)
        mixed = attend(queries, keys, values, seen).reshape(-1, channels)
        return x + nn.Dense(channels, kernel_init=ZEROS, name="output")(mixed).reshape(x.shape)
