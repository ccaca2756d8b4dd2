"""Linear prediction of sound that adapts to the samples so far, as a first stage of a network (Haykin, chapter 9)."""

from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

FIRST_SCALE, LEAST_SCALE = 1e-3, 1e-5  # of the error, in amplitudes


class Ahead(NamedTuple):
    """A prediction of the next sample: [B] after one sample, [B, T] after each of T samples."""

    sample: Array
    """The predicted sample."""
    scale: Array
    """Mean absolute error of recent predictions, at least `LEAST_SCALE`."""
    loudness: Array
    """Root mean square of recent samples, at least `LEAST_SCALE`."""


class Known(NamedTuple):
    """Statistics of the samples so far."""

    past: Array
    """[B, order]: the last samples, latest first."""
    products: Array
    """[B, order, order]: the exponentially weighted sum of past past^T."""
    with_next: Array
    """[B, order]: the exponentially weighted sum of past x, where x is the sample after `past`."""
    errors: Array
    """[B]: the exponentially weighted sum of absolute errors."""
    weight: Array
    """[]: the exponentially weighted sum of ones."""
    ahead: Ahead
    """[B]: the prediction of the next sample."""


@flax.struct.dataclass
class LinearPredictor:
    """Adaptive linear prediction of each sample from the `order` samples before it.

    The coefficients are those of least squares over the past, where an error counts less the longer ago it was:

        a = argmin sum_s (1 - 1/memory)^(t - s) (x_s - a . x_{s-1..s-order})^2 + r |a|^2,       s < t

    with r = 1e-6 + `ridge` times the sum of squares (with the same weights); then a_k is multiplied by bandwidth^k.
    Both are usual in speech coding: they widen resonances, so that sound drawn by these predictions dies away. With a
    ridge of 1e-5 and a bandwidth of 1 predictions are a little better, but such sound becomes a tone at full loudness,
    since the predictor fits what it drew itself. Nothing is learned except from the row itself.

    `jaxgen.metrics.linear_prediction_nats` computes the same in float64, for whole tables, with r = 1e-6 and a
    bandwidth of 1.
    """

    order: int = 16
    memory: float = 60.0
    """Decay time of the weights of past errors, in samples."""
    scale_memory: float = 30.0
    """Decay time of the mean absolute error, in samples."""
    ridge: float = 1e-3
    bandwidth: float = 0.98

    def start(self, batch_size: int, dtype: jnp.dtype | None = None) -> Known:
        """Return the statistics before the first sample, which are those of silence."""
        zeros = jnp.zeros((batch_size, self.order), dtype)
        row = zeros[:, 0]
        ahead = Ahead(row, row + FIRST_SCALE, row + LEAST_SCALE)
        products = jnp.zeros((batch_size, self.order, self.order), zeros.dtype)
        return Known(zeros, products, zeros, row + FIRST_SCALE, jnp.ones((), zeros.dtype), ahead)

    def step(self, known: Known, samples: Array) -> Known:
        """Advance by one sample [B], with the same number of operations each time."""
        keep, keep_scale = 1.0 - 1.0 / self.memory, 1.0 - 1.0 / self.scale_memory
        past = known.past
        products = keep * known.products + past[:, :, None] * past[:, None, :]
        with_next = keep * known.with_next + past * samples[:, None]
        errors = keep_scale * known.errors + jnp.abs(samples - known.ahead.sample)
        weight = keep_scale * known.weight + 1.0
        past = jnp.concatenate([samples[:, None], past[:, :-1]], 1)
        power = jnp.trace(products, axis1=1, axis2=2) / self.order
        ridge = (1e-6 + self.ridge * power)[:, None, None] * jnp.eye(self.order, dtype=past.dtype)
        factor = jnp.linalg.cholesky(products + ridge)
        coefficients = jax.scipy.linalg.cho_solve((factor, True), with_next[..., None])[..., 0]
        square = (keep * products[:, 0, 0] + jnp.square(samples)) / self.memory
        ahead = Ahead(
            jnp.sum(coefficients * past * self.bandwidth ** np.arange(1, self.order + 1), 1),
            jnp.maximum(errors / weight, LEAST_SCALE),
            jnp.sqrt(square + LEAST_SCALE**2),
        )
        return Known(past, products, with_next, errors, weight, ahead)

    def predict(self, samples: Array) -> Ahead:
        """Predict the sample after each of those in [B, T]; every array returned is [B, T]."""

        def further(known: Known, samples: Array) -> tuple[Known, Ahead]:
            known = self.step(known, samples)
            return known, known.ahead

        ahead = jax.lax.scan(further, self.start(len(samples), samples.dtype), samples.T)[1]
        return jax.tree.map(jnp.transpose, ahead)
