"""Options of classifier-free guidance."""

from dataclasses import dataclass

from jaxgen.core.options import NonNegativeFloat


@dataclass(frozen=True)
class GuidanceOptions:
    """How samples are drawn; the commands can override these options."""

    guidance: NonNegativeFloat = 1.0
    """Guidance of samples toward their class or caption: 0 ignores it, 1 follows it as in training, more exaggerates
    it."""
