"""Options of how samples are drawn, for models that can draw them in several ways."""

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
    """Options of how images are drawn; None stands for the value of the run's config."""

    sampler: Annotated[str, OneOf(tuple(SAMPLERS))] | None = None
    """Sampler of a diffusion model: ancestral, ddim, euler, heun, stochastic_heun or dpm_solver. None: that of the
    run's config."""
    sampling_steps: Annotated[int, *within(1, 100_000)] | None = None
    """Number of sampling steps of a diffusion model (each of heun and stochastic_heun is two passes of the network).
    None: that of the run's config."""
    guidance: NonNegativeFloat | None = None
    """Guidance of diffusion models and models of captions toward the class or caption: 0 ignores it, 1 follows it as in
    training, more exaggerates it. None: that of the run's config."""
    truncation: Annotated[float, *within(-10, 10)] | None = None
    """Place of styles between the average style (0) and their own (1), for StyleGAN2: less gives better images of less
    variety. None: 1."""


OF = {"truncation": "StyleGAN2s", "guidance": "diffusion models and models of captions"}
"""The models that have an option; other options are those of diffusion models."""


def given_sampling_options(options: SamplingOptions) -> SampleOptions:
    """Return the options that are not None, by name."""
    given = {name: getattr(options, name) for name in SamplingOptions.__dataclass_fields__}
    return {name: value for name, value in given.items() if value is not None}


def sampling_options(run: Run, options: SamplingOptions) -> SampleOptions:
    """Return the given options, as keywords of the model's `sample`.

    Raises:
      UserError: the model's `sample` has no such keyword.
    """
    given = given_sampling_options(options)
    keywords = inspect.signature(present(run.model.sample)).parameters if given else {}
    for name in given:
        if name not in keywords:
            kind = OF.get(name, "diffusion models")
            raise UserError(f"{option(name)} is for {kind}, and not for {run.name}: leave it out.")
    return given
