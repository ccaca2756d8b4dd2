"""Inception-v3 as used for the FID (Szegedy et al. 2016, arXiv:1512.00567; Heusel et al. 2017, arXiv:1706.08500).

The network is that of TensorFlow's file inception-2015-12-05, which differs from torchvision's: average pools do not
count padding, the last block has a max pool where the paper has an average, and there are 1008 classes. Layers are
named as in the weights converted for PyTorch, `pt_inception-2015-12-05`, except that `fc` is called `head` here.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.layers.convolution.conv import Conv
from jaxgen.networks.layers.normalization import BatchNorm


class Layer(NamedTuple):
    """Specification of a `BasicConv2d`."""

    name: str
    features: int
    kernel_size: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: str = "SAME"


class Fork(NamedTuple):
    """Two layers on the same input, whose outputs are concatenated."""

    left: Layer
    right: Layer


Pool = Callable[[Array], Array]
Branch = tuple[Layer | Fork | Pool, ...]
"""Layers and pools to apply in order."""


def average_pool(inputs: Array) -> Array:
    """Map [B, H, W, C] to the mean of 3x3 neighbors, [B, H, W, C]; neighbors outside the map do not count."""
    return nn.avg_pool(inputs, (3, 3), (1, 1), "SAME", count_include_pad=False)


def max_pool(inputs: Array) -> Array:
    """Map [B, H, W, C] to the maximum of 3x3 neighbors, [B, H, W, C]."""
    return nn.max_pool(inputs, (3, 3), (1, 1), "SAME")


def halving_pool(inputs: Array) -> Array:
    """Map [B, H, W, C] to the maximum of 3x3 pixels, [B, (H - 1) // 2, (W - 1) // 2, C], without padding."""
    return nn.max_pool(inputs, (3, 3), (2, 2), "VALID")


def block_a(pool_features: int) -> tuple[Branch, ...]:
    """Return the branches of a block from [B, 35, 35, C] to [B, 35, 35, 224 + pool_features].

    It is figure 5 of the paper, with a 5x5 convolution in the second branch.
    """
    return (
        (Layer("branch1x1", 64),),
        (Layer("branch5x5_1", 48), Layer("branch5x5_2", 64, (5, 5))),
        (Layer("branch3x3dbl_1", 64), Layer("branch3x3dbl_2", 96, (3, 3)), Layer("branch3x3dbl_3", 96, (3, 3))),
        (average_pool, Layer("branch_pool", pool_features)),
    )


def block_b() -> tuple[Branch, ...]:
    """Return the branches of the block from [B, 35, 35, 288] to [B, 17, 17, 768]: figure 10 of the paper."""
    return (
        (Layer("branch3x3", 384, (3, 3), 2, "VALID"),),
        (
            Layer("branch3x3dbl_1", 64),
            Layer("branch3x3dbl_2", 96, (3, 3)),
            Layer("branch3x3dbl_3", 96, (3, 3), 2, "VALID"),
        ),
        (halving_pool,),
    )


def block_c(width: int) -> tuple[Branch, ...]:
    """Return the branches of a block from [B, 17, 17, 768] to [B, 17, 17, 768]: figure 6 of the paper with n = 7."""
    return (
        (Layer("branch1x1", 192),),
        (Layer("branch7x7_1", width), Layer("branch7x7_2", width, (1, 7)), Layer("branch7x7_3", 192, (7, 1))),
        (
            Layer("branch7x7dbl_1", width),
            Layer("branch7x7dbl_2", width, (7, 1)),
            Layer("branch7x7dbl_3", width, (1, 7)),
            Layer("branch7x7dbl_4", width, (7, 1)),
            Layer("branch7x7dbl_5", 192, (1, 7)),
        ),
        (average_pool, Layer("branch_pool", 192)),
    )


def block_d() -> tuple[Branch, ...]:
    """Return the branches of the block from [B, 17, 17, 768] to [B, 8, 8, 1280]."""
    return (
        (Layer("branch3x3_1", 192), Layer("branch3x3_2", 320, (3, 3), 2, "VALID")),
        (
            Layer("branch7x7x3_1", 192),
            Layer("branch7x7x3_2", 192, (1, 7)),
            Layer("branch7x7x3_3", 192, (7, 1)),
            Layer("branch7x7x3_4", 192, (3, 3), 2, "VALID"),
        ),
        (halving_pool,),
    )


def block_e(pool: Pool) -> tuple[Branch, ...]:
    """Return the branches of a block from [B, 8, 8, C] to [B, 8, 8, 2048]: figure 7 of the paper."""
    return (
        (Layer("branch1x1", 320),),
        (
            Layer("branch3x3_1", 384),
            Fork(Layer("branch3x3_2a", 384, (1, 3)), Layer("branch3x3_2b", 384, (3, 1))),
        ),
        (
            Layer("branch3x3dbl_1", 448),
            Layer("branch3x3dbl_2", 384, (3, 3)),
            Fork(Layer("branch3x3dbl_3a", 384, (1, 3)), Layer("branch3x3dbl_3b", 384, (3, 1))),
        ),
        (pool, Layer("branch_pool", 192)),
    )


STEM = (  # [B, 299, 299, 3] -> [B, 35, 35, 192]
    Layer("Conv2d_1a_3x3", 32, (3, 3), 2, "VALID"),
    Layer("Conv2d_2a_3x3", 32, (3, 3), 1, "VALID"),
    Layer("Conv2d_2b_3x3", 64, (3, 3)),
    halving_pool,
    Layer("Conv2d_3b_1x1", 80),
    Layer("Conv2d_4a_3x3", 192, (3, 3), 1, "VALID"),
    halving_pool,
)
BLOCKS = {
    "Mixed_5b": block_a(32),
    "Mixed_5c": block_a(64),
    "Mixed_5d": block_a(64),
    "Mixed_6a": block_b(),
    "Mixed_6b": block_c(128),
    "Mixed_6c": block_c(160),
    "Mixed_6d": block_c(160),
    "Mixed_6e": block_c(192),
    "Mixed_7a": block_d(),
    "Mixed_7b": block_e(average_pool),
    "Mixed_7c": block_e(max_pool),
}


class InceptionV3(nn.Module):
    """The classifier used for the FID, for use with trained weights: it has no dropout and no auxiliary classifier.

    The weights expect 299x299 images in [-1, 1].
    """

    def setup(self) -> None:
        self.head = nn.Dense(1008)

    def __call__(self, images: Array, *, train: bool = False) -> Array:
        """Map images [B, H, W, 3] to logits [B, 1008]."""
        return self.head(self.features(images, train=train))

    @nn.compact
    def features(self, images: Array, *, train: bool = False) -> Array:
        """Map images [B, H, W, 3] to the features before the last layer, averaged over the map, [B, 2048]."""
        hidden = _run(STEM, images, train=train)
        for name, branches in BLOCKS.items():
            hidden = InceptionBlock(branches, name=name)(hidden, train=train)
        return hidden.mean((1, 2))


class InceptionBlock(nn.Module):
    """Branches on the same input, whose outputs are concatenated."""

    branches: tuple[Branch, ...]

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool) -> Array:
        """Map [B, H, W, C] to [B, H', W', F], the concatenated channels of the branches."""
        return jnp.concatenate([_run(branch, inputs, train=train) for branch in self.branches], -1)


class BasicConv2d(nn.Module):
    """Convolution without bias, batch norm, ReLU."""

    layer: Layer

    @nn.compact
    def __call__(self, inputs: Array, *, train: bool) -> Array:
        """Map [B, H, W, C] to [B, H', W', F]."""
        _, features, kernel_size, stride, padding = self.layer
        # The plain form: the fast one transforms kernels in each call, which does not pay without a backward pass.
        hidden = Conv(features, kernel_size, stride, padding, use_bias=False, fast=False, name="conv")(inputs)
        return nn.relu(BatchNorm(epsilon=1e-3, name="bn")(hidden, train=train))


def _run(branch: Branch, hidden: Array, *, train: bool) -> Array:
    """Apply the steps of a branch; their layers become children of the module that is running."""
    for step in branch:
        if isinstance(step, Layer):
            hidden = BasicConv2d(step, name=step.name)(hidden, train=train)
        elif isinstance(step, Fork):
            hidden = jnp.concatenate([_run((side,), hidden, train=train) for side in step], -1)
        else:
            hidden = step(hidden)
    return hidden
