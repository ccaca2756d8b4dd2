"""The spec of a diffusion model: its network, its training and its sampler."""

import math
from dataclasses import KW_ONLY, dataclass

import flax.linen as nn
import optax

from jaxgen.core.model import GenerativeModel, ModelSpec
from jaxgen.models.diffusion.condition_sources import ConditionSource
from jaxgen.models.diffusion.noise_levels import NoiseLevels
from jaxgen.models.diffusion.preconditioning import Preconditioning
from jaxgen.models.diffusion.samplers import check_sampler


@dataclass(frozen=True)
class Diffusion(ModelSpec):
    """A network that makes images from noise, by removing noise of any level from images [B, H, W, C] in [-1, 1].

    This is EDM (Karras et al. 2022, arXiv:2206.00364), with DDPM and flow matching as special cases
    (`jaxgen.models.diffusion.preconditioning`).

    Metrics: `diffusion/loss`, the mean of (F - target)^2 over pixels.

    Raises:
      UserError: an unknown sampler, no steps, or more steps than there are noise levels.
    """

    network: nn.Module
    """`network(c_in x [B, H, W, C], log(sigma) / 4 [B], *condition, train=..., dropout_keys=[B] or None) ->
    [B, H, W, C]`."""
    _: KW_ONLY
    image_shape: tuple[int, ...]
    """(H, W, C)."""
    preconditioning: Preconditioning
    """The coefficients that define what the network predicts."""
    noise_levels: NoiseLevels
    """The noise levels of training and of samplers."""
    optimizer: optax.GradientTransformation
    condition: ConditionSource | None = None
    """The source of conditions; None: an unconditional model."""
    condition_dropout: float = 0.1
    """The probability with which a condition is left out in training, so that the network learns both D(x | c) and
    D(x)."""
    guidance: float = 1.0
    """w of classifier-free guidance, D(x) + w (D(x | c) - D(x)) (Ho and Salimans 2022, arXiv:2207.12598); 1 is the
    condition alone, which takes half as long."""
    sampler: str = "heun"
    """A name in `jaxgen.models.diffusion.samplers.SAMPLERS`."""
    sampling_steps: int = 18
    """Number of steps of the sampler."""
    ema_decay: float | None = None
    """Decay of the moving average that evaluation and samples use; None: no average."""
    micro_batches: int = 1
    """Number of parts of each device's batch whose gradients are added (`jaxgen.models.single_loss.SingleLoss`)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_shape", tuple(self.image_shape))
        check_sampler(self.sampler, self.sampling_steps)
        self.noise_levels.sigmas(self.sampling_steps)  # raises where there are fewer levels

    @property
    def dimensions(self) -> int:
        """H W C."""
        return math.prod(self.image_shape)

    def model(self) -> GenerativeModel:
        from jaxgen.models.diffusion.principle import model  # whose functions take this spec

        return model(self)
