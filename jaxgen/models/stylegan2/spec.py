"""The spec of a StyleGAN2."""

from dataclasses import KW_ONLY, dataclass

import optax

from jaxgen.core.model import GenerativeModel, ModelSpec
from jaxgen.models.augmentation import Augmentation
from jaxgen.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator, num_styles


@dataclass(frozen=True)
class StyleGAN2(ModelSpec):
    """StyleGAN2 (Karras et al. 2020, arXiv:1912.04958) on batches with `image` [B, H, W, C] in [-1, 1].

    Batches have `label` [B] too where the networks have classes.

    A step updates the generator by -log s(D(G(z))), in every `path_every`-th step also by its path length, then the
    discriminator by -log s(D(x)) - log(1 - s(D(G(z)))), in every `r1_every`-th step also by R1. Each of the four
    updates has latents and noise of its own and is taken with the optimizer of its network; the weights of the
    regularizers are multiplied by their intervals (section 3.1).

    `sample(..., truncation=t)` and `decode(..., truncation=t)` take styles t of the way from the average style to their
    own (Karras et al. 2019, appendix B); 1 leaves them, 0 gives one image. Samples have noise of their own; `decode`
    has the same for all, so that it is a function of its latents alone. All are clipped to [-1, 1].

    Metrics: those of a GAN, `generator/path_penalty`, `generator/path_length`, `discriminator/r1`.

    A training step raises a UserError where a device's batch is no multiple of `path_share`.
    """

    generator: StyleGAN2Generator
    """Maps latents [B, latent_size] (and labels) to styles, and styles and noise to images."""
    discriminator: StyleGAN2Discriminator
    """`discriminator(images, *labels, train=...) -> logits [B]`, which depend on the batch."""
    _: KW_ONLY
    latent_size: int
    """Length of the latent vectors."""
    generator_optimizer: optax.GradientTransformation
    """The optimizer of the generator; see `lazy_adam`."""
    discriminator_optimizer: optax.GradientTransformation
    """The optimizer of the discriminator; see `lazy_adam`."""
    r1_weight: float = 10.0
    """gamma of gamma / 2 |grad_x D(x)|^2, at real images before augmentation. 0: no such update."""
    r1_every: int = 16
    """R1 is taken in every n-th step only, n times as strong."""
    path_weight: float = 2.0
    """Weight of (|J^T y| - a)^2, where a is the running mean of |J^T y| (eq. 4), held constant. 0: no such update."""
    path_every: int = 4
    """The path length is taken in every n-th step only, n times as strong."""
    path_share: int = 2
    """The path length is taken of one in n examples of the batch."""
    mixing_prob: float = 0.9
    """Probability that an example has two styles, the second from a random layer on (Karras et al. 2019,
    section 3.1)."""
    ema_decay: float = 0.999
    """Decay of the moving average of the generator."""
    w_avg_decay: float = 0.995
    """Decay of the moving average of styles, toward which samples are truncated."""
    augmentation: Augmentation | None = None
    """Applied to all images that the discriminator sees during training; with ADA see Karras et al. 2020,
    arXiv:2006.06676."""

    @property
    def optimizers(self) -> dict[str, optax.GradientTransformation]:
        """The optimizers, by network."""
        return {"generator": self.generator_optimizer, "discriminator": self.discriminator_optimizer}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.generator.image_shape
        return height, width, channels

    @property
    def num_classes(self) -> int | None:
        """Number of classes that the networks are conditioned on; None: no classes."""
        return self.generator.num_classes

    @property
    def num_styles(self) -> int:
        """Number N of styles of an image, one for each layer."""
        return num_styles(self.image_shape)

    def model(self) -> GenerativeModel:
        from jaxgen.models.stylegan2.principle import model  # which imports this module

        return model(self)
