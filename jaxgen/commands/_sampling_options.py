"""How samples are drawn, where a model can draw them in several ways."""

import inspect
from dataclasses import dataclass
from typing import Annotated

from jaxgen.core.errors import UserError
from jaxgen.core.options import NonNegativeFloat, OneOf, within
from jaxgen.core.types import SampleOptions, present
from jaxgen.models.diffusion.samplers import SAMPLERS
from jaxgen.runs.opened_run import Run
from jaxgen.training.config import option


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How images are drawn; each is None for what the run's config says."""

    sampler: Annotated[str, OneOf(tuple(SAMPLERS))] | None = None
    """Of a diffusion model: ancestral, ddim, euler, heun, stochastic_heun or dpm_solver. None: as the run's
    config says."""
    sampling_steps: Annotated[int, *within(1, 100_000)] | None = None
    """Of a diffusion model: in how many steps (of heun and stochastic_heun each is two passes of the network).
    None: as the config says."""
    guidance: NonNegativeFloat | None = None
    """Of diffusion models and of images by captions: how far samples go toward their class or caption, from not at all
    (0) to what it is like (1) and beyond. None: as the config says."""
    truncation: Annotated[float, *within(-10, 10)] | None = None
    """Of a StyleGAN2: how far styles go from the average style (0) to their own (1): less variety, better images. None:
    1."""


OF = {"truncation": "StyleGAN2s", "guidance": "diffusion models and of images by captions"}
"""What models an option is of; else of diffusion models."""


def given_sampling_options(options: SamplingOptions) -> SampleOptions:
    """Those that are not None, by name."""
    given = {name: getattr(options, name) for name in SamplingOptions.__dataclass_fields__}
    return {name: value for name, value in given.items() if value is not None}


def sampling_options(run: Run, options: SamplingOptions) -> SampleOptions:
    """Those that were given, by the keywords of the model's `sample`.

    Raises:
      UserError: the model has no such keyword.
    """
    given = given_sampling_options(options)
    keywords = inspect.signature(present(run.model.sample)).parameters if given else {}
    for name in given:
        if name not in keywords:
            kind = OF.get(name, "diffusion models")
            raise UserError(f"{option(name)} is of {kind}, which {run.name} is not: leave it out.")
    return given
