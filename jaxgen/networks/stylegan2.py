"""StyleGAN2's networks (Karras et al. 2020, arXiv:1912.04958; configuration F has `channel_base` 32768).

The generator sums the images of all sizes (figure 7b, left), the discriminator is residual (figure 7c, right).
"""

import itertools
import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxgen.core.errors import UserError
from jaxgen.core.reductions import AXIS, axis_is_bound, gather_over_devices
from jaxgen.networks.layers.equalized import EqualizedConv, EqualizedDense, ModulatedConv, scaled_leaky_relu
from jaxgen.networks.layers.resampling import smooth_upsample

STEM = 4
"""The side of the smallest map."""
SMALLEST, LARGEST = 8, 1024


def resolution_of(image_shape: Sequence[int]) -> int:
    """Return the side of the largest map: the image's, or the next power of two, which is then cropped to its center.

    Raises:
      UserError: the image is not square, or its map would not be 8 to 1024 wide.
    """
    height, width = image_shape[:2]
    resolution = 1 << (height - 1).bit_length()
    if height != width or not SMALLEST <= resolution <= LARGEST:
        raise UserError(
            f"StyleGAN2 cannot make images of {height}x{width}: use a square size of at most {LARGEST}, best a power "
            "of two (32, 64, 128, ...)."
        )
    return resolution


def maps_of(image_shape: Sequence[int]) -> list[int]:
    """Return the sides of all maps, from the smallest."""
    return [STEM << i for i in range(int(math.log2(resolution_of(image_shape) // STEM)) + 1)]


def num_styles(image_shape: Sequence[int]) -> int:
    """Return the number of styles of a generator: two for each size of map, shared with the image layers."""
    return 2 * len(maps_of(image_shape))


def noise_shapes(image_shape: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return the shape (H, W, 1) of the noise of each layer."""
    sizes = maps_of(image_shape)
    return [(size, size, 1) for size in [sizes[0], *(size for size in sizes[1:] for _ in range(2))]]


def draw_noise(keys: Array, image_shape: Sequence[int]) -> list[Array]:
    """Draw standard normal noise [B, H, W, 1] for each layer, each example's by its own key [B]."""
    shapes = noise_shapes(image_shape)
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes))
    values = jax.vmap(lambda key: jax.random.normal(key, (ends[-1],)))(keys)  # one draw compiles faster than many
    parts = jnp.split(values, ends[:-1], axis=1)
    return [part.reshape(-1, *shape) for part, shape in zip(parts, shapes, strict=True)]


def _normalized(vectors: Array) -> Array:
    """Scale vectors [B, N] to mean square 1."""
    return vectors * lax.rsqrt(jnp.mean(jnp.square(vectors), -1, keepdims=True) + 1e-8)


class MappingNetwork(nn.Module):
    """Mapping network from latents to styles: Dense layers with leaky ReLU, at 1/100 of the learning rate.

    A class embedding is concatenated to the latents; both are normalized.

    Attributes:
      width: S, the size of the styles and of all layers.
      layers: number of layers.
      num_classes: K; None: no labels.
    """

    width: int = 512
    layers: int = 8
    num_classes: int | None = None

    @nn.compact
    def __call__(self, latents: Array, *labels: Array) -> Array:
        """Map latents [B, L], and labels int [B] with `num_classes`, to styles [B, S]."""
        hidden = _normalized(latents)
        if self.num_classes is not None:
            classes = jax.nn.one_hot(labels[0], self.num_classes, dtype=latents.dtype)
            embedded = EqualizedDense(latents.shape[-1], name="embedding")(classes)
            hidden = jnp.concatenate([hidden, _normalized(embedded)], -1)
        for i in range(self.layers):
            hidden = scaled_leaky_relu(EqualizedDense(self.width, rate=0.01, name=f"EqualisedDense_{i}")(hidden))
        return hidden


class StyledConv(nn.Module):
    """A modulated 3x3 convolution, noise scaled by a learned strength that starts at 0, a bias and leaky ReLU."""

    features: int
    up: bool = False

    @nn.compact
    def __call__(self, inputs: Array, style: Array, noise: Array) -> Array:
        """Map [B, H, W, C], a style [B, S] and noise [B or 1, H', W', 1] to [B, H', W', F].

        H' is 2 H with `up`, else H.
        """
        outputs = ModulatedConv(self.features, resample="up" if self.up else None)(inputs, style)
        strength = self.param("noise_strength", nn.initializers.zeros, (), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        return scaled_leaky_relu(outputs + strength * noise + bias)


class ToImage(nn.Module):
    """A modulated 1x1 convolution without demodulation, and a bias."""

    channels: int

    @nn.compact
    def __call__(self, inputs: Array, style: Array) -> Array:
        """Map [B, H, W, C] and a style [B, S] to [B, H, W, channels]."""
        image = ModulatedConv(self.channels, 1, demodulate=False)(inputs, style)
        return image + self.param("bias", nn.initializers.zeros, (self.channels,), jnp.float32)


class SynthesisNetwork(nn.Module):
    """Synthesis network from styles to images: a learned constant, then two layers for each size of map.

    The output is the sum of the images of all sizes.

    Attributes:
      image_shape: (H, W, C), square; if the size is not a power of two, the center of the next larger image.
      channel_base: a map of side R has channel_base / R channels, but at most `channel_max`.
      channel_max: maximum number of channels.
    """

    image_shape: tuple[int, int, int] = (32, 32, 3)
    channel_base: int = 32768
    channel_max: int = 512

    @nn.compact
    def __call__(self, styles: Array, noise: Sequence[Array]) -> Array:
        """Map styles [B, N, S], N = `num_styles`, and the layers' noise [B or 1, h, w, 1] to unbounded [B, H, W, C]."""
        sizes, channels = maps_of(self.image_shape), self.image_shape[-1]
        widths = [min(self.channel_base // size, self.channel_max) for size in sizes]
        constant = self.param("constant", nn.initializers.normal(1.0), (STEM, STEM, widths[0]), jnp.float32)
        hidden = jnp.broadcast_to(constant, (len(styles), *constant.shape))
        hidden = StyledConv(widths[0])(hidden, styles[:, 0], noise[0])
        image = ToImage(channels)(hidden, styles[:, 1])
        for i, width in enumerate(widths[1:]):
            hidden = StyledConv(width, up=True)(hidden, styles[:, 2 * i + 1], noise[2 * i + 1])
            hidden = StyledConv(width)(hidden, styles[:, 2 * i + 2], noise[2 * i + 2])
            image = smooth_upsample(image) + ToImage(channels)(hidden, styles[:, 2 * i + 3])
        before = (sizes[-1] - self.image_shape[0]) // 2
        return image[:, before : before + self.image_shape[0], before : before + self.image_shape[1]]


class StyleGAN2Generator(nn.Module):
    """Mapping and synthesis networks.

    Attributes:
      image_shape, channel_base, channel_max: as in `SynthesisNetwork`.
      style_size: S, the size of the styles.
      mapping_layers: number of layers of the mapping network.
      num_classes: K, for the mapping network; None: no labels.
    """

    image_shape: tuple[int, int, int] = (32, 32, 3)
    channel_base: int = 32768
    channel_max: int = 512
    style_size: int = 512
    mapping_layers: int = 8
    num_classes: int | None = None

    def setup(self) -> None:
        self.mapping = MappingNetwork(self.style_size, self.mapping_layers, self.num_classes)
        self.synthesis = SynthesisNetwork(self.image_shape, self.channel_base, self.channel_max)

    def __call__(self, latents: Array, *labels: Array, train: bool) -> Array:
        """Map latents [B, L], and labels int [B] with `num_classes`, to images [B, H, W, C], without noise."""
        del train
        style = self.mapping(latents, *labels)
        styles = jnp.repeat(style[:, None], num_styles(self.image_shape), 1)
        return self.synthesis(styles, [jnp.zeros((1, *shape), style.dtype) for shape in noise_shapes(self.image_shape)])

    def map(self, latents: Array, *labels: Array) -> Array:
        """Map latents [B, L] to styles [B, S]."""
        return self.mapping(latents, *labels)

    def synthesize(self, styles: Array, noise: Sequence[Array]) -> Array:
        """Apply the `SynthesisNetwork`."""
        return self.synthesis(styles, noise)


def minibatch_deviation(maps: Array, group_size: int = 4) -> Array:
    """Append the standard deviation within groups of maps as a channel (Karras et al. 2018, arXiv:1710.10196, section
    3).

    The batch, over all devices together, is split into groups of `group_size`, or of the batch size's greatest divisor
    below it: with M groups, examples i, i + M, i + 2 M, ... form a group. The standard deviation in a group, averaged
    over positions and channels, is one number, the same for each position of all its examples.

    Args:
      maps: [B, H, W, C].

    Returns:
      [B, H, W, C + 1].
    """
    everything = gather_over_devices(maps)
    batch = len(everything)
    size = next(n for n in range(min(group_size, batch), 0, -1) if batch % n == 0)
    groups = everything.reshape(size, batch // size, *maps.shape[1:])
    deviation = jnp.sqrt(jnp.mean(jnp.square(groups - groups.mean(0)), 0) + 1e-8).mean((1, 2, 3))  # [M]
    deviation = jnp.tile(deviation, size)
    if axis_is_bound():
        deviation = lax.dynamic_slice_in_dim(deviation, lax.axis_index(AXIS) * len(maps), len(maps))
    channel = jnp.broadcast_to(deviation[:, None, None, None], (*maps.shape[:3], 1))
    return jnp.concatenate([maps, channel], -1)


class DiscriminatorBlock(nn.Module):
    """A residual block: two 3x3 convolutions, the second of which halves the map, and a 1x1 shortcut; over sqrt(2)."""

    features: int

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """Map [B, H, W, C] to [B, H / 2, W / 2, F]."""
        beside = EqualizedConv(self.features, 1, "down", use_bias=False, name="skip")(inputs)
        hidden = scaled_leaky_relu(EqualizedConv(inputs.shape[-1], name="EqualisedConv_0")(inputs))
        hidden = scaled_leaky_relu(EqualizedConv(self.features, resample="down", name="EqualisedConv_1")(hidden))
        return (hidden + beside) / math.sqrt(2.0)


class StyleGAN2Discriminator(nn.Module):
    """Discriminator: residual blocks down to 4x4, minibatch deviation, a convolution, two Dense layers.

    A logit depends on the other images of its group in the batch (`minibatch_deviation`). With classes there is an
    output for each class, and the label's is taken: the product of the features with the label's vector.

    Attributes:
      image_shape, channel_base, channel_max: as in the generator; smaller images are padded by their edges.
      num_classes: K; None: no labels.
      group_size: number of images in a group of the minibatch deviation.
    """

    image_shape: tuple[int, int, int] = (32, 32, 3)
    channel_base: int = 32768
    channel_max: int = 512
    num_classes: int | None = None
    group_size: int = 4

    @nn.compact
    def __call__(self, images: Array, *labels: Array, train: bool) -> Array:
        """Map images [B, H, W, C], and labels int [B] with `num_classes`, to logits [B]."""
        del train
        sizes = maps_of(self.image_shape)
        missing = sizes[-1] - self.image_shape[0]
        if missing:
            pads = (missing // 2, missing - missing // 2)
            images = jnp.pad(images, ((0, 0), pads, pads, (0, 0)), mode="edge")
        widths = [min(self.channel_base // size, self.channel_max) for size in reversed(sizes)]
        hidden = scaled_leaky_relu(EqualizedConv(widths[0], 1, name="EqualisedConv_0")(images))
        for width in widths[1:]:
            hidden = DiscriminatorBlock(width)(hidden)
        hidden = scaled_leaky_relu(
            EqualizedConv(widths[-1], name="EqualisedConv_1")(minibatch_deviation(hidden, self.group_size))
        )
        hidden = scaled_leaky_relu(EqualizedDense(widths[-1], name="EqualisedDense_0")(hidden.reshape(len(hidden), -1)))
        logits = EqualizedDense(self.num_classes or 1, name="EqualisedDense_1")(hidden)
        if self.num_classes is not None:
            logits = jnp.take_along_axis(logits, labels[0][:, None], 1)
        return logits[:, 0]
