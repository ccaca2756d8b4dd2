"""A small convolutional classifier, whose penultimate features also serve for a Frechet distance."""

from collections.abc import Sequence

import flax.linen as nn
from jax import Array

from jaxgen.networks.layers.convolution.conv import Conv
from jaxgen.networks.layers.normalization import BatchNorm


class ConvClassifier(nn.Module):
    """Blocks of (3x3 convolution, batch norm, ReLU) twice, then Dense, batch norm, ReLU, Dense.

    The second convolution of a block has stride 2, in place of a pool (Springenberg et al. 2015, arXiv:1412.6806).

    Attributes:
      num_classes: length of the logits, N.
      widths: channels of each block.
      num_features: length of the penultimate features, F.
    """

    num_classes: int = 10
    widths: Sequence[int] = (32, 64)
    num_features: int = 128

    def setup(self) -> None:
        self.convolutions = [Conv(width, (3, 3), stride, use_bias=False) for width in self.widths for stride in (1, 2)]
        self.norms = [BatchNorm() for _ in self.convolutions]
        self.features_dense = nn.Dense(self.num_features, use_bias=False)
        self.features_norm = BatchNorm()
        self.head = nn.Dense(self.num_classes)

    def __call__(self, images: Array, *, train: bool) -> Array:
        """Map images [B, H, W, C] to logits [B, N]."""
        return self.head(self.features(images, train=train))

    def features(self, images: Array, *, train: bool = False) -> Array:
        """Map images [B, H, W, C] to penultimate features [B, F]; use `classifier.apply(..., method="features")`."""
        hidden = images
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            hidden = nn.relu(norm(convolution(hidden), train=train))
        hidden = self.features_dense(hidden.reshape(hidden.shape[0], -1))
        return nn.relu(self.features_norm(hidden, train=train))
