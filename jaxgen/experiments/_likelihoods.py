"""Distributions of pixels, of which decoders give the parameters: how they are made, by the names that options take."""

from collections.abc import Callable, Mapping
from typing import Any

from jaxgen.models.likelihoods import (
    PixelLikelihood,
    bernoulli,
    discretized_logistic,
    gaussian,
    logit_laplace,
    scaled_squared_error,
)

LIKELIHOODS: dict[str, Callable[[Mapping[str, Any]], PixelLikelihood]] = {
    "bernoulli": lambda assets: bernoulli(),
    "gaussian": lambda assets: gaussian(),
    "discretised_logistic": lambda assets: discretized_logistic(),
    "logit_laplace": lambda assets: logit_laplace(),
    "squared_error": lambda assets: scaled_squared_error(assets["data_variance"]),
}
"""By what the data's assets say. Each family of experiments takes some of them."""
