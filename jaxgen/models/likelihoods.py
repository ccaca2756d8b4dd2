"""Likelihoods p(x | z) with one interface; their parameters are a decoder's outputs."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.core.keys import example_keys
from jaxgen.core.per_example import row_sums, rows

HALF_BIN = 1.0 / 255.0
"""Half the distance between two neighbors of 256 levels in [-1, 1]."""


class PixelLikelihood(NamedTuple):
    """p(x | z) of images [B, H, W, C] in [-1, 1], independent over pixels and channels given its parameters.

    Parameters are [B, H, W, C * P], a decoder's outputs without an activation: first all channels of the first
    parameter, then all of the second.
    """

    parameters_per_channel: int
    """P."""
    targets: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    """(key, index [B], images) -> the images whose likelihood is taken; noise belongs to the example."""
    log_prob: Callable[[jax.Array, jax.Array], jax.Array]
    """(parameters, targets) -> log p(x | z) [B] in nats: of a probability of levels, or of a density."""
    mean: Callable[[jax.Array], jax.Array]
    """parameters -> images in [-1, 1]."""
    draw: Callable[[jax.Array, jax.Array], jax.Array]
    """(keys [B], parameters) -> images in [-1, 1], with the pixels' own noise."""
    levels: int | None
    """Number of values of a pixel, by which bits per dimension are defined; None for a density and for binarized
    pixels."""


def bernoulli() -> PixelLikelihood:
    """Return the likelihood of binary pixels, the parameter a logit l: log p = x l - log(1 + e^l), x in {0, 1}.

    `targets` draws gray values anew as black or white with their own probability, which leaves binary images as they
    are: each epoch trains on a new binarization (Burda et al. 2016, section 5.1.1). Results are in nats, as in the
    literature.
    """
    return PixelLikelihood(1, _binarized, _bernoulli_log_prob, _bernoulli_mean, _bernoulli_draw, levels=None)


def _binarized(key: jax.Array, index: jax.Array, images: jax.Array) -> jax.Array:
    def one(key: jax.Array, image: jax.Array) -> jax.Array:
        return jnp.where(jax.random.uniform(key, image.shape, image.dtype) < _probability(image), 1.0, -1.0)

    return jax.vmap(one)(example_keys(key, index), images).astype(images.dtype)


def _bernoulli_log_prob(parameters: jax.Array, images: jax.Array) -> jax.Array:
    logits = rows(parameters)
    return row_sums(_probability(rows(images)) * logits - jax.nn.softplus(logits))


def _bernoulli_mean(parameters: jax.Array) -> jax.Array:
    return jnp.tanh(0.5 * parameters)  # 2 sigmoid(l) - 1


def _bernoulli_draw(keys: jax.Array, parameters: jax.Array) -> jax.Array:
    def one(key: jax.Array, logits: jax.Array) -> jax.Array:
        return jnp.where(jax.random.uniform(key, logits.shape, logits.dtype) < jax.nn.sigmoid(logits), 1.0, -1.0)

    return jax.vmap(one)(keys, parameters).astype(parameters.dtype)


def _probability(images: jax.Array) -> jax.Array:
    """Map [-1, 1] to [0, 1]."""
    return 0.5 * (images + 1.0)


# ---------------------------------------------------------------- densities


def gaussian(min_log_variance: float = -6.0) -> PixelLikelihood:
    """Return the likelihood of normal pixels, the parameters a mean m and a log-variance s of each.

        log p = -1/2 ((x - m)^2 e^-s + s + log 2pi)

    The variance is learned per pixel and cannot collapse: s = s_min + softplus(a - s_min) with the decoder's output a.
    Without a floor the density of pixels that are always black grows without bound. The default leaves a standard
    deviation of 0.05 of [-1, 1], some six gray levels. Results are nats of a density of images in [-1, 1], which may be
    negative or positive: compare them only between equal floors.
    """
    log_prob, draw = partial(_gaussian_log_prob, min_log_variance), partial(_gaussian_draw, min_log_variance)
    return PixelLikelihood(2, _as_they_are, log_prob, _clipped_mean, draw, levels=None)


def _mean_and_log_variance(min_log_variance: float, parameters: jax.Array) -> tuple[jax.Array, jax.Array]:
    mean, raw = jnp.split(parameters, 2, axis=-1)
    return mean, min_log_variance + jax.nn.softplus(raw - min_log_variance)


def _gaussian_log_prob(min_log_variance: float, parameters: jax.Array, images: jax.Array) -> jax.Array:
    mean, log_variance = map(rows, _mean_and_log_variance(min_log_variance, parameters))
    squares = jnp.square(rows(images) - mean) * jnp.exp(-log_variance)
    return -0.5 * row_sums(squares + log_variance + math.log(2.0 * math.pi))


def _gaussian_draw(min_log_variance: float, keys: jax.Array, parameters: jax.Array) -> jax.Array:
    mean, log_variance = _mean_and_log_variance(min_log_variance, parameters)
    noise = jax.vmap(lambda key, mean: jax.random.normal(key, mean.shape, mean.dtype))(keys, mean)
    return jnp.clip(mean + jnp.exp(0.5 * log_variance) * noise, -1.0, 1.0)


def scaled_squared_error(data_variance: float) -> PixelLikelihood:
    """Return the likelihood of normal pixels of fixed variance v / 2; the parameter is the mean.

    v is the variance of all pixel values of the data in [-1, 1]. Then -log p / M is the mean of (x - m)^2 / v, the loss
    of VQ-VAE's own code, plus a constant. Its nats are those of a density and depend on v: compare them only on the
    same data.
    """
    log_prob, draw = partial(_squared_error_log_prob, data_variance), partial(_squared_error_draw, data_variance)
    return PixelLikelihood(1, _as_they_are, log_prob, _clipped, draw, levels=None)


def _squared_error_log_prob(data_variance: float, parameters: jax.Array, images: jax.Array) -> jax.Array:
    squares = jnp.square(rows(images) - rows(parameters)) / data_variance
    return -row_sums(squares + 0.5 * math.log(math.pi * data_variance))


def _squared_error_draw(data_variance: float, keys: jax.Array, parameters: jax.Array) -> jax.Array:
    noise = jax.vmap(lambda key, mean: jax.random.normal(key, mean.shape, mean.dtype))(keys, parameters)
    return jnp.clip(parameters + math.sqrt(0.5 * data_variance) * noise, -1.0, 1.0)


def logit_laplace(margin: float = 0.1) -> PixelLikelihood:
    """Return the likelihood of pixels whose logits are Laplace's, the parameters a location m and a log-scale of each.

        log p(u) = -|logit(u) - m| / b - log(2 b u (1 - u)),  u = (1 - 2 margin) (x + 1) / 2 + margin

    of images x in [-1, 1], squeezed away from 0 and 1 where a logit has no value (Ramesh et al. 2021, arXiv:2102.12092,
    appendix A.3). It is a density of x, in nats.
    """
    log_prob, mean, draw = (
        partial(function, margin) for function in (_logit_laplace_log_prob, _logit_laplace_mean, _logit_laplace_draw)
    )
    return PixelLikelihood(2, _as_they_are, log_prob, mean, draw, levels=None)


def _location_and_log_scale(parameters: jax.Array) -> tuple[jax.Array, jax.Array]:
    location, log_scale = jnp.split(parameters, 2, axis=-1)
    return location, jnp.clip(log_scale, -6.0, 4.0)  # a scale of 0 has an infinite density


def _squeezed_width(margin: float) -> float:
    return 0.5 * (1.0 - 2.0 * margin)


def _logit_laplace_log_prob(margin: float, parameters: jax.Array, images: jax.Array) -> jax.Array:
    location, log_scale = map(rows, _location_and_log_scale(parameters))
    width = _squeezed_width(margin)
    squeezed = width * (rows(images) + 1.0) + margin
    distances = jnp.abs(jax.scipy.special.logit(squeezed) - location) * jnp.exp(-log_scale)
    volume = jnp.log(squeezed) + jnp.log1p(-squeezed) + math.log(2.0) - math.log(width)
    return -row_sums(distances + log_scale + volume)


def _images_of_logits(margin: float, logits: jax.Array) -> jax.Array:
    return jnp.clip((jax.nn.sigmoid(logits) - margin) / _squeezed_width(margin) - 1.0, -1.0, 1.0)


def _logit_laplace_mean(margin: float, parameters: jax.Array) -> jax.Array:
    return _images_of_logits(margin, _location_and_log_scale(parameters)[0])


def _logit_laplace_draw(margin: float, keys: jax.Array, parameters: jax.Array) -> jax.Array:
    location, log_scale = _location_and_log_scale(parameters)
    noise = jax.vmap(lambda key, place: jax.random.laplace(key, place.shape, place.dtype))(keys, location)
    return _images_of_logits(margin, location + jnp.exp(log_scale) * noise)


# ---------------------------------------------------------------- levels


def discretized_logistic(min_log_scale: float = -7.0) -> PixelLikelihood:
    """Return the likelihood of 256 levels, each the logistic's mass around it, the parameters a mean and a log-scale.

        P(x) = sigmoid((x + 1/255 - m) / s) - sigmoid((x - 1/255 - m) / s)

    for images in [-1, 1], where the outermost levels get all that lies beyond them (Kingma et al. 2016,
    arXiv:1606.04934, appendix; Salimans et al. 2017, arXiv:1701.05517, section 2.1, with one component). Results are
    in bits per dimension.

    Args:
      min_log_scale: lower bound of log s, as in Salimans et al.; below it, one level has all the mass.
    """
    log_prob, draw = partial(_logistic_log_prob, min_log_scale), partial(_logistic_draw, min_log_scale)
    return PixelLikelihood(2, _as_they_are, log_prob, _clipped_mean, draw, levels=256)


def _mean_and_log_scale(min_log_scale: float, parameters: jax.Array) -> tuple[jax.Array, jax.Array]:
    mean, log_scale = jnp.split(parameters, 2, axis=-1)
    return mean, jnp.maximum(log_scale, min_log_scale)


def _logistic_log_prob(min_log_scale: float, parameters: jax.Array, images: jax.Array) -> jax.Array:
    mean, log_scale = _mean_and_log_scale(min_log_scale, parameters)
    return row_sums(logistic_log_mass(rows(images), rows(mean), rows(log_scale), HALF_BIN))


def _logistic_draw(min_log_scale: float, keys: jax.Array, parameters: jax.Array) -> jax.Array:
    mean, log_scale = _mean_and_log_scale(min_log_scale, parameters)
    noise = jax.vmap(lambda key, mean: jax.random.logistic(key, mean.shape, mean.dtype))(keys, mean)
    levels = jnp.round((mean + jnp.exp(log_scale) * noise + 1.0) / (2.0 * HALF_BIN))
    return jnp.clip(levels, 0.0, 255.0) * (2.0 * HALF_BIN) - 1.0


def logistic_log_mass(values: jax.Array, mean: jax.Array, log_scale: jax.Array, half_bin: float) -> jax.Array:
    """Return the log of the logistic's mass within `half_bin` of each value, one of even levels of [-1, 1].

    The outermost levels get all that lies beyond them. Shapes broadcast.
    """
    edge = 1.0 - half_bin
    ends = values < -edge, values > edge
    return logistic_log_mass_between(values - half_bin, values + half_bin, 2.0 * half_bin, *ends, mean, log_scale)


def logistic_log_mass_between(
    lower: jax.Array,
    upper: jax.Array,
    width: jax.Array | float,
    first: jax.Array,
    last: jax.Array,
    mean: jax.Array,
    log_scale: jax.Array,
) -> jax.Array:
    """Return the log of the logistic's mass between two places, `width` apart.

    The width is an argument, since the difference of the places is inexact. Where `first` is true, it is the mass of
    all below `upper`; where `last` is true, of all above `lower`. Shapes broadcast.
    """
    inverse_scale = jnp.exp(-log_scale)
    below = jax.nn.log_sigmoid((upper - mean) * inverse_scale)
    above = jax.nn.log_sigmoid((mean - lower) * inverse_scale)
    # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - e^(b - a)): no difference of nearly equal numbers.
    inside = below + above + jnp.log(-jnp.expm1(-width * inverse_scale))
    return jnp.where(first, below, jnp.where(last, above, inside))


# ---------------------------------------------------------------- shared parts


def _as_they_are(key: jax.Array, index: jax.Array, images: jax.Array) -> jax.Array:
    del key, index
    return images


def _clipped(parameters: jax.Array) -> jax.Array:
    return jnp.clip(parameters, -1.0, 1.0)


def _clipped_mean(parameters: jax.Array) -> jax.Array:
    """Return the clipped mean, the first half of the parameters."""
    return _clipped(jnp.split(parameters, 2, axis=-1)[0])
