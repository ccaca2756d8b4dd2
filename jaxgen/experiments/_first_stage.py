"""The option that names a first stage, shared by experiments with two stages."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FirstStageOptions:
    """The first stage, whose codes are learned."""

    first_stage: Path | None = None
    """Folder of a run of a VQ-VAE or of a discrete VAE, whose codes are learned."""
