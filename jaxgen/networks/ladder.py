"""The networks of a ladder VAE (Sonderby et al. 2016, arXiv:1602.02282): bottom-up encoder and top-down decoder."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxgen.networks.layers.normalization import BatchNorm

LATENT_SIZES = (64, 32, 16, 8, 4)
WIDTHS = (512, 256, 128, 64, 32)


class LadderEncoder(nn.Module):
    """The bottom-up path: d_i = MLP_i(d_(i-1)) from the images, and from each d_i a Gaussian (eqs. 10 to 12).

    Attributes:
      latent_sizes: sizes of the latent layers, from the images upward.
      widths: widths of each layer's MLP, which has two hidden layers.
      batch_norm: whether batch norm is applied before each activation, as in the paper.
    """

    latent_sizes: Sequence[int] = LATENT_SIZES
    widths: Sequence[int] = WIDTHS
    batch_norm: bool = True

    @nn.compact
    def __call__(self, images: Array, *, train: bool) -> Array:
        """Map images [B, H, W, C] to [B, 2 * L]: means and log-variances of each layer, from the top down."""
        hidden, outputs = images.reshape(images.shape[0], -1), []
        for size, width in zip(self.latent_sizes, self.widths, strict=True):
            hidden = TwoLayers(width, self.batch_norm)(hidden, train=train)
            outputs.append(nn.Dense(2 * size)(hidden))
        return jnp.concatenate(outputs[::-1], -1)


class LadderDecoder(nn.Module):
    """The top-down path: z_L ~ N(0, I), z_i ~ N(mu_i(z_(i+1)), diag sigma_i(z_(i+1))^2), then the images (eqs. 2 to 4).

    The latents passed in are the noise of each layer, e_i = (z_i - mu_i) / sigma_i, which is standard normal; the model
    is the same.

    Attributes:
      image_shape: (H, W, C).
      latent_sizes: sizes of the latent layers, from the images upward.
      widths: widths of the MLP below each layer, which has two hidden layers.
      batch_norm: whether batch norm is applied before each activation, as in the paper.
    """

    image_shape: tuple[int, int, int] = (28, 28, 1)
    latent_sizes: Sequence[int] = LATENT_SIZES
    widths: Sequence[int] = WIDTHS
    batch_norm: bool = True

    def setup(self) -> None:
        self.mlps = [TwoLayers(width, self.batch_norm) for width in self.widths]
        self.priors = [nn.Dense(2 * size) for size in self.latent_sizes[:-1]]
        self.pixels = nn.Dense(self.image_shape[0] * self.image_shape[1] * self.image_shape[2])

    def __call__(self, latents: Array, *, train: bool) -> Array:
        """Map [B, L], the noise of each layer from the top down, to parameters [B, H, W, C]."""
        hidden, start = None, 0
        for layer in reversed(range(len(self.latent_sizes))):
            noise = latents[:, start : start + self.latent_sizes[layer]]
            start += self.latent_sizes[layer]
            if hidden is None:
                hidden = noise
            else:
                mean, log_variance = self.prior(hidden, layer, train=train)
                hidden = mean + jnp.exp(0.5 * log_variance) * noise
        assert hidden is not None
        return self.pixels(self.mlps[0](hidden, train=train)).reshape(-1, *self.image_shape)

    def prior(self, above: Array, layer: int, *, train: bool) -> tuple[Array, Array]:
        """Return mean and log-variance of a layer's prior given z of the layer above; use `apply(method="prior")`."""
        outputs = self.priors[layer](self.mlps[layer + 1](above, train=train))
        mean, log_variance = jnp.split(outputs, 2, -1)
        return mean, log_variance


class TwoLayers(nn.Module):
    """Two Dense layers with leaky ReLU of slope 0.1 (the paper's, section 3.1)."""

    width: int
    batch_norm: bool

    @nn.compact
    def __call__(self, hidden: Array, *, train: bool) -> Array:
        """Map [B, N] to [B, width]."""
        for _ in range(2):
            hidden = nn.Dense(self.width, use_bias=not self.batch_norm)(hidden)
            if self.batch_norm:
                hidden = BatchNorm()(hidden, train=train)
            hidden = nn.leaky_relu(hidden, 0.1)
        return hidden
