"""What the experiments with two stages share: the option that names the first one."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FirstStageOptions:
    """The first stage, whose codes are learned."""

    first_stage: Path | None = None
    """The folder of a run of a VQ-VAE or of a discrete VAE, whose codes are learned."""
