"""The common fields of the specs of models that are trained on pairs of images."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxgen.core.model import ModelSpec
from jaxgen.core.per_example import row_means, rows
from jaxgen.core.types import Batch, Key, Variables
from jaxgen.metrics.restoration import l1
from jaxgen.models.gan.losses import LOSSES, GANLoss
from jaxgen.models.image_to_image.degradations import Degraded

ContentLoss = Callable[[jax.Array, jax.Array], jax.Array]
CONTENT_LOSSES: dict[str, ContentLoss] = {
    "l1": l1,
    "mse": lambda outputs, targets: row_means(jnp.square(rows(outputs) - rows(targets))),
}
"""(outputs, targets) -> [B], by name."""


class Pair(NamedTuple):
    """The source of an image, and its target."""

    source: Degraded
    target: jax.Array
    """[B, H, W, C] in [-1, 1]."""


class Adversary(NamedTuple):
    """A discriminator of outputs beside their baselines."""

    network: nn.Module
    """`network(images and baselines [B, H, W, 2 C], train=...) -> logits [B, ...]`, of the image or of its patches."""
    optimizer: optax.GradientTransformation
    loss: str = "non_saturating"
    """A name in `jaxgen.models.gan.losses.LOSSES`."""
    weight: float = 1e-3
    """Weight of the adversarial loss beside the generator's others."""


class PerceptualLoss(NamedTuple):
    """A distance of images in the features of a pretrained network (Johnson et al. 2016, arXiv:1603.08155)."""

    load: Callable[[], Variables]
    """() -> the network's arrays, which go to `model_state["frozen"]`."""
    features: Callable[[Variables, jax.Array], list[jax.Array]]
    """(arrays, images in [-1, 1]) -> features [B, ...] of some layers."""
    weight: float = 1.0
    """Weight of the mean squared difference, summed over the layers."""


@dataclass(frozen=True)
class ImageToImage(ModelSpec):
    """A network from `given` [B, h, w, C'] to images [B, H, W, C], with or without a discriminator.

    The generator's loss is |G(x) - y| or its square, plus the weighted adversarial loss and distance of features
    (pix2pix: Isola et al. 2017, arXiv:1611.07004, eq. 4; SRGAN: Ledig et al. 2017, arXiv:1609.04802, eq. 3);
    both networks step at once. Known pixels are put into the output and not learned.

    Metrics: `generator/loss` and its parts `generator/content`, `generator/adversarial`, `generator/features`;
    `discriminator/loss` and its accuracies; on evaluation, of 256 levels, `generator/psnr`, `generator/psnr_y` (of the
    luma) and `generator/ssim`, and the same of `baseline/`.

    There is no `sample`: images come from images.

    Raises:
      KeyError: an unknown loss.
    """

    network: nn.Module
    """`network(given, train=...) -> [B, H, W, C]`."""
    _: KW_ONLY
    optimizer: optax.GradientTransformation
    loss: str = "l1"
    """A name in `CONTENT_LOSSES`."""
    residual: bool = True
    """Whether the network predicts the difference from the baseline."""
    adversary: Adversary | None = None
    perceptual_loss: PerceptualLoss | None = None
    ema_decay: float | None = None
    """Decay of the moving average of the generator that evaluation and restored images use; None: no average."""
    border: int = 0
    """Number of pixels at each side that are left out of PSNR and SSIM."""

    def __post_init__(self) -> None:
        CONTENT_LOSSES[self.loss]
        if self.adversary is not None:
            LOSSES[self.adversary.loss]

    @abstractmethod
    def pair_of(self, batch: Batch, key: Key, *, train: bool) -> Pair:
        """Return the source and the target of a batch's examples."""

    @abstractmethod
    def of_given(self, given: jax.Array) -> Degraded:
        """Return `given` with its baseline, for images without a target."""

    @property
    def content_loss(self) -> ContentLoss:
        return CONTENT_LOSSES[self.loss]

    @property
    def adversarial_loss(self) -> GANLoss | None:
        return None if self.adversary is None else LOSSES[self.adversary.loss]

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks, by the names of their parameters."""
        discriminators = {} if self.adversary is None else {"discriminator": self.adversary.network}
        return {"generator": self.network, **discriminators}

    @property
    def optimizers(self) -> dict[str, optax.GradientTransformation]:
        """The optimizers, by the names of the networks."""
        discriminators = {} if self.adversary is None else {"discriminator": self.adversary.optimizer}
        return {"generator": self.optimizer, **discriminators}
