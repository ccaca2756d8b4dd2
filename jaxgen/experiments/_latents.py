"""Options of latent vectors and of their KL term, shared by experiments."""

from dataclasses import dataclass

from jaxgen.core.options import CountFromZero, NonNegativeFloat, Size


@dataclass(frozen=True)
class LatentOptions:
    """The latent vectors."""

    latent_size: Size = 100
    """Length of the latent vectors."""


@dataclass(frozen=True)
class KLOptions:
    """The KL term, which holds the latents' posterior to their prior."""

    beta: NonNegativeFloat = 1.0
    """Weight of the KL term, after its warm-up."""
    kl_warmup_steps: CountFromZero = 0
    """Number of steps over which the weight of the KL term rises linearly from 0."""
    free_bits: NonNegativeFloat = 0.0
    """Lower bound in nats of each latent's KL term in the loss, so that no latent is worth switching off."""
