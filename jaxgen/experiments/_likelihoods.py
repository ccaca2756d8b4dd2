"""Likelihoods of pixels by their names in options; decoders return their parameters."""

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
"""The data's assets -> the likelihood, by name. Each family of experiments offers some of them."""
