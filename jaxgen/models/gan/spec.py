"""The spec of a GAN."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass

import flax.linen as nn
import optax

from jaxgen.core.errors import UserError
from jaxgen.core.model import GenerativeModel, ModelSpec
from jaxgen.models.augmentation import Augmentation
from jaxgen.models.gan.heads import Head
from jaxgen.models.gan.losses import LOSSES, GANLoss
from jaxgen.models.gan.penalties import PENALTIES


@dataclass(frozen=True)
class GAN(ModelSpec):
    """A generator and a discriminator, on batches with `image` [B, H, W, C] in [-1, 1] (Goodfellow et al. 2014).

    A conditional GAN needs batches with `label` [B] too, and its samples take labels [num_samples] as `condition`.

    Metrics: `discriminator/loss`, `discriminator/accuracy_real`, `discriminator/accuracy_generated`, and of training
    `generator/loss`, `discriminator/PENALTY` of each penalty, `augmentation/probability` where it is adaptive.

    Raises:
      KeyError: an unknown loss or penalty.
      UserError: adaptive augmentation, which relies on the signs of logits, with a loss of their differences only.
    """

    generator: nn.Module
    """`generator(latents [B, latent_size], train=...) -> images`."""
    discriminator: nn.Module
    """`discriminator(images, train=...) -> logits [B]`, or with a `head` (logits [B], outputs [B, N])."""
    _: KW_ONLY
    latent_size: int
    """Length of the latent vectors."""
    loss: str | GANLoss = "non_saturating"
    """A name in `LOSSES`, or a `GANLoss`."""
    generator_optimizer: optax.GradientTransformation
    """The optimizer of the generator."""
    discriminator_optimizer: optax.GradientTransformation
    """The optimizer of the discriminator."""
    discriminator_steps: int | None = None
    """None: both networks step at once from the same point, sharing one forward pass of D(G(z)). n: each train step
    updates the discriminator, on latents of its own; every n-th step then also updates the generator, against the
    updated discriminator."""
    ema_decay: float | None = 0.999
    """Decay of the moving average of the generator that samples are drawn with; None: no average."""
    independent_examples: bool = False
    """Whether each logit depends on its own image alone (a discriminator without batch statistics). The simultaneous
    step then goes back through D(G(z)) once for both networks, with the same gradients."""
    num_classes: int | None = None
    """None: no condition. K: both networks get labels in 0..K-1 as their second argument (see
    `jaxgen.networks.layers.conditional`), and generated images get the labels of the real ones in the batch."""
    head: Head | None = None
    """If given, the generator alone gets the labels, and the discriminator's second output is trained to read them
    (`jaxgen.models.gan.heads`: ACGAN, InfoGAN)."""
    penalties: Mapping[str, float] | tuple[tuple[str, float], ...] | None = None
    """Weights of discriminator regularizers, by name in `PENALTIES`; kept as a tuple of pairs, in the given order."""
    penalty_every: int = 1
    """Penalties are taken in every n-th step only, n times as strong."""
    augmentation: Augmentation | None = None
    """Applied to all images that the discriminator sees during training."""

    def __post_init__(self) -> None:
        penalties = dict(self.penalties or ())
        object.__setattr__(self, "penalties", tuple(penalties.items()))
        unknown = [name for name in penalties if name not in PENALTIES]
        if isinstance(self.loss, str) and self.loss not in LOSSES:
            unknown.append(self.loss)
        if unknown:
            raise KeyError(unknown[0])
        adaptive = self.augmentation is not None and self.augmentation.target is not None
        if self.losses.differences_only and adaptive:
            raise UserError(
                "Adaptive augmentation relies on the signs of real logits, which mean nothing with the wasserstein and "
                "relativistic_average losses: choose another loss, or augmentations that stay as they are."
            )

    @property
    def losses(self) -> GANLoss:
        """The losses of both networks."""
        return LOSSES[self.loss] if isinstance(self.loss, str) else self.loss

    @property
    def optimizers(self) -> dict[str, optax.GradientTransformation]:
        """The optimizers, by network."""
        return {"generator": self.generator_optimizer, "discriminator": self.discriminator_optimizer}

    def model(self) -> GenerativeModel:
        from jaxgen.models.gan.principle import model  # which imports this module

        return model(self)
