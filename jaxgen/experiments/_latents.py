"""What the experiments with latent vectors share: options of the latents, and of how far they may be from a prior."""

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
    """Over how many steps the weight of the KL term rises from 0, along a line."""
    free_bits: NonNegativeFloat = 0.0
    """Nats that the KL term of each latent counts as at least, so that no latent is worth switching off."""
